#ifndef KV_STORE_TABLE_H
#define KV_STORE_TABLE_H

/* Four ordered byte tables, read and written through views: a view is one snapshot of
 * all tables, and what a write view changes happens at its commit or not at all.
 *
 * A commit is durable when it is in the write-ahead log (wal.h), which takes one write
 * and one sync. Until the next checkpoint its changes are in a memtable (memtable.h);
 * views lay that over the tables on disk (disk.h). When the memtable has become large a
 * thread checkpoints it: writes all of it to disk at once, while the next one fills. So
 * a key that is written often, and a page with many keys, is written once for thousands
 * of commits.
 *
 * When little space is left only LMDB knows what fits, and what a delete gives back.
 * Then each commit is a checkpoint, and needs no log.
 *
 * Read views: any thread, one thread at a time each; short-lived, because the pages of
 * an old snapshot cannot be reused. Write views: one at a time, others wait; begun and
 * ended by one thread.
 *
 * Slices hold until the view ends; the bytes of a put belong to the caller until its
 * next call.
 *
 * Errors are negative errno: -ENOENT not found, -ENOSPC disk or store full, -EIO,
 * -EMFILE no reader slot, -EPROTO not an environment of ours. After -EIO from a commit
 * nothing can be written any more, and reading goes on. */

#include "base/cleanup.h"
#include "store/slice.h"
#include "store/store.h"

struct kv_table;
struct kv_view;
struct kv_walk;

/* Open or make the tables in directory path, with everything that was committed.
 * max_bytes bounds what puts may fill. The caller has made sure that no one else has
 * them open. */
int kv_table_open(const char *path, uint64_t max_bytes, enum kv_sync sync,
                  struct kv_table **ret);
/* No views left; ends with a checkpoint. NULL is allowed. */
void kv_table_close(struct kv_table *table);
KV_DEFINE_CLEANUP(struct kv_table, kv_table_close)

/* Write what is committed to disk, for the weaker sync modes. Any thread. */
int kv_table_sync(struct kv_table *table);

/* Bring the tables on disk up to date. Any thread that has no write view. */
int kv_table_checkpoint(struct kv_table *table);

/* Write a copy of the tables as they are now to a descriptor, as one file: blocks
 * there, for as long as it takes. Any thread that has no write view, beside writes.
 * -EPIPE, ... */
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
 * before it, and it grows with each commit. A read view may see all of the commit behind
 * its number, when that goes to disk at once and is just being done. */
uint64_t kv_view_number(const struct kv_view *view);

/* Bytes in use and bytes that puts may still fill, within max_bytes and what the disk
 * has free; 0 when it is full. A write view: when it began. */
int kv_view_space(const struct kv_view *view, uint64_t *ret_used, uint64_t *ret_free);

int kv_view_get(struct kv_view *view, enum kv_db db, struct kv_slice key,
                struct kv_slice *ret);

/* Set key to size bytes, which the caller writes to *ret. -EINVAL: a key that is empty
 * or longer than 511 bytes. */
int kv_view_put(struct kv_view *view, enum kv_db db, struct kv_slice key, size_t size,
                void **ret);

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
