#ifndef KV_FUSE_CONTROL_H
#define KV_FUSE_CONTROL_H

/* The control directory, /.kv in the mount: files that tell about the daemon. It is
 * there by name but in no listing, so that cp -a, rsync and rm -r never meet it. A
 * file's text is made when it is opened. Any worker. */

#include "fuse/mount.h"

/* Answer a LOOKUP in the control directory, or of it in the root; false: neither. */
bool kv_control_lookup(struct kv_mount *mount, fuse_req_t req, fuse_ino_t parent,
                       const char *name);
void kv_control_getattr(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino);
void kv_control_open(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
                     struct fuse_file_info *fi);

void kv_control_release(struct kv_mount *mount, struct kv_handle *text);

/* The names for a listing of the directory itself: NULL behind the last. */
const char *kv_control_name(size_t index, fuse_ino_t *ret_ino);

#endif
