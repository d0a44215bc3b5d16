/* /v1/keys/KEY: reading, as bytes or as JSON. */
#include "httpd/access.h"
#include "httpd/describe.h"
#include "httpd/keys.h"
#include "httpd/longpoll.h"
#include "httpd/reply.h"
#include "httpd/value.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* A value longer than this is left out of JSON, with "omitted":true. */
#define JSON_VALUE_MAX (1 << 20)

/* RFC 9110 section 13.2.2. The status that the headers lead to: 200, 304 or 412; 0:
 * they are malformed and the answer is prepared. */
static unsigned check_get_conditions(struct kv_request *request, uint64_t revision)
{
    const struct kv_headers *headers = &request->headers;
    struct kv_etags tags;
    if (headers->if_match.text) {
        if (!kv_keys_parse_tags(request, "If-Match", &headers->if_match, &tags))
            return 0;
        if (!kv_etags_match_strong(&tags, revision))
            return 412;
    }
    if (headers->if_none_match.text) {
        if (!kv_keys_parse_tags(request, "If-None-Match", &headers->if_none_match,
                                &tags))
            return 0;
        if (kv_etags_match_weak(&tags, revision))
            return 304;
    }
    return 200;
}

/* If-Range: the range counts only while the value is still the one the client has a
 * part of (RFC 9110 section 13.1.5). A date never counts. */
static bool range_holds(const struct kv_request *request,
                        const struct kv_record *record)
{
    const struct kv_field *field = &request->headers.if_range;
    return !field->text ||
           kv_etag_is(field->text, field->len, record->meta.mod_revision);
}

/* Takes over the reference. */
static void reply_range(struct kv_request *request, struct kv_record *record)
{
    const struct kv_field *field = &request->headers.range;
    uint64_t first, last, size = record->meta.size;
    switch (kv_range_parse(field->text, field->len, size, &first, &last)) {
    case KV_RANGE_PART:
        kv_value_reply_part(request, record, first, last);
        return;
    case KV_RANGE_NONE:
        kv_value_reply(request, 200, record);
        return;
    case KV_RANGE_OUTSIDE:
        break;
    }
    char range[40];
    (void)snprintf(range, sizeof(range), "bytes */%" PRIu64, size);
    kv_reply_error(request, 416, "range_not_satisfiable", request->rest,
                   request->rest_len, "the value has %" PRIu64 " bytes", size);
    kv_reply_header(request, MHD_HTTP_HEADER_CONTENT_RANGE, range);
    kv_record_unref(record);
}

/* The record of the key; for HEAD it may be bare. */
static int read_record(struct kv_request *request, struct kv_record **ret)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    int err =
        kv_store_stat(request->http->store, request->rest, request->rest_len, &record);
    if (!err && record->bare && request->method != KV_HEAD)
        err = kv_value_load(request, request->rest, request->rest_len, &record);
    if (!err)
        *ret = KV_STEAL(record);
    return err;
}

static void add_json(struct kv_buf *json, struct kv_record *record)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *bare = NULL;
    const struct kv_record *shown = record;
    if (!record->bare && record->meta.size > JSON_VALUE_MAX)
        shown = bare = kv_record_bare_copy(record);
    if (!shown) {
        json->failed = true;
        return;
    }
    kv_buf_addc(json, '{');
    kv_describe(json, shown, true);
    kv_describe_more(json, &record->meta, record->xattrs, record->xattrs_len);
    kv_buf_adds(json, "}\n");
}

static void add_json_headers(struct kv_request *request, const struct kv_meta *meta)
{
    char tag[32];
    (void)snprintf(tag, sizeof(tag), "\"%" PRIu64 "-json\"", meta->mod_revision);
    kv_reply_header(request, MHD_HTTP_HEADER_ETAG, tag);
    kv_reply_header_u64(request, "X-Kv-Version", meta->version);
    kv_reply_header_u64(request, "X-Kv-Revision", meta->mod_revision);
    kv_reply_header(request, MHD_HTTP_HEADER_VARY, "Accept");
}

/* Whether the client asks for JSON and would not rather have anything else: programs
 * that put it before the star that they accept as well want the value. */
static bool wants_json(const struct kv_request *request)
{
    static const char json[] = "application/json";
    const struct kv_field *field = &request->headers.accept;
    if (!field->text)
        return false;
    int weight = kv_accept_weight(field->text, field->len, json);
    return weight > 0 && weight > kv_accept_other_weight(field->text, field->len, json);
}

/* The key or directory as JSON: what is known of it, and its value. */
static void answer_json(struct kv_request *request)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    struct kv_store *store = request->http->store;
    int err = kv_store_stat(store, request->rest, request->rest_len, &record);
    if (!err && record->bare && record->meta.size <= JSON_VALUE_MAX) {
        kv_record_unref(KV_STEAL(record));
        err = kv_store_get(store, request->rest, request->rest_len, &record);
    }
    if (err) {
        kv_keys_reply_errno(request, err);
        return;
    }
    unsigned status = check_get_conditions(request, record->meta.mod_revision);
    if (status == 412)
        kv_keys_reply_errno(request, -ECANCELED);
    if (status == 0 || status == 412)
        return;
    if (status == 304)
        kv_reply_empty(request, 304);
    else
        add_json(&json, record);
    if (status == 200)
        kv_reply_buf(request, 200, "application/json", &json);
    add_json_headers(request, &record->meta);
}

static void answer_get(struct kv_request *request)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    if (wants_json(request)) {
        answer_json(request);
        return;
    }
    int err = read_record(request, &record);
    if (err || kv_record_is_dir(record)) {
        kv_keys_reply_errno(request, err ? err : -EISDIR);
        return;
    }
    unsigned status = check_get_conditions(request, record->meta.mod_revision);
    if (status == 412)
        kv_keys_reply_errno(request, -ECANCELED);
    else if (status == 200 && request->headers.range.text &&
             request->method == KV_GET && range_holds(request, record))
        reply_range(request, KV_STEAL(record));
    else if (status)
        kv_value_reply(request, status, KV_STEAL(record));
}

void kv_keys_get(struct kv_request *request)
{
    bool polls = request->uri.param_count > 0 && (kv_uri_param(&request->uri, "wait") ||
                                                  kv_uri_param(&request->uri, "since"));
    if (!kv_keys_check(request) ||
        !kv_access_check(request, request->rest, request->rest_len, KV_READ))
        return;
    if (polls)
        kv_poll_get(request, answer_get);
    else
        answer_get(request);
}
