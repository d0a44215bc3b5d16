#ifndef KV_STORE_BATCH_H
#define KV_STORE_BATCH_H

/* A batch: what one LMDB write transaction is going to change, while it is being built.
 * It keeps the write view, the counters, the events, and the list of keys whose cached
 * state changes. The committer owns it; apply.c fills it. Committer thread only.
 *
 * Failures come in two kinds. An operation that may not happen (no such key, a compare,
 * a full store) returns its error before it has changed anything. When LMDB or the
 * allocator fails half-way, the batch is broken: nothing of it may be committed, and
 * the committer starts anew with each transaction on its own. */

#include "store/state.h"

/* What becomes of a key in the cache at the commit. */
enum kv_change_kind {
    KV_CHANGE_PUBLISH, /* record is its new state */
    KV_CHANGE_ABSENT,
    KV_CHANGE_FORGET, /* whoever wants it asks LMDB */
};

struct kv_change {
    enum kv_change_kind kind;
    struct kv_record *record; /* a reference */
    const char *key;          /* in the record or in an event of the batch */
    size_t key_len;
};

struct kv_batch {
    const struct kv_store_config *config;
    struct kv_view *view;
    _Atomic(uint64_t) *next_id; /* the store's */
    struct kv_counters counters;
    int64_t now_ns; /* of every event in it; later than that of the batch before */
    int64_t due_ns; /* what expires at or before it is gone: the clock as it stands,
                       which may have been set back */
    uint64_t space; /* bytes that puts may still fill */
    bool refused_for_space;
    bool expired_left;          /* keys are due that the batch has not deleted yet */
    uint64_t expired;           /* how many it has */
    int broken;                 /* errno of the failure that spoilt it, or 0 */
    int64_t earliest_expiry_ns; /* of what it put; INT64_MAX: none */

    struct kv_event **events;
    size_t event_count, event_room;
    size_t value_bytes; /* of the changes, those that were rolled back included */
    size_t get_bytes;   /* of values that the transaction under way may still get */
    size_t get_value_max; /* of one of them */
    size_t tree_rows;   /* that it deleted with their directory */
    struct kv_change *changes;
    size_t change_count, change_room;
    uint64_t *touched; /* ids of directories whose times changed without an event */
    size_t touched_count, touched_room;

    /* The directory that was last found as a parent, to save looking it up again. */
    char parent_key[KV_KEY_MAX];
    size_t parent_len;
    uint64_t parent_id; /* 0: none */
};

/* Where a batch stood: to go back to when a nested view is dropped. */
struct kv_batch_mark {
    struct kv_counters counters;
    size_t event_count, change_count, touched_count;
    uint64_t space;
};

/* Begin with a write view, which the batch owns from then on. due_ns is now_ns, unless
 * the caller sets it. */
int kv_batch_begin(struct kv_batch *batch, const struct kv_store_config *config,
                   struct kv_view *view, _Atomic(uint64_t) *next_id, int64_t now_ns);

/* Drop the view unless it was committed, and everything else. */
void kv_batch_done(struct kv_batch *batch);

struct kv_batch_mark kv_batch_mark(const struct kv_batch *batch);
void kv_batch_rollback(struct kv_batch *batch, const struct kv_batch_mark *mark);

/* -- Writing rows; an error breaks the batch -- */

/* Put a record, in place of one with the metadata old (NULL: there was none). */
int kv_batch_put(struct kv_batch *batch, struct kv_record *record,
                 const struct kv_meta *old);

/* Remove the row of key, whose metadata is old. */
int kv_batch_remove(struct kv_batch *batch, const void *key, size_t len,
                    const struct kv_meta *old);

/* Say what becomes of a key in the cache. The record is referenced; key must lie in it
 * or in an event of the batch. */
int kv_batch_change(struct kv_batch *batch, enum kv_change_kind kind,
                    struct kv_record *record, const char *key, size_t key_len);

/* Set the times of directory dir (key; dir_len 0: root) to now, because an entry
 * of it came or went. */
int kv_batch_touch(struct kv_batch *batch, const void *dir, size_t dir_len);

/* Add an event of the revision under way, without the value when that is large
 * (event.h). The batch owns it; *ret to fill in more. */
int kv_batch_event(struct kv_batch *batch, enum kv_event_type type,
                   struct kv_record *record, const void *from, size_t from_len,
                   uint32_t origin, uint64_t parent_id, struct kv_event **ret);

/* The revision that the next event gets. */
static inline uint64_t kv_batch_revision(const struct kv_batch *batch)
{
    return batch->counters.revision + 1;
}

/* Close the revision: number the events since mark and write them to the log. Does
 * nothing when there are none. */
int kv_batch_end_revision(struct kv_batch *batch, const struct kv_batch_mark *mark);

uint64_t kv_batch_new_id(struct kv_batch *batch);

/* Whether `bytes` more fit in the store: 0 or -ENOSPC. Counts them when they do. */
int kv_batch_claim(struct kv_batch *batch, uint64_t bytes);

#endif
