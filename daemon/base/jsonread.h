#ifndef KV_BASE_JSONREAD_H
#define KV_BASE_JSONREAD_H

/* Reading JSON (RFC 8259) where it lies. Not cJSON: revisions are 64-bit numbers, which
 * it rounds to a double, and values may hold U+0000, where it ends the string. A span
 * is some bytes of the text; kv_json_read checks the text once, and the other functions
 * take spans that come from a checked text. Any thread. */

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kv_span {
    const char *data;
    size_t len;
};

/* Check that text is one JSON value and nothing else, nested at most 32 deep, and
 * give the value without the blanks around it. 0 or -EINVAL. */
int kv_json_read(const void *text, size_t len, struct kv_span *ret);

/* The value of an object's first member of that name. 0; -ENOENT, also when object is
 * not one. */
int kv_json_member(struct kv_span object, const char *name, struct kv_span *ret);

/* Step through an array or an object: *offset starts at 0; true while there was
 * another. ret_name (may be NULL) gets the member's name, a JSON string; empty in an
 * array. Anything that is neither has no elements. */
bool kv_json_next(struct kv_span container, size_t *offset, struct kv_span *ret_name,
                  struct kv_span *ret_value);

/* Append the characters of a string as UTF-8 (an escaped lone surrogate as U+FFFD). 0;
 * -EINVAL not a string. Memory trouble sticks to out. */
int kv_json_text(struct kv_span value, struct kv_buf *out);

/* A number without sign, fraction and exponent. 0, -EINVAL or -ERANGE. */
int kv_json_number(struct kv_span value, uint64_t *ret);

bool kv_json_is(struct kv_span value, const char *literal);

/* -- Members of an object, as kvfsd writes them -- */

/* 0; -ENOENT or what kv_json_number says, and *ret as it was. */
int kv_json_member_number(struct kv_span object, const char *name, uint64_t *ret);

/* Append the bytes of a member that kv_json_bytes (base/json.h) wrote, undoing base64.
 * 0, -ENOENT, -EINVAL. */
int kv_json_member_bytes(struct kv_span object, const char *name, struct kv_buf *out);

#endif
