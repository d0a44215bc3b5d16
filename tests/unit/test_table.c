#include "store_fixture.h"

#include "store/table.h"

#include <stdio.h>

#define MIB (UINT64_C(1) << 20)

static char *dir;
static struct kv_table *table;

static void open_sized(uint64_t max_bytes)
{
    ck_assert_int_eq(kv_table_open(dir, max_bytes, KV_SYNC_OFF, &table), 0);
}

static void setup(void)
{
    dir = temp_dir_make();
    open_sized(64 * MIB);
}

static void teardown(void)
{
    kv_table_close(table);
    temp_dir_remove(dir);
}

static void reopen_sized(uint64_t max_bytes)
{
    kv_table_close(table);
    open_sized(max_bytes);
}

/* -- One-liners -- */

static struct kv_slice slice(const char *text)
{
    return (struct kv_slice){text, strlen(text)};
}

static struct kv_view *begin_read(void)
{
    struct kv_view *view;
    ck_assert_int_eq(kv_view_read(table, &view), 0);
    return view;
}

static struct kv_view *begin_write(void)
{
    struct kv_view *view;
    ck_assert_int_eq(kv_view_write(table, &view), 0);
    return view;
}

static struct kv_view *begin_nested(struct kv_view *parent)
{
    struct kv_view *view;
    ck_assert_int_eq(kv_view_nested(parent, &view), 0);
    return view;
}

static void view_put(struct kv_view *view, const char *key, const char *value)
{
    void *place;
    ck_assert_int_eq(kv_view_put(view, KV_DB_STATE, slice(key), strlen(value), &place),
                     0);
    memcpy(place, value, strlen(value));
}

static int put_bytes(struct kv_view *view, const char *key, size_t len)
{
    void *place;
    int err = kv_view_put(view, KV_DB_STATE, slice(key), len, &place);
    if (!err)
        memset(place, 'x', len);
    return err;
}

static const char *view_value(struct kv_view *view, const char *key)
{
    static char text[64];
    struct kv_slice value;
    int err = kv_view_get(view, KV_DB_STATE, slice(key), &value);
    if (err == -ENOENT)
        return "-";
    ck_assert_int_eq(err, 0);
    (void)snprintf(text, sizeof(text), "%.*s", (int)value.len,
                   (const char *)value.data);
    return text;
}

static void put_committed(const char *key, const char *value)
{
    struct kv_view *view = begin_write();
    view_put(view, key, value);
    ck_assert_int_eq(kv_view_commit(view), 0);
}

static const char *committed_value(const char *key)
{
    struct kv_view *view = begin_read();
    const char *value = view_value(view, key);
    kv_view_end(view);
    return value;
}

static struct kv_walk *begin_walk(struct kv_view *view)
{
    struct kv_walk *walk;
    ck_assert_int_eq(kv_walk_open(view, KV_DB_STATE, &walk), 0);
    return walk;
}

static void put_letters(struct kv_view *view, const char *letters)
{
    for (; *letters; letters++)
        view_put(view, (char[]){*letters, '\0'}, "v");
}

/* All keys of the state table in one word. */
static const char *all_keys(struct kv_view *view)
{
    static char text[256];
    size_t len = 0;
    KV_CLEANUP(kv_walk_closep) struct kv_walk *walk = begin_walk(view);
    struct kv_slice key, value;
    int err;
    for (err = kv_walk_first(walk, &key, &value); !err;
         err = kv_walk_next(walk, &key, &value)) {
        ck_assert_uint_lt(len + key.len, sizeof(text));
        memcpy(text + len, key.data, key.len);
        len += key.len;
    }
    ck_assert_int_eq(err, -ENOENT);
    text[len] = '\0';
    return text;
}

/* -- Views -- */

START_TEST(a_committed_put_is_seen_by_later_views)
{
    put_committed("k", "one");
    ck_assert_str_eq(committed_value("k"), "one");
    ck_assert_str_eq(committed_value("other"), "-");
}
END_TEST

