/* Compressed answers. They are made piece by piece as the client takes them, so a large
 * one keeps no thread for long, and holds its source and one compressor. Level 1: text
 * becomes three to five times smaller at several times the speed of the default. */
#include "httpd/gzip.h"

#include "httpd/field.h"

#include <string.h>
#include <strings.h>
#include <zlib.h>

/* A window of 16 KiB and the tables for it: see zconf.h, "memory requirements". */
#define WINDOW_BITS 14
#define MEMORY_LEVEL 7
#define GZIP_FORMAT 16
#define COMPRESSOR_BYTES (192 * 1024)
#define IN_BYTES (16 * 1024)
/* What one call reads at most once it has something to send. */
#define STEP_BYTES (256 * 1024)

struct gzip {
    struct kv_http *http;
    struct kv_gzip_source source;
    z_stream z;
    bool input_ended, ended;
    char in[IN_BYTES];
};

bool kv_gzip_wanted(const struct kv_request *request)
{
    const struct kv_field *field = &request->headers.accept_encoding;
    if (!field->text)
        return false;
    int gzip = kv_accept_weight(field->text, field->len, "gzip");
    int plain = kv_accept_weight(field->text, field->len, "identity");
    if (gzip < 0)
        gzip = kv_accept_weight(field->text, field->len, "*");
    return gzip > 0 && gzip >= plain;
}

bool kv_gzip_is_text(const char *type, size_t len)
{
    static const char *const texts[] = {"application/json", "application/javascript",
                                        "application/xml",  "application/x-ndjson",
                                        "application/yaml", "application/toml"};
    const char *end = memchr(type, ';', len);
    if (end)
        len = (size_t)(end - type);
    if (len > 5 && strncasecmp(type, "text/", 5) == 0)
        return true;
    if (len > 5 && (strncasecmp(type + len - 5, "+json", 5) == 0 ||
                    strncasecmp(type + len - 4, "+xml", 4) == 0))
        return true;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (len == strlen(texts[i]) && strncasecmp(type, texts[i], len) == 0)
            return true;
    return false;
}

/* Input for the compressor when it has none. False: the source failed. */
static bool refill(struct gzip *gzip)
{
    if (gzip->z.avail_in > 0 || gzip->input_ended)
        return true;
    ssize_t len = gzip->source.read(gzip->source.cls, gzip->in, sizeof(gzip->in));
    gzip->input_ended = len == MHD_CONTENT_READER_END_OF_STREAM;
    if (len < 0)
        return gzip->input_ended;
    gzip->z.next_in = (Bytef *)gzip->in;
    gzip->z.avail_in = (uInt)len;
    return true;
}

/* MHD_ContentReaderCallback */
static ssize_t read_compressed(void *cls, uint64_t pos, char *buf, size_t max)
{
    struct gzip *gzip = cls;
    (void)pos;
    uLong start = gzip->z.total_in;
    gzip->z.next_out = (Bytef *)buf;
    gzip->z.avail_out = (uInt)max;
    while (!gzip->ended && gzip->z.avail_out > 0) {
        bool has_some = gzip->z.avail_out < max;
        if (has_some && gzip->z.total_in - start >= STEP_BYTES)
            break;
        if (!refill(gzip))
            return MHD_CONTENT_READER_END_WITH_ERROR;
        int rc = deflate(&gzip->z, gzip->input_ended ? Z_FINISH : Z_NO_FLUSH);
        if (rc != Z_OK && rc != Z_STREAM_END)
            return MHD_CONTENT_READER_END_WITH_ERROR;
        gzip->ended = rc == Z_STREAM_END;
    }
    size_t len = max - gzip->z.avail_out;
    return len > 0 ? (ssize_t)len : MHD_CONTENT_READER_END_OF_STREAM;
}

static void free_gzip(void *cls)
{
    struct gzip *gzip = cls;
    (void)deflateEnd(&gzip->z);
    if (gzip->source.free)
        gzip->source.free(gzip->source.cls);
    kv_budget_give(&gzip->http->answers, COMPRESSOR_BYTES);
    free(gzip);
}

static struct gzip *new_gzip(struct kv_http *http)
{
    if (!kv_budget_take(&http->answers, COMPRESSOR_BYTES))
        return NULL;
    struct gzip *gzip = calloc(1, sizeof(*gzip));
    if (gzip && deflateInit2(&gzip->z, 1, Z_DEFLATED, WINDOW_BITS + GZIP_FORMAT,
                             MEMORY_LEVEL, Z_DEFAULT_STRATEGY) == Z_OK) {
        gzip->http = http;
        return gzip;
    }
    free(gzip);
    kv_budget_give(&http->answers, COMPRESSOR_BYTES);
    return NULL;
}

struct MHD_Response *kv_gzip_response(struct kv_request *request,
                                      const struct kv_gzip_source *source)
{
    struct gzip *gzip = new_gzip(request->http);
    if (!gzip)
        return NULL;
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, IN_BYTES, read_compressed, gzip, free_gzip);
    if (!response) {
        free_gzip(gzip); /* has no source yet */
        return NULL;
    }
    if (MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip") !=
        MHD_YES) {
        MHD_destroy_response(response);
        return NULL;
    }
    gzip->source = *source;
    return response;
}

/* -- Bytes that are there -- */

struct bytes {
    const char *data;
    size_t left;
    void (*release)(void *owner);
    void *owner;
};

static ssize_t read_bytes(void *cls, char *buf, size_t max)
{
    struct bytes *bytes = cls;
    size_t len = bytes->left < max ? bytes->left : max;
    if (len == 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    memcpy(buf, bytes->data, len);
    bytes->data += len;
    bytes->left -= len;
    return (ssize_t)len;
}

static void free_bytes(void *cls)
{
    struct bytes *bytes = cls;
    if (bytes->release)
        bytes->release(bytes->owner);
    free(bytes);
}

struct MHD_Response *kv_gzip_bytes(struct kv_request *request, const void *data,
                                   size_t len, void (*release)(void *owner),
                                   void *owner)
{
    struct bytes *bytes = malloc(sizeof(*bytes));
    if (!bytes)
        return NULL;
    *bytes = (struct bytes){data, len, release, owner};
    struct MHD_Response *response = kv_gzip_response(
        request, &(struct kv_gzip_source){read_bytes, free_bytes, bytes});
    if (!response)
        free(bytes);
    return response;
}
