/* What changes the tree: MKNOD, MKDIR, SYMLINK, UNLINK, RMDIR, RENAME, LINK. Each is
 * one transaction, answered when it is committed.
 *
 * A name that is not published yet exists in this mount only: unlinking it forgets it,
 * and before it is renamed, or something over it, it is published.
 *
 * A request names a directory by its id, a transaction by its key. The directory may be
 * moved before the transaction comes to its turn, and another one have that key; so
 * each compares the id, and is built again where the directory is then. */
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

static int submit_make(struct kv_request *request, mode_t mode, const void *value,
                       size_t len);

static void made(struct kv_txn *txn, void *ctx)
{
    struct kv_request *request = ctx;
    struct kv_mount *mount = request->mount;
    const struct kv_op *op = &txn->ops[0];
    int err = txn->error;
    bool late = err == -ECANCELED;
    if (late)
        err = kv_request_find_again(request);
    if (late && !err)
        err = submit_make(request, op->meta.mode, op->value.data, op->value.len);
    if (err)
        fuse_reply_err(request->req, -err);
    else if (!late)
        kv_reply_record(mount, request->req, request->parent, request->name,
                        op->result);
    if (err || !late)
        kv_request_free(request);
    kv_mount_landed(mount);
}

/* value: of a symbolic link, or NULL. */
static int submit_make(struct kv_request *request, mode_t mode, const void *value,
                       size_t len)
{
    struct kv_mount *mount = request->mount;
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = NULL;
    struct kv_op *op;
    enum kv_op_type type = S_ISDIR(mode) ? KV_OP_MKDIR : KV_OP_PUT;
    int err = kv_request_txn(request, type, 0, made, &txn, &op);
    if (!err)
        err = kv_txn_require_parent(txn, request->parent, &request->path);
    if (!err && value)
        err = kv_op_set_value(op, value, len);
    if (err)
        return err;
    op->flags = KV_OP_EXCL;
    op->set = KV_SET_MODE | KV_SET_UID | KV_SET_GID;
    op->new_id = kv_store_new_id(mount->store);
    kv_new_meta(mount, request->req, request->parent, mode, &op->meta);
    kv_mount_submit(mount, KV_STEAL(txn));
    return 0;
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
    int err = has_pending(mount, parent, name) ? -EEXIST : 0;
    if (!err)
        err = submit_make(request, mode, value, value ? strlen(value) : 0);
    if (err)
        fail(request, err);
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

static int submit_take(struct kv_request *request, enum kv_op_type type,
                       unsigned flags);

static void taken(struct kv_txn *txn, void *ctx)
{
    struct kv_request *request = ctx;
    struct kv_mount *mount = request->mount;
    const struct kv_op *op = &txn->ops[0];
    int err = txn->error;
    bool late = err == -ECANCELED;
    if (late)
        err = kv_request_find_again(request);
    if (late && !err)
        err = submit_take(request, op->type, op->flags);
    if (err || !late) {
        fuse_reply_err(request->req, -err);
        kv_request_free(request);
    }
    kv_mount_landed(mount);
}

static int submit_take(struct kv_request *request, enum kv_op_type type, unsigned flags)
{
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = NULL;
    struct kv_op *op;
    int err = kv_request_txn(request, type, 0, taken, &txn, &op);
    if (!err)
        err = kv_txn_require_parent(txn, request->parent, &request->path);
    if (err)
        return err;
    op->flags = flags;
    kv_mount_submit(request->mount, KV_STEAL(txn));
    return 0;
}

static void take_away(struct kv_mount *mount, fuse_req_t req, fuse_ino_t parent,
                      const char *name, enum kv_op_type type)
{
    struct kv_request *request = begin(mount, req, parent, name);
    if (!request)
        return;
    /* In case somebody else has made it. */
    bool forgot = type == KV_OP_DELETE && forget_pending(mount, parent, name);
    int err = submit_take(request, type, forgot ? KV_OP_IF_EXISTS : 0);
    if (err)
        fail(request, err);
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

static void end_renaming(struct renaming *renaming, int err)
{
    fuse_reply_err(renaming->request->req, -err);
    free_renaming(renaming);
}

static int submit_rename(struct renaming *renaming);

static void renamed(struct kv_txn *txn, void *ctx)
{
    struct renaming *renaming = ctx;
    struct kv_mount *mount = renaming->request->mount;
    int err = txn->error;
    bool late = err == -ECANCELED;
    if (late)
        err = kv_request_find_again(renaming->request);
    if (late && !err)
        err = submit_rename(renaming);
    if (err || !late)
        end_renaming(renaming, err);
    kv_mount_landed(mount);
}

static int submit_rename(struct renaming *renaming)
{
    struct kv_request *request = renaming->request;
    struct kv_mount *mount = request->mount;
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = NULL;
    const struct kv_path *from = &request->path;
    struct kv_path to;
    struct kv_op *op;
    int err = kv_child_path(mount, request->parent, request->name, &request->path);
    if (!err)
        err = kv_child_path(mount, renaming->new_parent, renaming->new_name, &to);
    if (!err && !(renaming->flags & RENAME_EXCHANGE) &&
        dir_has_pending(mount, renaming->new_parent, renaming->new_name))
        err = -ENOTEMPTY;
    if (!err)
        err = kv_txn_new(mount->origin, renamed, renaming, &txn);
    if (!err)
        err = kv_txn_require_parent(txn, request->parent, from);
    if (!err)
        err = kv_txn_require_parent(txn, renaming->new_parent, &to);
    if (!err)
        err = kv_txn_op(txn, KV_OP_RENAME, from->key, from->len, &op);
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
    if (err)
        end_renaming(renaming, err);
}

static void rename_source_published(struct kv_mount *mount, void *ctx, int err)
{
    struct renaming *renaming = ctx;
    if (err) {
        end_renaming(renaming, err);
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
    *renaming = (struct renaming){
        .request = request, .new_parent = new_parent, .new_name = copy, .flags = flags};
    fuse_ino_t source = pending_id(mount, parent, name);
    kv_publish_pending(mount, source, rename_source_published, renaming);
}
