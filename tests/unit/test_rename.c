#include "store_fixture.h"

#include <stdio.h>

static uint64_t id_of(const char *key)
{
    return meta_of(key).id;
}

/* Look every key up, so that the cache holds what is about to become wrong. */
static void warm_up(const char *const *keys)
{
    for (; *keys; keys++)
        (void)lookup(*keys);
}

/* -- Keys -- */

START_TEST(a_renamed_key_keeps_all_but_its_name)
{
    ck_assert_int_eq(put_expiring("a/k", "one", INT64_MAX), 0);
    ck_assert_int_eq(put("a/k", "value"), 0);
    ck_assert_int_eq(set_xattr("a/k", "user.a", "attr", KV_XATTR_ANY), 0);
    ck_assert_int_eq(make_dir("b"), 0);
    struct kv_meta before = meta_of("a/k"), a = meta_of("a"), b = meta_of("b");
    struct kv_txn *txn = txn_make();
    txn_rename(txn, "a/k", "b/n", 0);
    ck_assert_int_eq(kv_store_commit(store, txn), 0);
    ck_assert_bytes(txn->ops[0].result->key, txn->ops[0].result->key_len, "b/n");
    kv_txn_free(txn);
    struct kv_meta after = meta_of("b/n");
    ck_assert_uint_eq(after.id, before.id);
    ck_assert_uint_eq(after.version, 2);
    ck_assert_uint_eq(after.create_revision, before.create_revision);
    ck_assert_uint_eq(after.mod_revision, 5);
    ck_assert_int_eq(after.mtime_ns, before.mtime_ns);
    ck_assert_int_gt(after.ctime_ns, before.ctime_ns);
    ck_assert_int_eq(after.expiry_ns, INT64_MAX);
    ck_assert_value("b/n", "value");
    ck_assert_str_eq(xattr_of("b/n", "user.a"), "attr");
    ck_assert_int_eq(lookup("a/k"), -ENOENT);
    ck_assert_int_gt(meta_of("a").mtime_ns, a.mtime_ns);
    ck_assert_int_gt(meta_of("b").mtime_ns, b.mtime_ns);
    ck_assert_str_eq(events_since(4), "5.0:rename:b/n<a/k.");
    check_store();
}
END_TEST

