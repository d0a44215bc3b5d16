/* The LMDB environment: tables, views, cursors, writes. See disk.h.
 *
 * LMDB is opened without WRITEMAP (a full disk would be a SIGBUS) and with NOTLS, so
 * that a read transaction belongs to whoever holds it. NORDAHEAD, because the access is
 * random. The reserve behind max_bytes is address space, not disk: a
 * delete must copy a few pages before it can free some. */
#include "store/disk.h"

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

struct kv_disk_view {
    struct kv_disk *disk;
    MDB_txn *txn;
    unsigned looks; /* at the map, roughly: since the view began */
};

struct kv_disk_cursor {
    MDB_cursor *cursor;
    struct kv_disk_view *view;
};

struct kv_disk_write {
    struct kv_disk *disk;
    MDB_txn *txn;
};

struct kv_disk {
    MDB_env *env;
    MDB_dbi dbi[KV_DB_COUNT];
    /* A second environment on the same file, which only reads and takes no locks; made
     * under survivor_lock when the first one has panicked and will not even read any
     * more.
     */
    MDB_env *survivor;
    char *path;
    int witness; /* the file once more; was_disk_full */
    uint64_t max_bytes;
    struct kv_resident resident;
    pthread_mutex_t survivor_lock;
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
static int widen_map(struct kv_disk *disk)
{
    MDB_envinfo info;
    MDB_stat stat;
    int rc = mdb_env_info(disk->env, &info);
    if (!rc)
        rc = mdb_env_stat(disk->env, &stat);
    if (rc)
        return rc;
    uint64_t wanted = (info.me_last_pgno + 1) * stat.ms_psize + RESERVE_BYTES;
    return wanted > info.me_mapsize ? mdb_env_set_mapsize(disk->env, wanted) : 0;
}

static int open_env(struct kv_disk *disk, const char *path)
{
    unsigned flags = MDB_NOTLS | MDB_NORDAHEAD | MDB_NOMEMINIT;
    uint64_t map = disk->max_bytes + disk->max_bytes / 8 + RESERVE_BYTES;
    int rc = mdb_env_create(&disk->env);
    if (!rc)
        rc = mdb_env_set_mapsize(disk->env, map & ~UINT64_C(0xffff));
    if (!rc)
        rc = mdb_env_set_maxdbs(disk->env, KV_DB_COUNT);
    if (!rc)
        rc = mdb_env_set_maxreaders(disk->env, MAX_READERS);
    if (!rc)
        rc = mdb_env_open(disk->env, path, flags, 0600);
    if (!rc)
        rc = widen_map(disk);
    int dead;
    if (!rc)
        rc = mdb_reader_check(disk->env, &dead); /* slots of a killed process */
    return errno_of(rc);
}

static int open_file(struct kv_disk *disk)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf file = {0};
    kv_buf_addf(&file, "%s/data.mdb", disk->path);
    kv_buf_addc(&file, '\0');
    if (kv_buf_error(&file))
        return -ENOMEM;
    disk->witness = open(file.data, O_RDONLY | O_CLOEXEC);
    if (disk->witness < 0)
        return -errno;
    return kv_resident_init(&disk->resident, file.data, RESIDENT_BYTES);
}

int kv_disk_open(const char *path, uint64_t max_bytes, struct kv_disk **ret)
{
    KV_CLEANUP(kv_disk_closep) struct kv_disk *disk = calloc(1, sizeof(*disk));
    if (!disk)
        return -ENOMEM;
    pthread_mutex_init(&disk->survivor_lock, NULL);
    disk->max_bytes = max_bytes;
    disk->resident.statm = disk->witness = -1;
    disk->path = strdup(path);
    if (!disk->path)
        return -ENOMEM;
    int err = open_env(disk, path);
    if (!err)
        err = open_tables(disk->env, true, disk->dbi);
    if (!err)
        err = open_file(disk);
    if (err)
        return err;
    *ret = KV_STEAL(disk);
    return 0;
}

void kv_disk_close(struct kv_disk *disk)
{
    if (!disk)
        return;
    if (disk->survivor)
        mdb_env_close(disk->survivor);
    if (disk->env)
        mdb_env_close(disk->env);
    kv_resident_done(&disk->resident);
    kv_close(&disk->witness);
    free(disk->path);
    pthread_mutex_destroy(&disk->survivor_lock);
    free(disk);
}

int kv_disk_copy(struct kv_disk *disk, int fd)
{
    int rc = mdb_env_copyfd2(disk->env, fd, MDB_CP_COMPACT);
    (void)kv_resident_trim(&disk->resident); /* it has read the whole map */
    return errno_of(rc);
}

/* -- Views -- */

/* Open the file once more to go on reading after a panic: LMDB takes back what it wrote
 * of the commit that failed, so the file is as of the last one that did not. */
