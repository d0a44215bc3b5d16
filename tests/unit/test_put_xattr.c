/* Attributes that a put sets along with the value. */
#include "store_fixture.h"

static int put_attribute(const char *key, const char *name, const char *value)
{
    struct kv_txn *txn = txn_make();
    struct kv_op *op = txn_put(txn, key, "v");
    ck_assert_int_eq(kv_op_set_xattr(op, name, strlen(name), value,
                                     value ? strlen(value) : 0, KV_XATTR_ANY),
                     0);
    return txn_commit(txn);
}

START_TEST(a_put_sets_and_removes_an_attribute_in_its_one_event)
{
    ck_assert_int_eq(put_attribute("k", "user.a", "1"), 0);
    ck_assert_str_eq(xattr_of("k", "user.a"), "1");
    ck_assert_int_eq(set_xattr("k", "user.b", "2", KV_XATTR_ANY), 0);
    uint64_t before = revision_now();
    ck_assert_int_eq(put_attribute("k", "user.a", "3"), 0);
    ck_assert_str_eq(events_since(before), "3.0:put:k.");
    ck_assert_str_eq(xattr_of("k", "user.a"), "3");
    ck_assert_str_eq(xattr_of("k", "user.b"), "2");
    ck_assert_int_eq(put_attribute("k", "user.a", NULL), 0);
    ck_assert_ptr_null(xattr_of("k", "user.a"));
    ck_assert_str_eq(xattr_of("k", "user.b"), "2");
    store_reopen();
    ck_assert_str_eq(xattr_of("k", "user.b"), "2");
}
END_TEST

START_TEST(a_put_that_removes_what_is_not_there_succeeds)
{
    ck_assert_int_eq(put_attribute("k", "user.a", NULL), 0);
    ck_assert_int_eq(put_attribute("k", "user.a", NULL), 0);
    ck_assert_value("k", "v");
}
END_TEST

START_TEST(a_put_over_a_link_begins_without_its_attributes)
{
    struct kv_txn *txn = txn_make();
    struct kv_op *op = txn_put(txn, "k", "target");
    op->set = KV_SET_MODE;
    op->meta.mode = S_IFLNK | 0777;
    ck_assert_int_eq(txn_commit(txn), 0);
    ck_assert_int_eq(set_xattr("k", "user.b", "2", KV_XATTR_ANY), 0);
    ck_assert_int_eq(put_attribute("k", "user.a", "1"), 0);
    ck_assert_str_eq(xattr_of("k", "user.a"), "1");
    ck_assert_ptr_null(xattr_of("k", "user.b"));
}
END_TEST

START_TEST(a_put_whose_attribute_is_refused_changes_nothing)
{
    char name[300];
    memset(name, 'x', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    ck_assert_int_eq(put("k", "old"), 0);
    ck_assert_int_eq(put_attribute("k", name, "1"), -ERANGE);
    ck_assert_value("k", "old");
}
END_TEST

START_TEST(a_put_and_a_mkdir_replace_all_attributes)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf all = {0};
    ck_assert_int_eq(
        kv_xattr_set("", 0, KV_LIT("user.x"), KV_LIT("y"), KV_XATTR_ANY, &all), 0);
    ck_assert_int_eq(put_attribute("k", "user.a", "1"), 0);
    struct kv_txn *txn = txn_make();
    struct kv_op *op = txn_put(txn, "k", "v");
    op->set = KV_SET_XATTRS;
    kv_buf_add(&op->xattr_value, all.data, all.len);
    op = txn_add(txn, KV_OP_MKDIR, "d");
    op->set = KV_SET_XATTRS;
    kv_buf_add(&op->xattr_value, all.data, all.len);
    ck_assert_int_eq(txn_commit(txn), 0);
    ck_assert_str_eq(xattr_of("k", "user.x"), "y");
    ck_assert_ptr_null(xattr_of("k", "user.a"));
    ck_assert_str_eq(xattr_of("d", "user.x"), "y");
}
END_TEST

KV_SUITE_WITH("put_xattr", store_setup, store_teardown,
              a_put_sets_and_removes_an_attribute_in_its_one_event,
              a_put_that_removes_what_is_not_there_succeeds,
              a_put_over_a_link_begins_without_its_attributes,
              a_put_whose_attribute_is_refused_changes_nothing,
              a_put_and_a_mkdir_replace_all_attributes)
