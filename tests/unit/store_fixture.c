/* A store for the tests; see store_fixture.h. */
#include "store_fixture.h"

#include "store/expiry.h"
#include "store/state.h"

#include <ftw.h>
#include <stdio.h>

struct kv_store *store;
struct kv_store_config store_config;

/* -- The directory -- */

char *temp_dir_make(void)
{
    const char *base = getenv("TMPDIR");
    char *path = NULL;
    ck_assert_int_gt(asprintf(&path, "%s/kvfs-unit-XXXXXX", base ? base : "/tmp"), 0);
    ck_assert_ptr_nonnull(mkdtemp(path));
    return path;
}

static int remove_entry(const char *path, const struct stat *st, int type,
                        struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void temp_dir_remove(char *path)
{
    ck_assert_int_eq(nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS), 0);
    free(path);
}

void store_setup_closed(void)
{
    store_config = (struct kv_store_config){.path = temp_dir_make()};
    kv_store_config_default(&store_config);
    store_config.sync = KV_SYNC_OFF;
    store_config.cache_bytes = 1u << 20;
    store_config.max_value_bytes = 1u << 20;
    store_config.max_store_bytes = 64u << 20;
    store_config.log_max_bytes = 8u << 20;
    store_config.uid = 1000;
    store_config.gid = 1001;
}

void store_setup(void)
{
    store_setup_closed();
    ck_assert_int_eq(store_open(), 0);
}

void store_teardown(void)
{
    store_shut();
    temp_dir_remove((char *)(uintptr_t)store_config.path);
}

int store_open(void)
{
    ck_assert_ptr_null(store);
    return kv_store_open(&store_config, &store);
}

void store_shut(void)
{
    kv_store_close(store);
    store = NULL;
}

void store_reopen(void)
{
    store_shut();
    ck_assert_int_eq(store_open(), 0);
}

/* -- Transactions -- */

struct kv_txn *txn_make(void)
{
    struct kv_txn *txn;
    ck_assert_int_eq(kv_txn_new(KV_ORIGIN_HTTP, NULL, NULL, &txn), 0);
    return txn;
}

struct kv_op *txn_add(struct kv_txn *txn, enum kv_op_type type, const char *key)
{
    struct kv_op *op;
    ck_assert_int_eq(kv_txn_op(txn, type, key, strlen(key), &op), 0);
    return op;
}

struct kv_op *txn_put(struct kv_txn *txn, const char *key, const char *value)
{
    struct kv_op *op = txn_add(txn, KV_OP_PUT, key);
    op->flags = KV_OP_PARENTS;
    ck_assert_int_eq(kv_op_set_value(op, value, strlen(value)), 0);
    return op;
}

struct kv_op *txn_rename(struct kv_txn *txn, const char *from, const char *to,
                         unsigned flags)
{
    struct kv_op *op = txn_add(txn, KV_OP_RENAME, from);
    op->flags = flags;
    ck_assert_int_eq(kv_op_set_to(op, to, strlen(to)), 0);
    return op;
}

int txn_commit(struct kv_txn *txn)
{
    int err = kv_store_commit(store, txn);
    ck_assert_int_eq(err, txn->error);
    kv_txn_free(txn);
    return err;
}

/* -- One operation -- */

static int one_op(enum kv_op_type type, const char *key, unsigned flags)
{
    struct kv_txn *txn = txn_make();
    txn_add(txn, type, key)->flags = flags;
    return txn_commit(txn);
}

int put_flags(const char *key, const char *value, unsigned flags)
{
    struct kv_txn *txn = txn_make();
    txn_put(txn, key, value)->flags = flags;
    return txn_commit(txn);
}

int put(const char *key, const char *value)
{
    return put_flags(key, value, KV_OP_PARENTS);
}

int put_sized(const char *key, size_t len, char fill)
{
    struct kv_txn *txn = txn_make();
    struct kv_op *op = txn_put(txn, key, "");
    ck_assert_int_eq(kv_buf_resize(&op->value, len), 0);
    if (len > 0)
        memset(op->value.data, fill, len);
    return txn_commit(txn);
}

int put_expiring(const char *key, const char *value, int64_t expiry_ns)
{
    struct kv_txn *txn = txn_make();
    struct kv_op *op = txn_put(txn, key, value);
    op->set = KV_SET_EXPIRY;
    op->meta.expiry_ns = expiry_ns;
    return txn_commit(txn);
}

int append(const char *key, const char *value)
{
    struct kv_txn *txn = txn_make();
    struct kv_op *op = txn_put(txn, key, value);
    op->type = KV_OP_APPEND;
    return txn_commit(txn);
}

int del(const char *key)
{
    return one_op(KV_OP_DELETE, key, 0);
}

int del_tree(const char *key)
{
    return one_op(KV_OP_DELETE_TREE, key, 0);
}

