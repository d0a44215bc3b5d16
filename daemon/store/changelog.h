#ifndef KV_STORE_CHANGELOG_H
#define KV_STORE_CHANGELOG_H

/* The log: every committed event, with its value unless that is large (event.h), by
 * revision and index, within a bound. Watchers resume from it. Threads and lifetimes as
 * in table.h. */

#include "store/state.h"

/* Add an event; its revision and index must be behind all that the log holds. Adds to
 * the counters. */
int kv_changelog_append(struct kv_view *view, const struct kv_event *event,
                        struct kv_counters *counters);

/* Drop the oldest events until both bounds hold, but at most `most` events in one call,
 * so that the work is spread over commits. Moves counters->log_first on. */
int kv_changelog_trim(struct kv_view *view, struct kv_counters *counters,
                      uint64_t max_bytes, uint64_t max_events, size_t most);

/* The events behind cursor, oldest first, up to max of them and (past the first) up to
 * max_bytes of values; the caller unrefs each. -ESTALE when the log no longer
 * holds what comes behind the cursor; -ENOMEM, -EBADMSG, table errors. */
int kv_changelog_read(struct kv_view *view, const struct kv_cursor *cursor,
                      struct kv_event **out, size_t max, size_t max_bytes,
                      size_t *ret_count);

/* The event that gave a key the value which `event` changed or ended, past those that
 * left it alone. -ENOENT: there was none, the log does not hold it any more, or it lies
 * among very many of its revision; -ENOMEM, -EBADMSG, table errors. */
int kv_changelog_previous(struct kv_view *view, const struct kv_event *event,
                          struct kv_event **ret);

/* The events about one key that the log still holds. *ret: the caller calls
 * kv_history_done. -ENOMEM, -EBADMSG, table errors. */
int kv_changelog_history(struct kv_view *view, const struct kv_history_query *query,
                         struct kv_history *ret);

#endif
