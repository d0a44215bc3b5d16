#include "store_fixture.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <sys/syscall.h>

/* -- The disk and the clock, which come before those of the libraries -- */

static atomic_int sync_errno;
static atomic_uint sync_calls;
static _Atomic(int64_t) clock_shift_ns;

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

int clock_gettime(clockid_t id, struct timespec *ts)
{
    int rc = (int)syscall(SYS_clock_gettime, id, ts);
    if (rc == 0 && id == CLOCK_REALTIME)
        *ts = kv_ns_timespec(kv_timespec_ns(*ts) + atomic_load(&clock_shift_ns));
    return rc;
}

static void setup(void)
{
    kv_log_init("test", (enum kv_log_level)0); /* errors are what the tests expect */
    atomic_store(&sync_errno, 0);
    atomic_store(&clock_shift_ns, 0);
    store_setup_closed();
}

static void open_with(enum kv_sync sync, unsigned interval_ms)
{
    store_config.sync = sync;
    store_config.sync_interval_ms = interval_ms;
    ck_assert_int_eq(store_open(), 0);
}

/* Only a hang takes so long, also on a busy machine. */
static int64_t deadline(void)
{
    return kv_clock_monotonic_ns() + 60 * KV_NS_PER_S;
}

/* Poll, because the keeper tells nobody that it has synced. */
static void wait_until_syncs(unsigned count)
{
    int64_t end_ns = deadline();
    while (atomic_load(&sync_calls) < count) {
        ck_assert_int_lt(kv_clock_monotonic_ns(), end_ns);
        (void)usleep(1000);
    }
}

/* Wait for the next event behind revision since. */
static void wait_behind(uint64_t since)
{
    int64_t end_ns = deadline();
    while (kv_feed_revision(kv_store_feed(store)) <= since) {
        ck_assert_int_lt(kv_clock_monotonic_ns(), end_ns);
        (void)usleep(1000);
    }
}

static void wait_until_no_keys(void)
{
    int64_t end_ns = deadline();
    while (status_now().keys > 0) {
        ck_assert_int_lt(kv_clock_monotonic_ns(), end_ns);
        (void)usleep(1000);
    }
}

/* Times lie minutes apart and pass when the test says so, however slow the machine. */
static int64_t in_minutes(int64_t minutes)
{
    return kv_clock_realtime_ns() + minutes * 60 * KV_NS_PER_S;
}

static void let_minutes_pass(int64_t minutes)
{
    atomic_fetch_add(&clock_shift_ns, minutes * 60 * KV_NS_PER_S);
}

/* -- Sync -- */

START_TEST(interval_syncs_again_and_again)
{
    open_with(KV_SYNC_INTERVAL, 5);
    unsigned before = atomic_load(&sync_calls);
    ck_assert_int_eq(put("k", "v"), 0);
    wait_until_syncs(before + 5);
}
END_TEST

START_TEST(interval_syncs_go_on_when_the_clock_is_set_back)
{
    open_with(KV_SYNC_INTERVAL, 5);
    let_minutes_pass(-60);
    wait_until_syncs(atomic_load(&sync_calls) + 5);
}
END_TEST

START_TEST(a_failed_interval_sync_makes_the_store_read_only)
{
    open_with(KV_SYNC_INTERVAL, 5);
    ck_assert_int_eq(put("k", "v"), 0);
    atomic_store(&sync_errno, EIO);
    int64_t end_ns = deadline();
    while (kv_store_writable(store) == 0)
        ck_assert_int_lt(kv_clock_monotonic_ns(), end_ns);
    atomic_store(&sync_errno, 0);
    ck_assert_int_eq(kv_store_writable(store), -EROFS);
    ck_assert_int_eq(put("k", "late"), -EROFS);
    ck_assert_value("k", "v");
    ck_assert_int_eq(status_now().latched_error, EIO);
}
END_TEST

START_TEST(off_leaves_syncing_to_the_close)
{
    open_with(KV_SYNC_OFF, 1);
    unsigned before = atomic_load(&sync_calls);
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(put("k", "v"), 0);
    ck_assert_uint_eq(atomic_load(&sync_calls), before);
    store_reopen();
    ck_assert_uint_gt(atomic_load(&sync_calls), before);
    ck_assert_uint_eq(meta_of("k").version, 50);
}
END_TEST

