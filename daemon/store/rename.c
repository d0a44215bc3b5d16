/* Rename: of a key, of a directory with everything below it, and the exchange of two.
 *
 * Keys are whole paths, so moving a directory moves each row below it. Each of those
 * moves is an event too, marked implied: a watcher of one key learns where it went,
 * while a mount, whose names hang on their directory, has nothing to do for it. The
 * events of implied moves are bare, because a large tree's values would otherwise all
 * sit in memory and once more in the log. */
#include "store/apply.h"

#include <errno.h>
#include <string.h>

/* What one rename is about, found and checked before anything changes. */
struct move {
    uint32_t origin;
    const char *from, *to;
    size_t from_len, to_len;
    uint64_t from_parent_id;
    struct kv_parent to_parent;
    struct kv_meta meta;   /* of the source */
    bool replaces;         /* something is at the target */
    struct kv_meta target; /* its metadata */
    bool exchange;
};

/* The key that `key`, which is from or below it, has after the move. */
static size_t moved_key(const struct move *move, const void *key, size_t len,
                        char out[static KV_KEY_MAX])
{
    size_t rest = len - move->from_len;
    memcpy(out, move->to, move->to_len);
    memcpy(out + move->to_len, (const char *)key + move->from_len, rest);
    return move->to_len + rest;
}

/* The first key below directory dir, or -ENOENT. */
static int first_below(struct kv_walk *walk, const void *dir, size_t len,
                       struct kv_slice *ret_key, struct kv_slice *ret_value)
{
    char below[KV_KEY_MAX + 1];
    memcpy(below, dir, len);
    below[len] = '/';
    int err = kv_walk_seek(walk, (struct kv_slice){below, len + 1}, ret_key, ret_value);
    if (err)
        return err;
    return kv_key_is_below(ret_key->data, ret_key->len, dir, len) ? 0 : -ENOENT;
}

/* Everything below the source must fit the longer name, and the log must have room. */
static int check_below(struct kv_batch *batch, const struct move *move)
{
    KV_CLEANUP(kv_walk_closep) struct kv_walk *walk = NULL;
    int err = kv_walk_open(batch->view, KV_DB_STATE, &walk);
    struct kv_slice key, value;
    if (!err)
        err = first_below(walk, move->from, move->from_len, &key, &value);
    while (!err && kv_key_is_below(key.data, key.len, move->from, move->from_len)) {
        if (key.len - move->from_len + move->to_len > KV_KEY_MAX)
            return -ENAMETOOLONG;
        err = kv_batch_claim(batch, key.len);
        if (!err)
            err = kv_walk_next(walk, &key, &value);
    }
    return err == -ENOENT ? 0 : err;
}

static int check_target(struct kv_batch *batch, const struct kv_op *op,
                        const struct move *move)
{
    if (!move->replaces)
        return op->flags & KV_OP_EXCHANGE ? -ENOENT : 0;
    if (op->flags & KV_OP_EXCL)
        return -EEXIST;
    if (op->flags & KV_OP_EXCHANGE)
        return kv_key_is_below(move->from, move->from_len, move->to, move->to_len)
                   ? -EINVAL
                   : 0;
    if (S_ISDIR(move->meta.mode) && !S_ISDIR(move->target.mode))
        return -ENOTDIR;
    if (!S_ISDIR(move->meta.mode) && S_ISDIR(move->target.mode))
        return -EISDIR;
    if (S_ISDIR(move->target.mode))
        return kv_apply_check_empty(batch, move->to, move->to_len);
    return 0;
}

/* Find both ends and check all that can refuse the rename. -EALREADY: they are the
 * same. */
