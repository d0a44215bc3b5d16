#ifndef KV_FUSE_OBSERVE_H
#define KV_FUSE_OBSERVE_H

#include "fuse/mount.h"

/* After each commit, before anyone hears of it: bring the table up to date and make
 * the kernel forget what changed. A kv_observer_fn, ctx is the kv_mount. Committer
 * thread. */
void kv_observe(void *ctx, struct kv_event *const *events, size_t count,
                const uint64_t *touched_ids, size_t touched_count);

#endif
