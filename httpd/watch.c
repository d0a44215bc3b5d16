/* GET /v1/watch: how a watcher reads the feed and is read by the library. It has its
 * own cursor; with nothing to send it suspends its connection and parks with the hub.
 */
#include "httpd/watch.h"

#include "base/clock.h"
#include "base/log.h"
#include "httpd/access.h"
#include "httpd/conn.h"
#include "httpd/field.h"
#include "httpd/hub.h"
#include "httpd/reply.h"
#include "httpd/route.h"
#include "store/previous.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* What one call of the reader may take before other connections have their turn. */
#define READ_BATCH 16
#define READ_ROUNDS 16
#define READ_BYTES (64 * 1024)
/* What a read may come to: a buffer that doubles until these bytes fit. */
#define OUT_MAX_BYTES (512 * 1024)
_Static_assert(READ_BYTES + KV_SSE_FRAME_MAX <= OUT_MAX_BYTES, "a read fits");
/* A watcher keeps a buffer of this size while it waits. */
#define KEEP_BYTES 1024

/* -- Reading, on the connection's thread -- */

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

static void say(struct kv_watcher *watcher, struct kv_event *event,
                enum kv_sse_values values)
{
    watcher->position = kv_position_of(event);
    KV_CLEANUP(kv_event_unrefp) struct kv_event *seen = NULL, *previous = NULL;
    if (!kv_filter_matches(&watcher->filter, event))
        return;
    if (kv_access_event(watcher->request, event, &seen))
        watcher->out.failed = true;
    if (!seen || !kv_filter_matches(&watcher->filter, seen))
        return;
    if (watcher->previous)
        previous = previous_of(watcher, seen);
    kv_sse_event(&watcher->out, seen, previous, values);
    watcher->told = watcher->position.cursor;
    atomic_fetch_add_explicit(&watcher->request->http->counters.events_sent, 1,
                              memory_order_relaxed);
}

/* The stream cannot go on: tell why and end it. */
static void say_error(struct kv_watcher *watcher, int err)
{
    watcher->ended = true;
    if (err == -ESTALE)
        kv_buf_addf(&watcher->out,
                    "event: compacted\ndata: {\"oldest_revision\":%" PRIu64 "}\n\n",
                    kv_store_oldest_revision(watcher->request->http->store));
    else
        kv_buf_addf(&watcher->out, "event: failed\ndata: {\"message\":\"%s\"}\n\n",
                    kv_strerror(err));
}

/* Read from the feed into out, until that has READ_BYTES or, when room is short, the
 * first frame, then without a value. True: there may be more, but others must have
 * their turn. */
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

/* A sign of life, and how far the stream has got, so that one whose filter matches
 * little resumes from near the present and not from a revision long compacted. */
static void say_heartbeat(struct kv_watcher *watcher)
{
    kv_buf_adds(&watcher->out, ": keep-alive\n");
    if (kv_cursor_is_before(&watcher->told, &watcher->position.cursor)) {
        kv_buf_adds(&watcher->out, "event: progress\n");
        kv_sse_id(&watcher->out, &watcher->position);
        watcher->told = watcher->position.cursor;
    }
    kv_buf_addc(&watcher->out, '\n');
}

/* Read from the feed within the budget of all answers. Room for the most that a read
 * can come to is taken before, and what was not needed given back. When there is none
 * the stream goes on in small frames: a watcher's place is worth more than its values.
 */
static bool fill_out(struct kv_watcher *watcher)
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

static void empty_out(struct kv_watcher *watcher)
{
    kv_buf_done(&watcher->out);
    kv_budget_give(&watcher->request->http->answers, watcher->taken);
    watcher->taken = 0;
}

static ssize_t take_out(struct kv_watcher *watcher, char *buf, size_t max)
{
    size_t len = watcher->out.len - watcher->sent;
    if (len > max)
        len = max;
    memcpy(buf, watcher->out.data + watcher->sent, len);
    watcher->sent += len;
    if (watcher->sent == watcher->out.len) {
        watcher->sent = 0;
        kv_buf_reset(&watcher->out);
        if (watcher->out.cap > KEEP_BYTES)
            empty_out(watcher);
    }
    return (ssize_t)len;
}

