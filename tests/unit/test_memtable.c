#include "store/memtable.h"

#include "alloc.h"
#include "suite.h"

#include <errno.h>
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

static struct kv_mem_change put(const char *key, uint64_t number, const char *value)
{
    struct kv_mem_change change;
    void *place;
    ck_assert_int_eq(kv_memtable_put(mem, KV_DB_STATE, slice(key), number,
                                     strlen(value), &change, &place),
                     0);
    memcpy(place, value, strlen(value));
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

/* What a snapshot sees: "-" deleted, "?" nothing. */
static const char *get(const char *key, uint64_t number)
{
    static char text[64];
    struct kv_slice value;
    int err = kv_memtable_get(mem, KV_DB_STATE, slice(key), number, &value);
    if (err == -ENODATA)
        return "-";
    if (err == -ENOENT)
        return "?";
    ck_assert_int_eq(err, 0);
    (void)snprintf(text, sizeof(text), "%.*s", (int)value.len,
                   (const char *)value.data);
    return text;
}

static struct kv_mem_cursor cursor_at(uint64_t number)
{
    return (struct kv_mem_cursor){.mem = mem, .db = KV_DB_STATE, .number = number};
}

static bool move(struct kv_mem_cursor *cursor, enum kv_move where)
{
    return kv_mem_cursor_move(cursor, where, (struct kv_slice){0});
}

/* "a=1 b-", from one end to the other. */
static const char *walk(uint64_t number, bool forward)
{
    static char text[256];
    size_t len = 0;
    text[0] = '\0';
    struct kv_mem_cursor cursor = cursor_at(number);
    for (bool more = move(&cursor, forward ? KV_MOVE_FIRST : KV_MOVE_LAST); more;
         more = move(&cursor, forward ? KV_MOVE_NEXT : KV_MOVE_PREV)) {
        int n = snprintf(text + len, sizeof(text) - len, "%s%.*s%s%.*s",
                         len > 0 ? " " : "", (int)cursor.key.len,
                         (const char *)cursor.key.data, cursor.deleted ? "-" : "=",
                         cursor.deleted ? 0 : (int)cursor.value.len,
                         (const char *)cursor.value.data);
        len += (size_t)n;
        ck_assert_uint_lt(len, sizeof(text));
    }
    ck_assert_ptr_null(cursor.entry);
    return text;
}

static const char *place_of(const struct kv_mem_cursor *cursor, bool there)
{
    static char text[64];
    ck_assert_int_eq(there, cursor->entry != NULL);
    (void)snprintf(text, sizeof(text), "%.*s", there ? (int)cursor->key.len : 0,
                   (const char *)cursor->key.data);
    return text;
}

static const char *sought(const char *from, uint64_t number)
{
    struct kv_mem_cursor cursor = cursor_at(number);
    return place_of(&cursor, kv_mem_cursor_move(&cursor, KV_MOVE_SEEK, slice(from)));
}

static const char *before(const char *key, uint64_t number)
{
    struct kv_mem_cursor cursor = cursor_at(number);
    return place_of(&cursor, kv_mem_cursor_before(&cursor, slice(key)));
}

/* -- Versions -- */

START_TEST(a_snapshot_sees_the_newest_version_up_to_its_number)
{
    put("k", 2, "two");
    put("k", 3, "three");
    put("k", 5, "five");
    ck_assert_str_eq(get("k", 1), "?");
    ck_assert_str_eq(get("k", 2), "two");
    ck_assert_str_eq(get("k", 3), "three");
    ck_assert_str_eq(get("k", 4), "three");
    ck_assert_str_eq(get("k", 5), "five");
    ck_assert_str_eq(get("k", UINT64_MAX), "five");
}
END_TEST

START_TEST(of_one_number_the_last_version_counts)
{
    put("k", 1, "one");
    put("k", 1, "other");
    ck_assert_str_eq(get("k", 1), "other");
}
END_TEST

START_TEST(a_deletion_is_not_the_same_as_nothing)
{
    put("k", 1, "one");
    del("k", 2);
    del("other", 2);
    put("k", 3, "three");
    ck_assert_str_eq(get("k", 1), "one");
    ck_assert_str_eq(get("k", 2), "-");
    ck_assert_str_eq(get("k", 3), "three");
    ck_assert_str_eq(get("other", 1), "?");
    ck_assert_str_eq(get("other", 2), "-");
}
END_TEST

START_TEST(tables_are_separate)
{
    put("k", 1, "v");
    struct kv_slice value;
    for (int db = 0; db < KV_DB_COUNT; db++)
        ck_assert_int_eq(kv_memtable_get(mem, (enum kv_db)db, slice("k"), 1, &value),
                         db == KV_DB_STATE ? 0 : -ENOENT);
    struct kv_mem_cursor cursor = {.mem = mem, .db = KV_DB_LOG, .number = 1};
    ck_assert(!move(&cursor, KV_MOVE_FIRST));
    ck_assert(!move(&cursor, KV_MOVE_LAST));
}
END_TEST

START_TEST(the_key_is_copied)
{
    char key[] = "key";
    put(key, 1, "v");
    memset(key, 'x', 3);
    ck_assert_str_eq(walk(1, true), "key=v");
}
END_TEST

START_TEST(values_may_be_empty_or_large)
{
    enum { LARGE = 3 << 20 };
    struct kv_mem_change change;
    struct kv_slice value;
    void *small, *large;
    put("empty", 1, "");
    ck_assert_str_eq(get("empty", 1), "");
    put("before", 1, "b"); /* shares memory with what comes behind the large one */
    ck_assert_int_eq(
        kv_memtable_put(mem, KV_DB_STATE, slice("l"), 1, LARGE, &change, &large), 0);
    ck_assert_int_eq(
        kv_memtable_put(mem, KV_DB_STATE, slice("s"), 1, 1, &change, &small), 0);
    memset(large, 'x', LARGE);
    memset(small, 's', 1);
    ck_assert_int_eq(kv_memtable_get(mem, KV_DB_STATE, slice("l"), 1, &value), 0);
    ck_assert_uint_eq(value.len, LARGE);
    ck_assert_int_eq(((const char *)value.data)[LARGE - 1], 'x');
    ck_assert_str_eq(get("before", 1), "b");
    ck_assert_str_eq(get("s", 1), "s");
    ck_assert_uint_ge(kv_memtable_bytes(mem), LARGE);
    ck_assert_uint_lt(kv_memtable_bytes(mem), LARGE + 4096);
}
END_TEST

START_TEST(a_reference_keeps_what_slices_point_to)
{
    put("k", 1, "v");
    struct kv_slice value;
    struct kv_memtable *other = kv_memtable_ref(mem);
    kv_memtable_unref(mem);
    ck_assert_int_eq(kv_memtable_get(other, KV_DB_STATE, slice("k"), 1, &value), 0);
    ck_assert_bytes(value.data, value.len, "v");
    mem = other;
    kv_memtable_unref(NULL);
}
END_TEST

/* -- Undo -- */

START_TEST(what_is_undone_was_never_there)
{
    put("k", 1, "one");
    struct kv_mem_change changes[] = {put("k", 2, "two"), put("k", 2, "TWO"),
                                      del("k", 2), put("new", 2, "v")};
    ck_assert_uint_eq(kv_memtable_versions(mem), 5);
    ck_assert_str_eq(walk(2, true), "k- new=v");
    for (int i = 3; i >= 0; i--)
        undo(changes[i]);
    ck_assert_uint_eq(kv_memtable_versions(mem), 1);
    ck_assert_str_eq(get("k", 2), "one");
    ck_assert_str_eq(get("new", 2), "?");
    ck_assert_str_eq(walk(2, true), "k=one");
    ck_assert_str_eq(walk(2, false), "k=one");
}
END_TEST

START_TEST(a_key_that_was_undone_can_be_put_again)
{
    undo(put("k", 2, "two"));
    put("k", 2, "again");
    ck_assert_str_eq(get("k", 2), "again");
    ck_assert_str_eq(walk(2, true), "k=again");
    ck_assert_uint_eq(kv_memtable_versions(mem), 1);
}
END_TEST

START_TEST(a_change_tells_what_it_is)
{
    struct kv_mem_change one = put("k", 1, "one"), other = put("l", 1, "x"),
                         two = del("k", 1);
    struct kv_slice value;
    ck_assert(!kv_mem_change_is_last(&one));
    ck_assert(kv_mem_change_is_last(&two));
    ck_assert(kv_mem_change_is_last(&other));
    ck_assert_bytes(kv_mem_change_key(&two).data, kv_mem_change_key(&two).len, "k");
    ck_assert(kv_mem_change_deletes(&two, &value));
    ck_assert(!kv_mem_change_deletes(&one, &value));
    ck_assert_bytes(value.data, value.len, "one");
    undo(two);
    ck_assert(kv_mem_change_is_last(&one));
}
END_TEST

/* -- Order and cursors -- */

START_TEST(keys_are_in_the_order_of_their_bytes)
{
    static const char *const keys[] = {
        "\x01", "A",    "a",        "a\x01", "aa",   "ab",       "b",
        "\x7f", "\x80", "\x80\x80", "\xc3",  "\xff", "\xff\x01", "\xff\xff"};
    enum { COUNT = sizeof(keys) / sizeof(*keys) };
    for (unsigned i = 0; i < COUNT; i++)
        put(keys[i * 5 % COUNT], 1, "v"); /* 5 and 14 have no common divisor */
    struct kv_mem_cursor cursor = cursor_at(1);
    bool more = move(&cursor, KV_MOVE_FIRST);
    for (unsigned i = 0; i < COUNT; i++, more = move(&cursor, KV_MOVE_NEXT))
        ck_assert_str_eq(place_of(&cursor, more), keys[i]);
    ck_assert(!more);
    more = move(&cursor, KV_MOVE_LAST);
    for (unsigned i = COUNT; i-- > 0; more = move(&cursor, KV_MOVE_PREV))
        ck_assert_str_eq(place_of(&cursor, more), keys[i]);
    ck_assert(!more);
}
END_TEST

START_TEST(a_seek_finds_the_first_key_not_less_and_before_the_last_one_less)
{
    put("b", 1, "v");
    put("d", 1, "v");
    del("dd", 1);
    ck_assert_str_eq(sought("", 1), "b");
    ck_assert_str_eq(sought("b", 1), "b");
    ck_assert_str_eq(sought("ba", 1), "d");
    ck_assert_str_eq(sought("d\x01", 1), "dd");
    ck_assert_str_eq(sought("e", 1), "");
    ck_assert_str_eq(before("", 1), "");
    ck_assert_str_eq(before("b", 1), "");
    ck_assert_str_eq(before("c", 1), "b");
    ck_assert_str_eq(before("d", 1), "b");
    ck_assert_str_eq(before("dd", 1), "d");
    ck_assert_str_eq(before("\xff", 1), "dd");
}
END_TEST

/* a, c, e and g hold nothing for the snapshot, at either end and between. */
START_TEST(cursors_pass_over_what_their_snapshot_does_not_see)
{
    put("b", 1, "1");
    put("d", 1, "1");
    del("f", 1);
    undo(put("a", 2, "x"));
    undo(put("c", 2, "x"));
    put("e", 2, "2");
    del("g", 2);
    put("d", 2, "2");
    ck_assert_str_eq(walk(1, true), "b=1 d=1 f-");
    ck_assert_str_eq(walk(1, false), "f- d=1 b=1");
    ck_assert_str_eq(walk(2, true), "b=1 d=2 e=2 f- g-");
    ck_assert_str_eq(walk(2, false), "g- f- e=2 d=2 b=1");
    ck_assert_str_eq(walk(0, true), "");
    ck_assert_str_eq(walk(0, false), "");
    ck_assert_str_eq(sought("a", 1), "b");
    ck_assert_str_eq(sought("c", 1), "d");
    ck_assert_str_eq(sought("e", 1), "f");
    ck_assert_str_eq(sought("g", 1), "");
    ck_assert_str_eq(before("f", 1), "d");
    ck_assert_str_eq(before("d", 1), "b");
    ck_assert_str_eq(before("b", 1), "");
    ck_assert_str_eq(before("z", 1), "f");
}
END_TEST

START_TEST(a_cursor_may_turn)
{
    put("a", 1, "v");
    put("b", 2, "later");
    put("c", 1, "v");
    struct kv_mem_cursor cursor = cursor_at(1);
    ck_assert_str_eq(place_of(&cursor, move(&cursor, KV_MOVE_FIRST)), "a");
    ck_assert_str_eq(place_of(&cursor, move(&cursor, KV_MOVE_NEXT)), "c");
    ck_assert_str_eq(place_of(&cursor, move(&cursor, KV_MOVE_PREV)), "a");
    ck_assert_str_eq(place_of(&cursor, move(&cursor, KV_MOVE_PREV)), "");
}
END_TEST

/* -- A writer that comes in between -- */

static unsigned compares_left; /* until the writer comes */

int __real_memcmp(const void *a, const void *b, size_t len);
int __wrap_memcmp(const void *a, const void *b, size_t len);

/* Readers compare keys on their way. */
int __wrap_memcmp(const void *a, const void *b, size_t len)
{
    int order = __real_memcmp(a, b, len);
    if (compares_left > 0 && --compares_left == 0) {
        put("aa", 2, "later");
        put("bb", 2, "later");
    }
    return order;
}

START_TEST(keys_that_come_in_on_the_way_change_nothing_for_readers)
{
    for (unsigned nth = 1;; nth++) {
        kv_memtable_unref(mem);
        ck_assert_int_eq(kv_memtable_new(&mem), 0);
        put("a", 1, "1");
        put("b", 1, "2");
        put("c", 1, "3");
        compares_left = nth;
        const char *text = get("b", 1);
        bool came = compares_left == 0;
        compares_left = 0;
        ck_assert_str_eq(text, "2");
        if (!came)
            break;
    }
}
END_TEST

START_TEST(keys_that_come_in_on_the_way_do_not_lead_cursors_astray)
{
    bool came = true;
    for (unsigned nth = 1; came; nth++) {
        kv_memtable_unref(mem);
        ck_assert_int_eq(kv_memtable_new(&mem), 0);
        put("a", 1, "1");
        put("b", 1, "2");
        put("c", 1, "3");
        struct kv_mem_cursor seeking = cursor_at(1), back = cursor_at(1);
        compares_left = nth;
        bool found = kv_mem_cursor_move(&seeking, KV_MOVE_SEEK, slice("b"));
        bool before_it = kv_mem_cursor_before(&back, slice("c"));
        came = compares_left == 0;
        compares_left = 0;
        ck_assert_str_eq(place_of(&seeking, found), "b");
        ck_assert_str_eq(place_of(&back, before_it), "b");
    }
}
END_TEST

/* -- Memory -- */

START_TEST(a_failed_allocation_changes_nothing)
{
    struct kv_memtable *other;
    kv_alloc_fail_all();
    int err = kv_memtable_new(&other);
    ck_assert(kv_alloc_fail_stop());
    ck_assert_int_eq(err, -ENOMEM);
    put("k", 1, "one");
    struct kv_mem_change change;
    void *place;
    for (size_t size = 1; size < 1u << 20; size *= 2) { /* until the chunk is full */
        kv_alloc_fail_all();
        err = kv_memtable_put(mem, KV_DB_STATE, slice("k"), 2, size, &change, &place);
        if (!err)
            kv_memtable_undo(mem, &change);
        ck_assert_int_eq(err, kv_alloc_fail_stop() ? -ENOMEM : 0);
    }
    ck_assert_int_eq(err, -ENOMEM);
    ck_assert_str_eq(get("k", 2), "one");
    ck_assert_uint_eq(kv_memtable_versions(mem), 1);
    put("k", 2, "two");
    ck_assert_str_eq(get("k", 2), "two");
}
END_TEST

/* The version fits, and the entry does not. */
START_TEST(a_key_without_room_for_it_is_not_there)
{
    char key[512];
    struct kv_mem_change change;
    int err = 0;
    unsigned added = 0;
    memset(key, 'k', sizeof(key));
    put("first", 1, "v");
    kv_alloc_fail_all();
    while (!err) {
        (void)snprintf(key, sizeof(key), "%05u", added);
        key[5] = 'k';
        err = kv_memtable_delete(mem, KV_DB_STATE, (struct kv_slice){key, sizeof(key)},
                                 1, &change);
        added += !err;
    }
    ck_assert(kv_alloc_fail_stop());
    ck_assert_int_eq(err, -ENOMEM);
    ck_assert_uint_gt(added, 100);
    ck_assert_uint_eq(kv_memtable_versions(mem), added + 1);
    struct kv_mem_cursor cursor = cursor_at(1);
    unsigned seen = 0;
    for (bool more = move(&cursor, KV_MOVE_FIRST); more;
         more = move(&cursor, KV_MOVE_NEXT))
        seen++;
    ck_assert_uint_eq(seen, added + 1);
}
END_TEST

KV_SUITE_WITH("memtable", setup, teardown,
              a_snapshot_sees_the_newest_version_up_to_its_number,
              of_one_number_the_last_version_counts,
              a_deletion_is_not_the_same_as_nothing, tables_are_separate,
              the_key_is_copied, values_may_be_empty_or_large,
              a_reference_keeps_what_slices_point_to, what_is_undone_was_never_there,
              a_key_that_was_undone_can_be_put_again, a_change_tells_what_it_is,
              keys_are_in_the_order_of_their_bytes,
              a_seek_finds_the_first_key_not_less_and_before_the_last_one_less,
              cursors_pass_over_what_their_snapshot_does_not_see, a_cursor_may_turn,
              keys_that_come_in_on_the_way_change_nothing_for_readers,
              keys_that_come_in_on_the_way_do_not_lead_cursors_astray,
              a_failed_allocation_changes_nothing,
              a_key_without_room_for_it_is_not_there)