static int open_survivor(struct kv_disk *disk)
{
    MDB_env *env;
    MDB_envinfo info;
    MDB_dbi dbi[KV_DB_COUNT];
    int rc = mdb_env_create(&env);
    if (rc)
        return errno_of(rc);
    rc = mdb_env_info(disk->env, &info);
    if (!rc)
        rc = mdb_env_set_mapsize(env, info.me_mapsize);
    if (!rc)
        rc = mdb_env_set_maxdbs(env, KV_DB_COUNT);
    if (!rc)
        rc = mdb_env_open(env, disk->path,
                          MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS | MDB_NORDAHEAD, 0);
    int err = rc ? errno_of(rc) : open_tables(env, false, dbi);
    /* Opened in the same order the tables have the same numbers. */
    if (!err && memcmp(dbi, disk->dbi, sizeof(dbi)) != 0)
        err = -EIO;
    if (err)
        mdb_env_close(env);
    else
        disk->survivor = env;
    return err;
}

static int find_survivor(struct kv_disk *disk, MDB_env **ret)
{
    KV_SCOPED_LOCK(&disk->survivor_lock);
    int err = disk->survivor ? 0 : open_survivor(disk);
    *ret = disk->survivor;
    return err;
}

/* Begin a view's transaction. */
static int begin(struct kv_disk_view *view)
{
    struct kv_disk *disk = view->disk;
    int rc = mdb_txn_begin(disk->env, NULL, MDB_RDONLY, &view->txn);
    if (rc == MDB_PANIC) {
        MDB_env *survivor;
        int err = find_survivor(disk, &survivor);
        if (err)
            return err;
        rc = mdb_txn_begin(survivor, NULL, MDB_RDONLY, &view->txn);
    }
    return errno_of(rc);
}

int kv_disk_view_new(struct kv_disk *disk, struct kv_disk_view **ret)
{
    KV_CLEANUP(kv_disk_view_freep) struct kv_disk_view *view = calloc(1, sizeof(*view));
    if (!view)
        return -ENOMEM;
    view->disk = disk;
    int err = begin(view);
    if (err)
        return err;
    *ret = KV_STEAL(view);
    return 0;
}

int kv_disk_view_renew(struct kv_disk_view *view)
{
    view->looks = 0;
    if (view->txn && mdb_txn_renew(view->txn) == 0)
        return 0;
    mdb_txn_abort(view->txn);
    view->txn = NULL;
    return begin(view);
}

void kv_disk_view_end(struct kv_disk_view *view)
{
    mdb_txn_reset(view->txn);
    kv_disk_view_rest(view);
}

void kv_disk_view_free(struct kv_disk_view *view)
{
    if (!view)
        return;
    mdb_txn_abort(view->txn);
    free(view);
}

void kv_disk_view_rest(struct kv_disk_view *view)
{
    kv_resident_touch(&view->disk->resident, view->looks);
    view->looks = 0;
}

int kv_disk_get(struct kv_disk_view *view, enum kv_db db, struct kv_slice key,
                struct kv_slice *ret)
{
    MDB_val k = val_of(key), v;
    view->looks++;
    int rc = mdb_get(view->txn, view->disk->dbi[db], &k, &v);
    if (rc)
        return errno_of(rc);
    *ret = slice_of(v);
    return 0;
}

/* -- Cursors -- */

int kv_disk_cursor_open(struct kv_disk_view *view, enum kv_db db,
                        struct kv_disk_cursor **ret)
{
    KV_CLEANUP(kv_free) struct kv_disk_cursor *cursor = calloc(1, sizeof(*cursor));
    if (!cursor)
        return -ENOMEM;
    int rc = mdb_cursor_open(view->txn, view->disk->dbi[db], &cursor->cursor);
    if (rc)
        return errno_of(rc);
    cursor->view = view;
    *ret = KV_STEAL(cursor);
    return 0;
}

void kv_disk_cursor_close(struct kv_disk_cursor *cursor)
{
    mdb_cursor_close(cursor->cursor);
    free(cursor);
}

static MDB_cursor_op op_of(enum kv_move move, struct kv_slice from)
{
    switch (move) {
    case KV_MOVE_SEEK:
        /* LMDB refuses the empty key, which sorts before all others. */
        return from.len ? MDB_SET_RANGE : MDB_FIRST;
    case KV_MOVE_NEXT:
        return MDB_NEXT;
    case KV_MOVE_LAST:
        return MDB_LAST;
    case KV_MOVE_PREV:
        return MDB_PREV;
    case KV_MOVE_FIRST:
        break;
    }
    return MDB_FIRST;
}

int kv_disk_cursor_move(struct kv_disk_cursor *cursor, enum kv_move move,
                        struct kv_slice from, struct kv_slice *ret_key,
                        struct kv_slice *ret_value)
{
    MDB_val k = val_of(from), v;
    cursor->view->looks++;
    int rc = mdb_cursor_get(cursor->cursor, &k, &v, op_of(move, from));
    if (rc)
        return errno_of(rc);
    *ret_key = slice_of(k);
    *ret_value = slice_of(v);
    return 0;
}

