#ifndef KV_HTTPD_DIALECTS_PAIRS_H
#define KV_HTTPD_DIALECTS_PAIRS_H

/* All keys with their values as one JSON text, from one snapshot, as rows.h sends it.
 * The connection's thread. */

#include "httpd/request.h"

/* What stands around the pairs, and in them; the strings are written as ASCII. */
struct kv_pairs_form {
    const char *begin, *key, *value, *behind, *end;
};

/* Answer with all pairs that the client may read, sorted by key, directories left out.
 */
void kv_pairs_reply(struct kv_request *request, const struct kv_pairs_form *form);

#endif
