#ifndef KV_HTTPD_GZIP_H
#define KV_HTTPD_GZIP_H

/* Answers that are compressed while they are sent (RFC 1952), for clients that ask for
 * it. The compressor counts in the budget of answers; when there is no room, the answer
 * goes out as it is. The connection's thread. */

#include "httpd/request.h"

/* Shorter answers are not worth it. */
#define KV_GZIP_MIN_BYTES 2048

/* Whether the client likes gzip at least as much as plain bytes: RFC 9110 section
 * 12.5.3. */
bool kv_gzip_wanted(const struct kv_request *request);

/* Whether values of a media type are text. */
bool kv_gzip_is_text(const char *type, size_t len);

/* Where the bytes come from. */
struct kv_gzip_source {
    /* As MHD_ContentReaderCallback, but never 0. */
    ssize_t (*read)(void *cls, char *buf, size_t max);
    void (*free)(void *cls); /* may be NULL */
    void *cls;
};

/* A response of what the source gives, with its Content-Encoding; it owns the source.
 * NULL: no room or memory, and the source is still the caller's. */
struct MHD_Response *kv_gzip_response(struct kv_request *request,
                                      const struct kv_gzip_source *source);

/* The same of bytes that stay where they are until release (may be NULL) is called. */
struct MHD_Response *kv_gzip_bytes(struct kv_request *request, const void *data,
                                   size_t len, void (*release)(void *owner),
                                   void *owner);

#endif