/* -- Expiry -- */

START_TEST(a_key_ends_at_its_time_and_every_watcher_hears_of_it)
{
    open_with(KV_SYNC_OFF, 1000);
    int64_t expiry_ns = in_minutes(10);
    ck_assert_int_eq(put_expiring("a/k", "v", expiry_ns), 0);
    ck_assert_int_eq(put("a/stays", "v"), 0);
    uint64_t id = meta_of("a/k").id, since = revision_now();
    let_minutes_pass(11);
    ck_assert_int_eq(lookup("a/k"), -ENOENT);
    wait_behind(since);
    ck_assert_str_eq(tree_of(""), "a/ a/stays");
    ck_assert_str_eq(events_since(since), "3.0:delete:a/k.");
    size_t count;
    struct kv_event **events = read_events(since, &count);
    ck_assert_uint_eq(events[0]->origin, KV_ORIGIN_TTL);
    ck_assert_uint_eq(events[0]->record->meta.id, id);
    ck_assert_int_ge(events[0]->time_ns, expiry_ns);
    free_events(events, count);
    ck_assert_uint_eq(status_now().expired, 1);
    check_store();
}
END_TEST

START_TEST(a_key_ends_by_itself_when_its_time_comes)
{
    open_with(KV_SYNC_OFF, 1000);
    int64_t expiry_ns = kv_clock_realtime_ns() + 50 * KV_NS_PER_MS;
    ck_assert_int_eq(put_expiring("k", "v", expiry_ns), 0);
    wait_behind(1);
    ck_assert_int_ge(kv_clock_realtime_ns(), expiry_ns);
    ck_assert_str_eq(events_since(0), "1.0:put+:k. 2.0:delete:k.");
}
END_TEST

START_TEST(an_expired_key_is_never_shown_though_it_is_still_there)
{
    open_with(KV_SYNC_OFF, 1000);
    struct kv_txn *txn = txn_make();
    for (int i = 0; i < 3000; i++) { /* more than one batch deletes */
        char key[16];
        (void)snprintf(key, sizeof(key), "d/k%04d", i);
        struct kv_op *op = txn_put(txn, key, "v");
        op->set = KV_SET_EXPIRY;
        op->meta.expiry_ns = in_minutes(10);
    }
    ck_assert_int_eq(txn_commit(txn), 0);
    ck_assert_int_eq(lookup("d/k0000"), 0);
    let_minutes_pass(11);
    int64_t end_ns = deadline();
    do {
        ck_assert_int_eq(lookup("d/k0000"), -ENOENT); /* in the cache */
        ck_assert_int_eq(lookup("d/k2999"), -ENOENT);
        ck_assert_str_eq(tree_of(""), "d/");
        ck_assert_int_lt(kv_clock_monotonic_ns(), end_ns);
    } while (status_now().keys > 0);
    ck_assert_uint_eq(revision_now(), 3001);
    ck_assert_uint_eq(status_now().expired, 3000);
    check_store();
}
END_TEST

START_TEST(a_put_on_an_expired_key_makes_a_new_one)
{
    open_with(KV_SYNC_OFF, 1000);
    ck_assert_int_eq(put_expiring("k", "old", in_minutes(10)), 0);
    uint64_t id = meta_of("k").id;
    let_minutes_pass(11);
    ck_assert_int_eq(put_flags("k", "new", KV_OP_EXCL), 0);
    struct kv_meta meta = meta_of("k");
    ck_assert_uint_ne(meta.id, id);
    ck_assert_uint_eq(meta.version, 1);
    ck_assert_int_eq(meta.expiry_ns, 0);
    ck_assert_str_eq(events_since(1), "2.0:delete:k. 3.0:put+:k.");
}
END_TEST

START_TEST(a_key_put_already_expired_is_not_seen)
{
    open_with(KV_SYNC_OFF, 1000);
    ck_assert_int_eq(put_expiring("k", "v", kv_clock_realtime_ns() - 1), 0);
    ck_assert_int_eq(lookup("k"), -ENOENT);
    wait_behind(1);
    ck_assert_str_eq(events_since(0), "1.0:put+:k. 2.0:delete:k.");
    check_store();
}
END_TEST

