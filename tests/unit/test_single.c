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

/* -- Put -- */

START_TEST(a_put_makes_a_key_with_the_defaults)
{
    int64_t before = kv_clock_realtime_ns();
    ck_assert_int_eq(put_flags("k", "value", 0), 0);
    struct kv_meta meta = meta_of("k");
    ck_assert_uint_gt(meta.id, KV_ROOT_ID);
    ck_assert_uint_eq(meta.create_revision, 1);
    ck_assert_uint_eq(meta.mod_revision, 1);
    ck_assert_uint_eq(meta.version, 1);
    ck_assert_uint_eq(meta.size, 5);
    ck_assert_int_ge(meta.mtime_ns, before);
    ck_assert_int_le(meta.mtime_ns, kv_clock_realtime_ns());
    ck_assert_int_eq(meta.ctime_ns, meta.mtime_ns);
    ck_assert_int_eq(meta.expiry_ns, 0);
    ck_assert_uint_eq(meta.mode, S_IFREG | 0644);
    ck_assert_uint_eq(meta.uid, 1000);
    ck_assert_uint_eq(meta.gid, 1001);
    ck_assert_value("k", "value");
    ck_assert_str_eq(events_since(0), "1.0:put+:k.");
}
END_TEST

START_TEST(an_overwrite_keeps_the_metadata_and_counts_the_version)
{
    int64_t expiry_ns = in_an_hour();
    ck_assert_int_eq(put_expiring("k", "one", expiry_ns), 0);
    ck_assert_int_eq(set_mode("k", 0600), 0);
    ck_assert_int_eq(set_xattr("k", "user.colour", "red", KV_XATTR_ANY), 0);
    struct kv_meta before = meta_of("k");
    ck_assert_int_eq(put("k", "three"), 0);
    struct kv_meta after = meta_of("k");
    ck_assert_uint_eq(after.id, before.id);
    ck_assert_uint_eq(after.create_revision, before.create_revision);
    ck_assert_uint_eq(after.mod_revision, 4);
    ck_assert_uint_eq(after.version, 2);
    ck_assert_uint_eq(after.mode, S_IFREG | 0600);
    ck_assert_int_eq(after.expiry_ns, expiry_ns);
    ck_assert_int_gt(after.mtime_ns, before.mtime_ns);
    ck_assert_int_gt(after.ctime_ns, before.ctime_ns);
    ck_assert_str_eq(xattr_of("k", "user.colour"), "red");
    ck_assert_value("k", "three");
    ck_assert_str_eq(events_since(3), "4.0:put:k.");
}
END_TEST

START_TEST(a_deleted_key_that_is_put_again_is_another)
{
    ck_assert_int_eq(put("k", "one"), 0);
    struct kv_meta before = meta_of("k");
    ck_assert_int_eq(put("k", "two"), 0);
    ck_assert_int_eq(del("k"), 0);
    ck_assert_int_eq(put("k", "three"), 0);
    struct kv_meta after = meta_of("k");
    ck_assert_uint_gt(after.id, before.id);
    ck_assert_uint_eq(after.version, 1);
    ck_assert_uint_eq(after.create_revision, 4);
}
END_TEST

START_TEST(a_put_sets_the_metadata_it_names)
{
    struct kv_txn *txn = txn_make();
    struct kv_op *op = txn_put(txn, "k", "target");
    op->set = KV_SET_MODE | KV_SET_UID | KV_SET_GID | KV_SET_MTIME | KV_SET_EXPIRY;
    op->meta = (struct kv_meta){.mode = S_IFLNK | 0777,
                                .uid = 7,
                                .gid = 8,
                                .mtime_ns = -9,
                                .expiry_ns = in_an_hour(),
                                .id = 99,
                                .version = 99};
    int64_t expiry_ns = op->meta.expiry_ns;
    ck_assert_int_eq(txn_commit(txn), 0);
    struct kv_meta meta = meta_of("k");
    ck_assert_uint_eq(meta.mode, S_IFLNK | 0777);
    ck_assert_uint_eq(meta.uid, 7);
    ck_assert_uint_eq(meta.gid, 8);
    ck_assert_int_eq(meta.mtime_ns, -9);
    ck_assert_int_gt(meta.ctime_ns, 0);
    ck_assert_int_eq(meta.expiry_ns, expiry_ns);
    ck_assert_uint_ne(meta.id, 99);
    ck_assert_uint_eq(meta.version, 1);
}
END_TEST

