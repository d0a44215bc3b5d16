#include "store/txn.h"

#include "alloc.h"
#include "fixture.h"
#include "suite.h"

#include "store/key.h"
#include "store/xattr.h"

#include <errno.h>
#include <stdio.h>

static void done(struct kv_txn *txn, void *ctx)
{
    (void)txn;
    (void)ctx;
}

static struct kv_txn *new_txn(void)
{
    struct kv_txn *txn;
    ck_assert_int_eq(kv_txn_new(KV_ORIGIN_HTTP, NULL, NULL, &txn), 0);
    return txn;
}

static struct kv_op *add_op(struct kv_txn *txn, enum kv_op_type type, const char *key)
{
    struct kv_op *op;
    ck_assert_int_eq(kv_txn_op(txn, type, key, strlen(key), &op), 0);
    return op;
}

START_TEST(txn_is_empty_when_new)
{
    int ctx;
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = NULL;
    ck_assert_int_eq(kv_txn_new(KV_ORIGIN_TTL, done, &ctx, &txn), 0);
    ck_assert_uint_eq(txn->origin, KV_ORIGIN_TTL);
    ck_assert(txn->done == done);
    ck_assert_ptr_eq(txn->ctx, &ctx);
    ck_assert_uint_eq(txn->op_count + txn->else_count + txn->compare_count, 0);
    ck_assert(!txn->has_else);
    kv_txn_free(NULL);
}
END_TEST

START_TEST(txn_operations_stand_in_order_with_copied_keys)
{
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = new_txn();
    char key[] = "key-000";
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "key-%03d", i);
        struct kv_op *op = add_op(txn, KV_OP_PUT, key);
        ck_assert_int_eq(kv_op_set_value(op, key, 7), 0);
    }
    ck_assert_uint_eq(txn->op_count, 100);
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof(key), "key-%03d", i);
        const struct kv_op *op = &txn->ops[i];
        ck_assert_int_eq(op->type, KV_OP_PUT);
        ck_assert_uint_eq(op->key_len, 7);
        ck_assert_mem_eq(op->key, key, 7);
        ck_assert_uint_eq(op->value.len, 7);
        ck_assert_mem_eq(op->value.data, key, 7);
        ck_assert_uint_eq(op->flags | op->set, 0);
        ck_assert_ptr_null(op->result);
    }
}
END_TEST

START_TEST(txn_else_collects_what_comes_behind_it)
{
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = new_txn();
    add_op(txn, KV_OP_PUT, "a");
    kv_txn_else(txn);
    add_op(txn, KV_OP_DELETE, "b");
    add_op(txn, KV_OP_MKDIR, "c");
    ck_assert(txn->has_else);
    ck_assert_uint_eq(txn->op_count, 1);
    ck_assert_uint_eq(txn->else_count, 2);
    ck_assert_str_eq(txn->ops[0].key, "a");
    ck_assert_str_eq(txn->else_ops[0].key, "b");
    ck_assert_int_eq(txn->else_ops[1].type, KV_OP_MKDIR);
}
END_TEST

START_TEST(txn_refuses_keys_that_break_a_rule)
{
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = new_txn();
    struct kv_op *op;
    char key[KV_KEY_MAX + 1];
    memset(key, 'k', sizeof(key));
    ck_assert_int_eq(kv_txn_op(txn, KV_OP_PUT, KV_LIT("a//b"), &op), -EINVAL);
    ck_assert_int_eq(kv_txn_op(txn, KV_OP_PUT, KV_LIT(".kv"), &op), -EINVAL);
    ck_assert_int_eq(kv_txn_op(txn, KV_OP_PUT, key, sizeof(key), &op), -ENAMETOOLONG);
    ck_assert_int_eq(kv_txn_compare(txn, KV_LIT("/a"), KV_COMPARE_EXISTS, KV_EQUAL, 1),
                     -EINVAL);
    ck_assert_int_eq(
        kv_txn_compare(txn, key, sizeof(key), KV_COMPARE_EXISTS, KV_EQUAL, 1),
        -ENAMETOOLONG);
    ck_assert_int_eq(kv_txn_compare_value(txn, KV_LIT("a/"), KV_EQUAL, KV_LIT("v")),
                     -EINVAL);
    ck_assert_int_eq(kv_txn_compare_value(txn, key, sizeof(key), KV_EQUAL, KV_LIT("v")),
                     -ENAMETOOLONG);
    ck_assert_uint_eq(txn->op_count + txn->compare_count, 0);
}
END_TEST

