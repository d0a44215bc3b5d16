/* Reading: one key through the cache, listings and history from one snapshot. Any
 * thread; nothing here waits for the committer. */
#include "store/store_internal.h"

#include "base/clock.h"
#include "store/changelog.h"

#include <errno.h>
#include <string.h>

/* A stat of a value up to this size reads it whole, because then it can be cached. */
#define STAT_READS_BYTES (64u << 10)
/* Values that one call to the log returns. */
#define BACKLOG_BYTES (4u << 20)

/* Ask LMDB, and let the cache know the answer. *ret: a record or NULL for absent. */
static int read_through(struct kv_store *store, const void *key, size_t len,
                        bool want_value, struct kv_record **ret)
{
    int err = len ? kv_key_rule_errno(kv_key_check(key, len)) : 0;
    if (err)
        return err;
    KV_CLEANUP(kv_view_endp) struct kv_view *view = NULL;
    struct kv_row row;
    err = kv_view_read(store->table, &view);
    if (!err)
        err = kv_state_get(view, key, len, &row);
    if (err == -ENOENT) {
        kv_lru_fill(store->lru, key, len, NULL, kv_view_number(view));
        *ret = NULL;
        return 0;
    }
    if (err)
        return err;
    bool bare = !want_value && row.meta.size > STAT_READS_BYTES;
    struct kv_record *record = kv_row_record(&row, key, len, bare);
    if (!record)
        return -ENOMEM;
    if (!bare)
        kv_lru_fill(store->lru, key, len, record, kv_view_number(view));
    *ret = record;
    return 0;
}

static int get(struct kv_store *store, const void *key, size_t len, bool want_value,
               struct kv_record **ret)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    enum kv_lru_answer answer = kv_lru_get(store->lru, key, len, &record);
    if (answer == KV_LRU_MISS) {
        int err = read_through(store, key, len, want_value, &record);
        if (err)
            return err;
    }
    if (!record)
        return -ENOENT;
    if (record->meta.expiry_ns && kv_record_expired(record, kv_clock_realtime_ns()))
        return -ENOENT;
    *ret = KV_STEAL(record);
    return 0;
}

int kv_store_get(struct kv_store *store, const void *key, size_t len,
                 struct kv_record **ret)
{
    return get(store, key, len, true, ret);
}

int kv_store_stat(struct kv_store *store, const void *key, size_t len,
                  struct kv_record **ret)
{
    return get(store, key, len, false, ret);
}

/* -- Listing -- */

struct lister {
    const struct kv_list_query *query;
    struct kv_list *list;
    size_t room, bytes, scanned;
    int64_t now_ns;
};

/* The first key that can be part of the answer, for a seek. */
static void first_key(const struct kv_list_query *query, struct kv_buf *from)
{
    if (query->dir_len) {
        kv_buf_add(from, query->dir, query->dir_len);
        kv_buf_addc(from, '/');
    } else {
        kv_buf_addc(from, '\x01'); /* behind the root's own row */
    }
    if (kv_key_compare(query->prefix, query->prefix_len, from->data, from->len) > 0) {
        kv_buf_reset(from);
        kv_buf_add(from, query->prefix, query->prefix_len);
    }
    if (query->after_len &&
        kv_key_compare(query->after, query->after_len, from->data, from->len) >= 0) {
        kv_buf_reset(from);
        kv_buf_add(from, query->after, query->after_len);
        kv_buf_addc(from, '\0'); /* the next key that can exist */
    }
}

static bool in_range(const struct kv_list_query *query, struct kv_slice key)
{
    return kv_key_is_below(key.data, key.len, query->dir, query->dir_len) &&
           key.len >= query->prefix_len &&
           (query->prefix_len == 0 ||
            memcmp(key.data, query->prefix, query->prefix_len) == 0);
}

/* Where the component of a direct child ends when key lies deeper; 0 when it is one. */
static size_t deeper_than_child(const struct kv_list_query *query, struct kv_slice key)
{
    size_t skip = query->dir_len ? query->dir_len + 1 : 0;
    const char *text = key.data;
    const char *slash = memchr(text + skip, '/', key.len - skip);
    return slash ? (size_t)(slash - text) : 0;
}

static bool wants_value(const struct kv_list_query *query, const struct kv_row *row)
{
    return query->values && (!query->value_max || row->meta.size <= query->value_max);
}

static int add(struct lister *lister, const struct kv_row *row, struct kv_slice key)
{
    struct kv_list *list = lister->list;
    if (list->count == lister->room) {
        size_t room = lister->room ? lister->room * 2 : 32;
        struct kv_record **records =
            reallocarray(list->records, room, sizeof(*list->records));
        if (!records)
            return -ENOMEM;
        list->records = records;
        lister->room = room;
    }
    bool bare = !wants_value(lister->query, row);
    struct kv_record *record = kv_row_record(row, key.data, key.len, bare);
    if (!record)
        return -ENOMEM;
    list->records[list->count++] = record;
    lister->bytes += bare ? 0 : row->meta.size;
    return 0;
}

/* Cut the listing behind this key. */
static int stop_behind(struct kv_list *list, const void *key, size_t len)
{
    list->more = true;
    kv_buf_add(&list->next, key, len);
    return kv_buf_error(&list->next) ? -ENOMEM : 1;
}

/* A directory on the way to something is shown, a key that is in its place is not. */
static bool is_shown(const struct kv_list_query *query, struct kv_slice key, bool is_dir)
{
    return !query->within || is_dir ||
           kv_within_place(query->within, key.data, key.len) == KV_INSIDE;
}

