/* The life of a request, as the library's callbacks see it: target, headers (begin),
 * pieces of the body, end of the body, and again after each sleep; then completed. All
 * calls for one connection come from one thread, and none while it is suspended. */
#include "httpd/serve.h"

#include "base/clock.h"
#include "httpd/access.h"
#include "httpd/conn.h"
#include "httpd/cors.h"
#include "httpd/gate.h"
#include "httpd/reply.h"
#include "httpd/route.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* So much of a body that is refused is read and dropped before the answer, because a
 * client that is still sending when the connection is closed may never see the
 * answer. One that asked first (Expect: 100-continue) is answered at once. */
#define DISCARD_BYTES (UINT64_C(64) << 20)

static enum MHD_Result send_answer(struct kv_request *request)
{
    if (request->cors_origin)
        kv_cors_finish(request);
    if (!request->response)
        return MHD_NO; /* out of memory: all that is left is to close */
    enum MHD_Result result =
        MHD_queue_response(request->connection, request->status, request->response);
    if (!request->borrowed)
        MHD_destroy_response(request->response);
    request->response = NULL;
    kv_record_unref(request->record);
    request->record = NULL;
    request->stage = KV_STAGE_ANSWERED;
    atomic_fetch_add_explicit(
        &request->http->counters.responses[request->status / 100 % 6], 1,
        memory_order_relaxed);
    /* The library counts idle time only, so a client that takes a byte now and then
     * would keep its answer for ever. A stream looks after itself (watch.c). */
    kv_conn_deadline(kv_request_conn(request),
                     request->watcher || request->streams
                         ? 0
                         : kv_http_transfer_ns(request->http, request->answer_bytes));
    return result;
}

static enum kv_method method_of(const char *name)
{
    static const struct {
        const char *name;
        enum kv_method method;
    } methods[] = {{"GET", KV_GET},   {"PUT", KV_PUT},   {"DELETE", KV_DELETE},
                   {"POST", KV_POST}, {"HEAD", KV_HEAD}, {"OPTIONS", KV_OPTIONS}};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (strcmp(name, methods[i].name) == 0)
            return methods[i].method;
    return KV_OTHER_METHOD;
}

/* Make the body's buffer as large as announced, so that it is not copied while it
 * grows; but not on the word of a stranger for very large ones. */
static void reserve_body(struct kv_request *request)
{
    uint64_t len = request->headers.content_length;
    if (len > 0)
        (void)kv_buf_reserve(&request->body, len < (1 << 20) ? (size_t)len : 1 << 20);
}

/* Of a body that comes whole. */
static uint64_t max_body(const struct kv_request *request)
{
    uint64_t most = request->http->max_body_bytes, max = request->route->max_body;
    return max && max < most ? max : most;
}

static void reply_too_large(struct kv_request *request)
{
    if (max_body(request) == request->route->max_body) {
        request->route->too_long(request);
        return;
    }
    kv_reply_error(request, 413, "too_large", NULL, 0,
                   "the request body is larger than %" PRIu64 " bytes",
                   request->http->max_body_bytes);
}

/* A body that no handler asked for, and too long to be read for nothing. */
static enum MHD_Result refuse_body(struct kv_request *request)
{
    if (!request->response)
        kv_reply_error(request, 413, "too_large", NULL, 0,
                       "this request takes no body, least of all such a long one");
    return send_answer(request);
}

/* The headers are there. An answer given at this moment closes the connection, because
 * the library then does not look for the body's end; so answers wait for it, unless the
 * client waits for the answer or there is more to come than is worth reading. */
static enum MHD_Result begin(struct kv_request *request, const char *version,
                             const char *method)
{
    const struct kv_headers *headers = &request->headers;
    request->method = method_of(method);
    request->stage = KV_STAGE_BODY;
    if (!kv_gate_check(request, version, method))
        return send_answer(request);
    bool found = !kv_cors_preflight(request) && kv_route_find(request) &&
                 kv_access_enter(request) &&
                 (!request->route->admit || request->route->admit(request));
    if (!headers->chunked && headers->content_length == 0)
        return MHD_YES;
    request->body_start_ns = kv_clock_monotonic_ns();
    kv_conn_deadline(kv_request_conn(request), request->http->transfer_timeout_ns);
    request->discard = !found || !(request->route->flags & KV_ROUTE_BODY);
    if (!request->discard && !request->route->take &&
        headers->content_length > max_body(request)) {
        reply_too_large(request);
        request->discard = true;
    }
    if (!request->discard && !request->route->take)
        reserve_body(request);
    else if (!request->discard)
        return MHD_YES;
    else if (headers->content_length > DISCARD_BYTES)
        return refuse_body(request);
    else if (request->response && headers->expect.text)
        return send_answer(request);
    return MHD_YES;
}

/* The body is not wanted (any more), and the answer prepared. */
static void drop_body(struct kv_request *request)
{
    request->discard = true;
    kv_buf_done(&request->body);
    atomic_fetch_sub(&request->http->body_memory, request->charged);
    request->charged = 0;
}

