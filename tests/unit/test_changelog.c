#include "table_fixture.h"

#include "fixture.h"
#include "store/changelog.h"

#include <stdio.h>

static struct kv_counters counters;

static void setup(void)
{
    table_setup();
    counters = (struct kv_counters){.log_first = 1};
    ck_assert_int_eq(kv_counters_put(view, &counters), 0);
}

static void append_event(struct kv_event *event)
{
    ck_assert_int_eq(kv_changelog_append(view, event, &counters), 0);
    counters.revision = event->revision;
    ck_assert_int_eq(kv_counters_put(view, &counters), 0);
    kv_event_unref(event);
}

static void append_put(const char *key, uint64_t revision, uint32_t index)
{
    append_event(fixture_event(key, NULL, revision, index));
}

static void trim(uint64_t max_bytes, uint64_t max_events, size_t most)
{
    ck_assert_int_eq(kv_changelog_trim(view, &counters, max_bytes, max_events, most),
                     0);
    ck_assert_int_eq(kv_counters_put(view, &counters), 0);
}

/* "REV.INDEX:KEY " for each event. */
static const char *text_of(struct kv_event **events, size_t count)
{
    static struct kv_buf text;
    kv_buf_reset(&text);
    for (size_t i = 0; i < count; i++) {
        kv_buf_addf(&text, "%d.%u:%s ", (int)events[i]->revision, events[i]->index,
                    events[i]->record->key);
        kv_event_unref(events[i]);
    }
    kv_buf_addc(&text, '\0');
    return text.data;
}

static const char *read_max(struct kv_cursor cursor, size_t max, size_t max_bytes)
{
    struct kv_event *events[64];
    size_t count = 0;
    int err = kv_changelog_read(view, &cursor, events, max, max_bytes, &count);
    if (err == -ESTALE)
        return "stale";
    ck_assert_int_eq(err, 0);
    return text_of(events, count);
}

static const char *read_from(uint64_t revision, uint32_t index)
{
    return read_max((struct kv_cursor){revision, index}, 64, SIZE_MAX);
}

static const char *read_since(uint64_t revision)
{
    return read_max(kv_cursor_after(revision), 64, SIZE_MAX);
}

static struct kv_history_query history_query(const char *key)
{
    return (struct kv_history_query){.key = key,
                                     .key_len = strlen(key),
                                     .limit = SIZE_MAX,
                                     .max_bytes = SIZE_MAX,
                                     .scan_max = SIZE_MAX};
}

/* The history of a key; the whole of it when pages of what the query allows are joined.
 */
static const char *pages_of(struct kv_history_query query, size_t *ret_pages)
{
    static struct kv_buf all;
    kv_buf_reset(&all);
    struct kv_history history = {.more = true};
    for (*ret_pages = 0; history.more; ++*ret_pages) {
        ck_assert_uint_lt(*ret_pages, 100);
        ck_assert_int_eq(kv_changelog_history(view, &query, &history), 0);
        kv_buf_adds(&all, text_of(history.events, history.count)); /* unrefs them */
        free(history.events);
        query.before = history.next;
    }
    kv_buf_addc(&all, '\0');
    return all.data;
}

static const char *history_of(const char *key, size_t limit)
{
    struct kv_history_query query = history_query(key);
    query.limit = limit;
    struct kv_history history;
    ck_assert_int_eq(kv_changelog_history(view, &query, &history), 0);
    const char *text = text_of(history.events, history.count);
    free(history.events);
    return text;
}

