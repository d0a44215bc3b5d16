/* The operations on one key: put, append, delete, mkdir, set-meta; and the directories
 * on the way to a key.
 *
 * Each operation first checks everything that can refuse it, then changes. So a
 * transaction of one operation, which is what most are, needs no nested LMDB
 * transaction to be all or nothing; only one of several operations pays for that. */
#include "store/apply.h"

#include "store/xattr.h"

#include <errno.h>
#include <string.h>

/* -- Parents -- */

int kv_apply_find_parent(struct kv_batch *batch, const void *key, size_t len,
                         bool may_make, struct kv_parent *ret)
{
    size_t wanted = kv_key_parent_len(key, len);
    if (batch->parent_id && wanted == batch->parent_len &&
        memcmp(key, batch->parent_key, wanted) == 0) {
        *ret = (struct kv_parent){.existing_len = wanted, .id = batch->parent_id};
        return 0;
    }
    for (size_t dir = wanted;; dir = kv_key_parent_len(key, dir)) {
        struct kv_found found;
        int err = kv_apply_find(batch, key, dir, &found);
        if (err)
            return err;
        if (!found.exists && dir > 0)
            continue;
        if (!found.exists)
            return -EBADMSG; /* a store without a root */
        if (!S_ISDIR(found.row.meta.mode))
            return -ENOTDIR;
        if (dir != wanted && !may_make)
            return -ENOENT;
        *ret = (struct kv_parent){.existing_len = dir, .id = found.row.meta.id};
        break;
    }
    if (ret->existing_len == wanted) {
        memcpy(batch->parent_key, key, wanted);
        batch->parent_len = wanted;
        batch->parent_id = ret->id;
    }
    return 0;
}

/* The record of something new, with the store's defaults; xattrs may be NULL. */
static struct kv_record *new_record(struct kv_batch *batch, const struct kv_op *op,
                                    const void *key, size_t len, uint32_t type,
                                    const struct kv_buf *xattrs)
{
    const struct kv_store_config *config = batch->config;
    uint64_t revision = kv_batch_revision(batch);
    bool dir = type == S_IFDIR;
    struct kv_record_parts parts = {
        .meta =
            {
                .id = op && op->new_id ? op->new_id : kv_batch_new_id(batch),
                .create_revision = revision,
                .mod_revision = revision,
                .version = dir ? 0 : 1,
                .mtime_ns = batch->now_ns,
                .ctime_ns = batch->now_ns,
                .mode = type | (dir ? config->dir_mode : config->file_mode),
                .uid = config->uid,
                .gid = config->gid,
            },
        .key = key,
        .key_len = len,
        .xattrs = xattrs ? xattrs->data : NULL,
        .xattrs_len = xattrs ? xattrs->len : 0,
        .value = op && !dir ? op->value.data : NULL,
        .value_len = op && !dir ? op->value.len : 0,
    };
    return kv_record_new(&parts);
}

/* Put a record with its event and its change in the cache. */
static int put_record(struct kv_batch *batch, uint32_t origin, enum kv_event_type type,
                      struct kv_record *record, const struct kv_meta *old,
                      uint64_t parent_id)
{
    /* The value of a META event is the one before: not logged again, or a chmod of
     * large values would push everything else out of the log. */
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *told =
        type == KV_EVENT_META ? kv_record_bare_copy(record) : kv_record_ref(record);
    if (!told)
        return kv_apply_broke(batch, -ENOMEM);
    struct kv_event *event;
    int err = kv_batch_put(batch, record, old);
    if (!err)
        err = kv_batch_event(batch, type, told, NULL, 0, origin, parent_id, &event);
    if (err)
        return err;
    event->created = type == KV_EVENT_PUT && !old;
    event->prev_revision = old ? old->mod_revision : 0;
    return kv_batch_change(batch, KV_CHANGE_PUBLISH, record, record->key,
                           record->key_len);
}

