/* Putting a store together and taking it apart; the writing side of its interface.
 *
 * Order of start: lock the directory, open the table, cache and feed, then the keeper
 * (which hears from the committer) and the committer. They stop the other way round. */
#include "store/store_internal.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* Memory for the newest events; older ones are read from the log. */
#define FEED_RING_BYTES (8u << 20)

void kv_store_config_default(struct kv_store_config *config)
{
    *config = (struct kv_store_config){
        .path = config->path,
        .sync = KV_SYNC_ALWAYS,
        .sync_interval_ms = 1000,
        .cache_bytes = 64u << 20,
        .max_value_bytes = 64u << 20,
        .max_store_bytes = UINT64_C(16) << 30,
        .log_max_bytes = 64u << 20,
        .log_max_events = 1000000,
        .uid = getuid(),
        .gid = getgid(),
        .file_mode = 0644,
        .dir_mode = 0755,
    };
}

/* -- Opening -- */

/* Sync the directory, so that the names in it survive a power cut. */
static int sync_directory(const char *path)
{
    KV_CLEANUP(kv_close) int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd))
        return -errno;
    return 0;
}

/* The same for the directory that holds path. */
static int sync_parent(const char *path)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf parent = {0};
    kv_buf_addf(&parent, "%s/..", path);
    kv_buf_addc(&parent, '\0');
    return kv_buf_error(&parent) ? -ENOMEM : sync_directory(parent.data);
}

/* Make the directory when it is missing, and lock it: LMDB itself would let a second
 * process in, and a second environment in one process breaks its locks. Of this kind of
 * lock others can ask whether there is one without taking it, which flock(2) has not.
 */
static int lock_directory(const char *path, int *ret_fd)
{
    if (mkdir(path, 0700) && errno != EEXIST)
        return -errno;
    KV_CLEANUP(kv_close) int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    int err = sync_parent(path);
    if (err)
        return err;
    KV_CLEANUP(kv_close)
    int fd = openat(dir, "kvfs.lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, F_OFD_SETLK, &all) < 0)
        return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
    *ret_fd = fd;
    fd = -1;
    return 0;
}

/* The counters of an environment; in a new one they and the root directory are made. */
static int load_counters(struct kv_store *store, struct kv_counters *ret)
{
    KV_CLEANUP(kv_view_endp) struct kv_view *view = NULL;
    int err = kv_view_write(store->table, &view);
    if (!err)
        err = kv_counters_get(view, ret);
    if (err != -ENOENT)
        return err;
    *ret = (struct kv_counters){.next_id = KV_ROOT_ID + 1, .log_first = 1};
    int64_t now_ns = kv_clock_realtime_ns();
    struct kv_record_parts root = {
        .meta = {.id = KV_ROOT_ID,
                 .mtime_ns = now_ns,
                 .ctime_ns = now_ns,
                 .mode = S_IFDIR | store->config.dir_mode,
                 .uid = store->config.uid,
                 .gid = store->config.gid},
        .key = "",
    };
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = kv_record_new(&root);
    if (!record)
        return -ENOMEM;
    err = kv_state_put(view, record);
    if (!err)
        err = kv_counters_put(view, ret);
    return err ? err : kv_view_commit(KV_STEAL(view));
}

static int start(struct kv_store *store, const struct kv_counters *counters)
{
    store->lru = kv_lru_new(store->config.cache_bytes);
    store->feed =
        kv_feed_new(counters->revision, FEED_RING_BYTES, kv_store_backlog, store);
    if (!store->lru || !store->feed)
        return -ENOMEM;
    int err = kv_keeper_new(&store->config, store->table, &store->keeper);
    if (err)
        return err;
    struct kv_committer_parts parts = {
        .config = &store->config,
        .table = store->table,
        .lru = store->lru,
        .feed = store->feed,
        .next_expiry = kv_keeper_next_expiry,
        .next_expiry_ctx = store->keeper,
    };
    err = kv_committer_start(&parts, counters, &store->committer);
    if (err)
        return err;
    store->sequencer = kv_committer_sequencer(store->committer);
    return kv_keeper_run(store->keeper, store->committer);
}

int kv_store_open(const struct kv_store_config *config, struct kv_store **ret)
{
    KV_CLEANUP(kv_store_closep) struct kv_store *store = calloc(1, sizeof(*store));
    if (!store)
        return -ENOMEM;
    store->lock_fd = -1;
    store->config = *config;
    store->config.path = strdup(config->path);
    if (!store->config.path)
        return -ENOMEM;
    /* A log that filled the store would keep deletes from making room. */
    if (store->config.log_max_bytes > config->max_store_bytes / 4)
        store->config.log_max_bytes = config->max_store_bytes / 4;
    struct kv_counters counters;
    int err = lock_directory(config->path, &store->lock_fd);
    if (!err)
        err = kv_table_open(config->path, config->max_store_bytes, config->sync,
                            &store->table);
    if (!err)
        err = sync_directory(config->path); /* LMDB has made its file by now */
    if (!err)
        err = load_counters(store, &counters);
    if (!err)
        err = start(store, &counters);
    if (err)
        return err;
    *ret = KV_STEAL(store);
    return 0;
}

void kv_store_stop(struct kv_store *store)
{
    if (store->keeper)
        kv_keeper_stop(store->keeper);
    if (store->committer)
        kv_committer_drain(store->committer);
}

void kv_store_close(struct kv_store *store)
{
    if (!store)
        return;
    kv_store_stop(store);
    kv_committer_free(store->committer);
    kv_keeper_free(store->keeper);
    kv_feed_free(store->feed);
    kv_lru_free(store->lru);
    if (store->table && store->config.sync != KV_SYNC_ALWAYS) {
        int err = kv_table_sync(store->table);
        if (err)
            kv_error("cannot sync '%s': %s", store->config.path, kv_strerror(err));
    }
    kv_table_close(store->table);
    kv_close(&store->lock_fd);
    free((char *)(uintptr_t)store->config.path);
    free(store);
}

/* -- Writing -- */

static size_t txn_bytes(const struct kv_txn *txn)
{
    size_t bytes = 0;
    for (size_t i = 0; i < txn->op_count; i++)
        bytes += txn->ops[i].key_len + txn->ops[i].value.len;
    for (size_t i = 0; i < txn->else_count; i++)
        bytes += txn->else_ops[i].key_len + txn->else_ops[i].value.len;
    return bytes;
}

void kv_store_submit(struct kv_store *store, struct kv_txn *txn)
{
    txn->bytes = txn_bytes(txn);
    store->sequencer->submit(store->sequencer, txn);
}

struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t done;
    bool finished;
};

