/* Set-user-ID and set-group-ID bits go away when anybody but root changes the bytes of
 * a file. For truncate(2), ftruncate(2) and chown(2) the kernel says so with the
 * SETATTR; for a write and for O_TRUNC it leaves it to us, because nothing goes through
 * its page cache. */
#include "fuse/setid.h"

#include <errno.h>

/* A group bit without execution for the group means nothing, and stays. */
static uint32_t without_set_id(uint32_t mode)
{
    uint32_t bits = S_ISUID | (mode & S_IXGRP ? S_ISGID : 0u);
    return mode & ~bits;
}

/* True: the name is not published, and its bits are dealt with. */
static bool clear_pending(struct kv_mount *mount, fuse_ino_t ino)
{
    KV_SCOPED_LOCK(&mount->inodes.lock);
    struct kv_inode *inode = kv_inodes_find_locked(&mount->inodes, ino);
    if (!inode || !inode->pending || inode->publishing > 0)
        return false;
    inode->pending->meta.mode = without_set_id(inode->pending->meta.mode);
    return true;
}

bool kv_set_id(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
               uint32_t *ret_mode)
{
    if (fuse_req_ctx(req)->uid == 0 || clear_pending(mount, ino))
        return false;
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *record = kv_record_of(mount, ino, ino, false);
    if (!record)
        return false;
    *ret_mode = without_set_id(record->meta.mode);
    return *ret_mode != record->meta.mode;
}

int kv_clear_set_id(struct kv_request *request, uint32_t mode, kv_txn_done_fn *done)
{
    struct kv_mount *mount = request->mount;
    struct kv_txn *txn;
    struct kv_op *op;
    int err = kv_inodes_path(&mount->inodes, request->ino, NULL, &request->path);
    if (!err)
        err = kv_request_txn(request, KV_OP_SET_META, request->ino, done, &txn, &op);
    if (err)
        return err;
    op->set = KV_SET_MODE;
    op->meta.mode = mode;
    kv_mount_submit(mount, txn);
    return 0;
}

int kv_cleared_set_id(const struct kv_txn *txn)
{
    bool gone = txn->error == -ECANCELED || txn->error == -ENOENT;
    return gone ? 0 : txn->error;
}
