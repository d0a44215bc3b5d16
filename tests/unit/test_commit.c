#undef _FILE_OFFSET_BITS /* it would give pwrite the name of pwrite64 */
#include "store_fixture.h"

#include "base/clock.h"
#include "base/log.h"

#include <fcntl.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* -- A disk that fails on demand: LMDB calls these, since a program's own functions
 * come before those of its libraries -- */

static atomic_int sync_errno, meta_errno;
static atomic_uint sync_calls;

int fdatasync(int fd)
{
    atomic_fetch_add(&sync_calls, 1);
    int err = atomic_load(&sync_errno);
    if (err) {
        errno = err;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

/* A sync of a directory in which the store's file stood. */
static atomic_bool file_name_synced;

int fsync(int fd)
{
    if (faccessat(fd, "data.mdb", F_OK, 0) == 0)
        atomic_store(&file_name_synced, true);
    return (int)syscall(SYS_fsync, fd);
}

/* A disk with so many bytes free: what one commit may write. */
static _Atomic(int64_t) room = INT64_MAX;
static _Atomic(int64_t) written;

static bool fills_disk(size_t len)
{
    return atomic_fetch_add(&written, (int64_t)len) + (int64_t)len > atomic_load(&room);
}

/* LMDB's meta page is the only thing it writes that is shorter than a page, and the
 * last of a commit. */
static ssize_t write_at(int fd, const void *data, size_t len, int64_t offset)
{
    if (len < 4096) {
        atomic_store(&written, 0);
    } else if (fills_disk(len)) {
        atomic_store(&written, 0);
        errno = ENOSPC;
        return -1;
    }
    int err = len < 4096 ? atomic_load(&meta_errno) : 0;
    if (err) {
        errno = err;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, data, len, offset);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    return write_at(fd, data, len, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
    return write_at(fd, data, len, offset);
}

/* For pages that lie side by side. */
ssize_t writev(int fd, const struct iovec *parts, int count)
{
    size_t len = 0;
    for (int i = 0; i < count; i++)
        len += parts[i].iov_len;
    if (fills_disk(len)) {
        atomic_store(&written, 0);
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_writev, fd, parts, count);
}

/* -- Setup -- */

static void setup(void)
{
    atomic_store(&file_name_synced, false);
    kv_log_init("test", (enum kv_log_level)0); /* errors are what the tests expect */
    store_setup_closed();
    store_config.sync = KV_SYNC_ALWAYS;
    ck_assert_int_eq(store_open(), 0);
}

static void reopen_sized(uint64_t max_store_bytes)
{
    store_config.max_store_bytes = max_store_bytes;
    store_reopen();
}

/* -- Waiting for many -- */

struct many {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    size_t done, wanted;
};

static struct many many = {.lock = PTHREAD_MUTEX_INITIALIZER,
                           .moved = PTHREAD_COND_INITIALIZER};

static void many_expect(size_t wanted)
{
    KV_SCOPED_LOCK(&many.lock);
    many.done = 0;
    many.wanted = wanted;
}

static void many_count(void)
{
    KV_SCOPED_LOCK(&many.lock);
    many.done++;
    pthread_cond_broadcast(&many.moved);
}

static void many_wait(void)
{
    KV_SCOPED_LOCK(&many.lock);
    while (many.done < many.wanted)
        pthread_cond_wait(&many.moved, &many.lock);
}

/* Submit what the test built from inside a done, so that all of it is one batch. */
struct together {
    struct kv_txn *txns[64];
    size_t count;
};

static void submit_all(struct kv_txn *txn, void *ctx)
{
    (void)txn;
    struct together *together = ctx;
    for (size_t i = 0; i < together->count; i++)
        kv_store_submit(store, together->txns[i]);
}

static void submit_together(struct together *together)
{
    struct kv_txn *first;
    ck_assert_int_eq(kv_txn_new(KV_ORIGIN_HTTP, submit_all, together, &first), 0);
    many_expect(together->count);
    kv_store_submit(store, first);
    many_wait();
}

static void note_error(struct kv_txn *txn, void *ctx)
{
    *(int *)ctx = txn->error;
    many_count();
}

static struct kv_txn *add_noted(struct together *together, int *error)
{
    struct kv_txn *txn;
    *error = 1;
    ck_assert_int_eq(kv_txn_new(KV_ORIGIN_HTTP, note_error, error, &txn), 0);
    return together->txns[together->count++] = txn;
}

/* -- Group commit -- */

enum { SUBMITTERS = 8, EACH = 400 };

struct done_note {
    uint64_t revision;
    int submitter, number;
};

static struct {
    struct done_note notes[SUBMITTERS * EACH];
    size_t count; /* committer thread only, until all are done */
    pthread_t thread;
    bool several_threads;
} dones;

static struct done_note intents[SUBMITTERS][EACH];

static void note_done(struct kv_txn *txn, void *ctx)
{
    struct done_note *intent = ctx;
    ck_assert_int_eq(txn->error, 0);
    if (dones.count == 0)
        dones.thread = pthread_self();
    else if (!pthread_equal(dones.thread, pthread_self()))
        dones.several_threads = true;
    intent->revision = txn->revision;
    dones.notes[dones.count++] = *intent;
    many_count();
}

static void *submit_many(void *arg)
{
    int submitter = (int)(intptr_t)arg;
    for (int i = 0; i < EACH; i++) {
        struct kv_txn *txn;
        struct done_note *intent = &intents[submitter][i];
        *intent = (struct done_note){.submitter = submitter, .number = i};
        ck_assert_int_eq(kv_txn_new(KV_ORIGIN_HTTP, note_done, intent, &txn), 0);
        char key[32];
        (void)snprintf(key, sizeof(key), "d%d/k%d", submitter, i % 50);
        txn_put(txn, key, "value");
        kv_store_submit(store, txn);
    }
    return NULL;
}

START_TEST(every_done_comes_once_in_order_on_one_thread)
{
    many_expect(SUBMITTERS * EACH);
    dones.count = 0;
    pthread_t threads[SUBMITTERS];
    for (intptr_t i = 0; i < SUBMITTERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, submit_many, (void *)i), 0);
    for (int i = 0; i < SUBMITTERS; i++)
        pthread_join(threads[i], NULL);
    many_wait();
    ck_assert_uint_eq(dones.count, SUBMITTERS * EACH);
    ck_assert(!dones.several_threads);
    ck_assert(!pthread_equal(dones.thread, pthread_self()));
    int next[SUBMITTERS] = {0};
    for (size_t i = 0; i < dones.count; i++) {
        const struct done_note *note = &dones.notes[i];
        ck_assert_uint_eq(note->revision, i + 1); /* gapless, in the order of dones */
        ck_assert_int_eq(note->number, next[note->submitter]++);
    }
    struct kv_store_status status = status_now();
    ck_assert_uint_eq(status.revision, SUBMITTERS * EACH);
    ck_assert_uint_lt(status.commits, SUBMITTERS * EACH); /* they did share */
    ck_assert_uint_eq(status.queued, 0);
    ck_assert_uint_eq(status.keys, SUBMITTERS * 50);
    ck_assert_uint_eq(status.directories, SUBMITTERS);
    check_store();
}
END_TEST

START_TEST(what_is_submitted_in_a_done_is_one_batch)
{
    static int errors[20];
    struct together together = {0};
    for (int i = 0; i < 20; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "k%d", i % 7);
        txn_put(add_noted(&together, &errors[i]), key, "v");
    }
    uint64_t commits = status_now().commits;
    submit_together(&together);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(errors[i], 0);
    ck_assert_uint_eq(status_now().commits, commits + 1);
    ck_assert_uint_eq(revision_now(), 20);
    size_t count;
    struct kv_event **events = read_events(0, &count);
    ck_assert_uint_eq(count, 20);
    for (size_t i = 0; i < count; i++)
        ck_assert(events[i]->last && events[i]->revision == i + 1);
    free_events(events, count);
}
END_TEST

START_TEST(each_transaction_of_a_batch_fails_by_itself)
{
    static int errors[4];
    struct together together = {0};
    txn_put(add_noted(&together, &errors[0]), "k", "one");
    struct kv_txn *txn = add_noted(&together, &errors[1]);
    txn_put(txn, "undone", "v");
    txn_add(txn, KV_OP_DELETE, "absent");
    txn_put(add_noted(&together, &errors[2]), "k/below", "v");
    struct kv_op *op = txn_put(add_noted(&together, &errors[3]), "k", " two");
    op->type = KV_OP_APPEND;
    submit_together(&together);
    ck_assert_int_eq(errors[0], 0);
    ck_assert_int_eq(errors[1], -ENOENT);
    ck_assert_int_eq(errors[2], -ENOTDIR);
    ck_assert_int_eq(errors[3], 0);
    ck_assert_value("k", "one two");
    ck_assert_str_eq(tree_of(""), "k");
    ck_assert_str_eq(events_since(0), "1.0:put+:k. 2.0:put:k.");
    ck_assert_uint_eq(status_now().failed_transactions, 2);
}
END_TEST

START_TEST(a_batch_is_cut_where_its_values_grow_too_large)
{
    enum { COUNT = 60 };
    static int errors[COUNT];
    struct together together = {0};
    store_config.max_value_bytes = 2u << 20;
    store_config.max_store_bytes = 512u << 20;
    store_reopen();
    ck_assert_int_eq(put_sized("k", 1u << 20, 'x'), 0);
    for (int i = 0; i < COUNT; i++) {
        struct kv_op *op = txn_put(add_noted(&together, &errors[i]), "k", "y");
        op->type = KV_OP_APPEND;
    }
    uint64_t commits = status_now().commits;
    submit_together(&together);
    for (int i = 0; i < COUNT; i++)
        ck_assert_int_eq(errors[i], 0);
    ck_assert_uint_eq(meta_of("k").size, (1u << 20) + COUNT);
    ck_assert_uint_eq(revision_now(), COUNT + 1);
    ck_assert_uint_gt(status_now().commits, commits + 1);
    ck_assert_uint_lt(status_now().commits, commits + 5);
    ck_assert_uint_eq(status_now().queued, 0);
}
END_TEST

/* -- Observers -- */

struct watcher {
    struct kv_observer observer;
    size_t calls, events;
    uint64_t touched[8];
    size_t touched_count;
    atomic_size_t dones_before; /* dones that had been called when the observer was */
};

static atomic_size_t dones_called;

static void observe(void *ctx, struct kv_event *const *events, size_t count,
                    const uint64_t *touched, size_t touched_count)
{
    struct watcher *watcher = ctx;
    watcher->calls++;
    watcher->events += count;
    for (size_t i = 0; i < touched_count && i < 8; i++)
        watcher->touched[i] = touched[i];
    watcher->touched_count = touched_count;
    atomic_store(&watcher->dones_before, atomic_load(&dones_called));
    ck_assert_uint_eq(kv_store_revision(store), events[count - 1]->revision);
    ck_assert_uint_eq(kv_feed_revision(kv_store_feed(store)),
                      events[count - 1]->revision);
    for (size_t i = 0; i < count; i++) {
        const struct kv_record *expected = events[i]->record;
        KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
        int err = kv_store_get(store, expected->key, expected->key_len, &record);
        ck_assert_int_eq(err, events[i]->type == KV_EVENT_DELETE ? -ENOENT : 0);
        if (!err)
            ck_assert_uint_ge(record->meta.mod_revision, events[i]->revision);
    }
}

static void count_done(struct kv_txn *txn, void *ctx)
{
    (void)ctx;
    ck_assert_int_eq(txn->error, 0);
    atomic_fetch_add(&dones_called, 1);
    many_count();
}

static void submit_counted(enum kv_op_type type, const char *key)
{
    struct kv_txn *txn;
    ck_assert_int_eq(kv_txn_new(KV_ORIGIN_HTTP, count_done, NULL, &txn), 0);
    txn_put(txn, key, "v")->type = type;
    many_expect(1);
    kv_store_submit(store, txn);
    many_wait();
}

START_TEST(observers_see_the_new_state_before_anyone_is_told)
{
    ck_assert_int_eq(put("d/k", "old"), 0);
    ck_assert_value("d/k", "old");
    struct watcher watcher = {.observer = {.fn = observe, .ctx = &watcher}};
    atomic_store(&dones_called, 0);
    kv_store_add_observer(store, &watcher.observer);
    submit_counted(KV_OP_PUT, "d/k");
    ck_assert_uint_eq(watcher.calls, 1);
    ck_assert_uint_eq(watcher.events, 1);
    ck_assert_uint_eq(watcher.touched_count, 0);
    ck_assert_uint_eq(watcher.dones_before, 0);
    submit_counted(KV_OP_PUT, "d/new");
    ck_assert_uint_eq(watcher.touched_count, 1);
    ck_assert_uint_eq(watcher.touched[0], meta_of("d").id);
    ck_assert_uint_eq(watcher.dones_before, 1);
    submit_counted(KV_OP_DELETE, "d/k");
    ck_assert_uint_eq(watcher.calls, 3);
    kv_store_remove_observer(store, &watcher.observer);
    submit_counted(KV_OP_PUT, "d/k");
    ck_assert_uint_eq(watcher.calls, 3);
}
END_TEST

/* An observer that is told of a commit and takes its time. */
struct slow {
    struct kv_observer observer;
    sem_t go_on;
    atomic_bool done;
};

static void observe_slowly(void *ctx, struct kv_event *const *events, size_t count,
                           const uint64_t *touched, size_t touched_count)
{
    struct slow *slow = ctx;
    (void)events;
    (void)count;
    (void)touched;
    (void)touched_count;
    while (sem_wait(&slow->go_on) < 0)
        ;
    atomic_store(&slow->done, true);
}

START_TEST(catching_up_waits_for_the_observers_of_what_reads_show)
{
    ck_assert_int_eq(kv_store_catch_up(store), 0); /* nobody to wait for */
    struct slow slow = {.observer = {.fn = observe_slowly, .ctx = &slow}};
    sem_init(&slow.go_on, 0, 0);
    kv_store_add_observer(store, &slow.observer);
    struct kv_txn *txn;
    ck_assert_int_eq(kv_txn_new(KV_ORIGIN_HTTP, count_done, NULL, &txn), 0);
    txn_put(txn, "k", "v");
    many_expect(1);
    kv_store_submit(store, txn);
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    while (kv_store_get(store, "k", 1, &record))
        sched_yield();
    ck_assert(!atomic_load(&slow.done));
    sem_post(&slow.go_on);
    ck_assert_int_eq(kv_store_catch_up(store), 0);
    ck_assert(atomic_load(&slow.done));
    many_wait();
    kv_store_remove_observer(store, &slow.observer);
    sem_destroy(&slow.go_on);
}
END_TEST

START_TEST(observers_are_not_called_for_what_changed_nothing)
{
    struct watcher watcher = {.observer = {.fn = observe, .ctx = &watcher}};
    kv_store_add_observer(store, &watcher.observer);
    ck_assert_int_eq(del("absent"), -ENOENT);
    ck_assert_int_eq(put("k", "v"), 0);
    ck_assert_uint_eq(watcher.calls, 1);
    kv_store_remove_observer(store, &watcher.observer);
}
END_TEST

/* -- The end -- */

static atomic_size_t submitted, finished, refused;

static void submit_next(struct kv_txn *txn, void *ctx);

static void submit_one(intptr_t number)
{
    struct kv_txn *txn;
    ck_assert_int_eq(kv_txn_new(KV_ORIGIN_HTTP, submit_next, (void *)number, &txn), 0);
    char key[32];
    (void)snprintf(key, sizeof(key), "k%d", (int)number);
    txn_put(txn, key, "v");
    atomic_fetch_add(&submitted, 1);
    kv_store_submit(store, txn);
}

/* Each transaction is followed by the next one, until one is refused. */
static void submit_next(struct kv_txn *txn, void *ctx)
{
    atomic_fetch_add(&finished, 1);
    if (txn->error == 0) {
        submit_one((intptr_t)ctx);
        return;
    }
    ck_assert_int_eq(txn->error, -ESHUTDOWN);
    atomic_fetch_add(&refused, 1);
    many_count();
}

START_TEST(stop_ends_though_others_go_on_submitting)
{
    many_expect(20);
    for (intptr_t i = 0; i < 20; i++)
        submit_one(i);
    kv_store_stop(store);
    many_wait();
    ck_assert_uint_eq(refused, 20);
    ck_assert_uint_eq(finished, submitted);
    ck_assert_uint_eq(revision_now(), finished - refused);
    ck_assert_int_eq(put("late", "v"), -ESHUTDOWN);
    ck_assert_int_eq(lookup("late"), -ENOENT);
    ck_assert_value("k0", "v");
    ck_assert(*events_since(0) != '\0');
    kv_store_stop(store); /* again: nothing happens */
}
END_TEST

START_TEST(stop_finishes_what_was_submitted_before)
{
    static int errors[50];
    many_expect(50);
    for (int i = 0; i < 50; i++) {
        struct together one = {0};
        txn_put(add_noted(&one, &errors[i]), "k", "v");
        kv_store_submit(store, one.txns[0]);
    }
    kv_store_stop(store);
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(errors[i], 0);
    ck_assert_uint_eq(revision_now(), 50);
    store_reopen();
    ck_assert_uint_eq(meta_of("k").version, 50);
}
END_TEST

/* -- Full -- */

START_TEST(only_what_does_not_fit_fails)
{
    reopen_sized(4u << 20);
    static int errors[3];
    struct together together = {0};
    txn_put(add_noted(&together, &errors[0]), "a", "small");
    struct kv_txn *txn = add_noted(&together, &errors[1]);
    for (int i = 0; i < 3; i++) {
        char key[8];
        (void)snprintf(key, sizeof(key), "big%d", i);
        struct kv_op *op = txn_put(txn, key, "");
        ck_assert_int_eq(kv_buf_resize(&op->value, 1u << 20), 0);
    }
    txn_put(add_noted(&together, &errors[2]), "b", "small");
    submit_together(&together);
    ck_assert_int_eq(errors[0], 0);
    ck_assert_int_eq(errors[1], -ENOSPC);
    ck_assert_int_eq(errors[2], 0);
    ck_assert_str_eq(tree_of(""), "a b");
    ck_assert_int_eq(status_now().latched_error, 0);
    check_store();
}
END_TEST

START_TEST(what_fills_the_map_fails_alone)
{
    reopen_sized(4u << 20);
    ck_assert_int_eq(put_sized("k", 1000000, 'x'), 0);
    static int errors[3];
    struct together together = {0};
    txn_put(add_noted(&together, &errors[0]), "a", "small");
    struct kv_txn *txn = add_noted(&together, &errors[1]);
    for (int i = 0; i < 1000;
         i++) { /* each logs the value and claims next to nothing */
        struct kv_op *op = txn_add(txn, KV_OP_RENAME, i % 2 ? "j" : "k");
        ck_assert_int_eq(kv_op_set_to(op, i % 2 ? "k" : "j", 1), 0);
    }
    txn_put(add_noted(&together, &errors[2]), "b", "small");
    submit_together(&together);
    ck_assert_int_eq(errors[0], 0);
    ck_assert_int_eq(errors[1], -ENOSPC);
    ck_assert_int_eq(errors[2], 0);
    ck_assert_uint_eq(meta_of("k").mod_revision, 1);
    ck_assert_int_eq(lookup("j"), -ENOENT);
    ck_assert_int_eq(set_mode("k", 0600), 0);
    check_store();
}
END_TEST

START_TEST(a_full_store_takes_deletes_and_recovers)
{
    reopen_sized(8u << 20);
    store_config.log_max_bytes = 1u << 20;
    store_reopen();
    int count = 0, err;
    char key[16];
    do {
        (void)snprintf(key, sizeof(key), "k%d", count);
        err = put_sized(key, 500000, 'x');
    } while (!err && ++count < 1000);
    ck_assert_int_eq(err, -ENOSPC);
    ck_assert_int_gt(count, 3);
    ck_assert_int_lt(count, 20);
    ck_assert(status_now().full);
    ck_assert_int_eq(put_sized("other", 500000, 'x'), -ENOSPC);
    ck_assert_int_eq(set_mode("k0", 0600), 0);
    while (count > 0) {
        (void)snprintf(key, sizeof(key), "k%d", --count);
        ck_assert_int_eq(del(key), 0);
    }
    ck_assert_int_eq(kv_store_writable(store), 0);
    ck_assert_int_eq(put_sized("again", 500000, 'x'), 0);
    ck_assert_int_eq(status_now().latched_error, 0);
    check_store();
}
END_TEST

/* -- A disk that fails -- */

static void fail_syncs(int err)
{
    atomic_store(&sync_errno, err);
}

static void heal(void)
{
    atomic_store(&sync_errno, 0);
    atomic_store(&meta_errno, 0);
}

/* Deletes need room too: so many keys that expire at once must not use it up. */
START_TEST(a_full_disk_takes_deletes_though_many_keys_are_due)
{
    char key[32], value[100];
    memset(value, 'v', sizeof(value));
    int64_t due_ns = kv_clock_realtime_ns() + KV_NS_PER_S;
    struct kv_txn *txn = txn_make();
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        struct kv_op *op = txn_add(txn, KV_OP_PUT, key);
        ck_assert_int_eq(kv_op_set_value(op, value, sizeof(value)), 0);
        op->set = KV_SET_EXPIRY;
        op->meta.expiry_ns = due_ns;
    }
    txn_put(txn, "other", "v");
    ck_assert_int_eq(txn_commit(txn), 0);
    atomic_store(&room, 24 * 4096);
    while (lookup("k0") == 0)
        usleep(1000);
    ck_assert_int_eq(del("other"), 0);
    ck_assert_int_eq(lookup("other"), -ENOENT);
    int64_t end_ns = kv_clock_monotonic_ns() + 20 * KV_NS_PER_S;
    while (status_now().keys > 0 && kv_clock_monotonic_ns() < end_ns)
        usleep(1000);
    ck_assert_uint_eq(status_now().keys, 0);
    ck_assert_uint_eq(status_now().expired, 2000);
    atomic_store(&room, INT64_MAX);
    check_store();
}
END_TEST

