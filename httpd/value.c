/* Values as answers, ready made for the keys that are asked for often.
 *
 * A small value is copied into a response that hangs on its record (record.h) and is
 * queued again for every request: no allocation, no formatting. The response owns its
 * bytes and the record owns the response, so there is no cycle: the record may go while
 * a client is still being sent the response, which the library counts references of.
 * A large value is not copied: its response is made for one request and borrows the
 * record (loan.h). An answer of headers alone needs no value.
 *
 * A ready response costs several times a small record, and the bound of the cache does
 * not count it. So not every record gets one: one read in ATTACH_EVERY makes it, so a
 * key asked for often has one soon and a scan over everything makes few, and altogether
 * they stay below ATTACH_MAX_BYTES. */
#include "httpd/value.h"

#include "httpd/describe.h"
#include "httpd/field.h"
#include "httpd/gzip.h"
#include "httpd/loan.h"
#include "httpd/reply.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define COPY_MAX KV_BUDGET_FREE_BYTES
#define ATTACH_EVERY 8
#define ATTACH_MAX_BYTES (32 << 20)
/* The library's response and about seven headers, three allocations each. */
#define ATTACH_OVERHEAD 1600

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

static void end_loan(void *loan)
{
    kv_loan_end(loan);
}

static bool add(struct MHD_Response *response, const char *name, const char *format,
                ...) __attribute__((format(printf, 3, 4)));

static bool add(struct MHD_Response *response, const char *name, const char *format,
                ...)
{
    char text[KV_MEDIA_TYPE_MAX + 1];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return MHD_add_response_header(response, name, text) == MHD_YES;
}

/* dress: what its tag says of the form in which the value goes out; "" for its bytes.
 */
static bool add_headers(struct MHD_Response *response, const struct kv_record *record,
                        const char *dress)
{
    const struct kv_meta *meta = &record->meta;
    char date[KV_HTTP_DATE_SIZE], expires[KV_TIME_SIZE];
    kv_http_date(date, meta->mtime_ns);
    kv_time_text(expires, meta->expiry_ns);
    return add(response, MHD_HTTP_HEADER_ETAG, "\"%" PRIu64 "%s\"", meta->mod_revision,
               dress) &&
           add(response, MHD_HTTP_HEADER_LAST_MODIFIED, "%s", date) &&
           add(response, "X-Kv-Version", "%" PRIu64, meta->version) &&
           add(response, "X-Kv-Revision", "%" PRIu64, meta->mod_revision) &&
           (!kv_record_is_link(record) || add(response, "X-Kv-Type", "symlink")) &&
           (meta->expiry_ns == 0 || add(response, "X-Kv-Expires", "%s", expires));
}

/* Values are whatever somebody stored: a browser must neither guess a type nor run
 * them. One that was stored as a page is shown, but as from no origin and without its
 * scripts, or it could use this API as the one who looks at it. */
static bool add_type(struct MHD_Response *response, const struct kv_record *record)
{
    size_t len = 24;
    const char *kept = kv_content_type(record->xattrs, record->xattrs_len, &len);
    return add(response, MHD_HTTP_HEADER_CONTENT_TYPE, "%.*s", (int)len,
               kept ? kept : "application/octet-stream") &&
           (!kept || add(response, "Content-Security-Policy", "sandbox")) &&
           add(response, "X-Content-Type-Options", "nosniff") &&
           add(response, MHD_HTTP_HEADER_VARY, "Accept, Accept-Encoding");
}

static bool add_all_headers(struct MHD_Response *response,
                            const struct kv_record *record)
{
    return add_headers(response, record, "") && add_type(response, record) &&
           add(response, MHD_HTTP_HEADER_ACCEPT_RANGES, "bytes");
}

/* A response from copied bytes, or with nothing. NULL: no memory. */
static struct MHD_Response *copy_response(const char *bytes, size_t len)
{
    static char nothing[1];
    return len == 0
               ? MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT)
               : MHD_create_response_from_buffer(len, (char *)(uintptr_t)bytes,
                                                 MHD_RESPMEM_MUST_COPY);
}

/* A response from the record itself: 0, -ENOBUFS, -ENOMEM. */
static int lent_response(struct kv_loans *loans, struct kv_record *record,
                         size_t offset, size_t len, struct MHD_Response **ret)
{
    struct kv_loan *loan;
    int err = kv_loan_begin(loans, record, &loan);
    if (err)
        return err;
    *ret = MHD_create_response_from_buffer_with_free_callback_cls(
        len, (char *)(uintptr_t)loan->record->value + offset, end_loan, loan);
    if (*ret)
        return 0;
    kv_loan_end(loan);
    return -ENOMEM;
}

static ssize_t never_read(void *cls, uint64_t pos, char *buf, size_t max)
{
    (void)cls;
    (void)pos;
    (void)buf;
    (void)max;
    return MHD_CONTENT_READER_END_WITH_ERROR;
}

/* Answer with a part of the value, or for HEAD and 304 with what its headers would be.
 */
