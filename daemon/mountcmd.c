/* A data directory is locked by its kvfsd (kvfs.lock). Helpers that run at the same
 * time, as those of several lines of fstab(5) do, take turns by a lock on the directory
 * itself, so that one starts a kvfsd and the others find it. */
#include "mountcmd.h"

#include "attach.h"
#include "contact.h"
#include "mountspec.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

/* How long a kvfsd may take to start or to stop. */
#define PATIENCE_NS (5 * KV_NS_PER_S)
#define PAUSE_NS (20 * KV_NS_PER_MS)

bool kv_mountcmd_is_name(const char *program)
{
    static const char *const names[] = {"mount.fuse.kvfs", "mount.kvfs"};
    const char *slash = strrchr(program, '/');
    const char *name = slash ? slash + 1 : program;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* -- The command line -- */

static void add_escaped(struct kv_buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == ',' || *text == '\\')
            kv_buf_addc(out, '\\');
        kv_buf_addc(out, *text);
    }
}

/* A copy of an option's value as it is meant (mountspec.h). */
static char *unescape(const char *value, size_t len)
{
    char *copy = strndup(value, len), *to = copy;
    for (const char *from = copy; copy && *from; from++) {
        if (kv_mountspec_is_escape(from))
            from++;
        *to++ = *from;
    }
    if (copy)
        *to = '\0';
    return copy;
}

/* Where an option's value goes that is for the kvfsd to be started; NULL: it is for the
 * mount. */
static char **daemon_option(struct kv_mountcmd *cmd, const char *word, size_t len,
                            const char **ret_name)
{
    const struct {
        const char *name;
        char **field;
    } options[] = {{"config", &cmd->config},
                   {"socket", &cmd->socket},
                   {"listen", &cmd->listen},
                   {"log", &cmd->log}};
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        size_t name_len = strlen(options[i].name);
        if (len > name_len && word[name_len] == '=' &&
            memcmp(word, options[i].name, name_len) == 0) {
            *ret_name = options[i].name;
            return options[i].field;
        }
    }
    return NULL;
}

static int add_option(struct kv_mountcmd *cmd, const char *word, size_t len,
                      struct kv_buf *error)
{
    const char *name;
    char **field = daemon_option(cmd, word, len, &name);
    if (!field) {
        kv_buf_addc(&cmd->options, ',');
        kv_buf_add(&cmd->options, word, len);
        return 0;
    }
    free(*field);
    *field = unescape(word + strlen(name) + 1, len - strlen(name) - 1);
    if (!*field)
        return -ENOMEM;
    bool word_allowed =
        field == &cmd->listen || (field == &cmd->log && strcmp(*field, "syslog") == 0);
    if (word_allowed || **field == '/')
        return 0;
    kv_buf_addf(error, "mount option '%s' must be an absolute path, not '%s'", name,
                *field);
    return -EINVAL;
}

static int add_options(struct kv_mountcmd *cmd, const char *text, struct kv_buf *error)
{
    int err = 0;
    for (const char *end = text; !err; text = end + 1) {
        for (end = text; *end && *end != ','; end++)
            if (kv_mountspec_is_escape(end))
                end++;
        if (end > text)
            err = add_option(cmd, text, (size_t)(end - text), error);
        if (!*end)
            break;
    }
    return err;
}

static int take_letter(struct kv_mountcmd *cmd, int letter, const char *argument,
                       struct kv_buf *error)
{
    switch (letter) {
    case 's':
        kv_buf_adds(&cmd->options, ",sloppy");
        return 0;
    case 'f':
        cmd->fake = true;
        return 0;
    case 'N':
        cmd->name_space = argument;
        return 0;
    case 'o':
        return add_options(cmd, argument, error);
    case 'n': /* there is no mtab */
    case 'v':
    case 't': /* the name says it */
        return 0;
    default:
        return -EINVAL;
    }
}

/* What is wrong with the options is known before anything is done. */
static int check_options(const struct kv_mountcmd *cmd, struct kv_buf *error)
{
    KV_CLEANUP(kv_mountspec_done) struct kv_mountspec spec;
    if (kv_buf_error(&cmd->options))
        return -ENOMEM;
    return kv_mountspec_make(cmd->dir, cmd->options.data, &spec, error);
}

