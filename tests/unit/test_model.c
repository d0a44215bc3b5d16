/* Random transactions against a simple model of the store: the same errors, the same
 * contents, and events that lead a third copy to the same contents. The seed is
 * printed; KV_SEED and KV_ROUNDS choose others. */
#include "model.h"
#include "store_fixture.h"

#include <stdio.h>

#define ROUNDS 7000 /* of 1 to 5 transactions */
#define MAX_VALUE 6000
#define EXPIRY_NS (INT64_MAX - 1000)

static struct model model, replayed;
static uint64_t random_state;

/* -- Chance -- */

static uint32_t chance(uint32_t below)
{
    /* splitmix64 (Steele, Lea, Flood 2014) */
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) % below);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : otherwise;
}

static void random_key(char out[static KV_KEY_MAX + 1])
{
    static const char *const names[] = {"a", "b", "a-", "a0", "a!b", "\xc3\xa4"};
    if (model.count > 0 && chance(2)) {
        strcpy(out, model.entries[chance((uint32_t)model.count)].key);
        if (strlen(out) > KV_KEY_MAX - 10 || chance(3))
            return;
        strcat(out, "/");
    } else {
        *out = '\0';
    }
    for (uint32_t depth = 1 + chance(2); depth > 0; depth--) {
        if (chance(30) == 0 && strlen(out) < 200)
            strncat(out,
                    "a-rather-long-name-that-makes-a-deep-tree-too-long-after-some"
                    "-renames-of-its-directories-to-one-another-and-so-on-and-so-on"
                    "-until-it-is-refused",
                    180);
        else if (strlen(out) < KV_KEY_MAX - 10)
            strcat(out, names[chance(sizeof(names) / sizeof(*names))]);
        if (depth > 1)
            strcat(out, "/");
    }
    if (kv_key_check(out, strlen(out)) != KV_KEY_VALID)
        strcpy(out, "a");
}

/* -- Operations -- */

static void fill_value(struct kv_op *op)
{
    size_t len = chance(8) == 0 ? chance(MAX_VALUE + 100) : chance(40);
    ck_assert_int_eq(kv_buf_resize(&op->value, len), 0);
    if (len > 0)
        memset(op->value.data, (int)('a' + chance(26)), len);
}

static void fill_put(struct kv_op *op)
{
    fill_value(op);
    op->flags = chance(4) ? KV_OP_PARENTS : 0;
    if (chance(8) == 0)
        op->flags |= KV_OP_EXCL;
    if (chance(8) == 0)
        op->flags |= KV_OP_MUST_EXIST;
    if (chance(8) == 0) {
        op->set |= KV_SET_MODE;
        op->meta.mode = (chance(2) ? S_IFLNK : 0) | chance(07777);
    }
    if (chance(5) == 0) {
        op->set |= KV_SET_EXPIRY;
        op->meta.expiry_ns = chance(3) ? EXPIRY_NS + chance(10) : 0;
    }
}

static void fill_xattr(struct kv_op *op)
{
    const char *name = chance(2) ? "user.colour" : "user.shape";
    const char *value = chance(3) == 0 ? NULL : chance(2) ? "red" : "round and wide";
    ck_assert_int_eq(kv_op_set_xattr(op, name, strlen(name), value,
                                     value ? strlen(value) : 0, (int)chance(3)),
                     0);
}

static void fill_set_meta(struct kv_op *op)
{
    const unsigned sets[] = {KV_SET_MODE, KV_SET_UID, KV_SET_EXPIRY, KV_SET_SIZE};
    if (chance(3) == 0) {
        fill_xattr(op);
        return;
    }
    op->set = sets[chance(4)];
    op->meta = (struct kv_meta){.mode = chance(07777),
                                .uid = chance(5),
                                .expiry_ns = chance(2) ? EXPIRY_NS : 0,
                                .size = chance(MAX_VALUE + 100)};
}

static void fill_rename(struct kv_op *op)
{
    char to[KV_KEY_MAX + 1];
    random_key(to);
    ck_assert_int_eq(kv_op_set_to(op, to, strlen(to)), 0);
    op->flags = chance(2) ? KV_OP_PARENTS : 0;
    if (chance(8) == 0)
        op->flags |= KV_OP_EXCL;
    else if (chance(3) == 0)
        op->flags |= KV_OP_EXCHANGE;
}