static int make_directory(struct kv_batch *batch, uint32_t origin, const void *key,
                          size_t len, uint64_t *parent_id)
{
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *record = new_record(batch, NULL, key, len, S_IFDIR, NULL);
    if (!record)
        return kv_apply_broke(batch, -ENOMEM);
    int err = kv_batch_touch(batch, key, kv_key_parent_len(key, len));
    if (!err)
        err = put_record(batch, origin, KV_EVENT_MKDIR, record, NULL, *parent_id);
    *parent_id = record->meta.id;
    return err;
}

int kv_apply_make_parents(struct kv_batch *batch, uint32_t origin, const void *key,
                          size_t len, struct kv_parent *parent)
{
    const char *text = key;
    size_t wanted = kv_key_parent_len(key, len);
    size_t dir = parent->existing_len;
    while (dir < wanted) {
        size_t from = dir ? dir + 1 : 0;
        const char *slash = memchr(text + from, '/', len - from);
        dir = (size_t)(slash - text);
        int err = make_directory(batch, origin, key, dir, &parent->id);
        if (err)
            return err;
    }
    parent->existing_len = wanted;
    return 0;
}

/* -- Metadata -- */

/* A directory never expires: what it holds would be left without a parent. */
static bool sets_expiry(const struct kv_op *op)
{
    return (op->set & KV_SET_EXPIRY) && op->meta.expiry_ns != 0;
}

static void set_meta(struct kv_meta *meta, const struct kv_op *op)
{
    if (op->set & KV_SET_MODE) {
        uint32_t type = op->meta.mode & S_IFMT;
        if (op->type != KV_OP_PUT || !type)
            type = meta->mode & S_IFMT;
        meta->mode = type | (op->meta.mode & 07777);
    }
    if (op->set & KV_SET_UID)
        meta->uid = op->meta.uid;
    if (op->set & KV_SET_GID)
        meta->gid = op->meta.gid;
    if (op->set & KV_SET_MTIME)
        meta->mtime_ns = op->meta.mtime_ns;
    if (op->set & KV_SET_EXPIRY)
        meta->expiry_ns = op->meta.expiry_ns;
}

/* The attributes after the operation, in out, when they were those given before it. */
static int changed_xattrs(const struct kv_op *op, const void *xattrs, size_t len,
                          struct kv_buf *out)
{
    int err = 0;
    if (op->set & KV_SET_XATTRS)
        kv_buf_add(out, op->xattr_value.data, op->xattr_value.len);
    else if (op->set & KV_SET_XATTR)
        err = kv_xattr_set(xattrs, len, op->xattr_name, op->xattr_name_len,
                           op->xattr_value.data, op->xattr_value.len,
                           (enum kv_xattr_mode)op->xattr_mode, out);
    else if (op->set & KV_REMOVE_XATTR)
        err = kv_xattr_remove(xattrs, len, op->xattr_name, op->xattr_name_len, out);
    else
        kv_buf_add(out, xattrs, len);
    if (err == -ENODATA && op->type == KV_OP_PUT) {
        kv_buf_add(out, xattrs, len);
        err = 0;
    }
    return err ? err : kv_buf_error(out);
}

/* -- Put and append -- */

/* The next version of a key: its metadata as kept, the bytes given (head, then tail).
 */
static struct kv_record *next_version(struct kv_batch *batch, const struct kv_op *op,
                                      const struct kv_row *row, const void *value,
                                      size_t len)
{
    struct kv_record_parts parts = {
        .meta = row->meta,
        .key = op->key,
        .key_len = op->key_len,
        .xattrs = row->xattrs,
        .xattrs_len = row->xattrs_len,
        .value = value,
        .value_len = len,
    };
    parts.meta.mod_revision = kv_batch_revision(batch);
    parts.meta.version++;
    parts.meta.mtime_ns = parts.meta.ctime_ns = batch->now_ns;
    return kv_record_new(&parts);
}

