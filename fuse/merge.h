#ifndef KV_FUSE_MERGE_H
#define KV_FUSE_MERGE_H

#include "store/event.h"

/* Under a backlog, puts of one key that nothing else came between are merged into the
 * last, as inotify itself merges identical events. Sets skip[i] for each event that
 * need not be repeated on its own and returns how many. What makes, removes or renames
 * a key is never skipped, nor is the last put. Puts by the origin `own` and by others
 * are repeated in different ways and not merged with each other. */
size_t kv_merge_puts(struct kv_event *const *events, size_t count, uint32_t own,
                     bool *skip);

#endif
