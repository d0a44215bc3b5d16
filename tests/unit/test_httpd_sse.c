#include "httpd/sse.h"

#include "base/cleanup.h"
#include "suite.h"

#include <string.h>

static struct kv_buf out;

static void setup(void)
{
    out = (struct kv_buf){0};
}

static void teardown(void)
{
    kv_buf_done(&out);
}

static struct kv_event *make_event(enum kv_event_type type, const char *key,
                                   const char *from, const void *value, size_t len)
{
    struct kv_record_parts parts = {
        .meta = {.id = 2, .mod_revision = 7, .version = 3, .mode = S_IFREG | 0644},
        .key = key,
        .key_len = strlen(key),
        .value = value,
        .value_len = len,
    };
    if (type == KV_EVENT_MKDIR || type == KV_EVENT_RMDIR)
        parts.meta.mode = S_IFDIR | 0755;
    struct kv_record *record = kv_record_new(&parts);
    ck_assert_ptr_nonnull(record);
    struct kv_event *event = kv_event_new(type, record, from, from ? strlen(from) : 0);
    ck_assert_ptr_nonnull(event);
    kv_record_unref(record);
    event->revision = 7;
    event->last = true;
    event->origin = 1;
    return event;
}

static const char *frame(struct kv_event *event, enum kv_sse_values values)
{
    kv_buf_reset(&out);
    kv_sse_event(&out, event, NULL, values);
    kv_buf_addc(&out, '\0');
    ck_assert_int_eq(kv_buf_error(&out), 0);
    return out.data;
}

#define TIME "\"time\":\"1970-01-01T00:00:00.000000000Z\""

START_TEST(sse_put_has_its_value)
{
    KV_CLEANUP(kv_event_unrefp)
    struct kv_event *event = make_event(KV_EVENT_PUT, "a/b", NULL, "x\ny", 3);
    event->created = true;
    ck_assert_str_eq(frame(event, KV_SSE_WITH_VALUES),
                     "id: 7\nevent: put\ndata: {\"type\":\"put\",\"key\":\"a/b\","
                     "\"revision\":7,\"version\":3,\"created\":true,"
                     "\"origin\":\"http\"," TIME
                     ",\"size\":3,\"value\":\"x\\ny\"}\n\n");
    ck_assert_ptr_null(strstr(frame(event, KV_SSE_WITHOUT_VALUES), "value"));
}
END_TEST

START_TEST(sse_id_tells_the_place_within_a_revision)
{
    KV_CLEANUP(kv_event_unrefp)
    struct kv_event *event = make_event(KV_EVENT_PUT, "a", NULL, "", 0);
    event->index = 2;
    ck_assert_int_eq(strncmp(frame(event, KV_SSE_WITH_VALUES), "id: 7\n", 6), 0);
    event->last = false;
    ck_assert_int_eq(strncmp(frame(event, KV_SSE_WITH_VALUES), "id: 7.2\n", 8), 0);
}
END_TEST

START_TEST(sse_bytes_that_are_not_text_travel_as_base64)
{
    KV_CLEANUP(kv_event_unrefp)
    struct kv_event *event = make_event(KV_EVENT_PUT, "a", NULL, "\xff\0b", 3);
    ck_assert_ptr_nonnull(strstr(frame(event, KV_SSE_WITH_VALUES),
                                 "\"value\":\"/wBi\",\"encoding\":\"base64\""));
}
END_TEST

START_TEST(sse_leaves_out_a_huge_value_and_says_so)
{
    size_t len = KV_SSE_VALUE_MAX;
    char *value = calloc(1, len + 1);
    memset(value, 'x', len + 1);
    KV_CLEANUP(kv_event_unrefp)
    struct kv_event *event = make_event(KV_EVENT_PUT, "a", NULL, value, len);
    KV_CLEANUP(kv_event_unrefp)
    struct kv_event *larger = make_event(KV_EVENT_PUT, "a", NULL, value, len + 1);
    free(value);
    ck_assert_ptr_nonnull(strstr(frame(event, KV_SSE_WITH_VALUES), "\"value\":\"xxx"));
    ck_assert_ptr_nonnull(
        strstr(frame(larger, KV_SSE_WITH_VALUES), "\"size\":65537,\"omitted\":true}"));
    ck_assert_ptr_nonnull(
        strstr(frame(event, KV_SSE_OMIT_VALUES), "\"size\":65536,\"omitted\":true}"));
}
END_TEST

/* The log leaves large values out. */
START_TEST(sse_says_that_a_bare_record_has_a_value)
{
    KV_CLEANUP(kv_event_unrefp)
    struct kv_event *event = make_event(KV_EVENT_PUT, "a", NULL, "x", 1);
    struct kv_record *bare = kv_record_bare_copy(event->record);
    ck_assert_ptr_nonnull(bare);
    kv_record_unref(event->record);
    event->record = bare;
    ck_assert_ptr_nonnull(
        strstr(frame(event, KV_SSE_WITH_VALUES), "\"size\":1,\"omitted\":true}"));
}
END_TEST

