/* GETATTR and SETATTR.
 *
 * SETATTR commits at once, with two exceptions. What concerns a name that is not
 * published yet waits with it. And the time that a process sets on a file it is
 * writing (cp -p, tar and rsync do so before they close) goes out with the bytes,
 * because a commit at the close would otherwise set it to now.
 *
 * The kernel takes the attributes in the reply to SETATTR without asking whether they
 * were invalidated meanwhile, so those are for one use only. */
#include "fuse/attr.h"

#include "base/clock.h"
#include "fuse/control.h"
#include "fuse/expect.h"
#include "fuse/file.h"
#include "fuse/orphan.h"
#include "fuse/notify.h"
#include "fuse/publish.h"

#include <errno.h>
#include <string.h>

/* -- What a process sees of its own files -- */

/* With what only the mount knows: of names that are not published, and access times. */
static void show_own(const struct kv_subject *subject, struct stat *st)
{
    if (S_ISDIR(st->st_mode) && subject->touched_ns > kv_timespec_ns(st->st_ctim))
        st->st_mtim = st->st_ctim = kv_ns_timespec(subject->touched_ns);
    if (subject->atime_set)
        st->st_atim = kv_ns_timespec(subject->atime_ns);
}

int kv_attr_get(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
                struct stat *ret, bool *ret_settled)
{
    KV_CLEANUP(kv_subject_done) struct kv_subject subject;
    int err = kv_resolve(mount, req, ino, false, &subject);
    if (err == -ESTALE) {
        struct kv_meta meta;
        err = kv_orphan_meta(mount, req, ino, &meta);
        if (err)
            return err;
        kv_stat_fill(mount, ret, &meta);
        ret->st_nlink = 0;
        show_own(&subject, ret);
        *ret_settled = false;
        return 0;
    }
    if (err)
        return err;
    if (!subject.settled) {
        struct kv_handle *own =
            kv_unpublished_handle(mount, fuse_req_ctx(req)->pid, ino);
        if (own) {
            kv_handle_show(own, &subject.meta);
            kv_handle_drop(mount, own);
        }
    }
    kv_stat_fill(mount, ret, &subject.meta);
    show_own(&subject, ret);
    *ret_settled = subject.settled;
    return 0;
}

static void reply_attr(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
                       bool keep)
{
    struct stat st;
    bool settled;
    int err = kv_attr_get(mount, req, ino, &st, &settled);
    if (err)
        fuse_reply_err(req, -err);
    else
        fuse_reply_attr(req, &st, keep ? kv_attr_timeout(&st, settled) : 0);
}

static void getattr_later(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
                          struct fuse_file_info *fi)
{
    (void)fi;
    reply_attr(mount, req, ino, true);
}

void kv_op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct kv_mount *mount = kv_mount_of(req);
    ino = kv_ino_of(mount, ino);
    (void)fi; /* the kernel sends none, not even for fstat */
    if (kv_is_control(ino))
        kv_control_getattr(mount, req, ino);
    else if (kv_expect_getattr(mount, req, ino))
        return;
    else if (!kv_park(mount, req, ino, NULL, false, getattr_later))
        reply_attr(mount, req, ino, true);
}

/* -- SETATTR -- */

static int64_t wanted_mtime(const struct stat *attr, int to_set)
{
    return to_set & FUSE_SET_ATTR_MTIME_NOW ? kv_clock_realtime_ns()
                                            : kv_timespec_ns(attr->st_mtim);
}

/* ftruncate(2): changes the handle's bytes. */
static int resize_handle(struct kv_mount *mount, struct kv_handle *handle, off_t size)
{
    int err = handle->writable ? kv_store_writable(mount->store) : -EINVAL;
    if (!err)
        kv_handle_follow(mount, handle, 0);
    if (!err)
        err = kv_handle_resize(handle, (uint64_t)size, mount->max_value_bytes);
    if (err)
        return err;
    kv_lock(&handle->lock);
    kv_publish_note_locked(mount, handle);
    kv_unlock(&handle->lock);
    return 0;
}

/* Leave the time with every file of the inode that the process is writing. */
static bool defer_mtime(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
                        int64_t mtime_ns)
{
    struct kv_handle *own = kv_unpublished_handle(mount, fuse_req_ctx(req)->pid, ino);
    if (!own)
        return false;
    kv_lock(&own->lock);
    bool deferred = kv_flush_rest(&own->flush);
    if (deferred) {
        own->mtime_set = true;
        own->mtime_ns = mtime_ns;
    }
    kv_unlock(&own->lock);
    kv_handle_drop(mount, own);
    return deferred;
}

/* Access times are kept as long as the kernel remembers the file. */
static void keep_atime(struct kv_mount *mount, fuse_ino_t ino, const struct stat *attr,
                       int to_set)
{
    if (!(to_set & FUSE_SET_ATTR_ATIME))
        return;
    KV_SCOPED_LOCK(&mount->inodes.lock);
    struct kv_inode *inode = kv_inodes_find_locked(&mount->inodes, ino);
    if (!inode)
        return;
    inode->atime_set = true;
    inode->atime_ns = to_set & FUSE_SET_ATTR_ATIME_NOW ? kv_clock_realtime_ns()
                                                       : kv_timespec_ns(attr->st_atim);
}

