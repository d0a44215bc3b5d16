#ifndef KV_FUSE_PUBLISH_H
#define KV_FUSE_PUBLISH_H

/* Publishing: the bytes of a handle become the key's next version, in one transaction.
 *
 * On a key that exists the transaction compares the id. When the file was unlinked or
 * replaced meanwhile, the write is silently gone, as on a disk, and nothing reappears.
 * When it was only moved, the transaction is built again for its new key.
 *
 * A name made without O_EXCL is "pending": it lives in this mount's table until its
 * first publication, which brings id, mode, owner and attributes along. */

#include "fuse/mount.h"

/* err: 0 or what the commit said. On the committer thread or the caller's. */
typedef void kv_published_fn(struct kv_mount *mount, void *ctx, int err);

/* Publish what the handle holds unpublished, then call fn once. When there is
 * nothing, but a publication is under way, fn waits for that one. */
void kv_publish(struct kv_mount *mount, struct kv_handle *handle, kv_published_fn *fn,
                void *ctx);

/* RELEASE: publish what is left, with nobody to tell but the log; drops the caller's
 * reference. OPEN and GETATTR wait until it is done. */
void kv_publish_release(struct kv_mount *mount, struct kv_handle *handle);

/* The caller of open was interrupted, so nobody will send RELEASE: publishes nothing;
 * drops the caller's reference. */
void kv_publish_abandon(struct kv_mount *mount, struct kv_handle *handle);

/* Tell the inode what its handle's rule says now. True: it is the inode's first that
 * holds something unpublished. The caller holds handle->lock. */
bool kv_publish_note_locked(struct kv_mount *mount, struct kv_handle *handle);

/* Drop a reference to a handle, and to its inode with the last. */
void kv_handle_drop(struct kv_mount *mount, struct kv_handle *handle);

/* Serve an OPEN or GETATTR later, when fuse/publish.c says so. */
typedef void kv_parked_fn(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
                          struct fuse_file_info *fi);

/* Before an OPEN or GETATTR is served: when what it has to see is still on its way
 * (a RELEASE is being committed) or has to be published first (its own process, or one
 * that has ended, closed the file as far as anyone can tell), fn is called for it later
 * and true is returned. by_name: an open, for which the same process's close counts. */
bool kv_park(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
             const struct fuse_file_info *fi, bool by_name, kv_parked_fn *fn);

/* Publish a pending inode through one of its handles, then call fn; at once with 0 when
 * it is not pending. */
void kv_publish_pending(struct kv_mount *mount, fuse_ino_t ino, kv_published_fn *fn,
                        void *ctx);

#endif
