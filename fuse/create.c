/* CREATE: with O_EXCL a transaction, answered when it is committed; otherwise a name
 * that only this mount knows until its first publication. */
#include "base/clock.h"
#include "fuse/expect.h"
#include "fuse/file.h"
#include "fuse/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static void reply_create(struct kv_mount *mount, fuse_req_t req,
                         const struct kv_meta *meta, struct kv_handle *handle,
                         struct fuse_file_info *fi)
{
    struct fuse_entry_param entry;
    kv_entry_fill(mount, &entry, meta, false);
    kv_handle_note(mount, handle);
    kv_file_info_fill(mount, fi, handle, true);
    if (fuse_reply_create(req, &entry, fi) != -ENOENT)
        return;
    atomic_fetch_sub(&mount->open_handles, 1);
    kv_publish_abandon(mount, handle);
    kv_inodes_forget(&mount->inodes, meta->id, 1);
}

/* Reply with an open handle on a record. Takes the record over. */
static int open_created(struct kv_request *request, struct kv_record *record,
                        bool truncated)
{
    struct kv_mount *mount = request->mount;
    pid_t tid = fuse_req_ctx(request->req)->pid;
    struct kv_meta meta = record->meta;
    bool settled;
    int err = kv_enter(mount, request->parent, request->name, record, &settled);
    if (err) {
        kv_record_unref(record);
        return err;
    }
    struct kv_handle *handle =
        kv_handle_new(meta.id, request->file.flags, tid, truncated, record);
    err = handle ? kv_handle_attach(mount, handle) : -ENOMEM;
    if (err) {
        if (handle)
            kv_handle_drop(mount, handle);
        kv_inodes_forget(&mount->inodes, meta.id, 1);
        return err;
    }
    reply_create(mount, request->req, &meta, handle, &request->file);
    return 0;
}

static int create_exclusive(struct kv_request *request, const struct kv_meta *meta);

static void created(struct kv_txn *txn, void *ctx)
{
    struct kv_request *request = ctx;
    struct kv_mount *mount = request->mount;
    int err = txn->error;
    bool late = err == -ECANCELED;
    if (late)
        err = kv_request_find_again(request);
    if (late && !err)
        err = create_exclusive(request, &txn->ops[0].meta);
    else if (!err)
        err = open_created(request, kv_record_ref(txn->ops[0].result), false);
    if (err)
        fuse_reply_err(request->req, -err);
    if (err || !late)
        kv_request_free(request);
    kv_mount_landed(mount);
}

/* O_EXCL commits at once, so that lock files work, also towards HTTP. */
static int create_exclusive(struct kv_request *request, const struct kv_meta *meta)
{
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = NULL;
    struct kv_op *op;
    int err = kv_request_txn(request, KV_OP_PUT, 0, created, &txn, &op);
    if (!err)
        err = kv_txn_require_parent(txn, request->parent, &request->path);
    if (err)
        return err;
    op->flags = KV_OP_EXCL;
    op->set = KV_SET_MODE | KV_SET_UID | KV_SET_GID;
    op->meta = *meta;
    op->new_id = meta->id;
    kv_mount_submit(request->mount, KV_STEAL(txn));
    return 0;
}

/* Enter a name that only this mount knows, with its first handle. */
static int enter_pending_locked(struct kv_mount *mount,
                                const struct kv_request *request,
                                struct kv_pending *pending, struct kv_handle *handle)
{
    struct kv_inode *dir = kv_inodes_find_locked(&mount->inodes, request->parent);
    size_t len = strlen(request->name);
    if (!dir || dir->gone || kv_inode_pending_child_locked(dir, request->name, len))
        return -ESTALE;
    struct kv_inode *inode;
    int err = kv_inodes_enter_locked(&mount->inodes, dir, request->name, len,
                                     pending->meta.id, S_IFREG, 0, &inode);
    if (err)
        return err;
    kv_inode_set_pending_locked(inode, pending);
    dir->touched_ns = pending->meta.ctime_ns;
    kv_handle_attach_locked(handle, inode);
    return 0;
}

