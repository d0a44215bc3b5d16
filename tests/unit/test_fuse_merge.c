#include "fuse/late.h"
#include "fuse/merge.h"

#include "fixture.h"
#include "suite.h"

#define OWN 16
#define HTTP 1

static struct kv_event *events[16];
static size_t count;

static struct kv_event *add(enum kv_event_type type, uint64_t id, uint32_t origin)
{
    struct kv_event *event = fixture_event("key", NULL, count + 1, 0);
    event->type = type;
    event->origin = origin;
    event->record->meta.id = id;
    events[count++] = event;
    return event;
}

static void put(uint64_t id)
{
    add(KV_EVENT_PUT, id, HTTP);
}

static void setup(void)
{
    count = 0;
}

static void teardown(void)
{
    while (count > 0)
        kv_event_unref(events[--count]);
}

/* Which are skipped, as a text: 's' or '.'. */
static void assert_skips(const char *expected)
{
    bool skip[16];
    char text[17] = "";
    size_t skipped = kv_merge_puts(events, count, OWN, skip), counted = 0;
    for (size_t i = 0; i < count; i++) {
        text[i] = skip[i] ? 's' : '.';
        counted += skip[i];
    }
    ck_assert_str_eq(text, expected);
    ck_assert_uint_eq(skipped, counted);
}

START_TEST(puts_of_one_key_merge_into_the_last)
{
    put(7), put(7), put(7);
    assert_skips("ss.");
}
END_TEST

START_TEST(puts_of_different_keys_do_not_merge)
{
    put(7), put(8), put(7), put(8), put(9);
    assert_skips("ss...");
}
END_TEST

START_TEST(create_is_never_skipped)
{
    put(7);
    add(KV_EVENT_PUT, 8, HTTP)->created = true;
    put(8), put(8);
    assert_skips("..s.");
}
END_TEST

START_TEST(delete_and_rename_keep_puts_apart)
{
    put(7);
    add(KV_EVENT_RENAME, 7, HTTP);
    put(7);
    add(KV_EVENT_DELETE, 7, HTTP);
    assert_skips("....");
}
END_TEST

START_TEST(attributes_keep_puts_apart)
{
    put(7);
    add(KV_EVENT_META, 7, HTTP);
    put(7);
    assert_skips("...");
}
END_TEST

START_TEST(changes_of_other_keys_do_not_keep_puts_apart)
{
    put(7);
    add(KV_EVENT_DELETE, 8, HTTP);
    add(KV_EVENT_RENAME, 9, HTTP);
    put(7);
    assert_skips("s...");
}
END_TEST

START_TEST(rename_over_a_key_keeps_its_puts_apart)
{
    put(7);
    add(KV_EVENT_RENAME, 9, HTTP)->replaced_id = 7;
    put(7);
    assert_skips("...");
}
END_TEST

START_TEST(rename_of_a_directory_keeps_all_puts_apart)
{
    put(7);
    add(KV_EVENT_RENAME, 9, HTTP)->record->meta.mode = S_IFDIR | 0755;
    put(7);
    assert_skips("...");
}
END_TEST

START_TEST(own_puts_and_those_of_others_do_not_merge)
{
    put(7);
    add(KV_EVENT_PUT, 7, OWN);
    add(KV_EVENT_PUT, 7, OWN);
    put(7);
    assert_skips(".s..");
}
END_TEST

START_TEST(late_name_is_known_until_it_is_in_time)
{
    static struct kv_late late;
    ck_assert(!kv_late_has(&late, 1, KV_LIT("name")));
    kv_late_set(&late, 1, KV_LIT("name"), true);
    kv_late_set(&late, 1, KV_LIT("name"), true);
    ck_assert_uint_eq(late.count, 1);
    ck_assert(kv_late_has(&late, 1, KV_LIT("name")));
    ck_assert(!kv_late_has(&late, 2, KV_LIT("name")));
    ck_assert(!kv_late_has(&late, 1, KV_LIT("other")));
    kv_late_set(&late, 1, KV_LIT("name"), false);
    ck_assert(!kv_late_has(&late, 1, KV_LIT("name")));
    ck_assert_uint_eq(late.count, 0);
}
END_TEST

START_TEST(late_names_beyond_the_bound_push_the_oldest_out)
{
    static struct kv_late late;
    for (uint64_t parent = 0; parent <= KV_LATE_MAX; parent++)
        kv_late_set(&late, parent, KV_LIT("name"), true);
    ck_assert_uint_eq(late.count, KV_LATE_MAX);
    ck_assert(!kv_late_has(&late, 0, KV_LIT("name")));
    ck_assert(kv_late_has(&late, 1, KV_LIT("name")));
    ck_assert(kv_late_has(&late, KV_LATE_MAX, KV_LIT("name")));
}
END_TEST

KV_SUITE_WITH("fuse_merge", setup, teardown, puts_of_one_key_merge_into_the_last,
              puts_of_different_keys_do_not_merge, create_is_never_skipped,
              delete_and_rename_keep_puts_apart, attributes_keep_puts_apart,
              changes_of_other_keys_do_not_keep_puts_apart,
              rename_over_a_key_keeps_its_puts_apart,
              rename_of_a_directory_keeps_all_puts_apart,
              own_puts_and_those_of_others_do_not_merge,
              late_name_is_known_until_it_is_in_time,
              late_names_beyond_the_bound_push_the_oldest_out)
