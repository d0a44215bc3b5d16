#ifndef KV_STORE_DISK_H
#define KV_STORE_DISK_H

/* The tables on disk: LMDB, and the only place that knows it. Read through views, each
 * a snapshot, and written by one write at a time, which happens as a whole and is on
 * disk when it is committed, or not at all.
 *
 * Views: any thread, one thread at a time each; short-lived, because the pages of an
 * old snapshot cannot be reused. A write: one at a time, begun and ended by one thread.
 *
 * Slices point into the memory map and hold until the view ends.
 *
 * LMDB's codes become negative errno here: -ENOENT not found, -ENOSPC disk or map full,
 * -EIO (also for a panic), -EMFILE no reader slot, -EPROTO not an environment of ours.
 * After a panic views still show what was committed before. */

#include "base/cleanup.h"
#include "store/slice.h"

#include <stdbool.h>
#include <stdint.h>

struct kv_disk;
struct kv_disk_view;
struct kv_disk_cursor;
struct kv_disk_write;

/* Open or make the environment in directory path. max_bytes bounds what is said to be
 * free; the map has a reserve on top so that a full store can still delete. The caller
 * has made sure that no one else has it open (LMDB breaks silently if this process
 * has). */
int kv_disk_open(const char *path, uint64_t max_bytes, struct kv_disk **ret);
void kv_disk_close(struct kv_disk *disk); /* no views left; NULL is allowed */
KV_DEFINE_CLEANUP(struct kv_disk, kv_disk_close)

/* Write a copy of the environment as it is now to a descriptor, without free pages:
 * blocks there, for as long as it takes. Any thread, beside writes. -EPIPE, ... */
int kv_disk_copy(struct kv_disk *disk, int fd);

/* Bytes in use and bytes that may still be filled, within max_bytes and what the disk
 * has free, as of the last commit; 0 when it is full. Any thread. */
int kv_disk_space(struct kv_disk *disk, uint64_t *ret_used, uint64_t *ret_free);

/* -- Views -- */

/* A view that has begun. When it has ended it can be begun again, with a new snapshot:
 * that costs a fraction. */
int kv_disk_view_new(struct kv_disk *disk, struct kv_disk_view **ret);
void kv_disk_view_end(struct kv_disk_view *view);
int kv_disk_view_renew(struct kv_disk_view *view);
void kv_disk_view_free(struct kv_disk_view *view); /* NULL is allowed */
KV_DEFINE_CLEANUP(struct kv_disk_view, kv_disk_view_free)

/* A view goes on for long: account for the pages that it has touched, as its end
 * would. */
void kv_disk_view_rest(struct kv_disk_view *view);

int kv_disk_get(struct kv_disk_view *view, enum kv_db db, struct kv_slice key,
                struct kv_slice *ret);

int kv_disk_cursor_open(struct kv_disk_view *view, enum kv_db db,
                        struct kv_disk_cursor **ret);
void kv_disk_cursor_close(struct kv_disk_cursor *cursor); /* before its view ends */

/* Step and return the key and value there; -ENOENT past the end. `from` is for SEEK. */
int kv_disk_cursor_move(struct kv_disk_cursor *cursor, enum kv_move move,
                        struct kv_slice from, struct kv_slice *ret_key,
                        struct kv_slice *ret_value);

/* -- Writes -- */

int kv_disk_write_begin(struct kv_disk *disk, struct kv_disk_write **ret);
int kv_disk_put(struct kv_disk_write *write, enum kv_db db, struct kv_slice key,
                struct kv_slice value);
/* What is not there is deleted already. */
int kv_disk_delete(struct kv_disk_write *write, enum kv_db db, struct kv_slice key);
/* Both end the write. */
int kv_disk_commit(struct kv_disk_write *write);
void kv_disk_abort(struct kv_disk_write *write); /* NULL is allowed */
KV_DEFINE_CLEANUP(struct kv_disk_write, kv_disk_abort)

#endif
