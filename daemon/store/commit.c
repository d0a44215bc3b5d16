/* The committer thread. See commit.h for what it promises.
 *
 * Locks: `lock` guards the queue; nothing is called while it is held. `observers_lock`
 * is held while observers run, because who removes one must know that it is not
 * running; an observer therefore takes no lock that is held around add or remove. The
 * figures that others read are atomics. */
#include "store/commit.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/list.h"
#include "store/apply.h"
#include "store/changelog.h"

#include <errno.h>

/* A batch ends at whichever comes first. They bound the memory of one LMDB transaction
 * and the time until its first transaction is answered; group commit is long efficient
 * there. */
#define BATCH_MAX_TXNS 1024
#define BATCH_MAX_BYTES (32u << 20)
#define EXPIRE_PER_BATCH 1000
/* With less room than this the store calls itself full before a write is tried. */
#define FULL_BELOW_BYTES (256u << 10)
/* How many events are trimmed off the log in one batch, beyond twice those it added, to
 * spread the work; unless the log is twice as large as it may be, because large values
 * follow many small ones. */
#define TRIM_PER_BATCH 64

struct kv_committer {
    struct kv_committer_parts parts;
    struct kv_sequencer sequencer;
    pthread_t thread;

    pthread_mutex_t lock;
    pthread_cond_t queued;  /* a transaction came, or stop */
    pthread_cond_t drained; /* finished moved on */
    struct kv_txn *head, **tail;
    /* How many transactions were ever put into the queue, taken out of it, and brought
     * to their end; the first `accepted` of them are applied, later ones refused. */
    uint64_t submitted, taken, finished, accepted;
    bool stop;

    pthread_mutex_t observers_lock;
    struct kv_observer *observers;

    pthread_mutex_t told_lock; /* guards told; a leaf */
    pthread_cond_t told_more;
    uint64_t told; /* the revision up to which the observers know everything */

    /* The committer thread's own. */
    int64_t last_now_ns; /* event times never go back */
    int64_t next_due_ns; /* no key is due before */
    size_t expire_most;  /* keys that the next batch expires */
    bool expired_some;   /* the last batch that was tried did */

    _Atomic(uint64_t) next_id;
    _Atomic(uint64_t) revision, oldest, keys, directories, log_bytes, log_events;
    _Atomic(uint64_t) commits, transactions, failed, expired, commit_ns;
    atomic_int latched;
    atomic_bool full;
};

static void publish_counters(struct kv_committer *c, const struct kv_counters *counters)
{
    atomic_store(&c->revision, counters->revision);
    atomic_store(&c->oldest, counters->log_first);
    atomic_store(&c->keys, counters->keys);
    atomic_store(&c->directories, counters->directories);
    atomic_store(&c->log_bytes, counters->log_bytes);
    atomic_store(&c->log_events, counters->log_events);
}

/* -- One batch -- */

/* A transaction that comes to a second try must not show results of the first. */
static void forget_results(struct kv_txn *txn)
{
    for (size_t i = 0; i < txn->op_count + txn->else_count; i++) {
        struct kv_op *op =
            i < txn->op_count ? &txn->ops[i] : &txn->else_ops[i - txn->op_count];
        kv_record_unref(op->result);
        op->result = NULL;
        op->created = false;
        op->count = 0;
    }
    txn->changed = txn->succeeded = false;
    txn->failed = 0;
}

static void hold_changes(struct kv_committer *c, const struct kv_batch *batch,
                         uint64_t number)
{
    for (size_t i = 0; i < batch->change_count; i++)
        kv_lru_hold(c->parts.lru, batch->changes[i].key, batch->changes[i].key_len,
                    number);
}

