/* A table's life, and its checkpoints; see table.h. */
#include "store/table_internal.h"

#include "base/log.h"

#include <errno.h>

/* A memtable is checkpointed when it is so large. It doubles at most while the one
 * before it is being checkpointed. */
#define FREEZE_BYTES (16u << 20)
#define FREEZE_VERSIONS 65536
static const struct kv_slice checkpoint_key = {"checkpoint", sizeof("checkpoint") - 1};

/* -- Writing a memtable to disk -- */

static int write_db(struct kv_disk_write *write, const struct kv_memtable *mem,
                    enum kv_db db, uint64_t number)
{
    struct kv_mem_cursor cursor = {.mem = mem, .db = db, .number = number};
    const struct kv_slice none = {0};
    int err = 0;
    for (bool more = kv_mem_cursor_move(&cursor, KV_MOVE_FIRST, none); more && !err;
         more = kv_mem_cursor_move(&cursor, KV_MOVE_NEXT, none))
        err = cursor.deleted ? kv_disk_delete(write, db, cursor.key)
                             : kv_disk_put(write, db, cursor.key, cursor.value);
    return err;
}

static int write_position(struct kv_disk_write *write,
                          const struct kv_wal_position *position)
{
    return kv_disk_put(write, KV_DB_META, checkpoint_key,
                       (struct kv_slice){position, sizeof(*position)});
}

static int write_memtable(struct kv_table *table, const struct kv_memtable *mem,
                          const struct kv_wal_position *position)
{
    KV_CLEANUP(kv_disk_abortp) struct kv_disk_write *write = NULL;
    int err = kv_disk_write_begin(table->disk, &write);
    for (int db = 0; db < KV_DB_COUNT && !err; db++)
        err = write_db(write, mem, (enum kv_db)db, position->number);
    if (!err)
        err = write_position(write, position);
    return err ? err : kv_disk_commit(KV_STEAL(write));
}

/* -- Checkpoints -- */

/* Checkpoint what is frozen. The lock is held, but not while it is written. */
static void checkpoint_frozen_locked(struct kv_table *table)
{
    struct kv_memtable *mem = table->frozen;
    struct kv_wal_position position = table->frozen_position;
    kv_unlock(&table->lock);
    int err = write_memtable(table, mem, &position);
    kv_lock(&table->lock);
    table->error = err;
    if (!err) {
        table->frozen = NULL;
        kv_memtable_unref(mem);
    }
    pthread_cond_broadcast(&table->changed);
}

static void *run(void *arg)
{
    struct kv_table *table = arg;
    KV_SCOPED_LOCK(&table->lock);
    while (!table->stop) {
        if (table->frozen && !table->error)
            checkpoint_frozen_locked(table);
        else
            pthread_cond_wait(&table->changed, &table->lock);
    }
    return NULL;
}

/* Wait until nothing is frozen. A disk that was full may have room again. */
static int wait_frozen(struct kv_table *table)
{
    KV_SCOPED_LOCK(&table->lock);
    if (table->error == -ENOSPC) {
        table->error = 0;
        pthread_cond_broadcast(&table->changed);
    }
    while (table->frozen && !table->error)
        pthread_cond_wait(&table->changed, &table->lock);
    return table->error;
}

static bool is_large(const struct kv_memtable *mem, unsigned times)
{
    return kv_memtable_bytes(mem) >= times * (size_t)FREEZE_BYTES ||
           kv_memtable_versions(mem) >= times * (size_t)FREEZE_VERSIONS;
}

static struct kv_wal_position position_at(const struct kv_table *table, uint64_t number)
{
    return (struct kv_wal_position){number, kv_wal_checksum(table->wal)};
}

void kv_table_freeze(struct kv_table *table)
{
    KV_SCOPED_LOCK(&table->lock);
    struct kv_memtable *fresh;
    if (table->frozen || kv_memtable_new(&fresh))
        return; /* after the next commit, then */
    table->frozen = table->active;
    table->frozen_position = position_at(table, table->number);
    table->active = fresh;
    kv_wal_restart(table->wal);
    pthread_cond_broadcast(&table->changed);
}

/* The writer alone changes which one is active. */
int kv_table_make_room(struct kv_table *table)
{
    if (is_large(table->active, 2)) {
        int err = wait_frozen(table);
        if (err)
            return err;
    }
    if (is_large(table->active, 1))
        kv_table_freeze(table);
    KV_SCOPED_LOCK(&table->lock);
    return table->error == -ENOSPC ? 0 : table->error;
}

