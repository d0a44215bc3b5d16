/* Answers from a snapshot: the place that each takes, the memory it counts for, and the
 * pieces in which the library, or the compressor, takes its text. What the text looks
 * like is up to the function that makes it. */
#include "httpd/rows.h"

#include "base/clock.h"
#include "httpd/access.h"
#include "httpd/conn.h"
#include "httpd/gzip.h"
#include "httpd/reply.h"

#include <errno.h>
#include <string.h>

#define ROWS_MAX 4

/* A piece into out. */
static void fill(struct kv_rows *rows)
{
    int err = rows->more(rows);
    rows->ended = err != 0;
    rows->failed = (err && err != -ENOENT) || kv_buf_error(&rows->out);
}

/* As kv_gzip_source.read. */
static ssize_t read_rows(void *cls, char *buf, size_t max)
{
    struct kv_rows *rows = cls;
    if (rows->sent == rows->out.len && !rows->ended) {
        kv_buf_reset(&rows->out);
        rows->sent = 0;
        fill(rows);
        rows->total += rows->out.len;
        kv_conn_deadline_since(kv_request_conn(rows->request), rows->start_ns,
                               kv_http_transfer_ns(rows->request->http, rows->total));
    }
    if (!kv_access_holds(rows->request))
        rows->failed = true;
    if (rows->failed) /* and not an end, which would look like all */
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t len = rows->out.len - rows->sent;
    if (len == 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    len = len < max ? len : max;
    memcpy(buf, rows->out.data + rows->sent, len);
    rows->sent += len;
    return (ssize_t)len;
}

/* MHD_ContentReaderCallback */
static ssize_t read_plain(void *cls, uint64_t pos, char *buf, size_t max)
{
    (void)pos;
    return read_rows(cls, buf, max);
}

static void leave(struct kv_http *http)
{
    kv_budget_give(&http->answers, KV_ROWS_OUT_MAX);
    atomic_fetch_sub(&http->exports, 1);
}

static void free_rows(void *cls)
{
    struct kv_rows *rows = cls;
    struct kv_http *http = rows->request->http;
    kv_scan_close(rows->scan);
    kv_buf_done(&rows->out);
    free(rows);
    leave(http);
}

/* Take one of the few places and the memory. False: the answer is prepared. */
static bool enter(struct kv_request *request)
{
    struct kv_http *http = request->http;
    if (atomic_fetch_add(&http->exports, 1) >= ROWS_MAX) {
        atomic_fetch_sub(&http->exports, 1);
        kv_reply_error(request, 503, "busy", NULL, 0,
                       "%d exports are under way, which is the limit; try again",
                       ROWS_MAX);
        kv_reply_header(request, MHD_HTTP_HEADER_RETRY_AFTER, "5");
        return false;
    }
    if (kv_budget_take(&http->answers, KV_ROWS_OUT_MAX))
        return true;
    atomic_fetch_sub(&http->exports, 1);
    kv_reply_errno(request, -ENOBUFS, NULL, 0);
    return false;
}

static struct MHD_Response *make_response(struct kv_rows *rows)
{
    struct MHD_Response *response = NULL;
    if (kv_gzip_wanted(rows->request))
        response = kv_gzip_response(
            rows->request, &(struct kv_gzip_source){read_rows, free_rows, rows});
    if (!response)
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16 * 1024,
                                                     read_plain, rows, free_rows);
    return response;
}

void kv_rows_reply(struct kv_request *request, const char *dir, size_t dir_len,
                   const char *content_type, kv_rows_fn *more, const void *form)
{
    if (!enter(request))
        return;
    struct kv_rows *rows = calloc(1, sizeof(*rows));
    if (!rows) {
        leave(request->http);
        kv_reply_errno(request, -ENOMEM, NULL, 0);
        return;
    }
    rows->request = request;
    rows->more = more;
    rows->form = form;
    rows->start_ns = kv_clock_monotonic_ns();
    int err = kv_scan_open(request->http->store, dir, dir_len, &rows->scan);
    struct MHD_Response *response = err ? NULL : make_response(rows);
    if (!response) {
        free_rows(rows);
        kv_reply_errno(request, err ? err : -ENOMEM, dir, dir_len);
        return;
    }
    request->streams = true;
    kv_reply(request, 200, response);
    kv_reply_header(request, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    kv_reply_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    kv_reply_header(request, MHD_HTTP_HEADER_VARY, "Accept-Encoding");
    kv_reply_header_u64(request, "X-Kv-Revision", kv_scan_revision(rows->scan));
}
