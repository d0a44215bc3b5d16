/* Linearizability: whoever learnt that a write succeeded finds it or a newer one, by
 * get and by list, and no two reads of one thread go back in time, also in the moment
 * of a commit. Writers overwrite keys with growing numbers; readers compare what they
 * see with what had been acknowledged before they began. KV_WRITES chooses how long. */
#include "store_fixture.h"

#include <stdio.h>

enum { KEYS = 8, WRITERS = 2, READERS = 3 };

static size_t writes_each; /* of each writer */
static atomic_uint_fast64_t acknowledged[KEYS];
static atomic_int writers_left;

static void setup(void)
{
    store_setup_closed();
    store_config.cache_bytes = 4u << 20;
    const char *text = getenv("KV_WRITES");
    writes_each = text ? strtoull(text, NULL, 10) : 1500;
    for (int i = 0; i < KEYS; i++)
        atomic_store(&acknowledged[i], 0);
    atomic_store(&writers_left, WRITERS);
}

static void key_of(unsigned i, char out[static 16])
{
    (void)snprintf(out, 16, "d/k%u", i);
}

static uint64_t number_in(const struct kv_record *record)
{
    char text[32] = "";
    ck_assert_uint_lt(record->meta.size, sizeof(text));
    memcpy(text, record->value, record->meta.size);
    return strtoull(text, NULL, 10);
}

/* Never lowers it: two writers share each key. */
static void acknowledge(unsigned key, uint64_t number)
{
    uint_fast64_t before = atomic_load(&acknowledged[key]);
    while (before < number &&
           !atomic_compare_exchange_weak(&acknowledged[key], &before, number))
        ;
}

/* Write the version of the key as its value, so that every write has a greater number
 * than the one before, whoever makes it. */
static uint64_t write_next(unsigned key)
{
    char name[16], text[32];
    key_of(key, name);
    for (;;) {
        struct kv_record *record;
        ck_assert_int_eq(kv_store_get(store, name, strlen(name), &record), 0);
        uint64_t number = number_in(record) + 1;
        struct kv_txn *txn = txn_make();
        ck_assert_int_eq(kv_txn_compare(txn, name, strlen(name),
                                        KV_COMPARE_MOD_REVISION, KV_EQUAL,
                                        record->meta.mod_revision),
                         0);
        kv_record_unref(record);
        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
        txn_put(txn, name, text);
        int err = txn_commit(txn);
        if (err == 0)
            return number;
        ck_assert_int_eq(err, -ECANCELED); /* the other writer was faster */
    }
}

static void *write_many(void *arg)
{
    uint64_t seed = (uint64_t)(intptr_t)arg;
    for (size_t i = 0; i < writes_each; i++) {
        unsigned key = (unsigned)((i + seed * 3) % KEYS);
        acknowledge(key, write_next(key));
    }
    atomic_fetch_sub(&writers_left, 1);
    return NULL;
}

static void check_seen(unsigned key, uint64_t number, uint64_t least, uint64_t *seen)
{
    ck_assert_msg(number >= least, "k%u: read %llu after %llu was acknowledged", key,
                  (unsigned long long)number, (unsigned long long)least);
    ck_assert_msg(number >= seen[key], "k%u: went back from %llu to %llu", key,
                  (unsigned long long)seen[key], (unsigned long long)number);
    seen[key] = number;
}

static void read_by_get(unsigned key, uint64_t *seen)
{
    char name[16];
    key_of(key, name);
    uint64_t least = atomic_load(&acknowledged[key]);
    struct kv_record *record;
    ck_assert_int_eq(kv_store_get(store, name, strlen(name), &record), 0);
    check_seen(key, number_in(record), least, seen);
    kv_record_unref(record);
}

static void read_by_list(uint64_t *seen)
{
    uint64_t least[KEYS];
    for (unsigned i = 0; i < KEYS; i++)
        least[i] = atomic_load(&acknowledged[i]);
    struct kv_list_query query = {.dir = "d", .dir_len = 1, .values = true};
    KV_CLEANUP(kv_list_done) struct kv_list list = {0};
    ck_assert_int_eq(kv_store_list(store, &query, &list), 0);
    ck_assert_uint_eq(list.count, KEYS);
    for (unsigned i = 0; i < KEYS; i++) {
        check_seen(i, number_in(list.records[i]), least[i], seen);
        ck_assert_uint_le(list.records[i]->meta.mod_revision, list.revision);
    }
}

static void *read_many(void *arg)
{
    uint64_t seen[KEYS] = {0};
    unsigned turn = (unsigned)(intptr_t)arg;
    for (; atomic_load(&writers_left) > 0; turn++) {
        read_by_get(turn % KEYS, seen);
        read_by_get(turn % KEYS, seen); /* most likely from the cache */
        if (turn % 8 == 0)
            read_by_list(seen);
    }
    return NULL;
}

