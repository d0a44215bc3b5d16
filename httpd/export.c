/* GET /v1/export: every key and directory as a line of JSON, from one snapshot.
 *
 * A line holds everything that a listing and `Accept: application/json` tell, so an
 * import makes the same of it. The lines are made in pieces as the client takes them;
 * a long value is encoded straight from the map, so an export holds PIECE_BYTES
 * whatever it meets. The snapshot costs room in the store as long as it is open, so
 * there are few at a time, and each must keep up the rate that every answer has to. */
#include "base/base64.h"
#include "base/clock.h"
#include "base/json.h"
#include "httpd/access.h"
#include "httpd/conn.h"
#include "httpd/describe.h"
#include "httpd/gzip.h"
#include "httpd/reply.h"
#include "httpd/route.h"
#include "store/scan.h"

#include <errno.h>
#include <string.h>

#define EXPORTS_MAX 4
#define PIECE_BYTES (64 * 1024)
/* A value longer than this is not looked through for whether it is UTF-8: base64. Of it
 * so much is encoded at a time, a multiple of 3. */
#define TEXT_MAX PIECE_BYTES
#define SLICE_BYTES (48 * 1024)
/* What `out` may come to: a piece, and a line on top whose value is all escapes. */
#define OUT_BYTES (1024 * 1024)

struct kv_export {
    struct kv_request *request;
    struct kv_scan *scan;
    struct kv_buf out;
    size_t sent;            /* of out */
    struct kv_scan_row row; /* of a long value: */
    uint64_t offset;        /* what of it is encoded; row.meta.size: all */
    uint64_t total;         /* bytes handed out */
    int64_t start_ns;       /* monotonic */
    bool ended, failed;
};

static int begin_line(struct kv_export *export, const struct kv_scan_row *row)
{
    struct kv_buf *out = &export->out;
    struct kv_record_parts parts = {
        .meta = row->meta, .key = row->key, .key_len = row->key_len, .bare = true};
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = kv_record_new(&parts);
    if (!record)
        return -ENOMEM;
    kv_buf_addc(out, '{');
    kv_describe(out, record, false);
    kv_describe_more(out, &row->meta, row->xattrs, row->xattrs_len);
    if (!kv_record_is_dir(record)) {
        kv_buf_addc(out, ',');
        if (row->meta.size <= TEXT_MAX) {
            kv_json_bytes(out, "value", row->value, row->meta.size);
        } else {
            kv_buf_adds(out, "\"encoding\":\"base64\",\"value\":\"");
            export->row = *row;
            export->offset = 0;
            return 0;
        }
    }
    kv_buf_adds(out, "}\n");
    return 0;
}

static void add_slice(struct kv_export *export)
{
    uint64_t left = export->row.meta.size - export->offset;
    size_t len = left < SLICE_BYTES ? (size_t)left : SLICE_BYTES;
    kv_base64_encode(&export->out, (const char *)export->row.value + export->offset,
                     len);
    export->offset += len;
    if (export->offset == export->row.meta.size)
        kv_buf_adds(&export->out, "\"}\n");
}

/* A piece into out. */
static void fill(struct kv_export *export)
{
    int err = 0;
    while (!err && export->out.len < PIECE_BYTES) {
        struct kv_scan_row row;
        if (export->offset < export->row.meta.size) {
            add_slice(export);
            continue;
        }
        err = kv_scan_next(export->scan, &row);
        if (!err)
            err = begin_line(export, &row);
    }
    export->ended = err != 0;
    export->failed = (err && err != -ENOENT) || kv_buf_error(&export->out);
}