START_TEST(a_rename_event_names_both_directories_and_what_it_replaced)
{
    ck_assert_int_eq(put("a/k", "new"), 0);
    ck_assert_int_eq(put("b/n", "old"), 0);
    uint64_t replaced = id_of("b/n"), since = revision_now();
    ck_assert_int_eq(move("a/k", "b/n", 0), 0);
    size_t count;
    struct kv_event **events = read_events(since, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(events[0]->parent_id, id_of("b"));
    ck_assert_uint_eq(events[0]->from_parent_id, id_of("a"));
    ck_assert_uint_eq(events[0]->replaced_id, replaced);
    ck_assert_bytes(events[0]->record->value, events[0]->record->meta.size, "new");
    free_events(events, count);
    ck_assert_value("b/n", "new");
    ck_assert_str_eq(tree_of(""), "a/ b/ b/n");
    check_store();
    ck_assert_uint_eq(status_now().keys, 1);
}
END_TEST

START_TEST(a_replaced_key_takes_its_expiry_with_it)
{
    ck_assert_int_eq(put("k", "new"), 0);
    ck_assert_int_eq(put_expiring("n", "old", INT64_MAX), 0);
    ck_assert_int_eq(move("k", "n", 0), 0);
    ck_assert_int_eq(meta_of("n").expiry_ns, 0);
    check_store();
    ck_assert_int_eq(put_expiring("e", "v", INT64_MAX), 0);
    ck_assert_int_eq(move("e", "n", 0), 0);
    ck_assert_int_eq(meta_of("n").expiry_ns, INT64_MAX);
    check_store();
}
END_TEST

START_TEST(renaming_makes_missing_parents_only_when_asked)
{
    ck_assert_int_eq(put("k", "v"), 0);
    ck_assert_int_eq(move("k", "a/b/k", 0), -ENOENT);
    ck_assert_value("k", "v");
    ck_assert_int_eq(move("k", "a/b/k", KV_OP_PARENTS), 0);
    ck_assert_str_eq(events_since(1), "2.0:mkdir:a 2.1:mkdir:a/b 2.2:rename:a/b/k<k.");
    check_store();
}
END_TEST

START_TEST(renaming_what_is_absent_is_enoent)
{
    ck_assert_int_eq(move("k", "n", 0), -ENOENT);
    ck_assert_int_eq(move("k", "k", 0), -ENOENT);
    ck_assert_uint_eq(revision_now(), 0);
}
END_TEST

START_TEST(renaming_below_a_key_is_enotdir)
{
    ck_assert_int_eq(put("k", "v"), 0);
    ck_assert_int_eq(put("n", "v"), 0);
    ck_assert_int_eq(move("k", "n/k", KV_OP_PARENTS), -ENOTDIR);
    ck_assert_int_eq(move("k", "n/a/b", KV_OP_PARENTS), -ENOTDIR);
    ck_assert_str_eq(tree_of(""), "k n");
}
END_TEST

START_TEST(renaming_to_the_same_name_changes_nothing)
{
    ck_assert_int_eq(put("k", "v"), 0);
    ck_assert_int_eq(make_dir("d"), 0);
    ck_assert_int_eq(move("k", "k", 0), 0);
    ck_assert_int_eq(move("d", "d", 0), 0);
    ck_assert_int_eq(move("k", "k", KV_OP_EXCHANGE), 0);
    ck_assert_int_eq(move("k", "k", KV_OP_EXCL), -EEXIST);
    ck_assert_uint_eq(revision_now(), 2);
}
END_TEST

START_TEST(excl_refuses_a_target_that_is_there)
{
    ck_assert_int_eq(put("k", "v"), 0);
    ck_assert_int_eq(put("n", "w"), 0);
    ck_assert_int_eq(make_dir("d"), 0);
    ck_assert_int_eq(move("k", "n", KV_OP_EXCL), -EEXIST);
    ck_assert_int_eq(move("k", "d", KV_OP_EXCL), -EEXIST);
    ck_assert_int_eq(move("k", "free", KV_OP_EXCL), 0);
    ck_assert_value("n", "w");
    ck_assert_value("free", "v");
}
END_TEST

START_TEST(keys_and_directories_do_not_replace_each_other)
{
    ck_assert_int_eq(put("k", "v"), 0);
    ck_assert_int_eq(make_dir("d"), 0);
    ck_assert_int_eq(move("k", "d", 0), -EISDIR);
    ck_assert_int_eq(move("d", "k", 0), -ENOTDIR);
    ck_assert_uint_eq(revision_now(), 2);
}
END_TEST

START_TEST(a_rename_without_a_target_is_einval)
{
    ck_assert_int_eq(make_dir("d"), 0);
    struct kv_txn *txn = txn_make();
    txn_add(txn, KV_OP_RENAME, "d");
    ck_assert_int_eq(txn_commit(txn), -EINVAL);
    ck_assert_str_eq(tree_of(""), "d/");
}
END_TEST

/* -- Directories -- */

static const char *const both_trees[] = {"a",   "a/b",   "a/b/c", "a/d", "z",
                                         "z/b", "z/b/c", "z/d",   NULL};

START_TEST(a_directory_moves_with_all_below_it)
{
    ck_assert_int_eq(put("a/b/c", "c"), 0);
    ck_assert_int_eq(put_expiring("a/d", "d", INT64_MAX), 0);
    ck_assert_int_eq(put("a/b-x", "x"), 0);
    ck_assert_int_eq(put("a-b", "neighbour"), 0);
    ck_assert_int_eq(put("a0", "neighbour"), 0);
    warm_up(both_trees);
    uint64_t since = revision_now(), a = id_of("a"), b = id_of("a/b"),
             c = id_of("a/b/c");
    ck_assert_int_eq(move("a", "z", 0), 0);
    ck_assert_str_eq(tree_of(""), "a-b a0 z/ z/b/ z/b-x z/b/c z/d");
    ck_assert_str_eq(events_since(since),
                     "6.0:rename:z<a 6.1:rename~:z/b<a/b 6.2:rename~:z/b-x<a/b-x "
                     "6.3:rename~:z/b/c<a/b/c 6.4:rename~:z/d<a/d.");
    ck_assert_uint_eq(id_of("z"), a);
    ck_assert_uint_eq(id_of("z/b"), b);
    ck_assert_uint_eq(id_of("z/b/c"), c);
    ck_assert_value("z/b/c", "c");
    ck_assert_int_eq(meta_of("z/d").expiry_ns, INT64_MAX);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(lookup(both_trees[i]), -ENOENT);
    size_t count;
    struct kv_event **events = read_events(since, &count);
    const uint64_t parents[] = {KV_ROOT_ID, a, a, b, a};
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_eq(events[i]->parent_id, parents[i]);
        ck_assert_uint_eq(events[i]->from_parent_id, parents[i]);
        ck_assert(i == 0 || events[i]->record->bare);
    }
    free_events(events, count);
    check_store();
    ck_assert_uint_eq(status_now().directories, 2);
}
END_TEST

