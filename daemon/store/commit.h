#ifndef KV_STORE_COMMIT_H
#define KV_STORE_COMMIT_H

/* The committer: the one thread that changes the store. It takes whatever transactions
 * queued up while it was busy, applies them in order as one LMDB transaction, and after
 * the commit updates the cache, appends to the feed, calls the observers, and calls
 * each transaction's done. A batch is as large as the sync was slow: no delay, no knob.
 *
 * When the disk or the map is full, the batch is dropped and each of its transactions
 * tried alone, so that only those that do not fit fail (-ENOSPC), and later ones
 * succeed again as soon as there is room. Any other failure to write latches the store
 * read-only: after a failed sync nobody can tell what reached the disk, and trying
 * again may report a success that is none. */

#include "store/sequence.h"
#include "store/state.h"

struct kv_committer;

struct kv_committer_parts {
    const struct kv_store_config *config;
    struct kv_table *table;
    struct kv_lru *lru;
    struct kv_feed *feed;
    /* Called after each batch with the time at which the next key is due. */
    void (*next_expiry)(void *ctx, int64_t expiry_ns);
    void *next_expiry_ctx;
};

/* All pointers stay valid until kv_committer_free. -ENOMEM, -EAGAIN. */
int kv_committer_start(const struct kv_committer_parts *parts,
                       const struct kv_counters *counters, struct kv_committer **ret);

/* Finish the queue; from then on what is submitted ends with -ESHUTDOWN. */
void kv_committer_drain(struct kv_committer *committer);
void kv_committer_free(struct kv_committer *committer); /* joins; NULL is allowed */

/* Apply a transaction after all that were enqueued before it. Any thread. */
void kv_committer_enqueue(struct kv_committer *committer, struct kv_txn *txn);

/* Make the store read-only: something failed that may have left the disk in a state
 * nobody knows. Logs it. Any thread. */
void kv_committer_latch(struct kv_committer *committer, int err);

/* The sequencer of a single machine: the order of submission. */
struct kv_sequencer *kv_committer_sequencer(struct kv_committer *committer);

void kv_committer_add_observer(struct kv_committer *committer,
                               struct kv_observer *observer);
void kv_committer_remove_observer(struct kv_committer *committer,
                                  struct kv_observer *observer);

/* Wait until every observer was told of this revision, which is committed. Any thread
 * that the observers do not wait for. */
void kv_committer_wait_told(struct kv_committer *committer, uint64_t revision);

uint64_t kv_committer_revision(struct kv_committer *committer);
uint64_t kv_committer_new_id(struct kv_committer *committer);
int kv_committer_writable(struct kv_committer *committer);
/* Fills in the fields that the committer knows. */
void kv_committer_status(struct kv_committer *committer, struct kv_store_status *ret);

#endif
