#include "store/lru.h"

#include "alloc.h"
#include "fixture.h"
#include "suite.h"

#include <sched.h>
#include <stdio.h>

/* Small enough for a single shard, so that the order of eviction is that of all keys.
 */
#define ONE_SHARD_BYTES ((size_t)100 * 1024)

static struct kv_lru *lru;

static void make_lru(size_t max_bytes)
{
    kv_lru_free(lru);
    lru = kv_lru_new(max_bytes);
    ck_assert_ptr_nonnull(lru);
}

static void setup(void)
{
    make_lru(ONE_SHARD_BYTES);
}

static void teardown(void)
{
    kv_lru_free(lru);
    lru = NULL;
}

static void fill(const char *key, const char *value, uint64_t snapshot)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = fixture_record(key, value);
    kv_lru_fill(lru, key, strlen(key), record, snapshot);
}

static void fill_sized(const char *key, size_t size)
{
    static const char zeros[4 * ONE_SHARD_BYTES];
    ck_assert_uint_le(size, sizeof(zeros));
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *record = fixture_record_sized(key, zeros, size);
    kv_lru_fill(lru, key, strlen(key), record, 1);
}

static void publish(const char *key, const char *value)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = fixture_record(key, value);
    kv_lru_publish(lru, key, strlen(key), record);
}

static void hold(const char *key, uint64_t snapshot)
{
    kv_lru_hold(lru, key, strlen(key), snapshot);
}

/* Look a key up and compare: value NULL expects ABSENT, MISSING a miss. */
static const char MISSING[] = "(not cached)";

static void check(const char *key, const char *value)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    enum kv_lru_answer answer = kv_lru_get(lru, key, strlen(key), &record);
    if (value == MISSING || !value) {
        ck_assert_int_eq(answer, value ? KV_LRU_MISS : KV_LRU_ABSENT);
        ck_assert_ptr_null(record);
        return;
    }
    ck_assert_msg(answer == KV_LRU_HIT, "'%s' is not cached", key);
    ck_assert_str_eq(record->key, key);
    ck_assert_uint_eq(record->meta.size, strlen(value));
    ck_assert(memcmp(record->value, value, strlen(value)) == 0);
}

static struct kv_lru_stats stats(void)
{
    struct kv_lru_stats ret;
    kv_lru_stats(lru, &ret);
    return ret;
}

START_TEST(lru_returns_what_was_filled)
{
    check("a", MISSING);
    fill("a", "1", 1);
    fill("b/c", "2", 1);
    check("a", "1");
    check("b/c", "2");
    check("b", MISSING);
}
END_TEST

START_TEST(lru_remembers_absent_keys)
{
    kv_lru_fill(lru, "gone", 4, NULL, 1);
    check("gone", NULL);
    check("gon", MISSING);
    hold("gone", 2);
    publish("gone", "back");
    check("gone", "back");
    hold("gone", 3);
    kv_lru_publish(lru, "gone", 4, NULL);
    check("gone", NULL);
}
END_TEST

START_TEST(lru_caches_the_root)
{
    fill("", "", 1);
    check("", "");
}
END_TEST

START_TEST(lru_keeps_records_alive_for_their_readers)
{
    fill("a", "1", 1);
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    ck_assert_int_eq(kv_lru_get(lru, "a", 1, &record), KV_LRU_HIT);
    hold("a", 2);
    publish("a", "2");
    ck_assert_bytes(record->value, record->meta.size, "1");
    ck_assert_uint_eq(atomic_load(&record->refs), 1);
}
END_TEST

START_TEST(lru_fill_does_not_replace)
{
    fill("a", "1", 1);
    fill("a", "2", 1);
    check("a", "1");
    kv_lru_fill(lru, "a", 1, NULL, 1);
    check("a", "1");
    ck_assert_uint_eq(stats().entries, 1);
}
END_TEST

START_TEST(lru_evicts_the_oldest)
{
    char key[16];
    int count = 0;
    /* The last fill throws the first key out, and no other. */
    while (stats().evictions == 0) {
        snprintf(key, sizeof(key), "key-%04d", count++);
        fill(key, "value", 1);
    }
    ck_assert_int_gt(count, 100);
    ck_assert_uint_eq(stats().entries, (unsigned)count - 1);
    check("key-0000", MISSING);
    for (int i = 1; i < count; i++) {
        snprintf(key, sizeof(key), "key-%04d", i);
        check(key, "value");
    }
}
END_TEST

START_TEST(lru_use_keeps_a_key_young)
{
    fill("used", "value", 1);
    fill("unused", "value", 1);
    for (int i = 0; stats().evictions < 100; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key-%d", i);
        fill(key, "value", 1);
        check("used", "value");
    }
    check("unused", MISSING);
}
END_TEST

