#ifndef KV_BASE_UTF8_H
#define KV_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* UTF-8 of RFC 3629: no surrogates, no overlong forms, nothing above U+10FFFF. NUL is a
 * character like any other. Any thread. */

/* How many bytes the well-formed character at the start of data has: 1..4, or 0 when
 * there is none (or len is 0). */
size_t kv_utf8_next(const void *data, size_t len);

/* Whether all the bytes are well-formed. */
bool kv_utf8_valid(const void *data, size_t len);

#endif
