/* Transactions: compares, the choice of a branch, all or nothing, one revision; and the
 * expiry of keys that are due. */
#include "store/apply.h"

#include "store/expiry.h"

#include <errno.h>
#include <string.h>

int kv_apply_broke(struct kv_batch *batch, int err)
{
    if (err && !batch->broken)
        batch->broken = err;
    return err;
}

int kv_apply_find(struct kv_batch *batch, const void *key, size_t len,
                  struct kv_found *ret)
{
    int err = kv_state_get(batch->view, key, len, &ret->row);
    ret->exists = err == 0;
    return err == -ENOENT ? 0 : err;
}

static int apply_get(struct kv_batch *batch, struct kv_op *op)
{
    struct kv_found found;
    int err = kv_apply_find(batch, op->key, op->key_len, &found);
    if (err || !found.exists)
        return err;
    found.row.xattrs_len = 0; /* nobody asks for them */
    bool bare = found.row.meta.size > batch->get_bytes ||
                found.row.meta.size > batch->get_value_max;
    op->result = kv_row_record(&found.row, op->key, op->key_len, bare);
    batch->get_bytes -= bare ? 0 : found.row.meta.size;
    return op->result ? 0 : -ENOMEM;
}

static int apply_op(struct kv_batch *batch, uint32_t origin, struct kv_op *op)
{
    switch (op->type) {
    case KV_OP_PUT:
    case KV_OP_APPEND:
        return kv_apply_put(batch, origin, op);
    case KV_OP_INCR:
        return kv_apply_incr(batch, origin, op);
    case KV_OP_DELETE:
        return kv_apply_delete(batch, origin, op);
    case KV_OP_DELETE_TREE:
        return kv_apply_delete_tree(batch, origin, op);
    case KV_OP_RENAME:
        return kv_apply_rename(batch, origin, op);
    case KV_OP_MKDIR:
        return kv_apply_mkdir(batch, origin, op);
    case KV_OP_RMDIR:
        return kv_apply_rmdir(batch, origin, op);
    case KV_OP_SET_META:
        return kv_apply_set_meta(batch, origin, op);
    case KV_OP_GET:
        return apply_get(batch, op);
    }
    return -EINVAL;
}

static bool related(int order, enum kv_compare_relation relation)
{
    switch (relation) {
    case KV_EQUAL:
        return order == 0;
    case KV_NOT_EQUAL:
        return order != 0;
    case KV_LESS:
        return order < 0;
    case KV_GREATER:
        return order > 0;
    }
    return false;
}

static uint64_t number_of(const struct kv_found *found, enum kv_compare_target target)
{
    if (!found->exists)
        return 0;
    const struct kv_meta *meta = &found->row.meta;
    switch (target) {
    case KV_COMPARE_EXISTS:
        return 1;
    case KV_COMPARE_VERSION:
        return meta->version;
    case KV_COMPARE_MOD_REVISION:
        return meta->mod_revision;
    case KV_COMPARE_CREATE_REVISION:
        return meta->create_revision;
    case KV_COMPARE_ID:
        return meta->id;
    case KV_COMPARE_EXPIRY:
        return (uint64_t)meta->expiry_ns;
    case KV_COMPARE_VALUE:
        break;
    }
    return 0;
}

static bool holds(const struct kv_compare *compare, const struct kv_found *found)
{
    if (compare->target == KV_COMPARE_VALUE) {
        if (!found->exists)
            return compare->relation == KV_NOT_EQUAL;
        return related(kv_key_compare(found->row.value, found->row.meta.size,
                                      compare->bytes.data, compare->bytes.len),
                       compare->relation);
    }
    uint64_t number = number_of(found, compare->target);
    return related((number > compare->number) - (number < compare->number),
                   compare->relation);
}

/* Sets succeeded and failed; only table errors are returned. */
static int evaluate(struct kv_batch *batch, struct kv_txn *txn)
{
    txn->succeeded = true;
    for (size_t i = 0; i < txn->compare_count && txn->succeeded; i++) {
        const struct kv_compare *compare = &txn->compares[i];
        struct kv_found found;
        int err = kv_apply_find(batch, compare->key, compare->key_len, &found);
        if (err)
            return err;
        if (!holds(compare, &found)) {
            txn->succeeded = false;
            txn->failed = i;
        }
    }
    return 0;
}

static int apply_ops(struct kv_batch *batch, struct kv_txn *txn, struct kv_op *ops,
                     size_t count)
{
    size_t bytes = batch->value_bytes, events = batch->event_count;
    for (size_t i = 0; i < count; i++) {
        bool large = i > 0 && (batch->value_bytes - bytes > KV_TXN_VALUE_BYTES ||
                               batch->event_count - events > KV_TXN_TREE_MAX);
        int err = large ? -E2BIG : apply_op(batch, txn->origin, &ops[i]);
        if (err) {
            txn->failed = i;
            return err;
        }
    }
    return 0;
}

/* Several operations: in a nested view, so that the first ones can be undone when a
 * later one may not happen. */
