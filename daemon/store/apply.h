#ifndef KV_STORE_APPLY_H
#define KV_STORE_APPLY_H

/* What transactions mean: evaluates compares and carries operations out on a batch.
 * Knows nothing of threads, queues or commits, so the same code applies what this
 * machine ordered and what a cluster ordered. Committer thread only. */

#include "store/batch.h"

/* Apply a transaction to the batch, as a revision of its own when it changes anything.
 * Sets the transaction's results: a transaction that fails has changed nothing. Returns
 * 0, or the error that broke the batch, in which case the results mean nothing. */
int kv_apply_txn(struct kv_batch *batch, struct kv_txn *txn);

/* Delete up to max keys that are due, each in a revision of its own with origin ttl.
 * from_ns: before which none is due; *ret_next_ns: when the next one is. 0, or what
 * broke the batch. */
int kv_apply_expiry(struct kv_batch *batch, int64_t from_ns, size_t max,
                    int64_t *ret_next_ns);

/* -- Shared by the operations' own files (single.c, tree.c, rename.c) -- */

/* A row that was looked up, copied out of the view as far as it must outlive changes.
 */
struct kv_found {
    bool exists;
    struct kv_row row; /* its pointers: until the next change of the batch */
};

/* Look a key up. Absent is not an error. Table errors, -EBADMSG. */
int kv_apply_find(struct kv_batch *batch, const void *key, size_t len,
                  struct kv_found *ret);

/* The directory a key is to be made in. */
struct kv_parent {
    size_t existing_len; /* of the deepest directory on the way that exists; 0: root */
    uint64_t id;         /* of that; after kv_apply_make_parents of the parent itself */
};

/* Find the parent of key. -ENOTDIR when something on the way is not a directory,
 * -ENOENT when a directory is missing and may not be made. */
int kv_apply_find_parent(struct kv_batch *batch, const void *key, size_t len,
                         bool may_make, struct kv_parent *ret);

/* Make the directories that are missing, with their events. */
int kv_apply_make_parents(struct kv_batch *batch, uint32_t origin, const void *key,
                          size_t len, struct kv_parent *parent);

/* Delete one row with its event and change; *ret_record (may be NULL): its last state.
 */
int kv_apply_remove(struct kv_batch *batch, uint32_t origin, const void *key,
                    size_t len, const struct kv_row *row, uint64_t parent_id,
                    struct kv_record **ret_record);

/* The same for the key an operation names, which row is of; its parent is touched. */
int kv_apply_remove_named(struct kv_batch *batch, uint32_t origin, struct kv_op *op,
                          const struct kv_row *row);

/* One operation each: 0, its error with nothing changed, or what broke the batch. */
int kv_apply_put(struct kv_batch *batch, uint32_t origin, struct kv_op *op);
int kv_apply_incr(struct kv_batch *batch, uint32_t origin, struct kv_op *op);
int kv_apply_mkdir(struct kv_batch *batch, uint32_t origin, struct kv_op *op);
int kv_apply_delete(struct kv_batch *batch, uint32_t origin, struct kv_op *op);
int kv_apply_set_meta(struct kv_batch *batch, uint32_t origin, struct kv_op *op);
int kv_apply_delete_tree(struct kv_batch *batch, uint32_t origin, struct kv_op *op);
int kv_apply_rmdir(struct kv_batch *batch, uint32_t origin, struct kv_op *op);
int kv_apply_rename(struct kv_batch *batch, uint32_t origin, struct kv_op *op);

/* Whether directory dir holds nothing: 0, or -ENOTEMPTY. */
int kv_apply_check_empty(struct kv_batch *batch, const void *dir, size_t len);

/* Break the batch: something failed after a change was made. Returns err. */
int kv_apply_broke(struct kv_batch *batch, int err);

#endif