static void publish_changes(struct kv_committer *c, const struct kv_batch *batch,
                            uint64_t number)
{
    for (size_t i = 0; i < batch->change_count; i++) {
        const struct kv_change *change = &batch->changes[i];
        if (change->kind == KV_CHANGE_FORGET) /* whatever the batch said of it before */
            kv_lru_hold(c->parts.lru, change->key, change->key_len, number);
        else
            kv_lru_publish(c->parts.lru, change->key, change->key_len,
                           change->kind == KV_CHANGE_PUBLISH ? change->record : NULL);
    }
}

static void tell_observers(struct kv_committer *c, const struct kv_batch *batch)
{
    KV_SCOPED_LOCK(&c->observers_lock);
    for (struct kv_observer *o = c->observers; o; o = o->next)
        o->fn(o->ctx, batch->events, batch->event_count, batch->touched,
              batch->touched_count);
}

static void set_told(struct kv_committer *c, uint64_t revision)
{
    KV_SCOPED_LOCK(&c->told_lock);
    c->told = revision;
    pthread_cond_broadcast(&c->told_more);
}

void kv_committer_wait_told(struct kv_committer *c, uint64_t revision)
{
    KV_SCOPED_LOCK(&c->told_lock);
    while (c->told < revision)
        pthread_cond_wait(&c->told_more, &c->told_lock);
}

static int trim_log(struct kv_committer *c, struct kv_batch *batch)
{
    uint64_t max_bytes = c->parts.config->log_max_bytes;
    uint64_t max_events = c->parts.config->log_max_events;
    const struct kv_counters *now = &batch->counters;
    bool far_too_large =
        now->log_bytes / 2 > max_bytes || now->log_events / 2 > max_events;
    return kv_changelog_trim(batch->view, &batch->counters, max_bytes, max_events,
                             far_too_large ? SIZE_MAX
                                           : 2 * batch->event_count + TRIM_PER_BATCH);
}

/* Expire what is due, apply the transactions, and write the counters. 0 or what broke
 * the batch; *ret_next_ns: when the next key is due. What a transaction writes shows
 * only when it is applied (appends, resizing), so the list may be cut here: *ret_rest
 * is what did not go in. */
static int build(struct kv_committer *c, struct kv_batch *batch, struct kv_txn *first,
                 int64_t *ret_next_ns, struct kv_txn **ret_rest)
{
    int err = kv_apply_expiry(batch, c->next_due_ns, c->expire_most, ret_next_ns);
    for (struct kv_txn *txn = first; txn && !err; txn = txn->next) {
        forget_results(txn);
        err = kv_apply_txn(batch, txn);
        if (!err && batch->value_bytes > BATCH_MAX_BYTES && txn->next) {
            *ret_rest = txn->next;
            txn->next = NULL;
        }
    }
    if (err || batch->event_count == 0)
        return err;
    err = trim_log(c, batch);
    batch->counters.next_id = atomic_load(&c->next_id);
    return err ? err : kv_counters_put(batch->view, &batch->counters);
}

/* Commit what the batch holds; the cache is coherent around it. */
static int commit(struct kv_committer *c, struct kv_batch *batch)
{
    uint64_t number = kv_view_number(batch->view);
    int64_t start_ns = kv_clock_monotonic_ns();
    hold_changes(c, batch, number);
    int err = kv_view_commit(batch->view);
    batch->view = NULL;
    if (err) {
        kv_lru_release(c->parts.lru, number);
        return err;
    }
    atomic_fetch_add(&c->commit_ns, (uint64_t)(kv_clock_monotonic_ns() - start_ns));
    atomic_fetch_add(&c->commits, 1);
    atomic_fetch_add(&c->expired, batch->expired); /* before the keys seem gone */
    /* First, because listings show the new revision from here on, and who saw it must
     * not be told that it lies in the future. */
    publish_counters(c, &batch->counters);
    publish_changes(c, batch, number);
    kv_feed_append(c->parts.feed, batch->events, batch->event_count,
                   batch->counters.revision);
    tell_observers(c, batch);
    set_told(c, batch->counters.revision);
    return 0;
}

