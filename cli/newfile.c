#include "newfile.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int cannot(struct kv_newfile *file, const char *what, struct kv_fault *fault)
{
    return kv_fault_set(fault, KV_EXIT_LOCAL, NULL, "cannot %s '%s': %s", what,
                        file->path, strerror(errno));
}

int kv_newfile_begin(struct kv_newfile *file, const char *path, struct kv_fault *fault)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf temporary = {0};
    *file = (struct kv_newfile){.fd = -1};
    kv_buf_addf(&temporary, "%s.XXXXXX", path);
    char *name = kv_buf_steal(&temporary, NULL);
    file->path = strdup(path);
    if (!name || !file->path) {
        free(name);
        return kv_fault_no_memory(fault);
    }
    file->fd = mkostemp(name, O_CLOEXEC);
    if (file->fd < 0) {
        int status = cannot(file, "make", fault);
        free(name);
        return status;
    }
    file->temporary = name;
    return 0;
}

int kv_newfile_write(struct kv_newfile *file, const void *data, size_t len,
                     struct kv_fault *fault)
{
    for (const char *p = data; len > 0;) {
        ssize_t n = write(file->fd, p, len);
        if (n < 0 && errno != EINTR)
            return cannot(file, "write", fault);
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
    return 0;
}

/* So that the new name outlives a power cut, too. */
static int sync_directory(const char *path)
{
    KV_CLEANUP(kv_free) char *copy = strdup(path);
    if (!copy)
        return -1;
    KV_CLEANUP(kv_close)
    int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -1 : fsync(fd);
}

int kv_newfile_sync(struct kv_newfile *file, struct kv_fault *fault)
{
    return fsync(file->fd) < 0 ? cannot(file, "write", fault) : 0;
}

int kv_newfile_commit(struct kv_newfile *file, struct kv_fault *fault)
{
    if (fsync(file->fd) < 0 || rename(file->temporary, file->path) < 0)
        return cannot(file, "write", fault);
    free(KV_STEAL(file->temporary));
    return sync_directory(file->path) < 0 ? cannot(file, "sync", fault) : 0;
}

void kv_newfile_done(struct kv_newfile *file)
{
    if (file->path && file->fd >= 0)
        (void)close(file->fd); /* what counts was synced */
    if (file->temporary)
        (void)unlink(file->temporary);
    free(file->temporary);
    free(file->path);
    *file = (struct kv_newfile){.fd = -1};
}
