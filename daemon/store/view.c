/* Views: memtables laid over the tables on disk; see table.h. */
#include "store/table_internal.h"

#include <errno.h>

#define KEY_MAX 511 /* what LMDB takes */
#define PAGE_BYTES 4096
/* How much larger rows can be on disk than in memory, where half a page may stay empty.
 */
#define ROW_FACTOR 2

/* -- Snapshots -- */

static void free_view(struct kv_view *view)
{
    kv_disk_view_free(view->disk);
    free(view);
}

void kv_view_free_pool(struct kv_table *table)
{
    while (table->pool) {
        struct kv_view *view = table->pool;
        table->pool = view->next;
        free_view(view);
    }
}

/* A view from the pool, or a new one, that looks at what was committed. */
static int begin_locked(struct kv_table *table, struct kv_view **ret)
{
    struct kv_view *view = table->pool;
    if (view)
        table->pool = view->next;
    else
        view = calloc(1, sizeof(*view));
    if (!view)
        return -ENOMEM;
    int err = view->disk ? kv_disk_view_renew(view->disk)
                         : kv_disk_view_new(table->disk, &view->disk);
    if (err) {
        free_view(view);
        return err;
    }
    *view = (struct kv_view){
        .table = table, .root = view, .disk = view->disk, .number = table->number};
    view->mems[view->mem_count++] = kv_memtable_ref(table->active);
    if (table->frozen)
        view->mems[view->mem_count++] = kv_memtable_ref(table->frozen);
    *ret = view;
    return 0;
}

int kv_view_read(struct kv_table *table, struct kv_view **ret)
{
    KV_SCOPED_LOCK(&table->lock);
    return begin_locked(table, ret);
}

/* Let the snapshot go. */
static void give_back(struct kv_view *view)
{
    struct kv_table *table = view->table;
    kv_disk_view_end(view->disk);
    for (unsigned i = 0; i < view->mem_count; i++)
        kv_memtable_unref(view->mems[i]);
    free(view->changes);
    KV_SCOPED_LOCK(&table->lock);
    view->next = table->pool;
    table->pool = view;
}

/* Bytes on disk that the rows in the view's memtables will fill, and how many there
 * are. */
static uint64_t pending_bytes(const struct kv_view *root, uint64_t *ret_rows)
{
    uint64_t bytes = 0;
    *ret_rows = 0;
    for (unsigned i = 0; i < root->mem_count; i++) {
        bytes += ROW_FACTOR * (uint64_t)kv_memtable_bytes(root->mems[i]);
        *ret_rows += kv_memtable_versions(root->mems[i]);
    }
    return bytes;
}

/* Bytes that a checkpoint of the view's memtables can take on disk until it is done:
 * each row may be in a page of its own, which is copied. */
static uint64_t pending_cost(const struct kv_view *root)
{
    uint64_t rows, bytes = pending_bytes(root, &rows);
    uint64_t copies = rows * PAGE_BYTES;
    return bytes + (copies < root->used_bytes ? copies : root->used_bytes);
}

/* Whether so little space is left that only the disk knows what fits. */
static bool is_tight(const struct kv_view *root)
{
    uint64_t rows, all = root->used_bytes + root->free_bytes;
    return root->free_bytes < pending_bytes(root, &rows) + all / 8 ||
           root->free_bytes < pending_cost(root);
}

static int begin_write(struct kv_table *table, struct kv_view **ret)
{
    struct kv_view *view;
    int err = kv_view_read(table, &view);
    if (err)
        return err;
    err = kv_disk_space(table->disk, &view->used_bytes, &view->free_bytes);
    if (err) {
        give_back(view);
        return err;
    }
    view->write = true;
    view->number++;
    *ret = view;
    return 0;
}

/* With little space left nothing waits for a checkpoint, so that what is said to be
 * free is. */
static int begin_exact(struct kv_table *table, struct kv_view **ret)
{
    int err = begin_write(table, ret);
    if (err || !is_tight(*ret))
        return err;
    give_back(*ret);
    err = kv_table_settle(table);
    return err ? err : begin_write(table, ret);
}

int kv_view_write(struct kv_table *table, struct kv_view **ret)
{
    kv_lock(&table->writer);
    int err = kv_table_make_room(table);
    if (!err)
        err = begin_exact(table, ret);
    if (err)
        kv_unlock(&table->writer);
    return err;
}

int kv_view_nested(struct kv_view *parent, struct kv_view **ret)
{
    struct kv_view *view = calloc(1, sizeof(*view));
    if (!view)
        return -ENOMEM;
    view->table = parent->table;
    view->root = parent->root;
    view->write = true;
    view->mark = view->root->change_count;
    *ret = view;
    return 0;
}

void kv_view_rest(struct kv_view *view)
{
    kv_disk_view_rest(view->disk);
}

static void undo_to(struct kv_view *root, size_t mark)
{
    while (root->change_count > mark)
        kv_memtable_undo(root->mems[0], &root->changes[--root->change_count]);
}

