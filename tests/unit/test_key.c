#include "store/key.h"

#include "suite.h"

#include <errno.h>
#include <string.h>

static enum kv_key_rule check(const char *key)
{
    return kv_key_check(key, strlen(key));
}

START_TEST(key_accepts_paths_of_any_bytes)
{
    static const char *const good[] = {
        "a",    "app/db/host", "...",     "a/...b", ".hidden", "a b\n\t*?\\",
        "\xff", "a/.kv",       "a/.kv/b", ".kvx",   ".kv2/b",  "gr\xc3\xbc\xc3\x9f",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        ck_assert_msg(check(good[i]) == KV_KEY_VALID, "%s", good[i]);
}
END_TEST

START_TEST(key_names_the_broken_rule)
{
    static const struct {
        const char *key;
        enum kv_key_rule rule;
    } bad[] = {
        {"", KV_KEY_EMPTY},
        {"a//b", KV_KEY_EMPTY_COMPONENT},
        {".", KV_KEY_DOT_COMPONENT},
        {"..", KV_KEY_DOT_COMPONENT},
        {"a/./b", KV_KEY_DOT_COMPONENT},
        {"a/..", KV_KEY_DOT_COMPONENT},
        {"../a", KV_KEY_DOT_COMPONENT},
        {"/a", KV_KEY_LEADING_SLASH},
        {"/", KV_KEY_LEADING_SLASH},
        {"a/", KV_KEY_TRAILING_SLASH},
        {"a//", KV_KEY_TRAILING_SLASH},
        {".kv", KV_KEY_RESERVED},
        {".kv/stats", KV_KEY_RESERVED},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(check(bad[i].key) == bad[i].rule, "%s", bad[i].key);
    ck_assert_int_eq(kv_key_check(KV_LIT("a\0b")), KV_KEY_NUL);
    ck_assert_int_eq(kv_key_check(KV_LIT("\0")), KV_KEY_NUL);
}
END_TEST

START_TEST(key_length_is_limited_to_the_byte)
{
    char key[KV_KEY_MAX + 2];
    memset(key, 'a', sizeof(key));
    key[250] = '/';
    ck_assert_int_eq(kv_key_check(key, KV_KEY_MAX - 1), KV_KEY_VALID);
    ck_assert_int_eq(kv_key_check(key, KV_KEY_MAX), KV_KEY_VALID);
    ck_assert_int_eq(kv_key_check(key, KV_KEY_MAX + 1), KV_KEY_TOO_LONG);
}
END_TEST

START_TEST(key_component_length_is_limited_to_the_byte)
{
    char key[2 + KV_KEY_COMPONENT_MAX + 1 + 2];
    memset(key, 'a', sizeof(key));
    key[1] = '/';
    ck_assert_int_eq(kv_key_check(key, 2 + KV_KEY_COMPONENT_MAX), KV_KEY_VALID);
    ck_assert_int_eq(kv_key_check(key, 2 + KV_KEY_COMPONENT_MAX + 1),
                     KV_KEY_COMPONENT_TOO_LONG);
    key[2 + KV_KEY_COMPONENT_MAX] = '/';
    ck_assert_int_eq(kv_key_check(key, sizeof(key)), KV_KEY_VALID);
}
END_TEST

START_TEST(key_rules_have_errnos_and_texts)
{
    ck_assert_int_eq(kv_key_rule_errno(KV_KEY_VALID), 0);
    for (int rule = KV_KEY_EMPTY; rule <= KV_KEY_RESERVED; rule++) {
        bool length = rule == KV_KEY_TOO_LONG || rule == KV_KEY_COMPONENT_TOO_LONG;
        ck_assert_int_eq(kv_key_rule_errno((enum kv_key_rule)rule),
                         length ? -ENAMETOOLONG : -EINVAL);
        for (int other = KV_KEY_VALID; other < rule; other++)
            ck_assert_str_ne(kv_key_rule_text((enum kv_key_rule)rule),
                             kv_key_rule_text((enum kv_key_rule)other));
    }
    ck_assert_ptr_nonnull(strstr(kv_key_rule_text(KV_KEY_TOO_LONG), "500"));
    ck_assert_ptr_nonnull(strstr(kv_key_rule_text(KV_KEY_COMPONENT_TOO_LONG), "255"));
}
END_TEST

START_TEST(key_has_a_parent_and_a_name)
{
    ck_assert_uint_eq(kv_key_parent_len(KV_LIT("app/db/host")), 6);
    ck_assert_uint_eq(kv_key_name_offset(KV_LIT("app/db/host")), 7);
    ck_assert_uint_eq(kv_key_parent_len(KV_LIT("app")), 0);
    ck_assert_uint_eq(kv_key_name_offset(KV_LIT("app")), 0);
    ck_assert_uint_eq(kv_key_parent_len(NULL, 0), 0);
}
END_TEST

START_TEST(key_below_is_by_component)
{
    ck_assert(kv_key_is_below(KV_LIT("a/b"), KV_LIT("a")));
    ck_assert(kv_key_is_below(KV_LIT("a/b/c"), KV_LIT("a")));
    ck_assert(kv_key_is_below(KV_LIT("a/b/c"), KV_LIT("a/b")));
    ck_assert(!kv_key_is_below(KV_LIT("a"), KV_LIT("a")));
    ck_assert(!kv_key_is_below(KV_LIT("ab"), KV_LIT("a")));
    ck_assert(!kv_key_is_below(KV_LIT("b/b"), KV_LIT("a")));
    ck_assert(!kv_key_is_below(KV_LIT("a"), KV_LIT("a/b")));
    ck_assert(kv_key_is_below(KV_LIT("a"), NULL, 0));
    ck_assert(!kv_key_is_below(NULL, 0, NULL, 0));
}
END_TEST

START_TEST(key_order_is_that_of_bytes)
{
    ck_assert_int_eq(kv_key_compare(KV_LIT("a"), KV_LIT("a")), 0);
    ck_assert_int_lt(kv_key_compare(KV_LIT("a"), KV_LIT("ab")), 0);
    ck_assert_int_gt(kv_key_compare(KV_LIT("ab"), KV_LIT("a")), 0);
    ck_assert_int_lt(kv_key_compare(KV_LIT("a"), KV_LIT("\xff")), 0);
    ck_assert_int_lt(kv_key_compare(KV_LIT("a-"), KV_LIT("a/b")), 0);
    ck_assert_int_lt(kv_key_compare(NULL, 0, KV_LIT("a")), 0);
    ck_assert_int_eq(kv_key_compare(NULL, 0, NULL, 0), 0);
    ck_assert(kv_key_equal(KV_LIT("a"), KV_LIT("a")));
    ck_assert(!kv_key_equal(KV_LIT("a"), KV_LIT("b")));
    ck_assert(!kv_key_equal(KV_LIT("a"), KV_LIT("ab")));
    ck_assert(kv_key_equal(NULL, 0, "", 0));
}
END_TEST

KV_SUITE("key", key_accepts_paths_of_any_bytes, key_names_the_broken_rule,
         key_length_is_limited_to_the_byte, key_component_length_is_limited_to_the_byte,
         key_rules_have_errnos_and_texts, key_has_a_parent_and_a_name,
         key_below_is_by_component, key_order_is_that_of_bytes)
