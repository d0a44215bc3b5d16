/* Raw system calls for whatever opens, lists or closes: ThreadSanitizer follows
 * descriptors by number and takes them for one table in all threads. */
#include "fuse/outside.h"

#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* getdents64(2): the kernel's layout has no header. */
struct entry {
    uint64_t ino;
    int64_t next;
    uint16_t len;
    uint8_t type;
    char name[];
};

void kv_outside_close(int *fd)
{
    if (*fd >= 0)
        (void)syscall(SYS_close, *fd);
    *fd = -1;
}

static bool is_regular(int fd)
{
    struct statx sx;
    return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &sx) == 0 &&
           S_ISREG(sx.stx_mode);
}

static void close_named(const char *name, int keep)
{
    char *end;
    int fd = (int)strtol(name, &end, 10);
    if (end == name || fd <= STDERR_FILENO || fd == keep || is_regular(fd))
        return;
    kv_outside_close(&fd);
}

static int close_others(int dir)
{
    _Alignas(struct entry) char buf[4096];
    long got;
    while ((got = syscall(SYS_getdents64, dir, buf, sizeof(buf))) > 0) {
        for (long at = 0; at < got;) {
            const struct entry *entry = (const struct entry *)(const void *)(buf + at);
            close_named(entry->name, dir);
            at += entry->len;
        }
    }
    return got < 0 ? -errno : 0;
}

/* Whoever started a daemon that logs elsewhere may wait for the end of what it has for
 * stdout and stderr. */
static void release_standard(void)
{
    if (kv_log_descriptor() == STDERR_FILENO)
        return;
    int nothing = openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = STDIN_FILENO; nothing > STDERR_FILENO && fd <= STDERR_FILENO; fd++)
        (void)syscall(SYS_dup3, nothing, fd, 0);
    if (nothing > STDERR_FILENO)
        kv_outside_close(&nothing);
}

int kv_outside_enter(void)
{
    if (unshare(CLONE_FILES) < 0)
        return -errno;
    int dir =
        openat(AT_FDCWD, "/proc/thread-self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    int err = close_others(dir);
    kv_outside_close(&dir);
    release_standard();
    return err;
}