static void random_op(struct kv_txn *txn)
{
    static const enum kv_op_type types[] = {KV_OP_PUT,    KV_OP_PUT,    KV_OP_PUT,
                                            KV_OP_PUT,    KV_OP_APPEND, KV_OP_DELETE,
                                            KV_OP_MKDIR,  KV_OP_RMDIR,  KV_OP_RENAME,
                                            KV_OP_RENAME, KV_OP_RENAME, KV_OP_SET_META};
    char key[KV_KEY_MAX + 1];
    random_key(key);
    enum kv_op_type type = types[chance(sizeof(types) / sizeof(*types))];
    if (chance(25) == 0 || (model.count > 120 && chance(4) == 0))
        type = KV_OP_DELETE_TREE;
    struct kv_op *op = txn_add(txn, type, key);
    if (type == KV_OP_PUT || type == KV_OP_APPEND)
        fill_put(op);
    else if (type == KV_OP_SET_META)
        fill_set_meta(op);
    else if (type == KV_OP_RENAME)
        fill_rename(op);
    else if (type == KV_OP_MKDIR)
        op->flags = (chance(2) ? KV_OP_PARENTS : 0) | (chance(4) ? 0 : KV_OP_EXIST_OK);
    else if (type != KV_OP_RMDIR)
        op->flags = chance(2) ? KV_OP_IF_EXISTS : 0;
}

static void random_compare(struct kv_txn *txn)
{
    char key[KV_KEY_MAX + 1];
    random_key(key);
    enum kv_compare_relation relation = (enum kv_compare_relation)chance(4);
    if (chance(4) == 0) {
        char letter = (char)('a' + chance(26));
        ck_assert_int_eq(
            kv_txn_compare_value(txn, key, strlen(key), relation, &letter, 1), 0);
        return;
    }
    const enum kv_compare_target targets[] = {KV_COMPARE_EXISTS, KV_COMPARE_VERSION,
                                              KV_COMPARE_MOD_REVISION};
    uint32_t which = chance(3);
    uint64_t number = which == 2 ? chance((uint32_t)model.revision + 2) : chance(3);
    ck_assert_int_eq(
        kv_txn_compare(txn, key, strlen(key), targets[which], relation, number), 0);
}

static void random_ops(struct kv_txn *txn)
{
    for (uint32_t count = chance(4) ? 1 : chance(6); count > 0; count--)
        random_op(txn);
}

/* -- One round -- */

struct submitted {
    struct model_result expected;
    struct kv_txn *txn; /* until done */
    bool *finished;     /* set by the last of the round */
    pthread_mutex_t *lock;
    pthread_cond_t *done;
    struct model_result got;
};

static void take_result(struct kv_txn *txn, void *ctx)
{
    struct submitted *submitted = ctx;
    submitted->got = (struct model_result){.error = txn->error,
                                           .succeeded = txn->succeeded,
                                           .changed = txn->changed,
                                           .failed = txn->failed,
                                           .revision = txn->revision};
    if (!submitted->finished)
        return;
    KV_SCOPED_LOCK(submitted->lock);
    *submitted->finished = true;
    pthread_cond_signal(submitted->done);
}

static void check_result(const struct submitted *submitted)
{
    const struct model_result *got = &submitted->got, *expected = &submitted->expected;
    ck_assert_int_eq(got->error, expected->error);
    ck_assert_int_eq(got->changed, expected->changed);
    ck_assert_uint_eq(got->revision, expected->revision);
    if (got->error == 0)
        ck_assert_int_eq(got->succeeded, expected->succeeded);
    else
        ck_assert_uint_eq(got->failed, expected->failed);
}

/* Submit some transactions, which may or may not share a batch, and let the model do
 * the same in the same order. */
static uint32_t run_round(void)
{
    enum { MOST = 5 };
    struct submitted submitted[MOST];
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t done = PTHREAD_COND_INITIALIZER;
    bool finished = false;
    uint32_t count = 1 + chance(MOST);
    for (uint32_t i = 0; i < count; i++) {
        struct submitted *one = &submitted[i];
        *one = (struct submitted){.lock = &lock,
                                  .done = &done,
                                  .finished = i == count - 1 ? &finished : NULL};
        ck_assert_int_eq(kv_txn_new(KV_ORIGIN_MOUNT, take_result, one, &one->txn), 0);
        if (chance(5) == 0)
            random_compare(one->txn);
        random_ops(one->txn);
        if (chance(8) == 0) {
            kv_txn_else(one->txn);
            random_ops(one->txn);
        }
        one->expected = model_apply(&model, one->txn);
    }
    for (uint32_t i = 0; i < count; i++)
        kv_store_submit(store, submitted[i].txn);
    kv_lock(&lock);
    while (!finished)
        pthread_cond_wait(&done, &lock);
    kv_unlock(&lock);
    for (uint32_t i = 0; i < count; i++)
        check_result(&submitted[i]);
    ck_assert_uint_eq(revision_now(), model.revision);
    return count;
}

/* -- Comparing -- */

