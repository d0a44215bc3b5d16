#ifndef KV_HTTPD_IMPORTLINE_H
#define KV_HTTPD_IMPORTLINE_H

/* A line of an import: one key, symbolic link or directory as a JSON object, as an
 * export writes it. Pure functions. Any thread. */

#include "base/buf.h"
#include "store/txn.h"

/* Add the operation that the line stands for. Blank lines add none. 0; -EINVAL and what
 * is wrong appended to rule; -ENOMEM. */
int kv_import_line(const char *line, size_t len, struct kv_txn *txn,
                   struct kv_buf *rule);

#endif
