#ifndef KV_FUSE_NOTIFY_H
#define KV_FUSE_NOTIFY_H

/* The notifier: repeats changes on the mount, so that inotify reports them.
 *
 * Nothing that a FUSE server can tell its kernel raises inotify events on a directory;
 * a system call on the mount does. So one thread pulls the feed and makes each change
 * once more, as a process would, and the handlers recognise that thread and answer
 * without touching the store (expect.h). The thread runs beside the commit path; it
 * holds no lock while it is in the kernel.
 *
 * A name may have changed again by the time its event is repeated, through this mount
 * too, whose own changes the kernel has announced already. Then the later change is
 * repeated as well, even if it is our own, so that what a watcher saw last is true. */

#include "fuse/mount.h"

/* -ENOMEM. Before the first request is served. */
int kv_notifier_new(struct kv_mount *mount, struct kv_notifier **ret);
/* Begin with the event behind `revision`. When the mount answers. */
int kv_notifier_start(struct kv_notifier *notifier, uint64_t revision);
/* Join the thread; requests must still be served. NULL or not started is allowed. */
void kv_notifier_stop(struct kv_notifier *notifier);
void kv_notifier_free(struct kv_notifier *notifier);

/* Everything up to this revision is announced: the kernel holds no name any more that
 * a change up to there took away. */
uint64_t kv_notifier_announced(struct kv_notifier *notifier);

/* The kernel may be about to cache attributes of this inode from before a change:
 * invalidate them once more when it has. Committer thread. */
void kv_notifier_repair(struct kv_notifier *notifier, uint64_t id);

void kv_notifier_status(struct kv_notifier *notifier, struct kv_mount_status *ret);

#endif
