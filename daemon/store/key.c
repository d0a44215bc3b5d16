/* The grammar of keys. Pure functions of bytes; no state. */
#include "store/key.h"

#include <errno.h>
#include <string.h>

/* One component, from where it begins to the slash or end that follows it. */
static enum kv_key_rule check_component(const char *name, size_t len)
{
    if (len == 0)
        return KV_KEY_EMPTY_COMPONENT;
    if (len > KV_KEY_COMPONENT_MAX)
        return KV_KEY_COMPONENT_TOO_LONG;
    if (name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')))
        return KV_KEY_DOT_COMPONENT;
    return KV_KEY_VALID;
}

enum kv_key_rule kv_key_check(const void *key, size_t len)
{
    const char *bytes = key;
    if (len == 0)
        return KV_KEY_EMPTY;
    if (len > KV_KEY_MAX)
        return KV_KEY_TOO_LONG;
    if (bytes[0] == '/')
        return KV_KEY_LEADING_SLASH;
    if (bytes[len - 1] == '/')
        return KV_KEY_TRAILING_SLASH;
    if (memchr(bytes, '\0', len))
        return KV_KEY_NUL;
    for (size_t start = 0; start < len;) {
        const char *slash = memchr(bytes + start, '/', len - start);
        size_t end = slash ? (size_t)(slash - bytes) : len;
        enum kv_key_rule rule = check_component(bytes + start, end - start);
        if (rule != KV_KEY_VALID)
            return rule;
        if (start == 0 &&
            kv_key_equal(bytes, end, KV_KEY_CONTROL, strlen(KV_KEY_CONTROL)))
            return KV_KEY_RESERVED;
        start = end + 1;
    }
    return KV_KEY_VALID;
}

const char *kv_key_rule_text(enum kv_key_rule rule)
{
    switch (rule) {
    case KV_KEY_VALID:
        return "the key is valid";
    case KV_KEY_EMPTY:
        return "a key has at least one byte";
    case KV_KEY_TOO_LONG:
        return "a key has at most 500 bytes";
    case KV_KEY_COMPONENT_TOO_LONG:
        return "a component of a key has at most 255 bytes";
    case KV_KEY_EMPTY_COMPONENT:
        return "a key has no empty component ('//')";
    case KV_KEY_DOT_COMPONENT:
        return "a key has no component '.' or '..'";
    case KV_KEY_NUL:
        return "a key has no NUL byte";
    case KV_KEY_LEADING_SLASH:
        return "a key does not begin with '/'";
    case KV_KEY_TRAILING_SLASH:
        return "a key does not end with '/'";
    case KV_KEY_RESERVED:
        return "the name '.kv' at the root is reserved";
    }
    return "unknown rule";
}

int kv_key_rule_errno(enum kv_key_rule rule)
{
    if (rule == KV_KEY_VALID)
        return 0;
    if (rule == KV_KEY_TOO_LONG || rule == KV_KEY_COMPONENT_TOO_LONG)
        return -ENAMETOOLONG;
    return -EINVAL;
}

size_t kv_key_parent_len(const void *key, size_t len)
{
    const char *slash = len == 0 ? NULL : memrchr(key, '/', len);
    return slash ? (size_t)(slash - (const char *)key) : 0;
}

bool kv_key_is_below(const void *key, size_t len, const void *dir, size_t dir_len)
{
    if (dir_len == 0)
        return len > 0;
    return len > dir_len && ((const char *)key)[dir_len] == '/' &&
           memcmp(key, dir, dir_len) == 0;
}

bool kv_key_equal(const void *a, size_t a_len, const void *b, size_t b_len)
{
    return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

int kv_key_compare(const void *a, size_t a_len, const void *b, size_t b_len)
{
    size_t common = a_len < b_len ? a_len : b_len;
    int order = common == 0 ? 0 : memcmp(a, b, common);
    if (order != 0)
        return order;
    return (a_len > b_len) - (a_len < b_len);
}