START_TEST(lru_stays_within_its_bytes)
{
    make_lru(4 * 1024 * 1024);
    size_t footprint = 0;
    for (unsigned i = 0; i < 50000; i++) {
        char key[32];
        snprintf(key, sizeof(key), "some/directory/key-%u", i);
        if (i % 3 == 0)
            kv_lru_fill(lru, key, strlen(key), NULL, 1);
        else
            fill_sized(key, i % 1000);
        ck_assert_uint_le(stats().bytes, 4 * 1024 * 1024);
    }
    struct kv_lru_stats now = stats();
    ck_assert_uint_eq(now.max_bytes, 4 * 1024 * 1024);
    ck_assert_uint_gt(now.bytes, 3 * 1024 * 1024);
    ck_assert_uint_eq(now.entries + now.evictions, 50000);
    /* Every entry counts for more than the bytes of its record. */
    for (unsigned i = 0; i < 50000; i++) {
        char key[32];
        snprintf(key, sizeof(key), "some/directory/key-%u", i);
        KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
        enum kv_lru_answer answer = kv_lru_get(lru, key, strlen(key), &record);
        if (answer == KV_LRU_HIT)
            footprint += kv_record_footprint(record) + sizeof(void *);
        else if (answer == KV_LRU_ABSENT)
            footprint += strlen(key) + sizeof(void *);
    }
    ck_assert_uint_lt(footprint, now.bytes);
}
END_TEST

START_TEST(lru_keeps_nothing_that_takes_half_a_shard)
{
    fill("small", "1", 1);
    fill_sized("large", ONE_SHARD_BYTES / 2);
    check("large", MISSING);
    fill_sized("smaller", ONE_SHARD_BYTES / 2 - 1024);
    ck_assert_uint_eq(stats().entries, 2);
    check("small", "1");
    /* A publish of such a record forgets what was there. */
    static const char zeros[ONE_SHARD_BYTES];
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *large = fixture_record_sized("small", zeros, sizeof(zeros));
    kv_lru_publish(lru, "small", 5, large);
    check("small", MISSING);
    ck_assert_uint_eq(stats().evictions, 0);
}
END_TEST

START_TEST(lru_of_no_bytes_keeps_nothing)
{
    make_lru(0);
    fill("a", "1", 1);
    publish("b", "1");
    kv_lru_fill(lru, "c", 1, NULL, 1);
    check("a", MISSING);
    check("b", MISSING);
    check("c", MISSING);
    ck_assert_uint_eq(stats().bytes, 0);
    ck_assert_uint_eq(stats().misses, 3);
}
END_TEST

START_TEST(lru_counts)
{
    fill("a", "1", 1);
    kv_lru_fill(lru, "gone", 4, NULL, 1);
    check("a", "1");
    check("a", "1");
    check("gone", NULL);
    check("b", MISSING);
    struct kv_lru_stats now = stats();
    ck_assert_uint_eq(now.hits, 3);
    ck_assert_uint_eq(now.misses, 1);
    ck_assert_uint_eq(now.evictions, 0);
    ck_assert_uint_eq(now.entries, 2);
    hold("a", 2);
    hold("gone", 2);
    ck_assert_uint_eq(stats().entries, 0);
    ck_assert_uint_eq(stats().bytes, 0);
}
END_TEST

START_TEST(lru_refuses_fills_from_before_the_hold)
{
    fill("a", "old", 5);
    hold("a", 6);
    check("a", MISSING);
    fill("a", "old", 5);
    check("a", MISSING);
    fill("a", "new", 6);
    check("a", "new");
    hold("a", 7);
    fill("a", "old", 6);
    check("a", MISSING);
    /* Nothing came from commit 7 into the cache, and its snapshot is old as well. */
    hold("a", 8);
    fill("a", "old", 7);
    check("a", MISSING);
    kv_lru_fill(lru, "a", 1, NULL, 7);
    check("a", MISSING);
}
END_TEST

START_TEST(lru_publish_replaces_what_a_reader_filled)
{
    hold("a", 6);
    fill("a", "6", 6);
    publish("a", "6");
    check("a", "6");
    ck_assert_uint_eq(stats().entries, 1);
    publish("a", "six");
    check("a", "six");
    ck_assert_uint_eq(stats().entries, 1);
}
END_TEST

START_TEST(lru_release_goes_back_to_the_last_commit)
{
    hold("a", 5);
    publish("a", "5");
    hold("a", 9);
    hold("b", 9);
    kv_lru_release(lru, 9);
    fill("a", "4", 4);
    check("a", MISSING);
    fill("a", "5", 5);
    check("a", "5");
    /* Release of a commit that came before the last is nothing. */
    hold("a", 10);
    kv_lru_release(lru, 9);
    fill("a", "5", 5);
    check("a", MISSING);
}
END_TEST

