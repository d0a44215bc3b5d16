#ifndef KV_BASE_JSON_H
#define KV_BASE_JSON_H

#include "base/buf.h"

#include <stdint.h>

/* Writing JSON text (RFC 8259) by hand into a buffer, because cJSON prints integers
 * above 2^53 as floating point and cuts strings at NUL. Errors stick to the buffer.
 * Commas and braces are the caller's. Any thread. */

/* A string literal with its quotes. Bytes that are not UTF-8 become U+FFFD: for texts
 * where a loss is acceptable; kv_json_bytes is for the others. */
void kv_json_string(struct kv_buf *out, const void *data, size_t len);

/* `"NAME":"text"` when the bytes are UTF-8, otherwise
 * `"NAME":"<base64>","NAME_encoding":"base64"`; for the name "value" the second member
 * is plain "encoding". Nothing is lost either way. */
void kv_json_bytes(struct kv_buf *out, const char *name, const void *data, size_t len);

void kv_json_u64(struct kv_buf *out, uint64_t number);

#endif
