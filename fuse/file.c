/* Files: OPEN, READ, WRITE, FLUSH, FSYNC, RELEASE. What a handle does with its bytes is
 * in handle.c, when they are published in flush.c and publish.c. */
#include "fuse/file.h"

#include "base/clock.h"
#include "fuse/control.h"
#include "fuse/expect.h"
#include "fuse/orphan.h"
#include "fuse/publish.h"
#include "fuse/setid.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

void kv_file_info_fill(struct kv_mount *mount, struct fuse_file_info *fi,
                       const struct kv_handle *handle, bool may_publish)
{
    fi->fh = kv_mount_hand_out(mount, handle);
    fi->direct_io = 1;
    fi->keep_cache = 0;
    fi->noflush = !may_publish;
}

void kv_handle_attach_locked(struct kv_handle *handle, struct kv_inode *inode)
{
    handle->inode = kv_inode_ref_locked(inode);
    kv_list_push_back(&inode->handles, &handle->node);
}

int kv_handle_attach(struct kv_mount *mount, struct kv_handle *handle)
{
    KV_SCOPED_LOCK(&mount->inodes.lock);
    struct kv_inode *inode = kv_inodes_find_locked(&mount->inodes, handle->ino);
    if (!inode)
        return -ESTALE;
    kv_handle_attach_locked(handle, inode);
    return 0;
}

void kv_handle_note(struct kv_mount *mount, struct kv_handle *handle)
{
    kv_lock(&handle->lock);
    bool first = kv_publish_note_locked(mount, handle);
    kv_unlock(&handle->lock);
    if (first)
        kv_mount_drop_attr(mount, handle->ino);
}

/* -- OPEN -- */

static int open_handle(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
                       int flags, struct kv_handle **ret)
{
    pid_t tid = fuse_req_ctx(req)->pid;
    bool truncated = flags & O_TRUNC;
    uint64_t revision = kv_store_revision(mount->store);
    KV_CLEANUP(kv_subject_done) struct kv_subject subject = {0};
    int err = 0;
    if ((flags & O_ACCMODE) != O_RDONLY || truncated)
        err = kv_store_writable(mount->store);
    if (!err)
        err = kv_resolve(mount, req, ino, !truncated, &subject);
    if (err == -ESTALE && (flags & (O_ACCMODE | O_TRUNC)) == O_RDONLY)
        err = kv_orphan_value(mount, req, ino, &subject.record);
    else if (!err && !S_ISREG(subject.meta.mode))
        err = S_ISDIR(subject.meta.mode) ? -EISDIR : -ELOOP;
    if (err)
        return err;
    struct kv_handle *handle =
        kv_handle_new(ino, flags, tid, truncated, KV_STEAL(subject.record));
    if (!handle)
        return -ENOMEM;
    err = kv_handle_attach(mount, handle);
    if (err) {
        kv_handle_drop(mount, handle);
        return err;
    }
    kv_retry_forget(&mount->retry, tid);
    kv_lock(&handle->lock);
    handle->seen_revision = revision;
    kv_unlock(&handle->lock);
    if (truncated)
        kv_handle_note(mount, handle);
    *ret = handle;
    return 0;
}

static void open_now(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
                     struct fuse_file_info *fi)
{
    struct kv_handle *handle;
    int err = open_handle(mount, req, ino, fi->flags, &handle);
    if (err) {
        fuse_reply_err(req, -err);
        return;
    }
    kv_file_info_fill(mount, fi, handle, handle->writable || (fi->flags & O_TRUNC));
    if (fuse_reply_open(req, fi) == -ENOENT) {
        atomic_fetch_sub(&mount->open_handles, 1);
        kv_publish_abandon(mount, handle);
    }
}

/* A request that goes on when the set-id bits are gone. -ENOMEM and others. */
static int clear_set_id_first(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
                              uint32_t mode, const struct fuse_file_info *fi,
                              size_t size, kv_txn_done_fn *done)
{
    struct kv_request *request;
    int err = kv_request_new(mount, req, 0, NULL, &request);
    if (err)
        return err;
    request->ino = ino;
    request->file = *fi;
    request->size = size;
    err = kv_clear_set_id(request, mode, done);
    if (err)
        kv_request_free(request);
    return err;
}

