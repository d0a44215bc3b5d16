#ifndef KV_HTTPD_STREAM_H
#define KV_HTTPD_STREAM_H

/* What a watcher is told: it reads the feed with its own cursor into watcher->out, in
 * the form its client reads, within the budget of all answers. Whoever sends out calls
 * this when out is empty: the library's thread for Server-Sent Events (watch.c), the
 * pump for a WebSocket (pump.c). A watcher that is parked reads nothing. */

#include "httpd/hub.h"

/* A watcher keeps a buffer of this size while it waits. */
#define KV_STREAM_KEEP_BYTES 1024

/* A form of the stream. Each appends one frame, but heartbeat perhaps several; errors
 * stick to the buffer. */
struct kv_framing {
    /* The first: the store's revision. */
    void (*opened)(struct kv_buf *out, uint64_t revision);
    void (*event)(struct kv_buf *out, const struct kv_event *event,
                  const struct kv_event *previous, enum kv_sse_values values);
    /* A sign of life; with how far the stream has got, or NULL when the client knows.
     */
    void (*heartbeat)(struct kv_buf *out, const struct kv_position *progress);
    /* The last frame: why the stream cannot go on. */
    void (*compacted)(struct kv_buf *out, uint64_t oldest_revision);
    void (*failed)(struct kv_buf *out, const char *message);
};

/* Read up to what one turn may take. True: there may be more, but others must have
 * their turn. Sets watcher->ended when what is in out now is the last: -ESTALE,
 * compacted; -EACCES: the token does not hold any more, and nothing is said; or another
 * error. */
bool kv_stream_read(struct kv_watcher *watcher);

/* Say that what comes next is gone, and end. */
void kv_stream_compacted(struct kv_watcher *watcher);

/* Say something when the client has heard nothing for long, or when it may be gone.
 * Whether it did. Called when a read found nothing. */
bool kv_stream_heartbeat(struct kv_watcher *watcher);

/* Everything in out was sent: empty it, and keep no more memory than a waiting watcher
 * may. */
void kv_stream_sent(struct kv_watcher *watcher);

/* Give back what out holds; also at the watcher's end. */
void kv_stream_done(struct kv_watcher *watcher);

#endif