START_TEST(the_old_names_are_free_again_in_the_same_transaction)
{
    ck_assert_int_eq(put("a/b/c", "old"), 0);
    warm_up(both_trees);
    struct kv_txn *txn = txn_make();
    txn_rename(txn, "a", "z", 0);
    txn_put(txn, "a/b/c", "new");
    ck_assert_int_eq(txn_commit(txn), 0);
    ck_assert_value("a/b/c", "new");
    ck_assert_value("z/b/c", "old");
    ck_assert_uint_ne(id_of("a"), id_of("z"));
    ck_assert_uint_eq(meta_of("a/b/c").version, 1);
    check_store();
}
END_TEST

START_TEST(a_directory_may_move_deeper_and_up)
{
    ck_assert_int_eq(put("a/b/c", "v"), 0);
    ck_assert_int_eq(move("a/b", "x/y/z", KV_OP_PARENTS), 0);
    ck_assert_str_eq(tree_of(""), "a/ x/ x/y/ x/y/z/ x/y/z/c");
    ck_assert_int_eq(move("x/y/z", "b", 0), 0);
    ck_assert_str_eq(tree_of(""), "a/ b/ b/c x/ x/y/");
    ck_assert_int_eq(move("b", "bb", 0), 0);
    ck_assert_int_eq(move("bb", "b", 0), 0);
    ck_assert_value("b/c", "v");
    check_store();
}
END_TEST

START_TEST(a_directory_replaces_an_empty_one_only)
{
    ck_assert_int_eq(put("a/k", "v"), 0);
    ck_assert_int_eq(make_dir("empty"), 0);
    ck_assert_int_eq(put("full/k", "w"), 0);
    ck_assert_int_eq(move("a", "full", 0), -ENOTEMPTY);
    uint64_t a = id_of("a"), empty = id_of("empty"), since = revision_now();
    ck_assert_int_eq(move("a", "empty", 0), 0);
    ck_assert_uint_eq(id_of("empty"), a);
    ck_assert_value("empty/k", "v");
    size_t count;
    struct kv_event **events = read_events(since, &count);
    ck_assert_uint_eq(count, 2);
    ck_assert_uint_eq(events[0]->replaced_id, empty);
    ck_assert_uint_eq(events[1]->replaced_id, 0);
    free_events(events, count);
    ck_assert_int_eq(put("empty/n", "v"), 0);
    check_store();
    ck_assert_uint_eq(status_now().directories, 2);
}
END_TEST

START_TEST(a_directory_does_not_move_below_itself_nor_onto_its_parent)
{
    ck_assert_int_eq(put("a/b/c", "v"), 0);
    ck_assert_int_eq(move("a", "a/x", 0), -EINVAL);
    ck_assert_int_eq(move("a", "a/b/x", KV_OP_PARENTS), -EINVAL);
    ck_assert_int_eq(move("a/b", "a", 0), -ENOTEMPTY);
    ck_assert_int_eq(move("a/b/c", "a", 0), -EISDIR);
    ck_assert_int_eq(move("a", "a/b", KV_OP_EXCHANGE), -EINVAL);
    ck_assert_int_eq(move("a/b", "a", KV_OP_EXCHANGE), -EINVAL);
    ck_assert_uint_eq(revision_now(), 1);
}
END_TEST

