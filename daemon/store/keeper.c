/* The keeper thread sleeps until the next key is due or the next sync is; by the
 * monotonic clock, so that setting the other one back puts nothing off.
 *
 * Expiry itself happens in the committer: each batch first deletes what is due. So all
 * the keeper does is submit an empty transaction at the right moment, and nothing needs
 * to agree with the committer about which key is still there.
 *
 * Lock: `lock` guards the fields below it; nothing is called while it is held. */
#include "store/keeper.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>

struct kv_keeper {
    const struct kv_store_config *config;
    struct kv_table *table;
    struct kv_committer *committer;
    pthread_t thread;
    bool running;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t next_ns;       /* realtime at which a key is due */
    bool ticking;          /* an empty transaction is on its way */
    int64_t not_before_ns; /* monotonic; after a failed one: no next one earlier */
    bool stop;
};

int kv_keeper_new(const struct kv_store_config *config, struct kv_table *table,
                  struct kv_keeper **ret)
{
    struct kv_keeper *keeper = calloc(1, sizeof(*keeper));
    if (!keeper)
        return -ENOMEM;
    keeper->config = config;
    keeper->table = table;
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&keeper->changed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&keeper->lock, NULL);
    *ret = keeper;
    return 0;
}

void kv_keeper_next_expiry(void *ctx, int64_t expiry_ns)
{
    struct kv_keeper *keeper = ctx;
    KV_SCOPED_LOCK(&keeper->lock);
    keeper->next_ns = expiry_ns;
    pthread_cond_signal(&keeper->changed);
}

/* On the committer thread, after the batch that expired what was due has told
 * kv_keeper_next_expiry what comes next. */
static void tick_done(struct kv_txn *txn, void *ctx)
{
    struct kv_keeper *keeper = ctx;
    KV_SCOPED_LOCK(&keeper->lock);
    keeper->ticking = false;
    if (txn->error) /* a full disk or a latched store: look again later */
        keeper->not_before_ns = kv_clock_monotonic_ns() + KV_NS_PER_S;
    pthread_cond_signal(&keeper->changed);
}

static void tick(struct kv_keeper *keeper)
{
    struct kv_txn *txn;
    int err = kv_txn_new(KV_ORIGIN_TTL, tick_done, keeper, &txn);
    if (err) {
        kv_error("cannot expire keys: %s", kv_strerror(err));
        KV_SCOPED_LOCK(&keeper->lock);
        keeper->ticking = false;
        keeper->not_before_ns = kv_clock_monotonic_ns() + KV_NS_PER_S;
        return;
    }
    kv_committer_enqueue(keeper->committer, txn);
}

/* Sync when the mode asks for it now. Returns when to look again, monotonic. */
static int64_t sync_when_due(struct kv_keeper *keeper)
{
    if (keeper->config->sync != KV_SYNC_INTERVAL)
        return INT64_MAX;
    int64_t now_ns = kv_clock_monotonic_ns();
    int err = kv_table_sync(keeper->table);
    if (err)
        kv_committer_latch(keeper->committer, err);
    return now_ns + keeper->config->sync_interval_ms * KV_NS_PER_MS;
}

/* When to look for keys that are due, monotonic: when the next one is by the clock as
 * it stands, but within a second, because that clock may be set. */
static int64_t look_at_locked(const struct kv_keeper *keeper, int64_t now_ns)
{
    int64_t due_in_ns = 0, clock_ns = kv_clock_realtime_ns();
    if (keeper->next_ns == INT64_MAX)
        return INT64_MAX;
    if (keeper->next_ns > clock_ns)
        due_in_ns = keeper->next_ns - clock_ns;
    if (due_in_ns > KV_NS_PER_S)
        due_in_ns = KV_NS_PER_S;
    return now_ns + due_in_ns > keeper->not_before_ns ? now_ns + due_in_ns
                                                      : keeper->not_before_ns;
}

/* Sleep until a key is due (true) or until_ns, monotonic, or stop (false). */
static bool wait_until(struct kv_keeper *keeper, int64_t until_ns, bool *ret_stop)
{
    KV_SCOPED_LOCK(&keeper->lock);
    for (;;) {
        int64_t now_ns = kv_clock_monotonic_ns(), wake_ns = INT64_MAX;
        *ret_stop = keeper->stop;
        if (keeper->stop || now_ns >= until_ns)
            return false;
        if (!keeper->ticking)
            wake_ns = look_at_locked(keeper, now_ns);
        if (wake_ns <= now_ns) {
            keeper->ticking = true;
            return true;
        }
        struct timespec wake = kv_ns_timespec(wake_ns < until_ns ? wake_ns : until_ns);
        pthread_cond_timedwait(&keeper->changed, &keeper->lock, &wake);
    }
}

static void *run(void *arg)
{
    struct kv_keeper *keeper = arg;
    bool stop = false;
    while (!stop) {
        int64_t next_sync_ns = sync_when_due(keeper);
        while (wait_until(keeper, next_sync_ns, &stop))
            tick(keeper);
    }
    return NULL;
}

int kv_keeper_run(struct kv_keeper *keeper, struct kv_committer *committer)
{
    keeper->committer = committer;
    int err = pthread_create(&keeper->thread, NULL, run, keeper);
    if (err)
        return -err;
    pthread_setname_np(keeper->thread, "kv-keeper");
    keeper->running = true;
    return 0;
}

void kv_keeper_stop(struct kv_keeper *keeper)
{
    if (!keeper->running)
        return;
    kv_lock(&keeper->lock);
    keeper->stop = true;
    pthread_cond_signal(&keeper->changed);
    kv_unlock(&keeper->lock);
    pthread_join(keeper->thread, NULL);
    keeper->running = false;
}

void kv_keeper_free(struct kv_keeper *keeper)
{
    if (!keeper)
        return;
    pthread_cond_destroy(&keeper->changed);
    pthread_mutex_destroy(&keeper->lock);
    free(keeper);
}