START_TEST(an_ended_write_view_leaves_nothing)
{
    struct kv_view *view = begin_write();
    view_put(view, "k", "one");
    ck_assert_str_eq(view_value(view, "k"), "one");
    kv_view_end(view);
    ck_assert_str_eq(committed_value("k"), "-");
}
END_TEST

START_TEST(a_read_view_keeps_its_snapshot)
{
    put_committed("k", "old");
    struct kv_view *before = begin_read();
    struct kv_view *write = begin_write();
    view_put(write, "k", "new");
    struct kv_view *during = begin_read();
    ck_assert_int_eq(kv_view_commit(write), 0);
    ck_assert_str_eq(view_value(before, "k"), "old");
    ck_assert_str_eq(view_value(during, "k"), "old");
    kv_view_end(before);
    kv_view_end(during);
    ck_assert_str_eq(committed_value("k"), "new");
}
END_TEST

START_TEST(an_ended_read_view_is_reused_with_a_new_snapshot)
{
    put_committed("k", "old");
    for (int i = 0; i < 2000; i++) /* more than there are reader slots */
        kv_view_end(begin_read());
    put_committed("k", "new");
    ck_assert_str_eq(committed_value("k"), "new");
}
END_TEST

START_TEST(too_many_read_views_are_refused_and_recover)
{
    enum { MANY = 2000 };
    static struct kv_view *views[MANY];
    int count = 0, err = 0;
    while (count < MANY && (err = kv_view_read(table, &views[count])) == 0)
        count++;
    ck_assert_int_eq(err, -EMFILE);
    ck_assert_int_ge(count, 1000);
    kv_view_end(views[--count]);
    kv_view_end(begin_read());
    while (count > 0)
        kv_view_end(views[--count]);
    ck_assert_str_eq(committed_value("k"), "-");
}
END_TEST

START_TEST(the_number_of_a_write_view_is_one_above_the_readers)
{
    put_committed("k", "v");
    struct kv_view *read = begin_read();
    struct kv_view *write = begin_write();
    ck_assert_uint_eq(kv_view_number(write), kv_view_number(read) + 1);
    uint64_t made = kv_view_number(write);
    view_put(write, "k", "w");
    ck_assert_int_eq(kv_view_commit(write), 0);
    kv_view_end(read);
    read = begin_read();
    ck_assert_uint_eq(kv_view_number(read), made);
    kv_view_end(read);
}
END_TEST

START_TEST(a_number_that_was_not_committed_is_used_again)
{
    struct kv_view *view = begin_write();
    uint64_t number = kv_view_number(view);
    kv_view_end(view);
    view = begin_write();
    ck_assert_uint_eq(kv_view_number(view), number);
    kv_view_end(view);
}
END_TEST

START_TEST(ending_null_does_nothing)
{
    kv_view_end(NULL);
    kv_walk_close(NULL);
    kv_table_close(NULL);
}
END_TEST

START_TEST(tables_are_separate)
{
    struct kv_view *view = begin_write();
    view_put(view, "k", "state");
    struct kv_slice value;
    for (int db = KV_DB_LOG; db < KV_DB_COUNT; db++)
        ck_assert_int_eq(kv_view_get(view, (enum kv_db)db, slice("k"), &value),
                         -ENOENT);
    kv_view_end(view);
}
END_TEST

START_TEST(deleting_what_is_not_there_is_enoent)
{
    struct kv_view *view = begin_write();
    ck_assert_int_eq(kv_view_delete(view, KV_DB_STATE, slice("k")), -ENOENT);
    view_put(view, "k", "v");
    ck_assert_int_eq(kv_view_delete(view, KV_DB_STATE, slice("k")), 0);
    ck_assert_str_eq(view_value(view, "k"), "-");
    kv_view_end(view);
}
END_TEST