/* A key of `len` bytes in components of 100 bytes below the letter. */
static const char *long_key(char letter, size_t len)
{
    static char key[2][KV_KEY_MAX + 1];
    static int turn;
    char *out = key[turn ^= 1];
    for (size_t i = 0; i < len; i++)
        out[i] = i % 100 == 1 ? '/' : letter;
    out[len] = '\0';
    return out;
}

START_TEST(a_name_that_grows_too_long_below_refuses_the_whole_move)
{
    const char *deep = long_key('a', KV_KEY_MAX);
    ck_assert_int_eq(put(deep, "v"), 0);
    uint64_t since = revision_now();
    ck_assert_int_eq(move("a", "bb", 0), -ENAMETOOLONG);
    ck_assert_value(deep, "v");
    ck_assert_int_eq(lookup("bb"), -ENOENT);
    ck_assert_uint_eq(revision_now(), since);
    ck_assert_int_eq(move("a", "b", 0), 0);
    ck_assert_int_eq(lookup(deep), -ENOENT);
    ck_assert_int_eq(make_dir("cc"), 0);
    ck_assert_int_eq(move("b", "cc", KV_OP_EXCHANGE), -ENAMETOOLONG);
    ck_assert_int_eq(move("cc", "b", KV_OP_EXCHANGE), -ENAMETOOLONG);
    check_store();
}
END_TEST

START_TEST(a_large_directory_moves_with_its_values)
{
    char key[64];
    for (int i = 0; i < 400; i++) {
        (void)snprintf(key, sizeof(key), "a/%d/%d", i % 20, i);
        ck_assert_int_eq(put_sized(key, (size_t)i * 50, (char)('a' + i % 26)), 0);
    }
    ck_assert_int_eq(move("a", "other/b", KV_OP_PARENTS), 0);
    ck_assert_str_eq(tree_of("other/b/7"),
                     "other/b/7/107 other/b/7/127 other/b/7/147 other/b/7/167 "
                     "other/b/7/187 other/b/7/207 other/b/7/227 other/b/7/247 "
                     "other/b/7/267 other/b/7/27 other/b/7/287 other/b/7/307 "
                     "other/b/7/327 other/b/7/347 other/b/7/367 other/b/7/387 "
                     "other/b/7/47 other/b/7/67 other/b/7/7 other/b/7/87");
    for (int i = 0; i < 400; i++) {
        (void)snprintf(key, sizeof(key), "other/b/%d/%d", i % 20, i);
        const char *value = value_of(key);
        ck_assert_uint_eq(strlen(value), (size_t)i * 50);
        ck_assert(i == 0 || value[(size_t)i * 50 - 1] == 'a' + i % 26);
    }
    check_store();
}
END_TEST

/* -- Exchange -- */

START_TEST(two_keys_change_places)
{
    ck_assert_int_eq(put_expiring("a/k", "one", INT64_MAX), 0);
    ck_assert_int_eq(put("b/n", "two"), 0);
    uint64_t k = id_of("a/k"), n = id_of("b/n"), since = revision_now();
    struct kv_txn *txn = txn_make();
    txn_rename(txn, "a/k", "b/n", KV_OP_EXCHANGE);
    ck_assert_int_eq(kv_store_commit(store, txn), 0);
    ck_assert_ptr_nonnull(txn->ops[0].result);
    ck_assert_uint_eq(txn->ops[0].result->meta.id, k);
    ck_assert_bytes(txn->ops[0].result->key, txn->ops[0].result->key_len, "b/n");
    kv_txn_free(txn);
    ck_assert_value("a/k", "two");
    ck_assert_value("b/n", "one");
    ck_assert_uint_eq(id_of("a/k"), n);
    ck_assert_uint_eq(id_of("b/n"), k);
    ck_assert_int_eq(meta_of("b/n").expiry_ns, INT64_MAX);
    ck_assert_int_eq(meta_of("a/k").expiry_ns, 0);
    ck_assert_str_eq(events_since(since), "3.0:renamex:b/n<a/k 3.1:renamex:a/k<b/n.");
    size_t count;
    struct kv_event **events = read_events(since, &count);
    ck_assert_uint_eq(events[0]->parent_id, id_of("b"));
    ck_assert_uint_eq(events[0]->from_parent_id, id_of("a"));
    ck_assert_uint_eq(events[1]->parent_id, id_of("a"));
    ck_assert_uint_eq(events[1]->from_parent_id, id_of("b"));
    ck_assert_uint_eq(events[0]->replaced_id, 0);
    free_events(events, count);
    check_store();
}
END_TEST

