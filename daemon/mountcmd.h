#ifndef KV_MOUNTCMD_H
#define KV_MOUNTCMD_H

/* kvfsd as a helper of mount(8), which calls it mount.fuse.kvfs or mount.kvfs:
 *
 *     mount.fuse.kvfs SOURCE DIR [-sfnv] [-N NAMESPACE] [-t TYPE] [-o
 * OPTION[,OPTION]...]
 *
 * SOURCE is a data directory, or the Unix socket of a kvfsd. A kvfsd that is there is
 * asked to mount; otherwise this one goes on as one, in the background, until its last
 * mount is gone. The main thread only, before others start. */

#include "base/buf.h"

#include <stdbool.h>

/* The exit statuses of mount(8). */
enum { KV_MOUNT_DONE = 0, KV_MOUNT_USAGE = 1, KV_MOUNT_FAILED = 32 };

/* What the command line says. */
struct kv_mountcmd {
    const char *source, *dir; /* into argv */
    const char *name_space;   /* likewise; or NULL */
    bool fake;
    struct kv_buf options; /* of the mount, NUL-terminated */
    /* Of the kvfsd, should one have to be started; NULL: not given. */
    char *config, *socket, *listen, *log;
};

/* Whether a program of this name is the helper. */
bool kv_mountcmd_is_name(const char *program);

/* Take the command line apart. 0; -EINVAL and why in error, one line; -ENOMEM. Call
 * kv_mountcmd_done in any case. Uses getopt's global state. */
int kv_mountcmd_parse(struct kv_mountcmd *cmd, int argc, char *const argv[],
                      struct kv_buf *error);
void kv_mountcmd_done(struct kv_mountcmd *cmd);

/* Mount. The exit status, what went wrong having been said; or -1: go on as kvfsd with
 * these arguments, a NULL-terminated array to be freed with kv_mountcmd_free_args. */
int kv_mountcmd_run(const struct kv_mountcmd *cmd, char ***ret_args);
void kv_mountcmd_free_args(char **args);

#endif
