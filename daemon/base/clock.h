#ifndef KV_BASE_CLOCK_H
#define KV_BASE_CLOCK_H

/* Time, always as a signed count of nanoseconds. */

#include <stdint.h>
#include <time.h>

#define KV_NS_PER_S INT64_C(1000000000)
#define KV_NS_PER_MS INT64_C(1000000)

/* Times that do not fit, before 1677-09-21 and after 2262-04-11, become the nearest that
 * does. */
static inline int64_t kv_timespec_ns(struct timespec ts)
{
    int64_t s = ts.tv_sec, rest = ts.tv_nsec, ns;
    if (s < 0) { /* both of one sign, so that the earliest time fits, too */
        s++;
        rest -= KV_NS_PER_S;
    }
    if (__builtin_mul_overflow(s, KV_NS_PER_S, &ns) ||
        __builtin_add_overflow(ns, rest, &ns))
        return s < 0 ? INT64_MIN : INT64_MAX;
    return ns;
}

/* Floor division, so that times before 1970 keep tv_nsec in 0..999999999. */
static inline struct timespec kv_ns_timespec(int64_t ns)
{
    int64_t s = ns / KV_NS_PER_S, rest = ns % KV_NS_PER_S;
    if (rest < 0) {
        s--;
        rest += KV_NS_PER_S;
    }
    return (struct timespec){.tv_sec = (time_t)s, .tv_nsec = (long)rest};
}

/* Wall clock: for what is stored and shown (mtime, expiry). */
static inline int64_t kv_clock_realtime_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return kv_timespec_ns(ts);
}

/* Monotonic clock: for deadlines and durations. */
static inline int64_t kv_clock_monotonic_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return kv_timespec_ns(ts);
}

#endif
