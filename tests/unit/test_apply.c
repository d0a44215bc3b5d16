#include "alloc.h"
#include "table_fixture.h"

#include "base/clock.h"
#include "store/apply.h"

/* Transactions against one batch, without a committer: whatever the test applies is in
 * the same LMDB transaction. */

static struct kv_store_config config;
static struct kv_batch batch;
static _Atomic(uint64_t) next_id;
static int64_t now_ns;

static void begin_batch(void)
{
    struct kv_view *owned;
    ck_assert_int_eq(kv_view_write(table, &owned), 0);
    ck_assert_int_eq(kv_batch_begin(&batch, &config, owned, &next_id, now_ns), 0);
}

static void setup(void)
{
    table_setup();
    kv_store_config_default(&config);
    config.max_value_bytes = 1000;
    next_id = 2;
    now_ns = 1000;
    struct kv_counters counters = {.next_id = 2, .log_first = 1};
    struct kv_record *root = kv_record_new(&(struct kv_record_parts){
        .meta = {.id = KV_ROOT_ID, .mode = S_IFDIR | 0755}, .key = ""});
    ck_assert_ptr_nonnull(root);
    ck_assert_int_eq(kv_state_put(view, root), 0);
    ck_assert_int_eq(kv_counters_put(view, &counters), 0);
    kv_record_unref(root);
    ck_assert_int_eq(kv_view_commit(view), 0);
    view = NULL;
    begin_batch();
}

static void teardown(void)
{
    kv_batch_done(&batch);
    table_teardown();
}

/* Commit the batch and begin another, `later_ns` later. */
static void next_batch(int64_t later_ns)
{
    struct kv_view *done = batch.view;
    ck_assert_int_eq(kv_counters_put(done, &batch.counters), 0);
    batch.view = NULL;
    ck_assert_int_eq(kv_view_commit(done), 0);
    kv_batch_done(&batch);
    now_ns += later_ns;
    begin_batch();
}

/* Apply and free; the transaction's error. */
static int apply(struct kv_txn *txn)
{
    ck_assert_int_eq(kv_apply_txn(&batch, txn), 0);
    int err = txn->error;
    kv_txn_free(txn);
    return err;
}

static int apply_put(const char *key, const char *value)
{
    struct kv_txn *txn = txn_make();
    txn_put(txn, key, value);
    return apply(txn);
}

static int apply_put_expiring(const char *key, int64_t expiry_ns)
{
    struct kv_txn *txn = txn_make();
    struct kv_op *op = txn_put(txn, key, "v");
    op->set = KV_SET_EXPIRY;
    op->meta.expiry_ns = expiry_ns;
    return apply(txn);
}

static bool is_there(const char *key)
{
    struct kv_row row;
    int err = kv_state_get(batch.view, key, strlen(key), &row);
    ck_assert(err == 0 || err == -ENOENT);
    return err == 0;
}

static struct kv_meta stored_meta(const char *key)
{
    struct kv_row row;
    ck_assert_int_eq(kv_state_get(batch.view, key, strlen(key), &row), 0);
    return row.meta;
}

/* -- Compares -- */

static bool compare_holds(const char *key, enum kv_compare_target target,
                          enum kv_compare_relation relation, uint64_t number)
{
    struct kv_txn *txn = txn_make();
    ck_assert_int_eq(kv_txn_compare(txn, key, strlen(key), target, relation, number),
                     0);
    int err = apply(txn);
    ck_assert(err == 0 || err == -ECANCELED);
    return err == 0;
}

static bool value_holds(const char *key, enum kv_compare_relation relation,
                        const char *value)
{
    struct kv_txn *txn = txn_make();
    ck_assert_int_eq(
        kv_txn_compare_value(txn, key, strlen(key), relation, value, strlen(value)), 0);
    int err = apply(txn);
    ck_assert(err == 0 || err == -ECANCELED);
    return err == 0;
}

/* Every relation to a number that equals `number`. */
static void check_number(const char *key, enum kv_compare_target target,
                         uint64_t number)
{
    ck_assert(compare_holds(key, target, KV_EQUAL, number));
    ck_assert(!compare_holds(key, target, KV_EQUAL, number + 1));
    ck_assert(!compare_holds(key, target, KV_NOT_EQUAL, number));
    ck_assert(compare_holds(key, target, KV_NOT_EQUAL, number + 1));
    ck_assert(compare_holds(key, target, KV_LESS, number + 1));
    ck_assert(!compare_holds(key, target, KV_LESS, number));
    ck_assert(!compare_holds(key, target, KV_GREATER, number));
    ck_assert(!compare_holds(key, target, KV_GREATER, number + 1));
    if (number > 0)
        ck_assert(compare_holds(key, target, KV_GREATER, number - 1));
}

