#include "store/feed.h"

#include "alloc.h"
#include "fixture.h"
#include "suite.h"

#include <errno.h>
#include <sched.h>

#define EVENTS_MAX 20000

/* The log: what the feed finds in LMDB, here an array under a lock. The committer adds
 * to it first and appends to the feed then. */
struct fake_log {
    pthread_mutex_t lock;
    struct kv_event *events[EVENTS_MAX];
    size_t count;   /* under lock */
    size_t oldest;  /* events before it are compacted */
    size_t at_most; /* it returns no more than so many at once; 0: as asked */
    int error;
    unsigned calls;          /* under lock */
    void (*meanwhile)(void); /* runs while a reader is in the log */
};

static struct fake_log history;
static struct kv_feed *feed;

static bool is_behind(const struct kv_event *event, const struct kv_cursor *cursor)
{
    if (event->revision != cursor->revision)
        return event->revision > cursor->revision;
    return event->index > cursor->index;
}

static int read_history(void *ctx, const struct kv_cursor *cursor,
                        struct kv_event **out, size_t max, size_t *ret_count)
{
    struct fake_log *self = ctx;
    if (self->error)
        return self->error;
    size_t count = 0;
    kv_lock(&self->lock);
    self->calls++;
    size_t first = 0, end = self->count;
    while (first < end) {
        size_t middle = first + (end - first) / 2;
        if (is_behind(self->events[middle], cursor))
            end = middle;
        else
            first = middle + 1;
    }
    bool compacted = first < self->oldest;
    if (self->at_most > 0 && max > self->at_most)
        max = self->at_most;
    for (; !compacted && count < max && first + count < self->count; count++)
        out[count] = kv_event_ref(self->events[first + count]);
    kv_unlock(&self->lock);
    if (self->meanwhile)
        self->meanwhile();
    *ret_count = count;
    return compacted ? -ESTALE : 0;
}

static void make_feed(uint64_t revision, size_t max_bytes)
{
    kv_feed_free(feed);
    feed = kv_feed_new(revision, max_bytes, read_history, &history);
    ck_assert_ptr_nonnull(feed);
}

static void setup(void)
{
    memset(&history, 0, sizeof(history));
    pthread_mutex_init(&history.lock, NULL);
    make_feed(0, 1 << 20);
}

static void teardown(void)
{
    kv_feed_free(feed);
    feed = NULL;
    for (size_t i = 0; i < history.count; i++)
        kv_event_unref(history.events[i]);
    pthread_mutex_destroy(&history.lock);
}

/* Log a revision of so many events. */
static void log_revision(uint64_t revision, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct kv_event *event = fixture_event("app/key", NULL, revision, i);
        event->last = i == count - 1;
        ck_assert_uint_lt(history.count, EVENTS_MAX);
        event->time_ns = (int64_t)history.count;
        kv_lock(&history.lock);
        history.events[history.count++] = event;
        kv_unlock(&history.lock);
    }
}

static void commit(uint64_t revision, uint32_t count)
{
    log_revision(revision, count);
    kv_feed_append(feed, history.events + history.count - count, count, revision);
}

/* Read at most max events and check that they are the next ones of the log from
 * *position on, which moves. */
static size_t read_next(struct kv_cursor *cursor, size_t *position, size_t max)
{
    struct kv_event *out[64];
    size_t count = 77;
    ck_assert_uint_le(max, 64);
    ck_assert_int_eq(kv_feed_read(feed, cursor, out, max, &count), 0);
    ck_assert_uint_le(count, max);
    for (size_t i = 0; i < count; i++) {
        ck_assert_ptr_eq(out[i], history.events[(*position)++]);
        kv_event_unref(out[i]);
    }
    return count;
}

static void read_to_the_end(struct kv_cursor *cursor, size_t *position, size_t max)
{
    while (read_next(cursor, position, max) > 0)
        continue;
    ck_assert_uint_eq(*position, history.count);
}

static unsigned references(size_t i)
{
    return atomic_load(&history.events[i]->refs);
}

START_TEST(feed_starts_at_its_revision_with_nothing_to_read)
{
    make_feed(41, 1000);
    ck_assert_uint_eq(kv_feed_revision(feed), 41);
    struct kv_cursor cursor = kv_cursor_after(41);
    size_t position = 0;
    ck_assert_uint_eq(read_next(&cursor, &position, 8), 0);
    ck_assert_uint_eq(history.calls, 0);
}
END_TEST