static struct kv_record *appended(struct kv_batch *batch, const struct kv_op *op,
                                  const struct kv_row *row)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf both = {0};
    if (kv_buf_reserve(&both, row->meta.size + op->value.len))
        return NULL;
    kv_buf_add(&both, row->value, row->meta.size);
    kv_buf_add(&both, op->value.data, op->value.len);
    return next_version(batch, op, row, both.data, both.len);
}

/* What a put makes: a file, unless its mode says that it is a symbolic link. */
static uint32_t type_of(const struct kv_op *op)
{
    uint32_t type = op->set & KV_SET_MODE ? op->meta.mode & S_IFMT : 0;
    return op->type == KV_OP_PUT && type ? type : S_IFREG;
}

/* A put over a key of the other type, say a value over a symbolic link, replaces the
 * key as a rename over it would: an id never changes its type, because a kernel that
 * knows it as an inode would not have it. */
static bool replaces(const struct kv_op *op, const struct kv_found *found)
{
    return found->exists && (found->row.meta.mode & S_IFMT) != type_of(op);
}

static int check_put(struct kv_batch *batch, const struct kv_op *op,
                     const struct kv_found *found, uint64_t size)
{
    if (type_of(op) != S_IFREG && type_of(op) != S_IFLNK)
        return -EINVAL;
    if (found->exists && S_ISDIR(found->row.meta.mode))
        return -EISDIR;
    if (found->exists && (op->flags & KV_OP_EXCL))
        return -EEXIST;
    if (!found->exists && (op->flags & KV_OP_MUST_EXIST))
        return -ENOENT;
    if (op->type == KV_OP_APPEND && replaces(op, found))
        return -ELOOP;
    if (size > batch->config->max_value_bytes)
        return -EFBIG;
    return 0;
}

/* The attributes that a put which names some gives to the key. */
static int put_xattrs(const struct kv_op *op, const struct kv_found *found,
                      struct kv_buf *out)
{
    bool kept = found->exists && !replaces(op, found);
    return changed_xattrs(op, kept ? found->row.xattrs : NULL,
                          kept ? found->row.xattrs_len : 0, out);
}

/* What the operation makes of the key. xattrs: NULL when it names none. */
static struct kv_record *build_put(struct kv_batch *batch, const struct kv_op *op,
                                   const struct kv_found *found,
                                   const struct kv_buf *xattrs)
{
    struct kv_record *record;
    struct kv_row row = found->row;
    if (xattrs) {
        row.xattrs = xattrs->data;
        row.xattrs_len = xattrs->len;
    }
    if (!found->exists)
        record = new_record(batch, op, op->key, op->key_len, S_IFREG, xattrs);
    else if (op->type == KV_OP_APPEND)
        record = appended(batch, op, &row);
    else
        record = next_version(batch, op, &row, op->value.data, op->value.len);
    if (record)
        set_meta(&record->meta, op);
    return record;
}

/* Make room for what replaces a key of another type. */
static int remove_replaced(struct kv_batch *batch, uint32_t origin,
                           const struct kv_op *op, const struct kv_parent *parent,
                           struct kv_found *found)
{
    int err = kv_batch_claim(batch, op->key_len);
    if (err)
        return err;
    found->exists = false;
    return kv_apply_remove(batch, origin, op->key, op->key_len, &found->row, parent->id,
                           NULL);
}

