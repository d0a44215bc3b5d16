/* The LMDB environment: tables, views, walks. See table.h.
 *
 * LMDB is opened without WRITEMAP (a full disk would be a SIGBUS) and with NOTLS, so
 * that a read transaction belongs to whoever holds it: ended views are reset and kept
 * in a pool, because renewing one costs a fraction of beginning one. NORDAHEAD, because
 * the access is random. The reserve behind max_bytes is address space, not disk: a
 * delete must copy a few pages before it can free some. */
#include "store/table.h"

#include "base/buf.h"
#include "store/resident.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#define MAX_READERS 1024
#define RESERVE_BYTES (UINT64_C(64) << 20)
/* What puts leave free on the disk, for the pages that a delete must copy. */
#define DISK_RESERVE_BYTES (UINT64_C(2) << 20)
/* Of files resident in this process, its own text included; see resident.h. */
#define RESIDENT_BYTES (UINT64_C(24) << 20)
/* A file that may still grow by so much has room, whatever its free list says. */
#define ROOMY_BYTES (UINT64_C(512) << 20)

/* The table in which LMDB itself keeps the pages that are free: transaction id -> a
 * count and that many page numbers (what mdb_stat -f reads). */
#define FREE_DBI 0

struct kv_view {
    struct kv_table *table;
    MDB_txn *txn;
    bool write;
    unsigned looks;       /* at the map, roughly: since the view began */
    struct kv_view *next; /* in the pool */
};

struct kv_walk {
    MDB_cursor *cursor;
    struct kv_view *view;
};

struct kv_table {
    MDB_env *env;
    MDB_dbi dbi[KV_DB_COUNT];
    /* A second environment on the same file, which only reads and takes no locks; made
     * under pool_lock when the first one has panicked and will not even read any more.
     */
    MDB_env *survivor;
    char *path;
    int witness; /* the file once more; was_disk_full */
    uint64_t max_bytes;
    struct kv_resident resident;
    pthread_mutex_t pool_lock;
    struct kv_view *pool; /* idle read views; pool_lock */
};

static const char *const db_names[KV_DB_COUNT] = {
    [KV_DB_STATE] = "state",
    [KV_DB_LOG] = "log",
    [KV_DB_EXPIRY] = "expiry",
    [KV_DB_META] = "meta",
};

static int errno_of(int rc)
{
    switch (rc) {
    case MDB_SUCCESS:
        return 0;
    case MDB_NOTFOUND:
        return -ENOENT;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL:
        return -ENOSPC;
    case MDB_READERS_FULL:
        return -EMFILE;
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
        return -EPROTO;
    case MDB_BAD_VALSIZE:
        return -EINVAL;
    default:
        return rc > 0 ? -rc : -EIO;
    }
}

static MDB_val val_of(struct kv_slice slice)
{
    return (MDB_val){.mv_size = slice.len, .mv_data = (void *)(uintptr_t)slice.data};
}

static struct kv_slice slice_of(MDB_val val)
{
    return (struct kv_slice){.data = val.mv_data, .len = val.mv_size};
}

/* -- The environment -- */

static int open_tables(MDB_env *env, bool write, MDB_dbi dbi[static KV_DB_COUNT])
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(env, NULL, write ? 0 : MDB_RDONLY, &txn);
    if (rc)
        return errno_of(rc);
    for (int i = 0; i < KV_DB_COUNT && !rc; i++)
        rc = mdb_dbi_open(txn, db_names[i], write ? MDB_CREATE : 0, &dbi[i]);
    if (rc) {
        mdb_txn_abort(txn);
        return errno_of(rc);
    }
    return errno_of(mdb_txn_commit(txn));
}

/* A file that is already larger than max_bytes gets its reserve on top of what it is,
 * or nothing could be deleted from it. */
static int widen_map(struct kv_table *table)
{
    MDB_envinfo info;
    MDB_stat stat;
    int rc = mdb_env_info(table->env, &info);
    if (!rc)
        rc = mdb_env_stat(table->env, &stat);
    if (rc)
        return rc;
    uint64_t wanted = (info.me_last_pgno + 1) * stat.ms_psize + RESERVE_BYTES;
    return wanted > info.me_mapsize ? mdb_env_set_mapsize(table->env, wanted) : 0;
}