void kv_view_end(struct kv_view *view)
{
    if (!view)
        return;
    if (view->write)
        undo_to(view->root, view->mark);
    if (view->root != view) {
        free(view);
        return;
    }
    struct kv_table *table = view->table;
    bool write = view->write;
    give_back(view);
    if (write)
        kv_unlock(&table->writer);
}

uint64_t kv_view_number(const struct kv_view *view)
{
    return view->root->number;
}

int kv_view_space(const struct kv_view *view, uint64_t *ret_used, uint64_t *ret_free)
{
    const struct kv_view *root = view->root;
    uint64_t rows, pending = pending_bytes(root, &rows);
    *ret_used = root->used_bytes;
    *ret_free = root->free_bytes;
    int err = root->write ? 0 : kv_disk_space(root->table->disk, ret_used, ret_free);
    *ret_used += pending / ROW_FACTOR;
    *ret_free = *ret_free > pending ? *ret_free - pending : 0;
    return err;
}

/* -- Commit -- */

static int append_to_log(struct kv_view *root)
{
    struct kv_wal *wal = root->table->wal;
    kv_wal_begin(wal, root->number);
    for (size_t i = 0; i < root->change_count; i++) {
        const struct kv_mem_change *change = &root->changes[i];
        struct kv_slice value;
        bool deletes = kv_mem_change_deletes(change, &value);
        if (kv_mem_change_is_last(change))
            kv_wal_add(wal, change->db, kv_mem_change_key(change), deletes, value);
    }
    return kv_wal_append(wal);
}

static int commit_to_log(struct kv_view *root)
{
    struct kv_table *table = root->table;
    int err = append_to_log(root);
    if (err)
        return err;
    kv_lock(&table->lock);
    table->number = root->number;
    if (kv_memtable_versions(root->mems[0]) == root->change_count) /* the first ones */
        pthread_cond_broadcast(&table->changed);
    kv_unlock(&table->lock);
    /* Without memory for a new memtable: after the next commit, then. */
    if (pending_cost(root) > root->free_bytes / 4)
        (void)kv_table_freeze(table);
    else
        (void)kv_table_freeze_large(table);
    return 0;
}

/* What was committed before goes to disk by itself: a view must not see a part of this
 * commit there and the other part as it was, in the memtable. */
static int commit_to_disk(struct kv_view *root)
{
    struct kv_table *table = root->table;
    bool alone = root->mem_count == 1 &&
                 kv_memtable_versions(root->mems[0]) == root->change_count;
    int err = alone ? 0 : kv_table_settle(table);
    return err ? err : kv_table_commit_to_disk(table, root->mems[0], root->number);
}

static int commit_root(struct kv_view *root)
{
    if (root->change_count == 0)
        return 0;
    return is_tight(root) ? commit_to_disk(root) : commit_to_log(root);
}

int kv_view_commit(struct kv_view *view)
{
    int err = view->root == view ? commit_root(view) : 0;
    if (!err)
        view->mark = view->root->change_count; /* nothing is to be undone */
    kv_view_end(view);
    return err;
}

/* -- Keys -- */

int kv_view_get(struct kv_view *view, enum kv_db db, struct kv_slice key,
                struct kv_slice *ret)
{
    const struct kv_view *root = view->root;
    for (unsigned i = 0; i < root->mem_count; i++) {
        int err = kv_memtable_get(root->mems[i], db, key, root->number, ret);
        if (err != -ENOENT)
            return err == -ENODATA ? -ENOENT : err;
    }
    return kv_disk_get(root->disk, db, key, ret);
}

/* Room to note one more change. */
static int reserve_change(struct kv_view *root)
{
    if (root->change_count < root->change_room)
        return 0;
    size_t room = root->change_room ? 2 * root->change_room : 64;
    struct kv_mem_change *changes =
        reallocarray(root->changes, room, sizeof(*root->changes));
    if (!changes)
        return -ENOMEM;
    root->changes = changes;
    root->change_room = room;
    return 0;
}

int kv_view_put(struct kv_view *view, enum kv_db db, struct kv_slice key, size_t size,
                void **ret)
{
    struct kv_view *root = view->root;
    assert(view->write);
    if (key.len == 0 || key.len > KEY_MAX)
        return -EINVAL;
    int err = reserve_change(root);
    if (!err)
        err = kv_memtable_put(root->mems[0], db, key, root->number, size,
                              &root->changes[root->change_count], ret);
    if (!err)
        root->change_count++;
    return err;
}

int kv_view_delete(struct kv_view *view, enum kv_db db, struct kv_slice key)
{
    struct kv_view *root = view->root;
    struct kv_slice value;
    assert(view->write);
    int err = kv_view_get(view, db, key, &value);
    if (!err)
        err = reserve_change(root);
    if (!err)
        err = kv_memtable_delete(root->mems[0], db, key, root->number,
                                 &root->changes[root->change_count]);
    if (!err)
        root->change_count++;
    return err;
}