START_TEST(a_value_may_be_empty_or_large)
{
    struct kv_view *view = begin_write();
    ck_assert_int_eq(put_bytes(view, "empty", 0), 0);
    ck_assert_int_eq(put_bytes(view, "large", 5 * MIB), 0);
    ck_assert_int_eq(kv_view_commit(view), 0);
    view = begin_read();
    struct kv_slice value;
    ck_assert_int_eq(kv_view_get(view, KV_DB_STATE, slice("empty"), &value), 0);
    ck_assert_uint_eq(value.len, 0);
    ck_assert_int_eq(kv_view_get(view, KV_DB_STATE, slice("large"), &value), 0);
    ck_assert_uint_eq(value.len, 5 * MIB);
    ck_assert_int_eq(((const char *)value.data)[5 * MIB - 1], 'x');
    kv_view_end(view);
}
END_TEST

START_TEST(what_was_committed_is_there_after_reopening)
{
    put_committed("k", "one");
    reopen_sized(64 * MIB);
    ck_assert_str_eq(committed_value("k"), "one");
}
END_TEST

/* -- Nested views -- */

START_TEST(a_nested_view_that_ends_is_undone)
{
    struct kv_view *outer = begin_write();
    put_letters(outer, "ab");
    struct kv_view *inner = begin_nested(outer);
    view_put(inner, "a", "changed");
    view_put(inner, "c", "v");
    ck_assert_int_eq(kv_view_delete(inner, KV_DB_STATE, slice("b")), 0);
    ck_assert_str_eq(all_keys(inner), "ac");
    kv_view_end(inner);
    ck_assert_str_eq(all_keys(outer), "ab");
    ck_assert_str_eq(view_value(outer, "a"), "v");
    ck_assert_int_eq(kv_view_commit(outer), 0);
    ck_assert_str_eq(committed_value("a"), "v");
}
END_TEST

START_TEST(a_nested_view_that_commits_adds_to_its_parent)
{
    struct kv_view *outer = begin_write();
    put_letters(outer, "a");
    struct kv_view *inner = begin_nested(outer);
    put_letters(inner, "b");
    ck_assert_int_eq(kv_view_commit(inner), 0);
    ck_assert_str_eq(all_keys(outer), "ab");
    ck_assert_str_eq(committed_value("b"), "-");
    kv_view_end(outer);
    ck_assert_str_eq(committed_value("b"), "-");
}
END_TEST

START_TEST(many_nested_views_with_large_values_keep_the_table_whole)
{
    struct kv_view *outer = begin_write();
    char key[16];
    for (int i = 0; i < 300; i++) {
        struct kv_view *inner = begin_nested(outer);
        (void)snprintf(key, sizeof(key), "k%03d", i % 50);
        ck_assert_int_eq(put_bytes(inner, key, (size_t)(i % 7) * 3000 + 1), 0);
        if (i % 3 == 0)
            kv_view_end(inner);
        else
            ck_assert_int_eq(kv_view_commit(inner), 0);
    }
    ck_assert_int_eq(kv_view_commit(outer), 0);
    struct kv_view *view = begin_read();
    for (int k = 0; k < 50; k++) {
        size_t expected = 0;
        for (int i = k; i < 300; i += 50)
            if (i % 3 != 0)
                expected = (size_t)(i % 7) * 3000 + 1;
        (void)snprintf(key, sizeof(key), "k%03d", k);
        struct kv_slice value;
        ck_assert_int_eq(kv_view_get(view, KV_DB_STATE, slice(key), &value), 0);
        ck_assert_uint_eq(value.len, expected);
        for (size_t i = 0; i < value.len; i++)
            ck_assert_int_eq(((const char *)value.data)[i], 'x');
    }
    kv_view_end(view);
}
END_TEST

/* -- Walks -- */

