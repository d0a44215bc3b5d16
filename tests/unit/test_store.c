#include "store_fixture.h"

#include "store/state.h"
#include "store/table.h"

#include <stdio.h>
#include <sys/wait.h>

/* -- Opening -- */

START_TEST(a_new_store_is_empty)
{
    ck_assert_uint_eq(revision_now(), 0);
    ck_assert_uint_eq(kv_store_oldest_revision(store), 1);
    ck_assert_str_eq(tree_of(""), "");
    ck_assert_str_eq(events_since(0), "");
    struct kv_meta root = meta_of("");
    ck_assert_uint_eq(root.id, KV_ROOT_ID);
    ck_assert_uint_eq(root.mode, S_IFDIR | 0755);
    ck_assert_uint_eq(root.uid, 1000);
    struct kv_store_status status = status_now();
    ck_assert_uint_eq(status.keys, 0);
    ck_assert_uint_eq(status.directories, 0);
    ck_assert_uint_eq(status.max_value_bytes, store_config.max_value_bytes);
    ck_assert_int_eq(kv_store_writable(store), 0);
}
END_TEST

START_TEST(reopening_finds_everything)
{
    ck_assert_int_eq(put("a/b/c", "value"), 0);
    ck_assert_int_eq(set_xattr("a/b/c", "user.a", "v", KV_XATTR_ANY), 0);
    ck_assert_int_eq(put_expiring("e", "v", INT64_MAX), 0);
    struct kv_meta before = meta_of("a/b/c"), a = meta_of("a");
    store_reopen();
    struct kv_meta after = meta_of("a/b/c");
    ck_assert_uint_eq(after.id, before.id);
    ck_assert_uint_eq(after.mod_revision, before.mod_revision);
    ck_assert_int_eq(after.ctime_ns, before.ctime_ns);
    ck_assert_int_eq(meta_of("a").mtime_ns, a.mtime_ns);
    ck_assert_value("a/b/c", "value");
    ck_assert_str_eq(xattr_of("a/b/c", "user.a"), "v");
    ck_assert_uint_eq(revision_now(), 3);
    ck_assert_str_eq(events_since(1), "2.0:meta:a/b/c. 3.0:put+:e.");
    ck_assert_uint_eq(status_now().keys, 2);
    ck_assert_uint_eq(status_now().directories, 2);
    ck_assert_int_eq(put("new", "v"), 0);
    ck_assert_uint_gt(meta_of("new").id, meta_of("e").id);
    ck_assert_uint_eq(meta_of("new").mod_revision, 4);
}
END_TEST

START_TEST(a_store_is_open_once)
{
    struct kv_store *other = NULL;
    ck_assert_int_eq(kv_store_open(&store_config, &other), -EBUSY);
    ck_assert_ptr_null(other);
    ck_assert_int_eq(put("k", "v"), 0);
    store_shut();
    ck_assert_int_eq(kv_store_open(&store_config, &other), 0);
    kv_store_close(other);
    ck_assert_int_eq(store_open(), 0);
    ck_assert_value("k", "v");
}
END_TEST

START_TEST(a_store_of_another_process_is_busy_until_it_dies)
{
    store_shut();
    int ready[2], hold[2];
    ck_assert_int_eq(pipe(ready), 0);
    ck_assert_int_eq(pipe(hold), 0);
    pid_t child = fork();
    if (child == 0) {
        char byte = store_open() == 0 && put("k", "acknowledged") == 0 ? 'y' : 'n';
        if (write(ready[1], &byte, 1) == 1)
            (void)read(hold[0], &byte, 1);
        _exit(0);
    }
    ck_assert_int_gt(child, 0);
    char byte = 'n';
    ck_assert_int_eq(read(ready[0], &byte, 1), 1);
    ck_assert_int_eq(byte, 'y');
    ck_assert_int_eq(store_open(), -EBUSY);
    ck_assert_int_eq(kill(child, SIGKILL), 0);
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    ck_assert_int_eq(store_open(), 0);
    ck_assert_value("k", "acknowledged");
    check_store();
    for (int i = 0; i < 2; i++) {
        (void)close(ready[i]);
        (void)close(hold[i]);
    }
}
END_TEST

START_TEST(a_path_that_cannot_be_a_store_is_refused)
{
    struct kv_store_config config = store_config;
    struct kv_store *other = NULL;
    config.path = "/nonexistent/dir/store";
    ck_assert_int_eq(kv_store_open(&config, &other), -ENOENT);
    config.path = "/dev/null";
    ck_assert_int_eq(kv_store_open(&config, &other), -ENOTDIR);
    ck_assert_ptr_null(other);
}
END_TEST