static void open_cleared(struct kv_txn *txn, void *ctx)
{
    KV_CLEANUP(kv_request_freep) struct kv_request *request = ctx;
    struct kv_mount *mount = request->mount;
    if (kv_request_follow(request, txn, open_cleared)) {
        KV_STEAL(request);
        return;
    }
    int err = kv_cleared_set_id(txn);
    if (err)
        fuse_reply_err(request->req, -err);
    else
        open_now(mount, request->req, request->ino, &request->file);
    kv_mount_landed(mount);
}

static void open_next(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
                      struct fuse_file_info *fi)
{
    uint32_t mode;
    if (!(fi->flags & O_TRUNC) || !kv_set_id(mount, req, ino, &mode)) {
        open_now(mount, req, ino, fi);
        return;
    }
    int err = clear_set_id_first(mount, req, ino, mode, fi, 0, open_cleared);
    if (err)
        fuse_reply_err(req, -err);
}

void kv_op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct kv_mount *mount = kv_mount_of(req);
    ino = kv_ino_of(mount, ino);
    if (kv_is_control(ino))
        kv_control_open(mount, req, ino, fi);
    else if (!kv_expect_open(mount, req, fi) &&
             !kv_park(mount, req, ino, fi, true, open_next))
        open_next(mount, req, ino, fi);
}

/* -- READ and WRITE -- */

void kv_handle_follow(struct kv_mount *mount, struct kv_handle *handle, uint64_t offset)
{
    uint64_t revision = kv_store_revision(mount->store);
    if (kv_handle_wants_newest(handle, offset, revision))
        kv_handle_refresh(handle, kv_newest(mount, handle), revision);
}

/* What the process has written and not published; a control file, too, has none. */
static struct kv_handle *written_elsewhere(struct kv_mount *mount, fuse_req_t req,
                                           struct kv_handle *handle)
{
    if (!kv_handle_yields(handle))
        return NULL;
    return kv_unpublished_handle(mount, fuse_req_ctx(req)->pid, handle->ino);
}

static int read_handle(struct kv_mount *mount, fuse_req_t req, struct kv_handle *handle,
                       uint64_t offset, size_t size, struct kv_part *ret)
{
    struct kv_handle *other = written_elsewhere(mount, req, handle);
    if (!other) {
        kv_handle_follow(mount, handle, offset);
        return kv_handle_read(handle, offset, size, ret);
    }
    int err = kv_handle_peek(other, offset, size, ret);
    kv_handle_yielded(handle);
    kv_handle_drop(mount, other);
    return err;
}

void kv_op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                struct fuse_file_info *fi)
{
    struct kv_mount *mount = kv_mount_of(req);
    struct kv_handle *handle = kv_mount_opened(mount, fi);
    KV_CLEANUP(kv_part_done) struct kv_part part = {0};
    (void)ino;
    int err = read_handle(mount, req, handle, (uint64_t)offset, size, &part);
    if (err)
        fuse_reply_err(req, -err);
    else
        fuse_reply_buf(req, part.data, part.len);
}

static void reply_written(struct kv_mount *mount, void *ctx, int err)
{
    KV_CLEANUP(kv_request_freep) struct kv_request *request = ctx;
    (void)mount;
    if (err)
        fuse_reply_err(request->req, -err);
    else
        fuse_reply_write(request->req, request->size);
}

/* The bytes are in the handle. With O_SYNC they are in the store before the write is
 * answered. */
static void written(struct kv_mount *mount, fuse_req_t req, struct kv_handle *handle,
                    int flags, size_t size)
{
    struct kv_request *request;
    if (!(flags & (O_SYNC | O_DSYNC))) {
        fuse_reply_write(req, size);
        return;
    }
    int err = kv_request_new(mount, req, 0, NULL, &request);
    if (err) {
        fuse_reply_err(req, -err);
        return;
    }
    request->size = size;
    kv_publish(mount, handle, reply_written, request);
}

static void write_cleared(struct kv_txn *txn, void *ctx)
{
    KV_CLEANUP(kv_request_freep) struct kv_request *request = ctx;
    struct kv_mount *mount = request->mount;
    if (kv_request_follow(request, txn, write_cleared)) {
        KV_STEAL(request);
        return;
    }
    int err = kv_cleared_set_id(txn);
    if (err)
        fuse_reply_err(request->req, -err);
    else
        written(mount, request->req, kv_mount_opened(mount, &request->file),
                request->file.flags, request->size);
    kv_mount_landed(mount);
}

/* Before a handle's bytes are changed: they are the newest, and can be stored. */
static int prepare_change(struct kv_mount *mount, struct kv_handle *handle)
{
    int err = kv_store_writable(mount->store);
    if (err)
        kv_handle_refuse(handle, err);
    else
        kv_handle_follow(mount, handle, 0);
    return err;
}

