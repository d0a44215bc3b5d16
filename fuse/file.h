#ifndef KV_FUSE_FILE_H
#define KV_FUSE_FILE_H

/* What the operations on open files have in common. */

#include "fuse/handle.h"
#include "fuse/mount.h"

/* What the kernel is to do with the open file: no page cache, so that uncommitted bytes
 * and other versions never meet; and no FLUSH where nothing can be published. */
void kv_file_info_fill(struct kv_mount *mount, struct fuse_file_info *fi,
                       const struct kv_handle *handle, bool may_publish);

/* Make the handle one of its inode. -ESTALE when the table does not have that. The
 * other one is for who holds kv_inodes.lock. */
int kv_handle_attach(struct kv_mount *mount, struct kv_handle *handle);
void kv_handle_attach_locked(struct kv_handle *handle, struct kv_inode *inode);

/* The handle may have come to hold something unpublished. From then on attributes are
 * for one use only; what the kernel keeps must go before it hears of the truncation or
 * the write, because it changes the size it keeps first and its validity afterwards,
 * and a stat in between would show a size that no version has. */
void kv_handle_note(struct kv_mount *mount, struct kv_handle *handle);

/* Before a read at this offset, or a change (0): move on to the newest version if that
 * is what it has to be of. */
void kv_handle_follow(struct kv_mount *mount, struct kv_handle *handle,
                      uint64_t offset);

#endif