START_TEST(txn_takes_the_root_for_set_meta_only)
{
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = new_txn();
    struct kv_op *op;
    for (int type = KV_OP_PUT; type <= KV_OP_SET_META; type++)
        ck_assert_int_eq(kv_txn_op(txn, (enum kv_op_type)type, NULL, 0, &op),
                         type == KV_OP_SET_META ? 0 : -EINVAL);
    ck_assert_uint_eq(op->key_len, 0);
    ck_assert_int_eq(kv_txn_compare(txn, NULL, 0, KV_COMPARE_EXISTS, KV_EQUAL, 1),
                     -EINVAL);
}
END_TEST

START_TEST(txn_is_limited_in_operations_and_compares)
{
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = new_txn();
    struct kv_op *op;
    for (int i = 0; i < KV_TXN_OPS_MAX; i++) {
        if (i == KV_TXN_OPS_MAX / 2)
            kv_txn_else(txn);
        add_op(txn, KV_OP_DELETE, "k");
        ck_assert_int_eq(
            kv_txn_compare(txn, KV_LIT("k"), KV_COMPARE_VERSION, KV_EQUAL, 1), 0);
    }
    ck_assert_int_eq(kv_txn_op(txn, KV_OP_DELETE, KV_LIT("k"), &op), -E2BIG);
    ck_assert_int_eq(kv_txn_compare(txn, KV_LIT("k"), KV_COMPARE_VERSION, KV_EQUAL, 1),
                     -E2BIG);
    ck_assert_int_eq(kv_txn_compare_value(txn, KV_LIT("k"), KV_EQUAL, KV_LIT("v")),
                     -E2BIG);
    ck_assert_uint_eq(txn->op_count + txn->else_count, KV_TXN_OPS_MAX);
    ck_assert_uint_eq(txn->compare_count, KV_TXN_OPS_MAX);
}
END_TEST

START_TEST(txn_compares_hold_numbers_or_bytes)
{
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = new_txn();
    char value[] = "a\0b";
    ck_assert_int_eq(
        kv_txn_compare(txn, KV_LIT("n"), KV_COMPARE_MOD_REVISION, KV_LESS, UINT64_MAX),
        0);
    ck_assert_int_eq(kv_txn_compare_value(txn, KV_LIT("v"), KV_GREATER, value, 3), 0);
    ck_assert_int_eq(kv_txn_compare_value(txn, KV_LIT("e"), KV_EQUAL, NULL, 0), 0);
    value[0] = 'x';
    const struct kv_compare *compares = txn->compares;
    ck_assert_str_eq(compares[0].key, "n");
    ck_assert_int_eq(compares[0].target, KV_COMPARE_MOD_REVISION);
    ck_assert_int_eq(compares[0].relation, KV_LESS);
    ck_assert_uint_eq(compares[0].number, UINT64_MAX);
    ck_assert_int_eq(compares[1].target, KV_COMPARE_VALUE);
    ck_assert_int_eq(compares[1].relation, KV_GREATER);
    ck_assert_bytes(compares[1].bytes.data, compares[1].bytes.len, "a\0b");
    ck_assert_uint_eq(compares[2].bytes.len, 0);
}
END_TEST

START_TEST(txn_value_is_copied_or_moved)
{
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = new_txn();
    struct kv_op *op = add_op(txn, KV_OP_PUT, "k");
    ck_assert_int_eq(kv_op_set_value(op, KV_LIT("first, longer")), 0);
    ck_assert_int_eq(kv_op_set_value(op, KV_LIT("a\0b")), 0);
    ck_assert_bytes(op->value.data, op->value.len, "a\0b");
    struct kv_buf buf = {0};
    kv_buf_adds(&buf, "moved");
    const char *data = buf.data;
    kv_op_take_value(op, &buf);
    ck_assert_ptr_eq(op->value.data, data);
    ck_assert_bytes(op->value.data, op->value.len, "moved");
    ck_assert_ptr_null(buf.data);
    ck_assert_uint_eq(buf.len, 0);
}
END_TEST

START_TEST(txn_rename_has_a_target_with_the_rules_of_keys)
{
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = new_txn();
    struct kv_op *op = add_op(txn, KV_OP_RENAME, "from");
    char key[KV_KEY_MAX + 1];
    memset(key, 'k', sizeof(key));
    ck_assert_int_eq(kv_op_set_to(op, KV_LIT("to")), 0);
    ck_assert_int_eq(kv_op_set_to(op, NULL, 0), -EINVAL);
    ck_assert_int_eq(kv_op_set_to(op, KV_LIT("a/../b")), -EINVAL);
    ck_assert_int_eq(kv_op_set_to(op, key, sizeof(key)), -ENAMETOOLONG);
    ck_assert_bytes(op->to, op->to_len, "to");
    ck_assert_int_eq(kv_op_set_to(op, KV_LIT("other/to")), 0);
    ck_assert_bytes(op->to, op->to_len, "other/to");
}
END_TEST

