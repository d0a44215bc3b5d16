/* What changes the tree: MKNOD, MKDIR, SYMLINK, UNLINK, RMDIR, RENAME, LINK. Each is
 * one transaction, answered when it is committed.
 *
 * A name that is not published yet exists in this mount only: unlinking it forgets it,
 * and before it is renamed, or something over it, it is published. */
#include "base/clock.h"
#include "fuse/expect.h"
#include "fuse/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>

/* Begin a request about a name. On failure it is answered. */
static struct kv_request *begin(struct kv_mount *mount, fuse_req_t req,
                                fuse_ino_t parent, const char *name)
{
    struct kv_request *request = NULL;
    int err = kv_request_new(mount, req, parent, name, &request);
    if (!err)
        err = kv_child_path(mount, parent, name, &request->path);
    if (!err)
        return request;
    kv_request_free(request);
    fuse_reply_err(req, -err);
    return NULL;
}

static void fail(struct kv_request *request, int err)
{
    fuse_reply_err(request->req, -err);
    kv_request_free(request);
}

/* Whether the directory holds that unpublished name; any, when name is NULL. */
static bool has_pending(struct kv_mount *mount, fuse_ino_t parent, const char *name)
{
    KV_SCOPED_LOCK(&mount->inodes.lock);
    struct kv_inode *dir = kv_inodes_find_locked(&mount->inodes, parent);
    if (!dir)
        return false;
    return name ? kv_inode_pending_child_locked(dir, name, strlen(name)) != NULL
                : !kv_list_empty(&dir->pending_children);
}

/* -- Making -- */

static void made(struct kv_txn *txn, void *ctx)
{
    struct kv_request *request = ctx;
    struct kv_mount *mount = request->mount;
    if (txn->error)
        fuse_reply_err(request->req, -txn->error);
    else
        kv_reply_record(mount, request->req, request->parent, request->name,
                        txn->ops[0].result);
    kv_request_free(request);
    kv_mount_landed(mount);
}

/* Make a key or directory that must not exist. value: of a symbolic link. */
static void make(struct kv_mount *mount, fuse_req_t req, fuse_ino_t parent,
                 const char *name, mode_t mode, const char *value)
{
    if (kv_expect_make(mount, req, parent, name, NULL))
        return;
    struct kv_request *request = begin(mount, req, parent, name);
    if (!request)
        return;
    struct kv_txn *txn = NULL;
    struct kv_op *op;
    enum kv_op_type type = S_ISDIR(mode) ? KV_OP_MKDIR : KV_OP_PUT;
    int err = has_pending(mount, parent, name) ? -EEXIST : 0;
    if (!err)
        err = kv_request_txn(request, type, 0, made, &txn, &op);
    if (!err && value)
        err = kv_op_set_value(op, value, strlen(value));
    if (err) {
        kv_txn_free(txn);
        fail(request, err);
        return;
    }
    op->flags = KV_OP_EXCL;
    op->set = KV_SET_MODE | KV_SET_UID | KV_SET_GID;
    op->new_id = kv_store_new_id(mount->store);
    kv_new_meta(mount, req, parent, mode, &op->meta);
    kv_mount_submit(mount, txn);
}

void kv_op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                 dev_t rdev)
{
    struct kv_mount *mount = kv_mount_of(req);
    (void)rdev;
    if (S_ISREG(mode))
        make(mount, req, kv_ino_of(mount, parent), name, mode, NULL);
    else
        fuse_reply_err(req, EPERM);
}

void kv_op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
    struct kv_mount *mount = kv_mount_of(req);
    make(mount, req, kv_ino_of(mount, parent), name, S_IFDIR | (mode & 07777), NULL);
}

void kv_op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
                   const char *name)
{
    struct kv_mount *mount = kv_mount_of(req);
    make(mount, req, kv_ino_of(mount, parent), name, S_IFLNK | 0777, target);
}

void kv_op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent,
                const char *new_name)
{
    (void)ino;
    (void)new_parent;
    (void)new_name;
    fuse_reply_err(req, EPERM);
}

/* -- Removing -- */

static void replied_by_error(struct kv_txn *txn, void *ctx)
{
    struct kv_request *request = ctx;
    struct kv_mount *mount = request->mount;
    fuse_reply_err(request->req, -txn->error);
    kv_request_free(request);
    kv_mount_landed(mount);
}

/* Forget a name that is not published. One whose first publication is under way is
 * not: the delete comes behind that. */
static bool forget_pending(struct kv_mount *mount, fuse_ino_t parent, const char *name)
{
    KV_SCOPED_LOCK(&mount->inodes.lock);
    struct kv_inode *dir = kv_inodes_find_locked(&mount->inodes, parent);
    struct kv_inode *inode =
        dir ? kv_inode_pending_child_locked(dir, name, strlen(name)) : NULL;
    if (!inode || inode->publishing > 0)
        return false;
    kv_inode_orphan_pending_locked(inode);
    dir->touched_ns = kv_clock_realtime_ns();
    return true;
}

