/* Files: CREATE, OPEN, READ, WRITE, FLUSH, FSYNC, RELEASE. What a handle does with its
 * bytes is in handle.c, when they are published in flush.c and publish.c. */
#include "base/clock.h"
#include "fuse/control.h"
#include "fuse/expect.h"
#include "fuse/orphan.h"
#include "fuse/publish.h"
#include "fuse/setid.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

/* What the kernel is to do with the open file: no page cache, so that uncommitted bytes
 * and other versions never meet; and no FLUSH where nothing can be published. */
static void fill_file_info(struct kv_mount *mount, struct fuse_file_info *fi,
                           const struct kv_handle *handle, bool may_publish)
{
    fi->fh = kv_mount_hand_out(mount, handle);
    fi->direct_io = 1;
    fi->keep_cache = 0;
    fi->noflush = !may_publish;
}

static void attach_locked(struct kv_inode *inode, struct kv_handle *handle)
{
    handle->inode = kv_inode_ref_locked(inode);
    kv_list_push_back(&inode->handles, &handle->node);
}

static int attach(struct kv_mount *mount, struct kv_handle *handle)
{
    KV_SCOPED_LOCK(&mount->inodes.lock);
    struct kv_inode *inode = kv_inodes_find_locked(&mount->inodes, handle->ino);
    if (!inode)
        return -ESTALE;
    attach_locked(inode, handle);
    return 0;
}

/* The handle may have come to hold something unpublished. From then on attributes are
 * for one use only; what the kernel keeps must go before it hears of the truncation or
 * the write, because it changes the size it keeps first and its validity afterwards,
 * and a stat in between would show a size that no version has. */
static void note(struct kv_mount *mount, struct kv_handle *handle)
{
    kv_lock(&handle->lock);
    bool first = kv_publish_note_locked(mount, handle);
    kv_unlock(&handle->lock);
    if (first)
        kv_mount_drop_attr(mount, handle->ino);
}

/* -- CREATE -- */

static void reply_create(struct kv_mount *mount, fuse_req_t req,
                         const struct kv_meta *meta, struct kv_handle *handle,
                         struct fuse_file_info *fi)
{
    struct fuse_entry_param entry;
    kv_entry_fill(mount, &entry, meta, false);
    note(mount, handle);
    fill_file_info(mount, fi, handle, true);
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
    err = handle ? attach(mount, handle) : -ENOMEM;
    if (err) {
        if (handle)
            kv_handle_drop(mount, handle);
        kv_inodes_forget(&mount->inodes, meta.id, 1);
        return err;
    }
    reply_create(mount, request->req, &meta, handle, &request->file);
    return 0;
}

static void created(struct kv_txn *txn, void *ctx)
{
    struct kv_request *request = ctx;
    struct kv_mount *mount = request->mount;
    int err = txn->error;
    if (!err)
        err = open_created(request, kv_record_ref(txn->ops[0].result), false);
    if (err)
        fuse_reply_err(request->req, -err);
    kv_request_free(request);
    kv_mount_landed(mount);
}

/* O_EXCL commits at once, so that lock files work, also towards HTTP. */
static int create_exclusive(struct kv_mount *mount, struct kv_request *request,
                            const struct kv_meta *meta)
{
    struct kv_txn *txn;
    struct kv_op *op;
    int err = kv_request_txn(request, KV_OP_PUT, 0, created, &txn, &op);
    if (err)
        return err;
    op->flags = KV_OP_EXCL;
    op->set = KV_SET_MODE | KV_SET_UID | KV_SET_GID;
    op->meta = *meta;
    op->new_id = meta->id;
    kv_mount_submit(mount, txn);
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
    attach_locked(inode, handle);
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
    return exclusive ? create_exclusive(mount, request, &meta)
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
    err = attach(mount, handle);
    if (err) {
        kv_handle_drop(mount, handle);
        return err;
    }
    kv_retry_forget(&mount->retry, tid);
    kv_lock(&handle->lock);
    handle->seen_revision = revision;
    kv_unlock(&handle->lock);
    if (truncated)
        note(mount, handle);
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
    fill_file_info(mount, fi, handle, handle->writable || (fi->flags & O_TRUNC));
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

static void refresh(struct kv_mount *mount, struct kv_handle *handle, uint64_t offset)
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
    return kv_own_handle(mount, fuse_req_ctx(req)->pid, handle->ino);
}

static int read_handle(struct kv_mount *mount, fuse_req_t req, struct kv_handle *handle,
                       uint64_t offset, size_t size, struct kv_part *ret)
{
    struct kv_handle *other = written_elsewhere(mount, req, handle);
    if (!other) {
        refresh(mount, handle, offset);
        return kv_handle_read(handle, offset, size, ret);
    }
    int err = kv_handle_read(other, offset, size, ret);
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
        refresh(mount, handle, 0);
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
    note(mount, handle);
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
        note(mount, handle);
    fuse_reply_err(req, -err);
}

/* -- FLUSH, FSYNC, RELEASE -- */

static void reply_published(struct kv_mount *mount, void *ctx, int err)
{
    (void)mount;
    fuse_reply_err(ctx, -err);
}

/* How often the key was written when a truncation may be closed; 0: it is gone. */
static uint64_t version_now(struct kv_mount *mount, struct kv_handle *handle)
{
    struct kv_path path;
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    kv_lock(&handle->lock);
    bool wanted = handle->flush.truncated && !handle->flush.written;
    kv_unlock(&handle->lock);
    if (!wanted || kv_inodes_path(&mount->inodes, handle->ino, NULL, &path) ||
        kv_store_stat(mount->store, path.key, path.len, &record))
        return 0;
    return record->meta.version;
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