int kv_apply_put(struct kv_batch *batch, uint32_t origin, struct kv_op *op)
{
    struct kv_found found;
    struct kv_parent parent;
    KV_CLEANUP(kv_buf_done) struct kv_buf xattrs = {0};
    bool sets_xattrs = op->set & (KV_SET_XATTR | KV_REMOVE_XATTR | KV_SET_XATTRS);
    int err = kv_apply_find(batch, op->key, op->key_len, &found);
    if (err)
        return err;
    bool append = op->type == KV_OP_APPEND && found.exists;
    uint64_t size = op->value.len + (append ? found.row.meta.size : 0);
    err = check_put(batch, op, &found, size);
    if (!err && sets_xattrs)
        err = put_xattrs(op, &found, &xattrs);
    if (!err)
        err = kv_apply_find_parent(batch, op->key, op->key_len,
                                   op->flags & KV_OP_PARENTS, &parent);
    if (!err)
        err = kv_batch_claim(batch, size + op->key_len + xattrs.len);
    if (!err && replaces(op, &found))
        err = remove_replaced(batch, origin, op, &parent, &found);
    if (err)
        return err;

    struct kv_meta old = found.row.meta;
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *record =
        build_put(batch, op, &found, sets_xattrs ? &xattrs : NULL);
    if (!record)
        return kv_apply_broke(batch, -ENOMEM);
    if (!found.exists) {
        err = kv_apply_make_parents(batch, origin, op->key, op->key_len, &parent);
        if (!err)
            err =
                kv_batch_touch(batch, op->key, kv_key_parent_len(op->key, op->key_len));
    }
    if (!err)
        err = put_record(batch, origin, KV_EVENT_PUT, record,
                         found.exists ? &old : NULL, parent.id);
    op->created = !found.exists;
    op->result = KV_STEAL(record);
    return err;
}

/* -- Mkdir -- */

int kv_apply_mkdir(struct kv_batch *batch, uint32_t origin, struct kv_op *op)
{
    struct kv_found found;
    struct kv_parent parent;
    int err = kv_apply_find(batch, op->key, op->key_len, &found);
    if (err)
        return err;
    if (found.exists)
        return S_ISDIR(found.row.meta.mode) && (op->flags & KV_OP_EXIST_OK) ? 0
                                                                            : -EEXIST;
    if (sets_expiry(op))
        return -EISDIR;
    err = kv_apply_find_parent(batch, op->key, op->key_len, op->flags & KV_OP_PARENTS,
                               &parent);
    if (!err)
        err = kv_batch_claim(batch, op->key_len + op->xattr_value.len);
    if (err)
        return err;

    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *record =
        new_record(batch, op, op->key, op->key_len, S_IFDIR,
                   op->set & KV_SET_XATTRS ? &op->xattr_value : NULL);
    if (!record)
        return kv_apply_broke(batch, -ENOMEM);
    set_meta(&record->meta, op);
    err = kv_apply_make_parents(batch, origin, op->key, op->key_len, &parent);
    if (!err)
        err = kv_batch_touch(batch, op->key, kv_key_parent_len(op->key, op->key_len));
    if (!err)
        err = put_record(batch, origin, KV_EVENT_MKDIR, record, NULL, parent.id);
    op->created = true;
    op->result = KV_STEAL(record);
    return err;
}

/* -- Delete -- */

int kv_apply_remove(struct kv_batch *batch, uint32_t origin, const void *key,
                    size_t len, const struct kv_row *row, uint64_t parent_id,
                    struct kv_record **ret_record)
{
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *last = kv_row_record(row, key, len, true);
    if (!last)
        return kv_apply_broke(batch, -ENOMEM);
    struct kv_meta old = row->meta;
    last->meta.mod_revision = kv_batch_revision(batch);
    last->meta.ctime_ns = batch->now_ns;
    enum kv_event_type type = S_ISDIR(old.mode) ? KV_EVENT_RMDIR : KV_EVENT_DELETE;
    struct kv_event *event;
    int err = kv_batch_remove(batch, last->key, len, &old);
    if (!err)
        err = kv_batch_event(batch, type, last, NULL, 0, origin, parent_id, &event);
    if (!err)
        event->prev_revision = type == KV_EVENT_DELETE ? old.mod_revision : 0;
    if (!err)
        err = kv_batch_change(batch, KV_CHANGE_ABSENT, last, last->key, len);
    if (ret_record)
        *ret_record = KV_STEAL(last);
    return err;
}

int kv_apply_remove_named(struct kv_batch *batch, uint32_t origin, struct kv_op *op,
                          const struct kv_row *row)
{
    struct kv_parent parent;
    int err = kv_apply_find_parent(batch, op->key, op->key_len, false, &parent);
    if (err)
        return err;
    err = kv_apply_remove(batch, origin, op->key, op->key_len, row, parent.id,
                          &op->result);
    if (!err)
        err = kv_batch_touch(batch, op->key, kv_key_parent_len(op->key, op->key_len));
    return err;
}

