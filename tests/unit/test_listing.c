#include "alloc.h"
#include "store_fixture.h"

#include <stdio.h>

/* Keys that sort around '/': '!' and '-' come before it, '0' right behind it. */
static void setup(void)
{
    store_setup();
    ck_assert_int_eq(put("a!", "v"), 0);
    ck_assert_int_eq(put("a-b/c", "v"), 0);
    ck_assert_int_eq(put("a/x/z", "v"), 0);
    ck_assert_int_eq(put("a/x-y", "v"), 0);
    ck_assert_int_eq(put("a0", "v"), 0);
    ck_assert_int_eq(put("b/c/d", "v"), 0);
    ck_assert_int_eq(put("b/c0", "v"), 0);
    ck_assert_int_eq(put("c", "v"), 0);
    ck_assert_int_eq(make_dir("empty"), 0);
}

/* The listing in one line; directories end in '/', and "..." stands for more. */
static const char *list_text(const struct kv_list_query *query)
{
    static struct kv_buf text;
    kv_buf_reset(&text);
    KV_CLEANUP(kv_list_done) struct kv_list list = {0};
    int err = kv_store_list(store, query, &list);
    if (err) {
        kv_buf_adds(&text, err == -ENOENT    ? "ENOENT"
                           : err == -ENOTDIR ? "ENOTDIR"
                                             : "error");
    } else {
        ck_assert_uint_eq(list.revision, revision_now());
        for (size_t i = 0; i < list.count; i++) {
            const struct kv_record *record = list.records[i];
            ck_assert(record->bare == !query->values);
            kv_buf_addf(&text, "%s%s%s", i ? " " : "", record->key,
                        kv_record_is_dir(record) ? "/" : "");
        }
        kv_buf_adds(&text, list.more ? "..." : "");
    }
    kv_buf_addc(&text, '\0');
    return text.data;
}

static struct kv_list_query query_of(const char *dir, const char *prefix,
                                     const char *after)
{
    return (struct kv_list_query){.dir = dir,
                                  .dir_len = strlen(dir),
                                  .prefix = prefix,
                                  .prefix_len = strlen(prefix),
                                  .after = after,
                                  .after_len = strlen(after)};
}

static const char *children(const char *dir)
{
    struct kv_list_query query = query_of(dir, "", "");
    query.directories = true;
    return list_text(&query);
}

static const char *below(const char *dir, const char *prefix, const char *after)
{
    struct kv_list_query query = query_of(dir, prefix, after);
    query.recursive = true;
    return list_text(&query);
}

START_TEST(children_are_direct_and_sorted_by_bytes)
{
    ck_assert_str_eq(children(""), "a/ a! a-b/ a0 b/ c empty/");
    ck_assert_str_eq(children("a"), "a/x/ a/x-y");
    ck_assert_str_eq(children("a-b"), "a-b/c");
    ck_assert_str_eq(children("b"), "b/c/ b/c0");
    ck_assert_str_eq(children("empty"), "");
}
END_TEST

START_TEST(directories_come_only_when_asked)
{
    struct kv_list_query query = query_of("", "", "");
    ck_assert_str_eq(list_text(&query), "a! a0 c");
    ck_assert_str_eq(below("", "", ""), "a! a-b/c a/x-y a/x/z a0 b/c/d b/c0 c");
    query.recursive = query.directories = true;
    ck_assert_str_eq(
        list_text(&query),
        "a/ a! a-b/ a-b/c a/x/ a/x-y a/x/z a0 b/ b/c/ b/c/d b/c0 c empty/");
}
END_TEST

START_TEST(a_directory_means_what_lies_in_it_and_a_prefix_its_bytes)
{
    ck_assert_str_eq(below("a", "", ""), "a/x-y a/x/z");
    ck_assert_str_eq(below("", "a", ""), "a! a-b/c a/x-y a/x/z a0");
    ck_assert_str_eq(below("", "a/x", ""), "a/x-y a/x/z");
    ck_assert_str_eq(below("a", "a/x-", ""), "a/x-y");
    ck_assert_str_eq(below("a", "a", ""), "a/x-y a/x/z");
    ck_assert_str_eq(below("a", "b", ""), "");
    ck_assert_str_eq(below("b", "a", ""), "");
    ck_assert_str_eq(below("", "zzz", ""), "");
    struct kv_list_query query = query_of("", "a", "");
    query.directories = true;
    ck_assert_str_eq(list_text(&query), "a/ a! a-b/ a0");
    query = query_of("a", "a/x", "");
    query.directories = true;
    ck_assert_str_eq(list_text(&query), "a/x/ a/x-y");
}
END_TEST