/* -- Space -- */

/* How large the file can become on its disk as it is now, less the reserve. */
static int disk_limit(MDB_env *env, uint64_t *ret)
{
    int fd;
    struct stat st;
    struct statvfs fs;
    int rc = mdb_env_get_fd(env, &fd);
    if (rc)
        return errno_of(rc);
    if (fstat(fd, &st) < 0 || fstatvfs(fd, &fs) < 0)
        return -errno;
    uint64_t limit = (uint64_t)st.st_size + fs.f_bavail * fs.f_frsize;
    *ret = limit > DISK_RESERVE_BYTES ? limit - DISK_RESERVE_BYTES : 0;
    return 0;
}

/* Pages on the free list, as of the last commit. It costs time in proportion to the
 * list, so it is left out while the file may still grow by more than one commit can
 * need. */
static int free_pages(struct kv_disk *disk, uint64_t *ret)
{
    KV_CLEANUP(kv_disk_view_freep) struct kv_disk_view *view = NULL;
    int err = kv_disk_view_new(disk, &view);
    if (err)
        return err;
    MDB_cursor *cursor;
    int rc = mdb_cursor_open(view->txn, FREE_DBI, &cursor);
    if (rc)
        return errno_of(rc);
    uint64_t pages = 0;
    MDB_val key, value;
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0) {
        size_t count;
        memcpy(&count, value.mv_data, sizeof(count));
        pages += count;
    }
    mdb_cursor_close(cursor);
    if (rc != MDB_NOTFOUND)
        return errno_of(rc);
    *ret = pages;
    return 0;
}

int kv_disk_space(struct kv_disk *disk, uint64_t *ret_used, uint64_t *ret_free)
{
    MDB_envinfo info;
    MDB_stat stat;
    int rc = mdb_env_info(disk->env, &info);
    if (!rc)
        rc = mdb_env_stat(disk->env, &stat);
    if (rc)
        return errno_of(rc);
    uint64_t max = 0;
    int err = disk_limit(disk->env, &max);
    if (err)
        return err;
    if (max > disk->max_bytes)
        max = disk->max_bytes;
    uint64_t used = (info.me_last_pgno + 1) * stat.ms_psize;
    if (used + max / 16 > max || used + ROOMY_BYTES > max) {
        uint64_t pages = 0;
        err = free_pages(disk, &pages);
        if (err)
            return err;
        used -= pages * stat.ms_psize;
    }
    *ret_used = used;
    *ret_free = used < max ? max - used : 0;
    return 0;
}

/* -- Writes -- */

int kv_disk_write_begin(struct kv_disk *disk, struct kv_disk_write **ret)
{
    KV_CLEANUP(kv_free) struct kv_disk_write *write = calloc(1, sizeof(*write));
    if (!write)
        return -ENOMEM;
    int rc = mdb_txn_begin(disk->env, NULL, 0, &write->txn);
    if (rc)
        return errno_of(rc);
    write->disk = disk;
    *ret = KV_STEAL(write);
    return 0;
}

int kv_disk_put(struct kv_disk_write *write, enum kv_db db, struct kv_slice key,
                struct kv_slice value)
{
    MDB_val k = val_of(key), v = val_of(value);
    return errno_of(mdb_put(write->txn, write->disk->dbi[db], &k, &v, 0));
}

int kv_disk_delete(struct kv_disk_write *write, enum kv_db db, struct kv_slice key)
{
    MDB_val k = val_of(key);
    int rc = mdb_del(write->txn, write->disk->dbi[db], &k, NULL);
    return rc == MDB_NOTFOUND ? 0 : errno_of(rc);
}

/* A disk that becomes full in the middle of a write makes it a short one, which LMDB
 * reports as EIO, and nothing of the commit has taken effect. A sync that failed is
 * EIO, too, and not to be forgiven: the kernel tells of it once more, to a descriptor
 * that has not heard yet. */
static bool was_disk_full(const struct kv_disk *disk, int rc)
{
    struct statvfs fs;
    return rc == EIO && fstatvfs(disk->witness, &fs) == 0 &&
           fs.f_bavail * fs.f_frsize < DISK_RESERVE_BYTES / 2 &&
           fdatasync(disk->witness) == 0;
}

int kv_disk_commit(struct kv_disk_write *write)
{
    struct kv_disk *disk = write->disk;
    int rc = mdb_txn_commit(write->txn);
    free(write);
    return was_disk_full(disk, rc) ? -ENOSPC : errno_of(rc);
}

void kv_disk_abort(struct kv_disk_write *write)
{
    if (!write)
        return;
    mdb_txn_abort(write->txn);
    free(write);
}
