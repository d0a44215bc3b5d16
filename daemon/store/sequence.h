#ifndef KV_STORE_SEQUENCE_H
#define KV_STORE_SEQUENCE_H

/* The seam between ordering writes and applying them.
 *
 * A sequencer decides in which order transactions happen; the committer applies what it
 * is handed in exactly that order. On one machine the order is that of submission, and
 * the sequencer is the committer's own queue. In a cluster another sequencer takes
 * submitted transactions elsewhere and hands the committer what came back. */

#include "store/txn.h"

struct kv_sequencer {
    /* Take over a transaction; in the end it, or its failure, is handed to
     * kv_commit_enqueue. Any thread; must not block. */
    void (*submit)(struct kv_sequencer *self, struct kv_txn *txn);
};

#endif