/* MHD_ContentReaderCallback. Returning 0 without having suspended would make the
 * library call again and again. */
static ssize_t read_stream(void *cls, uint64_t pos, char *buf, size_t max)
{
    struct kv_watcher *watcher = cls;
    bool more = false;
    (void)pos;
    if (watcher->out.len == 0) {
        if (watcher->ended || !kv_access_holds(watcher->request))
            return MHD_CONTENT_READER_END_OF_STREAM;
        more = fill_out(watcher);
        int64_t now = kv_clock_monotonic_ns();
        bool quiet = watcher->out.len == 0 && !more;
        if (quiet &&
            (watcher->probe || now - watcher->spoke_ns >= KV_WATCH_HEARTBEAT_NS))
            say_heartbeat(watcher);
        watcher->probe = false;
        if (watcher->out.len > 0)
            watcher->spoke_ns = now;
        /* Who does not take what is there is cut, and resumes from its last id; who has
         * taken everything may wait as long as it likes. */
        kv_conn_deadline(
            kv_request_conn(watcher->request),
            watcher->out.len > 0
                ? kv_http_transfer_ns(watcher->request->http, watcher->out.len)
                : 0);
    }
    if (watcher->out.failed)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (watcher->out.len > 0)
        return take_out(watcher, buf, max);
    if (!kv_request_sleep(watcher->request, NULL)) /* the server is stopping */
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (more)
        kv_request_wake(watcher->request); /* to the end of the queue */
    else
        kv_hub_park(watcher);
    return 0;
}

/* -- Opening -- */

/* One of key=, dir=, prefix=, or none of them for everything. */
static bool parse_filter(struct kv_request *request, struct kv_filter *ret)
{
    static const struct {
        const char *name;
        enum kv_filter_kind kind;
    } kinds[] = {
        {"key", KV_FILTER_KEY}, {"dir", KV_FILTER_DIR}, {"prefix", KV_FILTER_PREFIX}};
    *ret = (struct kv_filter){.kind = KV_FILTER_DIR, .text = ""};
    unsigned given = 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct kv_param *param = kv_uri_param(&request->uri, kinds[i].name);
        if (!param)
            continue;
        given++;
        *ret = (struct kv_filter){kinds[i].kind, param->value, param->value_len};
    }
    if (given > 1) {
        kv_reply_invalid_param(request, "key, dir, prefix", "only one of them");
        return false;
    }
    if (ret->kind == KV_FILTER_DIR && ret->len > 1 && ret->text[ret->len - 1] == '/')
        ret->len--;
    if ((ret->kind == KV_FILTER_KEY || (ret->kind == KV_FILTER_DIR && ret->len > 0)) &&
        kv_key_check(ret->text, ret->len) != KV_KEY_VALID) {
        kv_reply_invalid_key(request, ret->text, ret->len);
        return false;
    }
    return true;
}

/* Whether there is something in it that may be told. */
static bool may_watch(struct kv_request *request, const struct kv_filter *filter)
{
    switch (filter->kind) {
    case KV_FILTER_KEY:
        return kv_access_check(request, filter->text, filter->len, KV_READ);
    case KV_FILTER_DIR:
        return kv_access_check_dir(request, filter->text, filter->len);
    case KV_FILTER_PREFIX:
        break;
    }
    return kv_access_check_prefix(request, filter->text, filter->len);
}

/* Where to begin: Last-Event-ID, since=, or now. A browser that reconnects sends the
 * former and repeats the latter, so the former wins. */