START_TEST(every_number_of_a_key_compares_in_every_relation)
{
    ck_assert_int_eq(apply_put("other", "v"), 0);
    ck_assert_int_eq(apply_put("k", "v"), 0);
    ck_assert_int_eq(apply_put("k", "w"), 0);
    ck_assert_int_eq(apply_put_expiring("k", 5000), 0);
    check_number("k", KV_COMPARE_EXISTS, 1);
    check_number("k", KV_COMPARE_VERSION, 3);
    check_number("k", KV_COMPARE_MOD_REVISION, 4);
    check_number("k", KV_COMPARE_CREATE_REVISION, 2);
    check_number("k", KV_COMPARE_ID, stored_meta("k").id);
    check_number("k", KV_COMPARE_EXPIRY, 5000);
}
END_TEST

START_TEST(an_absent_key_compares_as_zero)
{
    const enum kv_compare_target targets[] = {
        KV_COMPARE_EXISTS,          KV_COMPARE_VERSION, KV_COMPARE_MOD_REVISION,
        KV_COMPARE_CREATE_REVISION, KV_COMPARE_ID,      KV_COMPARE_EXPIRY};
    for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++)
        check_number("absent", targets[i], 0);
    ck_assert_uint_eq(batch.counters.revision, 0);
}
END_TEST

START_TEST(values_compare_as_bytes)
{
    ck_assert_int_eq(apply_put("k", "mm"), 0);
    ck_assert(value_holds("k", KV_EQUAL, "mm"));
    ck_assert(!value_holds("k", KV_EQUAL, "m"));
    ck_assert(value_holds("k", KV_NOT_EQUAL, "mmm"));
    ck_assert(!value_holds("k", KV_NOT_EQUAL, "mm"));
    ck_assert(value_holds("k", KV_LESS, "mmm"));
    ck_assert(value_holds("k", KV_LESS, "n"));
    ck_assert(!value_holds("k", KV_LESS, "mm"));
    ck_assert(value_holds("k", KV_GREATER, "m"));
    ck_assert(value_holds("k", KV_GREATER, "lzzz"));
    ck_assert(!value_holds("k", KV_GREATER, "mm"));
    ck_assert(value_holds("k", KV_GREATER, ""));
}
END_TEST

START_TEST(the_value_of_an_absent_key_is_only_unequal)
{
    ck_assert(value_holds("k", KV_NOT_EQUAL, ""));
    ck_assert(!value_holds("k", KV_EQUAL, ""));
    ck_assert(!value_holds("k", KV_LESS, "z"));
    ck_assert(!value_holds("k", KV_GREATER, ""));
}
END_TEST

START_TEST(a_failed_compare_tells_its_index_and_changes_nothing)
{
    ck_assert_int_eq(apply_put("k", "v"), 0);
    struct kv_txn *txn = txn_make();
    ck_assert_int_eq(kv_txn_compare(txn, "k", 1, KV_COMPARE_EXISTS, KV_EQUAL, 1), 0);
    ck_assert_int_eq(kv_txn_compare(txn, "k", 1, KV_COMPARE_VERSION, KV_EQUAL, 7), 0);
    ck_assert_int_eq(kv_txn_compare(txn, "k", 1, KV_COMPARE_EXISTS, KV_EQUAL, 0), 0);
    txn_put(txn, "n", "v");
    ck_assert_int_eq(kv_apply_txn(&batch, txn), 0);
    ck_assert_int_eq(txn->error, -ECANCELED);
    ck_assert_uint_eq(txn->failed, 1);
    ck_assert(!txn->succeeded);
    ck_assert(!txn->changed);
    ck_assert_uint_eq(txn->revision, 1);
    kv_txn_free(txn);
    ck_assert(!is_there("n"));
}
END_TEST

START_TEST(the_else_branch_runs_when_a_compare_fails)
{
    for (int holds = 0; holds < 2; holds++) {
        struct kv_txn *txn = txn_make();
        ck_assert_int_eq(kv_txn_compare(txn, "k", 1, KV_COMPARE_EXISTS,
                                        holds ? KV_EQUAL : KV_NOT_EQUAL, 0),
                         0);
        txn_put(txn, "then", "v");
        kv_txn_else(txn);
        txn_put(txn, "else", "v");
        ck_assert_int_eq(kv_apply_txn(&batch, txn), 0);
        ck_assert_int_eq(txn->error, 0);
        ck_assert(txn->succeeded == (holds == 1));
        ck_assert(txn->changed);
        kv_txn_free(txn);
        ck_assert(is_there(holds ? "then" : "else"));
        ck_assert(is_there("then") == (holds == 1));
    }
}
END_TEST