START_TEST(a_put_without_a_type_in_its_mode_is_a_files)
{
    struct kv_txn *txn = txn_make();
    struct kv_op *op = txn_put(txn, "k", "v");
    op->set = KV_SET_MODE;
    op->meta.mode = 04711;
    ck_assert_int_eq(txn_commit(txn), 0);
    ck_assert_uint_eq(meta_of("k").mode, S_IFREG | 04711);
}
END_TEST

START_TEST(a_put_over_a_symbolic_link_replaces_it)
{
    ck_assert_int_eq(put("d/target", "v"), 0);
    put_link("d/link", "target");
    ck_assert_int_eq(set_expiry("d/link", in_an_hour()), 0);
    struct kv_meta link = meta_of("d/link");
    uint64_t revision = revision_now();
    ck_assert_int_eq(put("d/link", "new"), 0);
    ck_assert_uint_eq(revision_now(), revision + 1);
    ck_assert_value("d/link", "new");
    ck_assert_value("d/target", "v");
    struct kv_meta meta = meta_of("d/link");
    ck_assert_uint_eq(meta.mode, S_IFREG | 0644);
    ck_assert_uint_ne(meta.id, link.id);
    ck_assert_uint_eq(meta.version, 1);
    ck_assert_int_eq(meta.expiry_ns, 0);
    ck_assert_uint_eq(meta.create_revision, revision + 1);
    ck_assert_str_eq(events_since(revision), "4.0:delete:d/link 4.1:put+:d/link.");
    put_link("d/link", "target");
    ck_assert_uint_eq(meta_of("d/link").mode, S_IFLNK | 0777);
    ck_assert_uint_ne(meta_of("d/link").id, meta.id);
    put_link("d/link", "elsewhere");
    ck_assert_uint_eq(meta_of("d/link").version, 2);
    check_store();
}
END_TEST

START_TEST(nothing_is_appended_to_a_symbolic_link)
{
    put_link("link", "target");
    uint64_t revision = revision_now();
    ck_assert_int_eq(append("link", "more"), -ELOOP);
    ck_assert_uint_eq(revision_now(), revision);
    ck_assert_value("link", "target");
}
END_TEST

START_TEST(a_put_makes_neither_directories_nor_devices)
{
    const uint32_t types[] = {S_IFDIR, S_IFCHR, S_IFBLK, S_IFSOCK, S_IFIFO};
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
        struct kv_txn *txn = txn_make();
        struct kv_op *op = txn_put(txn, "k", "v");
        op->set = KV_SET_MODE;
        op->meta.mode = types[i] | 0644;
        ck_assert_int_eq(txn_commit(txn), -EINVAL);
    }
    ck_assert_str_eq(tree_of(""), "");
    check_store();
}
END_TEST

START_TEST(a_put_takes_the_id_it_is_given_for_a_new_key_only)
{
    uint64_t id = kv_store_new_id(store), other = kv_store_new_id(store);
    ck_assert_uint_gt(other, id);
    struct kv_txn *txn = txn_make();
    txn_put(txn, "k", "v")->new_id = other;
    ck_assert_int_eq(txn_commit(txn), 0);
    ck_assert_uint_eq(meta_of("k").id, other);
    txn = txn_make();
    txn_put(txn, "k", "w")->new_id = id;
    ck_assert_int_eq(txn_commit(txn), 0);
    ck_assert_uint_eq(meta_of("k").id, other);
    ck_assert_int_eq(put("k2", "v"), 0);
    ck_assert_uint_gt(meta_of("k2").id, other);
}
END_TEST

START_TEST(ids_are_not_given_out_again_after_reopening)
{
    struct kv_txn *txn = txn_make();
    uint64_t id = kv_store_new_id(store);
    txn_put(txn, "k", "v")->new_id = id;
    ck_assert_int_eq(txn_commit(txn), 0);
    ck_assert_int_eq(del("k"), 0);
    store_reopen();
    ck_assert_uint_gt(kv_store_new_id(store), id);
}
END_TEST