START_TEST(feed_returns_events_in_order_and_once)
{
    commit(1, 1);
    commit(2, 3);
    commit(5, 2);
    ck_assert_uint_eq(kv_feed_revision(feed), 5);
    for (size_t max = 1; max <= 7; max++) {
        struct kv_cursor cursor = kv_cursor_after(0);
        size_t position = 0;
        read_to_the_end(&cursor, &position, max);
    }
    ck_assert_uint_eq(history.calls, 0);
}
END_TEST

START_TEST(feed_cursor_stands_behind_what_was_read)
{
    commit(1, 1);
    commit(2, 3);
    struct kv_cursor cursor = kv_cursor_after(0);
    size_t position = 0;
    ck_assert_uint_eq(read_next(&cursor, &position, 2), 2);
    ck_assert_uint_eq(cursor.revision, 2);
    ck_assert_uint_eq(cursor.index, 0);
    cursor = kv_cursor_after(1);
    position = 1;
    read_to_the_end(&cursor, &position, 64);
    cursor = kv_cursor_after(2);
    ck_assert_uint_eq(read_next(&cursor, &position, 64), 0);
}
END_TEST

START_TEST(feed_append_of_several_revisions_is_one_step)
{
    log_revision(1, 2);
    log_revision(2, 1);
    log_revision(3, 2);
    kv_feed_append(feed, history.events, history.count, 3);
    ck_assert_uint_eq(kv_feed_revision(feed), 3);
    struct kv_cursor cursor = kv_cursor_after(0);
    size_t position = 0;
    read_to_the_end(&cursor, &position, 64);
    kv_feed_append(feed, NULL, 0, 4);
    ck_assert_uint_eq(kv_feed_revision(feed), 4);
    cursor = kv_cursor_after(4);
    ck_assert_uint_eq(read_next(&cursor, &position, 64), 0);
}
END_TEST

START_TEST(feed_refuses_a_cursor_in_the_future)
{
    commit(1, 1);
    struct kv_event *out[1];
    size_t count;
    struct kv_cursor cursor = {.revision = 2, .index = 0};
    ck_assert_int_eq(kv_feed_read(feed, &cursor, out, 1, &count), -EINVAL);
    cursor = kv_cursor_after(UINT64_MAX);
    ck_assert_int_eq(kv_feed_read(feed, &cursor, out, 1, &count), -EINVAL);
}
END_TEST

START_TEST(feed_reads_nothing_into_no_room)
{
    log_revision(1, 1);
    make_feed(1, 1000);
    struct kv_cursor cursor = kv_cursor_after(0);
    size_t position = 0;
    ck_assert_uint_eq(read_next(&cursor, &position, 0), 0);
    ck_assert_uint_eq(cursor.revision, 0);
    read_to_the_end(&cursor, &position, 1);
}
END_TEST

START_TEST(feed_holds_no_more_than_its_bytes)
{
    commit(1, 1);
    size_t each = kv_event_footprint(history.events[0]);
    make_feed(1, each * 50);
    for (uint64_t revision = 2; revision <= 200; revision++)
        commit(revision, 3);
    size_t held = 0;
    for (size_t i = 0; i < history.count; i++) {
        ck_assert_uint_le(references(i), 2);
        held += references(i) == 2;
        /* What it holds are the newest. */
        ck_assert(i == 0 || references(i - 1) <= references(i));
    }
    ck_assert_uint_le(held * each, each * 50);
    ck_assert_uint_gt(held, 35);
}
END_TEST

START_TEST(feed_always_holds_the_newest_event)
{
    make_feed(0, 0);
    commit(1, 3);
    commit(2, 3);
    for (size_t i = 0; i < 6; i++)
        ck_assert_uint_eq(references(i), i == 5 ? 2 : 1);
    struct kv_cursor cursor = {.revision = 2, .index = 1};
    size_t position = 5;
    ck_assert_uint_eq(read_next(&cursor, &position, 8), 1);
    ck_assert_uint_eq(history.calls, 0);
}
END_TEST

/* An id such as "2.1" names the last event of a revision as well as "2" does. */
START_TEST(feed_knows_the_last_event_of_a_revision_by_its_index)
{
    commit(1, 1);
    commit(2, 2);
    struct kv_cursor cursor = {.revision = 1, .index = 0};
    size_t position = 1;
    read_to_the_end(&cursor, &position, 8);
    cursor = (struct kv_cursor){.revision = 2, .index = 1};
    ck_assert_uint_eq(read_next(&cursor, &position, 8), 0);
    atomic_bool stop = true;
    ck_assert(!kv_feed_wait(feed, &cursor, &stop));
    ck_assert_uint_eq(cursor.index, UINT32_MAX);
    commit(3, 1);
    ck_assert_uint_eq(read_next(&cursor, &position, 8), 1);
}
END_TEST