/* With many shards, where keys spread and only some shards were held. */
START_TEST(lru_release_covers_every_shard)
{
    make_lru(16 * 1024 * 1024);
    char key[16];
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        hold(key, 3);
    }
    kv_lru_release(lru, 3);
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        fill(key, "2", 2);
        check(key, "2");
    }
}
END_TEST

static void use_the_cache(void *attachment)
{
    struct kv_lru_stats ret;
    kv_lru_stats(lru, &ret);
    ++*(int *)attachment;
}

/* The record's end takes the shard's lock itself: it would hang if that were held. */
START_TEST(lru_frees_records_outside_its_locks)
{
    int freed = 0;
    for (int how = 0; how < 3; how++) {
        struct kv_record *record = fixture_record("a", "1");
        ck_assert_ptr_eq(kv_record_attach(record, &freed, use_the_cache), &freed);
        kv_lru_publish(lru, "a", 1, record);
        kv_record_unref(record);
        ck_assert_int_eq(freed, how);
        if (how == 0)
            hold("a", 2);
        if (how == 1)
            publish("a", "2");
        int others = 0;
        while (freed == how) {
            char key[16];
            snprintf(key, sizeof(key), "key-%d", others++);
            fill(key, "value", 2);
        }
        ck_assert(how == 2 || others == 0);
        ck_assert_int_eq(freed, how + 1);
    }
}
END_TEST

START_TEST(lru_works_on_when_memory_runs_out)
{
    for (unsigned nth = 1;; nth++) {
        kv_alloc_fail_nth(nth);
        struct kv_lru *other = kv_lru_new(16 * 1024 * 1024);
        bool failed = kv_alloc_fail_stop();
        ck_assert(failed == !other);
        kv_lru_free(other);
        if (!failed) {
            ck_assert_uint_eq(nth, 18); /* itself and 16 shards, then none */
            break;
        }
    }
    publish("a", "1");
    KV_CLEANUP(kv_record_unrefp) struct kv_record *b = fixture_record("b", "1");
    KV_CLEANUP(kv_record_unrefp) struct kv_record *a = fixture_record("a", "2");
    kv_alloc_fail_all();
    kv_lru_fill(lru, "b", 1, b, 1);
    kv_lru_publish(lru, "a", 1, a);
    ck_assert(kv_alloc_fail_stop());
    check("b", MISSING);
    check("a", MISSING); /* and not the old value */
}
END_TEST

/* Entries that come while the table cannot grow are found all the same. */
START_TEST(lru_table_does_without_growing)
{
    make_lru(ONE_SHARD_BYTES);
    static struct kv_record *records[200];
    char key[16];
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        records[i] = fixture_record(key, "v");
    }
    for (int i = 0; i < 200; i++) {
        bool full = stats().entries >= 64;
        kv_alloc_fail_nth(full ? 2 : 0); /* the entry succeeds, the table does not */
        kv_lru_fill(lru, records[i]->key, records[i]->key_len, records[i], 1);
        ck_assert(kv_alloc_fail_stop() == full);
        kv_record_unref(records[i]);
    }
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof(key), "key-%d", i);
        check(key, "v");
    }
}
END_TEST

/* -- Coherence under threads, on a store that is an array under a lock -- */

#define KEYS 16
#define READERS 3
#define COMMITS 4000
#define ABSENT_EVERY 5 /* versions 0, 5, 10, ... are deletes */

struct fake_store {
    pthread_mutex_t lock;
    uint64_t snapshot;       /* newest commit; under lock */
    uint64_t versions[KEYS]; /* 0: absent; under lock */
    _Atomic(uint64_t) acknowledged[KEYS];
    atomic_bool finished;
    _Atomic(uint64_t) wrong, served;
};

static struct fake_store store;

static struct kv_record *make_version(const char *key, uint64_t version)
{
    if (version % ABSENT_EVERY == 0)
        return NULL;
    struct kv_record *record = kv_record_new(&(struct kv_record_parts){
        .meta = {.version = version, .mode = S_IFREG | 0644},
        .key = key,
        .key_len = strlen(key),
    });
    if (!record)
        abort();
    return record;
}

static void key_name(char name[16], unsigned i)
{
    snprintf(name, 16, "key-%u", i);
}

static uint64_t version_in_store(unsigned i, uint64_t *ret_snapshot)
{
    KV_SCOPED_LOCK(&store.lock);
    *ret_snapshot = store.snapshot;
    return store.versions[i];
}