void kv_op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size,
                 off_t offset, struct fuse_file_info *fi)
{
    struct kv_mount *mount = kv_mount_of(req);
    struct kv_handle *handle = kv_mount_opened(mount, fi);
    uint32_t mode;
    int err = prepare_change(mount, handle);
    if (!err)
        err = kv_handle_set_append(handle, fi->flags & O_APPEND);
    if (!err)
        err = kv_handle_write(handle, (uint64_t)offset, data, size,
                              mount->max_value_bytes);
    if (err) {
        fuse_reply_err(req, -err);
        return;
    }
    kv_handle_note(mount, handle);
    if (!kv_set_id(mount, req, ino, &mode)) {
        written(mount, req, handle, fi->flags, size);
        return;
    }
    err = clear_set_id_first(mount, req, ino, mode, fi, size, write_cleared);
    if (err)
        fuse_reply_err(req, -err);
}

void kv_op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset,
                     off_t length, struct fuse_file_info *fi)
{
    struct kv_mount *mount = kv_mount_of(req);
    struct kv_handle *handle = kv_mount_opened(mount, fi);
    (void)ino;
    if (!handle) { /* the notifier's */
        fuse_reply_err(req, 0);
        return;
    }
    int err = 0;
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
        err = -EOPNOTSUPP;
    else
        err = prepare_change(mount, handle);
    if (!err)
        err = kv_handle_allocate(handle, mode, (uint64_t)offset, (uint64_t)length,
                                 mount->max_value_bytes);
    if (!err)
        kv_handle_note(mount, handle);
    fuse_reply_err(req, -err);
}

/* -- FLUSH, FSYNC, RELEASE -- */

static void reply_published(struct kv_mount *mount, void *ctx, int err)
{
    (void)mount;
    fuse_reply_err(ctx, -err);
}

/* How often the key was written when a truncation may be closed; when it cannot be
 * found, because it is gone or always just moved, more than ever. */
static uint64_t version_now(struct kv_mount *mount, struct kv_handle *handle)
{
    kv_lock(&handle->lock);
    bool wanted = handle->flush.truncated && !handle->flush.written;
    uint64_t id = kv_handle_record_id_locked(handle);
    kv_unlock(&handle->lock);
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *record =
        wanted ? kv_record_of(mount, handle->ino, id, false) : NULL;
    return record ? record->meta.version : UINT64_MAX - 1;
}

/* A flush that publishes nothing is answered at once, unless it is the opener's and
 * what it wrote before is still being committed: then close says how that ended. */
void kv_op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct kv_mount *mount = kv_mount_of(req);
    struct kv_handle *handle = kv_mount_opened(mount, fi);
    (void)ino;
    if (!handle || !handle->inode) { /* the notifier's, or a control file */
        fuse_reply_err(req, 0);
        return;
    }
    bool by_opener =
        kv_handle_opened_by(handle, fuse_req_ctx(req)->pid, fi->lock_owner);
    uint64_t version = version_now(mount, handle);
    kv_lock(&handle->lock);
    bool was_closed = kv_flush_limbo(&handle->flush);
    bool publish = kv_flush_flush(&handle->flush, by_opener);
    if (!was_closed && kv_flush_limbo(&handle->flush))
        handle->closed_version = version;
    bool clean = !kv_flush_unpublished(&handle->flush);
    kv_publish_note_locked(mount, handle);
    kv_unlock(&handle->lock);
    if (publish || (by_opener && clean))
        kv_publish(mount, handle, reply_published, req);
    else
        fuse_reply_err(req, 0);
}

void kv_op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
                 struct fuse_file_info *fi)
{
    struct kv_mount *mount = kv_mount_of(req);
    struct kv_handle *handle = kv_mount_opened(mount, fi);
    (void)ino;
    (void)datasync;
    if (!handle || !handle->inode)
        fuse_reply_err(req, 0);
    else
        kv_publish(mount, handle, reply_published, req);
}

void kv_op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct kv_mount *mount = kv_mount_of(req);
    struct kv_handle *handle = kv_mount_opened(mount, fi);
    (void)ino;
    if (handle)
        atomic_fetch_sub(&mount->open_handles, 1);
    if (handle && handle->inode)
        kv_publish_release(mount, handle);
    else if (handle)
        kv_control_release(mount, handle);
    fuse_reply_err(req, 0);
}
