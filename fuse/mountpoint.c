/* What is mounted where is in /proc/self/mountinfo (proc(5)). */
#include "fuse/mountpoint.h"

#include "fuse/session.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

/* -- Unmounting -- */

/* What a child has to say, up to its end. */
static void read_words(int fd, struct kv_buf *out)
{
    char text[256];
    ssize_t got;
    while ((got = read(fd, text, sizeof(text))) > 0 || (got < 0 && errno == EINTR))
        kv_buf_add(out, text, got > 0 ? (size_t)got : 0);
    while (out->len > 0 && out->data[out->len - 1] == '\n')
        out->len--;
}

static int spawn(char *const argv[], int stderr_fd, pid_t *ret)
{
    posix_spawn_file_actions_t actions;
    int err = posix_spawn_file_actions_init(&actions);
    if (err)
        return -err;
    err = posix_spawn_file_actions_adddup2(&actions, stderr_fd, STDERR_FILENO);
    if (!err)
        err = posix_spawnp(ret, argv[0], &actions, NULL, argv, environ);
    (void)posix_spawn_file_actions_destroy(&actions);
    return -err;
}

/* fusermount3 says what is wrong in words only. */
static int run_fusermount(const char *path, bool lazy)
{
    KV_CLEANUP(kv_free) char *copy = strdup(path);
    char *argv[] = {(char[]){"fusermount3"}, (char[]){"-u"},
                    lazy ? (char[]){"-z"} : (char[]){"--"}, copy, NULL};
    KV_CLEANUP(kv_buf_done) struct kv_buf words = {0};
    int ends[2], status = 0;
    pid_t pid;
    if (!copy || pipe2(ends, O_CLOEXEC) < 0)
        return copy ? -errno : -ENOMEM;
    int err = spawn(argv, ends[1], &pid);
    (void)close(ends[1]);
    if (!err) {
        read_words(ends[0], &words);
        if (waitpid(pid, &status, 0) < 0)
            err = -errno;
    }
    (void)close(ends[0]);
    if (err)
        kv_error("cannot run fusermount3: %s", kv_strerror(err));
    if (err || !status)
        return err;
    kv_buf_addc(&words, '\0');
    if (!kv_buf_error(&words))
        kv_error("%s", words.data);
    return words.data && strstr(words.data, "busy") ? -EBUSY : -EPERM;
}

static int unmount(const char *path, bool lazy)
{
    if (geteuid() != 0)
        return run_fusermount(path, lazy);
    int flags = UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0);
    return umount2(path, flags) < 0 ? -errno : 0;
}

/* -- Before -- */

char *kv_mount_resolve(const char *path)
{
    /* For a slash at the end the directory itself would be searched, which a stale
     * mount cannot be. */
    KV_CLEANUP(kv_free) char *copy = strdup(path);
    for (size_t len = copy ? strlen(copy) : 0; len > 1 && copy[len - 1] == '/'; len--)
        copy[len - 1] = '\0';
    return copy ? realpath(copy, NULL) : NULL;
}

/* A daemon that was killed leaves a mount behind that answers ENOTCONN; not to stat(2),
 * which the kernel may answer from what it has cached, but to statfs(2). */
static int clear_stale(const char *path)
{
    struct stat st;
    struct statfs fs;
    while (stat(path, &st) < 0 || statfs(path, &fs) < 0) {
        if (errno != ENOTCONN)
            return -errno;
        int err = unmount(path, true);
        if (err)
            return err;
        kv_notice("cleared the stale mount on '%s'", path);
    }
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

/* A directory on a FUSE filesystem is not yet one that such a filesystem is mounted on.
 * A kernel that cannot tell (before 5.8) is taken to mean that it is. */
static int check_free(const char *path)
{
    struct statfs fs;
    struct statx sx;
    if (statfs(path, &fs) < 0 || statx(AT_FDCWD, path, 0, STATX_TYPE, &sx) < 0)
        return -errno;
    bool root = !(sx.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) ||
                (sx.stx_attributes & STATX_ATTR_MOUNT_ROOT);
    return fs.f_type == FUSE_SUPER_MAGIC && root ? -EBUSY : 0;
}

static int check_empty(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir)
        return -errno;
    int err = 0;
    const struct dirent *entry;
    while (!err && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            err = -ENOTEMPTY;
    }
    (void)closedir(dir);
    return err;
}

int kv_mountpoint_prepare(const char *path)
{
    int err = clear_stale(path);
    if (!err)
        err = check_free(path);
    return err ? err : check_empty(path);
}

/* -- Mounts over mounts -- */

/* Undo the \040 of a blank and the like, in place. */
static void unescape(char *text)
{
    char *to = text;
    for (const char *from = text; *from; to++) {
        if (from[0] == '\\' && strspn(from + 1, "01234567") >= 3) {
            *to = (char)((from[1] - '0') * 64 + (from[2] - '0') * 8 + (from[3] - '0'));
            from += 4;
        } else {
            *to = *from++;
        }
    }
    *to = '\0';
}

