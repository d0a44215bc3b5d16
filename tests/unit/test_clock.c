/* Clocks that are set while the store runs. */
#include "store_fixture.h"

#include "base/clock.h"

#include <sys/syscall.h>

/* A program's own functions come before those of its libraries, so every reader of the
 * clock in this program asks here. */
static _Atomic(int64_t) clock_offset_ns;
static atomic_uint sync_calls;

int clock_gettime(clockid_t clock, struct timespec *ts)
{
    long err = syscall(SYS_clock_gettime, clock, ts);
    if (err == 0 && clock == CLOCK_REALTIME)
        *ts = kv_ns_timespec(kv_timespec_ns(*ts) + atomic_load(&clock_offset_ns));
    return (int)err;
}

int fdatasync(int fd)
{
    atomic_fetch_add(&sync_calls, 1);
    return (int)syscall(SYS_fdatasync, fd);
}

static void set_clock(int64_t seconds)
{
    atomic_fetch_add(&clock_offset_ns, seconds * KV_NS_PER_S);
}

static int put_for(const char *key, int64_t ms)
{
    return put_expiring(key, "v", kv_clock_realtime_ns() + ms * KV_NS_PER_MS);
}

/* The condition holds within ten seconds of the clock that nobody sets. */
#define ck_assert_soon(condition)                                                      \
    do {                                                                               \
        int64_t end_ns_ = kv_clock_monotonic_ns() + 10 * KV_NS_PER_S;                  \
        while (!(condition) && kv_clock_monotonic_ns() < end_ns_)                      \
            usleep(1000);                                                              \
        ck_assert(condition);                                                          \
    } while (0)

START_TEST(a_clock_that_was_set_back_ends_no_key_early)
{
    ck_assert_int_eq(put("before", "v"), 0);
    set_clock(-3600);
    ck_assert_int_eq(put_for("lease", 60000), 0);
    ck_assert_int_eq(put("after", "v"), 0);
    ck_assert_value("lease", "v");
    ck_assert_uint_eq(status_now().expired, 0);
}
END_TEST

START_TEST(a_clock_that_was_set_back_puts_no_expiry_off)
{
    ck_assert_int_eq(put("before", "v"), 0);
    set_clock(-3600);
    ck_assert_int_eq(put_for("lease", 50), 0);
    ck_assert_soon(status_now().expired == 1);
}
END_TEST

START_TEST(a_clock_that_was_set_forward_ends_what_is_due)
{
    ck_assert_int_eq(put_for("lease", 3600 * 1000), 0);
    ck_assert_int_eq(put_for("long", 3 * 3600 * 1000), 0);
    set_clock(7200);
    ck_assert_int_eq(lookup("lease"), -ENOENT);
    ck_assert_soon(status_now().expired == 1);
    ck_assert_value("long", "v");
}
END_TEST

START_TEST(event_times_grow_though_the_clock_was_set_back)
{
    ck_assert_int_eq(put("k", "1"), 0);
    int64_t mtime_ns = meta_of("k").mtime_ns;
    set_clock(-3600);
    ck_assert_int_eq(put("k", "2"), 0);
    ck_assert_int_gt(meta_of("k").mtime_ns, mtime_ns);
}
END_TEST

START_TEST(a_clock_that_was_set_back_puts_no_sync_off)
{
    store_config.sync = KV_SYNC_INTERVAL;
    store_config.sync_interval_ms = 20;
    store_reopen();
    ck_assert_int_eq(put("k", "1"), 0);
    set_clock(-3600);
    unsigned before = atomic_load(&sync_calls);
    ck_assert_soon(atomic_load(&sync_calls) > before + 3);
}
END_TEST

START_TEST(times_that_do_not_fit_become_the_nearest)
{
    static const struct {
        struct timespec ts;
        int64_t ns;
    } cases[] = {
        {{0, 0}, 0},
        {{-1, 999999999}, -1},
        {{-1, 0}, -KV_NS_PER_S},
        {{INT64_C(9223372036), 854775807}, INT64_MAX},
        {{INT64_C(9223372036), 854775808}, INT64_MAX},
        {{INT64_C(13569465600), 0}, INT64_MAX}, /* in the year 2400 */
        {{INT64_MAX, 0}, INT64_MAX},
        {{-INT64_C(9223372037), 145224192}, INT64_MIN},
        {{-INT64_C(9223372037), 145224193}, INT64_MIN + 1},
        {{-INT64_C(9223372037), 0}, INT64_MIN},
        {{INT64_MIN, 0}, INT64_MIN},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        ck_assert_int_eq(kv_timespec_ns(cases[i].ts), cases[i].ns);
        struct timespec back = kv_ns_timespec(cases[i].ns);
        ck_assert_int_eq(kv_timespec_ns(back), cases[i].ns);
    }
}
END_TEST

KV_SUITE_WITH("clock", store_setup, store_teardown,
              times_that_do_not_fit_become_the_nearest,
              a_clock_that_was_set_back_ends_no_key_early,
              a_clock_that_was_set_back_puts_no_expiry_off,
              a_clock_that_was_set_forward_ends_what_is_due,
              event_times_grow_though_the_clock_was_set_back,
              a_clock_that_was_set_back_puts_no_sync_off)
