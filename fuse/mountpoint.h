#ifndef KV_FUSE_MOUNTPOINT_H
#define KV_FUSE_MOUNTPOINT_H

/* The directory that a mount is put on: whether it can be, and what others do to it.
 * The main thread, or under no lock. */

#include "fuse/session.h"

/* Clear the mounts of killed daemons from path, and see whether it can be mounted on: 0
 * when it is an empty directory. -ENOTEMPTY, -ENOTDIR, -ENOENT; -EBUSY: a FUSE
 * filesystem is mounted there, and alive. A directory on one is as good as any other.
 */
int kv_mountpoint_prepare(const char *path);

/* The device of what is mounted at path, which may be a mount that answers nobody yet.
 * 0 or a negative errno. A device is that of one mount as long as that lives. */
int kv_mountpoint_device(const char *path, dev_t *ret);

/* Unmount lazily whatever was mounted over the mount of that device at path, with a
 * word to the log, as a lazy unmount of that would do, which does not reach it below
 * them. What hides it otherwise stays, with a word too. */
void kv_mountpoint_uncover(const char *path, dev_t device);

/* Unmount the mount of that device at path. -EBUSY: it is in use, and it is not to be
 * done lazily; or it is not what is mounted there, or not on top. */
int kv_mountpoint_unmount(const char *path, dev_t device, bool lazy);

/* Where the mount of that device is, which was mounted at path. */
enum kv_mount_place kv_mountpoint_place(const char *path, dev_t device);

#endif
