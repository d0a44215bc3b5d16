/* Growable bytes with sticky errors. Capacity doubles, so n appends cost O(n). */
#include "base/buf.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void kv_buf_done(struct kv_buf *buf)
{
    free(buf->data);
    *buf = (struct kv_buf){0};
}

void kv_buf_reset(struct kv_buf *buf)
{
    buf->len = 0;
    buf->failed = false;
}

int kv_buf_reserve(struct kv_buf *buf, size_t more)
{
    if (buf->failed)
        return -ENOMEM;
    size_t need;
    if (__builtin_add_overflow(buf->len, more, &need) || need > PTRDIFF_MAX)
        goto fail;
    if (need <= buf->cap)
        return 0;
    size_t cap = buf->cap < 64 ? 64 : buf->cap;
    while (cap < need)
        cap = cap > PTRDIFF_MAX / 2 ? need : cap * 2;
    char *data = realloc(buf->data, cap);
    if (!data)
        goto fail;
    buf->data = data;
    buf->cap = cap;
    return 0;
fail:
    buf->failed = true;
    return -ENOMEM;
}

int kv_buf_resize(struct kv_buf *buf, size_t len)
{
    if (len > buf->len) {
        int err = kv_buf_reserve(buf, len - buf->len);
        if (err)
            return err;
        memset(buf->data + buf->len, 0, len - buf->len);
    }
    buf->len = len;
    return 0;
}

void kv_buf_add(struct kv_buf *buf, const void *data, size_t len)
{
    if (len == 0 || kv_buf_reserve(buf, len))
        return;
    memcpy(buf->data + buf->len, data, len);
    buf->len += len;
}

void kv_buf_adds(struct kv_buf *buf, const char *text)
{
    kv_buf_add(buf, text, strlen(text));
}

void kv_buf_addc(struct kv_buf *buf, char c)
{
    kv_buf_add(buf, &c, 1);
}

void kv_buf_vaddf(struct kv_buf *buf, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    if (n < 0)
        buf->failed = true;
    else if (kv_buf_reserve(buf, (size_t)n + 1) == 0) {
        (void)vsnprintf(buf->data + buf->len, (size_t)n + 1, format, again);
        buf->len += (size_t)n;
    }
    va_end(again);
}

void kv_buf_addf(struct kv_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    kv_buf_vaddf(buf, format, args);
    va_end(args);
}

int kv_buf_error(const struct kv_buf *buf)
{
    return buf->failed ? -ENOMEM : 0;
}

char *kv_buf_steal(struct kv_buf *buf, size_t *ret_len)
{
    if (kv_buf_reserve(buf, 1)) {
        kv_buf_done(buf);
        return NULL;
    }
    char *data = buf->data;
    data[buf->len] = '\0';
    if (ret_len)
        *ret_len = buf->len;
    *buf = (struct kv_buf){0};
    return data;
}