void put_link(const char *key, const char *target)
{
    struct kv_txn *txn = txn_make();
    struct kv_op *op = txn_put(txn, key, target);
    op->set = KV_SET_MODE;
    op->meta.mode = S_IFLNK | 0777;
    ck_assert_int_eq(txn_commit(txn), 0);
}

int make_dir(const char *key)
{
    return one_op(KV_OP_MKDIR, key, KV_OP_PARENTS);
}

int remove_dir(const char *key)
{
    return one_op(KV_OP_RMDIR, key, 0);
}

int move(const char *from, const char *to, unsigned flags)
{
    struct kv_txn *txn = txn_make();
    txn_rename(txn, from, to, flags);
    return txn_commit(txn);
}

static int set_meta(const char *key, unsigned set, const struct kv_meta *meta)
{
    struct kv_txn *txn = txn_make();
    struct kv_op *op = txn_add(txn, KV_OP_SET_META, key);
    op->set = set;
    op->meta = *meta;
    return txn_commit(txn);
}

int set_mode(const char *key, uint32_t mode)
{
    return set_meta(key, KV_SET_MODE, &(struct kv_meta){.mode = mode});
}

int set_expiry(const char *key, int64_t expiry_ns)
{
    return set_meta(key, KV_SET_EXPIRY, &(struct kv_meta){.expiry_ns = expiry_ns});
}

int set_size(const char *key, uint64_t size)
{
    return set_meta(key, KV_SET_SIZE, &(struct kv_meta){.size = size});
}

int set_xattr(const char *key, const char *name, const char *value, int mode)
{
    struct kv_txn *txn = txn_make();
    struct kv_op *op = txn_add(txn, KV_OP_SET_META, key);
    ck_assert_int_eq(
        kv_op_set_xattr(op, name, strlen(name), value, value ? strlen(value) : 0, mode),
        0);
    return txn_commit(txn);
}

/* -- Reading -- */

int lookup(const char *key)
{
    struct kv_record *record = NULL;
    int err = kv_store_get(store, key, strlen(key), &record);
    kv_record_unref(record);
    return err;
}

static struct kv_record *record_of(const char *key)
{
    struct kv_record *record = NULL;
    ck_assert_msg(kv_store_get(store, key, strlen(key), &record) == 0,
                  "'%s' is not there", key);
    ck_assert_uint_eq(record->key_len, strlen(key));
    ck_assert_mem_eq(record->key, key, strlen(key));
    return record;
}

struct kv_meta meta_of(const char *key)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = record_of(key);
    return record->meta;
}

/* The bytes as a text in a buffer that is kept for the next call. */
static const char *as_text(struct kv_buf *buf, const void *data, size_t len)
{
    kv_buf_reset(buf);
    kv_buf_add(buf, data, len);
    kv_buf_addc(buf, '\0');
    ck_assert_int_eq(kv_buf_error(buf), 0);
    return buf->data;
}

const char *value_of(const char *key)
{
    static struct kv_buf text;
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    int err = kv_store_get(store, key, strlen(key), &record);
    ck_assert(err == 0 || err == -ENOENT);
    if (err)
        return "-";
    ck_assert(!record->bare);
    return as_text(&text, record->value, record->meta.size);
}

const char *xattr_of(const char *key, const char *name)
{
    static struct kv_buf text;
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = record_of(key);
    const void *value;
    size_t len;
    int err = kv_xattr_get(record->xattrs, record->xattrs_len, name, strlen(name),
                           &value, &len);
    ck_assert(err == 0 || err == -ENODATA);
    return err ? NULL : as_text(&text, value, len);
}

const char *tree_of(const char *dir)
{
    static struct kv_buf text;
    kv_buf_reset(&text);
    struct kv_list_query query = {
        .dir = dir, .dir_len = strlen(dir), .recursive = true, .directories = true};
    KV_CLEANUP(kv_list_done) struct kv_list list = {0};
    ck_assert_int_eq(kv_store_list(store, &query, &list), 0);
    for (size_t i = 0; i < list.count; i++)
        kv_buf_addf(&text, "%s%s%s", i ? " " : "", list.records[i]->key,
                    kv_record_is_dir(list.records[i]) ? "/" : "");
    kv_buf_addc(&text, '\0');
    return text.data;
}

struct kv_event **read_events(uint64_t since, size_t *ret_count)
{
    struct kv_cursor cursor = kv_cursor_after(since);
    struct kv_event **events = NULL;
    size_t count = 0, more;
    do {
        events = reallocarray(events, count + 100, sizeof(*events));
        ck_assert_ptr_nonnull(events);
        ck_assert_int_eq(
            kv_feed_read(kv_store_feed(store), &cursor, events + count, 100, &more), 0);
        count += more;
    } while (more > 0);
    *ret_count = count;
    return events;
}

