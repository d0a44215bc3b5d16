/* Answers: every status, error code and header of the native API is made here. */
#include "httpd/reply.h"

#include "base/json.h"
#include "base/log.h"
#include "httpd/gzip.h"
#include "httpd/sse.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define JSON "application/json"

void kv_reply(struct kv_request *request, unsigned status,
              struct MHD_Response *response)
{
    assert(!request->response);
    request->status = status;
    request->response = response;
}

static char nothing[1];

void kv_reply_empty(struct kv_request *request, unsigned status)
{
    kv_reply(request, status,
             MHD_create_response_from_buffer(0, nothing, MHD_RESPMEM_PERSISTENT));
}

void kv_reply_buf(struct kv_request *request, unsigned status, const char *content_type,
                  struct kv_buf *buf)
{
    size_t len, held = buf->cap;
    if (held > KV_BUDGET_FREE_BYTES) {
        if (!kv_budget_take(&request->http->answers, held)) {
            kv_buf_done(buf);
            kv_reply_errno(request, -ENOBUFS, NULL, 0);
            return;
        }
        request->answer_taken += held;
    }
    char *data = kv_buf_steal(buf, &len);
    if (!data) {
        kv_reply(request, 503, NULL);
        return;
    }
    request->answer_bytes = len;
    bool large = len >= KV_GZIP_MIN_BYTES;
    struct MHD_Response *response = NULL;
    if (large && request->method == KV_GET && kv_gzip_wanted(request))
        response = kv_gzip_bytes(request, data, len, free, data);
    if (!response)
        response = MHD_create_response_from_buffer(len, data, MHD_RESPMEM_MUST_FREE);
    if (!response)
        free(data);
    kv_reply(request, status, response);
    kv_reply_header(request, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    if (large)
        kv_reply_header(request, MHD_HTTP_HEADER_VARY, "Accept-Encoding");
}

void kv_reply_header(struct kv_request *request, const char *name, const char *value)
{
    if (request->response &&
        MHD_add_response_header(request->response, name, value) != MHD_YES) {
        /* Half an answer may be worse than none: no memory. */
        MHD_destroy_response(request->response);
        request->response = NULL;
    }
}

void kv_reply_header_u64(struct kv_request *request, const char *name, uint64_t number)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%" PRIu64, number);
    kv_reply_header(request, name, text);
}

void kv_reply_etag(struct kv_request *request, uint64_t revision)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "\"%" PRIu64 "\"", revision);
    kv_reply_header(request, MHD_HTTP_HEADER_ETAG, text);
}

void kv_reply_error(struct kv_request *request, unsigned status, const char *code,
                    const void *key, size_t key_len, const char *format, ...)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf message = {0}, json = {0};
    va_list args;
    va_start(args, format);
    kv_buf_vaddf(&message, format, args);
    va_end(args);
    kv_buf_addf(&json, "{\"error\":{\"code\":\"%s\",\"message\":", code);
    kv_json_string(&json, message.data, message.len);
    if (key) {
        kv_buf_addc(&json, ',');
        kv_json_bytes(&json, "key", key, key_len);
    }
    kv_buf_adds(&json, "}}\n");
    if (message.failed)
        json.failed = true;
    kv_reply_buf(request, status, JSON, &json);
}

void kv_reply_invalid_key(struct kv_request *request, const void *key, size_t key_len)
{
    kv_reply_error(request, 400, "invalid_key", key, key_len, "%s",
                   kv_key_rule_text(kv_key_check(key, key_len)));
}

void kv_reply_invalid_param(struct kv_request *request, const char *name,
                            const char *rule)
{
    kv_reply_error(request, 400, "invalid_parameter", NULL, 0, "%s: %s", name, rule);
}

void kv_reply_compacted(struct kv_request *request, uint64_t oldest)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    kv_buf_adds(&json, "{\"error\":{\"code\":\"compacted\",");
    kv_json_compacted(&json, oldest);
    kv_buf_adds(&json, "}}\n");
    kv_reply_buf(request, 410, JSON, &json);
}

static const struct {
    int error;
    unsigned status;
    const char *code, *message;
} table[] = {
    {-ENOENT, 404, "not_found", "there is no such key"},
    {-EISDIR, 409, "is_a_directory", "the key is a directory"},
    {-ENOTDIR, 409, "not_a_directory", "a part of the path is a key, not a directory"},
    {-ENOTEMPTY, 409, "not_empty", "the directory holds keys"},
    {-EEXIST, 409, "exists", "the key exists"},
    {-ELOOP, 409, "is_a_symlink", "the key is a symbolic link"},
    {-EDOM, 409, "not_a_number",
     "the value is not a number: only decimal digits, with a '-' before them for less "
     "than 0, can be counted in"},
    {-ERANGE, 409, "number_overflow",
     "the number would not fit 64 bits: it can be from -9223372036854775808 to "
     "9223372036854775807"},
    {-ECANCELED, 412, "precondition_failed",
     "the key is not in the state the request asks for"},
    {-EFBIG, 413, "too_large", "the value is larger than the store allows"},
    {-E2BIG, 413, "too_large",
     "the transaction is too large: it may have 10000 operations, touch 128 MiB of "
     "values, and delete 100000 keys and directories together with a directory"},
    {-ENOSPC, 507, "no_space", "the store is full"},
    {-EROFS, 503, "read_only", "the store is read-only after a disk error"},
    {-ESHUTDOWN, 503, "stopping", "the daemon is stopping"},
    {-ENOMEM, 503, "no_memory", "the daemon is out of memory"},
    {-ENOBUFS, 503, "busy",
     "answers that clients are slow to take hold as much memory as they may; try "
     "again"},
    {-EAGAIN, 503, "busy",
     "the daemon holds as many request bodies as it may; try again"},
};

bool kv_reply_explain(int error, unsigned *ret_status, const char **ret_code,
                      const char **ret_message)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].error != error)
            continue;
        *ret_status = table[i].status;
        *ret_code = table[i].code;
        *ret_message = table[i].message;
        return true;
    }
    return false;
}

void kv_reply_errno(struct kv_request *request, int error, const void *key,
                    size_t key_len)
{
    kv_reply_errno_at(request, error, NULL, key, key_len);
}

void kv_reply_errno_at(struct kv_request *request, int error, const char *place,
                       const void *key, size_t key_len)
{
    const char *colon = place ? ": " : "";
    if (!place)
        place = "";
    if (error == -EINVAL || error == -ENAMETOOLONG) {
        enum kv_key_rule rule = key ? kv_key_check(key, key_len) : KV_KEY_VALID;
        kv_reply_error(
            request, 400, "invalid_key", key, key_len, "%s%s%s", place, colon,
            rule != KV_KEY_VALID ? kv_key_rule_text(rule)
                                 : "the operation cannot be done on that key");
        return;
    }
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (table[i].error == error) {
            kv_reply_error(request, table[i].status, table[i].code, key, key_len,
                           "%s%s%s", place, colon, table[i].message);
            if (table[i].status == 503)
                kv_reply_header(request, MHD_HTTP_HEADER_RETRY_AFTER, "1");
            return;
        }
    }
    kv_error("cannot serve '%.*s': %s", (int)key_len, key ? (const char *)key : "",
             kv_strerror(error));
    kv_reply_error(request, 500, "internal", key, key_len, "%s%s%s", place, colon,
                   kv_strerror(error));
}