START_TEST(an_expiry_that_is_put_off_or_cleared_does_not_come)
{
    open_with(KV_SYNC_OFF, 1000);
    ck_assert_int_eq(put_expiring("late", "v", in_minutes(10)), 0);
    ck_assert_int_eq(set_expiry("late", in_minutes(60)), 0);
    ck_assert_int_eq(put_expiring("never", "v", in_minutes(10)), 0);
    ck_assert_int_eq(set_expiry("never", 0), 0);
    ck_assert_int_eq(put_expiring("now", "v", in_minutes(20)), 0);
    uint64_t since = revision_now();
    let_minutes_pass(21);
    wait_behind(since);
    ck_assert_str_eq(events_since(since), "6.0:delete:now.");
    ck_assert_str_eq(tree_of(""), "late never");
}
END_TEST

START_TEST(what_ended_while_the_store_was_closed_goes_at_the_start)
{
    open_with(KV_SYNC_OFF, 1000);
    ck_assert_int_eq(put_expiring("k", "v", in_minutes(10)), 0);
    store_shut();
    let_minutes_pass(11);
    ck_assert_int_eq(store_open(), 0);
    ck_assert_int_eq(lookup("k"), -ENOENT);
    wait_behind(1);
    ck_assert_str_eq(events_since(1), "2.0:delete:k.");
    check_store();
}
END_TEST

START_TEST(many_keys_that_end_one_after_another_all_go)
{
    open_with(KV_SYNC_OFF, 1000);
    for (int i = 0; i < 40; i++) {
        char key[8];
        (void)snprintf(key, sizeof(key), "k%d", i);
        int64_t in_ns = (1 + (i * 7) % 40) * KV_NS_PER_MS;
        ck_assert_int_eq(put_expiring(key, "v", kv_clock_realtime_ns() + in_ns), 0);
    }
    wait_until_no_keys();
    ck_assert_uint_eq(status_now().expired, 40);
    ck_assert_uint_eq(revision_now(), 80);
    check_store();
}
END_TEST

/* -- A clock that is set back -- */

START_TEST(keys_end_in_time_though_the_clock_was_set_back)
{
    open_with(KV_SYNC_OFF, 1000);
    ck_assert_int_eq(put("before", "v"), 0);
    let_minutes_pass(-60);
    ck_assert_int_eq(put_expiring("k", "v", in_minutes(10)), 0);
    ck_assert_int_eq(put("other", "v"), 0);
    ck_assert_int_eq(lookup("k"), 0); /* not by the time of the events before it */
    ck_assert_uint_eq(revision_now(), 3);
    let_minutes_pass(11);
    wait_behind(3);
    ck_assert_str_eq(events_since(3), "4.0:delete:k.");
}
END_TEST

START_TEST(event_times_grow_though_the_clock_was_set_back)
{
    open_with(KV_SYNC_OFF, 1000);
    ck_assert_int_eq(put("d/a", "v"), 0);
    struct kv_meta before = meta_of("d");
    let_minutes_pass(-60);
    ck_assert_int_eq(put("d/b", "v"), 0);
    ck_assert_int_gt(meta_of("d").mtime_ns, before.mtime_ns);
    ck_assert_int_gt(meta_of("d/b").ctime_ns, before.ctime_ns);
}
END_TEST

KV_SUITE_WITH("keeper", setup, store_teardown, interval_syncs_again_and_again,
              interval_syncs_go_on_when_the_clock_is_set_back,
              a_failed_interval_sync_makes_the_store_read_only,
              off_leaves_syncing_to_the_close,
              a_key_ends_at_its_time_and_every_watcher_hears_of_it,
              a_key_ends_by_itself_when_its_time_comes,
              an_expired_key_is_never_shown_though_it_is_still_there,
              a_put_on_an_expired_key_makes_a_new_one,
              a_key_put_already_expired_is_not_seen,
              an_expiry_that_is_put_off_or_cleared_does_not_come,
              what_ended_while_the_store_was_closed_goes_at_the_start,
              many_keys_that_end_one_after_another_all_go,
              keys_end_in_time_though_the_clock_was_set_back,
              event_times_grow_though_the_clock_was_set_back)
