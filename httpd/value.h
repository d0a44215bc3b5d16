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

/* Answer 206 with bytes first..last; takes over the reference. */
void kv_value_reply_part(struct kv_request *request, struct kv_record *record,
                         uint64_t first, uint64_t last);

#endif
