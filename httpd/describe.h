#ifndef KV_HTTPD_DESCRIBE_H
#define KV_HTTPD_DESCRIBE_H

/* A record in words: the JSON object that listings, transactions and
 * `Accept: application/json` show of a key. Any thread. */

#include "base/buf.h"
#include "store/record.h"

/* Append the members, without braces. values: the value was asked for, so when it is
 * not there (a bare record) "omitted":true says so. */
void kv_describe(struct kv_buf *json, const struct kv_record *record, bool values);

#endif