START_TEST(an_empty_else_branch_is_success_without_a_revision)
{
    struct kv_txn *txn = txn_make();
    ck_assert_int_eq(kv_txn_compare(txn, "k", 1, KV_COMPARE_EXISTS, KV_EQUAL, 1), 0);
    txn_put(txn, "then", "v");
    kv_txn_else(txn);
    ck_assert_int_eq(kv_apply_txn(&batch, txn), 0);
    ck_assert_int_eq(txn->error, 0);
    ck_assert(!txn->succeeded && !txn->changed);
    kv_txn_free(txn);
    ck_assert_uint_eq(batch.counters.revision, 0);
}
END_TEST

START_TEST(an_empty_transaction_changes_nothing)
{
    ck_assert_int_eq(apply_put("k", "v"), 0);
    struct kv_txn *txn = txn_make();
    ck_assert_int_eq(kv_apply_txn(&batch, txn), 0);
    ck_assert_int_eq(txn->error, 0);
    ck_assert(txn->succeeded && !txn->changed);
    ck_assert_uint_eq(txn->revision, 1);
    kv_txn_free(txn);
}
END_TEST

/* -- All or nothing -- */

START_TEST(several_operations_are_one_revision)
{
    struct kv_txn *txn = txn_make();
    txn_put(txn, "a/k", "v");
    txn_put(txn, "n", "v");
    txn_rename(txn, "n", "a/n", 0);
    txn_add(txn, KV_OP_DELETE, "a/k");
    ck_assert_int_eq(apply(txn), 0);
    ck_assert_uint_eq(batch.counters.revision, 1);
    ck_assert_uint_eq(batch.event_count, 5);
    for (uint32_t i = 0; i < 5; i++) {
        ck_assert_uint_eq(batch.events[i]->revision, 1);
        ck_assert_uint_eq(batch.events[i]->index, i);
        ck_assert(batch.events[i]->last == (i == 4));
        ck_assert_int_eq(batch.events[i]->time_ns, now_ns);
    }
    ck_assert(!is_there("a/k"));
    ck_assert(is_there("a/n"));
    ck_assert_uint_eq(batch.counters.keys, 1);
    ck_assert_uint_eq(batch.counters.directories, 1);
}
END_TEST

START_TEST(a_later_operation_that_fails_undoes_the_earlier_ones)
{
    ck_assert_int_eq(apply_put("d/k", "old"), 0);
    struct kv_counters before = batch.counters;
    size_t events = batch.event_count, changes = batch.change_count;
    size_t touched = batch.touched_count;
    uint64_t space = batch.space;
    struct kv_txn *txn = txn_make();
    txn_put(txn, "d/k", "new");
    txn_put(txn, "a/b/c", "v");
    txn_rename(txn, "d", "e", 0);
    txn_add(txn, KV_OP_DELETE_TREE, "e");
    txn_add(txn, KV_OP_DELETE, "absent");
    txn_put(txn, "never", "v");
    ck_assert_int_eq(kv_apply_txn(&batch, txn), 0);
    ck_assert_int_eq(txn->error, -ENOENT);
    ck_assert_uint_eq(txn->failed, 4);
    ck_assert(!txn->changed);
    ck_assert_uint_eq(txn->revision, 1);
    kv_txn_free(txn);
    ck_assert_mem_eq(&batch.counters, &before, sizeof(before));
    ck_assert_uint_eq(batch.event_count, events);
    ck_assert_uint_eq(batch.change_count, changes);
    ck_assert_uint_eq(batch.touched_count, touched);
    ck_assert_uint_eq(batch.space, space);
    ck_assert(is_there("d/k") && !is_there("a") && !is_there("e"));
    ck_assert_uint_eq(stored_meta("d/k").version, 1);
}
END_TEST

