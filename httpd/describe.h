#ifndef KV_HTTPD_DESCRIBE_H
#define KV_HTTPD_DESCRIBE_H

/* A record in words: the JSON object that listings, transactions and
 * `Accept: application/json` show of a key. Any thread. */

#include "base/buf.h"
#include "store/record.h"

/* Append the members, without braces. values: the value was asked for, so when it is
 * not there (a bare record) "omitted":true says so. */
void kv_describe(struct kv_buf *json, const struct kv_record *record, bool values);

/* Append what is left of its metadata, each with a comma before: id, ctime, mode, uid,
 * gid, content_type, attributes. */
void kv_describe_more(struct kv_buf *json, const struct kv_meta *meta,
                      const void *xattrs, size_t xattrs_len);

/* The attribute that keeps the media type of a value, by the name that other programs
 * know it by (freedesktop.org, "Common Extended Attributes"). */
#define KV_CONTENT_TYPE_XATTR "user.mime_type"

/* The media type kept with a record; NULL: none, or one that cannot be sent. */
const char *kv_content_type(const void *xattrs, size_t xattrs_len, size_t *ret_len);

#endif