static int open_env(struct kv_table *table, const char *path, enum kv_sync sync)
{
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | MDB_NOMEMINIT;
    if (sync != KV_SYNC_ALWAYS)
        flags |= MDB_NOSYNC;
    uint64_t map = table->max_bytes + table->max_bytes / 8 + RESERVE_BYTES;
    int rc = mdb_env_create(&table->env);
    if (!rc)
        rc = mdb_env_set_mapsize(table->env, map & ~UINT64_C(0xffff));
    if (!rc)
        rc = mdb_env_set_maxdbs(table->env, KV_DB_COUNT);
    if (!rc)
        rc = mdb_env_set_maxreaders(table->env, MAX_READERS);
    if (!rc)
        rc = mdb_env_open(table->env, path, flags, 0600);
    if (!rc)
        rc = widen_map(table);
    int dead;
    if (!rc)
        rc = mdb_reader_check(table->env, &dead); /* slots of a killed process */
    return errno_of(rc);
}

static int open_file(struct kv_table *table)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf file = {0};
    kv_buf_addf(&file, "%s/data.mdb", table->path);
    kv_buf_addc(&file, '\0');
    if (kv_buf_error(&file))
        return -ENOMEM;
    table->witness = open(file.data, O_RDONLY | O_CLOEXEC);
    if (table->witness < 0)
        return -errno;
    return kv_resident_init(&table->resident, file.data, RESIDENT_BYTES);
}

int kv_table_open(const char *path, uint64_t max_bytes, enum kv_sync sync,
                  struct kv_table **ret)
{
    KV_CLEANUP(kv_table_closep) struct kv_table *table = calloc(1, sizeof(*table));
    if (!table)
        return -ENOMEM;
    pthread_mutex_init(&table->pool_lock, NULL);
    table->max_bytes = max_bytes;
    table->resident.statm = table->witness = -1;
    table->path = strdup(path);
    if (!table->path)
        return -ENOMEM;
    int err = open_env(table, path, sync);
    if (!err)
        err = open_tables(table->env, true, table->dbi);
    if (!err)
        err = open_file(table);
    if (err)
        return err;
    *ret = KV_STEAL(table);
    return 0;
}

void kv_table_close(struct kv_table *table)
{
    if (!table)
        return;
    while (table->pool) {
        struct kv_view *view = table->pool;
        table->pool = view->next;
        mdb_txn_abort(view->txn);
        free(view);
    }
    if (table->survivor)
        mdb_env_close(table->survivor);
    if (table->env)
        mdb_env_close(table->env);
    kv_resident_done(&table->resident);
    kv_close(&table->witness);
    free(table->path);
    pthread_mutex_destroy(&table->pool_lock);
    free(table);
}

int kv_table_sync(struct kv_table *table)
{
    return errno_of(mdb_env_sync(table->env, 1));
}

int kv_table_copy(struct kv_table *table, int fd)
{
    int rc = mdb_env_copyfd2(table->env, fd, MDB_CP_COMPACT);
    (void)kv_resident_trim(&table->resident); /* it has read the whole map */
    return errno_of(rc);
}

/* -- Views -- */

static struct kv_view *pool_take(struct kv_table *table)
{
    KV_SCOPED_LOCK(&table->pool_lock);
    struct kv_view *view = table->pool;
    if (view)
        table->pool = view->next;
    return view;
}

static void pool_give(struct kv_table *table, struct kv_view *view)
{
    KV_SCOPED_LOCK(&table->pool_lock);
    view->next = table->pool;
    table->pool = view;
}

/* Open the file once more to go on reading after a panic: LMDB takes back what it wrote
 * of the commit that failed, so the file is as of the last one that did not. */
static int open_survivor(struct kv_table *table)
{
    MDB_env *env;
    MDB_envinfo info;
    MDB_dbi dbi[KV_DB_COUNT];
    int rc = mdb_env_create(&env);
    if (rc)
        return errno_of(rc);
    rc = mdb_env_info(table->env, &info);
    if (!rc)
        rc = mdb_env_set_mapsize(env, info.me_mapsize);
    if (!rc)
        rc = mdb_env_set_maxdbs(env, KV_DB_COUNT);
    if (!rc)
        rc = mdb_env_open(env, table->path,
                          MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS | MDB_NORDAHEAD, 0);
    int err = rc ? errno_of(rc) : open_tables(env, false, dbi);
    /* Opened in the same order the tables have the same numbers. */
    if (!err && memcmp(dbi, table->dbi, sizeof(dbi)) != 0)
        err = -EIO;
    if (err)
        mdb_env_close(env);
    else
        table->survivor = env;
    return err;
}

static int find_survivor(struct kv_table *table, MDB_env **ret)
{
    KV_SCOPED_LOCK(&table->pool_lock);
    int err = table->survivor ? 0 : open_survivor(table);
    *ret = table->survivor;
    return err;
}

