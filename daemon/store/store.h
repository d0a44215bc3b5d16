#ifndef KV_STORE_STORE_H
#define KV_STORE_STORE_H

/* The store: keys in LMDB behind a cache, one writer, many readers. It knows nothing
 * of FUSE, HTTP or clusters; they sit on these functions.
 *
 * Reads never block on writes and are linearizable: a get that starts after a write was
 * acknowledged, by whichever front-end, sees that write or a newer one. Writes are
 * transactions (txn.h); the committer thread takes all that queued up while the last
 * commit was syncing and commits them together. For each commit it then, in this order,
 * updates the cache, appends to the feed, calls the observers, and calls the
 * transactions' done. Acknowledged means synced (with KV_SYNC_ALWAYS).
 *
 * Errors are negative errno:
 *   -ENOENT no such key                -EISDIR the key is a directory (which can
 *                                      have neither a value nor an expiry)
 *   -ENOTDIR a parent is not one       -ENOTEMPTY the directory holds keys
 *   -EEXIST KV_OP_EXCL and it exists   -ECANCELED a compare failed, no else branch
 *   -ELOOP append to a symbolic link, or count in it
 *   -E2BIG more operations, or more keys below a directory, than a transaction may have
 *   -EDOM the value is not a number    -ERANGE a number would not fit 64 bits
 *   -EFBIG value over max_value_bytes  -ENOSPC disk or max_store_bytes full
 *   -EROFS read-only after an I/O error, until the store is opened anew
 *   -ENAMETOOLONG, -EINVAL key rules, rename into itself, a put of what is neither a
 *           file nor a symbolic link
 *   -ESTALE what was asked for is compacted
 *   -ESHUTDOWN submitted after kv_store_stop
 *   -EIO, -ENOMEM
 * A transaction that fails changes nothing. */

#include "store/event.h"
#include "store/feed.h"
#include "store/key.h"
#include "store/lru.h"
#include "store/record.h"
#include "store/txn.h"
#include "store/within.h"

enum kv_sync {
    KV_SYNC_ALWAYS = 0, /* each commit is synced before it is acknowledged */
    KV_SYNC_INTERVAL,   /* synced every sync_interval_ms */
    KV_SYNC_OFF,        /* whenever the kernel likes */
};

struct kv_store_config {
    const char *path;          /* data directory; made when missing (its parent is not) */
    enum kv_sync sync;
    unsigned sync_interval_ms;
    size_t cache_bytes;        /* bound of the LRU */
    uint64_t max_value_bytes;
    uint64_t max_store_bytes;  /* of the LMDB file */
    uint64_t log_max_bytes;        /* and at most a quarter of max_store_bytes */
    uint64_t log_max_events;
    uint32_t uid, gid;             /* of keys made without saying whose */
    uint32_t file_mode, dir_mode;  /* permission bits for those */
};

/* Every field but path and the ids set to its default: sync always, interval 1000 ms,
 * cache 64 MiB, value 64 MiB, store 16 GiB, log 64 MiB and 1,000,000 events, modes 0644 and
 * 0755; uid and gid are the process's. */
void kv_store_config_default(struct kv_store_config *config);

struct kv_store;

/* Open or make the data directory and start the committer and the TTL thread.
 * -EBUSY another process has it open; -EPROTO it was written by an unknown version of the
 * format; -ENOTDIR, -EACCES, -ENOMEM, -EIO ... */
int kv_store_open(const struct kv_store_config *config, struct kv_store **ret);

/* Finish what was submitted (every done is called) and refuse what comes later with
 * -ESHUTDOWN. Reads and the feed go on until kv_store_close. Not from the committer thread. */
void kv_store_stop(struct kv_store *store);

/* kv_store_stop if it was not called, then free everything. No other thread may use the
 * store any more. NULL is allowed. */
void kv_store_close(struct kv_store *store);
KV_DEFINE_CLEANUP(struct kv_store, kv_store_close)

/* -- Reading: any thread; never waits for a write -- */

/* The record of a key or directory (empty key: the root directory), with one reference
 * for the caller. Never an expired one. -ENOENT, -ENAMETOOLONG, -EINVAL, -ENOMEM, -EIO. */
int kv_store_get(struct kv_store *store, const void *key, size_t len,
                 struct kv_record **ret);

/* The same, but the record may be bare: for who does not want the value. */
int kv_store_stat(struct kv_store *store, const void *key, size_t len,
                  struct kv_record **ret);

struct kv_list_query {
    const void *dir; /* list what is below this directory; dir_len 0: the root */
    size_t dir_len;
    const void *prefix; /* and (in the whole key) starts with these bytes; may be empty */
    size_t prefix_len;
    const void *after; /* and comes behind this key in byte order; may be empty */
    size_t after_len;
    size_t limit;      /* at most so many; 0: no bound (of the caller's own making only) */
    size_t max_bytes;  /* stop when values exceed this; at least one comes; 0: no bound */
    bool recursive;    /* false: direct children only */
    bool directories;  /* list directories too */
    uint64_t dir_id;   /* the id that dir must have; 0: any */
    bool values;       /* false: bare records */
    size_t value_max;  /* larger values: bare records all the same; 0: no bound */
    const struct kv_within *within; /* only what is part of this; NULL: everything */
    size_t scan_max;   /* look at no more rows than this, such as directories that are not
                          listed; 0: no bound */
};

