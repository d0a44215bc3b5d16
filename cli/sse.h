#ifndef KV_CLI_SSE_H
#define KV_CLI_SSE_H

/* Server-Sent Events, as the HTML standard (9.2.6, interpreting an event stream) has
 * them: bytes in, in pieces of any size, events out. One thread. */

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

struct kv_sse_event {
    const char *type; /* "message" when the stream named none */
    const char *data; /* the data lines joined by '\n'; a NUL follows */
    size_t data_len;
};

/* Returns 0 to go on; anything else ends kv_sse_feed, which returns it. */
typedef int kv_sse_fn(void *ctx, const struct kv_sse_event *event);

struct kv_sse {
    kv_sse_fn *fn;
    void *ctx;
    struct kv_buf line, data, type;
    struct kv_buf id;      /* of the event being read */
    struct kv_buf last_id; /* of the last event that was complete */
    bool after_cr;
    bool started; /* a byte order mark may only be the first thing */
};

void kv_sse_init(struct kv_sse *sse, kv_sse_fn *fn, void *ctx);
void kv_sse_done(struct kv_sse *sse);

/* Take more bytes; calls fn for each event that is complete with them. 0, -ENOMEM, or
 * what fn returned. */
int kv_sse_feed(struct kv_sse *sse, const void *data, size_t len);

/* A new connection: forget what was incomplete, keep the last id. */
void kv_sse_restart(struct kv_sse *sse);

/* The id of the last complete event, also of one without data: "" at first. NULL: no
 * memory. Valid until the next call. */
const char *kv_sse_last_id(struct kv_sse *sse);

#endif
