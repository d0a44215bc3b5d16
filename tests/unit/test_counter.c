/* Counting in a value, and reads inside a transaction. */
#include "store_fixture.h"

static void setup(void)
{
    store_setup_closed();
    store_config.max_value_bytes = KV_TXN_GET_BYTES;
    ck_assert_int_eq(store_open(), 0);
}

static int64_t number; /* what the last count came to */

static int count(const char *key, int64_t by, unsigned flags)
{
    struct kv_txn *txn = txn_make();
    struct kv_op *op = txn_add(txn, KV_OP_INCR, key);
    op->by = by;
    op->flags = flags;
    int err = kv_store_commit(store, txn);
    number = op->number;
    kv_txn_free(txn);
    return err;
}

START_TEST(counting_makes_the_key_and_goes_both_ways)
{
    ck_assert_int_eq(count("d/n", 5, KV_OP_PARENTS), 0);
    ck_assert_value("d/n", "5");
    ck_assert_int_eq(count("d/n", -7, 0), 0);
    ck_assert_value("d/n", "-2");
    ck_assert_int_eq(number, -2);
    ck_assert_uint_eq(meta_of("d/n").version, 2);
    ck_assert_str_eq(events_since(1), "2.0:put:d/n.");
}
END_TEST

START_TEST(counting_keeps_the_line_end_that_echo_wrote)
{
    ck_assert_int_eq(put("n", "41\n"), 0);
    ck_assert_int_eq(count("n", 1, 0), 0);
    ck_assert_value("n", "42\n");
}
END_TEST

START_TEST(counting_keeps_mode_attributes_and_expiry)
{
    int64_t later = INT64_C(4000000000000000000);
    ck_assert_int_eq(put_expiring("n", "1", later), 0);
    ck_assert_int_eq(set_mode("n", 0600), 0);
    ck_assert_int_eq(set_xattr("n", "user.a", "b", KV_XATTR_ANY), 0);
    ck_assert_int_eq(count("n", 1, 0), 0);
    ck_assert_uint_eq(meta_of("n").mode, S_IFREG | 0600);
    ck_assert_int_eq(meta_of("n").expiry_ns, later);
    ck_assert_str_eq(xattr_of("n", "user.a"), "b");
}
END_TEST

START_TEST(what_is_no_number_is_refused_and_stays)
{
    static const char *const values[] = {"",    "-",  "x",    "1x",    " 1", "1 ",
                                         "1.5", "+1", "0x10", "1\n\n", "\n", "--1"};
    for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
        ck_assert_int_eq(put("n", values[i]), 0);
        ck_assert_int_eq(count("n", 1, 0), -EDOM);
        ck_assert_value("n", values[i]);
    }
}
END_TEST

START_TEST(a_counter_never_wraps)
{
    ck_assert_int_eq(put("n", "9223372036854775806"), 0);
    ck_assert_int_eq(count("n", 1, 0), 0);
    ck_assert_value("n", "9223372036854775807");
    ck_assert_int_eq(count("n", 1, 0), -ERANGE);
    ck_assert_int_eq(put("n", "-9223372036854775808"), 0);
    ck_assert_int_eq(count("n", 0, 0), 0);
    ck_assert_int_eq(count("n", -1, 0), -ERANGE);
    ck_assert_value("n", "-9223372036854775808");
    ck_assert_int_eq(put("n", "9223372036854775808"), 0);
    ck_assert_int_eq(count("n", -1, 0), -ERANGE);
}
END_TEST

START_TEST(only_files_count)
{
    ck_assert_int_eq(make_dir("d"), 0);
    ck_assert_int_eq(count("d", 1, 0), -EISDIR);
    struct kv_txn *txn = txn_make();
    struct kv_op *op = txn_put(txn, "l", "1");
    op->set = KV_SET_MODE;
    op->meta.mode = S_IFLNK | 0777;
    ck_assert_int_eq(txn_commit(txn), 0);
    ck_assert_int_eq(count("l", 1, 0), -ELOOP);
    ck_assert_int_eq(count("none", 1, KV_OP_MUST_EXIST), -ENOENT);
    ck_assert_int_eq(count("no/parent", 1, 0), -ENOENT);
}
END_TEST

