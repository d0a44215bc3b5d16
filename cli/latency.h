#ifndef KV_CLI_LATENCY_H
#define KV_CLI_LATENCY_H

/* How long operations took: counts in buckets that grow with the time they stand for,
 * so that any number of operations takes the same memory and every percentile is right
 * to a 64th. The maximum is exact. A variable of zeros is empty. One thread. */

#include <stdint.h>

#define KV_LATENCY_BUCKETS (59 * 64)

struct kv_latency {
    uint64_t counts[KV_LATENCY_BUCKETS];
    uint64_t count, max_ns;
};

void kv_latency_add(struct kv_latency *latency, uint64_t ns);

/* Add all of the other's. */
void kv_latency_merge(struct kv_latency *latency, const struct kv_latency *other);

/* The time within which that many in a hundred were done, rounded up to the end of its
 * bucket and at most the maximum; 0 when there is nothing. percent is 1 to 100. */
uint64_t kv_latency_percentile(const struct kv_latency *latency, unsigned percent);

#endif