/* Its content alone is nothing when a power cut takes the name of the file. */
START_TEST(the_name_of_a_new_file_is_synced)
{
    ck_assert(atomic_load(&file_name_synced));
}
END_TEST

START_TEST(each_commit_is_synced)
{
    unsigned before = atomic_load(&sync_calls);
    ck_assert_int_eq(put("k", "v"), 0);
    ck_assert_uint_gt(atomic_load(&sync_calls), before);
}
END_TEST

START_TEST(a_failed_sync_makes_the_store_read_only_until_it_is_opened_anew)
{
    ck_assert_int_eq(put("k", "acknowledged"), 0);
    ck_assert_int_eq(put("other", "v"), 0);
    ck_assert_value("k", "acknowledged");
    fail_syncs(EIO);
    ck_assert_int_eq(put("k", "lost"), -EIO);
    heal(); /* the disk says it is well again, which nobody may believe */
    ck_assert_int_eq(put("k", "late"), -EROFS);
    ck_assert_int_eq(del("other"), -EROFS);
    ck_assert_int_eq(kv_store_writable(store), -EROFS);
    ck_assert_int_eq(status_now().latched_error, EIO);
    ck_assert_value("k", "acknowledged");
    ck_assert_str_eq(tree_of(""), "k other");
    ck_assert_uint_eq(revision_now(), 2);
    ck_assert_str_eq(events_since(0), "1.0:put+:k. 2.0:put+:other.");
    store_reopen();
    ck_assert_value("k", "acknowledged");
    ck_assert_str_eq(tree_of(""), "k other");
    ck_assert_int_eq(kv_store_writable(store), 0);
    ck_assert_int_eq(put("k", "new"), 0);
    check_store();
}
END_TEST

