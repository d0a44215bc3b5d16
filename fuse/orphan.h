#ifndef KV_FUSE_ORPHAN_H
#define KV_FUSE_ORPHAN_H

#include "fuse/mount.h"

/* Attributes of an inode whose key is gone, as the asking thread may see them through
 * what it has open. -ESTALE: the kernel has to look the name up again. */
int kv_orphan_meta(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
                   struct kv_meta *ret);

/* How long such a file is for who has it open or is about to open it. The kernel cuts
 * what it has of a file, mappings too, to any size that it is told. Without locks. */
uint64_t kv_orphan_size(struct kv_mount *mount, fuse_ino_t ino);

/* Change them: KV_SET_MODE, KV_SET_UID, KV_SET_GID, KV_SET_MTIME. */
int kv_orphan_set(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino, unsigned set,
                  const struct kv_meta *meta, struct kv_meta *ret);

/* What a file without a key and without a name holds, for one that opens it to read
 * through a descriptor (/dev/fd/N): a snapshot, with one reference. -ESTALE, -ENOMEM.
 */
int kv_orphan_value(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
                    struct kv_record **ret);

/* Whether it is a directory that was removed and that only descriptors and working
 * directories lead to; with its attributes when ret is not NULL. */
bool kv_orphan_dir(struct kv_mount *mount, fuse_ino_t ino, struct kv_meta *ret);

#endif