START_TEST(a_walk_goes_both_ways_in_byte_order)
{
    struct kv_view *view = begin_write();
    put_letters(view, "dbac");
    struct kv_walk *walk = begin_walk(view);
    struct kv_slice key, value;
    ck_assert_str_eq(all_keys(view), "abcd");
    ck_assert_int_eq(kv_walk_last(walk, &key, &value), 0);
    ck_assert_bytes(key.data, key.len, "d");
    ck_assert_int_eq(kv_walk_prev(walk, &key, &value), 0);
    ck_assert_bytes(key.data, key.len, "c");
    ck_assert_int_eq(kv_walk_first(walk, &key, &value), 0);
    ck_assert_int_eq(kv_walk_prev(walk, &key, &value), -ENOENT);
    kv_walk_close(walk);
    kv_view_end(view);
}
END_TEST

START_TEST(a_seek_finds_the_first_key_not_less)
{
    struct kv_view *view = begin_write();
    put_letters(view, "bd");
    struct kv_walk *walk = begin_walk(view);
    struct kv_slice key, value;
    ck_assert_int_eq(kv_walk_seek(walk, slice("b"), &key, &value), 0);
    ck_assert_bytes(key.data, key.len, "b");
    ck_assert_int_eq(kv_walk_seek(walk, slice("bb"), &key, &value), 0);
    ck_assert_bytes(key.data, key.len, "d");
    ck_assert_int_eq(kv_walk_seek(walk, slice("e"), &key, &value), -ENOENT);
    ck_assert_int_eq(kv_walk_seek(walk, slice(""), &key, &value), 0);
    ck_assert_bytes(key.data, key.len, "b");
    kv_walk_close(walk);
    kv_view_end(view);
}
END_TEST

START_TEST(a_walk_over_an_empty_table_finds_nothing)
{
    struct kv_view *view = begin_read();
    struct kv_walk *walk = begin_walk(view);
    struct kv_slice key, value;
    ck_assert_int_eq(kv_walk_first(walk, &key, &value), -ENOENT);
    ck_assert_int_eq(kv_walk_last(walk, &key, &value), -ENOENT);
    ck_assert_int_eq(kv_walk_seek(walk, slice("a"), &key, &value), -ENOENT);
    kv_walk_close(walk);
    kv_view_end(view);
}
END_TEST

START_TEST(deleting_while_walking_visits_each_pair_once)
{
    struct kv_view *view = begin_write();
    char name[16];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "k%04d", i);
        ck_assert_int_eq(put_bytes(view, name, 100), 0);
    }
    struct kv_walk *walk = begin_walk(view);
    struct kv_slice key, value;
    int seen = 0, err;
    for (err = kv_walk_first(walk, &key, &value); !err;
         err = kv_walk_next(walk, &key, &value), seen++) {
        (void)snprintf(name, sizeof(name), "k%04d", seen);
        ck_assert_mem_eq(key.data, name, 5);
        if (seen % 3 != 1)
            ck_assert_int_eq(kv_walk_delete(walk), 0);
    }
    ck_assert_int_eq(err, -ENOENT);
    ck_assert_int_eq(seen, 1000);
    seen = 0;
    for (err = kv_walk_first(walk, &key, &value); !err;
         err = kv_walk_next(walk, &key, &value))
        seen++;
    ck_assert_int_eq(seen, 333);
    kv_walk_close(walk);
    ck_assert_int_eq(kv_view_commit(view), 0);
}
END_TEST

START_TEST(a_key_has_1_to_511_bytes)
{
    struct kv_view *view = begin_write();
    char key[513] = {0};
    void *place;
    for (size_t len = 0; len < sizeof(key); len++)
        ck_assert_int_eq(
            kv_view_put(view, KV_DB_STATE, (struct kv_slice){key, len}, 0, &place),
            len >= 1 && len <= 511 ? 0 : -EINVAL);
    ck_assert_int_eq(kv_view_commit(view), 0);
    ck_assert_int_eq(kv_table_checkpoint(table), 0);
}
END_TEST

/* -- Space -- */

static uint64_t space_left(void)
{
    struct kv_view *view = begin_read();
    uint64_t used, left;
    ck_assert_int_eq(kv_view_space(view, &used, &left), 0);
    ck_assert_uint_gt(used, 0);
    kv_view_end(view);
    return left;
}