START_TEST(feed_changes_over_from_the_log_to_the_ring)
{
    make_feed(0, 4096);
    for (uint64_t revision = 1; revision <= 300; revision++)
        commit(revision, 1 + revision % 4);
    for (size_t at_most = 0; at_most <= 5; at_most++) {
        for (size_t max = 1; max <= 64; max += 9) {
            history.at_most = at_most;
            history.calls = 0;
            struct kv_cursor cursor = kv_cursor_after(0);
            size_t position = 0;
            read_to_the_end(&cursor, &position, max);
            ck_assert_uint_gt(history.calls, 0);
        }
    }
}
END_TEST

START_TEST(feed_finds_the_log_of_a_store_that_was_just_opened)
{
    log_revision(1, 2);
    log_revision(2, 1);
    make_feed(2, 1 << 20);
    struct kv_cursor cursor = kv_cursor_after(0);
    size_t position = 0;
    read_to_the_end(&cursor, &position, 2);
    atomic_bool stop = true;
    ck_assert(!kv_feed_wait(feed, &cursor, &stop));
    commit(3, 2);
    read_to_the_end(&cursor, &position, 2);
}
END_TEST

START_TEST(feed_reports_a_compacted_cursor_and_leaves_it)
{
    make_feed(0, 0);
    for (uint64_t revision = 1; revision <= 10; revision++)
        commit(revision, 1);
    history.oldest = 5;
    struct kv_event *out[4];
    size_t count = 77;
    struct kv_cursor cursor = kv_cursor_after(3);
    ck_assert_int_eq(kv_feed_read(feed, &cursor, out, 4, &count), -ESTALE);
    ck_assert_uint_eq(count, 77);
    ck_assert_uint_eq(cursor.revision, 3);
    ck_assert_uint_eq(cursor.index, UINT32_MAX);
    cursor = kv_cursor_after(5);
    size_t position = 5;
    read_to_the_end(&cursor, &position, 4);
}
END_TEST

START_TEST(feed_passes_on_errors_of_the_log)
{
    static const int errors[] = {-EIO, -ENOMEM};
    make_feed(0, 0);
    commit(1, 2);
    for (size_t i = 0; i < 2; i++) {
        history.error = errors[i];
        struct kv_event *out[4];
        size_t count;
        struct kv_cursor cursor = kv_cursor_after(0);
        ck_assert_int_eq(kv_feed_read(feed, &cursor, out, 4, &count), errors[i]);
        ck_assert_uint_eq(cursor.revision, 0);
        history.error = 0;
        size_t position = 0;
        read_to_the_end(&cursor, &position, 4);
    }
}
END_TEST

/* The log has a commit that the feed is only about to get. */
START_TEST(feed_does_not_run_ahead_with_the_log)
{
    make_feed(0, 0);
    commit(1, 2);
    log_revision(2, 2);
    struct kv_cursor cursor = kv_cursor_after(0);
    size_t position = 0;
    ck_assert_uint_eq(read_next(&cursor, &position, 8), 2);
    ck_assert_uint_eq(cursor.revision, 1);
    ck_assert_uint_eq(read_next(&cursor, &position, 8), 0);
    kv_feed_append(feed, history.events + 2, 2, 2);
    read_to_the_end(&cursor, &position, 8);

    /* The same with nothing before it: the feed knows of no event at all. */
    make_feed(2, 0);
    log_revision(3, 1);
    cursor = (struct kv_cursor){.revision = 2, .index = 1};
    ck_assert_uint_eq(read_next(&cursor, &position, 8), 0);
    kv_feed_append(feed, history.events + 4, 1, 3);
    read_to_the_end(&cursor, &position, 8);
}
END_TEST

static uint64_t next_revision;

static void commit_once_more(void)
{
    history.meanwhile = NULL;
    for (int i = 0; i < 20; i++)
        commit(next_revision++, 2);
}

/* It commits from inside the log's callback, which would hang if the feed were locked;
 * and the ring is another one when the reader comes back from the log. */
