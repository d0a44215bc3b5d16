#ifndef KV_BASE_BASE64_H
#define KV_BASE_BASE64_H

#include "base/buf.h"

/* Base64 of RFC 4648 section 4, with padding. Any thread. */

/* Append the encoding of data; errors stick to the buffer. */
void kv_base64_encode(struct kv_buf *out, const void *data, size_t len);

/* Append what the text encodes. Strict: no blanks, right padding, no stray bits.
 * 0, -EINVAL (out is as before) or -ENOMEM. */
int kv_base64_decode(struct kv_buf *out, const char *text, size_t len);

#endif
