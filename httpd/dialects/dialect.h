#ifndef KV_HTTPD_DIALECTS_DIALECT_H
#define KV_HTTPD_DIALECTS_DIALECT_H

/* What the dialects share: the APIs of other key-value services, over the same keys
 * (docs/dialects.md). A dialect differs in its routes and the shape of its answers;
 * which keys it reads and writes, and how, goes through here. The connection's thread.
 */

#include "httpd/request.h"
#include "httpd/rights.h"

/* A value in JSON may be so long, as there is no way to send it in parts; beyond it:
 * 413. Reading and writing it takes some tens of milliseconds, in which other
 * connections wait. */
#define KV_DIALECT_JSON_VALUE_MAX (8 << 20)

struct kv_dialect {
    /* Answer in the dialect's own shape that something is wrong, in words without a
     * full stop. */
    void (*refuse)(struct kv_request *request, unsigned status, const char *text);
    uint64_t value_max; /* a longer one cannot be shown; 0: any can */
    unsigned failed;    /* status of a write that failed; 0: the one /v1 answers with */
};

/* Whether a key can be used so; every key of a request is shown here first. False: it
 * is none that kvfs can hold (400), or the client has no right to it (403), and that is
 * answered. */
bool kv_dialect_check(const struct kv_dialect *dialect, struct kv_request *request,
                      enum kv_right right, const void *key, size_t len);

/* Answer to an error of the store. What is at that name already, a directory say, is
 * the key's fault: 400. */
void kv_dialect_refuse(const struct kv_dialect *dialect, struct kv_request *request,
                       int error, const void *key, size_t len);

/* -- Bodies -- */

/* Answer to a body longer than KV_DIALECT_JSON_VALUE_MAX, which is the max_body of the
 * routes that take one. */
void kv_dialect_too_long(const struct kv_dialect *dialect, struct kv_request *request);

/* Read {"key":K,"value":V}; other members are ignored. A value that is no string is
 * kept as the JSON that it is. value NULL: none is wanted. False: what is wrong is
 * answered, with 400. */
bool kv_dialect_item(const struct kv_dialect *dialect, struct kv_request *request,
                     struct kv_buf *key, struct kv_buf *value);

/* -- Keys -- */

/* Check the key, and read it. *ret: its record, which the caller unrefs, or NULL when
 * there is none; a directory is none. False: answered. */
bool kv_dialect_get(const struct kv_dialect *dialect, struct kv_request *request,
                    const void *key, size_t len, struct kv_record **ret);

/* The same without the value: the record may be bare, and however long. */
bool kv_dialect_stat(const struct kv_dialect *dialect, struct kv_request *request,
                     const void *key, size_t len, struct kv_record **ret);

/* Write the key, which was checked: as kv_dialect_add_put, in a transaction of its own,
 * which stays as request->txn; then after is called, with the result in request->error.
 * What goes wrong before that is answered. */
void kv_dialect_put(const struct kv_dialect *dialect, struct kv_request *request,
                    unsigned flags, const void *key, size_t len, struct kv_buf *value,
                    void (*after)(struct kv_request *request));

/* Add to a transaction that the key (which was checked) has this value, moved out of
 * buf, and nothing left of what it had: no expiry, no media type. flags: enum
 * kv_op_flags, besides KV_OP_PARENTS. 0 or what kv_txn_op says. */
int kv_dialect_add_put(struct kv_txn *txn, unsigned flags, const void *key, size_t len,
                       struct kv_buf *value);

#endif
