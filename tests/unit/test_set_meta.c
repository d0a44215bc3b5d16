#include "store_fixture.h"

#include "base/clock.h"

#define HOUR_NS (3600 * KV_NS_PER_S)

static int64_t in_an_hour(void)
{
    return kv_clock_realtime_ns() + HOUR_NS;
}

/* Commit a transaction of one operation that the caller looks into before it frees it.
 */
static struct kv_op *run(struct kv_txn *txn, int err)
{
    ck_assert_int_eq(kv_store_commit(store, txn), err);
    return &txn->ops[0];
}

START_TEST(set_meta_changes_what_it_names_and_not_the_value)
{
    ck_assert_int_eq(put("k", "value"), 0);
    struct kv_meta before = meta_of("k");
    struct kv_txn *txn = txn_make();
    struct kv_op *op = txn_add(txn, KV_OP_SET_META, "k");
    op->set = KV_SET_MODE | KV_SET_UID | KV_SET_GID | KV_SET_MTIME;
    op->meta =
        (struct kv_meta){.mode = S_IFDIR | 0400, .uid = 1, .gid = 2, .mtime_ns = 3};
    op = run(txn, 0);
    ck_assert_uint_eq(op->result->meta.uid, 1);
    kv_txn_free(txn);
    struct kv_meta after = meta_of("k");
    ck_assert_uint_eq(after.mode, S_IFREG | 0400);
    ck_assert_uint_eq(after.uid, 1);
    ck_assert_uint_eq(after.gid, 2);
    ck_assert_int_eq(after.mtime_ns, 3);
    ck_assert_int_gt(after.ctime_ns, before.ctime_ns);
    ck_assert_uint_eq(after.version, 1);
    ck_assert_uint_eq(after.mod_revision, 2);
    ck_assert_uint_eq(after.create_revision, 1);
    ck_assert_value("k", "value");
    ck_assert_str_eq(events_since(1), "2.0:meta:k.");
}
END_TEST

