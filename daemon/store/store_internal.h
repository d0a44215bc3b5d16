#ifndef KV_STORE_STORE_INTERNAL_H
#define KV_STORE_STORE_INTERNAL_H

/* What a store is made of: for store.c, which puts it together, and read.c. */

#include "store/commit.h"
#include "store/keeper.h"

struct kv_store {
    struct kv_store_config config; /* path is a copy */
    int lock_fd;                   /* holds the lock on the data directory */
    struct kv_table *table;
    struct kv_lru *lru;
    struct kv_feed *feed;
    struct kv_keeper *keeper;
    struct kv_committer *committer;
    struct kv_sequencer *sequencer; /* who orders writes */
};

/* The feed's source of older events: the log in LMDB. */
int kv_store_backlog(void *store, const struct kv_cursor *cursor, struct kv_event **out,
                     size_t max, size_t *ret_count);

#endif