/* Event times grow from batch to batch even when the clock is set back: a directory's
 * mtime that a listing was cached under must never come again. */
static int64_t event_time(struct kv_committer *c, int64_t now_ns)
{
    if (now_ns <= c->last_now_ns)
        now_ns = c->last_now_ns + 1;
    c->last_now_ns = now_ns;
    return now_ns;
}

/* Apply and commit a list of transactions, or the front of it, as one batch. *ret_rest:
 * those that are left, cut off the list. On error nothing has happened. */
static int try_batch(struct kv_committer *c, struct kv_txn *first,
                     struct kv_txn **ret_rest)
{
    *ret_rest = NULL;
    struct kv_view *view;
    int err = kv_view_write(c->parts.table, &view);
    if (err)
        return err;
    KV_CLEANUP(kv_batch_done) struct kv_batch batch;
    int64_t next_ns = INT64_MAX;
    int64_t now_ns = kv_clock_realtime_ns();
    err = kv_batch_begin(&batch, c->parts.config, view, &c->next_id,
                         event_time(c, now_ns));
    batch.due_ns = now_ns;
    if (!err)
        err = build(c, &batch, first, &next_ns, ret_rest);
    c->expired_some = batch.expired > 0;
    if (!err && batch.event_count > 0)
        err = commit(c, &batch);
    if (err)
        return err;
    if (c->expire_most < EXPIRE_PER_BATCH)
        c->expire_most = 2 * c->expire_most + 1;
    atomic_store(&c->full, batch.refused_for_space || batch.space < FULL_BELOW_BYTES);
    if (batch.earliest_expiry_ns < next_ns)
        next_ns = batch.earliest_expiry_ns;
    c->next_due_ns = next_ns;
    c->parts.next_expiry(c->parts.next_expiry_ctx, next_ns);
    return 0;
}

/* -- The queue -- */

static void finish(struct kv_committer *c, struct kv_txn *txn)
{
    atomic_fetch_add(txn->error ? &c->failed : &c->transactions, 1);
    bool kept = txn->kept; /* afterwards it may be gone */
    if (txn->done)
        txn->done(txn, txn->ctx);
    if (!kept)
        kv_txn_free(txn);
}

static void finish_all(struct kv_committer *c, struct kv_txn *first)
{
    while (first) {
        struct kv_txn *txn = first;
        first = txn->next;
        finish(c, txn);
    }
}

static void fail_all(struct kv_committer *c, struct kv_txn *first, int err)
{
    for (struct kv_txn *txn = first; txn; txn = txn->next) {
        forget_results(txn);
        txn->error = err;
        txn->revision = atomic_load(&c->revision);
    }
    finish_all(c, first);
}

static bool may_pass(int err)
{
    return err == -ENOSPC || err == -ENOMEM || err == -EDQUOT || err == -EMFILE;
}

void kv_committer_latch(struct kv_committer *c, int err)
{
    int none = 0;
    if (atomic_compare_exchange_strong(&c->latched, &none, -err))
        kv_error("cannot write to '%s': %s; the store is read-only until kvfsd is "
                 "started again",
                 c->parts.config->path, kv_strerror(err));
}

/* Try a transaction by itself. Deletes need room too, so when the disk is full and many
 * keys are due, a batch that expires all of them may not fit: then fewer, and in the
 * end none but those that the transaction is about. The keeper's empty transaction is
 * there to expire, so it stops at one. */
static int try_one(struct kv_committer *c, struct kv_txn *txn)
{
    size_t least = txn->op_count + txn->else_count > 0 ? 0 : 1;
    int err;
    struct kv_txn *rest; /* of one there is none */
    while ((err = try_batch(c, txn, &rest)) == -ENOSPC && c->expired_some &&
           c->expire_most > least)
        c->expire_most /= 8;
    return err;
}

