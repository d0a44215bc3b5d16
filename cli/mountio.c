/* The operations of access.h with open, read, write, rename and so on: what any program
 * does on the mount, and so what shows that any program can. Names are always relative
 * to the descriptor of the mount's directory. */
#include "mountio.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"
#include "store/key.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#define CHUNK (256 * 1024)
#define FUSE_MAGIC 0x65735546 /* statfs(2) */

/* -- Errors, in the words of the HTTP API -- */

static const struct {
    int error;
    enum kv_exit exit;
    const char *message, *hint;
} errors[] = {
    {ENOENT, KV_EXIT_NOT_FOUND, "there is no such key", NULL},
    {ENODATA, KV_EXIT_NOT_FOUND, "there is no such key", NULL},
    {EISDIR, KV_EXIT_REFUSED, "the key is a directory", "'kv ls' shows what is in it"},
    {ENOTDIR, KV_EXIT_REFUSED, "a part of the path is a key, not a directory", NULL},
    {ENOTEMPTY, KV_EXIT_REFUSED, "the directory holds keys",
     "'kv rm -r' removes all that is in it"},
    {EFBIG, KV_EXIT_REFUSED, "the value is larger than the store allows", NULL},
    {ENOSPC, KV_EXIT_REFUSED, "the store is full", NULL},
    {EROFS, KV_EXIT_REFUSED, "the store is read-only after a disk error", NULL},
    {ENOTCONN, KV_EXIT_AWAY, "kvfsd is gone from the mount", "start kvfsd again"},
    {ECONNABORTED, KV_EXIT_AWAY, "kvfsd is gone from the mount", "start kvfsd again"},
};

int kv_mountio_fault(struct kv_mountio *mount, int error, const char *key,
                     struct kv_fault *fault)
{
    const char *about = key && *key ? key : mount->path;
    for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
        if (errors[i].error != error)
            continue;
        kv_fault_set(fault, errors[i].exit, about, "%s", errors[i].message);
        if (errors[i].hint)
            kv_fault_hint(fault, "%s", errors[i].hint);
        return (int)fault->exit;
    }
    return kv_fault_set(fault, KV_EXIT_REFUSED, about, "%s", strerror(error));
}

int kv_mountio_refuse(const char *what, struct kv_fault *fault)
{
    kv_fault_set(fault, KV_EXIT_USAGE, NULL, "%s cannot be had on a mount", what);
    kv_fault_hint(fault, "use --url or --socket");
    return KV_EXIT_USAGE;
}

/* -- The directory -- */