START_TEST(the_directory_is_made_but_not_its_parent)
{
    KV_CLEANUP(kv_free) char *path = NULL;
    ck_assert_int_gt(asprintf(&path, "%s/sub", store_config.path), 0);
    struct kv_store_config config = store_config;
    config.path = path;
    struct kv_store *other = NULL;
    ck_assert_int_eq(kv_store_open(&config, &other), 0);
    kv_store_close(other);
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode, S_IFDIR | 0700);
}
END_TEST

START_TEST(an_unknown_format_is_eproto)
{
    store_shut();
    struct kv_table *table;
    struct kv_view *view;
    void *place;
    ck_assert_int_eq(kv_table_open(store_config.path, store_config.max_store_bytes,
                                   KV_SYNC_OFF, &table),
                     0);
    ck_assert_int_eq(kv_view_write(table, &view), 0);
    ck_assert_int_eq(
        kv_view_put(view, KV_DB_META, (struct kv_slice){"counters", 8}, 4, &place), 0);
    memcpy(place, "junk", 4);
    ck_assert_int_eq(kv_view_commit(view), 0);
    kv_table_close(table);
    ck_assert_int_eq(store_open(), -EPROTO);
    ck_assert_ptr_null(store);
    ck_assert_int_eq(store_open(), -EPROTO); /* and it is not busy afterwards */
}
END_TEST

START_TEST(every_sync_mode_keeps_what_was_written_over_a_close)
{
    const enum kv_sync modes[] = {KV_SYNC_ALWAYS, KV_SYNC_INTERVAL, KV_SYNC_OFF};
    for (int i = 0; i < 3; i++) {
        store_config.sync = modes[i];
        store_config.sync_interval_ms = 5;
        store_reopen();
        ck_assert_int_eq((int)status_now().sync, (int)modes[i]);
        char key[8];
        (void)snprintf(key, sizeof(key), "k%d", i);
        ck_assert_int_eq(put(key, "v"), 0);
        store_reopen();
        ck_assert_value(key, "v");
    }
}
END_TEST

/* -- Reading -- */

START_TEST(keys_that_break_a_rule_are_refused)
{
    struct kv_record *record = NULL;
    ck_assert_int_eq(kv_store_get(store, "a//b", 4, &record), -EINVAL);
    ck_assert_int_eq(kv_store_get(store, "/a", 2, &record), -EINVAL);
    ck_assert_int_eq(kv_store_get(store, "a\0b", 3, &record), -EINVAL);
    ck_assert_int_eq(kv_store_get(store, "\0", 1, &record), -EINVAL);
    char key[KV_KEY_MAX + 2] = {0};
    memset(key, 'k', KV_KEY_MAX + 1);
    ck_assert_int_eq(kv_store_get(store, key, KV_KEY_MAX + 1, &record), -ENAMETOOLONG);
    ck_assert_int_eq(kv_store_stat(store, key, 256, &record), -ENAMETOOLONG);
    ck_assert_ptr_null(record);
}
END_TEST

START_TEST(absence_is_remembered_until_the_key_comes)
{
    ck_assert_int_eq(lookup("k"), -ENOENT);
    uint64_t hits = status_now().cache.hits;
    ck_assert_int_eq(lookup("k"), -ENOENT);
    ck_assert_uint_eq(status_now().cache.hits, hits + 1);
    ck_assert_int_eq(put("k", "v"), 0);
    ck_assert_value("k", "v");
    ck_assert_int_eq(del("k"), 0);
    ck_assert_int_eq(lookup("k"), -ENOENT);
}
END_TEST

START_TEST(a_stat_need_not_read_a_large_value)
{
    ck_assert_int_eq(put_sized("large", 500000, 'x'), 0);
    ck_assert_int_eq(put("small", "v"), 0);
    struct kv_record *record;
    ck_assert_int_eq(kv_store_stat(store, "large", 5, &record), 0);
    ck_assert_uint_eq(record->meta.size, 500000);
    kv_record_unref(record);
    ck_assert_uint_eq(strlen(value_of("large")), 500000);
    ck_assert_int_eq(kv_store_stat(store, "small", 5, &record), 0);
    ck_assert_uint_eq(record->meta.size, 1);
    kv_record_unref(record);
    ck_assert_value("small", "v");
    ck_assert_int_eq(kv_store_stat(store, "absent", 6, &record), -ENOENT);
}
END_TEST

START_TEST(a_record_outlives_its_key_and_its_store)
{
    ck_assert_int_eq(put("k", "old"), 0);
    struct kv_record *record;
    ck_assert_int_eq(kv_store_get(store, "k", 1, &record), 0);
    ck_assert_int_eq(put("k", "new"), 0);
    ck_assert_int_eq(del("k"), 0);
    store_reopen();
    ck_assert_bytes(record->value, record->meta.size, "old");
    kv_record_unref(record);
}
END_TEST

/* -- Counters -- */

