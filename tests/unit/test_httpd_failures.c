#include "httpd/failures.h"

#include "base/clock.h"

#include "suite.h"

static struct kv_failures *failures;
static int64_t now_ns;

static void setup(void)
{
    failures = kv_failures_new();
    ck_assert_ptr_nonnull(failures);
    now_ns = 1000 * KV_NS_PER_S;
}

static void teardown(void)
{
    kv_failures_free(failures);
}

static unsigned add(uint64_t address)
{
    bool begins;
    return kv_failures_add(failures, address, now_ns, &begins);
}

static void use_up(uint64_t address)
{
    for (unsigned i = 0; i < KV_FAILURES_FREE; i++)
        ck_assert_uint_eq(add(address), 0);
}

START_TEST(a_few_are_forgiven_and_then_one_each_interval)
{
    const unsigned interval_s = KV_FAILURES_INTERVAL_NS / KV_NS_PER_S;
    use_up(7);
    ck_assert_uint_eq(add(7), interval_s);
    now_ns += 2 * KV_NS_PER_S;
    ck_assert_uint_eq(add(7), interval_s - 2);
    now_ns += (interval_s - 2) * KV_NS_PER_S;
    ck_assert_uint_eq(add(7), 0);
    ck_assert_uint_gt(add(7), 0);
}
END_TEST

START_TEST(all_is_forgotten_after_a_while)
{
    use_up(7);
    now_ns += KV_FAILURES_FREE * KV_FAILURES_INTERVAL_NS;
    use_up(7);
}
END_TEST

START_TEST(addresses_do_not_count_for_each_other)
{
    use_up(7);
    ck_assert_uint_gt(add(7), 0);
    ck_assert_uint_eq(add(8), 0);
}
END_TEST

START_TEST(being_refused_again_and_again_is_news_once)
{
    bool begins;
    use_up(7);
    (void)kv_failures_add(failures, 7, now_ns, &begins);
    ck_assert(begins);
    (void)kv_failures_add(failures, 7, now_ns + KV_NS_PER_S, &begins);
    ck_assert(!begins);
}
END_TEST

START_TEST(many_addresses_push_out_none_that_fails_all_the_time)
{
    use_up(7);
    for (uint64_t i = 0; i < 100000; i++) {
        now_ns += 1000;
        (void)add(1000 + i);
        if (i % 2 == 0) /* so it is never the oldest of its set */
            (void)add(7);
    }
    ck_assert_uint_gt(add(7), 0);
}
END_TEST

KV_SUITE_WITH("httpd_failures", setup, teardown,
              a_few_are_forgiven_and_then_one_each_interval,
              all_is_forgotten_after_a_while, addresses_do_not_count_for_each_other,
              being_refused_again_and_again_is_news_once,
              many_addresses_push_out_none_that_fails_all_the_time)
