#ifndef KV_STORE_MEMTABLE_H
#define KV_STORE_MEMTABLE_H

/* The changes since a checkpoint, in memory: for each table a skip list of keys, and
 * for each key its versions, newest first. A version is a value or the word that the
 * key was deleted, and has the number of the commit that made it; a reader sees of each
 * key the newest version that is not above the number of its own snapshot. So one
 * writer adds to a memtable while any number of threads read from it without a lock,
 * each in its snapshot.
 *
 * Nothing is taken out of a memtable: a version that is undone is unlinked, and memory
 * comes back when the whole is freed. Slices hold as long as the memtable is referred
 * to.
 *
 * Threads: one writer at a time; readers need a number that was handed to them after
 * the writer had made all versions of it (a lock does). References: any thread. */

#include "base/cleanup.h"
#include "store/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct kv_memtable;
struct kv_mem_entry;
struct kv_mem_version;

/* A change that can be undone. */
struct kv_mem_change {
    enum kv_db db;
    struct kv_mem_entry *entry;
    const struct kv_mem_version *version;
};

/* -ENOMEM. */
int kv_memtable_new(struct kv_memtable **ret);
struct kv_memtable *kv_memtable_ref(struct kv_memtable *mem);
void kv_memtable_unref(struct kv_memtable *mem); /* NULL is allowed */

/* Bytes and versions that are in it. Any thread, roughly. */
size_t kv_memtable_bytes(const struct kv_memtable *mem);
size_t kv_memtable_versions(const struct kv_memtable *mem);
/* How many of the versions are deletions from the state table. Listings pass them one
 * by one; who walks the other tables begins behind what was deleted. */
size_t kv_memtable_deletions(const struct kv_memtable *mem);

/* -- The writer -- */

/* Add a version: of size bytes, which the caller writes to *ret_place before the number
 * is handed to any reader; or that the key is deleted. -ENOMEM. */
int kv_memtable_put(struct kv_memtable *mem, enum kv_db db, struct kv_slice key,
                    uint64_t number, size_t size, struct kv_mem_change *ret,
                    void **ret_place);
int kv_memtable_delete(struct kv_memtable *mem, enum kv_db db, struct kv_slice key,
                       uint64_t number, struct kv_mem_change *ret);

/* Take back the last change that was made and is not undone yet, of a number that was
 * not handed to readers. */
void kv_memtable_undo(struct kv_memtable *mem, const struct kv_mem_change *change);

/* Whether no later change is of the same key. */
bool kv_mem_change_is_last(const struct kv_mem_change *change);
struct kv_slice kv_mem_change_key(const struct kv_mem_change *change);
/* Whether it is a deletion; otherwise *ret is the value. */
bool kv_mem_change_deletes(const struct kv_mem_change *change, struct kv_slice *ret);

/* -- Readers -- */

/* 0, -ENODATA: deleted, -ENOENT: nothing is known of the key. */
int kv_memtable_get(const struct kv_memtable *mem, enum kv_db db, struct kv_slice key,
                    uint64_t number, struct kv_slice *ret);

/* A place among the keys of one table that have a version in the snapshot, deleted ones
 * too. Embedded; it refers to nothing but the memtable. */
struct kv_mem_cursor {
    const struct kv_memtable *mem;
    enum kv_db db;
    uint64_t number;
    const struct kv_mem_entry *entry; /* NULL: no key */
    bool deleted;
    struct kv_slice key, value; /* value: unless it is deleted */
};

/* Move the cursor; false when there is no key there, and then it is nowhere. NEXT and
 * PREV need a place to start from, and `from` is for SEEK alone. */
bool kv_mem_cursor_move(struct kv_mem_cursor *cursor, enum kv_move move,
                        struct kv_slice from);
/* To the last key that is less than the given one. */
bool kv_mem_cursor_before(struct kv_mem_cursor *cursor, struct kv_slice key);

KV_DEFINE_CLEANUP(struct kv_memtable, kv_memtable_unref)

#endif