static int begin(struct kv_table *table, MDB_txn *parent, bool write,
                 struct kv_view **ret)
{
    KV_CLEANUP(kv_free) struct kv_view *view = calloc(1, sizeof(*view));
    if (!view)
        return -ENOMEM;
    unsigned flags = write ? 0 : MDB_RDONLY;
    int rc = mdb_txn_begin(table->env, parent, flags, &view->txn);
    if (rc == MDB_PANIC && !write) {
        MDB_env *survivor;
        int err = find_survivor(table, &survivor);
        if (err)
            return err;
        rc = mdb_txn_begin(survivor, NULL, flags, &view->txn);
    }
    if (rc)
        return errno_of(rc);
    view->table = table;
    view->write = write;
    *ret = KV_STEAL(view);
    return 0;
}

int kv_view_read(struct kv_table *table, struct kv_view **ret)
{
    struct kv_view *view = pool_take(table);
    if (!view)
        return begin(table, NULL, false, ret);
    int rc = mdb_txn_renew(view->txn);
    if (!rc) {
        view->looks = 0;
        *ret = view;
        return 0;
    }
    mdb_txn_abort(view->txn);
    free(view);
    return rc == MDB_PANIC ? kv_view_read(table, ret) : errno_of(rc);
}

int kv_view_write(struct kv_table *table, struct kv_view **ret)
{
    return begin(table, NULL, true, ret);
}

int kv_view_nested(struct kv_view *parent, struct kv_view **ret)
{
    return begin(parent->table, parent->txn, true, ret);
}

void kv_view_end(struct kv_view *view)
{
    if (!view)
        return;
    if (view->write) {
        mdb_txn_abort(view->txn);
        free(view);
        return;
    }
    mdb_txn_reset(view->txn);
    struct kv_table *table = view->table;
    kv_resident_touch(&table->resident, view->looks);
    pool_give(table, view);
}

void kv_view_rest(struct kv_view *view)
{
    kv_resident_touch(&view->table->resident, view->looks);
    view->looks = 0;
}

/* How large the file can become on its disk as it is now, less the reserve. */
static int disk_limit(MDB_env *env, uint64_t *ret)
{
    int fd;
    struct stat st;
    struct statvfs disk;
    int rc = mdb_env_get_fd(env, &fd);
    if (rc)
        return errno_of(rc);
    if (fstat(fd, &st) < 0 || fstatvfs(fd, &disk) < 0)
        return -errno;
    uint64_t limit = (uint64_t)st.st_size + disk.f_bavail * disk.f_frsize;
    *ret = limit > DISK_RESERVE_BYTES ? limit - DISK_RESERVE_BYTES : 0;
    return 0;
}

/* A disk that becomes full in the middle of a write makes it a short one, which LMDB
 * reports as EIO, and nothing of the commit has taken effect. A sync that failed is
 * EIO, too, and not to be forgiven: the kernel tells of it once more, to a descriptor
 * that has not heard yet. */
static bool was_disk_full(const struct kv_table *table, int rc)
{
    struct statvfs disk;
    return rc == EIO && fstatvfs(table->witness, &disk) == 0 &&
           disk.f_bavail * disk.f_frsize < DISK_RESERVE_BYTES / 2 &&
           fdatasync(table->witness) == 0;
}

int kv_view_commit(struct kv_view *view)
{
    struct kv_table *table = view->table;
    int rc = mdb_txn_commit(view->txn);
    kv_resident_touch(&table->resident, view->looks);
    free(view);
    return was_disk_full(table, rc) ? -ENOSPC : errno_of(rc);
}

uint64_t kv_view_number(struct kv_view *view)
{
    return mdb_txn_id(view->txn);
}

/* Pages on the free list, as of the last commit. LMDB shows it to read transactions
 * only, so this takes one of its own (which NOTLS allows beside a write). It costs
 * time in proportion to the list, so it is left out while the file may still grow by
 * more than one batch can need. */
static int free_pages(struct kv_table *table, uint64_t *ret)
{
    KV_CLEANUP(kv_view_endp) struct kv_view *view = NULL;
    KV_CLEANUP(kv_walk_closep) struct kv_walk *walk = calloc(1, sizeof(*walk));
    if (!walk)
        return -ENOMEM;
    int err = kv_view_read(table, &view);
    if (err)
        return err;
    int rc = mdb_cursor_open(view->txn, FREE_DBI, &walk->cursor);
    if (rc)
        return errno_of(rc);
    uint64_t pages = 0;
    MDB_val key, value;
    while ((rc = mdb_cursor_get(walk->cursor, &key, &value, MDB_NEXT)) == 0) {
        size_t count;
        memcpy(&count, value.mv_data, sizeof(count));
        pages += count;
    }
    if (rc != MDB_NOTFOUND)
        return errno_of(rc);
    *ret = pages;
    return 0;
}