static void take_away(struct kv_mount *mount, fuse_req_t req, fuse_ino_t parent,
                      const char *name, enum kv_op_type type)
{
    struct kv_request *request = begin(mount, req, parent, name);
    if (!request)
        return;
    struct kv_txn *txn;
    struct kv_op *op;
    bool forgot = type == KV_OP_DELETE && forget_pending(mount, parent, name);
    int err = kv_request_txn(request, type, 0, replied_by_error, &txn, &op);
    if (err) {
        fail(request, err);
        return;
    }
    op->flags = forgot ? KV_OP_IF_EXISTS : 0; /* in case somebody else has made it */
    kv_mount_submit(mount, txn);
}

void kv_op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct kv_mount *mount = kv_mount_of(req);
    parent = kv_ino_of(mount, parent);
    if (!kv_expect_take(mount, req, parent, name))
        take_away(mount, req, parent, name, KV_OP_DELETE);
}

/* A directory with unpublished names in it is not empty. */
static bool dir_has_pending(struct kv_mount *mount, fuse_ino_t parent, const char *name)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    struct kv_path path;
    return kv_inodes_path(&mount->inodes, parent, name, &path) == 0 &&
           kv_store_stat(mount->store, path.key, path.len, &record) == 0 &&
           has_pending(mount, record->meta.id, NULL);
}

void kv_op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct kv_mount *mount = kv_mount_of(req);
    parent = kv_ino_of(mount, parent);
    if (kv_expect_take(mount, req, parent, name))
        return;
    if (dir_has_pending(mount, parent, name))
        fuse_reply_err(req, ENOTEMPTY);
    else
        take_away(mount, req, parent, name, KV_OP_RMDIR);
}

/* -- Renaming -- */

struct renaming {
    struct kv_request *request; /* path: the old key */
    fuse_ino_t new_parent;
    char *new_name;
    unsigned flags;
};

static void free_renaming(struct renaming *renaming)
{
    kv_request_free(renaming->request);
    free(renaming->new_name);
    free(renaming);
}

static void fail_renaming(struct renaming *renaming, int err)
{
    fuse_reply_err(renaming->request->req, -err);
    free_renaming(renaming);
}

static int submit_rename(struct renaming *renaming)
{
    struct kv_request *request = renaming->request;
    struct kv_mount *mount = request->mount;
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = NULL;
    struct kv_path to;
    struct kv_op *op;
    int err = kv_child_path(mount, request->parent, request->name, &request->path);
    if (!err)
        err = kv_child_path(mount, renaming->new_parent, renaming->new_name, &to);
    if (!err && !(renaming->flags & RENAME_EXCHANGE) &&
        dir_has_pending(mount, renaming->new_parent, renaming->new_name))
        err = -ENOTEMPTY;
    if (!err)
        err = kv_request_txn(request, KV_OP_RENAME, 0, replied_by_error, &txn, &op);
    if (!err)
        err = kv_op_set_to(op, to.key, to.len);
    if (err)
        return err;
    if (renaming->flags & RENAME_NOREPLACE)
        op->flags |= KV_OP_EXCL;
    if (renaming->flags & RENAME_EXCHANGE)
        op->flags |= KV_OP_EXCHANGE;
    kv_mount_submit(mount, KV_STEAL(txn));
    return 0;
}

static fuse_ino_t pending_id(struct kv_mount *mount, fuse_ino_t parent,
                             const char *name)
{
    KV_SCOPED_LOCK(&mount->inodes.lock);
    struct kv_inode *dir = kv_inodes_find_locked(&mount->inodes, parent);
    struct kv_inode *inode =
        dir ? kv_inode_pending_child_locked(dir, name, strlen(name)) : NULL;
    return inode ? inode->id : 0;
}

/* Source and target are in the store, or will be before this transaction. */
static void rename_published(struct kv_mount *mount, void *ctx, int err)
{
    struct renaming *renaming = ctx;
    (void)mount;
    if (!err)
        err = submit_rename(renaming);
    if (err) {
        fail_renaming(renaming, err);
        return;
    }
    renaming->request = NULL; /* the transaction's */
    free_renaming(renaming);
}

static void rename_source_published(struct kv_mount *mount, void *ctx, int err)
{
    struct renaming *renaming = ctx;
    if (err) {
        fail_renaming(renaming, err);
        return;
    }
    fuse_ino_t target = pending_id(mount, renaming->new_parent, renaming->new_name);
    kv_publish_pending(mount, target, rename_published, renaming);
}

void kv_op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
                  fuse_ino_t new_parent, const char *new_name, unsigned int flags)
{
    struct kv_mount *mount = kv_mount_of(req);
    parent = kv_ino_of(mount, parent);
    new_parent = kv_ino_of(mount, new_parent);
    if (kv_expect_take(mount, req, parent, name))
        return;
    if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE)) {
        fuse_reply_err(req, EINVAL);
        return;
    }
    struct kv_request *request = begin(mount, req, parent, name);
    if (!request)
        return;
    struct renaming *renaming = calloc(1, sizeof(*renaming));
    char *copy = strdup(new_name);
    if (!renaming || !copy) {
        free(renaming);
        free(copy);
        fail(request, -ENOMEM);
        return;
    }
    *renaming = (struct renaming){request, new_parent, copy, flags};
    fuse_ino_t source = pending_id(mount, parent, name);
    kv_publish_pending(mount, source, rename_source_published, renaming);
}