static unsigned meta_of(const struct stat *attr, int to_set, struct kv_meta *meta)
{
    unsigned set = 0;
    if (to_set & FUSE_SET_ATTR_MODE) {
        set |= KV_SET_MODE;
        meta->mode = attr->st_mode;
    }
    if (to_set & FUSE_SET_ATTR_UID) {
        set |= KV_SET_UID;
        meta->uid = attr->st_uid;
    }
    if (to_set & FUSE_SET_ATTR_GID) {
        set |= KV_SET_GID;
        meta->gid = attr->st_gid;
    }
    if (to_set & FUSE_SET_ATTR_MTIME) {
        set |= KV_SET_MTIME;
        meta->mtime_ns = wanted_mtime(attr, to_set);
    }
    if (to_set & FUSE_SET_ATTR_SIZE) {
        set = (set & ~(unsigned)KV_SET_MTIME) | KV_SET_SIZE;
        meta->size = (uint64_t)attr->st_size;
    }
    return set;
}

/* Keep the change with a name that is not published. False: it is. */
static bool set_pending(struct kv_mount *mount, fuse_ino_t ino, unsigned set,
                        const struct kv_meta *meta)
{
    KV_SCOPED_LOCK(&mount->inodes.lock);
    struct kv_inode *inode = kv_inodes_find_locked(&mount->inodes, ino);
    if (!inode || !inode->pending || inode->publishing > 0)
        return false;
    kv_pending_set(inode->pending, set, meta);
    return true;
}

/* Committer thread. */
static void set_done(struct kv_txn *txn, void *ctx)
{
    KV_CLEANUP(kv_request_freep) struct kv_request *request = ctx;
    struct kv_mount *mount = request->mount;
    struct kv_meta orphan;
    struct stat st;
    if (kv_request_follow(request, txn, set_done)) {
        KV_STEAL(request);
        return;
    }
    int err = txn->error;
    if (!err) {
        kv_stat_fill(mount, &st, &txn->ops[0].result->meta);
    } else if (err == -ECANCELED || err == -ENOENT) {
        const struct kv_op *op = &txn->ops[0];
        err = kv_orphan_set(mount, request->req, request->ino, op->set, &op->meta,
                            &orphan);
        if (!err)
            kv_stat_fill(mount, &st, &orphan);
    }
    if (err) {
        fuse_reply_err(request->req, -err);
    } else {
        kv_size_in_writing(mount, &st);
        fuse_reply_attr(request->req, &st, 0);
    }
    kv_mount_landed(mount);
}

static int submit_set(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
                      unsigned set, const struct kv_meta *meta)
{
    KV_CLEANUP(kv_request_freep) struct kv_request *request = NULL;
    struct kv_txn *txn;
    struct kv_op *op;
    int err = kv_request_new(mount, req, 0, NULL, &request);
    if (!err)
        err = kv_inodes_path(&mount->inodes, ino, NULL, &request->path);
    if (!err) {
        request->ino = ino;
        err = kv_request_txn(request, KV_OP_SET_META, ino, set_done, &txn, &op);
    }
    if (err)
        return err;
    op->set = set;
    op->meta = *meta;
    KV_STEAL(request);
    kv_mount_submit(mount, txn);
    return 0;
}

/* A change that waits until what comes before it is published. */
struct later {
    fuse_req_t req;
    fuse_ino_t ino;
    unsigned set;
    struct kv_meta meta;
};

static void set_published(struct kv_mount *mount, void *ctx, int err)
{
    struct later *later = ctx;
    if (!err)
        err = submit_set(mount, later->req, later->ino, later->set, &later->meta);
    if (err)
        fuse_reply_err(later->req, -err);
    free(later);
}

static void set_record(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
                       unsigned set, const struct kv_meta *meta)
{
    struct later *later = malloc(sizeof(*later));
    if (!later) {
        fuse_reply_err(req, ENOMEM);
        return;
    }
    *later = (struct later){.req = req, .ino = ino, .set = set, .meta = *meta};
    struct kv_handle *own =
        set & KV_SET_SIZE ? kv_unpublished_handle(mount, fuse_req_ctx(req)->pid, ino)
                          : NULL;
    if (own) { /* truncate(2) of what the process has written */
        kv_publish(mount, own, set_published, later);
        kv_handle_drop(mount, own);
    } else {
        kv_publish_pending(mount, ino, set_published, later);
    }
}

void kv_op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                   struct fuse_file_info *fi)
{
    struct kv_mount *mount = kv_mount_of(req);
    ino = kv_ino_of(mount, ino);
    struct kv_meta meta = {0};
    if (kv_is_control(ino)) {
        fuse_reply_err(req, EPERM);
        return;
    }
    if (kv_expect_setattr(mount, req, ino))
        return;
    if (fi && fi->fh && (to_set & FUSE_SET_ATTR_SIZE)) {
        int err = resize_handle(mount, kv_mount_opened(mount, fi), attr->st_size);
        if (err) {
            fuse_reply_err(req, -err);
            return;
        }
        to_set &= FUSE_SET_ATTR_MODE; /* without set-id bits */
    }
    keep_atime(mount, ino, attr, to_set);
    unsigned set = meta_of(attr, to_set, &meta);
    if ((set & KV_SET_MTIME) && defer_mtime(mount, req, ino, meta.mtime_ns))
        set &= ~(unsigned)KV_SET_MTIME;
    if (set == 0 || (!(set & KV_SET_SIZE) && set_pending(mount, ino, set, &meta)))
        reply_attr(mount, req, ino, false);
    else
        set_record(mount, req, ino, set, &meta);
}
