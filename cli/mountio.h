#ifndef KV_CLI_MOUNTIO_H
#define KV_CLI_MOUNTIO_H

/* What mountio.c and mount_watch.c share: the side of access.h that works on a mounted
 * directory with plain file calls. */

#include "access.h"

#include <dirent.h>

struct kv_mountio {
    struct kv_access access;
    int root_fd; /* the directory of --mount, or -1 */
    char *path;  /* its name */
};

static inline struct kv_mountio *kv_mountio_of(struct kv_access *access)
{
    return (struct kv_mountio *)access; /* its first member */
}

/* A descriptor of the directory of --mount, opened when it is not open; -1 with errno
 * when it cannot be. */
int kv_mountio_root(struct kv_mountio *mount);

/* Close it until it is needed again. */
void kv_mountio_let_go(struct kv_mountio *mount);

/* The fault of a call that failed with errno error on key (NULL: on the mount itself).
 */
int kv_mountio_fault(struct kv_mountio *mount, int error, const char *key,
                     struct kv_fault *fault);

/* What plain file calls cannot do: KV_EXIT_USAGE, and where it can be had. */
int kv_mountio_refuse(const char *what, struct kv_fault *fault);

/* What stat and the attributes say of a key. 0 or a negative errno. */
int kv_mountio_describe(struct kv_mountio *mount, const char *key,
                        struct kv_entry *ret);

/* Append the value of a key; that of a symbolic link is where it points. 0 or a
 * negative errno. */
int kv_mountio_read(struct kv_mountio *mount, const char *key, struct kv_buf *out);

/* A directory by its name below the descriptor at; "" is that one itself. NULL with
 * errno. */
DIR *kv_mountio_open_dir(int at, const char *name);
void kv_mountio_close_dir(DIR **dir);

/* The next name that is not "." or ".."; NULL at the end, or with errno set. */
const char *kv_mountio_next_name(DIR *dir);

/* access.h's list and watch. */
int kv_mountio_list(struct kv_access *access, const struct kv_listing *listing,
                    kv_entry_fn *each, void *ctx, struct kv_fault *fault);
int kv_mountio_watch(struct kv_access *access, const struct kv_watcher *watcher,
                     struct kv_fault *fault);

#endif
