/* A table's life, and what it does after a crash; see table.h. */
#include "store/table_internal.h"

#include "base/hash.h"
#include "base/log.h"

#include <errno.h>
#include <time.h>

/* -- Recovery -- */

/* Where new tables stand. A log of other tables does not continue that. */
static int make_position(struct kv_table *table, struct kv_wal_position *ret)
{
    *ret = (struct kv_wal_position){.checksum = kv_hash("", 0)};
    return kv_table_write(table, NULL, ret);
}

struct recovery {
    struct kv_table *table;
    struct kv_wal_position position; /* behind the last whole commit */
};

static int repeat_change(void *ctx, enum kv_db db, struct kv_slice key, bool deletes,
                         struct kv_slice value)
{
    struct recovery *recovery = ctx;
    struct kv_memtable *mem = recovery->table->active;
    uint64_t number = recovery->position.number + 1;
    struct kv_mem_change change;
    void *place;
    if (deletes)
        return kv_memtable_delete(mem, db, key, number, &change);
    int err = kv_memtable_put(mem, db, key, number, value.len, &change, &place);
    if (!err && value.len > 0)
        memcpy(place, value.data, value.len);
    return err;
}

/* Write to disk what was repeated. When there is no room the log goes on behind it, and
 * it waits like any other checkpoint. */
static int save(struct kv_table *table, const struct kv_wal_position *position)
{
    struct kv_memtable *fresh;
    int err = kv_memtable_new(&fresh);
    if (err)
        return err;
    struct kv_memtable *done = table->active;
    err = kv_table_write(table, done, position);
    if (err && !kv_table_may_pass(err)) {
        kv_memtable_unref(fresh);
        return err;
    }
    table->active = fresh;
    if (err) {
        kv_error("the tables on disk cannot be brought up to date: %s",
                 kv_strerror(err));
        table->frozen = done;
        table->frozen_position = *position;
        table->error = err;
    } else {
        table->saved = position->number;
        kv_memtable_unref(done);
        kv_wal_restart(table->wal);
    }
    return 0;
}

/* Repeat what the log has behind the last checkpoint. */
static int recover(struct kv_table *table)
{
    struct recovery recovery = {.table = table};
    struct kv_wal_position *position = &recovery.position;
    int err = kv_table_read_position(table, position);
    if (err == -ENOENT)
        err = make_position(table, position);
    table->saved = position->number;
    if (!err)
        err = kv_wal_replay(table->wal, position, repeat_change, &recovery);
    table->number = position->number;
    return err || table->number == table->saved ? err : save(table, position);
}

/* -- Life -- */

int kv_table_open(const char *path, uint64_t max_bytes, enum kv_sync sync,
                  struct kv_table **ret)
{
    KV_CLEANUP(kv_table_closep) struct kv_table *table = calloc(1, sizeof(*table));
    if (!table)
        return -ENOMEM;
    pthread_mutex_init(&table->writer, NULL);
    pthread_mutex_init(&table->lock, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&table->changed, &attr);
    pthread_condattr_destroy(&attr);
    int err = kv_memtable_new(&table->active);
    if (!err)
        err = kv_disk_open(path, max_bytes, &table->disk);
    if (!err)
        err = kv_wal_open(path, sync, &table->wal);
    if (!err)
        err = recover(table);
    if (!err)
        err = kv_table_start(table);
    if (err)
        return err;
    *ret = KV_STEAL(table);
    return 0;
}

static void stop(struct kv_table *table)
{
    int err = kv_table_checkpoint(table);
    if (err)
        kv_error("the last changes stay in the write-ahead log: %s", kv_strerror(err));
    kv_table_stop(table);
}

void kv_table_close(struct kv_table *table)
{
    if (!table)
        return;
    if (table->running)
        stop(table);
    kv_view_free_pool(table);
    kv_memtable_unref(table->active);
    kv_memtable_unref(table->frozen);
    kv_wal_close(table->wal);
    kv_disk_close(table->disk);
    pthread_cond_destroy(&table->changed);
    pthread_mutex_destroy(&table->lock);
    pthread_mutex_destroy(&table->writer);
    free(table);
}

int kv_table_sync(struct kv_table *table)
{
    return kv_wal_sync(table->wal);
}

int kv_table_copy(struct kv_table *table, int fd)
{
    int err = kv_table_checkpoint(table);
    return err ? err : kv_disk_copy(table->disk, fd);
}
