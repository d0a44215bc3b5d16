#ifndef KV_HTTPD_REPLY_H
#define KV_HTTPD_REPLY_H

/* Answers. Each function prepares the answer of a request that has none yet; the server
 * sends it when the request's body has been read. When memory runs out no answer is
 * prepared, and the connection is closed. The connection's thread. */

#include "httpd/request.h"

/* Takes over the response (NULL: no memory). */
void kv_reply(struct kv_request *request, unsigned status,
              struct MHD_Response *response);

/* Only a status and headers. */
void kv_reply_empty(struct kv_request *request, unsigned status);

/* A body, moved out of buf. */
void kv_reply_buf(struct kv_request *request, unsigned status, const char *content_type,
                  struct kv_buf *buf);

/* Add a header to the answer that was prepared. */
void kv_reply_header(struct kv_request *request, const char *name, const char *value);
void kv_reply_header_u64(struct kv_request *request, const char *name, uint64_t number);
/* ETag, quoted. */
void kv_reply_etag(struct kv_request *request, uint64_t revision);

/* {"error":{"code":CODE,"message":...,"key":KEY}}; without "key" when key is NULL. */
void kv_reply_error(struct kv_request *request, unsigned status, const char *code,
                    const void *key, size_t key_len, const char *format, ...)
    __attribute__((format(printf, 6, 7)));

/* The answer to an error of the store (store.h lists them). */
void kv_reply_errno(struct kv_request *request, int error, const void *key,
                    size_t key_len);

/* The same for one operation of several: the message begins with the place, "then[2]".
 */
void kv_reply_errno_at(struct kv_request *request, int error, const char *place,
                       const void *key, size_t key_len);

/* The status, code and message that an error of the store is answered with; false: it
 * is none that a client can be told. */
bool kv_reply_explain(int error, unsigned *ret_status, const char **ret_code,
                      const char **ret_message);

/* 410 compacted, with the oldest revision whose events are still held. */
void kv_reply_compacted(struct kv_request *request, uint64_t oldest);

/* 400 invalid_key that names the rule. */
void kv_reply_invalid_key(struct kv_request *request, const void *key, size_t key_len);

/* 400 invalid_parameter. */
void kv_reply_invalid_param(struct kv_request *request, const char *name,
                            const char *rule);

#endif
