#ifndef KV_STORE_FEED_H
#define KV_STORE_FEED_H

/* The feed: every event in revision order, to be pulled. The newest events stand in
 * a ring in memory; what is older comes from the log in LMDB, as far back as that goes.
 *
 * A consumer holds a cursor and nothing else. It reads at its own pace; when it is slow
 * it costs nobody anything, and when it is so slow that the log has been compacted past
 * its cursor, it is told (-ESTALE) and must list anew.
 *
 * Any thread, except kv_feed_append: the committer only. One cursor is used by one
 * thread at a time. */

#include "store/event.h"

#include <stdatomic.h>

struct kv_feed;

/* The position behind one event: the last that its owner has seen. */
struct kv_cursor {
    uint64_t revision;
    uint32_t index;
};

/* Behind everything of `revision`, so the next event is the first of a later one. */
static inline struct kv_cursor kv_cursor_after(uint64_t revision)
{
    return (struct kv_cursor){.revision = revision, .index = UINT32_MAX};
}

/* Which events of a key are wanted, newest first. */
struct kv_history_query {
    const void *key; /* either name of a rename */
    size_t key_len;
    struct kv_cursor before; /* older than this event only; revision 0: all */
    size_t limit;            /* at most so many */
    size_t max_bytes;        /* stop when values exceed this; at least one comes */
    size_t scan_max;         /* look at no more events than this */
};

struct kv_history {
    struct kv_event **events;
    size_t count;
    bool more; /* a bound cut it; go on with before = next */
    struct kv_cursor next;
    uint64_t revision, oldest; /* what the log it was read from holds whole */
};

void kv_history_done(struct kv_history *history);

/* Reads older events than the ring holds: fills out[0..max) with references to the events
 * behind cursor; 0 and *ret_count, -ESTALE when they are compacted, or an error. */
typedef int kv_feed_backlog_fn(void *ctx, const struct kv_cursor *cursor,
                               struct kv_event **out, size_t max, size_t *ret_count);

/* A feed whose newest event so far is of `revision`. The ring holds at most max_bytes
 * (but always the newest revision's last event). NULL when memory runs out. */
struct kv_feed *kv_feed_new(uint64_t revision, size_t max_bytes,
                            kv_feed_backlog_fn *backlog, void *backlog_ctx);
void kv_feed_free(struct kv_feed *feed); /* nobody may be reading or waiting any more */
KV_DEFINE_CLEANUP(struct kv_feed, kv_feed_free)

/* Add the events of one or more committed revisions, in order, and wake the waiters. The
 * feed takes its own references. Never fails: when the ring cannot grow, older events go
 * out of it, and readers find them in the log. */
void kv_feed_append(struct kv_feed *feed, struct kv_event *const *events, size_t count,
                    uint64_t revision);

/* The newest revision. A cursor that is at it or behind it has no event to read. */
uint64_t kv_feed_revision(struct kv_feed *feed);

/* Read up to max events behind the cursor and move it past them. *ret_count 0: there are none
 * yet. The caller unrefs each event. -ESTALE: compacted (the cursor stays);
 * -EINVAL: the cursor lies in the future; -ENOMEM, -EIO. */
int kv_feed_read(struct kv_feed *feed, struct kv_cursor *cursor, struct kv_event **out,
                 size_t max, size_t *ret_count);

/* Sleep until there is something behind the cursor (true) or *stop is true (false).
 * stop may be NULL. */
bool kv_feed_wait(struct kv_feed *feed, const struct kv_cursor *cursor,
                  const atomic_bool *stop);

/* Make every waiter look at its *stop again: set it first, then call this. */
void kv_feed_kick(struct kv_feed *feed);

#endif