/* Read a key as the store does: its version, or 0 for absent. */
static uint64_t read_version(unsigned i, bool slow)
{
    char name[16];
    key_name(name, i);
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    enum kv_lru_answer answer = kv_lru_get(lru, name, strlen(name), &record);
    if (answer == KV_LRU_MISS) {
        uint64_t snapshot;
        uint64_t version = version_in_store(i, &snapshot);
        for (int n = 0; slow && n < 20; n++)
            sched_yield();
        record = make_version(name, version);
        kv_lru_fill(lru, name, strlen(name), record, snapshot);
    } else {
        atomic_fetch_add_explicit(&store.served, 1, memory_order_relaxed);
    }
    return record ? record->meta.version : 0;
}

static void *reader_main(void *arg)
{
    unsigned random = *(unsigned *)arg;
    uint64_t seen[KEYS] = {0};
    while (!atomic_load(&store.finished)) {
        unsigned i = (unsigned)rand_r(&random) % KEYS;
        uint64_t acknowledged = atomic_load(&store.acknowledged[i]), snapshot;
        uint64_t least = acknowledged > seen[i] ? acknowledged : seen[i];
        uint64_t version = read_version(i, rand_r(&random) % 4 == 0);
        /* Which absent version it was nobody can tell: the first that may be it. */
        if (version == 0)
            version = least + (ABSENT_EVERY - least % ABSENT_EVERY) % ABSENT_EVERY;
        if (version < least || version > version_in_store(i, &snapshot))
            atomic_fetch_add(&store.wrong, 1);
        seen[i] = version;
    }
    return NULL;
}

/* One commit of up to three keys; every fifth one fails. */
static void commit_some(unsigned *random)
{
    unsigned keys[3], count = 1 + (unsigned)rand_r(random) % 3;
    unsigned first = (unsigned)rand_r(random) % KEYS;
    char name[16];
    uint64_t snapshot = store.snapshot + 1; /* only this thread writes it */
    for (unsigned n = 0; n < count; n++) {
        keys[n] = (first + n) % KEYS;
        key_name(name, keys[n]);
        hold(name, snapshot);
    }
    if (rand_r(random) % 5 == 0) {
        kv_lru_release(lru, snapshot);
        return;
    }
    kv_lock(&store.lock);
    store.snapshot = snapshot;
    for (unsigned n = 0; n < count; n++)
        store.versions[keys[n]]++;
    kv_unlock(&store.lock);
    if (rand_r(random) % 2 == 0)
        sched_yield();
    for (unsigned n = 0; n < count; n++) {
        key_name(name, keys[n]);
        KV_CLEANUP(kv_record_unrefp)
        struct kv_record *record = make_version(name, store.versions[keys[n]]);
        if (rand_r(random) % 3 != 0)
            kv_lru_publish(lru, name, strlen(name), record);
    }
    for (unsigned n = 0; n < count; n++)
        atomic_store(&store.acknowledged[keys[n]], store.versions[keys[n]]);
}

START_TEST(lru_never_serves_less_than_what_was_acknowledged)
{
    memset(&store, 0, sizeof(store));
    pthread_mutex_init(&store.lock, NULL);
    unsigned seeds[READERS], random = 1;
    pthread_t readers[READERS];
    for (unsigned i = 0; i < READERS; i++) {
        seeds[i] = i + 2;
        ck_assert_int_eq(pthread_create(&readers[i], NULL, reader_main, &seeds[i]), 0);
    }
    for (int i = 0; i < COMMITS; i++) {
        commit_some(&random);
        if (i % 4 == 0)
            sched_yield();
    }
    /* The readers have had their share of hits before it ends. */
    while (atomic_load(&store.served) < COMMITS)
        sched_yield();
    atomic_store(&store.finished, true);
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    pthread_mutex_destroy(&store.lock);
    ck_assert_uint_eq(atomic_load(&store.wrong), 0);
}
END_TEST

KV_SUITE_WITH("lru", setup, teardown, lru_returns_what_was_filled,
              lru_remembers_absent_keys, lru_caches_the_root,
              lru_keeps_records_alive_for_their_readers, lru_fill_does_not_replace,
              lru_evicts_the_oldest, lru_use_keeps_a_key_young,
              lru_stays_within_its_bytes, lru_keeps_nothing_that_takes_half_a_shard,
              lru_of_no_bytes_keeps_nothing, lru_counts,
              lru_refuses_fills_from_before_the_hold,
              lru_publish_replaces_what_a_reader_filled,
              lru_release_goes_back_to_the_last_commit, lru_release_covers_every_shard,
              lru_frees_records_outside_its_locks, lru_works_on_when_memory_runs_out,
              lru_table_does_without_growing,
              lru_never_serves_less_than_what_was_acknowledged)