static int prepare(struct kv_batch *batch, const struct kv_op *op, struct move *move)
{
    struct kv_found source, target;
    struct kv_parent parent;
    if (!op->to)
        return -EINVAL;
    int err = kv_apply_find(batch, op->key, op->key_len, &source);
    if (err)
        return err;
    if (!source.exists)
        return -ENOENT;
    if (kv_key_equal(op->key, op->key_len, op->to, op->to_len))
        return op->flags & KV_OP_EXCL ? -EEXIST : -EALREADY;
    if (kv_key_is_below(op->to, op->to_len, op->key, op->key_len))
        return -EINVAL;
    move->meta = source.row.meta;
    err = kv_apply_find(batch, op->to, op->to_len, &target);
    if (err)
        return err;
    move->replaces = target.exists;
    if (target.exists)
        move->target = target.row.meta;
    err = check_target(batch, op, move);
    if (!err)
        err = kv_apply_find_parent(batch, op->key, op->key_len, false, &parent);
    if (err)
        return err;
    move->from_parent_id = parent.id;
    err = kv_apply_find_parent(batch, op->to, op->to_len, op->flags & KV_OP_PARENTS,
                               &move->to_parent);
    if (!err && S_ISDIR(move->meta.mode))
        err = check_below(batch, move);
    return err ? err : kv_batch_claim(batch, op->to_len);
}

/* The record of a row at its new key. What moves along with a directory has not
 * changed, as far as its times tell. */
static struct kv_record *record_at(struct kv_batch *batch, const struct kv_row *row,
                                   const char *key, size_t len, bool bare)
{
    struct kv_record *record = kv_row_record(row, key, len, bare);
    if (record)
        record->meta.mod_revision = kv_batch_revision(batch);
    return record;
}

/* The event and the changes in the cache for a row that was moved. */
static int announce(struct kv_batch *batch, const struct move *move,
                    struct kv_record *record, const void *from, size_t from_len,
                    bool implied, struct kv_event **ret)
{
    struct kv_parent parent;
    struct kv_event *event;
    int err = kv_apply_find_parent(batch, record->key, record->key_len, false, &parent);
    if (err)
        return kv_apply_broke(batch, err);
    err = kv_batch_event(batch, KV_EVENT_RENAME, record, from, from_len, move->origin,
                         parent.id, &event);
    if (err)
        return err;
    event->implied = implied;
    event->from_parent_id = parent.id;
    *ret = event;
    return kv_batch_change(batch, implied ? KV_CHANGE_FORGET : KV_CHANGE_PUBLISH,
                           record, record->key, record->key_len);
}

/* Move what is below the source, row by row. The walk is placed anew each time, because
 * the move changes the table under it; behind what was moved, because a walk takes long
 * over rows that were there. */
static int move_below(struct kv_batch *batch, const struct move *move)
{
    char from[KV_KEY_MAX + 1];
    size_t from_len = move->from_len;
    memcpy(from, move->from, from_len);
    from[from_len++] = '/';
    for (;;) {
        KV_CLEANUP(kv_walk_closep) struct kv_walk *walk = NULL;
        KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
        KV_CLEANUP(kv_record_unrefp) struct kv_record *bare = NULL;
        struct kv_slice key, value;
        struct kv_row row;
        int err = kv_walk_open(batch->view, KV_DB_STATE, &walk);
        if (!err)
            err = kv_walk_seek(walk, (struct kv_slice){from, from_len}, &key, &value);
        if (err == -ENOENT ||
            (!err && !kv_key_is_below(key.data, key.len, move->from, move->from_len)))
            return 0;
        if (!err)
            err = kv_row_decode(value, &row);
        if (err)
            return kv_apply_broke(batch, err);
        char old_key[KV_KEY_MAX], new_key[KV_KEY_MAX];
        size_t old_len = key.len, new_len = moved_key(move, key.data, key.len, new_key);
        memcpy(old_key, key.data, old_len);
        memcpy(from, old_key, old_len);
        from[old_len] = '\0'; /* no key has one: what comes next */
        from_len = old_len + 1;
        struct kv_meta old = row.meta;
        record = record_at(batch, &row, new_key, new_len, false);
        bare = record_at(batch, &row, new_key, new_len, true);
        if (!record || !bare)
            return kv_apply_broke(batch, -ENOMEM);
        struct kv_event *event;
        err = kv_batch_remove(batch, old_key, old_len, &old);
        if (!err)
            err = kv_batch_put(batch, record, NULL);
        if (!err)
            err = announce(batch, move, bare, old_key, old_len, true, &event);
        if (!err)
            err = kv_batch_change(batch, KV_CHANGE_ABSENT, NULL, event->from, old_len);
        if (err)
            return err;
    }
}

