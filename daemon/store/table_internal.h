#ifndef KV_STORE_TABLE_INTERNAL_H
#define KV_STORE_TABLE_INTERNAL_H

/* What table.c (life, checkpoints), view.c and walk.c share of a table. */

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
    pthread_cond_t changed; /* frozen, error or stop */
    struct kv_memtable *active, *frozen;
    uint64_t number;                        /* of the last commit */
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

/* -- With table->writer held -- */

/* Before a write view begins: wait while too much is waiting for a checkpoint. */
int kv_table_make_room(struct kv_table *table);

/* Write everything to disk, the active memtable up to this number, which becomes that
 * of the last commit. On error nothing has happened. */
int kv_table_checkpoint_to(struct kv_table *table, uint64_t number);

/* Let the thread checkpoint the active memtable, if it has nothing else to do. */
void kv_table_freeze(struct kv_table *table);

#endif