int kv_mountcmd_parse(struct kv_mountcmd *cmd, int argc, char *const argv[],
                      struct kv_buf *error)
{
    *cmd = (struct kv_mountcmd){0};
    int letter, err = 0;
    optind = 0; /* glibc: start afresh */
    opterr = 0;
    while (!err && (letter = getopt(argc, argv, ":sfnvt:N:o:")) != -1)
        err = take_letter(cmd, letter, optarg, error);
    if (err && error->len > 0)
        return err;
    if (err || argc - optind != 2) {
        kv_buf_adds(error, "usage: SOURCE DIR [-sfnv] [-N NAMESPACE] [-t TYPE] "
                           "[-o OPTION[,OPTION]...]");
        return -EINVAL;
    }
    cmd->source = argv[optind];
    cmd->dir = argv[optind + 1];
    KV_CLEANUP(kv_buf_done) struct kv_buf given = cmd->options;
    cmd->options = (struct kv_buf){0};
    kv_buf_adds(&cmd->options, "fsname=");
    add_escaped(&cmd->options, cmd->source);
    kv_buf_add(&cmd->options, given.data, given.len);
    kv_buf_addc(&cmd->options, '\0');
    if (kv_buf_error(&given))
        return -ENOMEM;
    return check_options(cmd, error);
}

void kv_mountcmd_done(struct kv_mountcmd *cmd)
{
    kv_buf_done(&cmd->options);
    free(cmd->config);
    free(cmd->socket);
    free(cmd->listen);
    free(cmd->log);
    *cmd = (struct kv_mountcmd){0};
}

/* -- Where to -- */

/* The directory to mount on, absolute and without links, to be freed; a stale mount
 * cannot be looked at, and mount(8) has made its path absolute. */
static char *resolve_dir(const struct kv_mountcmd *cmd)
{
    char *dir = realpath(cmd->dir, NULL);
    if (!dir && *cmd->dir == '/' && (errno == ENOTCONN || errno == EACCES))
        dir = strdup(cmd->dir);
    if (!dir && errno == ENOENT)
        kv_error("mount point '%s' does not exist", cmd->dir);
    else if (!dir)
        kv_error("mount point '%s': %s", cmd->dir, strerror(errno));
    return dir;
}

static int enter_namespace(const char *path)
{
    KV_CLEANUP(kv_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && setns(fd, CLONE_NEWNS) == 0)
        return 0;
    int err = -errno;
    kv_error("cannot enter the mount namespace '%s': %s", path, kv_strerror(err));
    return err;
}

/* A mistyped path must not make a store among other people's files: a data directory is
 * one, or has nothing in it yet. */
static bool is_data_directory(const char *path)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf lock = {0};
    kv_buf_addf(&lock, "%s/kvfs.lock", path);
    kv_buf_addc(&lock, '\0');
    if (!kv_buf_error(&lock) && access(lock.data, F_OK) == 0)
        return true;
    DIR *dir = opendir(path);
    if (!dir) {
        kv_error("data directory '%s': %s", path, strerror(errno));
        return false;
    }
    bool empty = true;
    const struct dirent *entry;
    while (empty && (entry = readdir(dir)))
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
                strcmp(entry->d_name, "lost+found") == 0;
    (void)closedir(dir);
    if (!empty)
        kv_error("'%s' is no data directory of kvfs, and not empty", path);
    return empty;
}

/* -- The kvfsd that is there -- */

static int ask(const struct kv_mountcmd *cmd, const char *socket_path, const char *dir,
               enum kv_attached *ret)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf error = {0};
    *ret = kv_attach(socket_path, dir, cmd->options.data, &error);
    if (*ret == KV_ATTACH_REFUSED)
        kv_error("%.*s", (int)error.len, error.data ? error.data : "");
    return *ret == KV_ATTACHED ? KV_MOUNT_DONE : KV_MOUNT_FAILED;
}

/* Whether a kvfsd has the data directory. Only asked, not tried: one that starts at
 * this moment would find it locked. */
static bool is_served(const char *data)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf path = {0};
    kv_buf_addf(&path, "%s/kvfs.lock", data);
    kv_buf_addc(&path, '\0');
    if (kv_buf_error(&path))
        return false;
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    KV_CLEANUP(kv_close) int fd = open(path.data, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && fcntl(fd, F_OFD_GETLK, &all) == 0 && all.l_type != F_UNLCK;
}

/* Ask the kvfsd of a data directory. While it has the directory and nobody answers, it
 * is about to serve or to stop, or has no socket; nothing tells which, or when that
 * changes, so it is looked at again for a while. */
static int ask_holder(const struct kv_mountcmd *cmd, const char *data, const char *dir,
                      enum kv_attached *ret)
{
    const struct timespec pause = kv_ns_timespec(PAUSE_NS);
    const int64_t end_ns = kv_clock_monotonic_ns() + PATIENCE_NS;
    KV_CLEANUP(kv_free) char *socket_path = kv_contact_path(data);
    if (!socket_path) {
        kv_error("out of memory");
        *ret = KV_ATTACH_REFUSED;
        return KV_MOUNT_FAILED;
    }
    for (;;) {
        int status = ask(cmd, socket_path, dir, ret);
        if (*ret != KV_ATTACH_NOBODY || !is_served(data))
            return status;
        if (kv_clock_monotonic_ns() > end_ns)
            break;
        (void)nanosleep(&pause, NULL);
    }
    kv_error("the kvfsd that serves '%s' has no Unix socket to be asked over: start it "
             "with --socket",
             data);
    *ret = KV_ATTACH_REFUSED;
    return KV_MOUNT_FAILED;
}

