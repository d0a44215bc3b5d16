#ifndef KV_STORE_KEEPER_H
#define KV_STORE_KEEPER_H

/* The keeper: the thread that does what time asks for. It has the committer expire the
 * keys that are due, and syncs under KV_SYNC_INTERVAL. */

#include "store/commit.h"

struct kv_keeper;

/* config and table stay valid until kv_keeper_stop. The thread starts with
 * kv_keeper_run. */
int kv_keeper_new(const struct kv_store_config *config, struct kv_table *table,
                  struct kv_keeper **ret);

/* Start; committer is where expiry goes. -EAGAIN. */
int kv_keeper_run(struct kv_keeper *keeper, struct kv_committer *committer);

/* When the next key is due; INT64_MAX: none. Any thread; matches
 * kv_committer_parts.next_expiry with the keeper as ctx. */
void kv_keeper_next_expiry(void *keeper, int64_t expiry_ns);

/* Stop and join; before the committer drains. Does nothing the second time. */
void kv_keeper_stop(struct kv_keeper *keeper);
void kv_keeper_free(struct kv_keeper *keeper); /* stopped; NULL is allowed */

#endif