START_TEST(space_shrinks_with_what_is_put_and_comes_back)
{
    reopen_sized(8 * MIB);
    uint64_t before = space_left();
    ck_assert_uint_le(before, 8 * MIB);
    ck_assert_uint_gt(before, 7 * MIB);
    char key[16];
    for (int i = 0; i < 7; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        struct kv_view *view = begin_write();
        ck_assert_int_eq(put_bytes(view, key, MIB), 0);
        ck_assert_int_eq(kv_view_commit(view), 0);
    }
    uint64_t full = space_left();
    ck_assert_uint_lt(full, MIB);
    for (int i = 0; i < 7; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        struct kv_view *view = begin_write();
        ck_assert_int_eq(kv_view_delete(view, KV_DB_STATE, slice(key)), 0);
        ck_assert_int_eq(kv_view_commit(view), 0);
    }
    ck_assert_int_eq(kv_table_checkpoint(table), 0);
    ck_assert_uint_gt(space_left(), 7 * MIB);
}
END_TEST

START_TEST(space_can_be_asked_in_a_write_view_of_a_full_table)
{
    reopen_sized(4 * MIB);
    struct kv_view *view = begin_write();
    ck_assert_int_eq(put_bytes(view, "k", 5 * MIB), 0);
    ck_assert_int_eq(kv_view_commit(view), 0);
    view = begin_write();
    uint64_t used, left = 1;
    ck_assert_int_eq(kv_view_space(view, &used, &left), 0);
    ck_assert_uint_eq(left, 0);
    ck_assert_int_eq(kv_view_delete(view, KV_DB_STATE, slice("k")), 0);
    ck_assert_int_eq(kv_view_commit(view), 0);
    view = begin_write();
    ck_assert_int_eq(kv_view_space(view, &used, &left), 0);
    ck_assert_uint_gt(left, 3 * MIB);
    kv_view_end(view);
}
END_TEST

START_TEST(a_full_map_is_enospc_and_a_delete_recovers)
{
    reopen_sized(MIB);
    char key[16];
    int err = 0, count = 0;
    for (; !err && count < 1000; count++) {
        (void)snprintf(key, sizeof(key), "k%d", count);
        struct kv_view *view = begin_write();
        err = put_bytes(view, key, MIB);
        if (err)
            kv_view_end(view);
        else
            err = kv_view_commit(view);
    }
    ck_assert_int_eq(err, -ENOSPC);
    ck_assert_int_gt(count, 32); /* the reserve holds that many */
    for (int i = 0; i < 3; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        struct kv_view *view = begin_write();
        ck_assert_int_eq(kv_view_delete(view, KV_DB_STATE, slice(key)), 0);
        ck_assert_int_eq(kv_view_commit(view), 0);
    }
    struct kv_view *view = begin_write();
    ck_assert_int_eq(put_bytes(view, "again", MIB / 2), 0);
    ck_assert_int_eq(kv_view_commit(view), 0);
}
END_TEST

START_TEST(a_table_opened_with_a_smaller_bound_can_still_delete)
{
    reopen_sized(256 * MIB);
    struct kv_view *view = begin_write();
    char key[16];
    for (int i = 0; i < 30; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        ck_assert_int_eq(put_bytes(view, key, 5 * MIB), 0);
    }
    ck_assert_int_eq(kv_view_commit(view), 0);
    reopen_sized(MIB);
    ck_assert_uint_eq(space_left(), 0);
    for (int i = 0; i < 30; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        view = begin_write();
        ck_assert_int_eq(kv_view_delete(view, KV_DB_STATE, slice(key)), 0);
        ck_assert_int_eq(kv_view_commit(view), 0);
    }
    ck_assert_str_eq(committed_value("k0"), "-");
}
END_TEST

/* -- The environment -- */