static void wake(struct kv_txn *txn, void *ctx)
{
    (void)txn;
    struct waiter *waiter = ctx;
    KV_SCOPED_LOCK(&waiter->lock);
    waiter->finished = true;
    pthread_cond_signal(&waiter->done);
}

int kv_store_commit(struct kv_store *store, struct kv_txn *txn)
{
    assert(!txn->done);
    struct waiter waiter = {.lock = PTHREAD_MUTEX_INITIALIZER,
                            .done = PTHREAD_COND_INITIALIZER};
    txn->done = wake;
    txn->ctx = &waiter;
    txn->kept = true;
    kv_store_submit(store, txn);
    kv_lock(&waiter.lock);
    while (!waiter.finished)
        pthread_cond_wait(&waiter.done, &waiter.lock);
    kv_unlock(&waiter.lock);
    pthread_cond_destroy(&waiter.done);
    pthread_mutex_destroy(&waiter.lock);
    txn->done = NULL;
    return txn->error;
}

uint64_t kv_store_new_id(struct kv_store *store)
{
    return kv_committer_new_id(store->committer);
}

int kv_store_writable(struct kv_store *store)
{
    return kv_committer_writable(store->committer);
}

int kv_store_backup(struct kv_store *store, int fd)
{
    return kv_table_copy(store->table, fd);
}

/* -- Observing, figures -- */

void kv_store_add_observer(struct kv_store *store, struct kv_observer *observer)
{
    kv_committer_add_observer(store->committer, observer);
}

void kv_store_remove_observer(struct kv_store *store, struct kv_observer *observer)
{
    kv_committer_remove_observer(store->committer, observer);
}

int kv_store_catch_up(struct kv_store *store)
{
    KV_CLEANUP(kv_view_endp) struct kv_view *view = NULL;
    struct kv_counters counters;
    int err = kv_view_read(store->table, &view);
    if (!err)
        err = kv_counters_get(view, &counters);
    if (!err)
        kv_committer_wait_told(store->committer, counters.revision);
    return err;
}

uint64_t kv_store_revision(struct kv_store *store)
{
    return kv_committer_revision(store->committer);
}

struct kv_feed *kv_store_feed(struct kv_store *store)
{
    return store->feed;
}

int kv_store_status(struct kv_store *store, struct kv_store_status *ret)
{
    *ret = (struct kv_store_status){
        .max_bytes = store->config.max_store_bytes,
        .max_value_bytes = store->config.max_value_bytes,
        .sync = store->config.sync,
    };
    kv_committer_status(store->committer, ret);
    kv_lru_stats(store->lru, &ret->cache);
    KV_CLEANUP(kv_view_endp) struct kv_view *view = NULL;
    uint64_t free_bytes;
    int err = kv_view_read(store->table, &view);
    return err ? err : kv_view_space(view, &ret->used_bytes, &free_bytes);
}

uint64_t kv_store_oldest_revision(struct kv_store *store)
{
    struct kv_store_status status = {0};
    kv_committer_status(store->committer, &status);
    return status.oldest_revision;
}
