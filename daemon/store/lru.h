#ifndef KV_STORE_LRU_H
#define KV_STORE_LRU_H

/* The record cache: what the store knows about recently used keys, the absent ones
 * included, bounded in bytes and split into shards so that threads do not queue on one
 * lock.
 *
 * Coherence. The point at which a write takes effect is its LMDB commit. The committer
 * calls kv_lru_hold for every key that the commit changes before it, and kv_lru_publish
 * after it. In between nothing about the key is cached, so readers ask LMDB and see
 * the commit happen at one instant. A reader that missed fills the cache with what
 * it read together with the number of the snapshot it read from; the shard refuses
 * what comes from a snapshot older than its last hold. So a slow reader can never
 * put back a version that a commit has replaced.
 *
 * Any thread, except hold, publish and release: the committer only. */

#include "store/record.h"

struct kv_lru;

struct kv_lru_stats {
    uint64_t hits, misses, evictions;
    uint64_t bytes, entries; /* now */
    uint64_t max_bytes;
};

enum kv_lru_answer { KV_LRU_MISS, KV_LRU_HIT, KV_LRU_ABSENT };

/* NULL when memory runs out. max_bytes 0 makes a cache that keeps nothing. */
struct kv_lru *kv_lru_new(size_t max_bytes);
void kv_lru_free(struct kv_lru *lru);
KV_DEFINE_CLEANUP(struct kv_lru, kv_lru_free)

/* HIT: *ret is a new reference. ABSENT: the key is known not to exist. MISS: ask LMDB.
 * *ret is untouched for the last two. Counts. */
enum kv_lru_answer kv_lru_get(struct kv_lru *lru, const void *key, size_t len,
                              struct kv_record **ret);

/* Remember what a snapshot said: the record (a reference is taken) or NULL for absent.
 * Ignored when the shard was held for a later snapshot, when the entry is there
 * already, or when it would take more than half a shard. */
void kv_lru_fill(struct kv_lru *lru, const void *key, size_t len,
                 struct kv_record *record, uint64_t snapshot);

/* Forget the key and refuse fills older than the commit `snapshot` is about to make. */
void kv_lru_hold(struct kv_lru *lru, const void *key, size_t len, uint64_t snapshot);

/* After the commit: the key's new state, record or NULL for absent; replaces. */
void kv_lru_publish(struct kv_lru *lru, const void *key, size_t len,
                    struct kv_record *record);

/* The commit that held for `snapshot` failed: undo its holds' refusal of older snapshots. */
void kv_lru_release(struct kv_lru *lru, uint64_t snapshot);

void kv_lru_stats(struct kv_lru *lru, struct kv_lru_stats *ret);

#endif
