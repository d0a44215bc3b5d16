#ifndef KV_FUSE_ATTR_H
#define KV_FUSE_ATTR_H

#include "fuse/mount.h"

/* The attributes of an inode as the asking process is to see them: of the record; of
 * its own unpublished bytes; of an open file that was unlinked. *ret_settled: the
 * kernel may keep them. -ESTALE and others as kv_resolve. */
int kv_attr_get(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
                struct stat *ret, bool *ret_settled);

#endif
