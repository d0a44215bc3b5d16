/* A memtable against a simple model of it, and with readers beside its writer. */
#include "store/memtable.h"

#include "suite.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static struct kv_memtable *mem;

static void setup(void)
{
    ck_assert_int_eq(kv_memtable_new(&mem), 0);
}

static void teardown(void)
{
    kv_memtable_unref(mem);
}

/* -- One-liners -- */

static struct kv_slice slice(const char *text)
{
    return (struct kv_slice){text, strlen(text)};
}

static struct kv_mem_change put(const char *key, uint64_t number, int value)
{
    struct kv_mem_change change;
    void *place;
    ck_assert_int_eq(kv_memtable_put(mem, KV_DB_STATE, slice(key), number,
                                     sizeof(value), &change, &place),
                     0);
    memcpy(place, &value, sizeof(value));
    return change;
}

static struct kv_mem_change del(const char *key, uint64_t number)
{
    struct kv_mem_change change;
    ck_assert_int_eq(kv_memtable_delete(mem, KV_DB_STATE, slice(key), number, &change),
                     0);
    return change;
}

static void undo(struct kv_mem_change change)
{
    kv_memtable_undo(mem, &change);
}

static int number_in(struct kv_slice value)
{
    int number;
    ck_assert_uint_eq(value.len, sizeof(number));
    memcpy(&number, value.data, sizeof(number));
    return number;
}

/* What a snapshot sees: 0 nothing, -1 deleted. */
static int get(const char *key, uint64_t number)
{
    struct kv_slice value;
    int err = kv_memtable_get(mem, KV_DB_STATE, slice(key), number, &value);
    return err == -ENOENT ? 0 : err ? -1 : number_in(value);
}

static struct kv_mem_cursor cursor_at(uint64_t number)
{
    return (struct kv_mem_cursor){.mem = mem, .db = KV_DB_STATE, .number = number};
}

static bool move(struct kv_mem_cursor *cursor, enum kv_move where)
{
    return kv_mem_cursor_move(cursor, where, (struct kv_slice){0});
}

/* -- Random -- */

enum { KEYS = 40, SNAPSHOTS = 6 };

/* What a snapshot sees of each key: 0 nothing, -1 deleted, otherwise the value. */
struct model {
    uint64_t number;
    int values[KEYS];
};

static uint64_t random_state;

static uint32_t chance(uint32_t below)
{
    /* splitmix64 (Steele, Lea, Flood 2014) */
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) % below);
}

static const char *random_key_of(int number)
{
    static char text[16];
    (void)snprintf(text, sizeof(text), "%02d%s", number / 2, number % 2 ? "x" : "");
    return text;
}

static struct kv_mem_change change_randomly(struct model *model, int key)
{
    model->values[key] = chance(3) ? (int)chance(1000000) + 1 : -1;
    return model->values[key] < 0
               ? del(random_key_of(key), model->number)
               : put(random_key_of(key), model->number, model->values[key]);
}

/* Some changes of one number, the last of which may be undone. */
static void commit_randomly(struct model *model)
{
    model->number++;
    for (uint32_t parts = 1 + chance(3); parts > 0; parts--) {
        struct model saved = *model;
        struct kv_mem_change changes[8];
        uint32_t count = 1 + chance(8);
        for (uint32_t i = 0; i < count; i++)
            changes[i] = change_randomly(model, (int)chance(KEYS));
        if (chance(3) > 0)
            continue;
        while (count > 0)
            undo(changes[--count]);
        *model = saved;
    }
}

/* Where a cursor should stand that starts at a key and goes one way. */
static int expected_from(const struct model *model, int key, int way)
{
    while (key >= 0 && key < KEYS && model->values[key] == 0)
        key += way;
    return key;
}

static void check_cursor(const struct kv_mem_cursor *cursor, bool there,
                         const struct model *model, int key)
{
    if (key < 0 || key >= KEYS) {
        ck_assert(!there);
        return;
    }
    ck_assert(there);
    ck_assert(kv_slice_compare(cursor->key, slice(random_key_of(key))) == 0);
    ck_assert_int_eq(cursor->deleted, model->values[key] < 0);
    if (!cursor->deleted)
        ck_assert_int_eq(number_in(cursor->value), model->values[key]);
}

/* From every key in every way. */
static void check_model(const struct model *model)
{
    struct kv_mem_cursor cursor = cursor_at(model->number);
    for (int i = 0; i < KEYS; i++) {
        ck_assert_int_eq(get(random_key_of(i), model->number), model->values[i]);
        bool there = kv_mem_cursor_move(&cursor, KV_MOVE_SEEK, slice(random_key_of(i)));
        int at = expected_from(model, i, 1);
        check_cursor(&cursor, there, model, at);
        if (there)
            check_cursor(&cursor, move(&cursor, KV_MOVE_NEXT), model,
                         expected_from(model, at + 1, 1));
        there = kv_mem_cursor_before(&cursor, slice(random_key_of(i)));
        at = expected_from(model, i - 1, -1);
        check_cursor(&cursor, there, model, at);
        if (there)
            check_cursor(&cursor, move(&cursor, KV_MOVE_PREV), model,
                         expected_from(model, at - 1, -1));
    }
}

