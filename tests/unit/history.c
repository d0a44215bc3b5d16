/* See history.h. */
#include "history.h"

#include <errno.h>
#include <string.h>

#define KEYS 24
#define OPS 4 /* of a commit, at most */
#define MAX_VALUE 6000

static const struct kv_slice count_key = {"count", 5};

/* splitmix64 (Steele, Lea, Flood 2014) */
static uint64_t mix(uint64_t n)
{
    uint64_t z = n * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* In the order of the numbers: "\1", "\1\377", "\25", ... */
static struct kv_slice key_of(unsigned number, char out[static 2])
{
    out[0] = (char)(1 + number / 2 * 20);
    out[1] = (char)0xff;
    return (struct kv_slice){out, 1 + number % 2};
}

/* -- What a commit does -- */

struct change {
    enum kv_db db;
    unsigned key;
    bool deletes;
    size_t len;
    uint64_t pattern;
};

static unsigned change_count(uint64_t n)
{
    return 1 + (unsigned)(mix(n) % OPS);
}

static struct change change_of(uint64_t n, unsigned op)
{
    uint64_t r = mix(n * OPS + op + (UINT64_C(1) << 60));
    size_t len = (r >> 32) % 8 == 0 ? (r >> 40) % MAX_VALUE : (r >> 40) % 50;
    return (struct change){.db = (enum kv_db)(r % KV_DB_COUNT),
                           .key = (unsigned)((r >> 8) % KEYS),
                           .deletes = (r >> 16) % 3 == 0,
                           .len = len,
                           .pattern = r};
}

static void fill_value(char *place, const struct change *change)
{
    for (size_t i = 0; i < change->len; i++)
        place[i] = (char)(change->pattern >> (i % 8 * 8));
}

static int apply_change(struct kv_view *view, const struct change *change)
{
    char bytes[2];
    void *place;
    struct kv_slice key = key_of(change->key, bytes);
    if (change->deletes) {
        int err = kv_view_delete(view, change->db, key);
        return err == -ENOENT ? 0 : err;
    }
    int err = kv_view_put(view, change->db, key, change->len, &place);
    if (!err)
        fill_value(place, change);
    return err;
}

int history_apply(struct kv_view *view, uint64_t n)
{
    void *place;
    int err = 0;
    for (unsigned op = 0; op < change_count(n) && !err; op++) {
        struct change change = change_of(n, op);
        err = apply_change(view, &change);
    }
    if (!err)
        err = kv_view_put(view, KV_DB_META, count_key, sizeof(n), &place);
    if (!err)
        memcpy(place, &n, sizeof(n));
    return err;
}

int history_commit(struct kv_table *table, uint64_t n)
{
    struct kv_view *view;
    int err = kv_view_write(table, &view);
    if (err)
        return err;
    err = history_apply(view, n);
    if (!err)
        return kv_view_commit(view);
    kv_view_end(view);
    return err;
}

/* -- What it leaves -- */

struct state {
    bool there[KV_DB_COUNT][KEYS];
    struct change last[KV_DB_COUNT][KEYS];
};

static void state_after(uint64_t n, struct state *ret)
{
    memset(ret, 0, sizeof(*ret));
    for (uint64_t i = 1; i <= n; i++)
        for (unsigned op = 0; op < change_count(i); op++) {
            struct change change = change_of(i, op);
            ret->there[change.db][change.key] = !change.deletes;
            ret->last[change.db][change.key] = change;
        }
}

static bool has_value(struct kv_slice value, const struct change *change)
{
    char expected[MAX_VALUE];
    fill_value(expected, change);
    return value.len == change->len && memcmp(value.data, expected, value.len) == 0;
}

static const char *check_gets(struct kv_view *view, enum kv_db db,
                              const struct state *state)
{
    for (unsigned i = 0; i < KEYS; i++) {
        char bytes[2];
        struct kv_slice value;
        int err = kv_view_get(view, db, key_of(i, bytes), &value);
        if (err != (state->there[db][i] ? 0 : -ENOENT))
            return err ? "a key is missing" : "a deleted key is there";
        if (!err && !has_value(value, &state->last[db][i]))
            return "a value is not of this commit";
    }
    return NULL;
}

/* The next row of a key that the history changes; -ENOENT at the end. */
static int step(struct kv_walk *walk, bool forward, struct kv_slice *key,
                struct kv_slice *value)
{
    int err;
    do {
        err = forward ? kv_walk_next(walk, key, value) : kv_walk_prev(walk, key, value);
    } while (!err && key->len > 1 && ((const unsigned char *)key->data)[1] != 0xff);
    return err;
}

/* There, back, and there again. */
static bool turns(struct kv_walk *walk, bool forward, unsigned back, unsigned at)
{
    struct kv_slice key, value;
    char bytes[2];
    return step(walk, !forward, &key, &value) == 0 &&
           kv_slice_compare(key, key_of(back, bytes)) == 0 &&
           step(walk, forward, &key, &value) == 0 &&
           kv_slice_compare(key, key_of(at, bytes)) == 0;
}

static const char *check_walk(struct kv_view *view, enum kv_db db, bool forward,
                              const struct state *state)
{
    KV_CLEANUP(kv_walk_closep) struct kv_walk *walk = NULL;
    struct kv_slice key, value;
    char bytes[2];
    if (kv_walk_open(view, db, &walk))
        return "a walk cannot be opened";
    unsigned before = KEYS;
    for (unsigned i = 0; i < KEYS; i++) {
        unsigned at = forward ? i : KEYS - 1 - i;
        if (!state->there[db][at])
            continue;
        if (step(walk, forward, &key, &value) ||
            kv_slice_compare(key, key_of(at, bytes)) != 0)
            return forward ? "a walk misses a key" : "a walk back misses a key";
        if (!has_value(value, &state->last[db][at]))
            return "a walk shows a value that is not of this commit";
        if (before < KEYS && !turns(walk, forward, before, at))
            return "a walk that turns loses its way";
        before = at;
    }
    return step(walk, forward, &key, &value) == -ENOENT ? NULL
                                                        : "a walk shows a key too many";
}

const char *history_check(struct kv_view *view, uint64_t *ret)
{
    struct kv_slice value;
    const char *wrong = NULL;
    int err = kv_view_get(view, KV_DB_META, count_key, &value);
    *ret = 0;
    if (err && err != -ENOENT)
        return "the count cannot be read";
    if (!err)
        memcpy(ret, value.data, sizeof(*ret));
    struct state state;
    state_after(*ret, &state);
    for (int db = 0; db < KV_DB_COUNT && !wrong; db++) {
        wrong = check_gets(view, (enum kv_db)db, &state);
        if (!wrong)
            wrong = check_walk(view, (enum kv_db)db, true, &state);
        if (!wrong)
            wrong = check_walk(view, (enum kv_db)db, false, &state);
    }
    return wrong;
}

const char *history_check_table(struct kv_table *table, uint64_t *ret)
{
    KV_CLEANUP(kv_view_endp) struct kv_view *view = NULL;
    return kv_view_read(table, &view) ? "no view" : history_check(view, ret);
}