START_TEST(two_directories_change_places_with_all_below)
{
    ck_assert_int_eq(put("a/b/c", "a's"), 0);
    ck_assert_int_eq(put_expiring("a/d", "a's d", INT64_MAX), 0);
    ck_assert_int_eq(put("z/b", "z's"), 0);
    warm_up(both_trees);
    uint64_t a = id_of("a"), z = id_of("z"), since = revision_now();
    ck_assert_int_eq(move("a", "z", KV_OP_EXCHANGE), 0);
    ck_assert_str_eq(tree_of(""), "a/ a/b z/ z/b/ z/b/c z/d");
    ck_assert_str_eq(
        events_since(since),
        "4.0:renamex:z<a 4.1:renamex:a<z 4.2:rename~:z/b<a/b "
        "4.3:rename~:z/b/c<a/b/c 4.4:rename~:z/d<a/d 4.5:rename~:a/b<z/b.");
    ck_assert_value("a/b", "z's");
    ck_assert_value("z/b/c", "a's");
    ck_assert_value("z/d", "a's d");
    ck_assert_int_eq(lookup("a/b/c"), -ENOENT);
    ck_assert_int_eq(lookup("a/d"), -ENOENT);
    ck_assert_uint_eq(id_of("a"), z);
    ck_assert_uint_eq(id_of("z"), a);
    size_t count;
    struct kv_event **events = read_events(since, &count);
    const uint64_t parents[] = {KV_ROOT_ID, KV_ROOT_ID, a, id_of("z/b"), a, z};
    for (size_t i = 0; i < count; i++) {
        ck_assert_uint_eq(events[i]->parent_id, parents[i]);
        ck_assert_uint_eq(events[i]->from_parent_id, parents[i]);
        ck_assert(!events[i]->implied || events[i]->record->bare);
    }
    free_events(events, count);
    check_store();
}
END_TEST

START_TEST(a_key_and_a_directory_change_places)
{
    ck_assert_int_eq(put("a/b/c", "below"), 0);
    ck_assert_int_eq(put("k", "key"), 0);
    ck_assert_int_eq(move("k", "a/b", KV_OP_EXCHANGE), 0);
    ck_assert_str_eq(tree_of(""), "a/ a/b k/ k/c");
    ck_assert_value("a/b", "key");
    ck_assert_value("k/c", "below");
    ck_assert_int_eq(move("k", "a/b", KV_OP_EXCHANGE), 0);
    ck_assert_str_eq(tree_of(""), "a/ a/b/ a/b/c k");
    ck_assert_value("a/b/c", "below");
    check_store();
}
END_TEST

START_TEST(an_exchange_needs_both)
{
    ck_assert_int_eq(put("k", "v"), 0);
    ck_assert_int_eq(move("k", "n", KV_OP_EXCHANGE), -ENOENT);
    ck_assert_int_eq(move("n", "k", KV_OP_EXCHANGE), -ENOENT);
    ck_assert_uint_eq(revision_now(), 1);
}
END_TEST

KV_SUITE_WITH(
    "rename", store_setup, store_teardown, a_renamed_key_keeps_all_but_its_name,
    a_rename_event_names_both_directories_and_what_it_replaced,
    a_replaced_key_takes_its_expiry_with_it,
    renaming_makes_missing_parents_only_when_asked, renaming_what_is_absent_is_enoent,
    renaming_below_a_key_is_enotdir, renaming_to_the_same_name_changes_nothing,
    excl_refuses_a_target_that_is_there, keys_and_directories_do_not_replace_each_other,
    a_rename_without_a_target_is_einval, a_directory_moves_with_all_below_it,
    the_old_names_are_free_again_in_the_same_transaction,
    a_directory_may_move_deeper_and_up, a_directory_replaces_an_empty_one_only,
    a_directory_does_not_move_below_itself_nor_onto_its_parent,
    a_name_that_grows_too_long_below_refuses_the_whole_move,
    a_large_directory_moves_with_its_values, two_keys_change_places,
    two_directories_change_places_with_all_below, a_key_and_a_directory_change_places,
    an_exchange_needs_both)
