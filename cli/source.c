/* Values from an argument, a file or a pipe. */
#include "source.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (256 * 1024)

void kv_source_bytes(struct kv_source *source, const void *data, size_t len)
{
    *source = (struct kv_source){.data = data, .fd = -1, .size = len};
}

static int cannot_read(struct kv_fault *fault)
{
    return kv_fault_set(fault, KV_EXIT_LOCAL, NULL, "cannot read the value: %s",
                        strerror(errno));
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

/* Copy what comes out of a pipe to memory; *ret_size counts. */
static int drain(int from, int to, uint64_t *ret_size, struct kv_fault *fault)
{
    static char chunk[CHUNK];
    for (uint64_t size = 0;;) {
        ssize_t n = read(from, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cannot_read(fault);
        if (n == 0) {
            *ret_size = size;
            return 0;
        }
        size += (uint64_t)n;
        if (size > KV_SOURCE_PIPE_MAX)
            return kv_fault_set(fault, KV_EXIT_LOCAL, NULL,
                                "a value from a pipe has at most 1 GiB");
        int err = write_all(to, chunk, (size_t)n);
        if (err)
            return kv_fault_set(fault, KV_EXIT_LOCAL, NULL,
                                "cannot keep the value in memory: %s", strerror(-err));
    }
}

int kv_source_fd(struct kv_source *source, int fd, struct kv_fault *fault)
{
    *source = (struct kv_source){.fd = fd};
    struct stat st;
    if (fstat(fd, &st) < 0)
        return cannot_read(fault);
    if (S_ISREG(st.st_mode)) {
        source->start = lseek(fd, 0, SEEK_CUR);
        if (source->start < 0)
            return cannot_read(fault);
        source->size =
            st.st_size > source->start ? (uint64_t)(st.st_size - source->start) : 0;
        /* Files of /proc and the like have size 0 and content all the same. */
        if (st.st_size > 0)
            return 0;
    }
    source->start = 0;
    source->fd = memfd_create("value", MFD_CLOEXEC);
    if (source->fd < 0)
        return kv_fault_set(fault, KV_EXIT_LOCAL, NULL,
                            "cannot keep the value in memory: %s", strerror(errno));
    source->owned = true;
    return drain(fd, source->fd, &source->size, fault);
}

int kv_source_stream(struct kv_source *source, int fd, struct kv_fault *fault)
{
    *source = (struct kv_source){.fd = fd, .stream = true};
    struct stat st;
    if (fstat(fd, &st) < 0)
        return cannot_read(fault);
    off_t start = S_ISREG(st.st_mode) ? lseek(fd, 0, SEEK_CUR) : -1;
    if (start >= 0 && st.st_size > start)
        source->size = (uint64_t)(st.st_size - start);
    return 0;
}

void kv_source_done(struct kv_source *source)
{
    if (source->owned)
        (void)close(source->fd);
    *source = (struct kv_source){.fd = -1};
}

ssize_t kv_source_read(const struct kv_source *source, uint64_t offset, void *buffer,
                       size_t len)
{
    while (source->stream) {
        ssize_t n = read(source->fd, buffer, len);
        if (n >= 0)
            return n;
        if (errno != EINTR)
            return -errno;
    }
    if (offset >= source->size)
        return 0;
    if (len > source->size - offset)
        len = (size_t)(source->size - offset);
    if (source->data) {
        memcpy(buffer, source->data + offset, len);
        return (ssize_t)len;
    }
    for (;;) {
        ssize_t n = pread(source->fd, buffer, len, source->start + (off_t)offset);
        if (n > 0)
            return n;
        if (n == 0)
            return -EIO;
        if (errno != EINTR)
            return -errno;
    }
}