START_TEST(a_put_gives_its_result)
{
    struct kv_txn *txn = txn_make();
    txn_put(txn, "k", "one");
    struct kv_op *op = run(txn, 0);
    ck_assert(op->created);
    ck_assert_bytes(op->result->value, op->result->meta.size, "one");
    ck_assert_uint_eq(op->result->meta.mod_revision, txn->revision);
    ck_assert_uint_eq(txn->revision, 1);
    ck_assert(txn->changed);
    ck_assert(txn->succeeded);
    kv_txn_free(txn);
    txn = txn_make();
    txn_put(txn, "k", "two");
    op = run(txn, 0);
    ck_assert(!op->created);
    ck_assert_uint_eq(op->result->meta.version, 2);
    kv_txn_free(txn);
}
END_TEST

START_TEST(parents_are_made_in_the_same_revision_when_asked)
{
    ck_assert_int_eq(put_flags("a/b/c", "v", 0), -ENOENT);
    ck_assert_str_eq(tree_of(""), "");
    ck_assert_uint_eq(revision_now(), 0);
    ck_assert_int_eq(put_flags("a/b/c", "v", KV_OP_PARENTS), 0);
    ck_assert_str_eq(tree_of(""), "a/ a/b/ a/b/c");
    ck_assert_str_eq(events_since(0), "1.0:mkdir:a 1.1:mkdir:a/b 1.2:put+:a/b/c.");
    struct kv_meta meta = meta_of("a/b");
    ck_assert_uint_eq(meta.mode, S_IFDIR | 0755);
    ck_assert_uint_eq(meta.version, 0);
    ck_assert_uint_eq(meta.size, 0);
    ck_assert_uint_eq(meta.uid, 1000);
    ck_assert_int_eq(put_flags("a/b/d", "v", 0), 0);
    check_store();
}
END_TEST

START_TEST(events_name_the_directory_that_holds_the_key)
{
    ck_assert_int_eq(put("a/b/c", "v"), 0);
    size_t count;
    struct kv_event **events = read_events(0, &count);
    ck_assert_uint_eq(count, 3);
    ck_assert_uint_eq(events[0]->parent_id, KV_ROOT_ID);
    ck_assert_uint_eq(events[1]->parent_id, meta_of("a").id);
    ck_assert_uint_eq(events[2]->parent_id, meta_of("a/b").id);
    ck_assert_uint_eq(events[2]->origin, KV_ORIGIN_HTTP);
    ck_assert_uint_eq(events[2]->record->meta.id, meta_of("a/b/c").id);
    free_events(events, count);
}
END_TEST

START_TEST(a_new_entry_touches_its_directory_and_an_overwrite_does_not)
{
    ck_assert_int_eq(make_dir("a"), 0);
    struct kv_meta root = meta_of(""), a = meta_of("a");
    ck_assert_int_eq(put("a/k", "one"), 0);
    struct kv_meta touched = meta_of("a"), k = meta_of("a/k");
    ck_assert_int_gt(touched.mtime_ns, a.mtime_ns);
    ck_assert_int_eq(touched.mtime_ns, k.mtime_ns);
    ck_assert_int_eq(touched.ctime_ns, k.mtime_ns);
    ck_assert_uint_eq(touched.mod_revision, a.mod_revision);
    ck_assert_int_eq(meta_of("").mtime_ns, root.mtime_ns);
    ck_assert_int_eq(put("a/k", "two"), 0);
    ck_assert_int_eq(meta_of("a").mtime_ns, touched.mtime_ns);
    ck_assert_int_eq(append("a/k", "more"), 0);
    ck_assert_int_eq(meta_of("a").mtime_ns, touched.mtime_ns);
    ck_assert_int_eq(del("a/k"), 0);
    ck_assert_int_gt(meta_of("a").mtime_ns, touched.mtime_ns);
    ck_assert_int_eq(make_dir("b"), 0);
    ck_assert_int_gt(meta_of("").mtime_ns, root.mtime_ns);
}
END_TEST

START_TEST(a_put_onto_a_directory_is_eisdir)
{
    ck_assert_int_eq(make_dir("a"), 0);
    ck_assert_int_eq(put("a", "v"), -EISDIR);
    ck_assert_int_eq(append("a", "v"), -EISDIR);
    ck_assert_int_eq(put_flags("a", "v", KV_OP_EXCL), -EISDIR);
    ck_assert_uint_eq(revision_now(), 1);
}
END_TEST

START_TEST(a_put_below_a_key_is_enotdir)
{
    ck_assert_int_eq(put("a", "v"), 0);
    ck_assert_int_eq(put("a/b", "v"), -ENOTDIR);
    ck_assert_int_eq(put("a/b/c", "v"), -ENOTDIR);
    ck_assert_int_eq(put_flags("a/b/c", "v", 0), -ENOTDIR);
    ck_assert_int_eq(make_dir("a/b"), -ENOTDIR);
    ck_assert_int_eq(lookup("a/b"), -ENOENT);
    ck_assert_uint_eq(revision_now(), 1);
}
END_TEST

