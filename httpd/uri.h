#ifndef KV_HTTPD_URI_H
#define KV_HTTPD_URI_H

/* Request targets (RFC 9112 section 3.2) taken apart from their raw bytes, because the
 * library decodes before it splits and stops at %00. Everything is percent-decoded
 * exactly once (RFC 3986 section 2.1) and handed out as (pointer, length), so a NUL
 * arrives where the key rules can refuse it. Any thread. */

#include <stdbool.h>
#include <stddef.h>

#define KV_URI_PARAMS_MAX 16

struct kv_param {
    const char *name;
    size_t name_len;
    const char *value; /* "" for a parameter without '=' */
    size_t value_len;
};

/* Everything points into the buffer that was parsed. */
struct kv_uri {
    const char *path; /* decoded, begins with '/' */
    size_t path_len;
    const char *authority; /* of an absolute-form target, otherwise NULL */
    size_t authority_len;
    struct kv_param params[KV_URI_PARAMS_MAX];
    size_t param_count;
};

/* Take a target in origin-form or absolute-form apart. The buffer is decoded in place.
 * In the query '+' means a blank, as HTML forms and every client library write it; in
 * the path it is a plus sign. NULL when all is well, otherwise the rule that was broken
 * (static text), and *ret is of no use. */
const char *kv_uri_parse(char *target, size_t len, struct kv_uri *ret);

/* The parameter of that name, or NULL. */
const struct kv_param *kv_uri_param(const struct kv_uri *uri, const char *name);

/* Decode len bytes in place; the new length, or -1 when a '%' lacks its two digits. */
long kv_percent_decode(char *text, size_t len, bool plus_is_blank);

#endif
