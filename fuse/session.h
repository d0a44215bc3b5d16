#ifndef KV_FUSE_SESSION_H
#define KV_FUSE_SESSION_H

/* A mount: the store as a directory. This header is all that the rest of the daemon
 * sees of FUSE. */

#include "store/store.h"

struct kv_mount;

struct kv_mount_config {
    const char *path; /* an existing empty directory */
    unsigned index;   /* 0 for the first mount of the process, 1, ... : its origin */
    unsigned threads; /* request threads; 0: a good number for this machine */
    bool allow_other; /* other users may enter (with default_permissions) */
    const char *const
        *config_text;    /* lines for /.kv/config, NULL-terminated; or NULL */
    const char *version; /* for /.kv/version */
    /* The mount ended although kv_mount_stop was not called (somebody ran umount).
     * Called once, from a thread of the mount; must not call kv_mount_stop. May be
     * NULL. */
    void (*ended)(void *ctx);
    void *ended_ctx;
};

/* Clear a stale mount on path, mount, and start serving. When it returns 0 the mount is
 * usable by everyone. -ENOTEMPTY or -ENOTDIR: not an empty directory; -ENOENT; -EPERM,
 * -ENODEV: FUSE is not to be had; what libfuse has to say is logged. */
int kv_mount_start(struct kv_store *store, const struct kv_mount_config *config,
                   struct kv_mount **ret);

/* Finish what was submitted, stop the notifier, unmount, join every thread, free. The
 * store must still be running. Works also while processes have files open or their
 * working directory inside: they get errors from then on. NULL is allowed. */
void kv_mount_stop(struct kv_mount *mount);

struct kv_mount_status {
    uint64_t inodes; /* that the kernel knows */
    uint64_t open_handles;
    uint64_t requests;
    uint64_t notified;        /* events repeated for inotify */
    uint64_t notify_merged;   /* puts merged into a later one of the same key */
    uint64_t notify_revision; /* everything up to here is announced */
};

void kv_mount_status(struct kv_mount *mount, struct kv_mount_status *ret);

#endif