START_TEST(parents_that_were_undone_are_made_again)
{
    struct kv_txn *txn = txn_make();
    txn_put(txn, "a/b", "v");
    txn_add(txn, KV_OP_DELETE, "absent");
    ck_assert_int_eq(apply(txn), -ENOENT);
    ck_assert_int_eq(apply_put("a/c", "v"), 0);
    ck_assert(is_there("a") && is_there("a/c") && !is_there("a/b"));
    ck_assert_uint_eq(batch.event_count, 2);
    ck_assert_uint_eq(batch.events[1]->parent_id, stored_meta("a").id);
}
END_TEST

START_TEST(a_failed_else_branch_tells_its_operation)
{
    struct kv_txn *txn = txn_make();
    ck_assert_int_eq(kv_txn_compare(txn, "k", 1, KV_COMPARE_EXISTS, KV_EQUAL, 1), 0);
    kv_txn_else(txn);
    txn_put(txn, "a", "v");
    txn_add(txn, KV_OP_DELETE, "absent");
    ck_assert_int_eq(kv_apply_txn(&batch, txn), 0);
    ck_assert_int_eq(txn->error, -ENOENT);
    ck_assert_uint_eq(txn->failed, 1);
    kv_txn_free(txn);
    ck_assert(!is_there("a"));
}
END_TEST

START_TEST(operations_see_what_those_before_them_did)
{
    struct kv_txn *txn = txn_make();
    txn_put(txn, "k", "one");
    struct kv_op *op = txn_put(txn, "k", " two");
    op->type = KV_OP_APPEND;
    txn_put(txn, "k/below", "v");
    ck_assert_int_eq(apply(txn), -ENOTDIR);
    txn = txn_make();
    txn_put(txn, "k", "one");
    op = txn_put(txn, "k", " two");
    op->type = KV_OP_APPEND;
    ck_assert_int_eq(apply(txn), 0);
    ck_assert_uint_eq(stored_meta("k").size, 7);
    ck_assert_uint_eq(stored_meta("k").version, 2);
    ck_assert_uint_eq(stored_meta("k").mod_revision, 1);
}
END_TEST

START_TEST(a_refused_move_gives_its_space_back)
{
    char key[KV_KEY_MAX + 1];
    for (size_t i = 0; i < KV_KEY_MAX; i++)
        key[i] = i % 100 == 1 ? '/' : 'a';
    key[KV_KEY_MAX] = '\0';
    ck_assert_int_eq(apply_put(key, "v"), 0);
    uint64_t space = batch.space;
    struct kv_txn *txn = txn_make();
    txn_rename(txn, "a", "longer", 0);
    ck_assert_int_eq(apply(txn), -ENAMETOOLONG);
    ck_assert_uint_eq(batch.space, space);
}
END_TEST

START_TEST(what_does_not_fit_is_enospc_and_the_rest_goes_on)
{
    batch.space = 10000;
    config.max_value_bytes = 100000;
    char value[8001];
    memset(value, 'x', 8000);
    value[8000] = '\0';
    ck_assert_int_eq(apply_put("k", value), -ENOSPC);
    ck_assert(batch.refused_for_space);
    ck_assert_uint_eq(batch.space, 10000);
    ck_assert_int_eq(apply_put("k", "small"), 0);
    ck_assert_int_eq(batch.broken, 0);
    struct kv_txn *txn = txn_make();
    txn_add(txn, KV_OP_DELETE, "k");
    batch.space = 0;
    ck_assert_int_eq(apply(txn), 0);
}
END_TEST

/* -- Touched directories -- */

START_TEST(a_directory_is_touched_once_in_a_batch)
{
    ck_assert_int_eq(apply_put("d/a", "v"), 0);
    next_batch(10);
    ck_assert_int_eq(apply_put("d/b", "v"), 0);
    ck_assert_int_eq(apply_put("d/c", "v"), 0);
    ck_assert_uint_eq(batch.touched_count, 1);
    ck_assert_uint_eq(batch.touched[0], stored_meta("d").id);
    ck_assert_int_eq(stored_meta("d").mtime_ns, now_ns);
}
END_TEST

/* -- Expiry -- */

static uint64_t expire(size_t max, int64_t *ret_next_ns)
{
    uint64_t before = batch.expired;
    ck_assert_int_eq(kv_apply_expiry(&batch, INT64_MIN, max, ret_next_ns), 0);
    return batch.expired - before;
}