/* Until when the rest of the body must have come, going by what has come so far. */
static void extend_deadline(struct kv_request *request)
{
    int64_t elapsed_ns = kv_clock_monotonic_ns() - request->body_start_ns;
    kv_conn_deadline(kv_request_conn(request),
                     kv_http_transfer_ns(request->http, request->received) -
                         elapsed_ns + KV_NS_PER_S);
}

/* Hand a piece to a route that takes the body as it comes; how much is left of it,
 * because the request went to sleep. When it has its answer, the rest is dropped,
 * however long: nobody can be told before the end of what he sends. */
static size_t stream_body(struct kv_request *request, const char *data, size_t len)
{
    size_t taken = request->discard ? len : request->route->take(request, data, len);
    request->received += taken;
    request->body_sleeps = request->stage == KV_STAGE_ASLEEP;
    request->sleep_start_ns = kv_clock_monotonic_ns();
    if (request->body_sleeps) {
        kv_conn_deadline(kv_request_conn(request), 0); /* until wake_body */
        return len - taken;
    }
    extend_deadline(request);
    request->discard = request->response != NULL;
    return 0;
}

/* What it slept is not the client's time. */
static void wake_body(struct kv_request *request)
{
    request->body_sleeps = false;
    request->body_start_ns += kv_clock_monotonic_ns() - request->sleep_start_ns;
    extend_deadline(request);
    request->discard = request->response != NULL;
}

static enum MHD_Result take_body(struct kv_request *request, const char *data,
                                 size_t len)
{
    struct kv_http *http = request->http;
    request->received += len;
    extend_deadline(request);
    if (request->discard)
        return request->received > http->max_body_bytes + DISCARD_BYTES ? MHD_NO
                                                                        : MHD_YES;
    if (request->received > max_body(request)) {
        reply_too_large(request);
        drop_body(request);
        return MHD_YES;
    }
    bool fits = kv_request_charge(request, len);
    if (fits)
        kv_buf_add(&request->body, data, len);
    if (!fits || kv_buf_error(&request->body)) {
        kv_reply_errno(request, fits ? -ENOMEM : -EAGAIN, NULL, 0);
        drop_body(request);
    }
    return MHD_YES;
}

/* The handler ran, or was resumed: send what it prepared, unless it went to sleep. */
static enum MHD_Result after_handler(struct kv_request *request)
{
    return request->stage == KV_STAGE_ASLEEP ? MHD_YES : send_answer(request);
}

/* A piece of the body, or its end. */
static enum MHD_Result on_body(struct kv_request *request, const char *data,
                               size_t *size)
{
    size_t len = *size;
    if (len > 0 && request->route && request->route->take) {
        *size = stream_body(request, data, len);
        return MHD_YES;
    }
    if (len > 0) {
        *size = 0;
        return take_body(request, data, len);
    }
    kv_conn_deadline(kv_request_conn(request), 0);
    if (!request->response)
        request->route->handler(request);
    return after_handler(request);
}

enum MHD_Result kv_serve_request(void *cls, struct MHD_Connection *connection,
                                 const char *url, const char *method,
                                 const char *version, const char *upload_data,
                                 size_t *upload_size, void **context)
{
    struct kv_conn *conn = *context;
    (void)cls;
    (void)url;
    if (!conn)
        return MHD_NO; /* there was no memory for it */
    struct kv_request *request = &conn->request;
    switch (request->stage) {
    case KV_STAGE_LINE:
        return begin(request, version, method);
    case KV_STAGE_BODY:
        return on_body(request, upload_data, upload_size);
    case KV_STAGE_ASLEEP:
        /* Of a body in chunks the library has the next one looked at without regard to
         * the sleep. */
        if (MHD_get_connection_info(connection,
                                    MHD_CONNECTION_INFO_CONNECTION_SUSPENDED)
                ->suspended)
            return MHD_YES;
        request->stage = KV_STAGE_BODY;
        request->resume(request);
        if (!request->body_sleeps || request->stage == KV_STAGE_ASLEEP)
            return after_handler(request);
        wake_body(request);
        return on_body(request, upload_data, upload_size);
    case KV_STAGE_ANSWERED:
        break;
    }
    return MHD_YES;
}

/* The request line is there, raw. What is returned becomes the request's context. */
void *kv_serve_target(void *cls, const char *target, struct MHD_Connection *connection)
{
    (void)cls;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct kv_conn *conn = info ? info->socket_context : NULL;
    if (!conn || !target)
        return NULL;
    struct kv_request *request = &conn->request;
    size_t len = strlen(target);
    kv_buf_add(&request->target, target, len);
    request->target_end = target + len;
    request->stage = KV_STAGE_LINE;
    kv_conn_deadline(conn, request->http->header_timeout_ns);
    return request->target.failed ? NULL : conn;
}

void kv_serve_completed(void *cls, struct MHD_Connection *connection, void **context,
                        enum MHD_RequestTerminationCode code)
{
    struct kv_conn *conn = *context;
    (void)cls;
    (void)connection;
    (void)code;
    if (!conn)
        return;
    const struct kv_http *http = conn->request.http;
    kv_request_reset(&conn->request);
    kv_conn_deadline(conn, http->idle_timeout_ns + http->header_timeout_ns);
}