static void check_counts(uint64_t keys, uint64_t directories)
{
    struct kv_store_status status = status_now();
    ck_assert_uint_eq(status.keys, keys);
    ck_assert_uint_eq(status.directories, directories);
}

START_TEST(keys_and_directories_are_counted_through_everything)
{
    ck_assert_int_eq(put("a/b/c", "v"), 0);
    check_counts(1, 2);
    ck_assert_int_eq(put("a/b/c", "w"), 0);
    check_counts(1, 2);
    ck_assert_int_eq(append("a/d", "w"), 0);
    check_counts(2, 2);
    ck_assert_int_eq(make_dir("e"), 0);
    check_counts(2, 3);
    ck_assert_int_eq(move("a/d", "a/b/c", 0), 0);
    check_counts(1, 3);
    ck_assert_int_eq(move("a", "e", 0), 0);
    check_counts(1, 2);
    ck_assert_int_eq(put("k", "v"), 0);
    ck_assert_int_eq(move("k", "e", KV_OP_EXCHANGE), 0);
    check_counts(2, 2);
    ck_assert_int_eq(set_size("e", 7), 0);
    ck_assert_int_eq(set_mode("k", 0700), 0);
    check_counts(2, 2);
    ck_assert_int_eq(del("e"), 0);
    check_counts(1, 2);
    ck_assert_int_eq(del_tree("k"), 0);
    check_counts(0, 0);
    ck_assert_uint_eq(status_now().revision, 12);
    check_store();
}
END_TEST

START_TEST(status_knows_the_store)
{
    ck_assert_int_eq(put("k", "v"), 0);
    ck_assert_int_eq(del("absent"), -ENOENT);
    struct kv_store_status status = status_now();
    ck_assert_uint_eq(status.revision, 1);
    ck_assert_uint_eq(status.oldest_revision, 1);
    ck_assert_uint_eq(status.commits, 1);
    ck_assert_uint_ge(status.transactions, 1);
    ck_assert_uint_eq(status.failed_transactions, 1);
    ck_assert_uint_eq(status.log_events, 1);
    ck_assert_uint_gt(status.log_bytes, 1);
    ck_assert_uint_gt(status.used_bytes, 0);
    ck_assert_uint_eq(status.max_bytes, store_config.max_store_bytes);
    ck_assert_uint_eq(status.queued, 0);
    ck_assert_uint_eq(status.expired, 0);
    ck_assert_int_eq(status.latched_error, 0);
    ck_assert(!status.full);
    ck_assert_uint_eq(status.cache.max_bytes, store_config.cache_bytes);
}
END_TEST

/* -- The log and the feed -- */

static int read_since(uint64_t revision)
{
    struct kv_cursor cursor = kv_cursor_after(revision);
    struct kv_event *event;
    size_t count = 0;
    int err = kv_feed_read(kv_store_feed(store), &cursor, &event, 1, &count);
    if (!err && count > 0)
        kv_event_unref(event);
    return err;
}

START_TEST(the_feed_since_any_revision_is_what_happened)
{
    ck_assert_int_eq(put("a/k", "one"), 0);
    ck_assert_int_eq(put("a/k", "two"), 0);
    ck_assert_int_eq(move("a", "b", 0), 0);
    ck_assert_int_eq(del_tree("b"), 0);
    const char *const words[] = {"1.0:mkdir:a 1.1:put+:a/k. ", "2.0:put:a/k. ",
                                 "3.0:rename:b<a 3.1:rename~:b/k<a/k. ",
                                 "4.0:delete:b/k 4.1:rmdir:b."};
    for (int reopened = 0; reopened < 2; reopened++) {
        for (uint64_t since = 0; since < 4; since++) {
            char expected[256] = "";
            for (uint64_t i = since; i < 4; i++)
                strcat(expected, words[i]);
            ck_assert_str_eq(events_since(since), expected);
        }
        ck_assert_str_eq(events_since(4), "");
        ck_assert_int_eq(read_since(5), -EINVAL);
        store_reopen(); /* now all of it comes from the log */
    }
}
END_TEST

START_TEST(the_log_is_bounded_and_says_from_where_it_is_whole)
{
    store_config.log_max_events = 100;
    store_reopen();
    for (int i = 0; i < 300; i++)
        ck_assert_int_eq(put(i % 2 ? "odd" : "even", "v"), 0);
    uint64_t oldest = kv_store_oldest_revision(store);
    ck_assert_uint_eq(oldest, 201);
    ck_assert_uint_eq(status_now().log_events, 100);
    store_reopen();
    ck_assert_uint_eq(kv_store_oldest_revision(store), 201);
    ck_assert_int_eq(read_since(oldest - 1), 0);
    ck_assert_int_eq(read_since(oldest - 2), -ESTALE);
    ck_assert_int_eq(read_since(0), -ESTALE);
    size_t count;
    struct kv_event **events = read_events(oldest - 1, &count);
    ck_assert_uint_eq(count, 100);
    free_events(events, count);
    check_store();
}
END_TEST