/* Commit a transaction by itself. */
static void process_one(struct kv_committer *c, struct kv_txn *txn)
{
    txn->next = NULL;
    int err = atomic_load(&c->latched) ? -EROFS : try_one(c, txn);
    if (!err) {
        finish(c, txn);
        return;
    }
    if (!may_pass(err) && err != -EROFS)
        kv_committer_latch(c, err);
    fail_all(c, txn, err == -EDQUOT ? -ENOSPC : err);
}

static void process_each(struct kv_committer *c, struct kv_txn *first)
{
    while (first) {
        struct kv_txn *txn = first;
        first = txn->next;
        process_one(c, txn);
    }
}

/* One batch; returns what is left of the list. */
static struct kv_txn *process_some(struct kv_committer *c, struct kv_txn *first)
{
    struct kv_txn *rest = NULL;
    int err = 0;
    if (!first->next || atomic_load(&c->latched))
        process_each(c, first);
    else if ((err = try_batch(c, first, &rest)) == 0)
        finish_all(c, first);
    else if (may_pass(err))
        process_each(c, first);
    else {
        kv_committer_latch(c, err);
        fail_all(c, first, err);
    }
    return rest;
}

static void process(struct kv_committer *c, struct kv_txn *first)
{
    while (first)
        first = process_some(c, first);
}

/* Cut the front of the queue, as much as one batch holds; what is accepted and what is
 * refused do not mix. c->lock is held. */
static struct kv_txn *take_locked(struct kv_committer *c, uint64_t most)
{
    struct kv_txn *first = c->head, *last = first;
    uint64_t count = 1;
    size_t bytes = first->bytes;
    while (last->next && count < most && bytes + last->next->bytes <= BATCH_MAX_BYTES) {
        last = last->next;
        bytes += last->bytes;
        count++;
    }
    c->head = last->next;
    if (!c->head)
        c->tail = &c->head;
    last->next = NULL;
    c->taken += count;
    return first;
}

static struct kv_txn *take(struct kv_committer *c, bool *ret_refuse)
{
    KV_SCOPED_LOCK(&c->lock);
    c->finished = c->taken;
    pthread_cond_broadcast(&c->drained);
    while (!c->head) {
        if (c->stop)
            return NULL;
        pthread_cond_wait(&c->queued, &c->lock);
    }
    *ret_refuse = c->taken >= c->accepted;
    uint64_t left = *ret_refuse ? UINT64_MAX : c->accepted - c->taken;
    return take_locked(c, left < BATCH_MAX_TXNS ? left : BATCH_MAX_TXNS);
}

static void *run(void *arg)
{
    struct kv_committer *c = arg;
    struct kv_txn *first;
    bool refuse = false;
    while ((first = take(c, &refuse))) {
        if (refuse)
            fail_all(c, first, -ESHUTDOWN);
        else
            process(c, first);
    }
    return NULL;
}

void kv_committer_enqueue(struct kv_committer *c, struct kv_txn *txn)
{
    KV_SCOPED_LOCK(&c->lock);
    txn->next = NULL;
    *c->tail = txn;
    c->tail = &txn->next;
    c->submitted++;
    pthread_cond_signal(&c->queued);
}

static void submit(struct kv_sequencer *self, struct kv_txn *txn)
{
    kv_committer_enqueue(KV_CONTAINER_OF(self, struct kv_committer, sequencer), txn);
}

struct kv_sequencer *kv_committer_sequencer(struct kv_committer *c)
{
    return &c->sequencer;
}

/* -- Life -- */