int kv_mountio_root(struct kv_mountio *mount)
{
    if (mount->root_fd < 0)
        mount->root_fd = open(mount->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return mount->root_fd;
}

void kv_mountio_let_go(struct kv_mountio *mount)
{
    if (mount->root_fd >= 0)
        (void)close(mount->root_fd); /* a directory: nothing can be lost */
    mount->root_fd = -1;
}

/* -- Reading -- */

/* A number that the mount shows as an attribute of a file; 0 when it does not. */
static uint64_t attribute(const char *path, const char *name)
{
    char text[32];
    uint64_t number;
    ssize_t len = lgetxattr(path, name, text, sizeof(text) - 1);
    if (len < 0)
        return 0;
    text[len] = '\0';
    return kv_text_number(text, &number) ? 0 : number;
}

static void describe_stat(const struct stat *st, struct kv_entry *entry)
{
    entry->directory = S_ISDIR(st->st_mode);
    entry->size = entry->directory ? 0 : (uint64_t)st->st_size;
    entry->mtime_ns = kv_timespec_ns(st->st_mtim);
}

int kv_mountio_describe(struct kv_mountio *mount, const char *key, struct kv_entry *ret)
{
    struct stat st;
    KV_CLEANUP(kv_buf_done) struct kv_buf path = {0};
    kv_buf_addf(&path, "%s/%s", mount->path, key);
    kv_buf_addc(&path, '\0');
    if (kv_buf_error(&path))
        return -ENOMEM;
    *ret = (struct kv_entry){.key = key};
    /* The revision first. When the writer closes the file in between, it is none, not
     * one that goes with older times. */
    ret->mod_revision = attribute(path.data, "user.kv.revision");
    ret->version = attribute(path.data, "user.kv.version");
    ret->create_revision = attribute(path.data, "user.kv.create_revision");
    uint64_t ttl_s = attribute(path.data, "user.kv.ttl");
    if (ttl_s && ttl_s < (uint64_t)(INT64_MAX / KV_NS_PER_S / 2))
        ret->expires_ns = kv_clock_realtime_ns() + (int64_t)ttl_s * KV_NS_PER_S;
    if (fstatat(kv_mountio_root(mount), key, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    describe_stat(&st, ret);
    return 0;
}

/* A read-only descriptor of a key that is not a link. A negative errno, -EISDIR for a
 * directory. */
static int open_key(struct kv_mountio *mount, const char *key)
{
    KV_CLEANUP(kv_close)
    int fd = openat(kv_mountio_root(mount), key, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if (S_ISDIR(st.st_mode))
        return -EISDIR;
    int taken = fd;
    fd = -1;
    return taken;
}

static int read_link(struct kv_mountio *mount, const char *key, struct kv_buf *out)
{
    char target[4096];
    ssize_t len = readlinkat(kv_mountio_root(mount), key, target, sizeof(target));
    if (len < 0)
        return -errno;
    kv_buf_add(out, target, (size_t)len);
    return kv_buf_error(out);
}

int kv_mountio_read(struct kv_mountio *mount, const char *key, struct kv_buf *out)
{
    KV_CLEANUP(kv_close) int fd = open_key(mount, key);
    if (fd == -ELOOP)
        return read_link(mount, key, out);
    if (fd < 0)
        return fd;
    for (;;) {
        int err = kv_buf_reserve(out, CHUNK);
        if (err)
            return err;
        ssize_t n = read(fd, out->data + out->len, CHUNK);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n == 0)
            return 0;
        if (n > 0)
            out->len += (size_t)n;
    }
}

/* The value is read whole before any of it is given out: so an error half way gives out
 * nothing, as over HTTP, where the size is known beforehand. */
static int mount_get(struct kv_access *access, const char *key,
                     const struct kv_receiver *receiver, struct kv_fault *fault)
{
    struct kv_mountio *mount = kv_mountio_of(access);
    KV_CLEANUP(kv_buf_done) struct kv_buf value = {0};
    struct kv_entry entry;
    int err = kv_mountio_read(mount, key, &value);
    if (!err && receiver->begin)
        err = kv_mountio_describe(mount, key, &entry);
    if (err == -ENOMEM)
        return kv_fault_no_memory(fault);
    if (err)
        return kv_mountio_fault(mount, -err, key, fault);
    int status = 0;
    if (receiver->begin) {
        entry.size = value.len;
        status = receiver->begin(receiver->ctx, &entry);
    }
    if (!status && value.len)
        status = receiver->data(receiver->ctx, value.data, value.len);
    return status;
}

/* -- Writing -- */

/* Make the directories that key lies in. 0 or a negative errno. */
static int make_parents(struct kv_mountio *mount, const char *key)
{
    char path[KV_KEY_MAX + 1];
    size_t len = strlen(key);
    if (len > KV_KEY_MAX)
        return -ENAMETOOLONG;
    memcpy(path, key, len + 1);
    for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdirat(kv_mountio_root(mount), path, 0777) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    return 0;
}

/* A descriptor for writing; the directories are made when they are not there. */
static int open_for_writing(struct kv_mountio *mount, const char *key, int flags)
{
    flags |= O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(kv_mountio_root(mount), key, flags, 0666);
    if (fd >= 0 || errno != ENOENT)
        return fd >= 0 ? fd : -errno;
    int err = make_parents(mount, key);
    if (err)
        return err;
    fd = openat(kv_mountio_root(mount), key, flags, 0666);
    return fd >= 0 ? fd : -errno;
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n > 0) {
            data += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

/* 0, KV_EXIT_LOCAL when the source cannot be read, or the fault of the mount. */
static int copy(struct kv_mountio *mount, const char *key, int fd,
                const struct kv_source *source, struct kv_fault *fault)
{
    if (source->data) {
        int err = write_all(fd, source->data, (size_t)source->size);
        return err ? kv_mountio_fault(mount, -err, key, fault) : 0;
    }
    KV_CLEANUP(kv_free) char *chunk = malloc(CHUNK);
    if (!chunk)
        return kv_fault_no_memory(fault);
    for (uint64_t offset = 0; offset < source->size;) {
        ssize_t n = kv_source_read(source, offset, chunk, CHUNK);
        if (n < 0)
            return kv_fault_set(fault, KV_EXIT_LOCAL, NULL, "cannot read the value: %s",
                                strerror((int)-n));
        int err = write_all(fd, chunk, (size_t)n);
        if (err)
            return kv_mountio_fault(mount, -err, key, fault);
        offset += (uint64_t)n;
    }
    return 0;
}

static int write_key(struct kv_mountio *mount, const char *key, int flags,
                     const struct kv_source *source, struct kv_written *ret,
                     struct kv_fault *fault)
{
    int fd = open_for_writing(mount, key, flags);
    if (fd == -ELOOP)
        return kv_fault_set(fault, KV_EXIT_REFUSED, key, "the key is a symbolic link");
    if (fd < 0)
        return kv_mountio_fault(mount, -fd, key, fault);
    int status = copy(mount, key, fd, source, fault);
    /* The value is stored by close, and its error is the commit's. */
    if (close(fd) < 0 && !status)
        status = kv_mountio_fault(mount, errno, key, fault);
    *ret = (struct kv_written){0};
    return status;
}

static int mount_put(struct kv_access *access, const char *key,
                     const struct kv_source *source,
                     const struct kv_put_options *options, struct kv_written *ret,
                     struct kv_fault *fault)
{
    if (options->ttl_ms || options->if_absent || options->check_revision)
        return kv_mountio_refuse("--ttl, --if-absent and --if-revision", fault);
    return write_key(kv_mountio_of(access), key, O_TRUNC, source, ret, fault);
}

static int mount_append(struct kv_access *access, const char *key,
                        const struct kv_source *source, struct kv_written *ret,
                        struct kv_fault *fault)
{
    return write_key(kv_mountio_of(access), key, O_APPEND, source, ret, fault);
}

/* Remove a directory and everything below it. 0 or a negative errno. */
static int remove_tree(int at, const char *name)
{
    KV_CLEANUP(kv_mountio_close_dir) DIR *dir = kv_mountio_open_dir(at, name);
    if (!dir)
        return -errno;
    const char *child;
    while ((child = kv_mountio_next_name(dir))) {
        int err = 0;
        if (unlinkat(dirfd(dir), child, 0) < 0)
            err = errno == EISDIR ? remove_tree(dirfd(dir), child) : -errno;
        if (err && err != -ENOENT) /* gone is gone, whoever did it */
            return err;
    }
    if (errno)
        return -errno;
    return unlinkat(at, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

static int mount_remove(struct kv_access *access, const char *key, bool recursive,
                        struct kv_written *ret, struct kv_fault *fault)
{
    struct kv_mountio *mount = kv_mountio_of(access);
    *ret = (struct kv_written){0};
    int err = unlinkat(kv_mountio_root(mount), key, 0) < 0 ? -errno : 0;
    if (err == -EISDIR && recursive)
        err = remove_tree(kv_mountio_root(mount), key);
    if (!err)
        return 0;
    kv_mountio_fault(mount, -err, key, fault);
    if (err == -EISDIR)
        kv_fault_hint(fault, "'kv rm -r' removes a directory and all that is in it");
    return (int)fault->exit;
}

static int mount_rename(struct kv_access *access, const char *from, const char *to,
                        struct kv_written *ret, struct kv_fault *fault)
{
    struct kv_mountio *mount = kv_mountio_of(access);
    struct stat st;
    *ret = (struct kv_written){0};
    int err = 0;
    if (renameat(kv_mountio_root(mount), from, kv_mountio_root(mount), to) < 0)
        err = -errno;
    if (err == -ENOENT &&
        fstatat(kv_mountio_root(mount), from, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        err = make_parents(mount, to);
        if (!err &&
            renameat(kv_mountio_root(mount), from, kv_mountio_root(mount), to) < 0)
            err = -errno;
    }
    /* In these cases what is at the new name is in the way. */
    bool target =
        err == -EISDIR || err == -ENOTDIR || err == -ENOTEMPTY || err == -EEXIST;
    return err ? kv_mountio_fault(mount, -err, target ? to : from, fault) : 0;
}

/* -- Status -- */

/* Lines "name value" as one JSON object. */
static void lines_to_json(struct kv_buf *lines, struct kv_buf *out)
{
    const char *comma = "";
    char *save = NULL;
    kv_buf_addc(lines, '\0');
    kv_buf_addc(out, '{');
    for (char *line = kv_buf_error(lines) ? NULL : strtok_r(lines->data, "\n", &save);
         line; line = strtok_r(NULL, "\n", &save)) {
        size_t name_len = strcspn(line, " ");
        const char *value = line + name_len + strspn(line + name_len, " ");
        uint64_t number;
        kv_buf_adds(out, comma);
        kv_json_string(out, line, name_len);
        kv_buf_addc(out, ':');
        if (kv_text_number(value, &number) == 0)
            kv_json_u64(out, number);
        else
            kv_json_string(out, value, strlen(value));
        comma = ",";
    }
    kv_buf_adds(out, "}\n");
}

static int mount_status(struct kv_access *access, bool json, struct kv_buf *out,
                        struct kv_fault *fault)
{
    static const char stats[] = KV_KEY_CONTROL "/stats";
    struct kv_mountio *mount = kv_mountio_of(access);
    KV_CLEANUP(kv_buf_done) struct kv_buf lines = {0};
    int err = kv_mountio_read(mount, stats, &lines);
    if (err && err != -ENOMEM)
        return kv_mountio_fault(mount, -err, stats, fault);
    if (json)
        lines_to_json(&lines, out);
    else
        kv_buf_add(out, lines.data, lines.len);
    return kv_buf_error(&lines) || kv_buf_error(out) ? kv_fault_no_memory(fault) : 0;
}

/* -- The whole -- */

static void mount_free(struct kv_access *access)
{
    struct kv_mountio *mount = kv_mountio_of(access);
    kv_mountio_let_go(mount);
    free(mount->path);
    free(mount);
}

static const struct kv_access_ops mount_ops = {
    .get = mount_get,
    .put = mount_put,
    .append = mount_append,
    .remove = mount_remove,
    .rename = mount_rename,
    .list = kv_mountio_list,
    .watch = kv_mountio_watch,
    .status = mount_status,
    .free = mount_free,
};

/* Writing into the empty directory below a mount that is not there would look like
 * success. 0 or a negative errno, -EMEDIUMTYPE when no file system of this kind is
 * there. */
static int open_root(const char *dir)
{
    KV_CLEANUP(kv_close) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct statfs fs;
    if (fd < 0 || fstatfs(fd, &fs) < 0)
        return -errno;
    if (fs.f_type != FUSE_MAGIC ||
        (fgetxattr(fd, "user.kv.revision", NULL, 0) < 0 && errno != ENOTCONN))
        return -EMEDIUMTYPE;
    int taken = fd;
    fd = -1;
    return taken;
}

int kv_mountio_open(const char *dir, struct kv_access **ret, struct kv_fault *fault)
{
    int fd = open_root(dir);
    if (fd == -EMEDIUMTYPE) {
        kv_fault_set(fault, KV_EXIT_AWAY, NULL, "no kvfs is mounted on '%s'", dir);
        kv_fault_hint(fault, "is kvfsd running? --mount says where");
        return KV_EXIT_AWAY;
    }
    if (fd == -ENOTCONN) {
        kv_fault_set(fault, KV_EXIT_AWAY, NULL, "kvfsd is gone from the mount '%s'",
                     dir);
        kv_fault_hint(fault, "start kvfsd again");
        return KV_EXIT_AWAY;
    }
    if (fd < 0)
        return kv_fault_set(fault, KV_EXIT_AWAY, NULL, "cannot open the mount '%s': %s",
                            dir, strerror(-fd));
    struct kv_mountio *mount = calloc(1, sizeof(*mount));
    char *path = strdup(dir);
    if (!mount || !path) {
        free(mount);
        free(path);
        (void)close(fd);
        return kv_fault_no_memory(fault);
    }
    *mount = (struct kv_mountio){.access = {&mount_ops}, .root_fd = fd, .path = path};
    *ret = &mount->access;
    return 0;
}
