#ifndef KV_CLI_SOURCE_H
#define KV_CLI_SOURCE_H

/* A value on its way to the store: its size is known before it is sent, and it can be
 * read more than once, so that no half value can ever be stored because its producer
 * was slow or failed. A regular file on stdin is read where it lies; a pipe is read to
 * its end first, into anonymous memory. One thread. */

#include "fault.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What is read from a pipe; a bigger value comes from a file. */
#define KV_SOURCE_PIPE_MAX (UINT64_C(1) << 30)

struct kv_source {
    const char *data; /* size bytes, or NULL: in fd from start on */
    int fd;
    bool owned; /* fd is to be closed */
    off_t start;
    uint64_t size;
    bool stream; /* read once, in order; size 0: not known beforehand */
};

/* The bytes stay the caller's. */
void kv_source_bytes(struct kv_source *source, const void *data, size_t len);

/* All that fd has to give, from where it stands. 0 or KV_EXIT_LOCAL. */
int kv_source_fd(struct kv_source *source, int fd, struct kv_fault *fault);

/* The same for what need not be stored whole: it is read while it is sent, from where
 * fd stands, and only once. 0 or KV_EXIT_LOCAL. */
int kv_source_stream(struct kv_source *source, int fd, struct kv_fault *fault);

void kv_source_done(struct kv_source *source);

/* Copy up to len bytes from offset on to buffer; 0 at the end. A negative errno, -EIO
 * when the file has become shorter than it was. */
ssize_t kv_source_read(const struct kv_source *source, uint64_t offset, void *buffer,
                       size_t len);

#endif
