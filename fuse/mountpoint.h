#ifndef KV_FUSE_MOUNTPOINT_H
#define KV_FUSE_MOUNTPOINT_H

/* The directory that a mount is put on: whether it can be, and what others do to it.
 * The main thread, or under no lock. */

#include <stdbool.h>
#include <sys/types.h>

/* Clear the mounts of killed daemons from path, and see whether it can be mounted on: 0
 * when it is an empty directory. -ENOTEMPTY, -ENOTDIR, -ENOENT; -EBUSY: a FUSE
 * filesystem is mounted there, and alive. A directory on one is as good as any other.
 */
int kv_mountpoint_prepare(const char *path);

/* Unmount lazily whatever was mounted over the mount of that device at path, with a
 * word to the log, as a lazy unmount of that would do, which does not reach it below
 * them. */
void kv_mountpoint_uncover(const char *path, dev_t device);

/* Unmount the mount of that device at path. -EBUSY: it is in use, or something else is
 * mounted over it, and it is not to be done lazily. */
int kv_mountpoint_unmount(const char *path, dev_t device, bool lazy);

#endif
