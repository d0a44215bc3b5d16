/* Extended attributes. user.* is stored with the key. Under user.kv. stands what the
 * store knows: revision, version and create_revision to read, ttl (seconds) to read and
 * write. There are no other namespaces. */
#include "store/xattr.h"

#include "base/clock.h"
#include "fuse/publish.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>

#define USER "user."
#define OURS "user.kv."
#define TTL "user.kv.ttl"

static bool begins(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* -- Reading -- */

/* The inode's attributes as stored, in out. */
static int stored(struct kv_mount *mount, const struct kv_subject *subject,
                  fuse_ino_t ino, struct kv_buf *out)
{
    if (subject->record) {
        kv_buf_add(out, subject->record->xattrs, subject->record->xattrs_len);
        return kv_buf_error(out);
    }
    KV_SCOPED_LOCK(&mount->inodes.lock);
    struct kv_inode *inode = kv_inodes_find_locked(&mount->inodes, ino);
    if (inode && inode->pending)
        kv_buf_add(out, inode->pending->xattrs.data, inode->pending->xattrs.len);
    return kv_buf_error(out);
}

/* A number under user.kv., or -ENODATA. */
static int our_number(const struct kv_subject *subject, const char *name, uint64_t *ret)
{
    const struct kv_meta *meta = &subject->meta;
    int64_t left_ns = meta->expiry_ns - kv_clock_realtime_ns();
    if (strcmp(name, TTL) == 0 &&
        meta->expiry_ns) /* the second that has begun counts */
        *ret = left_ns > 0 ? (uint64_t)((left_ns + KV_NS_PER_S - 1) / KV_NS_PER_S) : 0;
    else if (!subject->record)
        return -ENODATA;
    else if (strcmp(name, "user.kv.revision") == 0)
        *ret = meta->mod_revision;
    else if (strcmp(name, "user.kv.version") == 0)
        *ret = meta->version;
    else if (strcmp(name, "user.kv.create_revision") == 0)
        *ret = meta->create_revision;
    else
        return -ENODATA;
    return 0;
}

static int get(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino, const char *name,
               struct kv_buf *out)
{
    /* Before anything else: the kernel asks for security.capability at every
     * truncation. And not ENODATA: ls asks for each file again after that, but not
     * after this. */
    if (kv_is_control(ino) || !begins(name, USER))
        return -EOPNOTSUPP;
    KV_CLEANUP(kv_subject_done) struct kv_subject subject = {0};
    int err = kv_resolve(mount, req, ino, false, &subject);
    if (err)
        return err;
    uint64_t number;
    if (begins(name, OURS)) {
        err = our_number(&subject, name, &number);
        if (!err)
            kv_buf_addf(out, "%" PRIu64, number);
        return err ? err : kv_buf_error(out);
    }
    KV_CLEANUP(kv_buf_done) struct kv_buf all = {0};
    const void *value;
    size_t len;
    err = stored(mount, &subject, ino, &all);
    if (!err)
        err = kv_xattr_get(all.data, all.len, name, strlen(name), &value, &len);
    if (!err)
        kv_buf_add(out, value, len);
    return err ? err : kv_buf_error(out);
}

static int list(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
                struct kv_buf *out)
{
    if (kv_is_control(ino))
        return 0;
    KV_CLEANUP(kv_subject_done) struct kv_subject subject = {0};
    KV_CLEANUP(kv_buf_done) struct kv_buf all = {0};
    size_t offset = 0, name_len, value_len;
    const char *name;
    const void *value;
    int err = kv_resolve(mount, req, ino, false, &subject);
    if (!err)
        err = stored(mount, &subject, ino, &all);
    if (err)
        return err;
    int more;
    while ((more = kv_xattr_next(all.data, all.len, &offset, &name, &name_len, &value,
                                 &value_len)) > 0) {
        kv_buf_add(out, name, name_len);
        kv_buf_addc(out, '\0');
    }
    /* Those under user.kv. are not listed: cp -a and rsync would try to copy them. */
    return more ? more : kv_buf_error(out);
}

static void reply(fuse_req_t req, int err, const struct kv_buf *out, size_t size)
{
    if (err)
        fuse_reply_err(req, -err);
    else if (size == 0)
        fuse_reply_xattr(req, out->len);
    else if (out->len > size)
        fuse_reply_err(req, ERANGE);
    else
        fuse_reply_buf(req, out->data, out->len);
}

void kv_op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    struct kv_mount *mount = kv_mount_of(req);
    int err = get(mount, req, kv_ino_of(mount, ino), name, &out);
    reply(req, err, &out, size);
}

void kv_op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    struct kv_mount *mount = kv_mount_of(req);
    int err = list(mount, req, kv_ino_of(mount, ino), &out);
    reply(req, err, &out, size);
}

/* -- Changing -- */

/* What to do: value NULL removes the attribute. */
struct change {
    const char *name;
    const char *value;
    size_t size;
    enum kv_xattr_mode mode;
    int64_t expiry_ns; /* of TTL */
};

