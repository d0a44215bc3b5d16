/* Extended attributes as a sorted run of (name length, value length, name, value). A
 * record holds few of them, so everything is one walk from the front. Bytes that are
 * not such a run are -EBADMSG everywhere, never a read past their end. */
#include "store/xattr.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#define HEADER_LEN 3
#define NAME_MAX_LEN 255

struct attribute {
    const char *name;
    size_t name_len;
    const void *value;
    size_t value_len;
};

int kv_xattr_next(const void *xattrs, size_t xattrs_len, size_t *offset,
                  const char **ret_name, size_t *ret_name_len, const void **ret_value,
                  size_t *ret_value_len)
{
    if (*offset == xattrs_len)
        return 0;
    if (*offset > xattrs_len || xattrs_len - *offset < HEADER_LEN)
        return -EBADMSG;
    const unsigned char *at = (const unsigned char *)xattrs + *offset;
    size_t name_len = at[0];
    size_t value_len = (size_t)at[1] | (size_t)at[2] << 8;
    size_t total = HEADER_LEN + name_len + value_len;
    if (name_len == 0 || total > xattrs_len - *offset)
        return -EBADMSG;
    *ret_name = (const char *)at + HEADER_LEN;
    *ret_name_len = name_len;
    *ret_value = at + HEADER_LEN + name_len;
    *ret_value_len = value_len;
    *offset += total;
    return 1;
}

static int next(const void *xattrs, size_t xattrs_len, size_t *offset,
                struct attribute *ret)
{
    return kv_xattr_next(xattrs, xattrs_len, offset, &ret->name, &ret->name_len,
                         &ret->value, &ret->value_len);
}

static int compare_names(const char *a, size_t a_len, const char *b, size_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    if (order != 0)
        return order;
    return (a_len > b_len) - (a_len < b_len);
}

static void add(struct kv_buf *out, const struct attribute *attribute)
{
    kv_buf_addc(out, (char)attribute->name_len);
    kv_buf_addc(out, (char)(attribute->value_len & 0xff));
    kv_buf_addc(out, (char)(attribute->value_len >> 8));
    kv_buf_add(out, attribute->name, attribute->name_len);
    kv_buf_add(out, attribute->value, attribute->value_len);
}

int kv_xattr_get(const void *xattrs, size_t xattrs_len, const char *name,
                 size_t name_len, const void **ret_value, size_t *ret_len)
{
    struct attribute a;
    size_t offset = 0;
    int more;
    while ((more = next(xattrs, xattrs_len, &offset, &a)) > 0) {
        if (compare_names(a.name, a.name_len, name, name_len) != 0)
            continue;
        *ret_value = a.value;
        *ret_len = a.value_len;
        return 0;
    }
    return more < 0 ? more : -ENODATA;
}

/* Append the run without the attribute `name`, and with `with` in its sorted place when
 * that is not NULL. */
static int rewrite(const void *xattrs, size_t xattrs_len, const char *name,
                   size_t name_len, const struct attribute *with, struct kv_buf *out)
{
    struct attribute a;
    size_t offset = 0;
    int more;
    while ((more = next(xattrs, xattrs_len, &offset, &a)) > 0) {
        int order = compare_names(a.name, a.name_len, name, name_len);
        if (with && order >= 0) {
            add(out, with);
            with = NULL;
        }
        if (order != 0)
            add(out, &a);
    }
    if (more < 0)
        return more;
    if (with)
        add(out, with);
    return kv_buf_error(out);
}

int kv_xattr_set(const void *xattrs, size_t xattrs_len, const char *name,
                 size_t name_len, const void *value, size_t value_len,
                 enum kv_xattr_mode mode, struct kv_buf *out)
{
    if (name_len == 0 || name_len > NAME_MAX_LEN)
        return -ERANGE;
    if (value_len > KV_XATTR_VALUE_MAX)
        return -E2BIG;
    const void *old;
    size_t old_len;
    int err = kv_xattr_get(xattrs, xattrs_len, name, name_len, &old, &old_len);
    if (err && err != -ENODATA)
        return err;
    bool exists = err == 0;
    if (exists && mode == KV_XATTR_CREATE)
        return -EEXIST;
    if (!exists && mode == KV_XATTR_REPLACE)
        return -ENODATA;
    size_t keep = exists ? xattrs_len - HEADER_LEN - name_len - old_len : xattrs_len;
    if (keep + HEADER_LEN + name_len + value_len > KV_XATTRS_MAX)
        return -ENOSPC;
    struct attribute with = {name, name_len, value, value_len};
    return rewrite(xattrs, xattrs_len, name, name_len, &with, out);
}

int kv_xattr_remove(const void *xattrs, size_t xattrs_len, const char *name,
                    size_t name_len, struct kv_buf *out)
{
    const void *old;
    size_t old_len;
    int err = kv_xattr_get(xattrs, xattrs_len, name, name_len, &old, &old_len);
    if (err)
        return err;
    return rewrite(xattrs, xattrs_len, name, name_len, NULL, out);
}