static bool parse_since(struct kv_request *request, struct kv_position *ret)
{
    struct kv_store *store = request->http->store;
    const struct kv_field *last_id = &request->headers.last_event_id;
    const struct kv_param *since = kv_uri_param(&request->uri, "since");
    uint64_t now = kv_store_revision(store), oldest = kv_store_oldest_revision(store);
    ret->cursor = kv_cursor_after(now);
    ret->whole = true;
    if (!last_id->len && !since)
        return true;
    const char *name = last_id->len ? "Last-Event-ID" : "since";
    if (kv_position_parse(last_id->len ? last_id->text : since->value,
                          last_id->len ? last_id->len : since->value_len,
                          &ret->cursor.revision, &ret->cursor.index)) {
        kv_reply_invalid_param(request, name,
                               "must be a revision, or an id of the stream");
        return false;
    }
    ret->whole = ret->cursor.index == UINT32_MAX;
    if (ret->cursor.revision > now) {
        kv_reply_error(request, 400, "invalid_parameter", NULL, 0,
                       "%s: lies in the future; the revision is %" PRIu64, name, now);
        return false;
    }
    if (ret->cursor.revision + ret->whole < oldest) {
        kv_reply_compacted(request, oldest);
        return false;
    }
    return true;
}

static struct kv_watcher *new_watcher(struct kv_request *request,
                                      const struct kv_filter *filter,
                                      const struct kv_position *position)
{
    struct kv_watcher *watcher = calloc(1, sizeof(*watcher));
    if (!watcher)
        return NULL;
    watcher->hub = request->http->hub;
    watcher->request = request;
    watcher->position = *position;
    watcher->told = position->cursor;
    watcher->spoke_ns = kv_clock_monotonic_ns();
    kv_list_init(&watcher->parked);
    kv_list_init(&watcher->bucket);
    kv_buf_add(&watcher->text, filter->text, filter->len);
    watcher->filter = (struct kv_filter){
        filter->kind, watcher->text.data ? watcher->text.data : "", filter->len};
    if (watcher->text.failed) {
        kv_watcher_free(watcher);
        return NULL;
    }
    return watcher;
}

void kv_watcher_free(struct kv_watcher *watcher)
{
    if (!watcher)
        return;
    if (watcher->counted)
        kv_hub_leave(watcher->hub);
    kv_buf_done(&watcher->text);
    empty_out(watcher);
    free(watcher);
}

bool kv_watcher_begin(struct kv_request *request, const struct kv_filter *filter,
                      const struct kv_position *position)
{
    struct kv_hub *hub = request->http->hub;
    struct kv_watcher *watcher = new_watcher(request, filter, position);
    if (!watcher) {
        kv_reply_errno(request, -ENOMEM, NULL, 0);
        return false;
    }
    watcher->counted = kv_hub_enter(hub);
    if (watcher->counted) {
        request->watcher = watcher;
        return true;
    }
    kv_watcher_free(watcher);
    kv_reply_error(request, 503, "too_many_watches", NULL, 0,
                   "there are %u open watches, which is the limit", kv_hub_max(hub));
    return false;
}

void kv_watch_get(struct kv_request *request)
{
    struct kv_filter filter;
    struct kv_position position;
    const struct kv_param *param = kv_uri_param(&request->uri, "values");
    const struct kv_param *prev = kv_uri_param(&request->uri, "prev");
    bool values = true, previous = false;
    if (!parse_filter(request, &filter) || !may_watch(request, &filter) ||
        !parse_since(request, &position))
        return;
    if (param && kv_bool_parse(param->value, param->value_len, &values)) {
        kv_reply_invalid_param(request, "values", "must be 0 or 1");
        return;
    }
    if (prev && kv_bool_parse(prev->value, prev->value_len, &previous)) {
        kv_reply_invalid_param(request, "prev", "must be 0 or 1");
        return;
    }
    if (!kv_watcher_begin(request, &filter, &position))
        return;
    struct kv_watcher *watcher = request->watcher;
    watcher->previous = previous;
    watcher->values = values ? KV_SSE_WITH_VALUES : KV_SSE_WITHOUT_VALUES;
    kv_buf_addf(&watcher->out, ": kvfs %" PRIu64 "\n\n",
                kv_store_revision(request->http->store));
    kv_reply(request, 200,
             MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, KEEP_BYTES,
                                               read_stream, request->watcher, NULL));
    kv_reply_header(request, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
    kv_reply_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    kv_reply_header(request, "X-Accel-Buffering", "no");
}