/* -- A new one -- */

static void add_arg(char **args, size_t *count, const char *name, const char *value)
{
    struct kv_buf arg = {0};
    kv_buf_adds(&arg, name);
    if (value)
        kv_buf_adds(&arg, value);
    args[*count] = kv_buf_steal(&arg, NULL);
    *count += args[*count] != NULL;
}

void kv_mountcmd_free_args(char **args)
{
    for (size_t i = 0; args && args[i]; i++)
        free(args[i]);
    free(args);
}

static char **make_args(const struct kv_mountcmd *cmd, const char *data,
                        const char *dir)
{
    enum { MOST = 10 };
    KV_CLEANUP(kv_buf_done) struct kv_buf mount = {0};
    char **args = calloc(MOST, sizeof(*args));
    size_t count = 0, wanted = 5;
    add_escaped(&mount, dir);
    kv_buf_addf(&mount, ",%s", cmd->options.data);
    kv_buf_addc(&mount, '\0');
    if (!args || kv_buf_error(&mount)) {
        free(args);
        return NULL;
    }
    const char *listen = cmd->listen ? cmd->listen : cmd->config ? NULL : "none";
    const struct {
        const char *name, *value;
    } more[] = {{"--config=", cmd->config},
                {"--socket=", cmd->socket},
                {"--listen=", listen},
                {"--log=", cmd->log}};
    add_arg(args, &count, "kvfsd", NULL);
    add_arg(args, &count, "--background", NULL);
    add_arg(args, &count, "--until-unmounted", NULL);
    add_arg(args, &count, "--data=", data);
    add_arg(args, &count, "--mount=", mount.data);
    for (size_t i = 0; i < sizeof(more) / sizeof(more[0]); i++)
        if (more[i].value) {
            add_arg(args, &count, more[i].name, more[i].value);
            wanted++;
        }
    if (count == wanted)
        return args;
    kv_mountcmd_free_args(args);
    return NULL;
}

/* -- The whole -- */

/* The turn of this helper lasts until it ends: the descriptor is not closed. */
static int take_turn(const char *data)
{
    int fd = open(data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    while (fd >= 0 && flock(fd, LOCK_EX) < 0)
        if (errno != EINTR)
            return -errno;
    return fd < 0 ? -errno : 0;
}

static int mount_data(const struct kv_mountcmd *cmd, const char *dir, char ***ret_args)
{
    KV_CLEANUP(kv_free) char *data = realpath(cmd->source, NULL);
    enum kv_attached attached;
    if (!data) {
        kv_error("data directory '%s': %s", cmd->source, strerror(errno));
        return KV_MOUNT_FAILED;
    }
    if (!is_data_directory(data))
        return KV_MOUNT_FAILED;
    int err = take_turn(data);
    if (err) {
        kv_error("data directory '%s': %s", cmd->source, kv_strerror(err));
        return KV_MOUNT_FAILED;
    }
    int status = ask_holder(cmd, data, dir, &attached);
    if (attached != KV_ATTACH_NOBODY)
        return status;
    *ret_args = make_args(cmd, data, dir);
    if (*ret_args && chdir("/") == 0)
        return -1;
    kv_error("cannot start kvfsd: %s", strerror(errno));
    return KV_MOUNT_FAILED;
}

static int mount_socket(const struct kv_mountcmd *cmd, const char *dir)
{
    enum kv_attached attached;
    int status = ask(cmd, cmd->source, dir, &attached);
    if (attached == KV_ATTACH_NOBODY)
        kv_error("nobody serves '%s'", cmd->source);
    return status;
}

int kv_mountcmd_run(const struct kv_mountcmd *cmd, char ***ret_args)
{
    struct stat st;
    if (cmd->fake)
        return KV_MOUNT_DONE;
    if (cmd->name_space && enter_namespace(cmd->name_space))
        return KV_MOUNT_FAILED;
    KV_CLEANUP(kv_free) char *dir = resolve_dir(cmd);
    if (!dir)
        return KV_MOUNT_FAILED;
    if (stat(cmd->source, &st) < 0) {
        int err = errno;
        kv_error("'%s': %s%s", cmd->source, strerror(err),
                 err == ENOENT ? "; an empty directory becomes a new store" : "");
    } else if (S_ISSOCK(st.st_mode)) {
        return mount_socket(cmd, dir);
    } else if (S_ISDIR(st.st_mode)) {
        return mount_data(cmd, dir, ret_args);
    } else {
        kv_error("'%s' is neither a data directory nor the Unix socket of a kvfsd",
                 cmd->source);
    }
    return KV_MOUNT_FAILED;
}
