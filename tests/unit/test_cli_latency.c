#include "latency.h"

#include "suite.h"

static struct kv_latency latency, other;

static void setup(void)
{
    latency = other = (struct kv_latency){0};
}

START_TEST(nothing_has_no_percentile)
{
    ck_assert_uint_eq(kv_latency_percentile(&latency, 50), 0);
    ck_assert_uint_eq(latency.max_ns, 0);
}
END_TEST

START_TEST(small_times_are_exact)
{
    for (uint64_t ns = 1; ns <= 100; ns++)
        kv_latency_add(&latency, ns);
    ck_assert_uint_eq(kv_latency_percentile(&latency, 1), 1);
    ck_assert_uint_eq(kv_latency_percentile(&latency, 50), 50);
    ck_assert_uint_eq(kv_latency_percentile(&latency, 99), 99);
    ck_assert_uint_eq(kv_latency_percentile(&latency, 100), 100);
}
END_TEST

START_TEST(a_percentile_is_right_to_a_64th)
{
    for (uint64_t ns = 1; ns < UINT64_MAX / 3; ns *= 3) {
        latency = (struct kv_latency){0};
        kv_latency_add(&latency, ns);
        kv_latency_add(&latency, UINT64_MAX);
        uint64_t half = kv_latency_percentile(&latency, 50);
        ck_assert_uint_ge(half, ns);
        ck_assert_uint_le(half - ns, ns / 64);
    }
}
END_TEST

START_TEST(no_percentile_is_above_the_maximum)
{
    kv_latency_add(&latency, 1000001);
    ck_assert_uint_eq(kv_latency_percentile(&latency, 50), 1000001);
    kv_latency_add(&latency, UINT64_MAX);
    ck_assert_uint_eq(kv_latency_percentile(&latency, 100), UINT64_MAX);
}
END_TEST

START_TEST(a_percentile_counts_the_one_that_it_falls_into)
{
    kv_latency_add(&latency, 1);
    kv_latency_add(&latency, 2);
    kv_latency_add(&latency, 3);
    ck_assert_uint_eq(kv_latency_percentile(&latency, 33), 1);
    ck_assert_uint_eq(kv_latency_percentile(&latency, 34), 2);
    ck_assert_uint_eq(kv_latency_percentile(&latency, 99), 3);
}
END_TEST

START_TEST(merging_adds_counts_and_keeps_the_longer_maximum)
{
    kv_latency_add(&latency, 10);
    kv_latency_add(&other, 20);
    kv_latency_add(&other, 5000);
    kv_latency_merge(&latency, &other);
    ck_assert_uint_eq(latency.count, 3);
    ck_assert_uint_eq(latency.max_ns, 5000);
    ck_assert_uint_eq(kv_latency_percentile(&latency, 50), 20);
    kv_latency_merge(&other, &latency);
    ck_assert_uint_eq(other.max_ns, 5000);
}
END_TEST

KV_SUITE_WITH("cli_latency", setup, NULL, nothing_has_no_percentile,
              small_times_are_exact, a_percentile_is_right_to_a_64th,
              no_percentile_is_above_the_maximum,
              a_percentile_counts_the_one_that_it_falls_into,
              merging_adds_counts_and_keeps_the_longer_maximum)