START_TEST(the_event_of_set_meta_does_not_carry_the_value)
{
    ck_assert_int_eq(put("k", "value"), 0);
    ck_assert_int_eq(set_mode("k", 0600), 0);
    size_t count;
    struct kv_event **events = read_events(1, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert(events[0]->record->bare);
    ck_assert_uint_eq(events[0]->record->meta.size, 5);
    free_events(events, count);
    ck_assert_value("k", "value");
}
END_TEST

START_TEST(set_meta_of_what_is_absent_is_enoent)
{
    ck_assert_int_eq(set_mode("k", 0600), -ENOENT);
    ck_assert_int_eq(set_size("k", 1), -ENOENT);
    ck_assert_int_eq(set_xattr("k", "user.a", "v", KV_XATTR_ANY), -ENOENT);
}
END_TEST

START_TEST(the_root_directory_has_metadata)
{
    ck_assert_int_eq(set_mode("", 01777), 0);
    ck_assert_uint_eq(meta_of("").mode, S_IFDIR | 01777);
    ck_assert_uint_eq(meta_of("").id, KV_ROOT_ID);
    ck_assert_int_eq(set_xattr("", "user.a", "v", KV_XATTR_ANY), 0);
    ck_assert_str_eq(xattr_of("", "user.a"), "v");
    ck_assert_int_eq(put("k", "v"), 0);
    ck_assert_str_eq(xattr_of("", "user.a"), "v");
    ck_assert_uint_eq(meta_of("").mode, S_IFDIR | 01777);
    ck_assert_str_eq(events_since(0), "1.0:meta:. 2.0:meta:. 3.0:put+:k.");
    ck_assert_int_eq(set_size("", 0), -EISDIR);
    check_store();
    ck_assert_uint_eq(status_now().directories, 0);
}
END_TEST

START_TEST(an_expiry_can_be_set_moved_and_cleared)
{
    ck_assert_int_eq(put("k", "v"), 0);
    int64_t expiry_ns = in_an_hour();
    ck_assert_int_eq(set_expiry("k", expiry_ns), 0);
    ck_assert_int_eq(meta_of("k").expiry_ns, expiry_ns);
    check_store();
    ck_assert_int_eq(set_expiry("k", expiry_ns + HOUR_NS), 0);
    check_store();
    ck_assert_int_eq(set_expiry("k", 0), 0);
    ck_assert_int_eq(meta_of("k").expiry_ns, 0);
    check_store();
}
END_TEST

START_TEST(truncating_cuts_or_fills_with_zeros_and_is_a_write)
{
    ck_assert_int_eq(put("k", "value"), 0);
    struct kv_meta before = meta_of("k");
    ck_assert_int_eq(set_size("k", 3), 0);
    ck_assert_value("k", "val");
    struct kv_meta after = meta_of("k");
    ck_assert_uint_eq(after.version, 2);
    ck_assert_uint_eq(after.size, 3);
    ck_assert_int_gt(after.mtime_ns, before.mtime_ns);
    ck_assert_int_eq(set_size("k", 5), 0);
    struct kv_record *record;
    ck_assert_int_eq(kv_store_get(store, "k", 1, &record), 0);
    ck_assert_bytes(record->value, record->meta.size, "val\0\0");
    kv_record_unref(record);
    ck_assert_int_eq(set_size("k", 0), 0);
    ck_assert_value("k", "");
    ck_assert_str_eq(events_since(1), "2.0:put:k. 3.0:put:k. 4.0:put:k.");
}
END_TEST

START_TEST(truncating_knows_its_limits)
{
    ck_assert_int_eq(put("k", "value"), 0);
    ck_assert_int_eq(set_size("k", store_config.max_value_bytes), 0);
    ck_assert_int_eq(set_size("k", store_config.max_value_bytes + 1), -EFBIG);
    ck_assert_int_eq(set_size("k", UINT64_MAX), -EFBIG);
    ck_assert_uint_eq(meta_of("k").size, store_config.max_value_bytes);
    ck_assert_int_eq(make_dir("a"), 0);
    ck_assert_int_eq(set_size("a", 1), -EISDIR);
    put_link("link", "k");
    ck_assert_int_eq(set_size("link", 0), -EINVAL);
}
END_TEST

START_TEST(attributes_are_set_replaced_and_removed)
{
    ck_assert_int_eq(put("k", "v"), 0);
    ck_assert_int_eq(set_xattr("k", "user.b", "2", KV_XATTR_CREATE), 0);
    ck_assert_int_eq(set_xattr("k", "user.a", "1", KV_XATTR_ANY), 0);
    ck_assert_int_eq(set_xattr("k", "user.b", "3", KV_XATTR_CREATE), -EEXIST);
    ck_assert_int_eq(set_xattr("k", "user.b", "3", KV_XATTR_REPLACE), 0);
    ck_assert_int_eq(set_xattr("k", "user.c", "3", KV_XATTR_REPLACE), -ENODATA);
    ck_assert_str_eq(xattr_of("k", "user.a"), "1");
    ck_assert_str_eq(xattr_of("k", "user.b"), "3");
    ck_assert_int_eq(set_xattr("k", "user.b", NULL, KV_XATTR_ANY), 0);
    ck_assert_ptr_null(xattr_of("k", "user.b"));
    ck_assert_int_eq(set_xattr("k", "user.b", NULL, KV_XATTR_ANY), -ENODATA);
    ck_assert_value("k", "v");
    ck_assert_uint_eq(meta_of("k").version, 1);
    ck_assert_uint_eq(revision_now(), 5);
}
END_TEST

START_TEST(too_many_attributes_are_enospc_and_the_store_goes_on)
{
    ck_assert_int_eq(put("k", "v"), 0);
    char *value = malloc(40001);
    ck_assert_ptr_nonnull(value);
    memset(value, 'x', 40000);
    value[40000] = '\0';
    ck_assert_int_eq(set_xattr("k", "user.a", value, KV_XATTR_ANY), 0);
    ck_assert_int_eq(set_xattr("k", "user.b", value, KV_XATTR_ANY), -ENOSPC);
    free(value);
    ck_assert_int_eq(set_xattr("k", "user.b", "v", KV_XATTR_ANY), 0);
    ck_assert_int_eq(kv_store_writable(store), 0);
}
END_TEST

KV_SUITE_WITH("set_meta", store_setup, store_teardown,
              set_meta_changes_what_it_names_and_not_the_value,
              the_event_of_set_meta_does_not_carry_the_value,
              set_meta_of_what_is_absent_is_enoent, the_root_directory_has_metadata,
              an_expiry_can_be_set_moved_and_cleared,
              truncating_cuts_or_fills_with_zeros_and_is_a_write,
              truncating_knows_its_limits, attributes_are_set_replaced_and_removed,
              too_many_attributes_are_enospc_and_the_store_goes_on)