START_TEST(what_is_due_is_deleted_each_in_a_revision_of_its_own)
{
    ck_assert_int_eq(apply_put_expiring("d/b", 1010), 0);
    ck_assert_int_eq(apply_put_expiring("d/a", 1005), 0);
    ck_assert_int_eq(apply_put_expiring("d/c", 2000), 0);
    ck_assert_int_eq(batch.earliest_expiry_ns, 1005);
    next_batch(9);
    int64_t next_ns;
    ck_assert_uint_eq(expire(100, &next_ns), 1);
    ck_assert_int_eq(next_ns, 1010);
    next_batch(1);
    ck_assert_uint_eq(expire(100, &next_ns), 1);
    ck_assert_int_eq(next_ns, 2000);
    ck_assert_uint_eq(batch.event_count, 1);
    ck_assert_int_eq(batch.events[0]->type, KV_EVENT_DELETE);
    ck_assert_uint_eq(batch.events[0]->origin, KV_ORIGIN_TTL);
    ck_assert_uint_eq(batch.events[0]->revision, 5);
    ck_assert(batch.events[0]->last);
    ck_assert_uint_eq(batch.events[0]->parent_id, stored_meta("d").id);
    ck_assert_int_eq(stored_meta("d").mtime_ns, now_ns);
    ck_assert(is_there("d/c") && !is_there("d/b"));
    next_batch(10000);
    ck_assert_uint_eq(expire(100, &next_ns), 1);
    ck_assert_int_eq(next_ns, INT64_MAX);
    ck_assert_uint_eq(batch.counters.keys, 0);
    ck_assert_uint_eq(batch.counters.directories, 1);
}
END_TEST

/* Three keys are due and only one of them has been deleted. */
static void leave_some_due(void)
{
    ck_assert_int_eq(apply_put_expiring("first", 1001), 0);
    ck_assert_int_eq(apply_put_expiring("k", 1002), 0);
    ck_assert_int_eq(apply_put_expiring("n", 1003), 0);
    next_batch(100);
    int64_t next_ns;
    ck_assert_uint_eq(expire(1, &next_ns), 1);
    ck_assert_int_eq(next_ns, 1002);
    ck_assert(batch.expired_left);
}

START_TEST(a_put_on_a_key_that_is_due_makes_a_new_one)
{
    leave_some_due();
    uint64_t id = stored_meta("k").id;
    ck_assert_int_eq(apply_put("k", "new"), 0);
    ck_assert_uint_ne(stored_meta("k").id, id);
    ck_assert_uint_eq(stored_meta("k").version, 1);
    ck_assert_int_eq(stored_meta("k").expiry_ns, 0);
    ck_assert_uint_eq(batch.event_count, 3);
    ck_assert_uint_eq(batch.events[1]->origin, KV_ORIGIN_TTL);
    ck_assert_uint_eq(batch.events[1]->revision, 5);
    ck_assert_uint_eq(batch.events[2]->revision, 6);
    ck_assert(batch.events[2]->created);
    ck_assert_uint_eq(batch.expired, 2);
}
END_TEST

START_TEST(a_key_that_is_due_is_absent_to_compares_and_renames)
{
    leave_some_due();
    ck_assert(compare_holds("k", KV_COMPARE_EXISTS, KV_EQUAL, 0));
    struct kv_txn *txn = txn_make();
    txn_rename(txn, "n", "m", 0);
    ck_assert_int_eq(apply(txn), -ENOENT);
}
END_TEST

START_TEST(a_key_that_is_due_may_become_a_directory)
{
    leave_some_due();
    ck_assert_int_eq(apply_put("k/below", "v"), 0);
    ck_assert(S_ISDIR(stored_meta("k").mode));
    struct kv_txn *txn = txn_make();
    txn_rename(txn, "k", "n/k", KV_OP_PARENTS);
    ck_assert_int_eq(apply(txn), 0);
    ck_assert(is_there("n/k/below"));
}
END_TEST

/* -- Memory runs out -- */

static struct kv_txn *build_put(void)
{
    struct kv_txn *txn = txn_make();
    txn_put(txn, "new/dir/k", "value");
    return txn;
}

static struct kv_txn *build_append(void)
{
    struct kv_txn *txn = txn_make();
    txn_put(txn, "d/k", "value")->type = KV_OP_APPEND;
    return txn;
}

static struct kv_txn *build_set_meta(void)
{
    struct kv_txn *txn = txn_make();
    struct kv_op *op = txn_add(txn, KV_OP_SET_META, "d/k");
    ck_assert_int_eq(kv_op_set_xattr(op, "user.a", 6, "v", 1, KV_XATTR_ANY), 0);
    op->set |= KV_SET_SIZE;
    op->meta.size = 100;
    return txn;
}

static struct kv_txn *build_rename(void)
{
    struct kv_txn *txn = txn_make();
    txn_rename(txn, "d", "x/y", KV_OP_PARENTS);
    return txn;
}