START_TEST(a_failed_batch_fails_each_of_its_transactions)
{
    static int errors[3];
    struct together together = {0};
    for (int i = 0; i < 3; i++)
        txn_put(add_noted(&together, &errors[i]), "k", "v");
    struct kv_txn *before = txn_make();
    txn_put(before, "k", "first");
    ck_assert_int_eq(txn_commit(before), 0);
    fail_syncs(EIO);
    submit_together(&together);
    heal();
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(errors[i], -EIO);
    ck_assert_value("k", "first");
}
END_TEST

START_TEST(the_cache_goes_on_after_a_failed_sync)
{
    ck_assert_int_eq(put("k", "v"), 0);
    fail_syncs(EIO);
    ck_assert_int_eq(put("k", "lost"), -EIO);
    heal();
    ck_assert_value("k", "v");
    uint64_t hits = status_now().cache.hits;
    ck_assert_value("k", "v");
    ck_assert_uint_eq(status_now().cache.hits, hits + 1);
}
END_TEST

START_TEST(reads_go_on_after_the_meta_page_could_not_be_written)
{
    ck_assert_int_eq(put("k", "acknowledged"), 0);
    ck_assert_int_eq(put("other", "v"), 0);
    atomic_store(&meta_errno, EIO);
    ck_assert_int_eq(put("k", "lost"), -EIO);
    heal();
    ck_assert_int_eq(put("k", "late"), -EROFS);
    ck_assert_value("k", "acknowledged");
    ck_assert_value("other", "v");
    ck_assert_str_eq(tree_of(""), "k other");
    ck_assert_int_eq(status_now().latched_error, EIO);
    store_reopen();
    ck_assert_value("k", "acknowledged");
    ck_assert_int_eq(put("k", "new"), 0);
    check_store();
}
END_TEST

KV_SUITE_WITH("commit", setup, store_teardown,
              every_done_comes_once_in_order_on_one_thread,
              what_is_submitted_in_a_done_is_one_batch,
              each_transaction_of_a_batch_fails_by_itself,
              a_batch_is_cut_where_its_values_grow_too_large,
              observers_see_the_new_state_before_anyone_is_told,
              catching_up_waits_for_the_observers_of_what_reads_show,
              observers_are_not_called_for_what_changed_nothing,
              stop_ends_though_others_go_on_submitting,
              stop_finishes_what_was_submitted_before, only_what_does_not_fit_fails,
              what_fills_the_map_fails_alone, a_full_store_takes_deletes_and_recovers,
              a_full_disk_takes_deletes_though_many_keys_are_due,
              the_name_of_a_new_file_is_synced, each_commit_is_synced,
              a_failed_sync_makes_the_store_read_only_until_it_is_opened_anew,
              a_failed_batch_fails_each_of_its_transactions,
              the_cache_goes_on_after_a_failed_sync,
              reads_go_on_after_the_meta_page_could_not_be_written)
