/* Transactions as JSON: what they become, and what is told when they are wrong. */
#include "httpd/txnread.h"
#include "suite.h"

#include <errno.h>
#include <stdio.h>

static struct kv_txn *txn;
static struct kv_txn_fault fault;

static int read_txn(const char *text)
{
    kv_txn_free(txn);
    txn = NULL;
    kv_buf_done(&fault.rule);
    int err = kv_txn_read(text, strlen(text), &txn, &fault);
    kv_buf_addc(&fault.rule, '\0');
    return err;
}

static void teardown(void)
{
    kv_txn_free(txn);
    txn = NULL;
    kv_buf_done(&fault.rule);
}

START_TEST(every_member_arrives)
{
    ck_assert_int_eq(
        read_txn(
            " {\"compare\": [{\"key\":\"a\",\"version\":18446744073709551615,"
            "\"is\":\">\"}, {\"key\":\"b\",\"value\":\"x\\u0000y\",\"is\":\"!=\"},"
            "{\"key\":\"YS//\",\"key_encoding\":\"base64\",\"exists\":false},"
            "{\"key\":\"c\",\"mod_revision\":\"7\"}],"
            "\"then\":[{\"op\":\"put\",\"key\":\"k\",\"value\":\"AP8=\","
            "\"encoding\":\"base64\",\"if_absent\":true},"
            "{\"op\":\"incr\",\"key\":\"n\",\"by\":-9223372036854775808},"
            "{\"op\":\"incr\",\"key\":\"n\"},"
            "{\"op\":\"delete\",\"key\":\"d\",\"recursive\":true,\"missing_ok\":true}],"
            "\"else\":[{\"op\":\"rename\",\"key\":\"a\",\"to\":\"b\","
            "\"no_replace\":true},{\"op\":\"get\",\"key\":\"a\"}]}\n"),
        0);
    ck_assert_uint_eq(txn->compare_count, 4);
    ck_assert_uint_eq(txn->compares[0].number, UINT64_MAX);
    ck_assert_int_eq(txn->compares[0].relation, KV_GREATER);
    ck_assert_bytes(txn->compares[1].bytes.data, txn->compares[1].bytes.len, "x\0y");
    ck_assert_bytes(txn->compares[2].key, txn->compares[2].key_len, "a/\xff");
    ck_assert_int_eq(txn->compares[2].target, KV_COMPARE_EXISTS);
    ck_assert_uint_eq(txn->compares[2].number, 0);
    ck_assert_uint_eq(txn->compares[3].number, 7);
    ck_assert_uint_eq(txn->op_count, 4);
    ck_assert_bytes(txn->ops[0].value.data, txn->ops[0].value.len, "\0\xff");
    ck_assert_uint_eq(txn->ops[0].flags, KV_OP_EXCL | KV_OP_PARENTS);
    ck_assert_uint_eq(txn->ops[0].set, KV_SET_EXPIRY | KV_REMOVE_XATTR);
    ck_assert_int_eq(txn->ops[1].by, INT64_MIN);
    ck_assert_int_eq(txn->ops[2].by, 1);
    ck_assert_uint_eq(txn->ops[2].set, 0);
    ck_assert_int_eq(txn->ops[3].type, KV_OP_DELETE_TREE);
    ck_assert(txn->ops[3].flags & KV_OP_IF_EXISTS);
    ck_assert(txn->has_else);
    ck_assert_uint_eq(txn->else_count, 2);
    ck_assert_bytes(txn->else_ops[0].to, txn->else_ops[0].to_len, "b");
    ck_assert(txn->else_ops[0].flags & KV_OP_EXCL);
    ck_assert_int_eq(txn->else_ops[1].type, KV_OP_GET);
}
END_TEST

START_TEST(nothing_is_a_transaction_too)
{
    ck_assert_int_eq(read_txn("{}"), 0);
    ck_assert(txn->has_else);
    ck_assert_uint_eq(txn->op_count + txn->compare_count, 0);
}
END_TEST

