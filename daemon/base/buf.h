#ifndef KV_BASE_BUF_H
#define KV_BASE_BUF_H

/* A growable run of bytes. Embedded in its owner or a local with
 * KV_CLEANUP(kv_buf_done); zero-initialised is empty and valid.
 *
 * Errors stick: when memory runs out, or the bytes would pass PTRDIFF_MAX, the buffer
 * turns failed, later writes do nothing, and kv_buf_error() says so. So a text can be built
 * with many calls and checked once. Not thread-safe. */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct kv_buf {
    char *data;
    size_t len;
    size_t cap;
    bool failed;
};

void kv_buf_done(struct kv_buf *buf);

/* Forget the content, keep the memory; a failed buffer becomes usable again. */
void kv_buf_reset(struct kv_buf *buf);

/* Make room for at least `more` bytes behind len. 0 or -ENOMEM. */
int kv_buf_reserve(struct kv_buf *buf, size_t more);

/* Set the length; new bytes are zero. 0 or -ENOMEM. */
int kv_buf_resize(struct kv_buf *buf, size_t len);

void kv_buf_add(struct kv_buf *buf, const void *data, size_t len);
void kv_buf_adds(struct kv_buf *buf, const char *text);
void kv_buf_addc(struct kv_buf *buf, char c);
void kv_buf_addf(struct kv_buf *buf, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void kv_buf_vaddf(struct kv_buf *buf, const char *format, va_list args)
    __attribute__((format(printf, 2, 0)));

/* 0, or -ENOMEM when any write so far failed. */
int kv_buf_error(const struct kv_buf *buf);

/* The content as a malloc'd, NUL-terminated string that the caller frees; the buffer
 * is left empty. NULL when it had failed. *ret_len (may be NULL) excludes the NUL. */
char *kv_buf_steal(struct kv_buf *buf, size_t *ret_len);

#endif
