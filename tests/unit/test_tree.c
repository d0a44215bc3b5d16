#include "store_fixture.h"

#include <stdio.h>

/* Delete a tree; how many rows went, or the error. */
static int64_t delete_tree(const char *key, unsigned flags)
{
    struct kv_txn *txn = txn_make();
    txn_add(txn, KV_OP_DELETE_TREE, key)->flags = flags;
    int err = kv_store_commit(store, txn);
    int64_t count = err ? err : (int64_t)txn->ops[0].count;
    if (!err && count > 0) {
        struct kv_record *result = txn->ops[0].result;
        ck_assert_ptr_nonnull(result);
        ck_assert_uint_eq(result->key_len, strlen(key));
        ck_assert_mem_eq(result->key, key, strlen(key));
    }
    kv_txn_free(txn);
    return count;
}

/* -- Rmdir -- */

START_TEST(rmdir_removes_an_empty_directory)
{
    ck_assert_int_eq(make_dir("a/b"), 0);
    struct kv_meta before = meta_of("a");
    uint64_t id = meta_of("a/b").id;
    ck_assert_int_eq(remove_dir("a/b"), 0);
    ck_assert_str_eq(tree_of(""), "a/");
    ck_assert_int_gt(meta_of("a").mtime_ns, before.mtime_ns);
    size_t count;
    struct kv_event **events = read_events(1, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(events[0]->type, KV_EVENT_RMDIR);
    ck_assert_uint_eq(events[0]->record->meta.id, id);
    ck_assert_uint_eq(events[0]->parent_id, before.id);
    free_events(events, count);
    check_store();
}
END_TEST

START_TEST(rmdir_refuses_what_is_full_absent_or_a_key)
{
    ck_assert_int_eq(put("a/b/c", "v"), 0);
    ck_assert_int_eq(remove_dir("a"), -ENOTEMPTY);
    ck_assert_int_eq(remove_dir("a/b"), -ENOTEMPTY);
    ck_assert_int_eq(remove_dir("a/b/c"), -ENOTDIR);
    ck_assert_int_eq(remove_dir("x"), -ENOENT);
    ck_assert_uint_eq(revision_now(), 1);
}
END_TEST

START_TEST(a_neighbour_that_sorts_close_does_not_fill_a_directory)
{
    ck_assert_int_eq(make_dir("a"), 0);
    ck_assert_int_eq(put("a-b", "v"), 0);
    ck_assert_int_eq(put("a0", "v"), 0);
    ck_assert_int_eq(put("a.d/x", "v"), 0);
    ck_assert_int_eq(remove_dir("a"), 0);
    ck_assert_str_eq(tree_of(""), "a-b a.d/ a.d/x a0");
}
END_TEST

START_TEST(a_directory_can_be_removed_and_made_again_in_one_transaction)
{
    ck_assert_int_eq(make_dir("a"), 0);
    uint64_t id = meta_of("a").id;
    struct kv_txn *txn = txn_make();
    txn_add(txn, KV_OP_RMDIR, "a");
    txn_put(txn, "a/b", "v");
    ck_assert_int_eq(txn_commit(txn), 0);
    ck_assert_uint_ne(meta_of("a").id, id);
    ck_assert_str_eq(events_since(1), "2.0:rmdir:a 2.1:mkdir:a 2.2:put+:a/b.");
    size_t count;
    struct kv_event **events = read_events(1, &count);
    ck_assert_uint_eq(events[2]->parent_id, meta_of("a").id);
    free_events(events, count);
    check_store();
}
END_TEST

/* -- Delete-tree -- */

START_TEST(delete_tree_goes_children_first_with_their_parents_ids)
{
    ck_assert_int_eq(put("d/a/x", "v"), 0);
    ck_assert_int_eq(put("d/a-b", "v"), 0);
    ck_assert_int_eq(put("d/a/y/z", "v"), 0);
    ck_assert_int_eq(make_dir("d/e1"), 0);
    ck_assert_int_eq(make_dir("d/e2"), 0);
    ck_assert_int_eq(put("d0", "v"), 0);
    ck_assert_int_eq(put("d-", "v"), 0);
    uint64_t since = revision_now(), root = KV_ROOT_ID;
    uint64_t d = meta_of("d").id, d_a = meta_of("d/a").id, d_a_y = meta_of("d/a/y").id;
    ck_assert_int_eq(delete_tree("d", 0), 8);
    ck_assert_str_eq(tree_of(""), "d- d0");
    ck_assert_str_eq(events_since(since),
                     "8.0:rmdir:d/e2 8.1:rmdir:d/e1 8.2:delete:d/a/y/z 8.3:rmdir:d/a/y "
                     "8.4:delete:d/a/x 8.5:delete:d/a-b 8.6:rmdir:d/a 8.7:rmdir:d.");
    size_t count;
    struct kv_event **events = read_events(since, &count);
    const uint64_t parents[] = {d, d, d_a_y, d_a, d_a, d, d, root};
    ck_assert_uint_eq(count, 8);
    for (size_t i = 0; i < count; i++)
        ck_assert_uint_eq(events[i]->parent_id, parents[i]);
    free_events(events, count);
    check_store();
    ck_assert_uint_eq(status_now().keys, 2);
    ck_assert_uint_eq(status_now().directories, 0);
}
END_TEST

START_TEST(delete_tree_takes_one_key_as_well)
{
    ck_assert_int_eq(put("a/k", "v"), 0);
    ck_assert_int_eq(put("a/kk", "v"), 0);
    ck_assert_int_eq(delete_tree("a/k", 0), 1);
    ck_assert_str_eq(tree_of(""), "a/ a/kk");
    ck_assert_int_eq(lookup("a/k"), -ENOENT);
}
END_TEST

START_TEST(delete_tree_of_what_is_absent_is_enoent_or_nothing)
{
    ck_assert_int_eq(delete_tree("a", 0), -ENOENT);
    ck_assert_int_eq(delete_tree("a", KV_OP_IF_EXISTS), 0);
    ck_assert_int_eq(delete_tree("a/b/c", KV_OP_IF_EXISTS), 0);
    ck_assert_uint_eq(revision_now(), 0);
}
END_TEST

START_TEST(deleted_keys_with_an_expiry_leave_the_index)
{
    ck_assert_int_eq(put_expiring("a/k", "v", INT64_MAX), 0);
    ck_assert_int_eq(put_expiring("k", "v", INT64_MAX), 0);
    ck_assert_int_eq(delete_tree("a", 0), 2);
    ck_assert_int_eq(del("k"), 0);
    check_store();
}
END_TEST

START_TEST(what_was_read_before_a_delete_tree_is_gone_after_it)
{
    ck_assert_int_eq(put("a/b/c", "v"), 0);
    ck_assert_value("a/b/c", "v");
    ck_assert_int_eq(lookup("a/b"), 0);
    ck_assert_int_eq(del_tree("a"), 0);
    ck_assert_int_eq(lookup("a"), -ENOENT);
    ck_assert_int_eq(lookup("a/b"), -ENOENT);
    ck_assert_int_eq(lookup("a/b/c"), -ENOENT);
    ck_assert_int_eq(put("a", "now a key"), 0);
    ck_assert_value("a", "now a key");
}
END_TEST

static void make_entries(const char *prefix, int count, enum kv_op_type type)
{
    struct kv_txn *txn = NULL;
    for (int i = 0; i < count; i++) {
        char key[64];
        (void)snprintf(key, sizeof(key), "%s%06d/x", prefix, i);
        if (!txn)
            txn = txn_make();
        txn_add(txn, type, key)->flags = KV_OP_PARENTS;
        if (i % 5000 == 4999 || i == count - 1) {
            ck_assert_int_eq(txn_commit(txn), 0);
            txn = NULL;
        }
    }
}

START_TEST(a_wide_tree_goes_in_one_revision)
{
    enum { WIDE = 30000 };
    make_entries("d/e", WIDE, KV_OP_MKDIR);
    make_entries("d/s", 1000, KV_OP_PUT);
    ck_assert_int_eq(delete_tree("d", 0), 2 * WIDE + 2000 + 1);
    ck_assert_str_eq(tree_of(""), "");
    check_store();
}
END_TEST

/* Keys in a directory of their own. */
static void fill(const char *directory, int count)
{
    for (int i = 0; i < count;) {
        struct kv_txn *txn = txn_make();
        for (int end = i + 5000; i < end && i < count; i++) {
            char key[32];
            (void)snprintf(key, sizeof(key), "%s/%d", directory, i);
            txn_put(txn, key, "v")->flags = KV_OP_PARENTS;
        }
        ck_assert_int_eq(txn_commit(txn), 0);
    }
}

START_TEST(a_transaction_deletes_so_many_with_their_directories)
{
    fill("a", KV_TXN_TREE_MAX / 2);
    fill("b", KV_TXN_TREE_MAX / 2 - 2);
    uint64_t before = revision_now();
    ck_assert_int_eq(put("b/one-more", "v"), 0);
    struct kv_txn *txn = txn_make();
    (void)txn_add(txn, KV_OP_DELETE_TREE, "a");
    (void)txn_add(txn, KV_OP_DELETE_TREE, "b");
    ck_assert_int_eq(kv_store_commit(store, txn), -E2BIG);
    ck_assert_uint_eq(txn->failed, 1);
    kv_txn_free(txn);
    ck_assert_value("a/0", "v");
    ck_assert_uint_eq(revision_now(), before + 1);

    ck_assert_int_eq(del("b/one-more"), 0);
    txn = txn_make();
    (void)txn_add(txn, KV_OP_DELETE_TREE, "a");
    (void)txn_add(txn, KV_OP_DELETE_TREE, "b");
    ck_assert_int_eq(kv_store_commit(store, txn), 0);
    ck_assert_uint_eq(txn->ops[0].count + txn->ops[1].count, KV_TXN_TREE_MAX);
    kv_txn_free(txn);
    ck_assert_str_eq(tree_of(""), "");
}
END_TEST

KV_SUITE_WITH("tree", store_setup, store_teardown,
              a_transaction_deletes_so_many_with_their_directories,
              rmdir_removes_an_empty_directory,
              rmdir_refuses_what_is_full_absent_or_a_key,
              a_neighbour_that_sorts_close_does_not_fill_a_directory,
              a_directory_can_be_removed_and_made_again_in_one_transaction,
              delete_tree_goes_children_first_with_their_parents_ids,
              delete_tree_takes_one_key_as_well,
              delete_tree_of_what_is_absent_is_enoent_or_nothing,
              deleted_keys_with_an_expiry_leave_the_index,
              what_was_read_before_a_delete_tree_is_gone_after_it,
              a_wide_tree_goes_in_one_revision)
