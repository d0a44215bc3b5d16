/* LOOKUP, FORGET, READLINK, STATFS. */
#include "fuse/control.h"
#include "fuse/expect.h"
#include "fuse/mount.h"

#include "base/clock.h"

#include <errno.h>
#include <string.h>

/* A name that is not published yet, if the directory has one; nlookup is raised. */
static bool enter_pending(struct kv_mount *mount, fuse_ino_t parent, const char *name,
                          struct kv_meta *ret)
{
    KV_SCOPED_LOCK(&mount->inodes.lock);
    struct kv_inode *dir = kv_inodes_find_locked(&mount->inodes, parent);
    struct kv_inode *inode =
        dir ? kv_inode_pending_child_locked(dir, name, strlen(name)) : NULL;
    if (!inode)
        return false;
    inode->nlookup++;
    *ret = inode->pending->meta;
    return true;
}

/* The record of a name. A thread that comes back after ESTALE gets the value too, to
 * have something it can open. */
static int find(struct kv_mount *mount, fuse_req_t req, const struct kv_path *path,
                struct kv_record **ret)
{
    pid_t tid = fuse_req_ctx(req)->pid;
    if (!kv_retry_expects(&mount->retry, tid, kv_clock_monotonic_ns()))
        return kv_store_stat(mount->store, path->key, path->len, ret);
    int err = kv_store_get(mount->store, path->key, path->len, ret);
    if (!err)
        kv_retry_found(&mount->retry, tid, *ret);
    return err;
}

/* The name is looked for among the unpublished ones first: one that is published in
 * between is found in one of the two places. */
static void lookup(struct kv_mount *mount, fuse_req_t req, fuse_ino_t parent,
                   const char *name)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    struct kv_path path;
    struct kv_meta pending;
    int err = kv_child_path(mount, parent, name, &path);
    if (err) {
        fuse_reply_err(req, -err);
        return;
    }
    bool is_pending = enter_pending(mount, parent, name, &pending);
    err = find(mount, req, &path, &record);
    if (is_pending && err == -ENOENT) {
        struct fuse_entry_param entry;
        kv_entry_fill(mount, &entry, &pending, false);
        kv_reply_entry(mount, req, &entry);
        return;
    }
    if (is_pending)
        kv_inodes_forget(&mount->inodes, pending.id, 1);
    if (err)
        fuse_reply_err(req, -err);
    else
        kv_reply_record(mount, req, parent, name, record);
}

void kv_op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct kv_mount *mount = kv_mount_of(req);
    parent = kv_ino_of(mount, parent);
    if (!kv_control_lookup(mount, req, parent, name) &&
        !kv_expect_lookup(mount, req, parent, name))
        lookup(mount, req, parent, name);
}

void kv_op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup)
{
    struct kv_mount *mount = kv_mount_of(req);
    if (!kv_is_control(ino))
        kv_inodes_forget(&mount->inodes, ino, nlookup);
    fuse_reply_none(req);
}

void kv_op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
    struct kv_mount *mount = kv_mount_of(req);
    for (size_t i = 0; i < count; i++) {
        if (!kv_is_control(forgets[i].ino))
            kv_inodes_forget(&mount->inodes, forgets[i].ino, forgets[i].nlookup);
    }
    fuse_reply_none(req);
}

void kv_op_readlink(fuse_req_t req, fuse_ino_t ino)
{
    struct kv_mount *mount = kv_mount_of(req);
    ino = kv_ino_of(mount, ino);
    KV_CLEANUP(kv_subject_done) struct kv_subject subject = {0};
    KV_CLEANUP(kv_free) char *target = NULL;
    int err =
        kv_is_control(ino) ? -EINVAL : kv_resolve(mount, req, ino, true, &subject);
    if (!err && (!subject.record || !kv_record_is_link(subject.record)))
        err = -EINVAL;
    if (!err) {
        target = strndup(subject.record->value ? subject.record->value : "",
                         subject.record->meta.size);
        err = target ? 0 : -ENOMEM;
    }
    if (err)
        fuse_reply_err(req, -err);
    else
        fuse_reply_readlink(req, target);
}

void kv_op_statfs(fuse_req_t req, fuse_ino_t ino)
{
    struct kv_mount *mount = kv_mount_of(req);
    struct kv_store_status status;
    (void)ino;
    int err = kv_store_status(mount->store, &status);
    if (err) {
        fuse_reply_err(req, -err);
        return;
    }
    const uint64_t block = 4096;
    uint64_t left =
        status.max_bytes > status.used_bytes ? status.max_bytes - status.used_bytes : 0;
    struct statvfs st = {
        .f_bsize = block,
        .f_frsize = block,
        .f_blocks = status.max_bytes / block,
        .f_bfree = left / block,
        .f_bavail = left / block,
        .f_files = status.keys + status.directories + left / block,
        .f_ffree = left / block, /* a key takes a part of a page at least */
        .f_favail = left / block,
        .f_namemax = KV_KEY_COMPONENT_MAX,
    };
    fuse_reply_statfs(req, &st);
}
