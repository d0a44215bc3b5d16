#include "httpd/dialects/subscriptions.h"

#include "base/cleanup.h"
#include "suite.h"

#include <errno.h>
#include <stdio.h>

static struct kv_subscriptions *subscriptions;

static void setup(void)
{
    subscriptions = kv_subscriptions_new();
    ck_assert_ptr_nonnull(subscriptions);
}

static void teardown(void)
{
    kv_subscriptions_free(subscriptions);
}

START_TEST(subscriptions_are_listed_in_order_and_once)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    ck_assert_int_eq(kv_subscriptions_add(subscriptions, KV_LIT("b")), 0);
    ck_assert_int_eq(kv_subscriptions_add(subscriptions, KV_LIT("a/c")), 0);
    ck_assert_int_eq(kv_subscriptions_add(subscriptions, KV_LIT("b")), 0);
    kv_subscriptions_list(subscriptions, &out);
    ck_assert_bytes(out.data, out.len, "b\0a/c\0");
}
END_TEST

START_TEST(subscriptions_are_taken_once)
{
    ck_assert_int_eq(kv_subscriptions_add(subscriptions, KV_LIT("a")), 0);
    ck_assert(kv_subscriptions_has(subscriptions, KV_LIT("a")));
    ck_assert(!kv_subscriptions_has(subscriptions, KV_LIT("ab")));
    ck_assert(kv_subscriptions_take(subscriptions, KV_LIT("a")));
    ck_assert(!kv_subscriptions_take(subscriptions, KV_LIT("a")));
    ck_assert(!kv_subscriptions_has(subscriptions, KV_LIT("a")));
}
END_TEST

START_TEST(subscriptions_have_a_limit)
{
    char key[16];
    for (int i = 0; i < KV_SUBSCRIPTIONS_MAX; i++) {
        int len = snprintf(key, sizeof(key), "key-%d", i);
        ck_assert_int_eq(kv_subscriptions_add(subscriptions, key, (size_t)len), 0);
    }
    ck_assert_int_eq(kv_subscriptions_add(subscriptions, KV_LIT("more")), -ENOSPC);
    ck_assert_int_eq(kv_subscriptions_add(subscriptions, KV_LIT("key-7")), 0);
    ck_assert(kv_subscriptions_take(subscriptions, KV_LIT("key-7")));
    ck_assert_int_eq(kv_subscriptions_add(subscriptions, KV_LIT("more")), 0);
}
END_TEST

KV_SUITE_WITH("httpd_subscriptions", setup, teardown,
              subscriptions_are_listed_in_order_and_once, subscriptions_are_taken_once,
              subscriptions_have_a_limit)
