#ifndef KV_STORE_KEY_H
#define KV_STORE_KEY_H

/* The grammar of keys and the arithmetic on them. A key is a relative path of 1..500
 * bytes: components of 1..255 bytes joined by '/'; no empty component, no "." or "..",
 * no NUL, no leading or trailing '/'. Every other byte is allowed. The component ".kv"
 * at the root is reserved for the control directory.
 *
 * The empty key stands for the root directory where a function says so. Keys are
 * (pointer, length), never NUL-terminated. Any thread. */

#include <stdbool.h>
#include <stddef.h>

#define KV_KEY_MAX 500
#define KV_KEY_COMPONENT_MAX 255
#define KV_KEY_CONTROL ".kv"

enum kv_key_rule {
    KV_KEY_VALID = 0,
    KV_KEY_EMPTY,
    KV_KEY_TOO_LONG,
    KV_KEY_COMPONENT_TOO_LONG,
    KV_KEY_EMPTY_COMPONENT, /* "a//b" */
    KV_KEY_DOT_COMPONENT,   /* "." or ".." */
    KV_KEY_NUL,
    KV_KEY_LEADING_SLASH,
    KV_KEY_TRAILING_SLASH,
    KV_KEY_RESERVED, /* ".kv" or below it */
};

/* The first rule that the key breaks, or KV_KEY_VALID. */
enum kv_key_rule kv_key_check(const void *key, size_t len);

/* The rule in words a user understands, e.g. "a key has at most 500 bytes"; static. */
const char *kv_key_rule_text(enum kv_key_rule rule);

/* -ENAMETOOLONG for the two length rules, -EINVAL for the others, 0 for VALID. */
int kv_key_rule_errno(enum kv_key_rule rule);

/* Length of the parent directory's key, which is a prefix of this one; 0 = root. */
size_t kv_key_parent_len(const void *key, size_t len);

/* Where the last component begins. */
static inline size_t kv_key_name_offset(const void *key, size_t len)
{
    size_t parent = kv_key_parent_len(key, len);
    return parent == 0 ? 0 : parent + 1;
}

/* Whether key lies below directory dir (dir_len 0: root, so every key does); a key
 * is not below itself. */
bool kv_key_is_below(const void *key, size_t len, const void *dir, size_t dir_len);

bool kv_key_equal(const void *a, size_t a_len, const void *b, size_t b_len);

/* Byte order, a prefix before what it is a prefix of: <0, 0, >0. */
int kv_key_compare(const void *a, size_t a_len, const void *b, size_t b_len);

#endif
