#ifndef KV_HTTPD_VALUE_H
#define KV_HTTPD_VALUE_H

/* A record as an answer: its value with ETag, Last-Modified, X-Kv-Version,
 * X-Kv-Revision and, when it will end, X-Kv-Expires. The connection's thread. */

#include "httpd/request.h"

/* Answer with the whole value; takes over the reference to the record. With status 304,
 * and for HEAD, the same headers go out, Content-Length included, and no body; then the
 * record may be bare. 503 when a large value has no room in the budget (budget.h). */
void kv_value_reply(struct kv_request *request, unsigned status,
                    struct kv_record *record);

/* Answer 200 with the whole value and nothing told of it but this type; takes over the
 * reference. 503 likewise. */
void kv_value_reply_plain(struct kv_request *request, struct kv_record *record,
                          const char *type);

/* Replace the bare record of a key by one with the value. A large value that is not in
 * the cache is not read again while an answer is being sent from it. 0, or what
 * kv_store_get says. */
int kv_value_load(struct kv_request *request, const void *key, size_t len,
                  struct kv_record **record);

/* Answer 206 with bytes first..last; takes over the reference. */
void kv_value_reply_part(struct kv_request *request, struct kv_record *record,
                         uint64_t first, uint64_t last);

#endif
