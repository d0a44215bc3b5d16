#ifndef KV_MOUNTSPEC_H
#define KV_MOUNTSPEC_H

/* A mount as it is asked for: DIR[,OPTION]..., with the options of mount(8). A
 * backslash takes its meaning from the comma or the backslash behind it, and is itself
 * before anything else. */

#include "base/buf.h"
#include "fuse/session.h"

struct kv_mountspec {
    char *path;
    char *source; /* what df(1) calls it; or NULL */
    char *subdir; /* a key; NULL: the whole store */
    char *kernel; /* options for the kernel, "nosuid,noexec"; or NULL */
    struct kv_mount_view view;
    bool read_only, allow_other;
    bool sloppy; /* unknown options behind this one are ignored */
};

/* Whether text begins with such a pair. */
bool kv_mountspec_is_escape(const char *text);

/* 0; -EINVAL and what is wrong in error, one line without a newline; -ENOMEM. The path
 * need not exist. Call kv_mountspec_done in any case. */
int kv_mountspec_parse(const char *text, struct kv_mountspec *ret,
                       struct kv_buf *error);

/* The same for a directory and OPTION[,OPTION]... */
int kv_mountspec_make(const char *path, const char *options, struct kv_mountspec *ret,
                      struct kv_buf *error);

void kv_mountspec_done(struct kv_mountspec *spec);

#endif
