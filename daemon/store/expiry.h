#ifndef KV_STORE_EXPIRY_H
#define KV_STORE_EXPIRY_H

/* The expiry index: which key ends next. One row for each record that has an expiry.
 * Threads and lifetimes as in table.h. */

#include "store/table.h"

int kv_expiry_put(struct kv_view *view, const struct kv_record *record);
int kv_expiry_delete(struct kv_view *view, const struct kv_meta *meta);

/* Pass to fn, earliest first, up to max of the keys that are due at now_ns; its error
 * ends the walk and is returned. Nothing is due before from_ns, as the caller knows:
 * what was there is not looked at. *ret_next_ns: when the first one that was not passed
 * is due (in the past when max cut the walk), INT64_MAX when there is none. */
int kv_expiry_due(struct kv_view *view, int64_t from_ns, int64_t now_ns, size_t max,
                  int (*fn)(void *ctx, int64_t expiry_ns, const void *key, size_t len),
                  void *ctx, int64_t *ret_next_ns);

#endif
