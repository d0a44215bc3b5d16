#ifndef KV_FUSE_OUTSIDE_H
#define KV_FUSE_OUTSIDE_H

/* Threads of the daemon that enter its own mount.
 *
 * When the daemon is killed, the kernel ends the connection, and with it every request
 * that waits for an answer, as soon as the last descriptor of /dev/fuse is closed. A
 * thread that waits in the mount itself cannot be killed before it has its answer, and
 * keeps the descriptors of its process open: nothing would ever end. So such a thread
 * gets a table of descriptors of its own, without those. */

/* For the calling thread: a copy of the process's descriptors with nothing in it but
 * the standard ones, which are /dev/null unless the log goes there, and regular files
 * (LMDB's, the log). Descriptors it opens later are its own.
 * Returns 0 or a negative errno; -EPERM where a sandbox forbids it. */
int kv_outside_enter(void);

/* Close a descriptor that such a thread has opened, and set it to -1. For KV_CLEANUP,
 * too. */
void kv_outside_close(int *fd);

#endif