int kv_table_checkpoint_to(struct kv_table *table, uint64_t number)
{
    struct kv_memtable *done = table->active;
    int err = wait_frozen(table);
    if (err || kv_memtable_versions(done) == 0)
        return err;
    KV_CLEANUP(kv_memtable_unrefp) struct kv_memtable *fresh = NULL;
    struct kv_wal_position position = position_at(table, number);
    err = kv_memtable_new(&fresh);
    if (!err)
        err = write_memtable(table, done, &position);
    if (err)
        return err;
    kv_lock(&table->lock);
    table->number = number;
    table->active = KV_STEAL(fresh);
    kv_unlock(&table->lock);
    kv_memtable_unref(done);
    kv_wal_restart(table->wal);
    return 0;
}

int kv_table_checkpoint(struct kv_table *table)
{
    KV_SCOPED_LOCK(&table->writer);
    return kv_table_checkpoint_to(table, table->number);
}

/* -- Recovery -- */

struct recovery {
    struct kv_table *table;
    struct kv_disk_write *write; /* NULL: nothing to repeat so far */
};

static int repeat_change(void *ctx, enum kv_db db, struct kv_slice key, bool deletes,
                         struct kv_slice value)
{
    struct recovery *recovery = ctx;
    int err = recovery->write
                  ? 0
                  : kv_disk_write_begin(recovery->table->disk, &recovery->write);
    if (err)
        return err;
    return deletes ? kv_disk_delete(recovery->write, db, key)
                   : kv_disk_put(recovery->write, db, key, value);
}

/* Of the last checkpoint; zeros: there was none. */
static int read_position(struct kv_table *table, struct kv_wal_position *ret)
{
    KV_CLEANUP(kv_disk_view_freep) struct kv_disk_view *view = NULL;
    struct kv_slice value;
    *ret = (struct kv_wal_position){0};
    int err = kv_disk_view_new(table->disk, &view);
    if (!err)
        err = kv_disk_get(view, KV_DB_META, checkpoint_key, &value);
    if (err)
        return err == -ENOENT ? 0 : err;
    if (value.len != sizeof(*ret))
        return -EPROTO;
    memcpy(ret, value.data, sizeof(*ret));
    return 0;
}

/* Write to disk what the log has behind the last checkpoint. */
static int recover(struct kv_table *table)
{
    struct recovery recovery = {.table = table};
    struct kv_wal_position position;
    int err = read_position(table, &position);
    if (!err)
        err = kv_wal_replay(table->wal, &position, repeat_change, &recovery);
    KV_CLEANUP(kv_disk_abortp) struct kv_disk_write *write = recovery.write;
    if (!err && write)
        err = write_position(write, &position);
    if (!err && write)
        err = kv_disk_commit(KV_STEAL(write));
    table->number = position.number;
    return err;
}

/* -- Life -- */

static int start(struct kv_table *table)
{
    int err = pthread_create(&table->thread, NULL, run, table);
    if (err)
        return -err;
    pthread_setname_np(table->thread, "kv-checkpoint");
    table->running = true;
    return 0;
}

int kv_table_open(const char *path, uint64_t max_bytes, enum kv_sync sync,
                  struct kv_table **ret)
{
    KV_CLEANUP(kv_table_closep) struct kv_table *table = calloc(1, sizeof(*table));
    if (!table)
        return -ENOMEM;
    pthread_mutex_init(&table->writer, NULL);
    pthread_mutex_init(&table->lock, NULL);
    pthread_cond_init(&table->changed, NULL);
    int err = kv_memtable_new(&table->active);
    if (!err)
        err = kv_disk_open(path, max_bytes, &table->disk);
    if (!err)
        err = kv_wal_open(path, sync, &table->wal);
    if (!err)
        err = recover(table);
    if (!err)
        err = start(table);
    if (err)
        return err;
    *ret = KV_STEAL(table);
    return 0;
}

static void stop(struct kv_table *table)
{
    kv_lock(&table->lock);
    table->stop = true;
    pthread_cond_broadcast(&table->changed);
    kv_unlock(&table->lock);
    pthread_join(table->thread, NULL);
    if (table->frozen && !table->error) {
        KV_SCOPED_LOCK(&table->lock);
        checkpoint_frozen_locked(table);
    }
    int err = table->error ? table->error : kv_table_checkpoint(table);
    if (err)
        kv_error("the last changes stay in the write-ahead log: %s", kv_strerror(err));
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
