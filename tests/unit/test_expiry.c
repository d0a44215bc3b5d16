#include "table_fixture.h"

#include "store/expiry.h"

struct due {
    struct kv_buf keys; /* with a blank behind each */
    int64_t last_ns;
    int err_at; /* fail at this one, counted from 1 */
    int count;
};

static int collect(void *ctx, int64_t expiry_ns, const void *key, size_t len)
{
    struct due *due = ctx;
    ck_assert_int_ge(expiry_ns, due->last_ns);
    due->last_ns = expiry_ns;
    kv_buf_add(&due->keys, key, len);
    kv_buf_addc(&due->keys, ' ');
    return ++due->count == due->err_at ? -ECANCELED : 0;
}

static void put_due(const char *key, uint64_t id, int64_t expiry_ns)
{
    struct kv_record *record = kv_record_new(&(struct kv_record_parts){
        .meta = {.id = id, .expiry_ns = expiry_ns},
        .key = key,
        .key_len = strlen(key),
    });
    ck_assert_ptr_nonnull(record);
    ck_assert_int_eq(kv_expiry_put(view, record), 0);
    kv_record_unref(record);
}

static void check_due(int64_t now_ns, size_t max, const char *keys, int64_t next_ns)
{
    struct due due = {.last_ns = INT64_MIN};
    int64_t next = 1;
    ck_assert_int_eq(kv_expiry_due(view, INT64_MIN, now_ns, max, collect, &due, &next),
                     0);
    kv_buf_addc(&due.keys, '\0');
    ck_assert_str_eq(due.keys.data, keys);
    ck_assert_int_eq(next, next_ns);
    kv_buf_done(&due.keys);
}

START_TEST(an_empty_index_has_nothing_due)
{
    check_due(INT64_MAX, 10, "", INT64_MAX);
}
END_TEST

START_TEST(what_is_due_comes_earliest_first)
{
    put_due("late", 1, 300);
    put_due("early", 2, 100);
    put_due("middle", 3, 200);
    check_due(99, 10, "", 100);
    check_due(100, 10, "early ", 200);
    check_due(250, 10, "early middle ", 300);
    check_due(300, 10, "early middle late ", INT64_MAX);
}
END_TEST

START_TEST(times_before_1970_sort_first)
{
    put_due("after", 1, 1);
    put_due("before", 2, -1);
    put_due("first", 3, INT64_MIN);
    check_due(5, 10, "first before after ", INT64_MAX);
}
END_TEST

START_TEST(max_cuts_and_tells_what_was_not_passed)
{
    put_due("a", 1, 10);
    put_due("b", 2, 20);
    put_due("c", 3, 30);
    check_due(100, 2, "a b ", 30);
    check_due(100, 0, "", 10);
    check_due(100, 3, "a b c ", INT64_MAX);
}
END_TEST

START_TEST(records_that_end_at_the_same_time_are_all_kept)
{
    put_due("b", 2, 10);
    put_due("a", 1, 10);
    check_due(10, 10, "a b ", INT64_MAX);
}
END_TEST

START_TEST(a_deleted_row_is_no_longer_due)
{
    put_due("a", 1, 10);
    put_due("b", 2, 10);
    struct kv_meta meta = {.id = 1, .expiry_ns = 10};
    ck_assert_int_eq(kv_expiry_delete(view, &meta), 0);
    check_due(10, 10, "b ", INT64_MAX);
    ck_assert_int_eq(kv_expiry_delete(view, &meta), -ENOENT);
}
END_TEST

START_TEST(an_error_of_the_callback_ends_the_walk)
{
    put_due("a", 1, 10);
    put_due("b", 2, 20);
    struct due due = {.last_ns = INT64_MIN, .err_at = 1};
    int64_t next_ns;
    ck_assert_int_eq(kv_expiry_due(view, INT64_MIN, 100, 10, collect, &due, &next_ns),
                     -ECANCELED);
    ck_assert_int_eq(due.count, 1);
    kv_buf_done(&due.keys);
}
END_TEST

KV_SUITE_WITH("expiry", table_setup, table_teardown, an_empty_index_has_nothing_due,
              what_is_due_comes_earliest_first, times_before_1970_sort_first,
              max_cuts_and_tells_what_was_not_passed,
              records_that_end_at_the_same_time_are_all_kept,
              a_deleted_row_is_no_longer_due, an_error_of_the_callback_ends_the_walk)