static void reply_part(struct kv_request *request, unsigned status,
                       struct kv_record *record, size_t offset, size_t len)
{
    struct MHD_Response *response = NULL;
    bool headers_only = request->method == KV_HEAD || status == 304;
    int err = 0;
    if (headers_only)
        response = MHD_create_response_from_callback(len, 1, never_read, NULL, NULL);
    else if (len <= COPY_MAX)
        response = copy_response((const char *)record->value + offset, len);
    else
        err = lent_response(request->http->loans, record, offset, len, &response);
    if (err) {
        kv_reply_errno(request, err, record->key, record->key_len);
        return;
    }
    if (response && !add_all_headers(response, record)) {
        MHD_destroy_response(response);
        response = NULL;
    }
    request->answer_bytes = headers_only ? 0 : len;
    kv_reply(request, status, response);
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
        .response = copy_response(record->value, (size_t)record->meta.size),
        .bytes = (long long)record->meta.size + ATTACH_OVERHEAD,
    };
    if (!ready->response || !add_all_headers(ready->response, record)) {
        if (ready->response)
            MHD_destroy_response(ready->response);
        free(ready);
        return NULL;
    }
    atomic_fetch_add_explicit(&attached_bytes, ready->bytes, memory_order_relaxed);
    struct ready *winner = kv_record_attach(record, ready, free_ready);
    if (winner != ready)
        free_ready(ready);
    return winner;
}

static void unref_record(void *record)
{
    kv_record_unref(record);
}

/* Whether the value goes out compressed: text, and the client likes that. */
static bool wants_gzip(const struct kv_request *request, unsigned status,
                       const struct kv_record *record)
{
    size_t len;
    if (status != 200 || request->method != KV_GET ||
        record->meta.size < KV_GZIP_MIN_BYTES || !kv_gzip_wanted(request))
        return false;
    const char *type = kv_content_type(record->xattrs, record->xattrs_len, &len);
    return type && kv_gzip_is_text(type, len);
}

/* False: there is no room for it, so the value goes out as it is. */
static bool reply_gzip(struct kv_request *request, struct kv_record *record)
{
    size_t size = (size_t)record->meta.size;
    struct MHD_Response *response;
    if (size <= COPY_MAX) {
        response = kv_gzip_bytes(request, record->value, size, unref_record,
                                 kv_record_ref(record));
        if (!response)
            kv_record_unref(record);
    } else {
        struct kv_loan *loan;
        if (kv_loan_begin(request->http->loans, record, &loan))
            return false;
        response = kv_gzip_bytes(request, loan->record->value, size, end_loan, loan);
        if (!response)
            kv_loan_end(loan);
    }
    if (!response)
        return false;
    if (!add_headers(response, record, "-gzip") || !add_type(response, record)) {
        MHD_destroy_response(response);
        response = NULL;
    }
    request->answer_bytes = size;
    kv_reply(request, 200, response);
    return true;
}

void kv_value_reply(struct kv_request *request, unsigned status,
                    struct kv_record *record)
{
    if (wants_gzip(request, status, record) && reply_gzip(request, record)) {
        kv_record_unref(record);
        return;
    }
    /* Answers to pages of other origins get headers of their own (cors.h). */
    struct ready *ready = request->cors_origin ? NULL : kv_record_attachment(record);
    if (!ready && !request->cors_origin && may_attach(record))
        ready = attach(record);
    if (!ready) {
        reply_part(request, status, record, 0, (size_t)record->meta.size);
        kv_record_unref(record);
        return;
    }
    kv_reply(request, status, ready->response);
    request->borrowed = true;
    request->record = record;
}

void kv_value_reply_plain(struct kv_request *request, struct kv_record *record,
                          const char *type)
{
    size_t size = (size_t)record->meta.size;
    struct MHD_Response *response = NULL;
    int err = 0;
    if (size <= COPY_MAX)
        response = copy_response(record->value, size);
    else
        err = lent_response(request->http->loans, record, 0, size, &response);
    if (err) {
        kv_reply_errno(request, err, record->key, record->key_len);
    } else {
        request->answer_bytes = size;
        kv_reply(request, 200, response);
        kv_reply_header(request, MHD_HTTP_HEADER_CONTENT_TYPE, type);
        kv_reply_header(request, "X-Content-Type-Options", "nosniff");
    }
    kv_record_unref(record);
}

int kv_value_load(struct kv_request *request, const void *key, size_t len,
                  struct kv_record **record)
{
    struct kv_record *whole = kv_loans_find(request->http->loans, *record);
    int err = whole ? 0 : kv_store_get(request->http->store, key, len, &whole);
    if (err)
        return err;
    kv_record_unref(*record);
    *record = whole;
    return 0;
}

void kv_value_reply_part(struct kv_request *request, struct kv_record *record,
                         uint64_t first, uint64_t last)
{
    char range[80];
    (void)snprintf(range, sizeof(range), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
                   first, last, record->meta.size);
    reply_part(request, 206, record, (size_t)first, (size_t)(last - first + 1));
    if (request->status == 206)
        kv_reply_header(request, MHD_HTTP_HEADER_CONTENT_RANGE, range);
    kv_record_unref(record);
}