static void check_attr(const struct kv_record *record, const char *name,
                       const char *expected)
{
    const void *value;
    size_t len;
    int err = kv_xattr_get(record->xattrs, record->xattrs_len, name, strlen(name),
                           &value, &len);
    ck_assert_int_eq(err, *expected ? 0 : -ENODATA);
    if (!err)
        ck_assert(kv_key_equal(value, len, expected, strlen(expected)));
}

static void check_record(const struct kv_record *record, struct model_entry *entry)
{
    ck_assert_str_eq(record->key, entry->key);
    const struct kv_meta *meta = &record->meta;
    if (entry->id == 0)
        entry->id = meta->id;
    ck_assert_uint_eq(meta->id, entry->id);
    ck_assert_uint_eq(meta->create_revision, entry->create_revision);
    ck_assert_uint_eq(meta->mod_revision, entry->mod_revision);
    ck_assert_uint_eq(meta->version, entry->version);
    ck_assert_uint_eq(meta->mode, entry->mode);
    ck_assert_uint_eq(meta->uid, entry->uid);
    ck_assert_int_eq(meta->expiry_ns, entry->expiry_ns);
    ck_assert_uint_eq(meta->size, entry->len);
    if (entry->len > 0)
        ck_assert_mem_eq(record->value, entry->value, entry->len);
    check_attr(record, "user.colour", entry->colour);
    check_attr(record, "user.shape", entry->shape);
}

/* A few gets, most of which the cache answers. */
static void check_some(void)
{
    for (int i = 0; i < 6; i++) {
        char key[KV_KEY_MAX + 1];
        random_key(key);
        struct model_entry *entry = model_find(&model, key);
        KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
        int err = kv_store_get(store, key, strlen(key), &record);
        ck_assert_msg(err == (entry ? 0 : -ENOENT), "'%s': %d", key, err);
        if (entry)
            check_record(record, entry);
    }
}

static void check_all(void)
{
    struct kv_list_query query = {
        .recursive = true, .directories = true, .values = true};
    KV_CLEANUP(kv_list_done) struct kv_list list = {0};
    ck_assert_int_eq(kv_store_list(store, &query, &list), 0);
    model_sort(&model);
    ck_assert_uint_eq(list.count, model.count);
    ck_assert_uint_eq(list.revision, model.revision);
    uint64_t directories = 0;
    for (size_t i = 0; i < list.count; i++) {
        check_record(list.records[i], &model.entries[i]);
        directories += kv_record_is_dir(list.records[i]);
    }
    struct kv_store_status status = status_now();
    ck_assert_uint_eq(status.directories, directories);
    ck_assert_uint_eq(status.keys, list.count - directories);
}

/* The events since the last time must lead the copy to what the store holds. */
static void check_feed(void)
{
    size_t count;
    struct kv_event **events = read_events(replayed.revision, &count);
    model_replay(&replayed, events, count);
    free_events(events, count);
    ck_assert_uint_eq(replayed.revision, model.revision);
    ck_assert_uint_eq(replayed.count, model.count);
    model_sort(&replayed);
    struct kv_list_query query = {
        .recursive = true, .directories = true, .values = true};
    KV_CLEANUP(kv_list_done) struct kv_list list = {0};
    ck_assert_int_eq(kv_store_list(store, &query, &list), 0);
    for (size_t i = 0; i < list.count; i++)
        check_record(list.records[i], &replayed.entries[i]);
}

static void setup(void)
{
    store_setup_closed();
    store_config.max_value_bytes = MAX_VALUE;
    store_config.max_store_bytes = 256u << 20;
    store_config.cache_bytes = 300000; /* so that it evicts */
    store_config.log_max_bytes = 64u << 20;
    ck_assert_int_eq(store_open(), 0);
    model.max_value_bytes = replayed.max_value_bytes = MAX_VALUE;
}

static void teardown(void)
{
    store_teardown();
    model_free(&model);
    model_free(&replayed);
}

START_TEST(random_transactions_do_what_the_model_does)
{
    random_state = number_from("KV_SEED", 1);
    uint64_t rounds = number_from("KV_ROUNDS", ROUNDS), transactions = 0;
    printf("# seed %llu\n", (unsigned long long)random_state);
    for (uint64_t round = 1; round <= rounds; round++) {
        transactions += run_round();
        check_some();
        if (round % 10 == 0)
            check_all();
        if (round % 100 == 0)
            check_feed();
        if (round % 2000 == 0)
            check_store();
    }
    check_all();
    check_feed();
    check_store();
    ck_assert_uint_ge(transactions, rounds);
    ck_assert_uint_gt(model.revision, rounds / 2);
    printf("# %llu transactions, %llu revisions\n", (unsigned long long)transactions,
           (unsigned long long)model.revision);
}
END_TEST

KV_SUITE_WITH("model", setup, teardown, random_transactions_do_what_the_model_does)