int kv_apply_delete(struct kv_batch *batch, uint32_t origin, struct kv_op *op)
{
    struct kv_found found;
    int err = kv_apply_find(batch, op->key, op->key_len, &found);
    if (err)
        return err;
    if (!found.exists)
        return op->flags & KV_OP_IF_EXISTS ? 0 : -ENOENT;
    if (S_ISDIR(found.row.meta.mode))
        return -EISDIR;
    return kv_apply_remove_named(batch, origin, op, &found.row);
}

/* -- Set-meta -- */

/* The value at its new size: cut, or with zeros behind it. */
static int resized_value(const struct kv_op *op, const struct kv_row *row,
                         struct kv_buf *out)
{
    uint64_t size = op->set & KV_SET_SIZE ? op->meta.size : row->meta.size;
    kv_buf_add(out, row->value, size < row->meta.size ? size : row->meta.size);
    int err = kv_buf_error(out);
    return err ? err : kv_buf_resize(out, size);
}

static int check_set_meta(struct kv_batch *batch, const struct kv_op *op,
                          const struct kv_found *found)
{
    if (!found->exists)
        return -ENOENT;
    if (sets_expiry(op) && S_ISDIR(found->row.meta.mode))
        return -EISDIR;
    if (!(op->set & KV_SET_SIZE))
        return 0;
    if (S_ISDIR(found->row.meta.mode))
        return -EISDIR;
    if (!S_ISREG(found->row.meta.mode))
        return -EINVAL;
    return op->meta.size > batch->config->max_value_bytes ? -EFBIG : 0;
}

static int build_set_meta(struct kv_batch *batch, const struct kv_op *op,
                          const struct kv_row *row, struct kv_record **ret)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf xattrs = {0};
    KV_CLEANUP(kv_buf_done) struct kv_buf value = {0};
    int err = changed_xattrs(op, row->xattrs, row->xattrs_len, &xattrs);
    if (!err)
        err = resized_value(op, row, &value);
    if (err)
        return err;
    struct kv_record_parts parts = {
        .meta = row->meta,
        .key = op->key,
        .key_len = op->key_len,
        .xattrs = xattrs.data,
        .xattrs_len = xattrs.len,
        .value = value.data,
        .value_len = value.len,
    };
    parts.meta.mod_revision = kv_batch_revision(batch);
    parts.meta.ctime_ns = batch->now_ns;
    if (op->set & KV_SET_SIZE) {
        parts.meta.version++;
        parts.meta.mtime_ns = batch->now_ns;
    }
    set_meta(&parts.meta, op);
    *ret = kv_record_new(&parts);
    return *ret ? 0 : -ENOMEM;
}

int kv_apply_set_meta(struct kv_batch *batch, uint32_t origin, struct kv_op *op)
{
    struct kv_found found;
    struct kv_parent parent = {0};
    int err = kv_apply_find(batch, op->key, op->key_len, &found);
    if (!err)
        err = check_set_meta(batch, op, &found);
    if (!err && op->key_len)
        err = kv_apply_find_parent(batch, op->key, op->key_len, false, &parent);
    /* What makes a record larger needs room; chmod and the like go on in a full store.
     */
    if (!err && (op->set & (KV_SET_SIZE | KV_SET_XATTR)))
        err = kv_batch_claim(batch, op->set & KV_SET_SIZE ? op->meta.size
                                                          : op->xattr_value.len);
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    if (!err)
        err = build_set_meta(batch, op, &found.row, &record);
    if (err)
        return err;
    struct kv_meta old = found.row.meta;
    enum kv_event_type type = op->set & KV_SET_SIZE ? KV_EVENT_PUT : KV_EVENT_META;
    err = put_record(batch, origin, type, record, &old, parent.id);
    op->result = KV_STEAL(record);
    return err;
}
