#ifndef KV_HTTPD_TXNREAD_H
#define KV_HTTPD_TXNREAD_H

/* Transactions as JSON (docs/http.md, "Transactions"):
 *
 *     {"compare": [{"key": "a", "version": 3, "is": "="}, ...],
 *      "then": [{"op": "put", "key": "a", "value": "..."}, ...],
 *      "else": [...]}
 *
 * Pure functions. Any thread. */

#include "base/buf.h"
#include "store/txn.h"

/* What is wrong, for the client. */
struct kv_txn_fault {
    unsigned status;    /* 400 or 413 */
    const char *code;   /* bad_request, invalid_key, too_large; static */
    struct kv_buf rule; /* "then[2]: ..."; the reader's to kv_buf_done */
};

/* Read a transaction. It has an else branch, perhaps an empty one. 0; -EINVAL and the
 * fault; -ENOMEM. */
int kv_txn_read(const void *text, size_t len, struct kv_txn **ret,
                struct kv_txn_fault *fault);

/* "put", "get", ...: the name an operation was read by; static. */
const char *kv_txn_op_name(const struct kv_op *op);

#endif