static ssize_t read_lines(void *cls, char *buf, size_t max)
{
    struct kv_export *export = cls;
    if (export->sent == export->out.len && !export->ended) {
        kv_buf_reset(&export->out);
        export->sent = 0;
        fill(export);
        export->total += export->out.len;
        kv_conn_deadline_since(
            kv_request_conn(export->request), export->start_ns,
            kv_http_transfer_ns(export->request->http, export->total));
    }
    if (!kv_access_holds(export->request))
        export->failed = true;
    if (export->failed) /* and not an end, which would look like all */
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t len = export->out.len - export->sent;
    if (len == 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    len = len < max ? len : max;
    memcpy(buf, export->out.data + export->sent, len);
    export->sent += len;
    return (ssize_t)len;
}

/* MHD_ContentReaderCallback */
static ssize_t read_plain(void *cls, uint64_t pos, char *buf, size_t max)
{
    (void)pos;
    return read_lines(cls, buf, max);
}

static void free_export(void *cls)
{
    struct kv_export *export = cls;
    struct kv_http *http = export->request->http;
    kv_scan_close(export->scan);
    kv_buf_done(&export->out);
    kv_budget_give(&http->answers, OUT_BYTES);
    atomic_fetch_sub(&http->exports, 1);
    free(export);
}

/* The directory that dir= names, perhaps with a slash behind it. */
static bool parse_dir(struct kv_request *request, const char **ret, size_t *ret_len)
{
    const struct kv_param *dir = kv_uri_param(&request->uri, "dir");
    *ret = dir ? dir->value : "";
    *ret_len = dir ? dir->value_len : 0;
    if (*ret_len > 1 && (*ret)[*ret_len - 1] == '/')
        --*ret_len;
    if (*ret_len == 0 || kv_key_check(*ret, *ret_len) == KV_KEY_VALID)
        return kv_access_check(request, *ret, *ret_len, KV_READ);
    kv_reply_invalid_key(request, *ret, *ret_len);
    return false;
}

/* Take one of the few places and the memory. False: the answer is prepared. */
static bool enter(struct kv_request *request)
{
    struct kv_http *http = request->http;
    if (atomic_fetch_add(&http->exports, 1) >= EXPORTS_MAX) {
        atomic_fetch_sub(&http->exports, 1);
        kv_reply_error(request, 503, "busy", NULL, 0,
                       "%d exports are under way, which is the limit; try again",
                       EXPORTS_MAX);
        kv_reply_header(request, MHD_HTTP_HEADER_RETRY_AFTER, "5");
        return false;
    }
    if (kv_budget_take(&http->answers, OUT_BYTES))
        return true;
    atomic_fetch_sub(&http->exports, 1);
    kv_reply_errno(request, -ENOBUFS, NULL, 0);
    return false;
}

static struct MHD_Response *make_response(struct kv_request *request,
                                          struct kv_export *export)
{
    struct MHD_Response *response = NULL;
    if (kv_gzip_wanted(request))
        response = kv_gzip_response(
            request, &(struct kv_gzip_source){read_lines, free_export, export});
    if (!response)
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16 * 1024,
                                                     read_plain, export, free_export);
    return response;
}

void kv_export_get(struct kv_request *request)
{
    const char *dir;
    size_t dir_len;
    if (!parse_dir(request, &dir, &dir_len) || !enter(request))
        return;
    struct kv_export *export = calloc(1, sizeof(*export));
    if (!export) {
        kv_budget_give(&request->http->answers, OUT_BYTES);
        atomic_fetch_sub(&request->http->exports, 1);
        kv_reply_errno(request, -ENOMEM, NULL, 0);
        return;
    }
    export->request = request;
    export->start_ns = kv_clock_monotonic_ns();
    int err = kv_scan_open(request->http->store, dir, dir_len, &export->scan);
    struct MHD_Response *response = err ? NULL : make_response(request, export);
    if (!response) {
        free_export(export);
        kv_reply_errno(request, err ? err : -ENOMEM, dir, dir_len);
        return;
    }
    request->streams = true;
    kv_reply(request, 200, response);
    kv_reply_header(request, MHD_HTTP_HEADER_CONTENT_TYPE, "application/x-ndjson");
    kv_reply_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    kv_reply_header(request, MHD_HTTP_HEADER_VARY, "Accept-Encoding");
    kv_reply_header_u64(request, "X-Kv-Revision", kv_scan_revision(export->scan));
}
