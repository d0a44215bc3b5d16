/* Operations that look below a directory: recursive delete and rmdir. A directory's
 * descendants are the keys that begin with it and a '/', which stand together in the
 * state table, each directory before what it holds. */
#include "store/apply.h"

#include <errno.h>
#include <string.h>

/* One row below the directory, remembered until the deletes begin. */
struct doomed {
    struct kv_record *record; /* bare */
    uint64_t parent_id;
};

struct doomed_list {
    struct doomed *rows;
    size_t count, room;
};

static void doomed_done(struct doomed_list *list)
{
    while (list->count > 0)
        kv_record_unref(list->rows[--list->count].record);
    free(list->rows);
}

static int doomed_add(struct doomed_list *list, const struct kv_row *row,
                      const void *key, size_t len, uint64_t parent_id)
{
    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 64;
        struct doomed *rows = reallocarray(list->rows, room, sizeof(*rows));
        if (!rows)
            return -ENOMEM;
        list->rows = rows;
        list->room = room;
    }
    struct kv_record *record = kv_row_record(row, key, len, true);
    if (!record)
        return -ENOMEM;
    list->rows[list->count++] = (struct doomed){record, parent_id};
    return 0;
}

/* Id of the directory that holds the next row, from the nearest row before it that is
 * that directory or lies in it too. Both are told by a length alone, because whatever
 * stands between a directory and its last descendant begins with its name. */
static uint64_t parent_in(const struct doomed_list *list, const void *key, size_t len)
{
    size_t parent = kv_key_parent_len(key, len);
    for (size_t i = list->count; i-- > 0;) {
        const struct kv_record *record = list->rows[i].record;
        if (kv_record_is_dir(record) && record->key_len == parent)
            return record->meta.id;
        if (kv_key_parent_len(record->key, record->key_len) == parent)
            return list->rows[i].parent_id;
    }
    return 0;
}

/* The directory itself and all below it, parents first. */
static int collect(struct kv_batch *batch, const struct kv_op *op,
                   const struct kv_row *top, uint64_t parent_id,
                   struct doomed_list *list)
{
    KV_CLEANUP(kv_walk_closep) struct kv_walk *walk = NULL;
    int err = doomed_add(list, top, op->key, op->key_len, parent_id);
    if (!err)
        err = kv_walk_open(batch->view, KV_DB_STATE, &walk);
    if (err)
        return err;
    char below[KV_KEY_MAX + 1];
    memcpy(below, op->key, op->key_len);
    below[op->key_len] = '/';
    struct kv_slice key, value;
    err = kv_walk_seek(walk, (struct kv_slice){below, op->key_len + 1}, &key, &value);
    while (!err && kv_key_is_below(key.data, key.len, op->key, op->key_len)) {
        struct kv_row row;
        err = batch->tree_rows + list->count < KV_TXN_TREE_MAX
                  ? kv_row_decode(value, &row)
                  : -E2BIG;
        if (!err)
            err = doomed_add(list, &row, key.data, key.len,
                             parent_in(list, key.data, key.len));
        if (!err)
            err = kv_walk_next(walk, &key, &value);
    }
    return err == -ENOENT ? 0 : err;
}

static int remove_all(struct kv_batch *batch, uint32_t origin, struct kv_op *op,
                      const struct doomed_list *list)
{
    for (size_t i = list->count; i-- > 0;) {
        struct kv_record *record = list->rows[i].record;
        struct kv_row row = {
            .meta = record->meta,
            .xattrs = record->xattrs,
            .xattrs_len = record->xattrs_len,
        };
        int err = kv_apply_remove(batch, origin, record->key, record->key_len, &row,
                                  list->rows[i].parent_id, i == 0 ? &op->result : NULL);
        if (err)
            return err;
        op->count++;
    }
    return kv_batch_touch(batch, op->key, kv_key_parent_len(op->key, op->key_len));
}

int kv_apply_delete_tree(struct kv_batch *batch, uint32_t origin, struct kv_op *op)
{
    struct kv_found found;
    struct kv_parent parent;
    int err = kv_apply_find(batch, op->key, op->key_len, &found);
    if (err)
        return err;
    if (!found.exists)
        return op->flags & KV_OP_IF_EXISTS ? 0 : -ENOENT;
    KV_CLEANUP(doomed_done) struct doomed_list list = {0};
    err = kv_apply_find_parent(batch, op->key, op->key_len, false, &parent);
    if (!err)
        err = S_ISDIR(found.row.meta.mode)
                  ? collect(batch, op, &found.row, parent.id, &list)
                  : doomed_add(&list, &found.row, op->key, op->key_len, parent.id);
    if (!err)
        err = remove_all(batch, origin, op, &list);
    batch->tree_rows += op->count;
    return err;
}

int kv_apply_check_empty(struct kv_batch *batch, const void *dir, size_t len)
{
    KV_CLEANUP(kv_walk_closep) struct kv_walk *walk = NULL;
    int err = kv_walk_open(batch->view, KV_DB_STATE, &walk);
    if (err)
        return err;
    char below[KV_KEY_MAX + 1];
    memcpy(below, dir, len);
    below[len] = '/';
    struct kv_slice key, value;
    err = kv_walk_seek(walk, (struct kv_slice){below, len + 1}, &key, &value);
    if (err)
        return err == -ENOENT ? 0 : err;
    return kv_key_is_below(key.data, key.len, dir, len) ? -ENOTEMPTY : 0;
}

int kv_apply_rmdir(struct kv_batch *batch, uint32_t origin, struct kv_op *op)
{
    struct kv_found found;
    int err = kv_apply_find(batch, op->key, op->key_len, &found);
    if (err)
        return err;
    if (!found.exists)
        return -ENOENT;
    if (!S_ISDIR(found.row.meta.mode))
        return -ENOTDIR;
    err = kv_apply_check_empty(batch, op->key, op->key_len);
    return err ? err : kv_apply_remove_named(batch, origin, op, &found.row);
}
