/* Attributes and entries as the kernel wants them, and the lookup counts that go with
 * each entry: raised before the reply, because afterwards the kernel may already
 * forget it; lowered again when nobody took the reply. */
#include "fuse/mount.h"

#include "base/clock.h"
#include "fuse/notify.h"
#include "fuse/orphan.h"

#include <errno.h>
#include <string.h>

#define BLOCK 4096

void kv_stat_fill(const struct kv_mount *mount, struct stat *st,
                  const struct kv_meta *meta)
{
    const struct kv_mount_view *view = &mount->view;
    *st = (struct stat){
        .st_ino = meta->id,
        .st_mode = meta->mode & ~(uint32_t)(view->umask & 0777),
        .st_nlink = 1,
        .st_uid = view->has_uid ? view->uid : meta->uid,
        .st_gid = view->has_gid ? view->gid : meta->gid,
        .st_size = (off_t)meta->size,
        .st_blksize = BLOCK,
        .st_blocks = (blkcnt_t)((meta->size + 511) / 512),
        .st_mtim = kv_ns_timespec(meta->mtime_ns),
        .st_ctim = kv_ns_timespec(meta->ctime_ns),
    };
    st->st_atim = st->st_mtim; /* reading changes nothing */
}

double kv_attr_timeout(const struct stat *st, bool settled)
{
    int64_t age_ns = kv_clock_realtime_ns() - kv_timespec_ns(st->st_ctim);
    return settled && age_ns >= KV_AT_REST_NS ? KV_FOREVER : 0;
}

void kv_entry_fill(struct kv_mount *mount, struct fuse_entry_param *entry,
                   const struct kv_meta *meta, bool settled)
{
    *entry = (struct fuse_entry_param){
        .ino = meta->id,
        .entry_timeout = KV_FOREVER,
    };
    kv_stat_fill(mount, &entry->attr, meta);
    if (!settled)
        kv_size_in_writing(mount, &entry->attr);
    entry->attr_timeout = kv_attr_timeout(&entry->attr, settled);
}

void kv_reply_entry(struct kv_mount *mount, fuse_req_t req,
                    const struct fuse_entry_param *entry)
{
    if (fuse_reply_entry(req, entry) == -ENOENT)
        kv_inodes_forget(&mount->inodes, entry->ino, 1);
}

int kv_enter(struct kv_mount *mount, fuse_ino_t parent, const char *name,
             const struct kv_record *record, bool *ret_settled)
{
    uint64_t announced = kv_notifier_announced(mount->notifier);
    KV_SCOPED_LOCK(&mount->inodes.lock);
    struct kv_inode *dir = kv_inodes_find_locked(&mount->inodes, parent);
    if (!dir)
        return -ESTALE;
    struct kv_inode *inode;
    int err = kv_inodes_enter_locked(&mount->inodes, dir, name, strlen(name),
                                     record->meta.id, record->meta.mode & S_IFMT,
                                     record->meta.mod_revision, &inode);
    if (err)
        return err;
    dir->confirmed = true;
    inode->size = record->meta.size;
    *ret_settled = inode->confirmed && inode->unpublished == 0 && !inode->atime_set &&
                   inode->moved_revision <= announced &&
                   record->meta.mod_revision <= announced;
    return 0;
}

void kv_reply_record(struct kv_mount *mount, fuse_req_t req, fuse_ino_t parent,
                     const char *name, const struct kv_record *record)
{
    struct fuse_entry_param entry;
    bool settled;
    int err = kv_enter(mount, parent, name, record, &settled);
    if (err) {
        fuse_reply_err(req, -err);
        return;
    }
    kv_entry_fill(mount, &entry, &record->meta, settled);
    kv_reply_entry(mount, req, &entry);
}

int kv_child_path(struct kv_mount *mount, fuse_ino_t parent, const char *name,
                  struct kv_path *ret)
{
    if (kv_is_control(parent))
        return -EPERM;
    if (strlen(name) > KV_KEY_COMPONENT_MAX)
        return -ENAMETOOLONG;
    int err = kv_inodes_path(&mount->inodes, parent, name, ret);
    if (err == -ESTALE && kv_orphan_dir(mount, parent, NULL))
        return -ENOENT;
    return err ? err : kv_key_rule_errno(kv_key_check(ret->key, ret->len));
}

void kv_new_meta(struct kv_mount *mount, fuse_req_t req, fuse_ino_t parent, mode_t mode,
                 struct kv_meta *ret)
{
    const struct fuse_ctx *caller = fuse_req_ctx(req);
    int64_t now_ns = kv_clock_realtime_ns();
    *ret = (struct kv_meta){
        .mode = mode,
        .uid = caller->uid,
        .gid = caller->gid,
        .mtime_ns = now_ns,
        .ctime_ns = now_ns,
    };
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *dir = kv_record_of(mount, parent, parent, false);
    if (!dir || !(dir->meta.mode & S_ISGID)) /* the commit will say that it is gone */
        return;
    ret->gid = dir->meta.gid;
    if (S_ISDIR(mode))
        ret->mode |= S_ISGID;
}
