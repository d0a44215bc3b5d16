/* A line at a time: fields fill the event, an empty line sends it off. */
#include "sse.h"

#include <errno.h>
#include <string.h>

void kv_sse_init(struct kv_sse *sse, kv_sse_fn *fn, void *ctx)
{
    *sse = (struct kv_sse){.fn = fn, .ctx = ctx};
}

void kv_sse_done(struct kv_sse *sse)
{
    kv_buf_done(&sse->line);
    kv_buf_done(&sse->data);
    kv_buf_done(&sse->type);
    kv_buf_done(&sse->id);
    kv_buf_done(&sse->last_id);
}

void kv_sse_restart(struct kv_sse *sse)
{
    kv_buf_reset(&sse->line);
    kv_buf_reset(&sse->data);
    kv_buf_reset(&sse->type);
    kv_buf_reset(&sse->id);
    kv_buf_add(&sse->id, sse->last_id.data, sse->last_id.len);
    sse->after_cr = false;
    sse->started = false;
}

/* The content with a NUL behind it, which is not counted; NULL: no memory. */
static const char *terminated(struct kv_buf *buf)
{
    if (kv_buf_reserve(buf, 1))
        return NULL;
    buf->data[buf->len] = '\0';
    return buf->data;
}

const char *kv_sse_last_id(struct kv_sse *sse)
{
    return terminated(&sse->last_id);
}

static int send_off(struct kv_sse *sse)
{
    kv_buf_reset(&sse->last_id);
    kv_buf_add(&sse->last_id, sse->id.data, sse->id.len);
    int err = kv_buf_error(&sse->last_id);
    if (!err && sse->data.len > 0) {
        sse->data.len--; /* the newline behind the last data line */
        if (sse->type.len == 0)
            kv_buf_adds(&sse->type, "message");
        struct kv_sse_event event = {
            .type = terminated(&sse->type),
            .data = terminated(&sse->data),
            .data_len = sse->data.len,
        };
        err = event.type && event.data ? sse->fn(sse->ctx, &event) : -ENOMEM;
    }
    kv_buf_reset(&sse->data);
    kv_buf_reset(&sse->type);
    return err;
}

static bool is_field(const char *name, size_t len, const char *field)
{
    return len == strlen(field) && memcmp(name, field, len) == 0;
}

static int end_line(struct kv_sse *sse)
{
    const char *line = sse->line.data;
    size_t len = sse->line.len;
    if (len == 0)
        return send_off(sse);
    const char *colon = memchr(line, ':', len);
    size_t name_len = colon ? (size_t)(colon - line) : len;
    const char *value = colon ? colon + 1 : line + len;
    size_t value_len = (size_t)(line + len - value);
    if (value_len > 0 && *value == ' ') {
        value++;
        value_len--;
    }
    if (is_field(line, name_len, "data")) {
        kv_buf_add(&sse->data, value, value_len);
        kv_buf_addc(&sse->data, '\n');
    } else if (is_field(line, name_len, "event")) {
        kv_buf_reset(&sse->type);
        kv_buf_add(&sse->type, value, value_len);
    } else if (is_field(line, name_len, "id") && !memchr(value, '\0', value_len)) {
        kv_buf_reset(&sse->id);
        kv_buf_add(&sse->id, value, value_len);
    }
    kv_buf_reset(&sse->line);
    return kv_buf_error(&sse->data) || kv_buf_error(&sse->type) ||
                   kv_buf_error(&sse->id)
               ? -ENOMEM
               : 0;
}

static void drop_byte_order_mark(struct kv_sse *sse)
{
    static const char mark[] = "\xef\xbb\xbf";
    if (!sse->started && sse->line.len >= 3 && memcmp(sse->line.data, mark, 3) == 0) {
        memmove(sse->line.data, sse->line.data + 3, sse->line.len - 3);
        sse->line.len -= 3;
    }
    sse->started = true;
}

int kv_sse_feed(struct kv_sse *sse, const void *data, size_t len)
{
    const char *p = data, *end = p + len;
    while (p < end) {
        if (sse->after_cr && *p == '\n') { /* CR LF is one end of line */
            sse->after_cr = false;
            p++;
            continue;
        }
        sse->after_cr = false;
        const char *q = p;
        while (q < end && *q != '\n' && *q != '\r')
            q++;
        kv_buf_add(&sse->line, p, (size_t)(q - p));
        if (kv_buf_error(&sse->line))
            return -ENOMEM;
        if (q == end)
            return 0;
        sse->after_cr = *q == '\r';
        p = q + 1;
        drop_byte_order_mark(sse);
        int err = end_line(sse);
        if (err)
            return err;
    }
    return 0;
}
