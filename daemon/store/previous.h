#ifndef KV_STORE_PREVIOUS_H
#define KV_STORE_PREVIOUS_H

/* What a key was before an event. Any thread. */

#include "store/store.h"

/* The event that gave the key of a PUT or DELETE event the value it had before, with
 * one reference for the caller. Its record is bare when the log does not hold the
 * value. -ENOENT: there was none, or nobody knows any more; -ENOMEM, -EIO. */
int kv_store_previous(struct kv_store *store, const struct kv_event *event,
                      struct kv_event **ret);

#endif
