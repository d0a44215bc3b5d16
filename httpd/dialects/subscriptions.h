#ifndef KV_HTTPD_DIALECTS_SUBSCRIPTIONS_H
#define KV_HTTPD_DIALECTS_SUBSCRIPTIONS_H

/* The keys that KV-Store's clients have subscribed to: one list for all of them, as
 * that service has it, in the order in which they came. It lives in memory and is gone
 * with the daemon. Any thread. */

#include "base/buf.h"

#define KV_SUBSCRIPTIONS_MAX 1000

struct kv_subscriptions;

struct kv_subscriptions *kv_subscriptions_new(void); /* NULL: no memory */
void kv_subscriptions_free(struct kv_subscriptions *subscriptions); /* NULL too */

/* 0, also when it is there already; -ENOSPC: there are KV_SUBSCRIPTIONS_MAX; -ENOMEM.
 */
int kv_subscriptions_add(struct kv_subscriptions *subscriptions, const void *key,
                         size_t len);

bool kv_subscriptions_has(struct kv_subscriptions *subscriptions, const void *key,
                          size_t len);

/* Drop it; whether it was there: to one caller only, however many try at once. */
bool kv_subscriptions_take(struct kv_subscriptions *subscriptions, const void *key,
                           size_t len);

/* Append all of them, a NUL behind each. Memory trouble sticks to out. */
void kv_subscriptions_list(struct kv_subscriptions *subscriptions, struct kv_buf *out);

#endif
