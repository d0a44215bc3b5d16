/* What libfuse itself can do: a filesystem with one constant file, `key`, whose open,
 * read and release are the requests that kvfsd gets: direct_io, no flush, names and
 * attributes cached for ever.
 *
 *     constant DIRECTORY THREADS BYTES
 *
 * Prints "ready" when mounted and serves until it is unmounted. */
#define FUSE_USE_VERSION 312
#include <errno.h>
#include <fuse_lowlevel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEY = 2 };
static char *value;
static size_t value_len;

static struct stat stat_of(fuse_ino_t ino)
{
    return (struct stat){
        .st_ino = ino,
        .st_mode = ino == KEY ? S_IFREG | 0644 : S_IFDIR | 0755,
        .st_nlink = 1,
        .st_size = ino == KEY ? (off_t)value_len : 0,
    };
}

static void do_init(void *ctx, struct fuse_conn_info *conn)
{
    (void)ctx, (void)conn;
    puts("ready");
    fflush(stdout);
}

static void do_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
    struct fuse_entry_param entry = {
        .ino = KEY, .attr = stat_of(KEY), .attr_timeout = 1e9, .entry_timeout = 1e9};
    if (parent == FUSE_ROOT_ID && strcmp(name, "key") == 0)
        fuse_reply_entry(req, &entry);
    else
        fuse_reply_err(req, ENOENT);
}

static void do_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)fi;
    struct stat st = stat_of(ino);
    fuse_reply_attr(req, &st, 1e9);
}

static void do_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino;
    fi->direct_io = 1;
    fi->noflush = 1;
    fuse_reply_open(req, fi);
}

static void do_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
                    struct fuse_file_info *fi)
{
    (void)ino, (void)fi;
    size_t at = (size_t)off < value_len ? (size_t)off : value_len;
    size_t rest = value_len - at;
    fuse_reply_buf(req, value + at, size < rest ? size : rest);
}

static void do_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    (void)ino, (void)fi;
    fuse_reply_err(req, 0);
}

static const struct fuse_lowlevel_ops ops = {
    .init = do_init,
    .lookup = do_lookup,
    .getattr = do_getattr,
    .open = do_open,
    .read = do_read,
    .release = do_release,
};

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: constant DIRECTORY THREADS BYTES\n");
        return 2;
    }
    value_len = (size_t)atoi(argv[3]);
    value = malloc(value_len + 1);
    if (value == NULL)
        return 1;
    memset(value, 'v', value_len);
    char *fuse_argv[] = {argv[0], (char[]){"-ofsname=constant,default_permissions"},
                         NULL};
    struct fuse_args args = FUSE_ARGS_INIT(2, fuse_argv);
    struct fuse_session *session = fuse_session_new(&args, &ops, sizeof ops, NULL);
    if (session == NULL || fuse_session_mount(session, argv[1]) != 0)
        return 1;
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    fuse_loop_cfg_set_clone_fd(config, 1);
    fuse_loop_cfg_set_max_threads(config, (unsigned)atoi(argv[2]));
    fuse_loop_cfg_set_idle_threads(config, (unsigned)atoi(argv[2]));
    int result = fuse_session_loop_mt(session, config);
    fuse_loop_cfg_destroy(config);
    fuse_session_unmount(session);
    fuse_session_destroy(session);
    free(value);
    return result == 0 ? 0 : 1;
}