START_TEST(sse_frames_are_bounded)
{
    char key[KV_KEY_MAX + 1] = {0}, *value = malloc(KV_SSE_VALUE_MAX);
    memset(key, '\x01', KV_KEY_MAX);
    memset(value, '\x01', KV_SSE_VALUE_MAX);
    KV_CLEANUP(kv_event_unrefp)
    struct kv_event *event =
        make_event(KV_EVENT_PUT, key, key, value, KV_SSE_VALUE_MAX);
    free(value);
    event->revision = event->record->meta.version = UINT64_MAX;
    event->record->meta.expiry_ns = 1;
    event->last = false;
    event->implied = true;
    ck_assert_uint_gt(strlen(frame(event, KV_SSE_WITH_VALUES)), 6 * KV_SSE_VALUE_MAX);
    ck_assert_uint_le(strlen(frame(event, KV_SSE_WITH_VALUES)), KV_SSE_FRAME_MAX);
}
END_TEST

START_TEST(sse_rename_has_both_names)
{
    KV_CLEANUP(kv_event_unrefp)
    struct kv_event *event = make_event(KV_EVENT_RENAME, "new", "old", "v", 1);
    event->implied = true;
    ck_assert_str_eq(frame(event, KV_SSE_WITH_VALUES),
                     "id: 7\nevent: rename\ndata: {\"type\":\"rename\",\"key\":\"new\","
                     "\"from\":\"old\",\"revision\":7,\"version\":3,\"implied\":true,"
                     "\"origin\":\"http\"," TIME ",\"size\":1}\n\n");
}
END_TEST

START_TEST(sse_directories_have_no_size)
{
    KV_CLEANUP(kv_event_unrefp)
    struct kv_event *event = make_event(KV_EVENT_RMDIR, "d", NULL, NULL, 0);
    ck_assert_str_eq(frame(event, KV_SSE_WITH_VALUES),
                     "id: 7\nevent: rmdir\ndata: {\"type\":\"rmdir\",\"key\":\"d\","
                     "\"revision\":7,\"version\":3,\"origin\":\"http\"," TIME "}\n\n");
}
END_TEST

static bool matches(enum kv_filter_kind kind, const char *text,
                    const struct kv_event *event)
{
    struct kv_filter filter = {kind, text, strlen(text)};
    return kv_filter_matches(&filter, event);
}

START_TEST(filter_key_dir_and_prefix_differ)
{
    KV_CLEANUP(kv_event_unrefp)
    struct kv_event *event = make_event(KV_EVENT_PUT, "ab/c", NULL, "", 0);
    ck_assert(matches(KV_FILTER_KEY, "ab/c", event));
    ck_assert(!matches(KV_FILTER_KEY, "ab", event));
    ck_assert(matches(KV_FILTER_DIR, "ab", event));
    ck_assert(matches(KV_FILTER_DIR, "", event));
    ck_assert(!matches(KV_FILTER_DIR, "a", event));
    ck_assert(matches(KV_FILTER_PREFIX, "a", event));
    ck_assert(!matches(KV_FILTER_PREFIX, "b", event));
}
END_TEST

START_TEST(sse_previous_comes_along_as_far_as_it_fits)
{
    static char large[KV_SSE_VALUE_MAX - 10];
    memset(large, 'x', sizeof(large));
    KV_CLEANUP(kv_event_unrefp)
    struct kv_event *old = make_event(KV_EVENT_PUT, "k", NULL, "old", 3);
    KV_CLEANUP(kv_event_unrefp)
    struct kv_event *long_old = make_event(KV_EVENT_PUT, "k", NULL, large, 11);
    KV_CLEANUP(kv_event_unrefp)
    struct kv_event *event = make_event(KV_EVENT_PUT, "k", NULL, large, sizeof(large));
    kv_buf_reset(&out);
    kv_sse_event(&out, event, old, KV_SSE_WITH_VALUES);
    kv_buf_addc(&out, '\0');
    ck_assert_ptr_nonnull(
        strstr(out.data, ",\"previous\":{\"revision\":7,\"version\":"));
    ck_assert_ptr_nonnull(strstr(out.data, ",\"size\":3,\"value\":\"old\"}}"));
    kv_buf_reset(&out);
    kv_sse_event(&out, event, long_old, KV_SSE_WITH_VALUES);
    kv_buf_addc(&out, '\0');
    ck_assert_ptr_nonnull(strstr(out.data, ",\"size\":11,\"omitted\":true}}"));
    ck_assert_uint_le(out.len, KV_SSE_FRAME_MAX);
}
END_TEST

KV_SUITE_WITH("httpd_sse", setup, teardown, sse_previous_comes_along_as_far_as_it_fits,
              sse_put_has_its_value, sse_id_tells_the_place_within_a_revision,
              sse_bytes_that_are_not_text_travel_as_base64,
              sse_leaves_out_a_huge_value_and_says_so,
              sse_says_that_a_bare_record_has_a_value, sse_frames_are_bounded,
              sse_rename_has_both_names, sse_directories_have_no_size,
              filter_key_dir_and_prefix_differ)