START_TEST(excl_refuses_what_is_there)
{
    ck_assert_int_eq(put_flags("k", "one", KV_OP_EXCL), 0);
    ck_assert_int_eq(put_flags("k", "two", KV_OP_EXCL), -EEXIST);
    ck_assert_value("k", "one");
    struct kv_txn *txn = txn_make();
    struct kv_op *op = txn_put(txn, "k", "two");
    op->type = KV_OP_APPEND;
    op->flags = KV_OP_EXCL;
    ck_assert_int_eq(txn_commit(txn), -EEXIST);
    ck_assert_uint_eq(revision_now(), 1);
}
END_TEST

START_TEST(must_exist_refuses_what_is_not)
{
    ck_assert_int_eq(put_flags("k", "one", KV_OP_MUST_EXIST), -ENOENT);
    ck_assert_int_eq(put_flags("a/k", "one", KV_OP_MUST_EXIST | KV_OP_PARENTS),
                     -ENOENT);
    ck_assert_str_eq(tree_of(""), "");
    ck_assert_int_eq(put("k", "one"), 0);
    ck_assert_int_eq(put_flags("k", "two", KV_OP_MUST_EXIST), 0);
    ck_assert_value("k", "two");
}
END_TEST

START_TEST(a_value_may_have_the_greatest_size_and_no_more)
{
    size_t max = store_config.max_value_bytes;
    ck_assert_int_eq(put_sized("k", max, 'x'), 0);
    ck_assert_uint_eq(meta_of("k").size, max);
    ck_assert_int_eq(put_sized("k", max + 1, 'y'), -EFBIG);
    ck_assert_int_eq(append("k", "y"), -EFBIG);
    ck_assert_int_eq(append("k", ""), 0);
    ck_assert_int_eq(put_sized("k", 0, 'x'), 0);
    ck_assert_value("k", "");
    ck_assert_int_eq(put_sized("other", max + 1, 'y'), -EFBIG);
    ck_assert_int_eq(lookup("other"), -ENOENT);
    check_store();
}
END_TEST

START_TEST(a_key_of_the_greatest_length_can_be_written_and_read)
{
    char key[KV_KEY_MAX + 2];
    memset(key, 'k', sizeof(key));
    key[KV_KEY_MAX + 1] = '\0';
    key[255] = '/';
    struct kv_txn *txn = txn_make();
    struct kv_op *op;
    ck_assert_int_eq(kv_txn_op(txn, KV_OP_PUT, key, KV_KEY_MAX + 1, &op),
                     -ENAMETOOLONG);
    kv_txn_free(txn);
    key[KV_KEY_MAX] = '\0';
    ck_assert_int_eq(put(key, "v"), 0);
    ck_assert_value(key, "v");
    ck_assert_int_eq(del(key), 0);
}
END_TEST

/* -- Append -- */

START_TEST(an_append_adds_to_the_value_or_makes_it)
{
    ck_assert_int_eq(append("a/k", "one"), 0);
    ck_assert_value("a/k", "one");
    struct kv_meta before = meta_of("a/k");
    ck_assert_int_eq(append("a/k", " two"), 0);
    ck_assert_value("a/k", "one two");
    struct kv_meta after = meta_of("a/k");
    ck_assert_uint_eq(after.id, before.id);
    ck_assert_uint_eq(after.version, 2);
    ck_assert_uint_eq(after.size, 7);
    ck_assert_int_eq(append("a/k", ""), 0);
    ck_assert_value("a/k", "one two");
    ck_assert_str_eq(events_since(0),
                     "1.0:mkdir:a 1.1:put+:a/k. 2.0:put:a/k. 3.0:put:a/k.");
}
END_TEST