START_TEST(feed_ring_may_move_on_while_the_log_is_read)
{
    make_feed(0, 2048);
    next_revision = 1;
    commit_once_more();
    for (size_t max = 1; max <= 64; max += 7) {
        struct kv_cursor cursor = kv_cursor_after(0);
        size_t position = 0;
        do
            history.meanwhile = commit_once_more;
        while (read_next(&cursor, &position, max) > 0 && next_revision < 1000);
        history.meanwhile = NULL;
        read_to_the_end(&cursor, &position, max);
        next_revision = kv_feed_revision(feed) + 1;
    }
}
END_TEST

START_TEST(feed_works_on_when_memory_runs_out)
{
    for (unsigned nth = 1;; nth++) {
        kv_alloc_fail_nth(nth);
        struct kv_feed *other = kv_feed_new(0, 1000, read_history, &history);
        bool failed = kv_alloc_fail_stop();
        ck_assert(failed == !other);
        kv_feed_free(other);
        if (!failed)
            break;
    }
    /* The ring cannot grow past what it has from the start: one revision of many
     * events, then many of one. */
    make_feed(0, SIZE_MAX);
    for (uint64_t revision = 1; revision <= 2000; revision++) {
        uint32_t count = revision % 500 == 0 ? 1000 : 1;
        log_revision(revision, count);
        kv_alloc_fail_all();
        kv_feed_append(feed, history.events + history.count - count, count, revision);
        kv_alloc_fail_stop();
    }
    size_t held = 0;
    for (size_t i = 0; i < history.count; i++)
        held += references(i) - 1;
    ck_assert_uint_ge(held, 256);
    ck_assert_uint_lt(held, 1000);
    struct kv_cursor cursor = kv_cursor_after(0);
    size_t position = 0;
    read_to_the_end(&cursor, &position, 64);
    ck_assert_uint_gt(history.calls, 0);
    /* With memory again it grows. */
    history.calls = 0;
    for (uint64_t revision = 2001; revision <= 4000; revision++)
        commit(revision, 1);
    read_to_the_end(&cursor, &position, 64);
    ck_assert_uint_eq(history.calls, 0);
}
END_TEST

static void use_the_feed(void *attachment)
{
    *(uint64_t *)attachment = kv_feed_revision(feed);
}

/* The record's end takes the feed's lock itself: it would hang if that were held. */
START_TEST(feed_frees_events_outside_its_lock)
{
    make_feed(0, 0);
    uint64_t seen = 0;
    struct kv_event *event = fixture_event("k", NULL, 1, 0);
    ck_assert_ptr_eq(kv_record_attach(event->record, &seen, use_the_feed), &seen);
    kv_feed_append(feed, &event, 1, 1);
    kv_event_unref(event);
    ck_assert_uint_eq(seen, 0);
    commit(2, 1);
    ck_assert_uint_eq(seen, 2);
}
END_TEST

START_TEST(feed_wait_returns_at_once_when_there_is_something)
{
    commit(1, 2);
    struct kv_cursor cursor = kv_cursor_after(0);
    ck_assert(kv_feed_wait(feed, &cursor, NULL));
    cursor = (struct kv_cursor){.revision = 1, .index = 0};
    ck_assert(kv_feed_wait(feed, &cursor, NULL));
    atomic_bool stop = true;
    ck_assert(!kv_feed_wait(feed, &cursor, &stop));
}
END_TEST

struct waiter {
    struct kv_cursor cursor;
    atomic_bool *stop;
    bool answer;
};

static void *wait_main(void *arg)
{
    struct waiter *waiter = arg;
    waiter->answer = kv_feed_wait(feed, &waiter->cursor, waiter->stop);
    return NULL;
}

START_TEST(feed_append_wakes_every_waiter)
{
    for (uint64_t revision = 1; revision <= 50; revision++) {
        struct waiter waiters[3];
        pthread_t threads[3];
        for (int i = 0; i < 3; i++) {
            waiters[i] = (struct waiter){.cursor = kv_cursor_after(revision - 1)};
            ck_assert_int_eq(pthread_create(&threads[i], NULL, wait_main, &waiters[i]),
                             0);
        }
        commit(revision, 1);
        for (int i = 0; i < 3; i++) {
            pthread_join(threads[i], NULL);
            ck_assert(waiters[i].answer);
        }
    }
}
END_TEST

START_TEST(feed_kick_ends_a_wait_that_is_to_stop)
{
    for (int round = 0; round < 50; round++) {
        atomic_bool stop = false;
        struct waiter waiter = {.cursor = kv_cursor_after(0), .stop = &stop};
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, wait_main, &waiter), 0);
        kv_feed_kick(feed); /* without stop it sleeps on */
        if (round % 2)
            sched_yield();
        atomic_store(&stop, true);
        kv_feed_kick(feed);
        pthread_join(thread, NULL);
        ck_assert(!waiter.answer);
    }
}
END_TEST