START_TEST(txn_attribute_is_set_or_removed)
{
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = new_txn();
    struct kv_op *op = add_op(txn, KV_OP_SET_META, "k");
    op->set = KV_SET_MODE;
    ck_assert_int_eq(
        kv_op_set_xattr(op, KV_LIT("user.a"), KV_LIT("v"), KV_XATTR_CREATE), 0);
    ck_assert_uint_eq(op->set, KV_SET_MODE | KV_SET_XATTR);
    ck_assert_bytes(op->xattr_name, op->xattr_name_len, "user.a");
    ck_assert_bytes(op->xattr_value.data, op->xattr_value.len, "v");
    ck_assert_int_eq(op->xattr_mode, KV_XATTR_CREATE);
    ck_assert_int_eq(kv_op_set_xattr(op, KV_LIT("user.b"), NULL, 0, KV_XATTR_ANY), 0);
    ck_assert_uint_eq(op->set, KV_SET_MODE | KV_REMOVE_XATTR);
    ck_assert_bytes(op->xattr_name, op->xattr_name_len, "user.b");
    ck_assert_uint_eq(op->xattr_value.len, 0);
    /* An empty value is one. */
    ck_assert_int_eq(kv_op_set_xattr(op, KV_LIT("user.c"), "", 0, KV_XATTR_ANY), 0);
    ck_assert_uint_eq(op->set, KV_SET_MODE | KV_SET_XATTR);
}
END_TEST

START_TEST(txn_free_drops_results)
{
    struct kv_txn *txn = new_txn();
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = fixture_record("k", "v");
    add_op(txn, KV_OP_PUT, "k")->result = kv_record_ref(record);
    kv_txn_else(txn);
    add_op(txn, KV_OP_PUT, "k")->result = kv_record_ref(record);
    kv_txn_free(txn);
    ck_assert_uint_eq(atomic_load(&record->refs), 1);
}
END_TEST

/* Everything that allocates, on one transaction; the first error. */
static int build(struct kv_txn *txn)
{
    struct kv_op *op;
    int err = kv_txn_op(txn, KV_OP_PUT, KV_LIT("k"), &op);
    if (!err)
        err = kv_op_set_value(op, KV_LIT("v"));
    if (!err)
        err = kv_txn_op(txn, KV_OP_RENAME, KV_LIT("k"), &op);
    if (!err)
        err = kv_op_set_to(op, KV_LIT("to"));
    if (!err)
        err = kv_txn_op(txn, KV_OP_SET_META, KV_LIT("k"), &op);
    if (!err)
        err = kv_op_set_xattr(op, KV_LIT("user.a"), KV_LIT("v"), KV_XATTR_ANY);
    if (!err)
        err = kv_txn_compare(txn, KV_LIT("k"), KV_COMPARE_EXISTS, KV_EQUAL, 1);
    if (!err)
        err = kv_txn_compare_value(txn, KV_LIT("k"), KV_EQUAL, KV_LIT("v"));
    return err;
}

START_TEST(txn_reports_lack_of_memory_everywhere)
{
    struct kv_txn *none = NULL;
    kv_alloc_fail_nth(1);
    ck_assert_int_eq(kv_txn_new(KV_ORIGIN_HTTP, NULL, NULL, &none), -ENOMEM);
    ck_assert(kv_alloc_fail_stop());
    ck_assert_ptr_null(none);
    for (unsigned nth = 1;; nth++) {
        KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = new_txn();
        kv_alloc_fail_nth(nth);
        int err = build(txn);
        if (!kv_alloc_fail_stop()) {
            ck_assert_int_eq(err, 0);
            ck_assert_uint_gt(nth, 10);
            break;
        }
        ck_assert_int_eq(err, -ENOMEM);
        /* What is there is whole. */
        for (size_t i = 0; i < txn->op_count; i++)
            ck_assert_str_eq(txn->ops[i].key, "k");
        for (size_t i = 0; i < txn->compare_count; i++)
            ck_assert_str_eq(txn->compares[i].key, "k");
        ck_assert_uint_lt(txn->op_count + txn->compare_count, 5);
    }
}
END_TEST

KV_SUITE("txn", txn_is_empty_when_new, txn_operations_stand_in_order_with_copied_keys,
         txn_else_collects_what_comes_behind_it, txn_refuses_keys_that_break_a_rule,
         txn_takes_the_root_for_set_meta_only,
         txn_is_limited_in_operations_and_compares, txn_compares_hold_numbers_or_bytes,
         txn_value_is_copied_or_moved, txn_rename_has_a_target_with_the_rules_of_keys,
         txn_attribute_is_set_or_removed, txn_free_drops_results,
         txn_reports_lack_of_memory_everywhere)