START_TEST(every_field_of_an_event_is_kept)
{
    struct kv_record *record = kv_record_new(&(struct kv_record_parts){
        .meta = {.id = 9, .version = 3, .mode = S_IFREG | 0600, .expiry_ns = 77},
        .key = "to",
        .key_len = 2,
        .xattrs = "attrs",
        .xattrs_len = 5,
        .value = "value",
        .value_len = 5,
    });
    struct kv_event *event = kv_event_new(KV_EVENT_RENAME, record, "from", 4);
    kv_record_unref(record);
    event->revision = UINT64_C(1) << 40;
    event->index = 70000;
    event->last = event->created = event->implied = event->exchanged = true;
    event->origin = 17;
    event->time_ns = -5;
    event->parent_id = 11;
    event->from_parent_id = 12;
    event->replaced_id = 13;
    append_event(event);
    struct kv_event *got;
    size_t count;
    struct kv_cursor cursor = kv_cursor_after(1);
    ck_assert_int_eq(kv_changelog_read(view, &cursor, &got, 1, 0, &count), 0);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(got->type, KV_EVENT_RENAME);
    ck_assert_uint_eq(got->revision, UINT64_C(1) << 40);
    ck_assert_uint_eq(got->index, 70000);
    ck_assert(got->last && got->created && got->implied && got->exchanged);
    ck_assert_uint_eq(got->origin, 17);
    ck_assert_int_eq(got->time_ns, -5);
    ck_assert_uint_eq(got->parent_id, 11);
    ck_assert_uint_eq(got->from_parent_id, 12);
    ck_assert_uint_eq(got->replaced_id, 13);
    ck_assert_bytes(got->from, got->from_len, "from");
    ck_assert_bytes(got->record->key, got->record->key_len, "to");
    ck_assert_bytes(got->record->xattrs, got->record->xattrs_len, "attrs");
    ck_assert_bytes(got->record->value, got->record->meta.size, "value");
    ck_assert_uint_eq(got->record->meta.id, 9);
    ck_assert_uint_eq(got->record->meta.version, 3);
    ck_assert_int_eq(got->record->meta.expiry_ns, 77);
    ck_assert_uint_eq(got->record->meta.mode, S_IFREG | 0600);
    kv_event_unref(got);
}
END_TEST

START_TEST(an_event_without_flags_comes_back_without)
{
    append_put("k", 1, 0);
    struct kv_event *got;
    size_t count;
    struct kv_cursor cursor = kv_cursor_after(0);
    ck_assert_int_eq(kv_changelog_read(view, &cursor, &got, 1, 0, &count), 0);
    ck_assert(!got->last && !got->created && !got->implied && !got->exchanged);
    ck_assert(!got->record->bare);
    ck_assert_ptr_null(got->from);
    kv_event_unref(got);
}
END_TEST

START_TEST(a_bare_record_keeps_its_size_without_its_value)
{
    struct kv_record *record = kv_record_new(&(struct kv_record_parts){
        .meta = {.size = 1000}, .key = "k", .key_len = 1, .bare = true});
    struct kv_event *event = kv_event_new(KV_EVENT_DELETE, record, NULL, 0);
    kv_record_unref(record);
    event->revision = 1;
    append_event(event);
    ck_assert_uint_lt(counters.log_bytes, 500);
    struct kv_event *got;
    size_t count;
    struct kv_cursor cursor = kv_cursor_after(0);
    ck_assert_int_eq(kv_changelog_read(view, &cursor, &got, 1, 0, &count), 0);
    ck_assert(got->record->bare);
    ck_assert_uint_eq(got->record->meta.size, 1000);
    kv_event_unref(got);
}
END_TEST

START_TEST(an_empty_log_has_nothing_to_read)
{
    ck_assert_str_eq(read_since(0), "");
    ck_assert_str_eq(history_of("k", 10), "");
    trim(0, 0, 10);
    ck_assert_uint_eq(counters.log_first, 1);
}
END_TEST

static void append_some(void)
{
    append_put("a", 1, 0);
    append_put("b", 2, 0);
    append_put("c", 2, 1);
    append_put("d", 2, 2);
    append_put("e", 300, 0);
}

START_TEST(reading_begins_behind_the_cursor)
{
    append_some();
    ck_assert_str_eq(read_since(0), "1.0:a 2.0:b 2.1:c 2.2:d 300.0:e ");
    ck_assert_str_eq(read_since(1), "2.0:b 2.1:c 2.2:d 300.0:e ");
    ck_assert_str_eq(read_from(2, 0), "2.1:c 2.2:d 300.0:e ");
    ck_assert_str_eq(read_from(2, 2), "300.0:e ");
    ck_assert_str_eq(read_since(2), "300.0:e ");
    ck_assert_str_eq(read_since(300), "");
}
END_TEST