static struct kv_txn *build_exchange(void)
{
    struct kv_txn *txn = txn_make();
    txn_rename(txn, "d", "e", KV_OP_EXCHANGE);
    return txn;
}

static struct kv_txn *build_delete_tree(void)
{
    struct kv_txn *txn = txn_make();
    txn_add(txn, KV_OP_DELETE_TREE, "d");
    return txn;
}

static struct kv_txn *build_several(void)
{
    struct kv_txn *txn = txn_make();
    txn_put(txn, "n", "v");
    txn_add(txn, KV_OP_DELETE, "d/k");
    txn_add(txn, KV_OP_MKDIR, "m");
    txn_add(txn, KV_OP_RMDIR, "m");
    return txn;
}

static void fill_for_failures(void)
{
    ck_assert_int_eq(apply_put("d/k", "v"), 0);
    ck_assert_int_eq(apply_put("d/sub/k", "v"), 0);
    ck_assert_int_eq(apply_put_expiring("d/due", 5000), 0);
    ck_assert_int_eq(apply_put("e/k", "v"), 0);
    next_batch(10);
}

/* Begin anew with what was committed. */
static void drop_batch(void)
{
    kv_batch_done(&batch);
    begin_batch();
}

/* Let each allocation fail in turn: the batch is broken, or the transaction alone fails
 * and has changed nothing. */
static void check_failures(struct kv_txn *(*build)(void))
{
    for (unsigned nth = 1;; nth++) {
        struct kv_txn *txn = build();
        kv_alloc_fail_nth(nth);
        int err = kv_apply_txn(&batch, txn);
        bool failed = kv_alloc_fail_stop();
        ck_assert_int_eq(err, batch.broken);
        if (!failed)
            ck_assert(err == 0 && txn->error == 0 && txn->changed);
        else if (!err)
            ck_assert(txn->error == -ENOMEM && !txn->changed &&
                      batch.event_count == 0 && batch.change_count == 0);
        else
            ck_assert_int_eq(err, -ENOMEM);
        kv_txn_free(txn);
        drop_batch();
        if (!failed)
            return;
    }
}

START_TEST(an_allocation_that_fails_loses_nothing)
{
    struct kv_txn *(*const builders[])(void) = {
        build_put,      build_append,      build_set_meta, build_rename,
        build_exchange, build_delete_tree, build_several};
    fill_for_failures();
    for (size_t i = 0; i < sizeof(builders) / sizeof(*builders); i++)
        check_failures(builders[i]);
}
END_TEST

START_TEST(an_allocation_that_fails_during_expiry_breaks_the_batch)
{
    fill_for_failures();
    now_ns = 6000;
    for (unsigned nth = 1;; nth++) {
        drop_batch();
        int64_t next_ns;
        kv_alloc_fail_nth(nth);
        int err = kv_apply_expiry(&batch, INT64_MIN, 10, &next_ns);
        bool failed = kv_alloc_fail_stop();
        ck_assert_int_eq(err, batch.broken);
        ck_assert_int_eq(err, failed ? -ENOMEM : 0);
        if (!failed)
            break;
    }
    ck_assert(!is_there("d/due"));
}
END_TEST

KV_SUITE_WITH(
    "apply", setup, teardown, every_number_of_a_key_compares_in_every_relation,
    an_absent_key_compares_as_zero, values_compare_as_bytes,
    the_value_of_an_absent_key_is_only_unequal,
    a_failed_compare_tells_its_index_and_changes_nothing,
    the_else_branch_runs_when_a_compare_fails,
    an_empty_else_branch_is_success_without_a_revision,
    an_empty_transaction_changes_nothing, several_operations_are_one_revision,
    a_later_operation_that_fails_undoes_the_earlier_ones,
    parents_that_were_undone_are_made_again, a_failed_else_branch_tells_its_operation,
    operations_see_what_those_before_them_did, a_refused_move_gives_its_space_back,
    what_does_not_fit_is_enospc_and_the_rest_goes_on,
    a_directory_is_touched_once_in_a_batch,
    what_is_due_is_deleted_each_in_a_revision_of_its_own,
    a_put_on_a_key_that_is_due_makes_a_new_one,
    a_key_that_is_due_is_absent_to_compares_and_renames,
    a_key_that_is_due_may_become_a_directory, an_allocation_that_fails_loses_nothing,
    an_allocation_that_fails_during_expiry_breaks_the_batch)
