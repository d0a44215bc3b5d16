#include "store_fixture.h"

#include "base/clock.h"
#include "base/log.h"

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

/* Poll, because the keeper tells nobody that it has synced; fails after ten seconds. */
static void wait_until_syncs(unsigned count)
{
    int64_t end_ns = kv_clock_monotonic_ns() + 10 * KV_NS_PER_S;
    while (atomic_load(&sync_calls) < count) {
        ck_assert_int_lt(kv_clock_monotonic_ns(), end_ns);
        (void)usleep(1000);
    }
}

/* Wait for the next event behind revision since; fails after ten seconds. */
static void wait_behind(uint64_t since)
{
    int64_t end_ns = kv_clock_monotonic_ns() + 10 * KV_NS_PER_S;
    while (kv_feed_revision(kv_store_feed(store)) <= since) {
        ck_assert_int_lt(kv_clock_monotonic_ns(), end_ns);
        (void)usleep(1000);
    }
}

static int64_t soon(int64_t ms)
{
    return kv_clock_realtime_ns() + ms * KV_NS_PER_MS;
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
    atomic_store(&clock_shift_ns, -3600 * KV_NS_PER_S);
    wait_until_syncs(atomic_load(&sync_calls) + 5);
}
END_TEST

START_TEST(a_failed_interval_sync_makes_the_store_read_only)
{
    open_with(KV_SYNC_INTERVAL, 5);
    ck_assert_int_eq(put("k", "v"), 0);
    atomic_store(&sync_errno, EIO);
    int64_t end_ns = kv_clock_monotonic_ns() + 10 * KV_NS_PER_S;
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

/* -- Expiry and the clock -- */

START_TEST(keys_end_when_the_clock_is_set_forward_past_their_time)
{
    open_with(KV_SYNC_OFF, 1000);
    ck_assert_int_eq(put_expiring("k", "v", soon(3600000)), 0);
    atomic_store(&clock_shift_ns, 7200 * KV_NS_PER_S);
    ck_assert_int_eq(lookup("k"), -ENOENT);
    wait_behind(1);
    ck_assert_str_eq(events_since(1), "2.0:delete:k.");
}
END_TEST

START_TEST(keys_end_in_time_though_the_clock_was_set_back)
{
    open_with(KV_SYNC_OFF, 1000);
    ck_assert_int_eq(put("before", "v"), 0);
    atomic_store(&clock_shift_ns, -3600 * KV_NS_PER_S);
    int64_t expiry_ns = soon(30);
    ck_assert_int_eq(put_expiring("k", "v", expiry_ns), 0);
    ck_assert_int_eq(lookup("k"), 0); /* not by the time of the events before it */
    wait_behind(2);
    ck_assert_int_ge(kv_clock_realtime_ns(), expiry_ns);
    ck_assert_str_eq(events_since(2), "3.0:delete:k.");
}
END_TEST

START_TEST(event_times_grow_though_the_clock_was_set_back)
{
    open_with(KV_SYNC_OFF, 1000);
    ck_assert_int_eq(put("d/a", "v"), 0);
    struct kv_meta before = meta_of("d");
    atomic_store(&clock_shift_ns, -3600 * KV_NS_PER_S);
    ck_assert_int_eq(put("d/b", "v"), 0);
    ck_assert_int_gt(meta_of("d").mtime_ns, before.mtime_ns);
    ck_assert_int_gt(meta_of("d/b").ctime_ns, before.ctime_ns);
}
END_TEST

START_TEST(many_keys_that_end_one_after_another_all_go)
{
    open_with(KV_SYNC_OFF, 1000);
    for (int i = 0; i < 40; i++) {
        char key[8] = {'k', (char)('a' + i / 26), (char)('a' + i % 26)};
        ck_assert_int_eq(put_expiring(key, "v", soon(1 + (i * 7) % 40)), 0);
    }
    int64_t end_ns = kv_clock_monotonic_ns() + 10 * KV_NS_PER_S;
    while (status_now().keys > 0)
        ck_assert_int_lt(kv_clock_monotonic_ns(), end_ns);
    ck_assert_uint_eq(status_now().expired, 40);
    ck_assert_uint_eq(revision_now(), 80);
    check_store();
}
END_TEST

KV_SUITE_WITH("keeper", setup, store_teardown, interval_syncs_again_and_again,
              interval_syncs_go_on_when_the_clock_is_set_back,
              a_failed_interval_sync_makes_the_store_read_only,
              off_leaves_syncing_to_the_close,
              keys_end_when_the_clock_is_set_forward_past_their_time,
              keys_end_in_time_though_the_clock_was_set_back,
              event_times_grow_though_the_clock_was_set_back,
              many_keys_that_end_one_after_another_all_go)
