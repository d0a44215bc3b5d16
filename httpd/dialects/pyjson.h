#ifndef KV_HTTPD_DIALECTS_PYJSON_H
#define KV_HTTPD_DIALECTS_PYJSON_H

/* Strings of JSON as Python's json.dumps writes them, for clients that compare bytes:
 * with short escapes for backspace and form feed, hexadecimal digits in small letters,
 * and, where everything is to be ASCII (ensure_ascii, its default), DEL and whatever is
 * beyond as \uXXXX, in UTF-16. Bytes that are not UTF-8 become U+FFFD, one each. Errors
 * stick to the buffer. Pure functions. Any thread. */

#include "base/buf.h"

enum kv_pyjson {
    KV_PYJSON_ASCII, /* ensure_ascii=True */
    KV_PYJSON_UTF8,  /* ensure_ascii=False */
};

/* Append a string with its quotes. */
void kv_pyjson_string(struct kv_buf *out, enum kv_pyjson mode, const void *data,
                      size_t len);

/* Append the inside of a string that comes in slices; more: another slice follows. The
 * bytes used: all, or up to three less when a character goes on in the next slice,
 * which must begin there. */
size_t kv_pyjson_slice(struct kv_buf *out, enum kv_pyjson mode, const void *data,
                       size_t len, bool more);

#endif