int kv_committer_start(const struct kv_committer_parts *parts,
                       const struct kv_counters *counters, struct kv_committer **ret)
{
    KV_CLEANUP(kv_free) struct kv_committer *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->parts = *parts;
    c->sequencer.submit = submit;
    c->tail = &c->head;
    c->accepted = UINT64_MAX;
    c->next_due_ns = INT64_MIN;
    pthread_mutex_init(&c->lock, NULL);
    pthread_mutex_init(&c->observers_lock, NULL);
    pthread_mutex_init(&c->told_lock, NULL);
    pthread_cond_init(&c->told_more, NULL);
    c->told = counters->revision;
    pthread_cond_init(&c->queued, NULL);
    pthread_cond_init(&c->drained, NULL);
    atomic_init(&c->next_id, counters->next_id);
    publish_counters(c, counters);
    int err = pthread_create(&c->thread, NULL, run, c);
    if (err)
        return -err;
    pthread_setname_np(c->thread, "kv-commit");
    *ret = KV_STEAL(c);
    return 0;
}

void kv_committer_drain(struct kv_committer *c)
{
    KV_SCOPED_LOCK(&c->lock);
    if (c->accepted == UINT64_MAX)
        c->accepted = c->submitted;
    while (c->finished < c->accepted)
        pthread_cond_wait(&c->drained, &c->lock);
}

void kv_committer_free(struct kv_committer *c)
{
    if (!c)
        return;
    kv_lock(&c->lock);
    c->stop = true;
    pthread_cond_signal(&c->queued);
    kv_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    pthread_cond_destroy(&c->drained);
    pthread_cond_destroy(&c->queued);
    pthread_mutex_destroy(&c->observers_lock);
    pthread_mutex_destroy(&c->told_lock);
    pthread_cond_destroy(&c->told_more);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

/* -- Observers and figures -- */

void kv_committer_add_observer(struct kv_committer *c, struct kv_observer *observer)
{
    KV_SCOPED_LOCK(&c->observers_lock);
    observer->next = c->observers;
    c->observers = observer;
}

void kv_committer_remove_observer(struct kv_committer *c, struct kv_observer *observer)
{
    KV_SCOPED_LOCK(&c->observers_lock);
    for (struct kv_observer **o = &c->observers; *o; o = &(*o)->next)
        if (*o == observer) {
            *o = observer->next;
            return;
        }
}

uint64_t kv_committer_revision(struct kv_committer *c)
{
    return atomic_load(&c->revision);
}

uint64_t kv_committer_new_id(struct kv_committer *c)
{
    return atomic_fetch_add_explicit(&c->next_id, 1, memory_order_relaxed);
}

int kv_committer_writable(struct kv_committer *c)
{
    if (atomic_load_explicit(&c->latched, memory_order_relaxed))
        return -EROFS;
    if (!atomic_load_explicit(&c->full, memory_order_relaxed))
        return 0;
    /* It was full when the last batch began; what that freed shows only now. */
    KV_CLEANUP(kv_view_endp) struct kv_view *view = NULL;
    uint64_t used, free_bytes = 0;
    int err = kv_view_read(c->parts.table, &view);
    if (!err)
        err = kv_view_space(view, &used, &free_bytes);
    if (err || free_bytes < FULL_BELOW_BYTES)
        return err ? err : -ENOSPC;
    atomic_store(&c->full, false);
    return 0;
}

void kv_committer_status(struct kv_committer *c, struct kv_store_status *ret)
{
    ret->revision = atomic_load(&c->revision);
    ret->oldest_revision = atomic_load(&c->oldest);
    ret->keys = atomic_load(&c->keys);
    ret->directories = atomic_load(&c->directories);
    ret->log_bytes = atomic_load(&c->log_bytes);
    ret->log_events = atomic_load(&c->log_events);
    ret->commits = atomic_load(&c->commits);
    ret->transactions = atomic_load(&c->transactions);
    ret->failed_transactions = atomic_load(&c->failed);
    ret->expired = atomic_load(&c->expired);
    ret->commit_ns = atomic_load(&c->commit_ns);
    ret->latched_error = atomic_load(&c->latched);
    ret->full = atomic_load(&c->full);
    KV_SCOPED_LOCK(&c->lock);
    ret->queued = c->submitted - c->taken;
}
