#ifndef KV_STORE_XATTR_H
#define KV_STORE_XATTR_H

/* The extended attributes of a record as one run of bytes: for each attribute a
 * u8 name length, a u16 little-endian value length, the name, the value; sorted by
 * name. Names are 1..255 bytes as the user gave them ("user.colour"). Any thread. */

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

#define KV_XATTR_VALUE_MAX 65535 /* XATTR_SIZE_MAX - 1 of Linux fits a u16 */
#define KV_XATTRS_MAX (64 * 1024) /* all attributes of one record, encoded */

enum kv_xattr_mode { KV_XATTR_ANY, KV_XATTR_CREATE, KV_XATTR_REPLACE };

/* Find one. 0 and *ret_value pointing into xattrs, or -ENODATA. */
int kv_xattr_get(const void *xattrs, size_t xattrs_len, const char *name,
                 size_t name_len, const void **ret_value, size_t *ret_len);

/* The encoding with one attribute set, appended to out (which the caller empties).
 * -EEXIST for CREATE when it is there, -ENODATA for REPLACE when it is not, -ERANGE
 * for a bad name length, -E2BIG for a value that is too long, -ENOSPC past
 * KV_XATTRS_MAX, -ENOMEM. */
int kv_xattr_set(const void *xattrs, size_t xattrs_len, const char *name,
                 size_t name_len, const void *value, size_t value_len,
                 enum kv_xattr_mode mode, struct kv_buf *out);

/* The encoding with one attribute removed. -ENODATA, -ENOMEM. */
int kv_xattr_remove(const void *xattrs, size_t xattrs_len, const char *name,
                    size_t name_len, struct kv_buf *out);

/* Step through: *offset starts at 0; 1 while there was another, 0 at the end, -EBADMSG
 * when the bytes are not an encoding. */
int kv_xattr_next(const void *xattrs, size_t xattrs_len, size_t *offset,
                  const char **ret_name, size_t *ret_name_len, const void **ret_value,
                  size_t *ret_value_len);

#endif