START_TEST(after_goes_on_behind_a_key_that_may_not_exist)
{
    ck_assert_str_eq(below("", "", "a/x-y"), "a/x/z a0 b/c/d b/c0 c");
    ck_assert_str_eq(below("", "", "a/"), "a/x-y a/x/z a0 b/c/d b/c0 c");
    ck_assert_str_eq(below("", "", "a/x"), "a/x-y a/x/z a0 b/c/d b/c0 c");
    ck_assert_str_eq(below("", "", "a"), "a! a-b/c a/x-y a/x/z a0 b/c/d b/c0 c");
    ck_assert_str_eq(below("", "", "c"), "");
    ck_assert_str_eq(below("a", "", "A"), "a/x-y a/x/z");
    ck_assert_str_eq(below("a", "", "b"), "");
    ck_assert_str_eq(below("", "a", "a/x-y"), "a/x/z a0");
    struct kv_list_query query = query_of("", "", "a/x/z");
    query.directories = true;
    ck_assert_str_eq(list_text(&query), "a0 b/ c empty/");
    query = query_of("", "", "a");
    query.directories = true;
    ck_assert_str_eq(list_text(&query), "a! a-b/ a0 b/ c empty/");
}
END_TEST

START_TEST(what_is_no_directory_cannot_be_listed)
{
    ck_assert_str_eq(children("absent"), "ENOENT");
    ck_assert_str_eq(children("a/absent"), "ENOENT");
    ck_assert_str_eq(children("c"), "ENOTDIR");
    ck_assert_str_eq(children("c/d"), "ENOENT");
}
END_TEST

START_TEST(a_directory_with_another_id_is_stale)
{
    KV_CLEANUP(kv_list_done) struct kv_list list = {0};
    struct kv_list_query query = query_of("b", "", "");
    query.dir_id = meta_of("a").id;
    ck_assert_int_eq(kv_store_list(store, &query, &list), -ESTALE);
    query.dir_id = meta_of("b").id;
    ck_assert_str_eq(list_text(&query), "b/c0");
}
END_TEST

/* Page through a listing; the pages must be the whole of it and none too long. */
static void check_paging(struct kv_list_query query)
{
    KV_CLEANUP(kv_free) char *whole = strdup(list_text(&query));
    KV_CLEANUP(kv_buf_done) struct kv_buf pages = {0};
    char last[KV_KEY_MAX + 1] = "";
    for (bool more = true; more;) {
        KV_CLEANUP(kv_list_done) struct kv_list list = {0};
        query.after = last;
        query.after_len = strlen(last);
        ck_assert_int_eq(kv_store_list(store, &query, &list), 0);
        ck_assert(query.limit == 0 || list.count <= query.limit);
        ck_assert(!list.more || list.count > 0);
        for (size_t i = 0; i < list.count; i++) {
            kv_buf_addf(&pages, "%s%s%s", pages.len ? " " : "", list.records[i]->key,
                        kv_record_is_dir(list.records[i]) ? "/" : "");
            strcpy(last, list.records[i]->key);
        }
        more = list.more;
    }
    kv_buf_addc(&pages, '\0');
    whole[strcspn(whole, ".")] = '\0'; /* it may have been cut itself */
    ck_assert_int_eq(strncmp(pages.data, whole, strlen(whole)), 0);
    query.limit = query.max_bytes = 0;
    query.after_len = 0;
    ck_assert_str_eq(pages.data, list_text(&query));
}

START_TEST(pages_of_every_size_make_the_whole)
{
    const char *const dirs[] = {"", "a", "b", "empty"};
    for (size_t limit = 1; limit < 16; limit++)
        for (size_t i = 0; i < 4; i++)
            for (int kind = 0; kind < 4; kind++) {
                struct kv_list_query query = query_of(dirs[i], "", "");
                query.limit = limit;
                query.recursive = kind & 1;
                query.directories = kind & 2;
                check_paging(query);
            }
}
END_TEST

START_TEST(a_limit_that_is_just_met_leaves_no_more)
{
    struct kv_list_query query = query_of("", "", "");
    query.limit = 3;
    ck_assert_str_eq(list_text(&query), "a! a0 c");
    query.limit = 2;
    ck_assert_str_eq(list_text(&query), "a! a0...");
    query.limit = 1;
    query.directories = true;
    ck_assert_str_eq(list_text(&query), "a/...");
}
END_TEST

