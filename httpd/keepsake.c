/* Small files that are there whole or not at all. A file that a crash left beside its
 * place is overwritten by the next one. */
#include "httpd/keepsake.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

static int open_dir(const char *dir)
{
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static int read_all(int fd, size_t max, struct kv_buf *out)
{
    char piece[4096];
    ssize_t n;
    while ((n = read(fd, piece, sizeof(piece))) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if ((size_t)n > max)
            return -EFBIG;
        max -= (size_t)n;
        kv_buf_add(out, piece, (size_t)n);
    }
    return kv_buf_error(out);
}

int kv_keepsake_read(const char *dir, const char *name, size_t max, struct kv_buf *out)
{
    KV_CLEANUP(kv_close) int at = open_dir(dir);
    if (at < 0)
        return at;
    KV_CLEANUP(kv_close) int fd = openat(at, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : read_all(fd, max, out);
}

static int write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        data += n;
        len -= (size_t)n;
    }
    return fsync(fd) ? -errno : 0;
}

static int write_beside(int at, const char *name, const void *data, size_t len)
{
    KV_CLEANUP(kv_close)
    int fd = openat(at, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC,
                    S_IRUSR | S_IWUSR);
    if (fd < 0)
        return -errno;
    if (fchmod(fd, S_IRUSR | S_IWUSR)) /* it may have been there */
        return -errno;
    return write_all(fd, data, len);
}

static int sync_dir(const char *dir)
{
    KV_CLEANUP(kv_close) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 || fsync(fd) ? -errno : 0;
}

int kv_keepsake_write(const char *dir, const char *name, const void *data, size_t len)
{
    char beside[64];
    KV_CLEANUP(kv_close) int at = open_dir(dir);
    if (at < 0)
        return at;
    if (snprintf(beside, sizeof(beside), "%s.new", name) >= (int)sizeof(beside))
        return -ENAMETOOLONG;
    int err = write_beside(at, beside, data, len);
    if (!err && renameat(at, beside, at, name))
        err = -errno;
    if (err) {
        (void)unlinkat(at, beside, 0); /* it may not be there */
        return err;
    }
    return sync_dir(dir);
}
