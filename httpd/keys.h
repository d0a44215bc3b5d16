#ifndef KV_HTTPD_KEYS_H
#define KV_HTTPD_KEYS_H

/* What the handlers of one key share (get.c, keys.c). request->rest is the key. The
 * connection's thread. */

#include "httpd/field.h"
#include "httpd/route.h"

/* Whether the key follows the rules; false: the answer is prepared. */
bool kv_keys_check(struct kv_request *request);

/* kv_reply_errno about the key. */
void kv_keys_reply_errno(struct kv_request *request, int error);

/* Parse a header of entity tags; false: 400 is prepared. */
bool kv_keys_parse_tags(struct kv_request *request, const char *name,
                        const struct kv_field *field, struct kv_etags *ret);

#endif