/* -- Several consumers beside one appender -- */

#define CONSUMERS 4
#define REVISIONS 4000

struct consumer {
    unsigned random;
    size_t pause_every; /* how slow it is; 0: never pauses */
    size_t count;
    bool in_order;
};

/* The place of an event in the log stands in time_ns. */
static void *consume(void *arg)
{
    struct consumer *self = arg;
    struct kv_cursor cursor = kv_cursor_after(0);
    int64_t next = 0;
    self->in_order = true;
    for (;;) {
        struct kv_event *out[32];
        size_t count, max = 1 + (size_t)rand_r(&self->random) % 32;
        if (kv_feed_read(feed, &cursor, out, max, &count) != 0)
            abort();
        for (size_t i = 0; i < count; i++) {
            if (out[i]->time_ns != next)
                self->in_order = false;
            next = out[i]->time_ns + 1;
            self->count++;
            kv_event_unref(out[i]);
        }
        if (count == 0 && cursor.revision == REVISIONS)
            return NULL;
        if (count == 0 && !kv_feed_wait(feed, &cursor, NULL))
            abort();
        if (self->pause_every > 0 && (size_t)next % self->pause_every == 0)
            for (int i = 0; i < 50; i++)
                sched_yield();
    }
}

static void run_consumers(size_t max_bytes)
{
    make_feed(0, max_bytes);
    history.at_most = 9;
    struct consumer consumers[CONSUMERS];
    pthread_t threads[CONSUMERS];
    for (unsigned i = 0; i < CONSUMERS; i++) {
        consumers[i] = (struct consumer){.random = i + 1, .pause_every = i * 7};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, consume, &consumers[i]), 0);
    }
    unsigned random = 1;
    for (uint64_t revision = 1; revision <= REVISIONS;) {
        size_t first = history.count;
        unsigned batch = 1 + (unsigned)rand_r(&random) % 4;
        for (; batch > 0 && revision <= REVISIONS; batch--, revision++)
            log_revision(revision, 1 + (unsigned)rand_r(&random) % 4);
        kv_feed_append(feed, history.events + first, history.count - first,
                       revision - 1);
        if (rand_r(&random) % 8 == 0)
            sched_yield();
    }
    for (unsigned i = 0; i < CONSUMERS; i++)
        pthread_join(threads[i], NULL);
    for (unsigned i = 0; i < CONSUMERS; i++) {
        ck_assert_uint_eq(consumers[i].count, history.count);
        ck_assert(consumers[i].in_order);
    }
}

START_TEST(feed_consumers_see_every_event_once_in_order)
{
    run_consumers(1 << 30);
    ck_assert_uint_eq(history.calls, 0);
}
END_TEST

START_TEST(feed_consumers_see_every_event_with_a_tiny_ring)
{
    run_consumers(3000);
    ck_assert_uint_gt(history.calls, 0);
}
END_TEST

START_TEST(feed_consumers_see_every_event_with_no_ring)
{
    run_consumers(0);
    ck_assert_uint_gt(history.calls, 0);
}
END_TEST

KV_SUITE_WITH("feed", setup, teardown, feed_starts_at_its_revision_with_nothing_to_read,
              feed_returns_events_in_order_and_once,
              feed_cursor_stands_behind_what_was_read,
              feed_append_of_several_revisions_is_one_step,
              feed_refuses_a_cursor_in_the_future, feed_reads_nothing_into_no_room,
              feed_holds_no_more_than_its_bytes, feed_always_holds_the_newest_event,
              feed_knows_the_last_event_of_a_revision_by_its_index,
              feed_changes_over_from_the_log_to_the_ring,
              feed_finds_the_log_of_a_store_that_was_just_opened,
              feed_reports_a_compacted_cursor_and_leaves_it,
              feed_passes_on_errors_of_the_log, feed_does_not_run_ahead_with_the_log,
              feed_ring_may_move_on_while_the_log_is_read,
              feed_works_on_when_memory_runs_out, feed_frees_events_outside_its_lock,
              feed_wait_returns_at_once_when_there_is_something,
              feed_append_wakes_every_waiter, feed_kick_ends_a_wait_that_is_to_stop,
              feed_consumers_see_every_event_once_in_order,
              feed_consumers_see_every_event_with_a_tiny_ring,
              feed_consumers_see_every_event_with_no_ring)