START_TEST(random_changes_do_what_the_model_does_in_every_snapshot)
{
    struct model model = {0}, snapshots[SNAPSHOTS] = {0};
    random_state = 1;
    for (unsigned i = 0; i < 3000; i++) {
        commit_randomly(&model);
        if (i % 10 == 0)
            for (int k = 0; k < SNAPSHOTS; k++)
                check_model(&snapshots[k]);
        snapshots[chance(SNAPSHOTS)] = model;
    }
    check_model(&model);
}
END_TEST

/* -- Threads -- */

enum { READERS = 3, COMMITS = 2000, PAIRS = 32, SUM = 1000000 };

static pthread_mutex_t number_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t published;
static bool finished;
static atomic_uint torn;

static uint64_t published_number(bool *ret_finished)
{
    KV_SCOPED_LOCK(&number_lock);
    *ret_finished = finished;
    return published;
}

/* Two keys of a pair have the same sum in every snapshot, and so have all together. */
static void put_number(int key, uint64_t number, int value, struct kv_mem_change *ret)
{
    char name[8];
    (void)snprintf(name, sizeof(name), "%04d", key);
    *ret = put(name, number, value);
}

static int pair_sum(int pair, uint64_t number)
{
    int sum = 0;
    for (int half = 0; half < 2; half++) {
        char name[8];
        (void)snprintf(name, sizeof(name), "%04d", pair + half * PAIRS);
        sum += get(name, number);
    }
    return sum;
}

static int64_t sum_by_walk(uint64_t number, bool forward)
{
    int64_t sum = 0;
    struct kv_mem_cursor cursor = cursor_at(number);
    for (bool more = move(&cursor, forward ? KV_MOVE_FIRST : KV_MOVE_LAST); more;
         more = move(&cursor, forward ? KV_MOVE_NEXT : KV_MOVE_PREV))
        sum += number_in(cursor.value);
    return sum;
}

static void *read_on(void *arg)
{
    unsigned turn = *(unsigned *)arg;
    for (bool end = false; !end; turn++) {
        uint64_t number = published_number(&end);
        for (int i = 0; i < 50 * PAIRS; i++) {
            int sum = pair_sum(i % PAIRS, number);
            if (number >= PAIRS ? sum != SUM : sum != 0 && sum != SUM)
                atomic_fetch_add(&torn, 1);
        }
        int64_t all = sum_by_walk(number, turn % 2);
        if (all != (int64_t)SUM * (int64_t)(number < PAIRS ? number : PAIRS))
            atomic_fetch_add(&torn, 1);
    }
    return NULL;
}

/* New keys right in front of others, for whoever is on the way to those. */
static void put_in_front(int key, uint64_t number)
{
    char name[24];
    (void)snprintf(name, sizeof(name), "%04d-%06d", key - 1, (int)number);
    put(name, number, 0);
}

/* The first commits bring a pair each. */
static void commit_pair(uint64_t number)
{
    int pair = (int)(number * 7 % PAIRS);
    int left = (int)chance(SUM);
    struct kv_mem_change changes[2];
    if (chance(4) == 0) {
        put_number(pair, number, -1, &changes[0]);
        put_number(pair + PAIRS, number, -1, &changes[1]);
        undo(changes[1]);
        undo(changes[0]);
    }
    put_number(pair, number, left, &changes[0]);
    put_number(pair + PAIRS, number, SUM - left, &changes[1]);
    for (int i = 0; i < PAIRS; i += 4)
        put_in_front(i, number);
    KV_SCOPED_LOCK(&number_lock);
    published = number;
}

START_TEST(readers_beside_the_writer_see_whole_snapshots)
{
    pthread_t readers[READERS];
    unsigned turns[READERS] = {0, 1, 2};
    published = 0;
    finished = false;
    atomic_store(&torn, 0);
    for (int i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&readers[i], NULL, read_on, &turns[i]), 0);
    for (uint64_t number = 1; number <= COMMITS; number++)
        commit_pair(number);
    kv_lock(&number_lock);
    finished = true;
    kv_unlock(&number_lock);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    ck_assert_uint_eq(atomic_load(&torn), 0);
}
END_TEST

KV_SUITE_WITH("memtable_random", setup, teardown,
              random_changes_do_what_the_model_does_in_every_snapshot,
              readers_beside_the_writer_see_whole_snapshots)
