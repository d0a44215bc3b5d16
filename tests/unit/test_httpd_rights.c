#include "httpd/rights.h"

#include "base/cleanup.h"

#include "suite.h"

#include <errno.h>
#include <string.h>

static struct kv_rights rights;

static void setup(void)
{
    rights = (struct kv_rights){0};
}

static void teardown(void)
{
    kv_rights_done(&rights);
}

static int add(const char *path, unsigned granted)
{
    return kv_rights_add(&rights, path, strlen(path), granted);
}

static bool allows(const char *key, unsigned wanted)
{
    return kv_rights_allow(&rights, key, strlen(key), wanted);
}

static bool reaches_dir(const char *dir)
{
    return kv_rights_reach_dir(&rights, dir, strlen(dir));
}

static bool reaches_prefix(const char *prefix)
{
    return kv_rights_reach_prefix(&rights, prefix, strlen(prefix));
}

START_TEST(without_grants_nothing_is_allowed)
{
    ck_assert(!allows("", KV_READ));
    ck_assert(!allows("a", KV_READ));
    ck_assert(!reaches_dir(""));
    ck_assert(!reaches_prefix(""));
}
END_TEST

START_TEST(a_grant_is_for_its_path_and_what_lies_below)
{
    ck_assert_int_eq(add("app/db", KV_READ), 0);
    ck_assert(allows("app/db", KV_READ));
    ck_assert(allows("app/db/host", KV_READ));
    ck_assert(!allows("app/db-old", KV_READ)); /* begins with the same bytes */
    ck_assert(!allows("app/d", KV_READ));
    ck_assert(!allows("app", KV_READ));
    ck_assert(!allows("", KV_READ));
    ck_assert(!allows("app/db/host", KV_WRITE));
    ck_assert(!allows("app/db/host", KV_READ | KV_WRITE));
}
END_TEST

START_TEST(grants_add_up)
{
    ck_assert_int_eq(add("a", KV_READ), 0);
    ck_assert_int_eq(add("a/b", KV_WRITE), 0);
    ck_assert(allows("a/b/c", KV_READ | KV_WRITE));
    ck_assert(!allows("a/c", KV_WRITE));
}
END_TEST

START_TEST(the_root_is_everything)
{
    ck_assert_int_eq(add("/", KV_READ), 0);
    ck_assert(allows("", KV_READ));
    ck_assert(allows("any/key", KV_READ));
    ck_assert(reaches_prefix("x"));
    ck_assert(!allows("any/key", KV_WRITE));
}
END_TEST

START_TEST(admin_is_everything)
{
    rights.admin = true;
    ck_assert(allows("", KV_READ | KV_WRITE));
    ck_assert(reaches_dir("x"));
    ck_assert(reaches_prefix("x"));
}
END_TEST

START_TEST(listings_reach_what_is_granted_from_above_and_within)
{
    ck_assert_int_eq(add("app/db", KV_READ), 0);
    ck_assert(reaches_dir(""));
    ck_assert(reaches_dir("app"));
    ck_assert(reaches_dir("app/db"));
    ck_assert(reaches_dir("app/db/deep"));
    ck_assert(!reaches_dir("app/db-old"));
    ck_assert(!reaches_dir("other"));
    ck_assert(reaches_prefix(""));
    ck_assert(reaches_prefix("ap"));
    ck_assert(reaches_prefix("app/db"));
    ck_assert(reaches_prefix("app/db/h"));
    ck_assert(!reaches_prefix("app/db-"));
    ck_assert(!reaches_prefix("app/dc"));
    ck_assert(!reaches_prefix("b"));
}
END_TEST

START_TEST(what_may_only_be_written_cannot_be_listed)
{
    ck_assert_int_eq(add("app", KV_WRITE), 0);
    ck_assert(allows("app/k", KV_WRITE));
    ck_assert(!reaches_dir("app"));
    ck_assert(!reaches_prefix("app/k"));
}
END_TEST

START_TEST(a_grant_names_a_key_and_a_right)
{
    ck_assert_int_eq(add("a//b", KV_READ), -EINVAL);
    ck_assert_int_eq(add("/a", KV_READ), -EINVAL);
    ck_assert_int_eq(add("a", 0), -EINVAL);
    ck_assert_int_eq(add("a", 4), -EINVAL);
    ck_assert_int_eq(add("a/", KV_READ), 0);
    ck_assert(allows("a/b", KV_READ));
    for (size_t i = 1; i < KV_GRANTS_MAX; i++)
        ck_assert_int_eq(add("a", KV_READ), 0);
    ck_assert_int_eq(add("a", KV_READ), -E2BIG);
}
END_TEST

static int read_array(const char *text, struct kv_buf *rule)
{
    struct kv_span array;
    ck_assert_int_eq(kv_json_read(text, strlen(text), &array), 0);
    return kv_rights_read(array, &rights, rule);
}

START_TEST(rights_are_read_as_they_were_written)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf rule = {0}, json = {0};
    ck_assert_int_eq(read_array("[{\"path\":\"app\",\"read\":true},"
                                "{\"path\":\"\",\"write\":true}]",
                                &rule),
                     0);
    kv_rights_json(&json, &rights);
    ck_assert_bytes(json.data, json.len,
                    "\"admin\":false,\"rights\":["
                    "{\"path\":\"app\",\"read\":true,\"write\":false},"
                    "{\"path\":\"\",\"read\":false,\"write\":true}]");
}
END_TEST

START_TEST(rights_that_cannot_be_meant_are_refused)
{
    static const char *const wrong[] = {
        "{}",
        "[1]",
        "[{\"read\":true}]",
        "[{\"path\":\"a\"}]",
        "[{\"path\":\"a\",\"read\":1}]",
        "[{\"path\":\"a\",\"reed\":true,\"read\":true}]",
        "[{\"path\":\"a//b\",\"read\":true}]",
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        KV_CLEANUP(kv_buf_done) struct kv_buf rule = {0};
        ck_assert_msg(read_array(wrong[i], &rule) == -EINVAL, "%s", wrong[i]);
        ck_assert_uint_gt(rule.len, 0);
        kv_rights_done(&rights);
    }
}
END_TEST

KV_SUITE_WITH("httpd_rights", setup, teardown, without_grants_nothing_is_allowed,
              a_grant_is_for_its_path_and_what_lies_below, grants_add_up,
              the_root_is_everything, admin_is_everything,
              listings_reach_what_is_granted_from_above_and_within,
              what_may_only_be_written_cannot_be_listed,
              a_grant_names_a_key_and_a_right, rights_are_read_as_they_were_written,
              rights_that_cannot_be_meant_are_refused)
