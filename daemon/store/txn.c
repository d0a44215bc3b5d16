/* Building and freeing transactions; what they do is in apply.c. One thread at a time
 * has a transaction in its hands, so nothing here locks. */
#include "store/txn.h"

#include "store/key.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A copy with a NUL behind it, for the debugger's sake. NULL when memory runs out. */
static char *copy_bytes(const void *data, size_t len)
{
    char *copy = malloc(len + 1);
    if (!copy)
        return NULL;
    if (len > 0)
        memcpy(copy, data, len);
    copy[len] = '\0';
    return copy;
}

int kv_txn_new(uint32_t origin, kv_txn_done_fn *done, void *ctx, struct kv_txn **ret)
{
    struct kv_txn *txn = calloc(1, sizeof(*txn));
    if (!txn)
        return -ENOMEM;
    txn->origin = origin;
    txn->get_max_bytes = txn->get_value_max = KV_TXN_GET_BYTES;
    txn->done = done;
    txn->ctx = ctx;
    *ret = txn;
    return 0;
}

static void op_done(struct kv_op *op)
{
    free(op->key);
    free(op->to);
    kv_buf_done(&op->value);
    free(op->xattr_name);
    kv_buf_done(&op->xattr_value);
    kv_record_unref(op->result);
}

static void free_ops(struct kv_op *ops, size_t count)
{
    for (size_t i = 0; i < count; i++)
        op_done(&ops[i]);
    free(ops);
}

void kv_txn_free(struct kv_txn *txn)
{
    if (!txn)
        return;
    for (size_t i = 0; i < txn->compare_count; i++) {
        free(txn->compares[i].key);
        kv_buf_done(&txn->compares[i].bytes);
    }
    free(txn->compares);
    free_ops(txn->ops, txn->op_count);
    free_ops(txn->else_ops, txn->else_count);
    free(txn);
}

/* The array of count elements with room for one more, maybe moved; NULL, with the array
 * as it was, when memory runs out. Its capacity is count rounded up to a power of two,
 * so it needs no field: most transactions hold one operation. */
static void *reserve_one(void *array, size_t count, size_t element_size)
{
    if (count > 0 && (count & (count - 1)) != 0)
        return array;
    return reallocarray(array, count == 0 ? 1 : count * 2, element_size);
}

int kv_txn_op(struct kv_txn *txn, enum kv_op_type type, const void *key, size_t key_len,
              struct kv_op **ret)
{
    bool is_root = key_len == 0 && type == KV_OP_SET_META;
    int err = is_root ? 0 : kv_key_rule_errno(kv_key_check(key, key_len));
    if (err)
        return err;
    if (txn->op_count + txn->else_count >= KV_TXN_OPS_MAX)
        return -E2BIG;
    struct kv_op **array = txn->has_else ? &txn->else_ops : &txn->ops;
    size_t *count = txn->has_else ? &txn->else_count : &txn->op_count;
    struct kv_op *grown = reserve_one(*array, *count, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    *array = grown;
    char *copy = copy_bytes(key, key_len);
    if (!copy)
        return -ENOMEM;
    struct kv_op *op = &grown[(*count)++];
    *op = (struct kv_op){.type = type, .key = copy, .key_len = key_len};
    *ret = op;
    return 0;
}

void kv_txn_drop_op(struct kv_txn *txn)
{
    if (txn->has_else)
        op_done(&txn->else_ops[--txn->else_count]);
    else
        op_done(&txn->ops[--txn->op_count]);
}

void kv_txn_else(struct kv_txn *txn)
{
    txn->has_else = true;
}

static int add_compare(struct kv_txn *txn, const void *key, size_t key_len,
                       struct kv_compare **ret)
{
    int err = kv_key_rule_errno(kv_key_check(key, key_len));
    if (err)
        return err;
    if (txn->compare_count >= KV_TXN_OPS_MAX)
        return -E2BIG;
    struct kv_compare *grown =
        reserve_one(txn->compares, txn->compare_count, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    txn->compares = grown;
    char *copy = copy_bytes(key, key_len);
    if (!copy)
        return -ENOMEM;
    struct kv_compare *compare = &grown[txn->compare_count++];
    *compare = (struct kv_compare){.key = copy, .key_len = key_len};
    *ret = compare;
    return 0;
}

int kv_txn_compare(struct kv_txn *txn, const void *key, size_t key_len,
                   enum kv_compare_target target, enum kv_compare_relation relation,
                   uint64_t number)
{
    assert(target != KV_COMPARE_VALUE);
    struct kv_compare *compare;
    int err = add_compare(txn, key, key_len, &compare);
    if (err)
        return err;
    compare->target = target;
    compare->relation = relation;
    compare->number = number;
    return 0;
}

int kv_txn_compare_value(struct kv_txn *txn, const void *key, size_t key_len,
                         enum kv_compare_relation relation, const void *value,
                         size_t value_len)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf bytes = {0};
    kv_buf_add(&bytes, value, value_len);
    int err = kv_buf_error(&bytes);
    if (err)
        return err;
    struct kv_compare *compare;
    err = add_compare(txn, key, key_len, &compare);
    if (err)
        return err;
    compare->target = KV_COMPARE_VALUE;
    compare->relation = relation;
    compare->bytes = bytes;
    bytes = (struct kv_buf){0};
    return 0;
}

int kv_op_set_value(struct kv_op *op, const void *value, size_t len)
{
    kv_buf_reset(&op->value);
    kv_buf_add(&op->value, value, len);
    return kv_buf_error(&op->value);
}

void kv_op_steal(struct kv_op *op, struct kv_op *from)
{
    struct kv_op left = {
        .type = from->type, .key = from->key, .key_len = from->key_len};
    struct kv_op whole = *from;
    whole.key = op->key;
    whole.key_len = op->key_len;
    *op = whole;
    *from = left;
}

void kv_op_take_value(struct kv_op *op, struct kv_buf *buf)
{
    kv_buf_done(&op->value);
    op->value = *buf;
    *buf = (struct kv_buf){0};
}

int kv_op_set_to(struct kv_op *op, const void *key, size_t len)
{
    assert(op->type == KV_OP_RENAME);
    int err = kv_key_rule_errno(kv_key_check(key, len));
    if (err)
        return err;
    char *copy = copy_bytes(key, len);
    if (!copy)
        return -ENOMEM;
    free(op->to);
    op->to = copy;
    op->to_len = len;
    return 0;
}

int kv_op_set_xattr(struct kv_op *op, const void *name, size_t name_len,
                    const void *value, size_t value_len, int mode)
{
    assert(op->type == KV_OP_SET_META || op->type == KV_OP_PUT);
    KV_CLEANUP(kv_buf_done) struct kv_buf bytes = {0};
    if (value)
        kv_buf_add(&bytes, value, value_len);
    char *copy = copy_bytes(name, name_len);
    if (!copy || kv_buf_error(&bytes)) {
        free(copy);
        return -ENOMEM;
    }
    free(op->xattr_name);
    op->xattr_name = copy;
    op->xattr_name_len = name_len;
    kv_buf_done(&op->xattr_value);
    op->xattr_value = bytes;
    bytes = (struct kv_buf){0};
    op->xattr_mode = mode;
    op->set &= ~(unsigned)(KV_SET_XATTR | KV_REMOVE_XATTR);
    op->set |= value ? KV_SET_XATTR : KV_REMOVE_XATTR;
    return 0;
}