struct kv_list {
    struct kv_record **records; /* sorted by key, byte order */
    size_t count;
    bool more;         /* a bound cut it; go on with after = next */
    struct kv_buf next;
    uint64_t revision; /* of the snapshot it was read from */
};

/* One snapshot's listing. Expired keys are left out. -ENOENT: no such directory,
 * -ENOTDIR: dir is a key; -ESTALE: it has another id than dir_id; -ENAMETOOLONG: dir is
 * longer than any key; -ENOMEM, -EIO. */
int kv_store_list(struct kv_store *store, const struct kv_list_query *query,
                  struct kv_list *ret);
void kv_list_done(struct kv_list *list);

/* The newest revision that is committed; 0 in a new store. */
uint64_t kv_store_revision(struct kv_store *store);

/* Every event with cursors; see feed.h. Lives as long as the store. */
struct kv_feed *kv_store_feed(struct kv_store *store);

/* The oldest revision from which on the log still holds every event: `since=REV` works
 * for REV >= this - 1. */
uint64_t kv_store_oldest_revision(struct kv_store *store);

/* The events of one key that the log still holds, newest first: what made its versions.
 * The caller calls kv_history_done when it was 0. -ENOMEM, -EIO. */
int kv_store_history(struct kv_store *store, const struct kv_history_query *query,
                     struct kv_history *ret);

/* -- Writing -- */

/* Hand over a transaction. done is called exactly once, on the committer thread, never
 * from inside this call. Any thread, also from inside a done callback. */
void kv_store_submit(struct kv_store *store, struct kv_txn *txn);

/* Submit and wait; the transaction comes back to the caller with its results and must have
 * been made with a NULL done. Returns txn->error. Not from the committer thread. For
 * tools and tests: a front-end must not wait. */
int kv_store_commit(struct kv_store *store, struct kv_txn *txn);

/* A number for a new key (kv_op.new_id), never given out twice. */
uint64_t kv_store_new_id(struct kv_store *store);

/* -EROFS when the store was latched read-only, -ENOSPC when it is full, 0 otherwise: what
 * can be told before a write is tried. The lasting word is the transaction's. */
int kv_store_writable(struct kv_store *store);

/* Write a copy of the store as it is now to a descriptor, as the data.mdb of another
 * data directory. Blocks there, and until it ends the file grows by what is written.
 * Any thread that may wait. 0; -EPIPE, -ENOSPC, -EIO, ... */
int kv_store_backup(struct kv_store *store, int fd);

/* -- Observing -- */

/* Called on the committer thread after each commit, when the cache and the feed have the
 * new state and nobody has been told yet: this is where a mount invalidates what its kernel
 * caches. touched are directories whose times changed because of the events. Must not
 * block, and must not call the store except for reads. */
typedef void kv_observer_fn(void *ctx, struct kv_event *const *events, size_t count,
                            const uint64_t *touched_ids, size_t touched_count);

struct kv_observer {
    kv_observer_fn *fn;
    void *ctx;
    struct kv_observer *next; /* the store's own */
};

/* The observer stays the caller's, which removes it before freeing it; after remove
 * returns it is not being called. Not from inside an observer or a done. */
void kv_store_add_observer(struct kv_store *store, struct kv_observer *observer);
void kv_store_remove_observer(struct kv_store *store, struct kv_observer *observer);

/* Returns when the observers were told of everything that reads have shown so far. Between
 * a commit and its observers reads are newer than what an observer knows, and who compares
 * the two waits here. It waits for memory alone, never for the disk. Any thread, but not
 * from an observer or a done. 0, -ENOMEM, -EIO. */
int kv_store_catch_up(struct kv_store *store);

/* -- Watching over it -- */

struct kv_store_status {
    uint64_t revision, oldest_revision;
    uint64_t keys, directories;
    uint64_t used_bytes, max_bytes;     /* of the LMDB file */
    uint64_t log_bytes, log_events;
    uint64_t commits, transactions, failed_transactions; /* since the start */
    uint64_t expired;                   /* keys that ended by TTL, since the start */
    uint64_t queued;                    /* transactions waiting now */
    uint64_t commit_ns;                 /* time spent in commits, since the start */
    uint64_t max_value_bytes;
    int latched_error; /* the errno that made it read-only, or 0 */
    bool full;
    enum kv_sync sync;
    struct kv_lru_stats cache;
};

int kv_store_status(struct kv_store *store, struct kv_store_status *ret);

#endif