START_TEST(steps_of_one_transaction_add_up)
{
    struct kv_txn *txn = txn_make();
    for (int i = 0; i < 3; i++)
        txn_add(txn, KV_OP_INCR, "n")->by = 10;
    ck_assert_int_eq(txn_commit(txn), 0);
    ck_assert_value("n", "30");
    ck_assert_uint_eq(revision_now(), 1);
}
END_TEST

START_TEST(a_get_sees_what_came_before_it_in_the_transaction)
{
    ck_assert_int_eq(put("k", "old"), 0);
    struct kv_txn *txn = txn_make();
    (void)txn_add(txn, KV_OP_GET, "k");
    (void)txn_put(txn, "k", "new");
    (void)txn_add(txn, KV_OP_GET, "k");
    (void)txn_add(txn, KV_OP_DELETE, "k");
    (void)txn_add(txn, KV_OP_GET, "k");
    ck_assert_int_eq(kv_store_commit(store, txn), 0);
    ck_assert_bytes(txn->ops[0].result->value, txn->ops[0].result->meta.size, "old");
    ck_assert_bytes(txn->ops[2].result->value, txn->ops[2].result->meta.size, "new");
    ck_assert_uint_eq(txn->ops[2].result->meta.version, 2);
    ck_assert_ptr_null(txn->ops[4].result);
    kv_txn_free(txn);
}
END_TEST

START_TEST(a_transaction_of_gets_makes_no_revision)
{
    ck_assert_int_eq(put("k", "v"), 0);
    struct kv_txn *txn = txn_make();
    (void)txn_add(txn, KV_OP_GET, "k");
    (void)txn_add(txn, KV_OP_GET, "none");
    ck_assert_int_eq(kv_store_commit(store, txn), 0);
    ck_assert(!txn->changed);
    ck_assert_uint_eq(txn->revision, 1);
    kv_txn_free(txn);
    ck_assert_uint_eq(revision_now(), 1);
}
END_TEST

START_TEST(gets_hold_no_more_than_their_bound)
{
    enum { SIZE = KV_TXN_GET_BYTES / 2 - 100 };
    ck_assert_int_eq(put_sized("k", SIZE, 'x'), 0);
    for (int round = 0; round < 2; round++) { /* the bound is each transaction's own */
        struct kv_txn *txn = txn_make();
        for (int i = 0; i < 3; i++)
            (void)txn_add(txn, KV_OP_GET, "k");
        ck_assert_int_eq(kv_store_commit(store, txn), 0);
        ck_assert(!txn->ops[0].result->bare);
        ck_assert(!txn->ops[1].result->bare);
        ck_assert(txn->ops[2].result->bare);
        ck_assert_uint_eq(txn->ops[2].result->meta.size, SIZE);
        kv_txn_free(txn);
    }
    struct kv_txn *txn = txn_make();
    txn->get_max_bytes = SIZE - 1;
    (void)txn_add(txn, KV_OP_GET, "k");
    ck_assert_int_eq(kv_store_commit(store, txn), 0);
    ck_assert(txn->ops[0].result->bare);
    kv_txn_free(txn);
}
END_TEST

START_TEST(a_get_leaves_the_room_of_the_others_alone)
{
    ck_assert_int_eq(put_sized("long", 1001, 'x'), 0);
    ck_assert_int_eq(put_sized("short", 1000, 'x'), 0);
    struct kv_txn *txn = txn_make();
    txn->get_max_bytes = 2000;
    txn->get_value_max = 1000;
    (void)txn_add(txn, KV_OP_GET, "long");
    (void)txn_add(txn, KV_OP_GET, "short");
    (void)txn_add(txn, KV_OP_GET, "short");
    ck_assert_int_eq(kv_store_commit(store, txn), 0);
    ck_assert(txn->ops[0].result->bare);
    ck_assert(!txn->ops[1].result->bare);
    ck_assert(!txn->ops[2].result->bare);
    kv_txn_free(txn);
}
END_TEST

KV_SUITE_WITH("counter", setup, store_teardown,
              counting_makes_the_key_and_goes_both_ways,
              counting_keeps_the_line_end_that_echo_wrote,
              counting_keeps_mode_attributes_and_expiry,
              what_is_no_number_is_refused_and_stays, a_counter_never_wraps,
              only_files_count, steps_of_one_transaction_add_up,
              a_get_sees_what_came_before_it_in_the_transaction,
              a_transaction_of_gets_makes_no_revision,
              gets_hold_no_more_than_their_bound,
              a_get_leaves_the_room_of_the_others_alone)