static int apply_nested(struct kv_batch *batch, struct kv_txn *txn, struct kv_op *ops,
                        size_t count)
{
    struct kv_batch_mark mark = kv_batch_mark(batch);
    struct kv_view *parent = batch->view;
    int err = kv_view_nested(parent, &batch->view);
    if (err) {
        batch->view = parent;
        return kv_apply_broke(batch, err);
    }
    err = apply_ops(batch, txn, ops, count);
    struct kv_view *nested = batch->view;
    batch->view = parent;
    if (!err)
        return kv_apply_broke(batch, kv_view_commit(nested));
    kv_view_end(nested);
    kv_batch_rollback(batch, &mark);
    return err;
}

/* Delete a key in a revision of its own if it is due. */
static int expire_key(struct kv_batch *batch, const void *key, size_t len)
{
    struct kv_found found;
    struct kv_parent parent;
    int err = kv_apply_find(batch, key, len, &found);
    if (err || !found.exists || !found.row.meta.expiry_ns ||
        found.row.meta.expiry_ns > batch->due_ns)
        return kv_apply_broke(batch, err);
    struct kv_batch_mark mark = kv_batch_mark(batch);
    err = kv_apply_find_parent(batch, key, len, false, &parent);
    if (!err)
        err = kv_apply_remove(batch, KV_ORIGIN_TTL, key, len, &found.row, parent.id,
                              NULL);
    if (!err)
        err = kv_batch_touch(batch, key, kv_key_parent_len(key, len));
    if (!err)
        err = kv_batch_end_revision(batch, &mark);
    batch->expired++;
    return kv_apply_broke(batch, err);
}

/* The key, and what stands where its directories would be. */
static int expire_named(struct kv_batch *batch, const void *key, size_t len)
{
    int err = 0;
    for (; len > 0 && !err; len = kv_key_parent_len(key, len))
        err = expire_key(batch, key, len);
    return err;
}

/* Keys of the transaction that are due but still there go first: nothing may build on
 * an expired key. Only needed while the batch could not delete all that was due. */
static int expire_all_named(struct kv_batch *batch, struct kv_txn *txn)
{
    int err = 0;
    for (size_t i = 0; i < txn->compare_count && !err; i++)
        err = expire_named(batch, txn->compares[i].key, txn->compares[i].key_len);
    for (size_t i = 0; i < txn->op_count + txn->else_count && !err; i++) {
        struct kv_op *op =
            i < txn->op_count ? &txn->ops[i] : &txn->else_ops[i - txn->op_count];
        err = expire_named(batch, op->key, op->key_len);
        if (!err && op->to)
            err = expire_named(batch, op->to, op->to_len);
    }
    return err;
}

struct due_keys {
    struct kv_buf keys; /* each followed by a NUL, which no key contains */
};

static int collect_due(void *ctx, int64_t expiry_ns, const void *key, size_t len)
{
    (void)expiry_ns;
    struct due_keys *due = ctx;
    kv_buf_add(&due->keys, key, len);
    kv_buf_addc(&due->keys, '\0');
    return kv_buf_error(&due->keys);
}

int kv_apply_expiry(struct kv_batch *batch, int64_t from_ns, size_t max,
                    int64_t *ret_next_ns)
{
    struct due_keys due = {0};
    *ret_next_ns = from_ns;
    if (from_ns > batch->due_ns)
        return 0;
    int err = kv_expiry_due(batch->view, from_ns, batch->due_ns, max, collect_due, &due,
                            ret_next_ns);
    for (size_t at = 0, len; !err && at < due.keys.len; at += len + 1) {
        len = strlen(due.keys.data + at);
        err = expire_key(batch, due.keys.data + at, len);
    }
    kv_buf_done(&due.keys);
    batch->expired_left = *ret_next_ns <= batch->due_ns;
    return kv_apply_broke(batch, err);
}

int kv_apply_txn(struct kv_batch *batch, struct kv_txn *txn)
{
    if (batch->expired_left && expire_all_named(batch, txn))
        return batch->broken;
    struct kv_batch_mark mark = kv_batch_mark(batch);
    batch->get_bytes = txn->get_max_bytes;
    batch->get_value_max = txn->get_value_max;
    batch->tree_rows = 0;
    int err = evaluate(batch, txn);
    struct kv_op *ops = txn->succeeded ? txn->ops : txn->else_ops;
    size_t count = txn->succeeded ? txn->op_count : txn->else_count;
    if (!err && !txn->succeeded && !txn->has_else)
        err = -ECANCELED;
    if (!err)
        err = count > 1 ? apply_nested(batch, txn, ops, count)
                        : apply_ops(batch, txn, ops, count);
    if (err && batch->event_count > mark.event_count)
        kv_apply_broke(batch, err);
    if (err)
        batch->space = mark.space; /* what a refused operation had claimed */
    if (!err)
        err = kv_batch_end_revision(batch, &mark);
    if (batch->broken)
        return batch->broken;
    txn->error = err;
    txn->changed = batch->event_count > mark.event_count;
    txn->revision = batch->counters.revision;
    return 0;
}