static int touch_both(struct kv_batch *batch, const struct move *move)
{
    int err = kv_batch_touch(batch, move->from,
                             kv_key_parent_len(move->from, move->from_len));
    if (err)
        return err;
    return kv_batch_touch(batch, move->to, kv_key_parent_len(move->to, move->to_len));
}

static int move_top(struct kv_batch *batch, const struct move *move,
                    struct kv_record **ret)
{
    struct kv_found source;
    int err = kv_apply_find(batch, move->from, move->from_len, &source);
    if (err || !source.exists)
        return kv_apply_broke(batch, err ? err : -EBADMSG);
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *record =
        record_at(batch, &source.row, move->to, move->to_len, false);
    if (!record)
        return kv_apply_broke(batch, -ENOMEM);
    record->meta.ctime_ns = batch->now_ns;
    struct kv_event *event;
    err = kv_batch_remove(batch, move->from, move->from_len, &move->meta);
    if (!err)
        err = kv_batch_put(batch, record, move->replaces ? &move->target : NULL);
    if (!err)
        err = announce(batch, move, record, move->from, move->from_len, false, &event);
    if (err)
        return err;
    event->from_parent_id = move->from_parent_id;
    event->replaced_id = move->replaces ? move->target.id : 0;
    *ret = KV_STEAL(record);
    return kv_batch_change(batch, KV_CHANGE_ABSENT, NULL, event->from, event->from_len);
}

/* -- Exchange -- */

struct rows {
    struct kv_record **records; /* with values: they leave the table for a moment */
    size_t count, room;
};

static void rows_done(struct rows *rows)
{
    while (rows->count > 0)
        kv_record_unref(rows->records[--rows->count]);
    free(rows->records);
}

static int rows_add(struct rows *rows, const struct kv_row *row, const void *key,
                    size_t len)
{
    if (rows->count == rows->room) {
        size_t room = rows->room ? rows->room * 2 : 16;
        struct kv_record **records =
            reallocarray(rows->records, room, sizeof(*records));
        if (!records)
            return -ENOMEM;
        rows->records = records;
        rows->room = room;
    }
    struct kv_record *record = kv_row_record(row, key, len, false);
    if (!record)
        return -ENOMEM;
    rows->records[rows->count++] = record;
    return 0;
}

/* Take a key and all below it out of the table, into rows. */
static int take_out(struct kv_batch *batch, const char *top, size_t len,
                    struct rows *rows)
{
    struct kv_found found;
    int err = kv_apply_find(batch, top, len, &found);
    if (!err)
        err = found.exists ? rows_add(rows, &found.row, top, len) : -EBADMSG;
    KV_CLEANUP(kv_walk_closep) struct kv_walk *walk = NULL;
    if (!err)
        err = kv_walk_open(batch->view, KV_DB_STATE, &walk);
    struct kv_slice key, value;
    if (!err)
        err = first_below(walk, top, len, &key, &value);
    while (!err && kv_key_is_below(key.data, key.len, top, len)) {
        struct kv_row row;
        err = kv_row_decode(value, &row);
        if (!err)
            err = rows_add(rows, &row, key.data, key.len);
        if (!err)
            err = kv_walk_next(walk, &key, &value);
    }
    if (err && err != -ENOENT)
        return kv_apply_broke(batch, err);
    err = 0;
    for (size_t i = 0; i < rows->count && !err; i++) {
        struct kv_record *record = rows->records[i];
        err = kv_batch_remove(batch, record->key, record->key_len, &record->meta);
    }
    return err;
}