START_TEST(values_come_when_asked_and_bound_a_page)
{
    for (int i = 0; i < 10; i++) {
        char key[8];
        (void)snprintf(key, sizeof(key), "v/%d", i);
        ck_assert_int_eq(put_sized(key, 1000, (char)('0' + i)), 0);
    }
    struct kv_list_query query = query_of("v", "", "");
    query.values = true;
    KV_CLEANUP(kv_list_done) struct kv_list list = {0};
    ck_assert_int_eq(kv_store_list(store, &query, &list), 0);
    ck_assert_uint_eq(list.count, 10);
    ck_assert_int_eq(*(const char *)list.records[7]->value, '7');
    ck_assert_uint_eq(list.records[7]->meta.size, 1000);
    query.max_bytes = 3500;
    ck_assert_str_eq(list_text(&query), "v/0 v/1 v/2...");
    query.max_bytes = 1; /* one comes nevertheless */
    ck_assert_str_eq(list_text(&query), "v/0...");
    query.max_bytes = 10000;
    ck_assert_str_eq(list_text(&query), "v/0 v/1 v/2 v/3 v/4 v/5 v/6 v/7 v/8 v/9");
    query.max_bytes = 2500;
    check_paging(query);
}
END_TEST

START_TEST(keys_with_the_lowest_and_highest_bytes_are_listed)
{
    ck_assert_int_eq(put("\x01", "v"), 0);
    ck_assert_int_eq(put("\xff\xff", "v"), 0);
    ck_assert_int_eq(put("a/\x01", "v"), 0);
    ck_assert_int_eq(put("a/\xff", "v"), 0);
    ck_assert_str_eq(below("a", "", ""), "a/\x01 a/x-y a/x/z a/\xff");
    ck_assert_str_eq(below("", "", "c"), "\xff\xff");
    struct kv_list_query query = query_of("", "", "");
    ck_assert_str_eq(list_text(&query), "\x01 a! a0 c \xff\xff");
}
END_TEST

START_TEST(texts_longer_than_any_key_match_nothing)
{
    char text[2000];
    memset(text, 'a', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    ck_assert_str_eq(below("", text, ""), "");
    ck_assert_str_eq(below("", "", text), "b/c/d b/c0 c");
    ck_assert_str_eq(below("a", text, ""), "");
    struct kv_list_query query = query_of(text, "", "");
    KV_CLEANUP(kv_list_done) struct kv_list list = {0};
    ck_assert_int_eq(kv_store_list(store, &query, &list), -ENAMETOOLONG);
    query = query_of("a", "", text);
    query.recursive = true;
    ck_assert_str_eq(list_text(&query), "");
}
END_TEST

START_TEST(a_listing_is_one_snapshot)
{
    KV_CLEANUP(kv_list_done) struct kv_list list = {0};
    struct kv_list_query query = query_of("", "", "");
    query.values = true;
    ck_assert_int_eq(kv_store_list(store, &query, &list), 0);
    ck_assert_int_eq(put("a0", "changed"), 0);
    ck_assert_int_eq(del("c"), 0);
    ck_assert_uint_eq(list.count, 3);
    ck_assert_bytes(list.records[1]->value, list.records[1]->meta.size, "v");
    ck_assert_uint_eq(list.revision, revision_now() - 2);
}
END_TEST

START_TEST(memory_that_runs_out_is_enomem_and_no_more)
{
    for (unsigned nth = 1;; nth++) {
        struct kv_list_query query = query_of("", "", "");
        query.values = true;
        struct kv_list list = {0};
        kv_alloc_fail_nth(nth);
        int err = kv_store_list(store, &query, &list);
        bool failed = kv_alloc_fail_stop();
        ck_assert_int_eq(err, failed ? -ENOMEM : 0);
        ck_assert_uint_eq(list.count, failed ? 0 : 3);
        kv_list_done(&list);
        if (!failed)
            break;
    }
    store_reopen();
    for (unsigned nth = 1;; nth++) {
        struct kv_record *record = NULL;
        kv_alloc_fail_nth(nth);
        int err = kv_store_get(store, KV_LIT("a/x-y"), &record);
        bool failed = kv_alloc_fail_stop();
        ck_assert(err == 0 || (failed && err == -ENOMEM));
        if (!err)
            ck_assert_bytes(record->value, record->meta.size, "v");
        kv_record_unref(record);
        if (!failed)
            break;
    }
}
END_TEST

/* All pages of a listing that looks at so many rows for each, in one line; how many
 * pages. */
static size_t scan(bool recursive, size_t scan_max, struct kv_buf *out)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf after = {0};
    size_t pages = 0;
    bool more = true;
    while (more) {
        struct kv_list_query query = {.after = after.data,
                                      .after_len = after.len,
                                      .recursive = recursive,
                                      .directories = !recursive,
                                      .scan_max = scan_max};
        KV_CLEANUP(kv_list_done) struct kv_list list = {0};
        ck_assert_int_eq(kv_store_list(store, &query, &list), 0);
        ck_assert_uint_le(list.count, scan_max);
        for (size_t i = 0; i < list.count; i++)
            kv_buf_addf(out, "%s ", list.records[i]->key);
        more = list.more;
        ck_assert(more == (list.next.len > 0));
        kv_buf_done(&after);
        after = list.next;
        list.next = (struct kv_buf){0};
        ck_assert_uint_lt(++pages, 100);
    }
    kv_buf_addc(out, '\0');
    return pages;
}

