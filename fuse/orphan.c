/* Inodes without a key: files that were removed or replaced while somebody has them
 * open, and removed directories that somebody is in. The store knows them no more, so
 * what is set on them is kept here until the kernel forgets them. */
#include "fuse/orphan.h"

#include "base/clock.h"
#include "fuse/notify.h"
#include "fuse/publish.h"

#include <errno.h>

/* A handle through which the thread may ask about an inode without a key: one that its
 * process has opened, or another one, of which it can have inherited the descriptor. As
 * long as the kernel has a name for the inode, it may be that which the thread asks
 * about, and has to look up again. */
static struct kv_handle *handle_of(struct kv_mount *mount, pid_t tid, fuse_ino_t ino)
{
    uint64_t announced = kv_notifier_announced(mount->notifier);
    KV_SCOPED_LOCK(&mount->inodes.lock);
    const struct kv_inode *inode = kv_inodes_find_locked(&mount->inodes, ino);
    if (!inode)
        return NULL;
    struct kv_handle *handle = kv_handle_best_locked(inode, tid);
    if (!handle && kv_inode_nameless_locked(inode, announced))
        handle = kv_handle_best_locked(inode, 0);
    return handle ? kv_handle_ref(handle) : NULL;
}

/* The handle that knows best how long a file is; without one *ret_size is what the
 * kernel was told with its name, as somebody may be about to open it. */
static struct kv_handle *best_handle(struct kv_mount *mount, fuse_ino_t ino,
                                     uint64_t *ret_size)
{
    KV_SCOPED_LOCK(&mount->inodes.lock);
    const struct kv_inode *inode = kv_inodes_find_locked(&mount->inodes, ino);
    struct kv_handle *handle = inode ? kv_handle_best_locked(inode, 0) : NULL;
    *ret_size = inode ? inode->size : 0;
    return handle ? kv_handle_ref(handle) : NULL;
}

uint64_t kv_orphan_size(struct kv_mount *mount, fuse_ino_t ino)
{
    uint64_t size;
    struct kv_handle *handle = best_handle(mount, ino, &size);
    if (handle) {
        size = kv_handle_size(handle);
        kv_handle_drop(mount, handle);
    }
    return size;
}

bool kv_orphan_dir(struct kv_mount *mount, fuse_ino_t ino, struct kv_meta *ret)
{
    uint64_t announced = kv_notifier_announced(mount->notifier);
    KV_SCOPED_LOCK(&mount->inodes.lock);
    const struct kv_inode *inode = kv_inodes_find_locked(&mount->inodes, ino);
    if (!inode || !S_ISDIR(inode->type) || !inode->orphan ||
        !kv_inode_nameless_locked(inode, announced))
        return false;
    if (ret)
        *ret = inode->orphan->meta;
    return true;
}

/* What is kept of the inode; from now on that is meta, when there was nothing. */
static void keep(struct kv_mount *mount, fuse_ino_t ino, unsigned set,
                 const struct kv_meta *change, struct kv_meta *meta)
{
    KV_SCOPED_LOCK(&mount->inodes.lock);
    struct kv_inode *inode = kv_inodes_find_locked(&mount->inodes, ino);
    struct kv_pending *orphan = inode ? kv_inode_orphan_locked(inode, meta) : NULL;
    if (!orphan)
        return;
    if (set)
        kv_pending_set(orphan, set, change);
    *meta = orphan->meta;
}

int kv_orphan_set(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino, unsigned set,
                  const struct kv_meta *meta, struct kv_meta *ret)
{
    if (kv_orphan_dir(mount, ino, ret)) {
        keep(mount, ino, set, meta, ret);
        return 0;
    }
    struct kv_handle *handle = handle_of(mount, fuse_req_ctx(req)->pid, ino);
    if (!handle)
        return -ESTALE;
    kv_lock(&handle->lock);
    *ret = handle->record ? handle->record->meta
                          : (struct kv_meta){.id = ino, .mode = S_IFREG | 0600};
    kv_unlock(&handle->lock);
    ret->ctime_ns = kv_clock_realtime_ns(); /* of its removal, more or less */
    keep(mount, ino, set, meta, ret);
    kv_handle_show(handle, ret);
    ret->id = ino;
    kv_handle_drop(mount, handle);
    kv_retry_forget(&mount->retry, fuse_req_ctx(req)->pid);
    return 0;
}

int kv_orphan_meta(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
                   struct kv_meta *ret)
{
    return kv_orphan_set(mount, req, ino, 0, NULL, ret);
}

/* Only a file that has no name left: by a name somebody else's change took away, it is
 * the new file that is meant. */
static bool is_nameless(struct kv_mount *mount, fuse_ino_t ino)
{
    uint64_t announced = kv_notifier_announced(mount->notifier);
    KV_SCOPED_LOCK(&mount->inodes.lock);
    const struct kv_inode *inode = kv_inodes_find_locked(&mount->inodes, ino);
    return inode && kv_inode_nameless_locked(inode, announced);
}

int kv_orphan_value(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
                    struct kv_record **ret)
{
    KV_CLEANUP(kv_part_done) struct kv_part part = {0};
    struct kv_record_parts parts = {.key = "", .key_len = 0};
    if (!is_nameless(mount, ino))
        return -ESTALE;
    int err = kv_orphan_meta(mount, req, ino, &parts.meta);
    if (err)
        return err;
    struct kv_handle *handle = handle_of(mount, fuse_req_ctx(req)->pid, ino);
    if (!handle)
        return -ESTALE;
    err = kv_handle_peek(handle, 0, SIZE_MAX, &part);
    kv_handle_drop(mount, handle);
    if (err)
        return err;
    parts.value = part.data;
    parts.value_len = part.len;
    *ret = kv_record_new(&parts);
    return *ret ? 0 : -ENOMEM;
}
