/* Checkpoints: memtables are frozen, and written to disk by a thread; see table.h. */
#include "store/table_internal.h"

#include <errno.h>
#include <time.h>

/* A memtable is checkpointed when it is so large. It doubles at most while the one
 * before it is being checkpointed. */
#define FREEZE_BYTES (16u << 20)
#define FREEZE_VERSIONS 65536
#define FREEZE_DELETIONS 8192
/* ... or when nothing was committed for so long. */
#define IDLE_S 2

static const struct kv_slice position_key = {"checkpoint", sizeof("checkpoint") - 1};

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

int kv_table_write(struct kv_table *table, const struct kv_memtable *mem,
                   const struct kv_wal_position *position)
{
    KV_CLEANUP(kv_disk_abortp) struct kv_disk_write *write = NULL;
    int err = kv_disk_write_begin(table->disk, &write);
    for (int db = 0; mem && db < KV_DB_COUNT && !err; db++)
        err = write_db(write, mem, (enum kv_db)db, position->number);
    if (!err)
        err = kv_disk_put(write, KV_DB_META, position_key,
                          (struct kv_slice){position, sizeof(*position)});
    return err ? err : kv_disk_commit(KV_STEAL(write));
}

int kv_table_read_position(struct kv_table *table, struct kv_wal_position *ret)
{
    KV_CLEANUP(kv_disk_view_freep) struct kv_disk_view *view = NULL;
    struct kv_slice value;
    int err = kv_disk_view_new(table->disk, &view);
    if (!err)
        err = kv_disk_get(view, KV_DB_META, position_key, &value);
    if (err)
        return err;
    if (value.len != sizeof(*ret))
        return -EPROTO;
    memcpy(ret, value.data, sizeof(*ret));
    return 0;
}

bool kv_table_may_pass(int err)
{
    return err == -ENOSPC || err == -EDQUOT || err == -ENOMEM;
}

/* -- The thread -- */

/* Wait while what was committed waits; true: nothing more has come for a while. */
static bool wait_idle_locked(struct kv_table *table)
{
    uint64_t number = table->number;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += IDLE_S;
    int err = pthread_cond_timedwait(&table->changed, &table->lock, &until);
    return err == ETIMEDOUT && table->number == number && !table->frozen;
}

/* Who has a write view is about to commit: then it is not idle. Waiting for that would
 * be wrong, because it may wait for this thread. */
static void freeze_idle(struct kv_table *table)
{
    if (pthread_mutex_trylock(&table->writer))
        return;
    (void)kv_table_freeze(table); /* without memory: in a while */
    kv_unlock(&table->writer);
}

/* Wait for something to checkpoint; false: stop. */
static bool wait_for_work(struct kv_table *table)
{
    kv_lock(&table->lock);
    while (!table->stop && (!table->frozen || table->error)) {
        if (table->error || kv_memtable_versions(table->active) == 0) {
            pthread_cond_wait(&table->changed, &table->lock);
        } else if (wait_idle_locked(table)) {
            kv_unlock(&table->lock);
            freeze_idle(table);
            kv_lock(&table->lock);
        }
    }
    bool stop = table->stop;
    kv_unlock(&table->lock);
    return !stop;
}

/* Nobody else takes away what is frozen. */
static void checkpoint_frozen(struct kv_table *table)
{
    kv_lock(&table->lock);
    struct kv_memtable *mem = table->frozen;
    struct kv_wal_position position = table->frozen_position;
    kv_unlock(&table->lock);
    int err = kv_table_write(table, mem, &position);
    kv_lock(&table->lock);
    table->error = err;
    if (!err) {
        table->saved = position.number;
        table->frozen = NULL;
    }
    pthread_cond_broadcast(&table->changed);
    kv_unlock(&table->lock);
    if (!err)
        kv_memtable_unref(mem);
}

static void *run(void *arg)
{
    struct kv_table *table = arg;
    while (wait_for_work(table))
        checkpoint_frozen(table);
    return NULL;
}

int kv_table_start(struct kv_table *table)
{
    int err = pthread_create(&table->thread, NULL, run, table);
    if (err)
        return -err;
    pthread_setname_np(table->thread, "kv-checkpoint");
    table->running = true;
    return 0;
}

