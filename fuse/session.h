#ifndef KV_FUSE_SESSION_H
#define KV_FUSE_SESSION_H

/* A mount: the store as a directory. This header is all that the rest of the daemon
 * sees of FUSE. */

#include "base/buf.h"
#include "store/store.h"

struct kv_mount;

/* How owners and modes of the keys show in a mount. They are stored as they are. */
struct kv_mount_view {
    bool has_uid, has_gid;
    uid_t uid; /* every key's owner, when has_uid */
    gid_t gid;
    mode_t umask; /* permissions that no key has */
};

struct kv_mount_config {
    const char *path;   /* an empty directory, as kv_mount_resolve names it */
    const char *source; /* what mount(8) and df(1) call it; NULL: "kvfs" */
    const char *subdir; /* mount only this directory of the store; NULL: all of it */
    const char
        *options; /* more of mount(8)'s for the kernel (nosuid,noexec); or NULL */
    struct kv_mount_view view;
    bool read_only;
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

/* The path of a directory to mount on, or that is mounted on, absolute and without
 * symbolic links, to be freed; NULL and errno. */
char *kv_mount_resolve(const char *path);

/* Clear a stale mount on path, mount, and start serving. When it returns 0 the mount is
 * usable by everyone. -ENOTEMPTY or -ENOTDIR: not an empty directory; -EBUSY: another
 * FUSE filesystem is mounted there (kv_mount_holder); -ENOENT; -EPERM,
 * -ENODEV: FUSE is not to be had; what libfuse has to say is logged. -EREMOTE: the
 * store has no directory subdir. -EROFS: only root may make a read-only mount. */
int kv_mount_start(struct kv_store *store, const struct kv_mount_config *config,
                   struct kv_mount **ret);

/* Finish what was submitted, stop the notifier, unmount, join every thread, free. The
 * store must still be running. Works also while processes have files open or their
 * working directory inside: they get errors from then on. NULL is allowed. */
void kv_mount_stop(struct kv_mount *mount);

/* Take it away from its place, as umount(8) does; kv_mount_stop does the rest. -EBUSY:
 * it is in use, or something else is mounted over it; never when it is done lazily.
 * -EPERM: fusermount3 refused; what it has to say is logged. */
int kv_mount_detach(struct kv_mount *mount, bool lazy);

/* Where a mount is that lives. Detached by a lazy umount(8), it does for those who are
 * inside. */
enum kv_mount_place { KV_MOUNT_DETACHED, KV_MOUNT_COVERED, KV_MOUNT_ON_TOP };
enum kv_mount_place kv_mount_place(const struct kv_mount *mount);

/* Append what is mounted at path, be it kvfs or not: "fuse.kvfs of '/var/lib/kvfs'";
 * nothing when nothing is. */
void kv_mount_holder(const char *path, struct kv_buf *out);

/* Where it was mounted, absolute; as long as it lives. */
const char *kv_mount_path(const struct kv_mount *mount);

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