START_TEST(what_is_wrong_is_named_with_its_place)
{
    static const struct {
        const char *text, *code, *rule;
    } cases[] = {
        {"", "bad_request", "the body must be one JSON value"},
        {"{} x", "bad_request", "the body must be one JSON value"},
        {"[]", "bad_request", "must be a JSON object"},
        {"{\"than\":[]}", "bad_request", "'than': there is no such member"},
        {"{\"then\":[],\"then\":[]}", "bad_request", "'then' is given twice"},
        {"{\"then\":{}}", "bad_request", "'then' must be an array"},
        {"{\"then\":[1]}", "bad_request", "then[0]: must be a JSON object"},
        {"{\"then\":[{\"key\":\"a\"}]}", "bad_request", "then[0]: 'op' must be put"},
        {"{\"then\":[{\"op\":\"get\",\"key\":\"a\"},{\"op\":\"put\",\"key\":\"a\"}]}",
         "bad_request", "then[1]: 'value' is missing"},
        {"{\"then\":[{\"op\":\"get\"}]}", "bad_request", "then[0]: 'key' is missing"},
        {"{\"then\":[{\"op\":\"get\",\"key\":\"a\",\"value\":\"\"}]}", "bad_request",
         "then[0]: 'value' does not go with this op"},
        {"{\"then\":[{\"op\":\"get\",\"key\":\"a//b\"}]}", "invalid_key", "then[0]: "},
        {"{\"else\":[{\"op\":\"put\",\"key\":\"a\",\"value\":1}]}", "bad_request",
         "else[0]: 'value' must be a string"},
        {"{\"then\":[{\"op\":\"put\",\"key\":\"a\",\"value\":\"?\","
         "\"encoding\":\"base64\"}]}",
         "bad_request", "then[0]: 'value' is not base64"},
        {"{\"then\":[{\"op\":\"put\",\"key\":\"a\",\"value\":\"?\","
         "\"encoding\":\"hex\"}]}",
         "bad_request", "then[0]: the encoding of 'value'"},
        {"{\"then\":[{\"op\":\"put\",\"key\":\"a\",\"value\":\"\\udc80\"}]}",
         "bad_request", "then[0]: 'value' holds half of a surrogate pair"},
        {"{\"then\":[{\"op\":\"put\",\"key\":\"a\",\"value\":\"\\ud800x\"}]}",
         "bad_request", "then[0]: 'value' holds half of a surrogate pair"},
        {"{\"then\":[{\"op\":\"put\",\"key\":\"a\",\"value\":\"\",\"ttl\":\"1y\"}]}",
         "bad_request", "then[0]: 'ttl' must be"},
        {"{\"then\":[{\"op\":\"incr\",\"key\":\"a\",\"by\":1.5}]}", "bad_request",
         "then[0]: 'by' must be"},
        {"{\"compare\":[{\"key\":\"a\"}]}", "bad_request", "compare[0]: one of"},
        {"{\"compare\":[{\"key\":\"a\",\"version\":1,\"exists\":true}]}", "bad_request",
         "compare[0]: only one thing"},
        {"{\"compare\":[{\"key\":\"a\",\"version\":-1}]}", "bad_request",
         "compare[0]: 'version' must be"},
        {"{\"compare\":[{\"key\":\"a\",\"version\":1,\"is\":\">=\"}]}", "bad_request",
         "compare[0]: 'is' must be"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        ck_assert_int_eq(read_txn(cases[i].text), -EINVAL);
        ck_assert_ptr_null(txn);
        ck_assert_uint_eq(fault.status, 400);
        ck_assert_str_eq(fault.code, cases[i].code);
        ck_assert_msg(strncmp(fault.rule.data, cases[i].rule, strlen(cases[i].rule)) ==
                          0,
                      "%s: %s", cases[i].text, fault.rule.data);
    }
}
END_TEST

START_TEST(pairs_of_surrogates_are_characters)
{
    ck_assert_int_eq(read_txn("{\"then\":[{\"op\":\"put\",\"key\":\"a\","
                              "\"value\":\"\\\\ud800\\uD83d\\uDE00\"}]}"),
                     0);
    ck_assert_bytes(txn->ops[0].value.data, txn->ops[0].value.len,
                    "\\ud800\xf0\x9f\x98\x80");
}
END_TEST

START_TEST(operations_are_counted)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf text = {0};
    kv_buf_adds(&text, "{\"then\":[");
    for (int i = 0; i <= KV_TXN_OPS_MAX; i++)
        kv_buf_addf(&text, "%s{\"op\":\"get\",\"key\":\"a\"}", i ? "," : "");
    kv_buf_adds(&text, "]}");
    kv_buf_addc(&text, '\0');
    ck_assert_int_eq(read_txn(text.data), -EINVAL);
    ck_assert_uint_eq(fault.status, 413);
    ck_assert_str_eq(fault.code, "too_large");
}
END_TEST

KV_SUITE_WITH("httpd_txnread", NULL, teardown, every_member_arrives,
              nothing_is_a_transaction_too, what_is_wrong_is_named_with_its_place,
              pairs_of_surrogates_are_characters, operations_are_counted)