/* What a line of mountinfo tells; points into it. */
struct entry {
    int id, parent;
    dev_t device;
    char *place, *type, *source;
};

/* The next word, NUL-terminated. */
static char *take_word(char **rest)
{
    char *word = strsep(rest, " \n");
    if (word)
        unescape(word);
    return word;
}

static bool take_apart(char *line, struct entry *ret)
{
    unsigned major_number, minor_number;
    int end = 0;
    if (sscanf(line, "%d %d %u:%u %*s %n", &ret->id, &ret->parent, &major_number,
               &minor_number, &end) != 4 ||
        !end)
        return false;
    char *rest = line + end, *word;
    ret->device = makedev(major_number, minor_number);
    ret->place = take_word(&rest);
    do /* options, and a hyphen behind them */
        word = take_word(&rest);
    while (word && strcmp(word, "-") != 0);
    ret->type = take_word(&rest);
    ret->source = take_word(&rest);
    return ret->source != NULL;
}

/* Call each for every mount at path, the lowest first, until it returns true. */
static bool find_mount(const char *path,
                       bool (*each)(const struct entry *entry, void *ctx), void *ctx)
{
    FILE *file = fopen("/proc/self/mountinfo", "re");
    KV_CLEANUP(kv_free) char *line = NULL;
    size_t cap = 0;
    bool found = false;
    struct entry entry;
    while (file && !found && getline(&line, &cap, file) != -1)
        found = take_apart(line, &entry) && strcmp(entry.place, path) == 0 &&
                each(&entry, ctx);
    if (file)
        (void)fclose(file); /* read only: nothing can be lost */
    return found;
}

static bool is_device(const struct entry *entry, void *device)
{
    return entry->device == *(dev_t *)device;
}

static bool describe(const struct entry *entry, void *ctx)
{
    struct kv_buf *out = ctx;
    kv_buf_reset(out);
    kv_buf_addf(out, "%s of '%s'", entry->type, entry->source);
    return false;
}

void kv_mount_holder(const char *path, struct kv_buf *out)
{
    /* Where FUSE lets nobody else in, not even the name can be looked at. */
    KV_CLEANUP(kv_free) char *real = realpath(path, NULL);
    KV_CLEANUP(kv_buf_done) struct kv_buf last = {0};
    (void)find_mount(real ? real : path, describe, &last);
    kv_buf_add(out, last.data, last.len);
    if (kv_buf_error(&last))
        out->failed = true;
}

/* Without a request: a thread that waits for an answer of its own process cannot be
 * killed (outside.h). */
static int look_at(const char *path, unsigned mask, struct statx *ret)
{
    return statx(AT_FDCWD, path, AT_STATX_DONT_SYNC | AT_NO_AUTOMOUNT, mask, ret) < 0
               ? -errno
               : 0;
}

int kv_mountpoint_device(const char *path, dev_t *ret)
{
    struct statx sx;
    int err = look_at(path, 0, &sx);
    if (!err)
        *ret = makedev(sx.stx_dev_major, sx.stx_dev_minor);
    return err;
}

static bool is_on_top(const char *path, dev_t device)
{
    dev_t top;
    return kv_mountpoint_device(path, &top) == 0 && top == device;
}

struct step {
    int id;
    dev_t device;
};

/* From a mount to the one below it. */
static bool step_down(const struct entry *entry, void *ctx)
{
    struct step *step = ctx;
    if (entry->id != step->id)
        return false;
    *step = (struct step){entry->parent, entry->device};
    return true;
}

/* Whether the mount that the path leads to is stacked on that of the device: at the
 * same path may also be one over a directory further up. A kernel that does not tell
 * which mount it is (before 5.8) is taken to mean that. */
static bool is_stacked(const char *path, dev_t device)
{
    struct statx sx;
    if (look_at(path, STATX_MNT_ID, &sx) || !(sx.stx_mask & STATX_MNT_ID))
        return false;
    struct step step = {.id = (int)sx.stx_mnt_id};
    while (find_mount(path, step_down, &step))
        if (step.device == device)
            return true;
    return false;
}

void kv_mountpoint_uncover(const char *path, dev_t device)
{
    while (!is_on_top(path, device) && find_mount(path, is_device, &device)) {
        if (!is_stacked(path, device)) {
            kv_error("'%s' stays mounted: something hides it that is not mounted on it",
                     path);
            return;
        }
        int err = unmount(path, true);
        if (err) {
            kv_error(
                "'%s' stays mounted: something hides it, which cannot be unmounted:"
                " %s",
                path, kv_strerror(err));
            return;
        }
        kv_warning("unmounted what had been mounted over '%s'", path);
    }
}

int kv_mountpoint_unmount(const char *path, dev_t device, bool lazy)
{
    return is_on_top(path, device) ? unmount(path, lazy) : -EBUSY;
}

enum kv_mount_place kv_mountpoint_place(const char *path, dev_t device)
{
    if (is_on_top(path, device))
        return KV_MOUNT_ON_TOP;
    return find_mount(path, is_device, &device) ? KV_MOUNT_COVERED : KV_MOUNT_DETACHED;
}
