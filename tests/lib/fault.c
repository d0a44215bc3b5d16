/* A disk that fails on demand, for LD_PRELOAD: when the file that $KVFS_FAULT names
 * exists and holds `KIND ERRNO` (EIO, ENOSPC), calls of that kind fail with it: `sync`
 * is fdatasync, fsync and msync; `write` is pwrite, pwritev and writev to a regular
 * file; `meta` is pwrite of less than a sector, which LMDB does for its meta pages
 * alone. Without the file nothing changes. */
#undef _FILE_OFFSET_BITS /* it would give pwrite the name of pwrite64 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

/* The function of this name behind ours. */
#define REAL(name)                                                                     \
    __extension__({                                                                    \
        __typeof__(&name) real_;                                                       \
        *(void **)&real_ = dlsym(RTLD_NEXT, #name);                                    \
        real_;                                                                         \
    })

/* Whether calls of this kind are to fail now; sets errno when so. */
static bool fails(const char *kind)
{
    char text[64] = "";
    const char *path = getenv("KVFS_FAULT");
    int saved = errno;
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t len = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    errno = saved;
    size_t kind_len = strlen(kind);
    if (len <= 0 || strncmp(text, kind, kind_len) != 0 || text[kind_len] != ' ')
        return false;
    errno = strncmp(text + kind_len + 1, "ENOSPC", 6) == 0 ? ENOSPC : EIO;
    return true;
}

int fdatasync(int fd)
{
    return fails("sync") ? -1 : REAL(fdatasync)(fd);
}

int fsync(int fd)
{
    return fails("sync") ? -1 : REAL(fsync)(fd);
}

int msync(void *address, size_t len, int flags)
{
    return fails("sync") ? -1 : REAL(msync)(address, len, flags);
}

static bool write_fails(size_t len)
{
    return fails("write") || (len < 512 && fails("meta"));
}

static bool is_regular(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    return write_fails(len) ? -1 : REAL(pwrite)(fd, data, len, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
    return write_fails(len) ? -1 : REAL(pwrite64)(fd, data, len, offset);
}

ssize_t pwritev(int fd, const struct iovec *iov, int count, off_t offset)
{
    return fails("write") ? -1 : REAL(pwritev)(fd, iov, count, offset);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int count, off64_t offset)
{
    return fails("write") ? -1 : REAL(pwritev64)(fd, iov, count, offset);
}

ssize_t writev(int fd, const struct iovec *iov, int count)
{
    /* Sockets and the FUSE device are written to in this way, too. */
    return is_regular(fd) && fails("write") ? -1 : REAL(writev)(fd, iov, count);
}