START_TEST(large_values_push_many_small_events_out_of_the_log)
{
    store_config.log_max_bytes = 2u << 20;
    store_config.max_store_bytes = 256u << 20;
    store_reopen();
    struct kv_txn *txn = txn_make();
    for (int i = 0; i < 9000; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "d/k%d", i);
        txn_put(txn, key, "small");
    }
    ck_assert_int_eq(txn_commit(txn), 0);
    KV_CLEANUP(kv_buf_done) struct kv_buf value = {0};
    ck_assert_int_eq(
        kv_buf_resize(&value, kv_event_value_max(store_config.log_max_bytes)), 0);
    for (int i = 0; i < 30; i++) {
        txn = txn_make();
        for (int k = 0; k < 32; k++)
            ck_assert_int_eq(kv_op_set_value(txn_add(txn, KV_OP_PUT, "large"),
                                             value.data, value.len),
                             0);
        ck_assert_int_eq(txn_commit(txn), 0);
    }
    ck_assert_uint_le(status_now().log_bytes,
                      2 * store_config.log_max_bytes + (1u << 20));
    check_store();
}
END_TEST

START_TEST(values_too_large_for_the_log_stand_bare_in_it)
{
    size_t max = kv_event_value_max(store_config.log_max_bytes), count;
    ck_assert_int_eq(put_sized("k", max, 'x'), 0);
    ck_assert_int_eq(put_sized("k", max + 1, 'x'), 0);
    ck_assert_int_eq(move("k", "n", 0), 0);
    for (int i = 0; i < 70; i++) /* more than the log's bound altogether */
        ck_assert_int_eq(put_sized("large", max + 1, (char)('a' + i % 26)), 0);
    for (int reopened = 0; reopened < 2; reopened++) {
        struct kv_event **events = read_events(0, &count);
        ck_assert_uint_eq(count, 73);
        ck_assert(!events[0]->record->bare);
        for (size_t i = 1; i < count; i++) {
            ck_assert(events[i]->record->bare);
            ck_assert_uint_eq(events[i]->record->meta.size, max + 1);
        }
        free_events(events, count);
        struct kv_record *record;
        ck_assert_int_eq(kv_store_get(store, "n", 1, &record), 0);
        ck_assert(!record->bare);
        ck_assert_uint_eq(record->meta.size, max + 1);
        kv_record_unref(record);
        store_reopen();
    }
    check_store();
}
END_TEST

START_TEST(history_tells_the_versions_of_a_key)
{
    ck_assert_int_eq(put("k", "one"), 0);
    ck_assert_int_eq(put("other", "v"), 0);
    ck_assert_int_eq(put("k", "two"), 0);
    ck_assert_int_eq(move("k", "n", 0), 0);
    for (int reopened = 0; reopened < 2; reopened++) {
        struct kv_history_query query = {.key = "k",
                                         .key_len = 1,
                                         .limit = 10,
                                         .max_bytes = SIZE_MAX,
                                         .scan_max = SIZE_MAX};
        struct kv_history history;
        ck_assert_int_eq(kv_store_history(store, &query, &history), 0);
        ck_assert_uint_eq(history.count, 3);
        ck_assert_uint_eq(history.revision, 4);
        struct kv_event **events = history.events;
        ck_assert_int_eq(events[0]->type, KV_EVENT_RENAME);
        ck_assert_bytes(events[1]->record->value, events[1]->record->meta.size, "two");
        ck_assert_bytes(events[2]->record->value, events[2]->record->meta.size, "one");
        kv_history_done(&history);
        query.key = "x";
        ck_assert_int_eq(kv_store_history(store, &query, &history), 0);
        ck_assert_uint_eq(history.count, 0);
        kv_history_done(&history);
        store_reopen();
    }
}
END_TEST

KV_SUITE_WITH(
    "store", store_setup, store_teardown, a_new_store_is_empty,
    reopening_finds_everything, a_store_is_open_once,
    a_store_of_another_process_is_busy_until_it_dies,
    a_path_that_cannot_be_a_store_is_refused, the_directory_is_made_but_not_its_parent,
    an_unknown_format_is_eproto, every_sync_mode_keeps_what_was_written_over_a_close,
    keys_that_break_a_rule_are_refused, absence_is_remembered_until_the_key_comes,
    a_stat_need_not_read_a_large_value, a_record_outlives_its_key_and_its_store,
    keys_and_directories_are_counted_through_everything, status_knows_the_store,
    the_feed_since_any_revision_is_what_happened,
    the_log_is_bounded_and_says_from_where_it_is_whole,
    large_values_push_many_small_events_out_of_the_log,
    values_too_large_for_the_log_stand_bare_in_it, history_tells_the_versions_of_a_key)
