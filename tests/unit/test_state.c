#include "table_fixture.h"

#include "store/state.h"

static const struct kv_meta some_meta = {
    .id = UINT64_C(0xfedcba9876543210),
    .create_revision = 3,
    .mod_revision = 5,
    .version = 2,
    .mtime_ns = -1,
    .ctime_ns = INT64_MIN,
    .expiry_ns = INT64_MAX,
    .mode = S_IFLNK | 0777,
    .uid = UINT32_MAX,
    .gid = 12,
};

static struct kv_record *record_with(const char *key, const char *xattrs,
                                     const char *value, size_t value_len)
{
    struct kv_record *record = kv_record_new(&(struct kv_record_parts){
        .meta = some_meta,
        .key = key,
        .key_len = strlen(key),
        .xattrs = xattrs,
        .xattrs_len = strlen(xattrs),
        .value = value,
        .value_len = value_len,
    });
    ck_assert_ptr_nonnull(record);
    return record;
}

static void put_record(const char *key, const char *xattrs, const char *value,
                       size_t value_len)
{
    struct kv_record *record = record_with(key, xattrs, value, value_len);
    ck_assert_int_eq(kv_state_put(view, record), 0);
    kv_record_unref(record);
}

static struct kv_row row_of(const char *key)
{
    struct kv_row row;
    ck_assert_int_eq(kv_state_get(view, key, strlen(key), &row), 0);
    return row;
}

static void check_meta(const struct kv_meta *meta, uint64_t size)
{
    ck_assert_uint_eq(meta->id, some_meta.id);
    ck_assert_uint_eq(meta->create_revision, 3);
    ck_assert_uint_eq(meta->mod_revision, 5);
    ck_assert_uint_eq(meta->version, 2);
    ck_assert_uint_eq(meta->size, size);
    ck_assert_int_eq(meta->mtime_ns, -1);
    ck_assert_int_eq(meta->ctime_ns, INT64_MIN);
    ck_assert_int_eq(meta->expiry_ns, INT64_MAX);
    ck_assert_uint_eq(meta->mode, S_IFLNK | 0777);
    ck_assert_uint_eq(meta->uid, UINT32_MAX);
    ck_assert_uint_eq(meta->gid, 12);
}

START_TEST(a_record_comes_back_as_it_was_put)
{
    put_record("a/b", "attrs", "value\0with NUL", 14);
    struct kv_row row = row_of("a/b");
    check_meta(&row.meta, 14);
    ck_assert_bytes(row.xattrs, row.xattrs_len, "attrs");
    ck_assert_mem_eq(row.value, "value\0with NUL", 14);
}
END_TEST

START_TEST(a_record_may_have_neither_value_nor_attributes)
{
    put_record("k", "", NULL, 0);
    struct kv_row row = row_of("k");
    check_meta(&row.meta, 0);
    ck_assert_uint_eq(row.xattrs_len, 0);
}
END_TEST

START_TEST(the_root_has_the_empty_key_and_sorts_first)
{
    put_record("\x01", "", "low", 3);
    put_record("", "", "root", 4);
    struct kv_row row = row_of("");
    ck_assert_mem_eq(row.value, "root", 4);
    struct kv_walk *walk;
    struct kv_slice key, value;
    ck_assert_int_eq(kv_walk_open(view, KV_DB_STATE, &walk), 0);
    ck_assert_int_eq(kv_walk_first(walk, &key, &value), 0);
    ck_assert_int_eq(kv_row_decode(value, &row), 0);
    ck_assert_mem_eq(row.value, "root", 4);
    kv_walk_close(walk);
}
END_TEST

START_TEST(a_key_of_the_greatest_length_is_kept)
{
    char key[KV_KEY_MAX + 1];
    memset(key, 'k', KV_KEY_MAX);
    key[KV_KEY_MAX] = '\0';
    key[250] = '/';
    put_record(key, "", "v", 1);
    ck_assert_uint_eq(row_of(key).meta.size, 1);
}
END_TEST

START_TEST(an_absent_key_is_enoent_for_get_and_delete)
{
    struct kv_row row;
    ck_assert_int_eq(kv_state_get(view, "k", 1, &row), -ENOENT);
    ck_assert_int_eq(kv_state_delete(view, "k", 1), -ENOENT);
    put_record("k", "", "v", 1);
    ck_assert_int_eq(kv_state_delete(view, "k", 1), 0);
    ck_assert_int_eq(kv_state_get(view, "k", 1, &row), -ENOENT);
}
END_TEST

