/* Times below 128 ns have a bucket each. Above, the highest bit of a time chooses a row
 * of 64 buckets and the six bits behind it one of them. */
#include "latency.h"

#define ROW_BITS 6
#define ROW (1U << ROW_BITS)

static unsigned bucket_of(uint64_t ns)
{
    if (ns < 2 * ROW)
        return (unsigned)ns;
    unsigned shift = 63 - (unsigned)__builtin_clzll(ns) - ROW_BITS;
    return shift * ROW + (unsigned)(ns >> shift);
}

/* The longest time that a bucket stands for. */
static uint64_t end_of(unsigned bucket)
{
    if (bucket < 2 * ROW)
        return bucket;
    unsigned shift = bucket / ROW - 1;
    uint64_t first = bucket - shift * ROW;
    return ((first + 1) << shift) - 1; /* of the last bucket 2^64 wraps as it should */
}

void kv_latency_add(struct kv_latency *latency, uint64_t ns)
{
    latency->counts[bucket_of(ns)]++;
    latency->count++;
    if (ns > latency->max_ns)
        latency->max_ns = ns;
}

void kv_latency_merge(struct kv_latency *latency, const struct kv_latency *other)
{
    for (unsigned i = 0; i < KV_LATENCY_BUCKETS; i++)
        latency->counts[i] += other->counts[i];
    latency->count += other->count;
    if (other->max_ns > latency->max_ns)
        latency->max_ns = other->max_ns;
}

uint64_t kv_latency_percentile(const struct kv_latency *latency, unsigned percent)
{
    /* In two parts, so that nothing overflows. */
    uint64_t wanted =
        latency->count / 100 * percent + (latency->count % 100 * percent + 99) / 100;
    uint64_t seen = 0;
    for (unsigned i = 0; i < KV_LATENCY_BUCKETS && wanted; i++) {
        seen += latency->counts[i];
        if (seen >= wanted)
            return end_of(i) < latency->max_ns ? end_of(i) : latency->max_ns;
    }
    return 0;
}