static struct kv_record *bare_copy(const struct kv_record *record)
{
    return kv_record_new(&(struct kv_record_parts){
        .meta = record->meta,
        .key = record->key,
        .key_len = record->key_len,
        .xattrs = record->xattrs,
        .xattrs_len = record->xattrs_len,
        .bare = true,
    });
}

/* Put a row that was taken out back at its new key. */
static int put_back(struct kv_batch *batch, const struct move *move,
                    const struct kv_record *old, bool implied,
                    struct kv_event **ret_event)
{
    char key[KV_KEY_MAX];
    size_t len = moved_key(move, old->key, old->key_len, key);
    struct kv_meta meta = old->meta;
    meta.mod_revision = kv_batch_revision(batch);
    if (!implied)
        meta.ctime_ns = batch->now_ns;
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *record = kv_record_copy(old, &meta, key, len);
    if (!record)
        return kv_apply_broke(batch, -ENOMEM);
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *shown = implied ? bare_copy(record) : kv_record_ref(record);
    if (!shown)
        return kv_apply_broke(batch, -ENOMEM);
    int err = kv_batch_put(batch, record, NULL);
    if (!err)
        err = announce(batch, move, shown, old->key, old->key_len, implied, ret_event);
    if (!err && implied) /* the other side may have taken the old key: ask LMDB */
        err = kv_batch_change(batch, KV_CHANGE_FORGET, NULL, (*ret_event)->from,
                              old->key_len);
    return err;
}

/* Put back what was below the row that was taken out first. */
static int put_back_below(struct kv_batch *batch, const struct move *move,
                          const struct rows *rows)
{
    struct kv_event *event;
    int err = 0;
    for (size_t i = 1; i < rows->count && !err; i++)
        err = put_back(batch, move, rows->records[i], true, &event);
    return err;
}

static int exchange(struct kv_batch *batch, const struct move *move,
                    struct kv_record **ret)
{
    struct move back = *move;
    back.from = move->to;
    back.from_len = move->to_len;
    back.to = move->from;
    back.to_len = move->from_len;
    KV_CLEANUP(rows_done) struct rows there = {0};
    KV_CLEANUP(rows_done) struct rows here = {0};
    struct kv_event *first, *second;
    int err = take_out(batch, move->from, move->from_len, &there);
    if (!err)
        err = take_out(batch, back.from, back.from_len, &here);
    if (!err)
        err = put_back(batch, move, there.records[0], false, &first);
    if (!err)
        err = put_back(batch, &back, here.records[0], false, &second);
    if (err)
        return err;
    first->exchanged = second->exchanged = true;
    first->from_parent_id = second->parent_id;
    second->from_parent_id = first->parent_id;
    *ret = kv_record_ref(first->record);
    err = put_back_below(batch, move, &there);
    return err ? err : put_back_below(batch, &back, &here);
}

/* The other direction of an exchange must fit as well. */
static int prepare_exchange(struct kv_batch *batch, const struct move *move)
{
    struct move back = *move;
    back.from = move->to;
    back.from_len = move->to_len;
    back.to_len = move->from_len;
    return S_ISDIR(move->target.mode) ? check_below(batch, &back) : 0;
}

int kv_apply_rename(struct kv_batch *batch, uint32_t origin, struct kv_op *op)
{
    struct move move = {
        .origin = origin,
        .from = op->key,
        .from_len = op->key_len,
        .to = op->to,
        .to_len = op->to_len,
        .exchange = op->flags & KV_OP_EXCHANGE,
    };
    int err = prepare(batch, op, &move);
    if (!err && move.exchange)
        err = prepare_exchange(batch, &move);
    if (err)
        return err == -EALREADY ? 0 : err;
    if (move.exchange) {
        err = exchange(batch, &move, &op->result);
        return err ? err : touch_both(batch, &move);
    }
    err = kv_apply_make_parents(batch, origin, op->to, op->to_len, &move.to_parent);
    if (!err)
        err = move_top(batch, &move, &op->result);
    if (!err && S_ISDIR(move.meta.mode))
        err = move_below(batch, &move);
    return err ? err : touch_both(batch, &move);
}