START_TEST(bytes_that_are_no_record_are_ebadmsg)
{
    put_record("k", "attrs", "value", 5);
    struct kv_slice good;
    ck_assert_int_eq(kv_view_get(view, KV_DB_STATE, (struct kv_slice){"k", 1}, &good),
                     0);
    char bytes[256];
    ck_assert_uint_lt(good.len, sizeof(bytes));
    memcpy(bytes, good.data, good.len);
    struct kv_row row;
    for (size_t len = 0; len < good.len; len++)
        ck_assert_int_eq(kv_row_decode((struct kv_slice){bytes, len}, &row), -EBADMSG);
    ck_assert_int_eq(kv_row_decode((struct kv_slice){bytes, good.len + 1}, &row),
                     -EBADMSG);
    ck_assert_int_eq(kv_row_decode((struct kv_slice){bytes, good.len}, &row), 0);
    size_t xattrs_len_at = good.len - 10 - sizeof(uint32_t);
    memset(bytes + xattrs_len_at, 0xff, sizeof(uint32_t));
    ck_assert_int_eq(kv_row_decode((struct kv_slice){bytes, good.len}, &row), -EBADMSG);
    table_put_raw(KV_DB_STATE, (struct kv_slice){"bad", 3}, (struct kv_slice){"x", 1});
    ck_assert_int_eq(kv_state_get(view, "bad", 3, &row), -EBADMSG);
}
END_TEST

START_TEST(a_row_becomes_a_record_that_outlives_the_view)
{
    put_record("k", "attrs", "value", 5);
    struct kv_row row = row_of("k");
    struct kv_record *whole = kv_row_record(&row, "k", 1, false);
    struct kv_record *bare = kv_row_record(&row, "k", 1, true);
    table_commit();
    check_meta(&whole->meta, 5);
    ck_assert_bytes(whole->value, whole->meta.size, "value");
    ck_assert_bytes(whole->xattrs, whole->xattrs_len, "attrs");
    ck_assert_bytes(whole->key, whole->key_len, "k");
    check_meta(&bare->meta, 5);
    ck_assert(bare->bare);
    ck_assert_ptr_null(bare->value);
    kv_record_unref(whole);
    kv_record_unref(bare);
}
END_TEST

START_TEST(counters_come_back_and_are_missing_at_first)
{
    struct kv_counters counters = {.revision = 1, .next_id = UINT64_MAX, .keys = 7};
    struct kv_counters got;
    ck_assert_int_eq(kv_counters_get(view, &got), -ENOENT);
    ck_assert_int_eq(kv_counters_put(view, &counters), 0);
    table_commit();
    ck_assert_int_eq(kv_counters_get(view, &got), 0);
    ck_assert_mem_eq(&got, &counters, sizeof(got));
}
END_TEST

START_TEST(counters_of_another_format_are_eproto)
{
    struct kv_counters counters = {.revision = 1};
    ck_assert_int_eq(kv_counters_put(view, &counters), 0);
    struct kv_slice name = {"counters", 8}, good;
    ck_assert_int_eq(kv_view_get(view, KV_DB_META, name, &good), 0);
    char bytes[256];
    ck_assert_uint_lt(good.len, sizeof(bytes));
    size_t len = good.len;
    memcpy(bytes, good.data, len);
    table_put_raw(KV_DB_META, name, (struct kv_slice){bytes, len + 8});
    ck_assert_int_eq(kv_counters_get(view, &counters), -EPROTO);
    bytes[0]++;
    table_put_raw(KV_DB_META, name, (struct kv_slice){bytes, len});
    ck_assert_int_eq(kv_counters_get(view, &counters), -EPROTO);
    bytes[0]--;
    table_put_raw(KV_DB_META, name, (struct kv_slice){bytes, len});
    ck_assert_int_eq(kv_counters_get(view, &counters), 0);
}
END_TEST

KV_SUITE_WITH("state", table_setup, table_teardown, a_record_comes_back_as_it_was_put,
              a_record_may_have_neither_value_nor_attributes,
              the_root_has_the_empty_key_and_sorts_first,
              a_key_of_the_greatest_length_is_kept,
              an_absent_key_is_enoent_for_get_and_delete,
              bytes_that_are_no_record_are_ebadmsg,
              a_row_becomes_a_record_that_outlives_the_view,
              counters_come_back_and_are_missing_at_first,
              counters_of_another_format_are_eproto)
