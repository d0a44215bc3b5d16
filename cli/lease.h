#ifndef KV_CLI_LEASE_H
#define KV_CLI_LEASE_H

/* A key that stands for a lock: made only when it is absent, with a time to live, and a
 * value that nobody else has. Renewing and releasing compare that value in the same
 * transaction, so that only one's own lock is touched. Over HTTP. One thread. */

#include "client.h"

struct kv_lease {
    const char *key;
    char owner[160]; /* the value: host, process and a random number */
    uint64_t ttl_ms;
    int64_t valid_until_ns; /* monotonic: until then nobody else can have it */
};

enum kv_lease_state { KV_LEASE_MINE, KV_LEASE_NOT_MINE };

/* Make up an owner. 0 or KV_EXIT_LOCAL. */
int kv_lease_init(struct kv_lease *lease, const char *key, uint64_t ttl_ms,
                  struct kv_fault *fault);

/* Take the lock. When somebody has it: KV_LEASE_NOT_MINE, and who. An answer that was
 * lost does no harm: asking again finds one's own lock. 0 or the fault. */
int kv_lease_take(struct kv_lease *lease, struct kv_client *client,
                  enum kv_lease_state *ret, struct kv_buf *ret_holder,
                  struct kv_fault *fault);

/* Let it last for another ttl_ms from now. KV_LEASE_NOT_MINE: it is lost. */
int kv_lease_renew(struct kv_lease *lease, struct kv_client *client,
                   enum kv_lease_state *ret, struct kv_fault *fault);

/* Remove the key. KV_LEASE_NOT_MINE: it was lost before. */
int kv_lease_release(struct kv_lease *lease, struct kv_client *client,
                     enum kv_lease_state *ret, struct kv_fault *fault);

#endif