/* A watcher: the state it reads is never older than the event that told it. */
static void *watch(void *arg)
{
    (void)arg;
    struct kv_cursor cursor = kv_cursor_after(KEYS);
    uint64_t expected = KEYS + 1;
    const uint64_t last = KEYS + WRITERS * writes_each;
    while (expected <= last) {
        ck_assert(kv_feed_wait(kv_store_feed(store), &cursor, NULL));
        struct kv_event *events[16];
        size_t count;
        ck_assert_int_eq(
            kv_feed_read(kv_store_feed(store), &cursor, events, 16, &count), 0);
        for (size_t i = 0; i < count; i++, expected++) {
            const struct kv_record *told = events[i]->record;
            ck_assert_uint_eq(events[i]->revision, expected);
            struct kv_record *record;
            ck_assert_int_eq(kv_store_get(store, told->key, told->key_len, &record), 0);
            ck_assert_uint_ge(record->meta.mod_revision, expected);
            kv_record_unref(record);
            kv_event_unref(events[i]);
        }
    }
    return NULL;
}

static void run_all(enum kv_sync sync)
{
    store_config.sync = sync;
    ck_assert_int_eq(store_open(), 0);
    for (unsigned i = 0; i < KEYS; i++) {
        char name[16];
        key_of(i, name);
        ck_assert_int_eq(put(name, "0"), 0);
    }
    pthread_t threads[WRITERS + READERS + 1];
    int count = 0;
    for (intptr_t i = 0; i < WRITERS; i++)
        ck_assert_int_eq(pthread_create(&threads[count++], NULL, write_many, (void *)i),
                         0);
    for (intptr_t i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&threads[count++], NULL, read_many, (void *)i),
                         0);
    ck_assert_int_eq(pthread_create(&threads[count++], NULL, watch, NULL), 0);
    while (count > 0)
        pthread_join(threads[--count], NULL);
    uint64_t total = 0;
    for (unsigned i = 0; i < KEYS; i++) {
        char name[16];
        key_of(i, name);
        total += strtoull(value_of(name), NULL, 10);
    }
    ck_assert_uint_eq(total, WRITERS * writes_each); /* none was lost */
    ck_assert_uint_gt(status_now().cache.hits, 0);
    check_store();
}

START_TEST(no_reader_sees_less_than_what_was_acknowledged)
{
    run_all(KV_SYNC_OFF);
}
END_TEST

START_TEST(nor_while_commits_take_their_time_to_sync)
{
    writes_each /= 2;
    run_all(KV_SYNC_ALWAYS);
}
END_TEST

/* -- Keys that come and go -- */

static atomic_bool done_toggling;

/* Whoever knows that the key was made, moved or deleted finds it so. */
static void *toggle(void *arg)
{
    char key[16], other[16];
    (void)snprintf(key, sizeof(key), "t%d/x", (int)(intptr_t)arg);
    (void)snprintf(other, sizeof(other), "u%d", (int)(intptr_t)arg);
    for (size_t i = 0; i < writes_each / 4; i++) {
        ck_assert_int_eq(put_flags(key, "v", KV_OP_PARENTS | KV_OP_EXCL), 0);
        ck_assert_int_eq(lookup(key), 0);
        ck_assert_int_eq(move(key, other, 0), 0);
        ck_assert_int_eq(lookup(key), -ENOENT);
        ck_assert_int_eq(lookup(other), 0);
        ck_assert_int_eq(del(other), 0);
        ck_assert_int_eq(lookup(other), -ENOENT);
    }
    return NULL;
}

/* Fills the cache with what may be old by the time it arrives there. */
static void *disturb(void *arg)
{
    (void)arg;
    const char *const names[] = {"t0/x", "u0", "t1/x", "u1"};
    for (unsigned i = 0; !atomic_load(&done_toggling); i++)
        (void)lookup(names[i % 4]);
    return NULL;
}

START_TEST(who_made_or_removed_a_key_finds_it_so)
{
    ck_assert_int_eq(store_open(), 0);
    atomic_store(&done_toggling, false);
    pthread_t threads[4];
    for (intptr_t i = 0; i < 2; i++) {
        ck_assert_int_eq(pthread_create(&threads[i], NULL, toggle, (void *)i), 0);
        ck_assert_int_eq(pthread_create(&threads[i + 2], NULL, disturb, NULL), 0);
    }
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    atomic_store(&done_toggling, true);
    pthread_join(threads[2], NULL);
    pthread_join(threads[3], NULL);
    ck_assert_str_eq(tree_of(""), "t0/ t1/");
    check_store();
}
END_TEST

KV_SUITE_WITH("coherence", setup, store_teardown,
              no_reader_sees_less_than_what_was_acknowledged,
              nor_while_commits_take_their_time_to_sync,
              who_made_or_removed_a_key_finds_it_so)
