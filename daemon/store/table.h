#ifndef KV_STORE_TABLE_H
#define KV_STORE_TABLE_H

/* LMDB, and the only place that knows it. An environment of four ordered byte tables,
 * read and written through views: a view is an LMDB transaction, so it is one snapshot
 * of all tables, and what a write view changes happens at its commit or not at all.
 *
 * Read views: any thread, one thread at a time each; short-lived, because the pages of
 * an old snapshot cannot be reused. Write views: the committer thread only.
 *
 * Slices point into the memory map. They hold until the view ends, or, in a write view,
 * until the next change through it: copy first, write then.
 *
 * LMDB's codes become negative errno here: -ENOENT not found, -ENOSPC disk or map full,
 * -EIO (also for a panic), -EMFILE no reader slot, -EPROTO not an environment of ours.
 */

#include "base/cleanup.h"
#include "store/store.h"

struct kv_table;
struct kv_view;
struct kv_walk;

enum kv_db {
    KV_DB_STATE,  /* key -> record (state.h) */
    KV_DB_LOG,    /* revision, index -> event (changelog.h) */
    KV_DB_EXPIRY, /* expiry, id -> key (expiry.h) */
    KV_DB_META,   /* name -> the store's own numbers */
    KV_DB_COUNT,
};

struct kv_slice {
    const void *data;
    size_t len;
};

/* Open or make the environment in directory path. max_bytes bounds what puts may fill;
 * the map has a reserve on top so that a full store can still delete. The caller
 * has made sure that no one else has it open (LMDB breaks silently if this process
 * has). */
int kv_table_open(const char *path, uint64_t max_bytes, enum kv_sync sync,
                  struct kv_table **ret);
void kv_table_close(struct kv_table *table); /* no views left; NULL is allowed */
KV_DEFINE_CLEANUP(struct kv_table, kv_table_close)

/* Write what is committed to disk, for the weaker sync modes. Any thread. */
int kv_table_sync(struct kv_table *table);

/* Write a copy of the environment as it is now to a descriptor, without free pages:
 * blocks there, for as long as it takes. Any thread, beside writes. -EPIPE, ... */
int kv_table_copy(struct kv_table *table, int fd);

int kv_view_read(struct kv_table *table, struct kv_view **ret);
int kv_view_write(struct kv_table *table, struct kv_view **ret);

/* A write view inside a write view: its commit adds its changes to the parent's, its
 * end undoes them. The parent rests meanwhile. */
int kv_view_nested(struct kv_view *parent, struct kv_view **ret);

/* A read view goes on for long: account for the pages that it has touched, as its end
 * would. */
void kv_view_rest(struct kv_view *view);

/* End a view; a write view's changes are dropped. NULL is allowed. */
void kv_view_end(struct kv_view *view);
KV_DEFINE_CLEANUP(struct kv_view, kv_view_end)

/* Make a write view's changes durable (as the sync mode says) and visible, and end it;
 * on error nothing has changed, and it is ended as well. */
int kv_view_commit(struct kv_view *view);

/* Number of the snapshot: what a write view makes is one more than what readers see
 * before it, and it grows with each commit. */
uint64_t kv_view_number(struct kv_view *view);

/* Bytes that puts may still fill, within max_bytes and what the disk has free, as of the
 * last commit; 0 when it is full. */
int kv_view_space(struct kv_view *view, uint64_t *ret_used, uint64_t *ret_free);

int kv_view_get(struct kv_view *view, enum kv_db db, struct kv_slice key,
                struct kv_slice *ret);

/* Set key to size bytes, which the caller writes to *ret before anything else is done
 * with the view. append: the key is known to sort behind all others. */
int kv_view_put(struct kv_view *view, enum kv_db db, struct kv_slice key, size_t size,
                bool append, void **ret);

int kv_view_delete(struct kv_view *view, enum kv_db db, struct kv_slice key);

/* Walk a table in byte order of keys. In a write view, walk and changes may alternate
 * only through kv_walk_delete; otherwise seek again after a change. */
int kv_walk_open(struct kv_view *view, enum kv_db db, struct kv_walk **ret);
void kv_walk_close(struct kv_walk *walk); /* NULL is allowed; before its view ends */
KV_DEFINE_CLEANUP(struct kv_walk, kv_walk_close)

/* Step and return the key and value there; -ENOENT past the end. seek: the first key
 * that is not less than the given one. */
int kv_walk_seek(struct kv_walk *walk, struct kv_slice from, struct kv_slice *ret_key,
                 struct kv_slice *ret_value);
int kv_walk_first(struct kv_walk *walk, struct kv_slice *ret_key,
                  struct kv_slice *ret_value);
int kv_walk_next(struct kv_walk *walk, struct kv_slice *ret_key,
                 struct kv_slice *ret_value);
int kv_walk_last(struct kv_walk *walk, struct kv_slice *ret_key,
                 struct kv_slice *ret_value);
int kv_walk_prev(struct kv_walk *walk, struct kv_slice *ret_key,
                 struct kv_slice *ret_value);

/* Delete the pair the walk stands on; the next kv_walk_next goes to the one behind it.
 */
int kv_walk_delete(struct kv_walk *walk);

#endif
