#ifndef KV_HTTPD_SSE_H
#define KV_HTTPD_SSE_H

/* Events as Server-Sent Events (HTML Living Standard, section 9.2.5) and what a stream
 * is asked for: a filter and a position. Pure functions. Any thread. */

#include "base/buf.h"
#include "store/event.h"
#include "store/feed.h"
#include "store/key.h"

/* A value longer than this is left out of the frame, with "omitted":true; GET has it.
 * So a slow reader holds no more than KV_SSE_FRAME_MAX, which is what a frame can have
 * when every byte of the value and of two names needs an escape. */
#define KV_SSE_VALUE_MAX (64 * 1024)
#define KV_SSE_FRAME_MAX (6 * (KV_SSE_VALUE_MAX + 2 * KV_KEY_MAX) + 1024)

enum kv_sse_values {
    KV_SSE_WITHOUT_VALUES,
    KV_SSE_WITH_VALUES,
    KV_SSE_OMIT_VALUES /* as if every value were too long */
};

enum kv_filter_kind { KV_FILTER_KEY, KV_FILTER_DIR, KV_FILTER_PREFIX };

/* Which events a watcher wants; an empty directory or prefix is everything. The
 * bytes are the owner's. */
struct kv_filter {
    enum kv_filter_kind kind;
    const char *text;
    size_t len;
};

bool kv_filter_matches(const struct kv_filter *filter, const struct kv_event *event);

/* Where in the feed a stream stands: behind an event, which was the last of its
 * revision or not. As an id it is "REV" or "REV.INDEX". */
struct kv_position {
    struct kv_cursor cursor;
    bool whole; /* nothing of the revision comes behind it */
};

/* The position behind an event. Behind the last event of a revision and behind the
 * revision are one place; it is always written as the latter, so that positions
 * compare. */
struct kv_position kv_position_of(const struct kv_event *event);
bool kv_cursor_is_before(const struct kv_cursor *a, const struct kv_cursor *b);

/* Append it as text. */
void kv_position_text(struct kv_buf *out, const struct kv_position *position);
/* Append "id: ...\n". */
void kv_sse_id(struct kv_buf *out, const struct kv_position *position);

/* Append an event as a JSON object. A value longer than value_max is left out. previous
 * (may be NULL) is the event that made what the key was before; its value comes along
 * as far as both together are not longer than value_max. */
void kv_event_json(struct kv_buf *out, const struct kv_event *event,
                   const struct kv_event *previous, enum kv_sse_values values,
                   size_t value_max);
/* The same without the braces. */
void kv_event_members(struct kv_buf *out, const struct kv_event *event,
                      const struct kv_event *previous, enum kv_sse_values values,
                      size_t value_max);

/* Append the members that tell what to do when events are gone. */
void kv_json_compacted(struct kv_buf *out, uint64_t oldest_revision);

/* Append the frame of an event: id, event, data with one line of JSON, empty line. */
void kv_sse_event(struct kv_buf *out, const struct kv_event *event,
                  const struct kv_event *previous, enum kv_sse_values values);

#endif
