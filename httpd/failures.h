#ifndef KV_HTTPD_FAILURES_H
#define KV_HTTPD_FAILURES_H

/* How often an address came with a wrong token. A few are forgiven; who goes on is told
 * to wait, until one more is forgiven every few seconds (a leaky bucket).
 *
 * A right token is never refused because of wrong ones: behind a proxy everybody has
 * the same address, and one stale token would lock all others out. Nor is there
 * anything to gain by guessing 192 random bits faster. What is limited is how much work
 * and noise somebody with a wrong one makes.
 *
 * The memory is a table of fixed size; when it is full, whoever failed longest ago is
 * forgotten. Any thread. */

#include <stdbool.h>
#include <stdint.h>

#define KV_FAILURES_FREE 10 /* at once */
#define KV_FAILURES_INTERVAL_NS INT64_C(5000000000)

struct kv_failures;

struct kv_failures *kv_failures_new(void); /* NULL: no memory */
void kv_failures_free(struct kv_failures *failures);

/* Count a wrong token from the address (8 bytes: of IPv6 the network). How long to wait
 * until the next, in seconds; 0: it was forgiven. *ret_begins: it is the first in a
 * while that was not. now_ns is monotonic. */
unsigned kv_failures_add(struct kv_failures *failures, uint64_t address, int64_t now_ns,
                         bool *ret_begins);

#endif