/* One row of the range: 1 when the listing is cut before it, 0, or an error. */
static int consider(struct lister *lister, struct kv_slice key, struct kv_slice value)
{
    const struct kv_list_query *query = lister->query;
    struct kv_row row;
    int err = kv_row_decode(value, &row);
    if (err)
        return err;
    if (S_ISDIR(row.meta.mode) && !query->directories)
        return 0;
    if (!is_shown(query, key, S_ISDIR(row.meta.mode)))
        return 0;
    if (row.meta.expiry_ns && row.meta.expiry_ns <= lister->now_ns)
        return 0;
    bool full = query->limit && lister->list->count == query->limit;
    bool heavy = wants_value(query, &row) && query->max_bytes &&
                 lister->list->count > 0 &&
                 lister->bytes + row.meta.size > query->max_bytes;
    if (full || heavy) {
        const struct kv_record *last = lister->list->records[lister->list->count - 1];
        return stop_behind(lister->list, last->key, last->key_len);
    }
    return add(lister, &row, key);
}

/* Go on behind the subtree of the child that ends at child_len: all of it begins with
 * the child and '/', and '0' is the byte after that. */
static int skip_subtree(struct kv_walk *walk, struct kv_slice *key, size_t child_len,
                        struct kv_slice *value)
{
    char behind[KV_KEY_MAX + 1];
    if (child_len > KV_KEY_MAX)
        return -EBADMSG;
    memcpy(behind, key->data, child_len);
    behind[child_len] = '/' + 1;
    return kv_walk_seek(walk, (struct kv_slice){behind, child_len + 1}, key, value);
}

static bool is_outside(const struct kv_list_query *query, struct kv_slice key)
{
    return query->within &&
           kv_within_place(query->within, key.data, key.len) == KV_OUTSIDE;
}

/* Go on where something begins that is to be listed. */
static int skip_outside(const struct kv_list_query *query, struct kv_walk *walk,
                        struct kv_slice *key, struct kv_slice *value)
{
    char next[KV_KEY_MAX + 1];
    size_t len;
    if (!kv_within_next(query->within, key->data, key->len, next, &len))
        return -ENOENT;
    return kv_walk_seek(walk, (struct kv_slice){next, len}, key, value);
}

static int walk_range(struct lister *lister, struct kv_walk *walk)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf from = {0};
    first_key(lister->query, &from);
    if (kv_buf_error(&from))
        return -ENOMEM;
    struct kv_slice key, value;
    int err = kv_walk_seek(walk, (struct kv_slice){from.data, from.len}, &key, &value);
    while (!err && in_range(lister->query, key)) {
        if (is_outside(lister->query, key)) {
            err = skip_outside(lister->query, walk, &key, &value);
            continue;
        }
        size_t child =
            lister->query->recursive ? 0 : deeper_than_child(lister->query, key);
        if (!child)
            err = consider(lister, key, value);
        if (!err && ++lister->scanned == lister->query->scan_max)
            err = stop_behind(lister->list, key.data, key.len);
        if (!err)
            err = child ? skip_subtree(walk, &key, child, &value)
                        : kv_walk_next(walk, &key, &value);
    }
    return err == -ENOENT || err == 1 ? 0 : err;
}

static int check_dir(struct kv_view *view, const struct kv_list_query *query)
{
    if (query->dir_len == 0) /* the root is always the root */
        return 0;
    if (query->dir_len > KV_KEY_MAX)
        return -ENAMETOOLONG;
    struct kv_row row;
    int err = kv_state_get(view, query->dir, query->dir_len, &row);
    if (err)
        return err;
    if (!S_ISDIR(row.meta.mode))
        return -ENOTDIR;
    return query->dir_id && query->dir_id != row.meta.id ? -ESTALE : 0;
}

int kv_store_list(struct kv_store *store, const struct kv_list_query *query,
                  struct kv_list *ret)
{
    *ret = (struct kv_list){0};
    KV_CLEANUP(kv_list_done) struct kv_list list = {0};
    KV_CLEANUP(kv_view_endp) struct kv_view *view = NULL;
    KV_CLEANUP(kv_walk_closep) struct kv_walk *walk = NULL;
    struct kv_counters counters;
    int err = kv_view_read(store->table, &view);
    if (!err)
        err = kv_counters_get(view, &counters);
    if (!err)
        err = check_dir(view, query);
    if (!err)
        err = kv_walk_open(view, KV_DB_STATE, &walk);
    if (err)
        return err;
    struct lister lister = {
        .query = query, .list = &list, .now_ns = kv_clock_realtime_ns()};
    err = walk_range(&lister, walk);
    if (err)
        return err;
    list.revision = counters.revision;
    *ret = list;
    list = (struct kv_list){0};
    return 0;
}

void kv_list_done(struct kv_list *list)
{
    while (list->count > 0)
        kv_record_unref(list->records[--list->count]);
    free(list->records);
    kv_buf_done(&list->next);
    *list = (struct kv_list){0};
}

/* -- The log -- */

int kv_store_backlog(void *ctx, const struct kv_cursor *cursor, struct kv_event **out,
                     size_t max, size_t *ret_count)
{
    struct kv_store *store = ctx;
    KV_CLEANUP(kv_view_endp) struct kv_view *view = NULL;
    int err = kv_view_read(store->table, &view);
    if (err)
        return err;
    return kv_changelog_read(view, cursor, out, max, BACKLOG_BYTES, ret_count);
}

int kv_store_history(struct kv_store *store, const struct kv_history_query *query,
                     struct kv_history *ret)
{
    KV_CLEANUP(kv_view_endp) struct kv_view *view = NULL;
    int err = kv_view_read(store->table, &view);
    return err ? err : kv_changelog_history(view, query, ret);
}
