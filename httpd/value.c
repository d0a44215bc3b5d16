/* Values as answers, ready made for the keys that are asked for often.
 *
 * A small value is copied into a response that hangs on its record (record.h) and is
 * queued again for every request: no allocation, no formatting. The response owns its
 * bytes and the record owns the response, so there is no cycle: the record may go while
 * a client is still being sent the response, which the library counts references of.
 * A large value is not copied: its response is made for one request and
 * holds a reference to the record.
 *
 * A ready response costs several times a small record, and the bound of the cache does
 * not count it. So not every record gets one: one read in ATTACH_EVERY makes it, so a
 * key asked for often has one soon and a scan over everything makes few, and altogether
 * they stay below ATTACH_MAX_BYTES. */
#include "httpd/value.h"

#include "httpd/field.h"
#include "httpd/reply.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COPY_MAX (16 * 1024)
#define ATTACH_EVERY 8
#define ATTACH_MAX_BYTES (32 << 20)
/* The library's response and five or six headers, three allocations each. */
#define ATTACH_OVERHEAD 1400

struct ready {
    struct MHD_Response *response;
    long long bytes;
};

/* Not in kv_http: records, and so what hangs on them, outlive the server. */
static atomic_llong attached_bytes;

static void free_ready(void *attachment)
{
    struct ready *ready = attachment;
    atomic_fetch_sub_explicit(&attached_bytes, ready->bytes, memory_order_relaxed);
    MHD_destroy_response(ready->response);
    free(ready);
}

static void unref_record(void *record)
{
    kv_record_unref(record);
}

static bool add(struct MHD_Response *response, const char *name, const char *format,
                ...) __attribute__((format(printf, 3, 4)));

static bool add(struct MHD_Response *response, const char *name, const char *format,
                ...)
{
    char text[96];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return MHD_add_response_header(response, name, text) == MHD_YES;
}

static bool add_headers(struct MHD_Response *response, const struct kv_record *record)
{
    const struct kv_meta *meta = &record->meta;
    char date[KV_HTTP_DATE_SIZE], expires[KV_TIME_SIZE];
    kv_http_date(date, meta->mtime_ns);
    kv_time_text(expires, meta->expiry_ns);
    return add(response, MHD_HTTP_HEADER_ETAG, "\"%" PRIu64 "\"", meta->mod_revision) &&
           add(response, MHD_HTTP_HEADER_LAST_MODIFIED, "%s", date) &&
           add(response, "X-Kv-Version", "%" PRIu64, meta->version) &&
           add(response, "X-Kv-Revision", "%" PRIu64, meta->mod_revision) &&
           (meta->expiry_ns == 0 || add(response, "X-Kv-Expires", "%s", expires));
}

/* Values are whatever somebody stored: a browser must neither guess a type nor run
 * them. */
static bool add_type(struct MHD_Response *response)
{
    return add(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/octet-stream") &&
           add(response, "X-Content-Type-Options", "nosniff");
}

/* A response with a part of the value. Takes a reference to the record when it
 * needs one. NULL: no memory. */
static struct MHD_Response *make_response(struct kv_record *record, size_t offset,
                                          size_t len)
{
    static char nothing[1];
    struct MHD_Response *response;
    char *bytes = (char *)(uintptr_t)record->value + offset;
    if (len == 0)
        response = MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT);
    else if (len <= COPY_MAX)
        response = MHD_create_response_from_buffer(len, bytes, MHD_RESPMEM_MUST_COPY);
    else {
        response = MHD_create_response_from_buffer_with_free_callback_cls(
            len, bytes, unref_record, kv_record_ref(record));
        if (!response)
            kv_record_unref(record);
    }
    if (response && !(add_headers(response, record) && add_type(response))) {
        MHD_destroy_response(response);
        response = NULL;
    }
    return response;
}

static bool may_attach(const struct kv_record *record)
{
    static _Thread_local unsigned reads;
    return record->meta.size <= COPY_MAX && ++reads % ATTACH_EVERY == 0 &&
           atomic_load_explicit(&attached_bytes, memory_order_relaxed) <
               ATTACH_MAX_BYTES;
}

/* Hang a response on the record. NULL: no memory, or another thread was first. */
static struct ready *attach(struct kv_record *record)
{
    struct ready *ready = malloc(sizeof(*ready));
    if (!ready)
        return NULL;
    *ready = (struct ready){
        .response = make_response(record, 0, (size_t)record->meta.size),
        .bytes = (long long)record->meta.size + ATTACH_OVERHEAD,
    };
    if (!ready->response) {
        free(ready);
        return NULL;
    }
    atomic_fetch_add_explicit(&attached_bytes, ready->bytes, memory_order_relaxed);
    struct ready *winner = kv_record_attach(record, ready, free_ready);
    if (winner != ready)
        free_ready(ready);
    return winner;
}

void kv_value_reply(struct kv_request *request, unsigned status,
                    struct kv_record *record)
{
    struct ready *ready = kv_record_attachment(record);
    if (!ready && may_attach(record))
        ready = attach(record);
    if (!ready) {
        kv_reply(request, status, make_response(record, 0, (size_t)record->meta.size));
        kv_record_unref(record);
        return;
    }
    kv_reply(request, status, ready->response);
    request->borrowed = true;
    request->record = record;
}

void kv_value_reply_part(struct kv_request *request, struct kv_record *record,
                         uint64_t first, uint64_t last)
{
    char range[80];
    (void)snprintf(range, sizeof(range), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
                   first, last, record->meta.size);
    kv_reply(request, 206,
             make_response(record, (size_t)first, (size_t)(last - first + 1)));
    kv_reply_header(request, MHD_HTTP_HEADER_CONTENT_RANGE, range);
    kv_record_unref(record);
}