START_TEST(an_append_event_has_the_whole_value)
{
    ck_assert_int_eq(put("k", "one"), 0);
    ck_assert_int_eq(append("k", "two"), 0);
    size_t count;
    struct kv_event **events = read_events(1, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_bytes(events[0]->record->value, events[0]->record->meta.size, "onetwo");
    free_events(events, count);
}
END_TEST

/* -- Mkdir -- */

START_TEST(mkdir_makes_a_directory_once)
{
    struct kv_txn *txn = txn_make();
    struct kv_op *op = txn_add(txn, KV_OP_MKDIR, "a");
    op->set = KV_SET_MODE | KV_SET_UID;
    op->meta = (struct kv_meta){.mode = 01700, .uid = 5};
    op = run(txn, 0);
    ck_assert(op->created);
    ck_assert(kv_record_is_dir(op->result));
    kv_txn_free(txn);
    ck_assert_uint_eq(meta_of("a").mode, S_IFDIR | 01700);
    ck_assert_uint_eq(meta_of("a").uid, 5);
    ck_assert_uint_eq(meta_of("a").version, 0);
    ck_assert_int_eq(make_dir("a"), -EEXIST);
    ck_assert_uint_eq(revision_now(), 1);
}
END_TEST

START_TEST(mkdir_exist_ok_makes_no_event_and_refuses_keys)
{
    ck_assert_int_eq(make_dir("a"), 0);
    ck_assert_int_eq(put("k", "v"), 0);
    struct kv_txn *txn = txn_make();
    txn_add(txn, KV_OP_MKDIR, "a")->flags = KV_OP_EXIST_OK;
    struct kv_op *op = run(txn, 0);
    ck_assert(!op->created);
    ck_assert(!txn->changed);
    ck_assert_uint_eq(txn->revision, 2);
    kv_txn_free(txn);
    txn = txn_make();
    txn_add(txn, KV_OP_MKDIR, "k")->flags = KV_OP_EXIST_OK;
    ck_assert_int_eq(txn_commit(txn), -EEXIST);
    ck_assert_uint_eq(revision_now(), 2);
}
END_TEST

START_TEST(mkdir_needs_its_parent_or_the_flag)
{
    struct kv_txn *txn = txn_make();
    txn_add(txn, KV_OP_MKDIR, "a/b");
    ck_assert_int_eq(txn_commit(txn), -ENOENT);
    ck_assert_int_eq(make_dir("a/b"), 0);
    ck_assert_str_eq(events_since(0), "1.0:mkdir:a 1.1:mkdir:a/b.");
    check_store();
}
END_TEST

START_TEST(directories_have_no_expiry)
{
    struct kv_txn *txn = txn_make();
    struct kv_op *op = txn_add(txn, KV_OP_MKDIR, "a");
    op->set = KV_SET_EXPIRY;
    op->meta.expiry_ns = in_an_hour();
    ck_assert_int_eq(txn_commit(txn), -EISDIR);
    ck_assert_int_eq(make_dir("a"), 0);
    ck_assert_int_eq(set_expiry("a", in_an_hour()), -EISDIR);
    ck_assert_int_eq(set_expiry("", in_an_hour()), -EISDIR);
    ck_assert_int_eq(set_expiry("a", 0), 0);
    ck_assert_int_eq(meta_of("a").expiry_ns, 0);
}
END_TEST

/* -- Delete -- */

START_TEST(a_delete_leaves_the_directory)
{
    ck_assert_int_eq(put("a/k", "value"), 0);
    struct kv_meta before = meta_of("a/k");
    struct kv_txn *txn = txn_make();
    txn_add(txn, KV_OP_DELETE, "a/k");
    struct kv_op *op = run(txn, 0);
    ck_assert_uint_eq(op->result->meta.id, before.id);
    ck_assert_uint_eq(op->result->meta.mod_revision, 2);
    ck_assert_uint_eq(op->result->meta.size, 5);
    kv_txn_free(txn);
    ck_assert_int_eq(lookup("a/k"), -ENOENT);
    ck_assert_str_eq(tree_of(""), "a/");
    size_t count;
    struct kv_event **events = read_events(1, &count);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(events[0]->type, KV_EVENT_DELETE);
    ck_assert_uint_eq(events[0]->parent_id, meta_of("a").id);
    ck_assert_uint_eq(events[0]->record->meta.id, before.id);
    ck_assert_uint_eq(events[0]->record->meta.mod_revision, 2);
    ck_assert_int_gt(events[0]->record->meta.ctime_ns, before.ctime_ns);
    free_events(events, count);
    check_store();
}
END_TEST

START_TEST(deleting_what_is_absent_is_enoent_or_nothing)
{
    ck_assert_int_eq(del("k"), -ENOENT);
    ck_assert_int_eq(del("a/b"), -ENOENT);
    struct kv_txn *txn = txn_make();
    txn_add(txn, KV_OP_DELETE, "k")->flags = KV_OP_IF_EXISTS;
    struct kv_op *op = run(txn, 0);
    ck_assert_ptr_null(op->result);
    ck_assert(!txn->changed);
    kv_txn_free(txn);
    ck_assert_uint_eq(revision_now(), 0);
}
END_TEST

START_TEST(deleting_a_directory_is_eisdir)
{
    ck_assert_int_eq(make_dir("a"), 0);
    ck_assert_int_eq(del("a"), -EISDIR);
    struct kv_txn *txn = txn_make();
    txn_add(txn, KV_OP_DELETE, "a")->flags = KV_OP_IF_EXISTS;
    ck_assert_int_eq(txn_commit(txn), -EISDIR);
}
END_TEST

START_TEST(a_failed_operation_leaves_no_trace)
{
    ck_assert_int_eq(put("a/k", "v"), 0);
    const char *tree = strdup(tree_of(""));
    struct kv_store_status before = status_now();
    ck_assert_int_eq(put("a", "v"), -EISDIR);
    ck_assert_int_eq(put("a/k/x", "v"), -ENOTDIR);
    ck_assert_int_eq(put_sized("b/c", store_config.max_value_bytes + 1, 'x'), -EFBIG);
    ck_assert_int_eq(del("b"), -ENOENT);
    ck_assert_str_eq(tree_of(""), tree);
    struct kv_store_status after = status_now();
    ck_assert_uint_eq(after.revision, before.revision);
    ck_assert_uint_eq(after.commits, before.commits);
    ck_assert_uint_eq(after.failed_transactions, before.failed_transactions + 4);
    ck_assert_uint_eq(after.keys, 1);
    ck_assert_uint_eq(after.directories, 1);
    free((char *)(uintptr_t)tree);
    check_store();
}
END_TEST

START_TEST(values_that_are_only_given_an_expiry_count_as_well)
{
    size_t fits = KV_TXN_VALUE_BYTES / store_config.max_value_bytes + 1;
    ck_assert_int_eq(put_sized("k", store_config.max_value_bytes, 'x'), 0);
    for (size_t count = fits; count <= fits + 1; count++) {
        struct kv_txn *txn = txn_make();
        for (size_t i = 0; i < count; i++) {
            struct kv_op *op = txn_add(txn, KV_OP_SET_META, "k");
            op->set = KV_SET_EXPIRY;
            op->meta.expiry_ns = INT64_MAX;
        }
        ck_assert_int_eq(kv_store_commit(store, txn), count == fits ? 0 : -E2BIG);
        ck_assert(count == fits || txn->failed == fits);
        kv_txn_free(txn);
    }
}
END_TEST

KV_SUITE_WITH(
    "single", store_setup, store_teardown,
    values_that_are_only_given_an_expiry_count_as_well,
    a_put_makes_a_key_with_the_defaults,
    an_overwrite_keeps_the_metadata_and_counts_the_version,
    a_deleted_key_that_is_put_again_is_another, a_put_sets_the_metadata_it_names,
    a_put_without_a_type_in_its_mode_is_a_files, a_put_over_a_symbolic_link_replaces_it,
    nothing_is_appended_to_a_symbolic_link, a_put_makes_neither_directories_nor_devices,
    a_put_takes_the_id_it_is_given_for_a_new_key_only,
    ids_are_not_given_out_again_after_reopening, a_put_gives_its_result,
    parents_are_made_in_the_same_revision_when_asked,
    events_name_the_directory_that_holds_the_key,
    a_new_entry_touches_its_directory_and_an_overwrite_does_not,
    a_put_onto_a_directory_is_eisdir, a_put_below_a_key_is_enotdir,
    excl_refuses_what_is_there, must_exist_refuses_what_is_not,
    a_value_may_have_the_greatest_size_and_no_more,
    a_key_of_the_greatest_length_can_be_written_and_read,
    an_append_adds_to_the_value_or_makes_it, an_append_event_has_the_whole_value,
    mkdir_makes_a_directory_once, mkdir_exist_ok_makes_no_event_and_refuses_keys,
    mkdir_needs_its_parent_or_the_flag, directories_have_no_expiry,
    a_delete_leaves_the_directory, deleting_what_is_absent_is_enoent_or_nothing,
    deleting_a_directory_is_eisdir, a_failed_operation_leaves_no_trace)