int kv_view_space(struct kv_view *view, uint64_t *ret_used, uint64_t *ret_free)
{
    MDB_envinfo info;
    MDB_stat stat;
    int rc = mdb_env_info(view->table->env, &info);
    if (!rc)
        rc = mdb_env_stat(view->table->env, &stat);
    if (rc)
        return errno_of(rc);
    uint64_t max = 0;
    int err = disk_limit(view->table->env, &max);
    if (err)
        return err;
    if (max > view->table->max_bytes)
        max = view->table->max_bytes;
    uint64_t used = (info.me_last_pgno + 1) * stat.ms_psize;
    if (used + max / 16 > max || used + ROOMY_BYTES > max) {
        uint64_t pages = 0;
        err = free_pages(view->table, &pages);
        if (err)
            return err;
        used -= pages * stat.ms_psize;
    }
    *ret_used = used;
    *ret_free = used < max ? max - used : 0;
    return 0;
}

int kv_view_get(struct kv_view *view, enum kv_db db, struct kv_slice key,
                struct kv_slice *ret)
{
    MDB_val k = val_of(key), v;
    view->looks++;
    int rc = mdb_get(view->txn, view->table->dbi[db], &k, &v);
    if (rc)
        return errno_of(rc);
    *ret = slice_of(v);
    return 0;
}

int kv_view_put(struct kv_view *view, enum kv_db db, struct kv_slice key, size_t size,
                bool append, void **ret)
{
    MDB_val k = val_of(key), v = {.mv_size = size};
    unsigned flags = MDB_RESERVE | (append ? MDB_APPEND : 0);
    view->looks++;
    int rc = mdb_put(view->txn, view->table->dbi[db], &k, &v, flags);
    if (rc)
        return errno_of(rc);
    *ret = v.mv_data;
    return 0;
}

int kv_view_delete(struct kv_view *view, enum kv_db db, struct kv_slice key)
{
    MDB_val k = val_of(key);
    return errno_of(mdb_del(view->txn, view->table->dbi[db], &k, NULL));
}

/* -- Walks -- */

int kv_walk_open(struct kv_view *view, enum kv_db db, struct kv_walk **ret)
{
    KV_CLEANUP(kv_walk_closep) struct kv_walk *walk = calloc(1, sizeof(*walk));
    if (!walk)
        return -ENOMEM;
    int rc = mdb_cursor_open(view->txn, view->table->dbi[db], &walk->cursor);
    if (rc)
        return errno_of(rc);
    walk->view = view;
    *ret = KV_STEAL(walk);
    return 0;
}

void kv_walk_close(struct kv_walk *walk)
{
    if (!walk)
        return;
    if (walk->cursor)
        mdb_cursor_close(walk->cursor);
    free(walk);
}

static int step(struct kv_walk *walk, MDB_val k, MDB_cursor_op op,
                struct kv_slice *ret_key, struct kv_slice *ret_value)
{
    MDB_val v;
    walk->view->looks++;
    int rc = mdb_cursor_get(walk->cursor, &k, &v, op);
    if (rc)
        return errno_of(rc);
    *ret_key = slice_of(k);
    *ret_value = slice_of(v);
    return 0;
}

int kv_walk_seek(struct kv_walk *walk, struct kv_slice from, struct kv_slice *ret_key,
                 struct kv_slice *ret_value)
{
    /* LMDB refuses the empty key, which sorts before all others. */
    return step(walk, val_of(from), from.len ? MDB_SET_RANGE : MDB_FIRST, ret_key,
                ret_value);
}

int kv_walk_first(struct kv_walk *walk, struct kv_slice *ret_key,
                  struct kv_slice *ret_value)
{
    return step(walk, (MDB_val){0}, MDB_FIRST, ret_key, ret_value);
}

int kv_walk_next(struct kv_walk *walk, struct kv_slice *ret_key,
                 struct kv_slice *ret_value)
{
    return step(walk, (MDB_val){0}, MDB_NEXT, ret_key, ret_value);
}

int kv_walk_last(struct kv_walk *walk, struct kv_slice *ret_key,
                 struct kv_slice *ret_value)
{
    return step(walk, (MDB_val){0}, MDB_LAST, ret_key, ret_value);
}

int kv_walk_prev(struct kv_walk *walk, struct kv_slice *ret_key,
                 struct kv_slice *ret_value)
{
    return step(walk, (MDB_val){0}, MDB_PREV, ret_key, ret_value);
}

int kv_walk_delete(struct kv_walk *walk)
{
    return errno_of(mdb_cursor_del(walk->cursor, 0));
}
