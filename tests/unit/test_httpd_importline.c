/* Lines of an import: what they become, and what is told when they are wrong. */
#include "httpd/importline.h"
#include "store/xattr.h"
#include "suite.h"

#include <errno.h>
#include <stdio.h>

static struct kv_txn *txn;
static struct kv_buf rule;

static void setup(void)
{
    ck_assert_int_eq(kv_txn_new(KV_ORIGIN_HTTP, NULL, NULL, &txn), 0);
}

static void teardown(void)
{
    kv_txn_free(txn);
    kv_buf_done(&rule);
}

static int line(const char *text)
{
    kv_buf_reset(&rule);
    int err = kv_import_line(text, strlen(text), txn, &rule);
    kv_buf_addc(&rule, '\0');
    return err;
}

static const struct kv_op *last(void)
{
    ck_assert_uint_gt(txn->op_count, 0);
    return &txn->ops[txn->op_count - 1];
}

static const char *attribute(const char *name)
{
    static char text[64];
    const void *value;
    size_t len;
    if (kv_xattr_get(last()->xattr_value.data, last()->xattr_value.len, name,
                     strlen(name), &value, &len))
        return NULL;
    ck_assert_uint_lt(len, sizeof(text));
    memcpy(text, value, len);
    text[len] = '\0';
    return text;
}

START_TEST(a_key_and_a_value_are_enough)
{
    ck_assert_int_eq(line("{\"key\":\"a/b\",\"value\":\"x\\u0000\"}\r"), 0);
    ck_assert_int_eq(last()->type, KV_OP_PUT);
    ck_assert_uint_eq(last()->flags, KV_OP_PARENTS);
    ck_assert_bytes(last()->key, last()->key_len, "a/b");
    ck_assert_bytes(last()->value.data, last()->value.len, "x\0");
    /* Whatever was there goes: attributes and expiry, too. */
    ck_assert_uint_eq(last()->set, KV_SET_XATTRS | KV_SET_EXPIRY);
    ck_assert_int_eq(last()->meta.expiry_ns, 0);
}
END_TEST

START_TEST(every_member_arrives)
{
    ck_assert_int_eq(
        line(
            "{\"key\":\"a/8=\",\"key_encoding\":\"base64\",\"size\":2,\"version\":3,"
            "\"create_revision\":1,\"mod_revision\":2,\"id\":9,\"ctime\":\"x\","
            "\"mtime\":\"1970-01-01T00:00:05.5Z\",\"expires\":\"2100-01-01T00:00:00Z\","
            "\"mode\":\"4755\",\"uid\":12,\"gid\":34,\"content_type\":\"text/css\","
            "\"attributes\":[{\"name\":\"user.a\",\"value\":\"/w==\","
            "\"encoding\":\"base64\"},{\"name\":\"user.mime_type\",\"value\":\"x/y\"}],"
            "\"value\":\"AP8=\",\"encoding\":\"base64\"}"),
        0);
    const struct kv_meta *meta = &last()->meta;
    ck_assert_bytes(last()->key, last()->key_len, "k\xff");
    ck_assert_bytes(last()->value.data, last()->value.len, "\0\xff");
    ck_assert_uint_eq(meta->mode, 04755);
    ck_assert_uint_eq(meta->uid, 12);
    ck_assert_uint_eq(meta->gid, 34);
    ck_assert_int_eq(meta->mtime_ns, INT64_C(5500000000));
    ck_assert_int_eq(meta->expiry_ns, INT64_C(4102444800000000000));
    ck_assert_uint_eq(last()->set, KV_SET_XATTRS | KV_SET_EXPIRY | KV_SET_MODE |
                                       KV_SET_UID | KV_SET_GID | KV_SET_MTIME);
    ck_assert_str_eq(attribute("user.a"), "\xff");
    ck_assert_str_eq(attribute("user.mime_type"), "text/css");
}
END_TEST

START_TEST(links_and_directories_are_made_of_their_type)
{
    ck_assert_int_eq(line("{\"key\":\"l\",\"type\":\"symlink\",\"value\":\"to\"}"), 0);
    ck_assert_uint_eq(last()->meta.mode, S_IFLNK | 0777);
    ck_assert(last()->set & KV_SET_MODE);
    ck_assert_int_eq(line("{\"key\":\"d\",\"type\":\"directory\",\"mode\":\"0700\"}"),
                     0);
    ck_assert_int_eq(last()->type, KV_OP_MKDIR);
    ck_assert_uint_eq(last()->flags, KV_OP_PARENTS | KV_OP_EXIST_OK);
    ck_assert_uint_eq(last()->meta.mode, 0700);
}
END_TEST

START_TEST(blank_lines_are_nothing)
{
    static const char *const blanks[] = {"", " ", "\r", "\t \r"};
    for (size_t i = 0; i < sizeof(blanks) / sizeof(*blanks); i++)
        ck_assert_int_eq(line(blanks[i]), 0);
    ck_assert_uint_eq(txn->op_count, 0);
}
END_TEST