void kv_table_stop(struct kv_table *table)
{
    kv_lock(&table->lock);
    table->stop = true;
    pthread_cond_broadcast(&table->changed);
    kv_unlock(&table->lock);
    pthread_join(table->thread, NULL);
}

/* -- Freezing -- */

static bool is_large(const struct kv_memtable *mem, unsigned times)
{
    return kv_memtable_bytes(mem) >= times * (size_t)FREEZE_BYTES ||
           kv_memtable_versions(mem) >= times * (size_t)FREEZE_VERSIONS ||
           kv_memtable_deletions(mem) >= times * (size_t)FREEZE_DELETIONS;
}

static struct kv_wal_position position_at(const struct kv_table *table, uint64_t number)
{
    return (struct kv_wal_position){number, kv_wal_checksum(table->wal)};
}

int kv_table_freeze(struct kv_table *table)
{
    struct kv_memtable *active = table->active, *fresh;
    if (kv_memtable_bytes(active) == 0)
        return 0;
    int err = kv_memtable_new(&fresh);
    if (err)
        return err;
    bool empty = kv_memtable_versions(active) == 0; /* all was undone */
    kv_lock(&table->lock);
    bool frozen = !empty && !table->frozen;
    if (frozen) {
        table->frozen = active;
        table->frozen_position = position_at(table, table->number);
        pthread_cond_broadcast(&table->changed);
    }
    if (frozen || empty)
        table->active = KV_STEAL(fresh);
    kv_unlock(&table->lock);
    if (frozen)
        kv_wal_restart(table->wal);
    if (empty)
        kv_memtable_unref(active);
    kv_memtable_unref(fresh);
    return 0;
}

/* Wait until nothing is frozen. What may pass is tried again. */
static int wait_frozen(struct kv_table *table)
{
    KV_SCOPED_LOCK(&table->lock);
    if (kv_table_may_pass(table->error)) {
        table->error = 0;
        pthread_cond_broadcast(&table->changed);
    }
    while (table->frozen && !table->error)
        pthread_cond_wait(&table->changed, &table->lock);
    return table->error;
}

int kv_table_make_room(struct kv_table *table)
{
    int err = is_large(table->active, 2) ? wait_frozen(table) : 0;
    if (!err && kv_memtable_versions(table->active) == 0)
        err = kv_table_freeze(table);
    if (err)
        return err;
    KV_SCOPED_LOCK(&table->lock);
    return kv_table_may_pass(table->error) ? 0 : table->error;
}

int kv_table_freeze_large(struct kv_table *table)
{
    return is_large(table->active, 1) ? kv_table_freeze(table) : 0;
}

int kv_table_settle(struct kv_table *table)
{
    int err = wait_frozen(table);
    if (!err)
        err = kv_table_freeze(table);
    return err ? err : wait_frozen(table);
}

/* Whether the tables on disk hold everything up to this commit. */
static bool is_saved(struct kv_table *table, uint64_t number)
{
    KV_SCOPED_LOCK(&table->lock);
    return table->saved >= number;
}

int kv_table_checkpoint(struct kv_table *table)
{
    kv_lock(&table->lock);
    uint64_t number = table->number;
    kv_unlock(&table->lock);
    int err = 0;
    while (!err && !is_saved(table, number)) {
        err = wait_frozen(table);
        if (err)
            return err;
        kv_lock(&table->writer);
        err = kv_table_freeze(table);
        kv_unlock(&table->writer);
        if (!err)
            err = wait_frozen(table);
    }
    return err;
}

/* -- Commits that go to disk at once -- */

int kv_table_commit_to_disk(struct kv_table *table, struct kv_memtable *mem,
                            uint64_t number)
{
    struct kv_wal_position position = position_at(table, number);
    KV_CLEANUP(kv_memtable_unrefp) struct kv_memtable *fresh = NULL;
    int err = kv_memtable_new(&fresh);
    if (!err)
        err = kv_table_write(table, mem, &position);
    if (err)
        return err;
    kv_lock(&table->lock);
    struct kv_memtable *active = table->active;
    table->number = table->saved = number;
    if (active == mem)
        table->active = KV_STEAL(fresh);
    kv_unlock(&table->lock);
    if (active == mem)
        kv_memtable_unref(mem);
    kv_wal_restart(table->wal);
    return 0;
}
