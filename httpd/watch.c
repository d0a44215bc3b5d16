/* GET /v1/watch: what is asked for, and the stream of Server-Sent Events, which the
 * library reads from a watcher. With nothing to send it suspends its connection and
 * parks with the hub. The same over a WebSocket is websocket.c's. */
#include "httpd/watch.h"

#include "base/clock.h"
#include "httpd/access.h"
#include "httpd/conn.h"
#include "httpd/field.h"
#include "httpd/hub.h"
#include "httpd/reply.h"
#include "httpd/route.h"
#include "httpd/stream.h"
#include "httpd/websocket.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* -- Server-Sent Events -- */

static void sse_opened(struct kv_buf *out, uint64_t revision)
{
    kv_buf_addf(out, ": kvfs %" PRIu64 "\n\n", revision);
}

static void sse_heartbeat(struct kv_buf *out, const struct kv_position *progress)
{
    kv_buf_adds(out, ": keep-alive\n");
    if (progress) {
        kv_buf_adds(out, "event: progress\n");
        kv_sse_id(out, progress);
    }
    kv_buf_addc(out, '\n');
}

static void sse_compacted(struct kv_buf *out, uint64_t oldest_revision)
{
    kv_buf_adds(out, "event: compacted\ndata: {");
    kv_json_compacted(out, oldest_revision);
    kv_buf_adds(out, "}\n\n");
}

static void sse_failed(struct kv_buf *out, const char *message)
{
    kv_buf_addf(out, "event: failed\ndata: {\"message\":\"%s\"}\n\n", message);
}

static const struct kv_framing sse_framing = {sse_opened, kv_sse_event, sse_heartbeat,
                                              sse_compacted, sse_failed};

static ssize_t take_out(struct kv_watcher *watcher, char *buf, size_t max)
{
    size_t len = watcher->out.len - watcher->sent;
    if (len > max)
        len = max;
    memcpy(buf, watcher->out.data + watcher->sent, len);
    watcher->sent += len;
    if (watcher->sent == watcher->out.len)
        kv_stream_sent(watcher);
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
        if (!watcher->ended)
            more = kv_stream_read(watcher);
        if (watcher->out.len == 0 && watcher->ended)
            return MHD_CONTENT_READER_END_OF_STREAM;
        if (watcher->out.len == 0 && !more)
            (void)kv_stream_heartbeat(watcher);
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
static bool parse_since(struct kv_request *request, struct kv_position *ret,
                        bool *ret_compacted)
{
    struct kv_store *store = request->http->store;
    const struct kv_field *last_id = &request->headers.last_event_id;
    const struct kv_param *since = kv_uri_param(&request->uri, "since");
    uint64_t now = kv_store_revision(store), oldest = kv_store_oldest_revision(store);
    ret->cursor = kv_cursor_after(now);
    ret->whole = true;
    *ret_compacted = false;
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
    *ret_compacted = ret->cursor.revision + ret->whole < oldest;
    /* Of a WebSocket that is refused a web page learns nothing, so there it is the
     * stream that tells. */
    if (*ret_compacted && !request->headers.websocket) {
        kv_reply_compacted(request, oldest);
        return false;
    }
    return true;
}

static void wake_request(struct kv_watcher *watcher)
{
    kv_request_wake(watcher->request);
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
    watcher->wake = wake_request;
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
    kv_stream_done(watcher);
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

static bool parse_flag(struct kv_request *request, const char *name, bool *flag)
{
    const struct kv_param *param = kv_uri_param(&request->uri, name);
    if (!param || kv_bool_parse(param->value, param->value_len, flag) == 0)
        return true;
    kv_reply_invalid_param(request, name, "must be 0 or 1");
    return false;
}

static void reply_sse(struct kv_request *request)
{
    kv_reply(request, 200,
             MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, KV_STREAM_KEEP_BYTES,
                                               read_stream, request->watcher, NULL));
    kv_reply_header(request, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
    kv_reply_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    kv_reply_header(request, "X-Accel-Buffering", "no");
}

void kv_watch_get(struct kv_request *request)
{
    struct kv_filter filter;
    struct kv_position position;
    char accept[KV_WS_ACCEPT_SIZE];
    bool values = true, previous = false, compacted;
    bool websocket = request->headers.websocket;
    if (!parse_filter(request, &filter) || !may_watch(request, &filter) ||
        !parse_since(request, &position, &compacted) ||
        !parse_flag(request, "values", &values) ||
        !parse_flag(request, "prev", &previous) ||
        (websocket && !kv_websocket_check(request, accept)) ||
        !kv_watcher_begin(request, &filter, &position))
        return;
    struct kv_watcher *watcher = request->watcher;
    watcher->previous = previous;
    watcher->values = values ? KV_SSE_WITH_VALUES : KV_SSE_WITHOUT_VALUES;
    watcher->framing = websocket ? &kv_websocket_framing : &sse_framing;
    watcher->framing->opened(&watcher->out, kv_store_revision(request->http->store));
    if (compacted)
        kv_stream_compacted(watcher);
    if (websocket)
        kv_websocket_reply(request, accept);
    else
        reply_sse(request);
}
