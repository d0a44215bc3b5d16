#ifndef KV_STORE_TABLE_INTERNAL_H
#define KV_STORE_TABLE_INTERNAL_H

/* What table.c, checkpoint.c, view.c and walk.c share of a table. */

#include "store/disk.h"
#include "store/memtable.h"
#include "store/table.h"
#include "store/wal.h"

/* The memtables of a view, newest first: the one that fills, and the one that is being
 * checkpointed, if any. */
#define KV_VIEW_MEMTABLES 2

struct kv_table {
    struct kv_disk *disk;
    struct kv_wal *wal;
    /* Held as long as a write view, or around a checkpoint that somebody asks for: by
     * whoever may change the log and the active memtable. Taken before `lock`. */
    pthread_mutex_t writer;
    /* Guards what is below. Held while a view takes its snapshot, so that memtables and
     * tables on disk fit together: no memtable can be frozen and written to disk
     * between the looks at the one and the others. */
    pthread_mutex_t lock;
    pthread_cond_t changed; /* frozen, error, stop, or the first versions in active */
    struct kv_memtable *active, *frozen;
    uint64_t number;                        /* of the last commit */
    uint64_t saved;                         /* of the last one that is on disk */
    struct kv_wal_position frozen_position; /* of the last commit in frozen */
    int error;            /* of the last checkpoint of frozen, which is still there */
    struct kv_view *pool; /* views that have ended */
    bool stop;
    bool running;
    pthread_t thread; /* checkpoints what is frozen */
};

struct kv_view {
    struct kv_table *table;
    struct kv_view *next; /* in the pool */
    struct kv_view *root; /* of nested views: the outermost; otherwise itself */
    struct kv_disk_view *disk;
    struct kv_memtable *mems[KV_VIEW_MEMTABLES];
    unsigned mem_count;
    uint64_t number;
    bool write;
    /* Of write views: */
    size_t mark;                   /* how many changes there were when it began */
    struct kv_mem_change *changes; /* of the root */
    size_t change_count, change_room;
    uint64_t used_bytes, free_bytes;
};

void kv_view_free_pool(struct kv_table *table);

/* -- checkpoint.c -- */

int kv_table_start(struct kv_table *table); /* the thread */
void kv_table_stop(struct kv_table *table);

/* Write the rows of a memtable, or none when it is NULL, and the position of the log.
 */
int kv_table_write(struct kv_table *table, const struct kv_memtable *mem,
                   const struct kv_wal_position *position);
/* -ENOENT: the tables are new. */
int kv_table_read_position(struct kv_table *table, struct kv_wal_position *ret);

/* Whether a checkpoint that failed so may succeed another time. */
bool kv_table_may_pass(int err);

/* With table->writer held: */

/* Before a write view begins: wait while too much is waiting for a checkpoint. */
int kv_table_make_room(struct kv_table *table);

/* Let the thread checkpoint the active memtable, if it has nothing else to do; and when
 * all in it was undone, begin a new one. -ENOMEM. */
int kv_table_freeze(struct kv_table *table);
/* The same when it is large. */
int kv_table_freeze_large(struct kv_table *table);

/* Wait until everything that is committed is written to disk. */
int kv_table_settle(struct kv_table *table);

/* Make a commit of this number, all of whose changes are in mem, durable and visible by
 * writing it to disk; nothing older waits for that. On error nothing has happened. */
int kv_table_commit_to_disk(struct kv_table *table, struct kv_memtable *mem,
                            uint64_t number);

#endif
