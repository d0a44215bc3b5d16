/* What LMDB itself can do: durable commits of 64 random puts each, with what the store
 * writes for a PUT: the record, its event in the log, and the counters once a commit,
 * in the same sizes and tables.
 *
 *     rawput DIRECTORY KEYS VALUE-BYTES COUNT
 *
 * Fills in all keys first, then prints how many of COUNT overwrites it got through in a
 * second. */
#include <endian.h>
#include <lmdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    BATCH = 64,
    ROW_HEAD = 80,    /* struct packed_row of daemon/store/state.c */
    EVENT_HEAD = 122, /* struct packed_event of changelog.c */
    COUNTERS = 64,    /* struct packed_counters of state.c */
};

static MDB_env *env;
static MDB_dbi state, changes, meta;
static uint64_t revision;
static size_t value_len;
static char bytes[128 * 1024];

static void check(int rc)
{
    if (rc == 0)
        return;
    fprintf(stderr, "rawput: %s\n", mdb_strerror(rc));
    exit(1);
}

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void put_reserved(MDB_txn *txn, MDB_dbi dbi, void *key, size_t key_len,
                         size_t size, unsigned flags)
{
    MDB_val k = {key_len, key}, v = {size, NULL};
    check(mdb_put(txn, dbi, &k, &v, MDB_RESERVE | flags));
    memcpy(v.mv_data, bytes, size);
}

static void put_one(MDB_txn *txn, unsigned long number)
{
    char key[32];
    size_t key_len = (size_t)sprintf(key, "bench/%07lu", number);
    struct {
        uint64_t revision;
        uint32_t index;
    } __attribute__((packed)) position = {htobe64(++revision), 0};
    memset(bytes, (int)revision, 200);
    put_reserved(txn, state, key, key_len, ROW_HEAD + value_len, 0);
    put_reserved(txn, changes, &position, sizeof position,
                 EVENT_HEAD + key_len + value_len, MDB_APPEND);
}

static void commit_batch(unsigned long (*next)(void), unsigned long limit,
                         unsigned long *done)
{
    MDB_txn *txn;
    check(mdb_txn_begin(env, NULL, 0, &txn));
    for (int i = 0; i < BATCH && *done < limit; i++, ++*done)
        put_one(txn, next());
    put_reserved(txn, meta, (char[]){"counters"}, 8, COUNTERS, 0);
    check(mdb_txn_commit(txn));
}

static unsigned long keys, counter;

static unsigned long next_sequential(void)
{
    return counter++;
}

static unsigned long next_random(void)
{
    static uint64_t x = 88172645463325252ULL;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (unsigned long)(x % keys);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: rawput DIRECTORY KEYS VALUE-BYTES COUNT\n");
        return 2;
    }
    keys = strtoul(argv[2], NULL, 10);
    value_len = strtoul(argv[3], NULL, 10);
    unsigned long count = strtoul(argv[4], NULL, 10), done = 0;
    if (value_len > sizeof bytes / 2)
        return 2;
    check(mdb_env_create(&env));
    check(mdb_env_set_mapsize(env, (size_t)16 << 30));
    check(mdb_env_set_maxdbs(env, 4));
    check(mdb_env_open(env, argv[1], MDB_NOTLS | MDB_NORDAHEAD | MDB_NOMEMINIT, 0600));
    MDB_txn *txn;
    check(mdb_txn_begin(env, NULL, 0, &txn));
    check(mdb_dbi_open(txn, "state", MDB_CREATE, &state));
    check(mdb_dbi_open(txn, "log", MDB_CREATE, &changes));
    check(mdb_dbi_open(txn, "meta", MDB_CREATE, &meta));
    check(mdb_txn_commit(txn));
    while (done < keys)
        commit_batch(next_sequential, keys, &done);
    double start = now();
    for (done = 0; done < count;)
        commit_batch(next_random, count, &done);
    printf("%.0f\n", (double)count / (now() - start));
    mdb_env_close(env);
    return 0;
}