START_TEST(a_file_that_is_no_environment_is_eproto)
{
    kv_table_close(table);
    table = NULL;
    KV_CLEANUP(kv_free) char *path = NULL;
    ck_assert_int_gt(asprintf(&path, "%s/data.mdb", dir), 0);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    for (int i = 0; i < 10000; i++)
        ck_assert_int_ge(fputs("not LMDB ", file), 0);
    ck_assert_int_eq(fclose(file), 0);
    struct kv_table *other = NULL;
    ck_assert_int_eq(kv_table_open(dir, MIB, KV_SYNC_OFF, &other), -EPROTO);
    ck_assert_ptr_null(other);
}
END_TEST

START_TEST(a_missing_directory_is_enoent)
{
    struct kv_table *other = NULL;
    ck_assert_int_eq(kv_table_open("/nonexistent/kvfs", MIB, KV_SYNC_OFF, &other),
                     -ENOENT);
    ck_assert_ptr_null(other);
}
END_TEST

/* Field 3 of /proc/self/statm in bytes. */
static uint64_t resident_files(void)
{
    FILE *file = fopen("/proc/self/statm", "r");
    ck_assert_ptr_nonnull(file);
    unsigned long pages;
    ck_assert_int_eq(fscanf(file, "%*u %*u %lu", &pages), 1);
    ck_assert_int_eq(fclose(file), 0);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

START_TEST(reading_much_keeps_little_resident)
{
    enum { ROWS = 15000, BYTES = 4000 };
    char key[16];
    struct kv_view *view = begin_write();
    for (int i = 0; i < ROWS; i++) {
        (void)snprintf(key, sizeof(key), "k%05d", i);
        ck_assert_int_eq(put_bytes(view, key, BYTES), 0);
    }
    ck_assert_int_eq(kv_view_commit(view), 0);
    uint64_t before = resident_files();
    for (int i = 0; i < ROWS; i++) {
        (void)snprintf(key, sizeof(key), "k%05d", i);
        struct kv_slice value;
        view = begin_read();
        ck_assert_int_eq(kv_view_get(view, KV_DB_STATE, slice(key), &value), 0);
        ck_assert_int_eq(((const char *)value.data)[BYTES - 1], 'x');
        kv_view_end(view);
    }
    ck_assert_uint_lt(resident_files(), before + 48 * MIB);
}
END_TEST

START_TEST(sync_writes_what_a_weaker_mode_left)
{
    put_committed("k", "v");
    ck_assert_int_eq(kv_table_sync(table), 0);
}
END_TEST

KV_SUITE_WITH("table", setup, teardown, a_committed_put_is_seen_by_later_views,
              an_ended_write_view_leaves_nothing, a_read_view_keeps_its_snapshot,
              an_ended_read_view_is_reused_with_a_new_snapshot,
              too_many_read_views_are_refused_and_recover,
              the_number_of_a_write_view_is_one_above_the_readers,
              a_number_that_was_not_committed_is_used_again, ending_null_does_nothing,
              tables_are_separate, deleting_what_is_not_there_is_enoent,
              a_value_may_be_empty_or_large,
              what_was_committed_is_there_after_reopening,
              a_nested_view_that_ends_is_undone,
              a_nested_view_that_commits_adds_to_its_parent,
              many_nested_views_with_large_values_keep_the_table_whole,
              a_walk_goes_both_ways_in_byte_order, a_seek_finds_the_first_key_not_less,
              a_walk_over_an_empty_table_finds_nothing,
              deleting_while_walking_visits_each_pair_once, a_key_has_1_to_511_bytes,
              space_shrinks_with_what_is_put_and_comes_back,
              space_can_be_asked_in_a_write_view_of_a_full_table,
              a_full_map_is_enospc_and_a_delete_recovers,
              a_table_opened_with_a_smaller_bound_can_still_delete,
              a_file_that_is_no_environment_is_eproto, a_missing_directory_is_enoent,
              reading_much_keeps_little_resident, sync_writes_what_a_weaker_mode_left)