/* Decimal seconds from now; 0: no end. */
static int parse_ttl(const char *value, size_t size, int64_t *ret)
{
    uint64_t seconds = 0;
    if (size > 0 && value[size - 1] == '\n')
        size--;
    if (size == 0 || size > 10)
        return -EINVAL;
    for (size_t i = 0; i < size; i++) {
        if (value[i] < '0' || value[i] > '9')
            return -EINVAL;
        seconds = seconds * 10 + (uint64_t)(value[i] - '0');
    }
    if (seconds > (uint64_t)((INT64_MAX - kv_clock_realtime_ns()) / KV_NS_PER_S))
        return -ERANGE;
    *ret = seconds ? kv_clock_realtime_ns() + (int64_t)seconds * KV_NS_PER_S : 0;
    return 0;
}

static int check(fuse_ino_t ino, struct change *change)
{
    if (kv_is_control(ino))
        return -EPERM;
    if (!begins(change->name, USER))
        return -EOPNOTSUPP;
    if (strcmp(change->name, USER) == 0)
        return -EINVAL;
    if (!begins(change->name, OURS))
        return change->size > KV_XATTR_VALUE_MAX ? -E2BIG : 0;
    if (strcmp(change->name, TTL) != 0)
        return -EPERM; /* read-only, or reserved for later */
    return change->value ? parse_ttl(change->value, change->size, &change->expiry_ns)
                         : 0;
}

static int change_pending_locked(struct kv_pending *pending,
                                 const struct change *change)
{
    if (strcmp(change->name, TTL) == 0) {
        pending->meta.expiry_ns = change->expiry_ns;
        return 0;
    }
    struct kv_buf next = {0};
    const struct kv_buf *now = &pending->xattrs;
    size_t len = strlen(change->name);
    int err = change->value
                  ? kv_xattr_set(now->data, now->len, change->name, len, change->value,
                                 change->size, change->mode, &next)
                  : kv_xattr_remove(now->data, now->len, change->name, len, &next);
    if (err) {
        kv_buf_done(&next);
        return err;
    }
    kv_buf_done(&pending->xattrs);
    pending->xattrs = next;
    return 0;
}

/* Keep the change with a name that is not published; false: it is. */
static bool change_pending(struct kv_mount *mount, fuse_ino_t ino,
                           const struct change *change, int *ret_err)
{
    KV_SCOPED_LOCK(&mount->inodes.lock);
    struct kv_inode *inode = kv_inodes_find_locked(&mount->inodes, ino);
    if (!inode || !inode->pending || inode->publishing > 0)
        return false;
    *ret_err = change_pending_locked(inode->pending, change);
    return true;
}

static void changed(struct kv_txn *txn, void *ctx)
{
    struct kv_request *request = ctx;
    struct kv_mount *mount = request->mount;
    if (kv_request_follow(request, txn, changed))
        return;
    fuse_reply_err(request->req, txn->error == -ECANCELED ? ESTALE : -txn->error);
    kv_request_free(request);
    kv_mount_landed(mount);
}

static int fill_op(struct kv_op *op, const struct change *change)
{
    if (strcmp(change->name, TTL) == 0) {
        op->set = KV_SET_EXPIRY;
        op->meta.expiry_ns = change->expiry_ns;
        return 0;
    }
    return kv_op_set_xattr(op, change->name, strlen(change->name), change->value,
                           change->size, (int)change->mode);
}

static void apply(fuse_req_t req, fuse_ino_t ino, struct change change)
{
    struct kv_mount *mount = kv_mount_of(req);
    KV_CLEANUP(kv_request_freep) struct kv_request *request = NULL;
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = NULL;
    struct kv_op *op;
    ino = kv_ino_of(mount, ino);
    int err = check(ino, &change);
    if (!err && change_pending(mount, ino, &change, &err)) {
        fuse_reply_err(req, -err);
        return;
    }
    if (!err)
        err = kv_request_new(mount, req, 0, NULL, &request);
    if (!err)
        err = kv_inodes_path(&mount->inodes, ino, NULL, &request->path);
    if (!err) {
        request->ino = ino;
        err = kv_request_txn(request, KV_OP_SET_META, ino, changed, &txn, &op);
    }
    if (!err)
        err = fill_op(op, &change);
    if (err) {
        fuse_reply_err(req, -err);
        return;
    }
    KV_STEAL(request);
    kv_mount_submit(mount, KV_STEAL(txn));
}

void kv_op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                    size_t size, int flags)
{
    enum kv_xattr_mode mode = flags & XATTR_CREATE    ? KV_XATTR_CREATE
                              : flags & XATTR_REPLACE ? KV_XATTR_REPLACE
                                                      : KV_XATTR_ANY;
    apply(req, ino,
          (struct change){
              .name = name, .value = value ? value : "", .size = size, .mode = mode});
}

void kv_op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name)
{
    apply(req, ino, (struct change){.name = name});
}