START_TEST(what_is_wrong_is_told_and_leaves_no_operation)
{
    static const struct {
        const char *text, *rule;
    } cases[] = {
        {"{", "not a JSON value"},
        {"{\"key\":\"\xff\",\"value\":\"\"}", "not a JSON value"},
        {"[]", "must be a JSON object"},
        {"{\"value\":\"\"}", "'key' is missing"},
        {"{\"key\":\"a\"}", "'value' is missing"},
        {"{\"key\":\"a\",\"value\":\"\",\"colour\":1}", "'colour'"},
        {"{\"key\":\"a\",\"value\":\"\",\"mode\":644}", "'mode'"},
        {"{\"key\":\"a\",\"value\":\"\",\"mode\":\"77777\"}", "'mode'"},
        {"{\"key\":\"a\",\"value\":\"\",\"uid\":4294967295}", "'uid'"},
        {"{\"key\":\"a\",\"value\":\"\",\"ttl\":\"1s\",\"expires\":"
         "\"2100-01-01T00:00:00Z\"}",
         "either 'ttl' or 'expires'"},
        {"{\"key\":\"a\",\"type\":\"directory\",\"ttl\":\"1s\"}", "does not expire"},
        {"{\"key\":\"a\",\"value\":\"\",\"attributes\":{}}", "'attributes'"},
        {"{\"key\":\"a\",\"value\":\"\",\"attributes\":[{\"name\":\"user.\","
         "\"value\":\"\"}]}",
         "'user.'"},
        {"{\"key\":\"a\",\"value\":\"\",\"content_type\":\"none\"}", "'content_type'"},
        {"{\"key\":\"a\",\"value\":1}", "'value' must be a string"},
        {"{\"key\":\"a\",\"value\":\"\",\"attributes\":[{\"name\":\"user.kv.ttl\","
         "\"value\":\"1\"}]}",
         "'user.kv.'"},
        {"{\"key\":\"a\",\"value\":\"\",\"type\":\"symlink\"}", "is empty"},
        {"{\"key\":\"a\",\"value\":\"b\\u0000\",\"type\":\"symlink\"}", "a NUL byte"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ck_assert_int_eq(line(cases[i].text), -EINVAL);
        ck_assert_msg(strstr(rule.data, cases[i].rule), "%s: %s", cases[i].text,
                      rule.data);
        ck_assert_uint_eq(txn->op_count, 0);
    }
}
END_TEST

START_TEST(the_target_of_a_link_is_as_long_as_a_path)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf text = {0};
    for (int len = 4095; len <= 4096; len++) {
        kv_buf_reset(&text);
        kv_buf_addf(&text, "{\"key\":\"l\",\"type\":\"symlink\",\"value\":\"%0*d\"}",
                    len, 0);
        kv_buf_addc(&text, '\0');
        ck_assert_int_eq(line(text.data), len == 4095 ? 0 : -EINVAL);
    }
    ck_assert_ptr_nonnull(strstr(rule.data, "longer than 4095"));
    ck_assert_uint_eq(txn->op_count, 1);
}
END_TEST

START_TEST(an_expiry_long_ago_is_not_none)
{
    static const char *const times[] = {"1970-01-01T00:00:00Z", "1969-12-31T00:00:00Z",
                                        "1700-01-01T00:00:00Z"};
    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
        char text[100];
        (void)snprintf(text, sizeof(text),
                       "{\"key\":\"a\",\"value\":\"\",\"expires\":\"%s\"}", times[i]);
        ck_assert_int_eq(line(text), 0);
        ck_assert_int_eq(last()->meta.expiry_ns, 1);
    }
}
END_TEST

START_TEST(a_wrong_line_leaves_those_before_it)
{
    ck_assert_int_eq(line("{\"key\":\"a\",\"value\":\"1\"}"), 0);
    ck_assert_int_eq(line("{\"key\":\"b\",\"value\":\"2\"}"), 0);
    ck_assert_int_eq(line("{\"key\":\"c\",\"value\":\"3\",\"mtime\":0}"), -EINVAL);
    ck_assert_int_eq(line("{\"key\":\"d\",\"value\":\"4\"}"), 0);
    ck_assert_uint_eq(txn->op_count, 3);
    ck_assert_bytes(txn->ops[1].key, txn->ops[1].key_len, "b");
    ck_assert_bytes(txn->ops[2].key, txn->ops[2].key_len, "d");
}
END_TEST

KV_SUITE_WITH("httpd_importline", setup, teardown, a_key_and_a_value_are_enough,
              every_member_arrives, links_and_directories_are_made_of_their_type,
              blank_lines_are_nothing, what_is_wrong_is_told_and_leaves_no_operation,
              the_target_of_a_link_is_as_long_as_a_path, an_expiry_long_ago_is_not_none,
              a_wrong_line_leaves_those_before_it)
