#include "together.h"

#include "base/log.h"

#include <sched.h>
#include <semaphore.h>
#include <stdio.h>

static void setup(void)
{
    kv_log_init("test", (enum kv_log_level)0); /* errors are what the tests expect */
    store_setup_closed();
    store_config.sync = KV_SYNC_ALWAYS;
    ck_assert_int_eq(store_open(), 0);
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

KV_SUITE_WITH("commit", setup, store_teardown,
              every_done_comes_once_in_order_on_one_thread,
              what_is_submitted_in_a_done_is_one_batch,
              each_transaction_of_a_batch_fails_by_itself,
              a_batch_is_cut_where_its_values_grow_too_large,
              observers_see_the_new_state_before_anyone_is_told,
              catching_up_waits_for_the_observers_of_what_reads_show,
              observers_are_not_called_for_what_changed_nothing,
              stop_ends_though_others_go_on_submitting,
              stop_finishes_what_was_submitted_before)
