/* GET /v1/export: every key and directory as a line of JSON, from one snapshot.
 *
 * A line holds everything that a listing and `Accept: application/json` tell, so an
 * import makes the same of it. A long value is encoded straight from the map, a slice
 * at a time. */
#include "base/base64.h"
#include "base/json.h"
#include "httpd/access.h"
#include "httpd/describe.h"
#include "httpd/reply.h"
#include "httpd/route.h"
#include "httpd/rows.h"

#include <errno.h>

/* A value longer than KV_ROWS_VALUE_MAX is not looked through for whether it is UTF-8:
 * base64. Of it so much is encoded at a time, a multiple of 3. */
#define SLICE_BYTES (48 * 1024)

static int begin_line(struct kv_rows *rows, const struct kv_scan_row *row)
{
    struct kv_buf *out = &rows->out;
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
        if (row->meta.size <= KV_ROWS_VALUE_MAX) {
            kv_json_bytes(out, "value", row->value, row->meta.size);
        } else {
            kv_buf_adds(out, "\"encoding\":\"base64\",\"value\":\"");
            rows->row = *row;
            rows->offset = 0;
            return 0;
        }
    }
    kv_buf_adds(out, "}\n");
    return 0;
}

static void add_slice(struct kv_rows *rows)
{
    uint64_t left = rows->row.meta.size - rows->offset;
    size_t len = left < SLICE_BYTES ? (size_t)left : SLICE_BYTES;
    kv_base64_encode(&rows->out, (const char *)rows->row.value + rows->offset, len);
    rows->offset += len;
    if (rows->offset == rows->row.meta.size)
        kv_buf_adds(&rows->out, "\"}\n");
}

static int add_lines(struct kv_rows *rows)
{
    int err = 0;
    while (!err && rows->out.len < KV_ROWS_PIECE_BYTES) {
        struct kv_scan_row row;
        if (rows->offset < rows->row.meta.size) {
            add_slice(rows);
            continue;
        }
        err = kv_scan_next(rows->scan, &row);
        if (!err)
            err = begin_line(rows, &row);
    }
    return err;
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

void kv_export_get(struct kv_request *request)
{
    const char *dir;
    size_t dir_len;
    if (parse_dir(request, &dir, &dir_len))
        kv_rows_reply(request, dir, dir_len, "application/x-ndjson", add_lines, NULL);
}
