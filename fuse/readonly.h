#ifndef KV_FUSE_READONLY_H
#define KV_FUSE_READONLY_H

/* Read-only mounts. The filesystem itself stays writable and only the mount point is
 * read-only, because the notifier has to write to make inotify speak: it goes in by a
 * writable mount of its own, which nobody else can reach. Both need root. */

/* Make the mount at path read-only. 0 or negative errno; -EPERM without root. */
int kv_readonly_set(const char *path);

/* Open the root of what is mounted at path, to be written through; O_PATH. The
 * descriptor, which kv_outside_close closes, or negative errno. */
int kv_readonly_open(const char *path);

#endif
