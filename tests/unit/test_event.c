#include "store/event.h"

#include "alloc.h"
#include "fixture.h"
#include "suite.h"

START_TEST(event_holds_its_record_and_a_copy_of_from)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = fixture_record("to", "v");
    char from[] = "old/name";
    struct kv_event *event = kv_event_new(KV_EVENT_RENAME, record, from, 8);
    memset(from, 'x', sizeof(from));
    ck_assert_int_eq(event->type, KV_EVENT_RENAME);
    ck_assert_bytes(event->from, event->from_len, "old/name");
    ck_assert_int_eq(event->from[event->from_len], 0);
    ck_assert_ptr_eq(event->record, record);
    ck_assert_uint_eq(atomic_load(&record->refs), 2);
    ck_assert_uint_eq(event->revision + event->index + event->parent_id, 0);
    ck_assert(!event->last && !event->created && !event->implied);
    ck_assert_ptr_eq(kv_event_ref(event), event);
    kv_event_unref(event);
    ck_assert_uint_eq(atomic_load(&record->refs), 2);
    kv_event_unref(event);
    ck_assert_uint_eq(atomic_load(&record->refs), 1);
    kv_event_unref(NULL);
}
END_TEST

START_TEST(event_without_from_has_none)
{
    KV_CLEANUP(kv_event_unrefp) struct kv_event *event = fixture_event("k", NULL, 1, 0);
    ck_assert_ptr_null(event->from);
    ck_assert_uint_eq(event->from_len, 0);
}
END_TEST

START_TEST(event_without_memory_is_null_and_takes_no_reference)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = fixture_record("k", "v");
    kv_alloc_fail_nth(1);
    ck_assert_ptr_null(kv_event_new(KV_EVENT_PUT, record, NULL, 0));
    ck_assert(kv_alloc_fail_stop());
    ck_assert_uint_eq(atomic_load(&record->refs), 1);
}
END_TEST

START_TEST(event_types_and_origins_have_names)
{
    ck_assert_str_eq(kv_event_type_name(KV_EVENT_PUT), "put");
    ck_assert_str_eq(kv_event_type_name(KV_EVENT_DELETE), "delete");
    ck_assert_str_eq(kv_event_type_name(KV_EVENT_RENAME), "rename");
    ck_assert_str_eq(kv_event_type_name(KV_EVENT_MKDIR), "mkdir");
    ck_assert_str_eq(kv_event_type_name(KV_EVENT_RMDIR), "rmdir");
    ck_assert_str_eq(kv_event_type_name(KV_EVENT_META), "meta");
    ck_assert_str_eq(kv_origin_name(KV_ORIGIN_HTTP), "http");
    ck_assert_str_eq(kv_origin_name(KV_ORIGIN_TTL), "ttl");
    ck_assert_str_eq(kv_origin_name(KV_ORIGIN_CLUSTER), "cluster");
    ck_assert_str_eq(kv_origin_name(KV_ORIGIN_MOUNT), "mount");
    ck_assert_str_eq(kv_origin_name(KV_ORIGIN_MOUNT + 3), "mount");
}
END_TEST

START_TEST(event_is_about_its_key_and_the_one_before)
{
    KV_CLEANUP(kv_event_unrefp) struct kv_event *put = fixture_event("a/b", NULL, 1, 0);
    KV_CLEANUP(kv_event_unrefp)
    struct kv_event *renamed = fixture_event("a/b", "c/d", 1, 0);
    ck_assert(kv_event_is_about(put, KV_LIT("a/b")));
    ck_assert(!kv_event_is_about(put, KV_LIT("a")));
    ck_assert(!kv_event_is_about(put, KV_LIT("a/b/c")));
    ck_assert(!kv_event_is_about(put, NULL, 0));
    ck_assert(kv_event_is_about(renamed, KV_LIT("a/b")));
    ck_assert(kv_event_is_about(renamed, KV_LIT("c/d")));
    ck_assert(!kv_event_is_about(renamed, KV_LIT("c")));
}
END_TEST

START_TEST(event_is_in_directories_by_component)
{
    KV_CLEANUP(kv_event_unrefp)
    struct kv_event *put = fixture_event("ab/c", NULL, 1, 0);
    KV_CLEANUP(kv_event_unrefp)
    struct kv_event *renamed = fixture_event("ab/c", "d/e", 1, 0);
    ck_assert(kv_event_is_in(put, NULL, 0));
    ck_assert(kv_event_is_in(put, KV_LIT("ab")));
    ck_assert(kv_event_is_in(put, KV_LIT("ab/c")));
    ck_assert(!kv_event_is_in(put, KV_LIT("a")));
    ck_assert(!kv_event_is_in(put, KV_LIT("d")));
    ck_assert(kv_event_is_in(renamed, KV_LIT("ab")));
    ck_assert(kv_event_is_in(renamed, KV_LIT("d")));
    ck_assert(kv_event_is_in(renamed, KV_LIT("d/e")));
    ck_assert(!kv_event_is_in(renamed, KV_LIT("e")));
}
END_TEST

START_TEST(event_has_prefixes_of_plain_bytes)
{
    KV_CLEANUP(kv_event_unrefp)
    struct kv_event *put = fixture_event("ab/c", NULL, 1, 0);
    KV_CLEANUP(kv_event_unrefp)
    struct kv_event *renamed = fixture_event("ab/c", "d/e", 1, 0);
    ck_assert(kv_event_has_prefix(put, NULL, 0));
    ck_assert(kv_event_has_prefix(put, KV_LIT("a")));
    ck_assert(kv_event_has_prefix(put, KV_LIT("ab/c")));
    ck_assert(!kv_event_has_prefix(put, KV_LIT("ab/cd")));
    ck_assert(!kv_event_has_prefix(put, KV_LIT("d")));
    ck_assert(kv_event_has_prefix(renamed, KV_LIT("d/")));
    ck_assert(kv_event_has_prefix(renamed, KV_LIT("ab")));
}
END_TEST

START_TEST(event_footprint_includes_its_record)
{
    static const char value[50000];
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *record = fixture_record_sized("k", value, sizeof(value));
    KV_CLEANUP(kv_event_unrefp)
    struct kv_event *event = kv_event_new(KV_EVENT_PUT, record, NULL, 0);
    ck_assert_uint_ge(kv_event_footprint(event),
                      sizeof(struct kv_event) + kv_record_footprint(record));
}
END_TEST

KV_SUITE("event", event_holds_its_record_and_a_copy_of_from,
         event_without_from_has_none,
         event_without_memory_is_null_and_takes_no_reference,
         event_types_and_origins_have_names, event_is_about_its_key_and_the_one_before,
         event_is_in_directories_by_component, event_has_prefixes_of_plain_bytes,
         event_footprint_includes_its_record)