static int create_pending(struct kv_mount *mount, struct kv_request *request,
                          const struct kv_meta *meta)
{
    KV_CLEANUP(kv_pending_freep)
    struct kv_pending *pending = calloc(1, sizeof(*pending));
    struct kv_handle *handle = kv_handle_new(
        meta->id, request->file.flags, fuse_req_ctx(request->req)->pid, true, NULL);
    if (!pending || !handle) {
        if (handle)
            kv_handle_drop(mount, handle);
        return -ENOMEM;
    }
    pending->meta = *meta;
    kv_lock(&mount->inodes.lock);
    int err = enter_pending_locked(mount, request, pending, handle);
    kv_unlock(&mount->inodes.lock);
    if (err) {
        kv_handle_drop(mount, handle);
        return err;
    }
    KV_STEAL(pending);
    reply_create(mount, request->req, meta, handle, &request->file);
    kv_request_free(request);
    return 0;
}

static bool in_group(fuse_req_t req, gid_t gid)
{
    if (fuse_req_ctx(req)->gid == gid)
        return true;
    int count = fuse_req_getgroups(req, 0, NULL);
    KV_CLEANUP(kv_free)
    gid_t *groups = count > 0 ? calloc((size_t)count, sizeof(*groups)) : NULL;
    int got = groups ? fuse_req_getgroups(req, count, groups) : 0;
    for (int i = 0; i < got && i < count; i++) {
        if (groups[i] == gid)
            return true;
    }
    return false;
}

/* Whether the caller may open a file as he asks. */
static bool may_open(const struct kv_request *request, const struct kv_meta *meta)
{
    const struct fuse_ctx *caller = fuse_req_ctx(request->req);
    int access = request->file.flags & O_ACCMODE;
    bool writes = access != O_RDONLY || (request->file.flags & O_TRUNC);
    uint32_t wanted = (access != O_WRONLY ? 4u : 0) | (writes ? 2u : 0);
    unsigned shift = caller->uid == meta->uid            ? 6
                     : in_group(request->req, meta->gid) ? 3
                                                         : 0;
    return caller->uid == 0 || ((meta->mode >> shift) & wanted) == wanted;
}

/* Somebody else has made the name since the kernel looked for it. It is for OPEN,
 * before which the kernel checks who may, and ESTALE brings it there. Only if that is
 * what brought it here, the file is opened right away: there is no third try. */
static int create_found(struct kv_mount *mount, struct kv_request *request)
{
    pid_t tid = fuse_req_ctx(request->req)->pid;
    int64_t now_ns = kv_clock_monotonic_ns();
    const struct kv_path *path = &request->path;
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    if (!kv_retry_expects(&mount->retry, tid, now_ns) ||
        kv_store_get(mount->store, path->key, path->len, &record) ||
        !S_ISREG(record->meta.mode) || !may_open(request, &record->meta)) {
        kv_retry_stale(&mount->retry, tid, 0, now_ns);
        return -ESTALE;
    }
    int err = open_created(request, KV_STEAL(record), request->file.flags & O_TRUNC);
    if (!err)
        kv_request_free(request);
    return err;
}

static int create(struct kv_mount *mount, struct kv_request *request, mode_t mode)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *there = NULL;
    struct kv_meta meta;
    const struct kv_path *path = &request->path;
    bool exclusive = request->file.flags & O_EXCL;
    int err = kv_store_writable(mount->store);
    if (err)
        return err;
    if (!exclusive) {
        err = kv_store_stat(mount->store, path->key, path->len, &there);
        if (err != -ENOENT)
            return err ? err : create_found(mount, request);
    } else {
        KV_SCOPED_LOCK(&mount->inodes.lock);
        struct kv_inode *dir = kv_inodes_find_locked(&mount->inodes, request->parent);
        if (dir &&
            kv_inode_pending_child_locked(dir, request->name, strlen(request->name)))
            return -EEXIST;
    }
    kv_new_meta(mount, request->req, request->parent, S_IFREG | (mode & 07777), &meta);
    meta.id = kv_store_new_id(mount->store);
    return exclusive ? create_exclusive(request, &meta)
                     : create_pending(mount, request, &meta);
}

void kv_op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                  struct fuse_file_info *fi)
{
    struct kv_mount *mount = kv_mount_of(req);
    struct kv_request *request = NULL;
    parent = kv_ino_of(mount, parent);
    if (kv_expect_make(mount, req, parent, name, fi))
        return;
    int err = kv_request_new(mount, req, parent, name, &request);
    if (!err) {
        request->file = *fi;
        err = kv_child_path(mount, parent, name, &request->path);
    }
    if (!err)
        err = create(mount, request, mode);
    if (err) {
        kv_request_free(request);
        fuse_reply_err(req, -err);
    }
}