void free_events(struct kv_event **events, size_t count)
{
    while (count > 0)
        kv_event_unref(events[--count]);
    free(events);
}

const char *events_since(uint64_t since)
{
    static struct kv_buf text;
    kv_buf_reset(&text);
    size_t count;
    struct kv_event **events = read_events(since, &count);
    for (size_t i = 0; i < count; i++) {
        const struct kv_event *event = events[i];
        kv_buf_addf(&text, "%s%d.%u:%s%s%s%s:%s", i ? " " : "", (int)event->revision,
                    event->index, kv_event_type_name(event->type),
                    event->created ? "+" : "", event->implied ? "~" : "",
                    event->exchanged ? "x" : "", event->record->key);
        if (event->from)
            kv_buf_addf(&text, "<%.*s", (int)event->from_len, event->from);
        kv_buf_adds(&text, event->last ? "." : "");
    }
    free_events(events, count);
    kv_buf_addc(&text, '\0');
    return text.data;
}

uint64_t revision_now(void)
{
    return kv_store_revision(store);
}

struct kv_store_status status_now(void)
{
    struct kv_store_status status;
    ck_assert_int_eq(kv_store_status(store, &status), 0);
    return status;
}

/* -- Consistency -- */

struct figures {
    uint64_t keys, directories, expiring;
};

static void check_row(struct kv_view *view, struct kv_slice key, struct kv_slice value,
                      struct figures *figures)
{
    struct kv_row row, parent;
    ck_assert_int_eq(kv_row_decode(value, &row), 0);
    if (key.len == 1 && *(const char *)key.data == '\0') {
        ck_assert_uint_eq(row.meta.id, KV_ROOT_ID);
        return;
    }
    ck_assert_int_eq(kv_key_check(key.data, key.len), KV_KEY_VALID);
    ck_assert_int_eq(
        kv_state_get(view, key.data, kv_key_parent_len(key.data, key.len), &parent), 0);
    ck_assert(S_ISDIR(parent.meta.mode));
    if (S_ISDIR(row.meta.mode))
        figures->directories++;
    else
        figures->keys++;
    figures->expiring += row.meta.expiry_ns != 0;
}

static int check_due(void *ctx, int64_t expiry_ns, const void *key, size_t len)
{
    struct figures *figures = ((void **)ctx)[0];
    struct kv_row row;
    ck_assert_int_eq(kv_state_get(((void **)ctx)[1], key, len, &row), 0);
    ck_assert_int_eq(row.meta.expiry_ns, expiry_ns);
    ck_assert_uint_gt(figures->expiring, 0);
    figures->expiring--;
    return 0;
}

static void check_view(struct kv_view *view)
{
    struct figures figures = {0};
    struct kv_counters counters;
    ck_assert_int_eq(kv_counters_get(view, &counters), 0);
    struct kv_walk *walk;
    struct kv_slice key, value;
    ck_assert_int_eq(kv_walk_open(view, KV_DB_STATE, &walk), 0);
    int err = kv_walk_first(walk, &key, &value);
    for (; !err; err = kv_walk_next(walk, &key, &value))
        check_row(view, key, value, &figures);
    ck_assert_int_eq(err, -ENOENT);
    kv_walk_close(walk);
    ck_assert_uint_eq(counters.keys, figures.keys);
    ck_assert_uint_eq(counters.directories, figures.directories);
    int64_t next_ns;
    ck_assert_int_eq(kv_expiry_due(view, INT64_MIN, INT64_MAX, SIZE_MAX, check_due,
                                   (void *[]){&figures, view}, &next_ns),
                     0);
    ck_assert_uint_eq(figures.expiring, 0); /* each has a row in the index */
}

static void check_log(struct kv_view *view)
{
    struct kv_counters counters;
    ck_assert_int_eq(kv_counters_get(view, &counters), 0);
    struct kv_walk *walk;
    struct kv_slice key, value;
    uint64_t events = 0, bytes = 0;
    ck_assert_int_eq(kv_walk_open(view, KV_DB_LOG, &walk), 0);
    int err = kv_walk_first(walk, &key, &value);
    for (; !err; err = kv_walk_next(walk, &key, &value)) {
        events++;
        bytes += key.len + value.len;
    }
    ck_assert_int_eq(err, -ENOENT);
    kv_walk_close(walk);
    ck_assert_uint_eq(counters.log_events, events);
    ck_assert_uint_eq(counters.log_bytes, bytes);
}

void check_store(void)
{
    store_shut();
    struct kv_table *table;
    struct kv_view *view;
    ck_assert_int_eq(kv_table_open(store_config.path, store_config.max_store_bytes,
                                   store_config.sync, &table),
                     0);
    ck_assert_int_eq(kv_view_read(table, &view), 0);
    check_view(view);
    check_log(view);
    kv_view_end(view);
    kv_table_close(table);
    ck_assert_int_eq(store_open(), 0);
}
