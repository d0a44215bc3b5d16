#ifndef KV_STORE_WAL_H
#define KV_STORE_WAL_H

/* The write-ahead log: each commit as one record, appended with one write and one sync,
 * so that it is durable before the tables on disk have heard of it (table.h). After a
 * crash the records behind the last checkpoint are replayed.
 *
 * The log is two files, "wal.0" and "wal.1", that are written in turn: when a
 * checkpoint begins, the log goes on at the start of the other file, whose records the
 * checkpoint before has made superfluous. A file keeps its blocks, so that in the long
 * run a sync writes data alone and no metadata of the filesystem.
 *
 * A record carries its own checksum and that of the record before it. What lies behind
 * the last record - half of one that a crash cut off, older ones from when the file was
 * written the last time - fits neither, so the log ends at the first record that does
 * not continue the one before. The first one that a checkpoint does not
 * hold continues that.
 *
 * Threads: append and restart by one thread at a time; sync by any thread. */

#include "base/cleanup.h"
#include "store/slice.h"
#include "store/store.h"

#include <stdint.h>

struct kv_wal;

/* Where the log stands: the number of the last commit, and the checksum of the last
 * record, which the next one continues. A checkpoint notes it with the tables. */
struct kv_wal_position {
    uint64_t number, checksum;
};

/* Open the log in a directory, making it if there is none. Replay it next. Negative
 * errno. */
int kv_wal_open(const char *dir, enum kv_sync sync, struct kv_wal **ret);
void kv_wal_close(struct kv_wal *wal); /* NULL is allowed */
KV_DEFINE_CLEANUP(struct kv_wal, kv_wal_close)

/* One change of a record. Slices hold during the call. A negative errno ends the
 * replay. */
typedef int kv_wal_change_fn(void *ctx, enum kv_db db, struct kv_slice key,
                             bool deletes, struct kv_slice value);

/* Repeat the changes of all records behind a checkpoint, in their order, moving *position
 * behind each record when it was repeated. The log goes on behind the last one. -EIO,
 * -ENOMEM, or what fn returned. */
int kv_wal_replay(struct kv_wal *wal, struct kv_wal_position *position,
                  kv_wal_change_fn *fn, void *ctx);

/* Build the next record: begin, add each change, and append it, which makes it durable
 * as the sync mode says. Each number is one above that of the record before, or of the
 * last checkpoint. On error the record is not in the log: -ENOSPC, -ENOMEM; or it may
 * be, but is not known to be durable (-EIO), and then nothing can be appended any more.
 */
void kv_wal_begin(struct kv_wal *wal, uint64_t number);
void kv_wal_add(struct kv_wal *wal, enum kv_db db, struct kv_slice key, bool deletes,
                struct kv_slice value);
int kv_wal_append(struct kv_wal *wal);

/* Of the last record. */
uint64_t kv_wal_checksum(const struct kv_wal *wal);

/* A checkpoint of all records begins: go on at the start of the other file. What is in
 * there is not needed any more. */
void kv_wal_restart(struct kv_wal *wal);

/* Write what the weaker sync modes have left to disk. */
int kv_wal_sync(struct kv_wal *wal);

#endif
