/* A watcher's reading of the feed. */
#include "httpd/stream.h"

#include "base/clock.h"
#include "base/log.h"
#include "httpd/access.h"
#include "store/previous.h"

#include <assert.h>
#include <errno.h>

/* What one turn may take before others have theirs. */
#define READ_BATCH 16
#define READ_ROUNDS 16
#define READ_BYTES (64 * 1024)
/* What a read may come to: a buffer that doubles until these bytes fit. */
#define OUT_MAX_BYTES (512 * 1024)
_Static_assert(READ_BYTES + KV_SSE_FRAME_MAX <= OUT_MAX_BYTES, "a read fits");

/* NULL: there was nothing before, or the log does not hold it any more. */
static struct kv_event *previous_of(struct kv_watcher *watcher,
                                    const struct kv_event *event)
{
    struct kv_event *previous = NULL;
    if (event->type != KV_EVENT_PUT && event->type != KV_EVENT_DELETE)
        return NULL;
    int err = kv_store_previous(watcher->request->http->store, event, &previous);
    if (err && err != -ENOENT)
        kv_warning("cannot read what '%s' was before: %s", event->record->key,
                   kv_strerror(err));
    return previous;
}

/* The one place where it is decided what of an event a stream tells. */
static void say(struct kv_watcher *watcher, struct kv_event *event,
                enum kv_sse_values values)
{
    watcher->position = kv_position_of(event);
    KV_CLEANUP(kv_event_unrefp) struct kv_event *seen = NULL, *previous = NULL;
    if (!kv_watcher_sees(watcher, event))
        return;
    if (kv_access_event(watcher->request, event, &seen))
        watcher->out.failed = true;
    if (!seen || !kv_watcher_sees(watcher, seen))
        return;
    if (watcher->previous)
        previous = previous_of(watcher, seen);
    watcher->framing->event(&watcher->out, seen, previous, values);
    watcher->told = watcher->position.cursor;
    atomic_fetch_add_explicit(&watcher->request->http->counters.events_sent, 1,
                              memory_order_relaxed);
}

void kv_stream_compacted(struct kv_watcher *watcher)
{
    watcher->ended = -ESTALE;
    watcher->framing->compacted(
        &watcher->out, kv_store_oldest_revision(watcher->request->http->store));
}

/* The stream cannot go on: tell why and end it. */
static void say_error(struct kv_watcher *watcher, int err)
{
    if (err == -ESTALE) {
        kv_stream_compacted(watcher);
        return;
    }
    watcher->ended = err;
    watcher->framing->failed(&watcher->out, kv_strerror(err));
}

/* Read from the feed into out, until that has READ_BYTES or, when room is short, the
 * first frame, then without a value. */
static bool read_feed(struct kv_watcher *watcher, bool short_of_room)
{
    size_t enough = short_of_room ? 1 : READ_BYTES;
    enum kv_sse_values values = watcher->values;
    if (short_of_room && values == KV_SSE_WITH_VALUES)
        values = KV_SSE_OMIT_VALUES;
    for (unsigned round = 0; round < READ_ROUNDS; round++) {
        struct kv_event *events[READ_BATCH];
        size_t count;
        struct kv_cursor cursor = watcher->position.cursor;
        int err = kv_feed_read(kv_store_feed(watcher->request->http->store), &cursor,
                               events, READ_BATCH, &count);
        /* -EINVAL: it began at a revision that the store has but the feed is only just
         * getting, which is no reason to end. */
        if (err && err != -EINVAL) {
            say_error(watcher, err);
            return false;
        }
        if (err || count == 0) {
            watcher->position.cursor = cursor; /* past what it was asked to begin at */
            watcher->position.whole = cursor.index == UINT32_MAX;
            return false;
        }
        /* Events that do not fit any more are read again: position stands before them.
         */
        for (size_t i = 0; i < count; i++) {
            if (watcher->out.len < enough)
                say(watcher, events[i], values);
            kv_event_unref(events[i]);
        }
        if (watcher->out.len >= enough)
            return true;
    }
    return true;
}

/* Room for the most that a read can come to is taken before, and what was not needed
 * given back. When there is none the stream goes on in small frames: a watcher's place
 * is worth more than its values. */
static bool read_within_budget(struct kv_watcher *watcher)
{
    struct kv_budget *answers = &watcher->request->http->answers;
    if (!kv_budget_take(answers, OUT_MAX_BYTES))
        return read_feed(watcher, true);
    bool more = read_feed(watcher, false);
    if (watcher->out.cap > KV_BUDGET_FREE_BYTES)
        watcher->taken = watcher->out.cap;
    assert(watcher->taken <= OUT_MAX_BYTES);
    kv_budget_give(answers, OUT_MAX_BYTES - watcher->taken);
    return more;
}

bool kv_stream_read(struct kv_watcher *watcher)
{
    if (!kv_access_holds(watcher->request)) {
        watcher->ended = -EACCES;
        return false;
    }
    bool more = read_within_budget(watcher);
    if (watcher->out.len > 0) {
        watcher->spoke_ns = kv_clock_monotonic_ns();
        watcher->probe = false;
    }
    return more;
}

bool kv_stream_heartbeat(struct kv_watcher *watcher)
{
    int64_t now_ns = kv_clock_monotonic_ns();
    bool due = watcher->probe || now_ns - watcher->spoke_ns >= KV_WATCH_HEARTBEAT_NS;
    watcher->probe = false;
    if (!due)
        return false;
    /* How far the stream has got, so that one whose filter matches little resumes from
     * near the present and not from a revision long compacted. */
    bool moved = kv_cursor_is_before(&watcher->told, &watcher->position.cursor);
    watcher->framing->heartbeat(&watcher->out, moved ? &watcher->position : NULL);
    watcher->told = watcher->position.cursor;
    watcher->spoke_ns = now_ns;
    return true;
}

void kv_stream_done(struct kv_watcher *watcher)
{
    kv_buf_done(&watcher->out);
    kv_budget_give(&watcher->request->http->answers, watcher->taken);
    watcher->taken = 0;
}

void kv_stream_sent(struct kv_watcher *watcher)
{
    watcher->sent = 0;
    kv_buf_reset(&watcher->out);
    if (watcher->out.cap > KV_STREAM_KEEP_BYTES)
        kv_stream_done(watcher);
}