START_TEST(reading_stops_at_max_and_at_max_bytes_past_the_first)
{
    append_some();
    ck_assert_str_eq(read_max(kv_cursor_after(0), 2, SIZE_MAX), "1.0:a 2.0:b ");
    ck_assert_str_eq(read_max(kv_cursor_after(0), 0, SIZE_MAX), "");
    ck_assert_str_eq(read_max(kv_cursor_after(0), 64, 0), "1.0:a ");
}
END_TEST

START_TEST(appending_counts_and_trimming_counts_back)
{
    append_some();
    ck_assert_uint_eq(counters.log_events, 5);
    uint64_t bytes = counters.log_bytes;
    ck_assert_uint_gt(bytes, 5 * 5);
    trim(bytes, 5, 100);
    ck_assert_uint_eq(counters.log_events, 5);
    trim(bytes, 4, 100);
    ck_assert_uint_eq(counters.log_events, 4);
    ck_assert_uint_lt(counters.log_bytes, bytes);
    trim(0, 100, 100);
    ck_assert_uint_eq(counters.log_events, 0);
    ck_assert_uint_eq(counters.log_bytes, 0);
    ck_assert_uint_eq(counters.log_first, 301);
    ck_assert_str_eq(read_since(300), "");
}
END_TEST

START_TEST(trimming_does_at_most_what_it_is_allowed)
{
    append_some();
    trim(0, 0, 2);
    ck_assert_uint_eq(counters.log_events, 3);
    trim(0, 0, 0);
    ck_assert_uint_eq(counters.log_events, 3);
}
END_TEST

START_TEST(what_was_trimmed_is_stale)
{
    append_some();
    trim(SIZE_MAX, 4, 100);
    ck_assert_uint_eq(counters.log_first, 2);
    ck_assert_str_eq(read_since(0), "stale");
    ck_assert_str_eq(read_from(1, 0), "stale");
    ck_assert_str_eq(read_since(1), "2.0:b 2.1:c 2.2:d 300.0:e ");
}
END_TEST

START_TEST(a_revision_that_lost_an_event_is_stale_as_a_whole)
{
    append_some();
    trim(SIZE_MAX, 3, 100);
    ck_assert_uint_eq(counters.log_first, 3);
    ck_assert_str_eq(read_since(1), "stale");
    ck_assert_str_eq(read_from(2, 0), "stale");
    ck_assert_str_eq(read_from(2, 1), "stale");
    ck_assert_str_eq(read_since(2), "300.0:e ");
    ck_assert_str_eq(history_of("c", 10), "");
    ck_assert_str_eq(history_of("e", 10), "300.0:e ");
}
END_TEST

START_TEST(history_is_newest_first_and_limited)
{
    append_put("k", 1, 0);
    append_put("other", 2, 0);
    append_put("k", 3, 0);
    append_put("kk", 4, 0);
    append_put("k", 5, 1);
    ck_assert_str_eq(history_of("k", 10), "5.1:k 3.0:k 1.0:k ");
    ck_assert_str_eq(history_of("k", 2), "5.1:k 3.0:k ");
    ck_assert_str_eq(history_of("k", 0), "");
    ck_assert_str_eq(history_of("absent", 10), "");
}
END_TEST

START_TEST(history_finds_both_names_of_a_rename)
{
    append_put("old", 1, 0);
    append_event(fixture_event("new", "old", 2, 0));
    ck_assert_str_eq(history_of("old", 10), "2.0:new 1.0:old ");
    ck_assert_str_eq(history_of("new", 10), "2.0:new ");
}
END_TEST

START_TEST(a_long_history_is_whole)
{
    for (uint64_t revision = 1; revision <= 500; revision++)
        append_put(revision % 2 ? "odd" : "even", revision, 0);
    struct kv_history_query query = history_query("odd");
    struct kv_history history;
    ck_assert_int_eq(kv_changelog_history(view, &query, &history), 0);
    ck_assert_uint_eq(history.count, 250);
    ck_assert(!history.more);
    for (size_t i = 0; i < history.count; i++)
        ck_assert_uint_eq(history.events[i]->revision, 499 - 2 * i);
    kv_history_done(&history);
}
END_TEST