START_TEST(a_scan_is_bounded_and_goes_on_where_it_stopped)
{
    for (int recursive = 0; recursive < 2; recursive++) {
        KV_CLEANUP(kv_buf_done) struct kv_buf all = {0};
        ck_assert_uint_eq(scan(recursive, 1000, &all), 1);
        for (size_t max = 1; max < 5; max++) {
            KV_CLEANUP(kv_buf_done) struct kv_buf text = {0};
            ck_assert_uint_gt(scan(recursive, max, &text), 2);
            ck_assert_str_eq(text.data, all.data);
        }
    }
}
END_TEST

START_TEST(a_scan_that_finds_nothing_stops_and_says_where)
{
    struct kv_txn *txn = txn_make();
    for (int i = 0; i < 100; i++) {
        char key[8];
        (void)snprintf(key, sizeof(key), "m%03d", i);
        (void)txn_add(txn, KV_OP_MKDIR, key);
    }
    ck_assert_int_eq(txn_commit(txn), 0);
    struct kv_list_query query = query_of("", "m", "");
    query.recursive = true;
    query.scan_max = 50;
    KV_CLEANUP(kv_list_done) struct kv_list list = {0};
    ck_assert_int_eq(kv_store_list(store, &query, &list), 0);
    ck_assert_uint_eq(list.count, 0);
    ck_assert(list.more);
    ck_assert_bytes(list.next.data, list.next.len, "m049");
}
END_TEST

/* What of the root's listing lies within these paths; recursive: keys, otherwise
 * children. */
static const char *list_within(bool recursive, const char *one, const char *two)
{
    struct kv_within within = {.count = two ? 2 : 1};
    within.paths[0].text = one;
    within.paths[0].len = strlen(one);
    within.paths[1].text = two;
    within.paths[1].len = two ? strlen(two) : 0;
    struct kv_list_query query = query_of("", "", "");
    query.recursive = recursive;
    query.directories = !recursive;
    query.within = &within;
    return list_text(&query);
}

START_TEST(a_listing_within_paths_shows_what_lies_there)
{
    ck_assert_str_eq(list_within(true, "a", NULL), "a/x-y a/x/z");
    ck_assert_str_eq(list_within(true, "a/x", "c"), "a/x/z c");
    ck_assert_str_eq(list_within(true, "c", "a-b"), "a-b/c c");
    ck_assert_str_eq(list_within(true, "nowhere/at/all", NULL), "");
    ck_assert_str_eq(list_within(true, "", "a"),
                     "a! a-b/c a/x-y a/x/z a0 b/c/d b/c0 c");
}
END_TEST

START_TEST(children_within_paths_are_the_directories_on_the_way)
{
    ck_assert_str_eq(list_within(false, "a/x", NULL), "a/");
    ck_assert_str_eq(list_within(false, "b/c/d", "a-b"), "a-b/ b/");
    ck_assert_str_eq(list_within(false, "c/below/a/key", NULL), "");
    ck_assert_str_eq(list_within(false, "nowhere/at", "a!"), "a!");
}
END_TEST

START_TEST(a_page_within_paths_ends_at_no_name_from_outside)
{
    struct kv_within within = {.count = 1, .paths = {{"a/x", 3}}};
    struct kv_list_query query = query_of("", "", "");
    query.recursive = true;
    query.within = &within;
    query.scan_max = 1;
    KV_CLEANUP(kv_list_done) struct kv_list list = {0};
    ck_assert_int_eq(kv_store_list(store, &query, &list), 0);
    ck_assert(list.more);
    ck_assert_uint_eq(list.next.len, 1); /* on the way, before "a!" and "a-b" */
    ck_assert_mem_eq(list.next.data, "a", 1);
}
END_TEST

KV_SUITE_WITH("listing", setup, store_teardown,
              a_scan_is_bounded_and_goes_on_where_it_stopped,
              a_scan_that_finds_nothing_stops_and_says_where,
              children_are_direct_and_sorted_by_bytes, directories_come_only_when_asked,
              a_directory_means_what_lies_in_it_and_a_prefix_its_bytes,
              after_goes_on_behind_a_key_that_may_not_exist,
              what_is_no_directory_cannot_be_listed,
              a_directory_with_another_id_is_stale, pages_of_every_size_make_the_whole,
              a_limit_that_is_just_met_leaves_no_more,
              values_come_when_asked_and_bound_a_page,
              keys_with_the_lowest_and_highest_bytes_are_listed,
              texts_longer_than_any_key_match_nothing,
              a_listing_within_paths_shows_what_lies_there,
              children_within_paths_are_the_directories_on_the_way,
              a_page_within_paths_ends_at_no_name_from_outside,
              a_listing_is_one_snapshot, memory_that_runs_out_is_enomem_and_no_more)