START_TEST(history_comes_in_pages_by_each_of_its_bounds)
{
    for (uint64_t revision = 1; revision <= 9; revision++) {
        append_put("k", revision, 0);
        append_put("other", revision, 1);
        append_put("k", revision, 2);
    }
    size_t pages;
    KV_CLEANUP(kv_free) char *whole = strdup(pages_of(history_query("k"), &pages));
    ck_assert_uint_eq(pages, 1);
    for (size_t bound = 1; bound < 6; bound++) {
        struct kv_history_query query = history_query("k");
        query.limit = bound;
        ck_assert_str_eq(pages_of(query, &pages), whole);
        ck_assert_uint_eq(pages, (18 + bound - 1) / bound);
        query = history_query("k");
        query.scan_max = bound;
        ck_assert_str_eq(pages_of(query, &pages), whole);
        ck_assert_uint_gt(pages, 4);
    }
    struct kv_history_query query = history_query("k");
    query.max_bytes = 1;
    ck_assert_str_eq(pages_of(query, &pages), whole);
    ck_assert_uint_eq(pages, 18);
}
END_TEST

START_TEST(history_before_a_position_is_older)
{
    append_put("k", 1, 0);
    append_put("k", 2, 0);
    append_put("k", 2, 1);
    append_put("k", 4, 0);
    static const struct {
        struct kv_cursor before;
        const char *text;
    } cases[] = {
        {{99, 0}, "4.0:k 2.1:k 2.0:k 1.0:k "},
        {{4, 0}, "2.1:k 2.0:k 1.0:k "},
        {{3, 0}, "2.1:k 2.0:k 1.0:k "},
        {{2, 1}, "2.0:k 1.0:k "},
        {{2, 0}, "1.0:k "},
        {{1, 0}, ""},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct kv_history_query query = history_query("k");
        size_t pages;
        query.before = cases[i].before;
        ck_assert_str_eq(pages_of(query, &pages), cases[i].text);
    }
}
END_TEST

START_TEST(bytes_that_are_no_event_are_ebadmsg)
{
    append_put("a", 1, 0);
    struct kv_walk *walk;
    struct kv_slice key, value;
    ck_assert_int_eq(kv_walk_open(view, KV_DB_LOG, &walk), 0);
    ck_assert_int_eq(kv_walk_first(walk, &key, &value), 0);
    char at[64], bytes[1024];
    ck_assert_uint_lt(key.len, sizeof(at));
    ck_assert_uint_lt(value.len, sizeof(bytes));
    size_t at_len = key.len, len = value.len;
    memcpy(at, key.data, at_len);
    memcpy(bytes, value.data, len);
    kv_walk_close(walk);
    for (size_t cut = 1; cut <= len; cut++) {
        table_put_raw(KV_DB_LOG, (struct kv_slice){at, at_len},
                      (struct kv_slice){bytes, len - cut});
        struct kv_event *event;
        size_t count;
        struct kv_cursor cursor = kv_cursor_after(0);
        ck_assert_int_eq(kv_changelog_read(view, &cursor, &event, 1, 0, &count),
                         -EBADMSG);
    }
}
END_TEST

KV_SUITE_WITH("changelog", setup, table_teardown, every_field_of_an_event_is_kept,
              an_event_without_flags_comes_back_without,
              a_bare_record_keeps_its_size_without_its_value,
              an_empty_log_has_nothing_to_read, reading_begins_behind_the_cursor,
              reading_stops_at_max_and_at_max_bytes_past_the_first,
              appending_counts_and_trimming_counts_back,
              trimming_does_at_most_what_it_is_allowed, what_was_trimmed_is_stale,
              a_revision_that_lost_an_event_is_stale_as_a_whole,
              history_is_newest_first_and_limited, history_finds_both_names_of_a_rename,
              a_long_history_is_whole, history_comes_in_pages_by_each_of_its_bounds,
              history_before_a_position_is_older,
              bytes_that_are_no_event_are_ebadmsg)
