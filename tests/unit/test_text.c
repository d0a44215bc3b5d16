#include "base/text.h"

#include "base/cleanup.h"

#include "suite.h"

#include <errno.h>
#include <string.h>

/* -- Numbers -- */

START_TEST(number_takes_digits_and_nothing_else)
{
    uint64_t number = 7;
    ck_assert_int_eq(kv_text_number("0", &number), 0);
    ck_assert_uint_eq(number, 0);
    ck_assert_int_eq(kv_text_number("18446744073709551615", &number), 0);
    ck_assert_uint_eq(number, UINT64_MAX);
    const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "0x10", "1.5", "1K", "one"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(kv_text_number(bad[i], &number) == -EINVAL, "'%s'", bad[i]);
    ck_assert_int_eq(kv_text_number("18446744073709551616", &number), -ERANGE);
    ck_assert_uint_eq(number, UINT64_MAX);
}
END_TEST

START_TEST(size_takes_units_of_1024)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } sizes[] = {
        {"0", 0},
        {"1000", 1000},
        {"1K", 1024},
        {"1k", 1024},
        {"3KB", 3072},
        {"3kib", 3072},
        {"64M", 64 << 20},
        {"5B", 5},
        {"2G", UINT64_C(2) << 30},
        {"1T", UINT64_C(1) << 40},
        {"16777215T", UINT64_C(16777215) << 40},
    };
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint64_t bytes = 0;
        ck_assert_msg(kv_text_size(sizes[i].text, &bytes) == 0, "%s", sizes[i].text);
        ck_assert_uint_eq(bytes, sizes[i].bytes);
    }
}
END_TEST

START_TEST(size_refuses_what_is_none)
{
    uint64_t bytes;
    const char *const bad[] = {"",    "K",    "1KK", "1X",  "-1K",
                               "1 K", "1.5G", "5iB", "1Kb8"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(kv_text_size(bad[i], &bytes) == -EINVAL, "'%s'", bad[i]);
    ck_assert_int_eq(kv_text_size("16777216T", &bytes), -ERANGE);
}
END_TEST

START_TEST(size_is_written_as_it_is_read)
{
    static const struct {
        uint64_t bytes;
        const char *text;
    } sizes[] = {{0, "0"},
                 {1, "1"},
                 {1000, "1000"},
                 {1024, "1K"},
                 {1536, "1536"},
                 {64 << 20, "64M"},
                 {UINT64_C(16) << 30, "16G"},
                 {UINT64_C(2048) << 40, "2048T"}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
        kv_text_add_size(&out, sizes[i].bytes);
        ck_assert_uint_eq(out.len, strlen(sizes[i].text));
        ck_assert_mem_eq(out.data, sizes[i].text, out.len);
    }
}
END_TEST

START_TEST(duration_is_seconds_unless_it_says_otherwise)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } durations[] = {{"0", 0},       {"60", 60000},   {"60s", 60000},   {"500ms", 500},
                     {"5m", 300000}, {"2h", 7200000}, {"7d", 604800000}};
    uint64_t ms;
    for (size_t i = 0; i < sizeof(durations) / sizeof(durations[0]); i++) {
        ck_assert_int_eq(kv_text_duration(durations[i].text, &ms), 0);
        ck_assert_uint_eq(ms, durations[i].ms);
    }
    ck_assert_int_eq(kv_text_duration("", &ms), -EINVAL);
    ck_assert_int_eq(kv_text_duration("s", &ms), -EINVAL);
    ck_assert_int_eq(kv_text_duration("5 s", &ms), -EINVAL);
    ck_assert_int_eq(kv_text_duration("5y", &ms), -EINVAL);
    ck_assert_int_eq(kv_text_duration("18446744073709551615s", &ms), -ERANGE);
}
END_TEST

/* -- Help texts -- */

static size_t longest_line(const struct kv_buf *text)
{
    size_t longest = 0;
    for (const char *p = text->data; p < text->data + text->len;) {
        const char *end = memchr(p, '\n', (size_t)(text->data + text->len - p));
        ck_assert_ptr_nonnull(end);
        size_t len = (size_t)(end - p);
        longest = len > longest ? len : longest;
        p = end + 1;
    }
    return longest;
}

START_TEST(wrapped_lines_fill_the_columns_and_never_pass_them)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf in = {0}, out = {0};
    for (int i = 0; i < 100; i++)
        kv_buf_adds(&in, i % 3 ? "word " : "a ");
    kv_buf_adds(&in, "end");
    kv_buf_addc(&in, '\0');
    kv_text_wrap(&out, in.data, 10);
    /* The first 10 columns of the first line are the caller's. */
    ck_assert_uint_le(longest_line(&out), KV_TEXT_COLUMNS);
    ck_assert_uint_gt(longest_line(&out), KV_TEXT_COLUMNS - 6);
    ck_assert_mem_eq(memchr(out.data, '\n', out.len), "\n          ", 11);
    ck_assert_int_eq(out.data[out.len - 1], '\n');
}
END_TEST

START_TEST(wrapping_keeps_line_ends)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    kv_text_wrap(&out, "one\ntwo\n\n  three", 2);
    ck_assert_bytes(out.data, out.len, "one\n  two\n\n    three\n");
}
END_TEST

START_TEST(an_entry_has_its_text_beside_it_or_below)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    kv_text_entry(&out, "  -l, --long", "text");
    ck_assert_bytes(out.data, out.len, "  -l, --long              text\n");
    kv_buf_reset(&out);
    kv_text_entry(&out, "  --a-very-long-option-indeed", "text");
    ck_assert_bytes(out.data, out.len,
                    "  --a-very-long-option-indeed\n                          text\n");
}
END_TEST

/* -- Misspelt words -- */

START_TEST(distance_counts_single_changes)
{
    ck_assert_uint_eq(kv_text_distance("", ""), 0);
    ck_assert_uint_eq(kv_text_distance("", "abc"), 3);
    ck_assert_uint_eq(kv_text_distance("watch", "watch"), 0);
    ck_assert_uint_eq(kv_text_distance("wtch", "watch"), 1);
    ck_assert_uint_eq(kv_text_distance("watcch", "watch"), 1);
    ck_assert_uint_eq(kv_text_distance("wotch", "watch"), 1);
    ck_assert_uint_eq(kv_text_distance("wacth", "watch"), 1); /* swapped */
    ck_assert_uint_eq(kv_text_distance("kitten", "sitting"), 3);
    ck_assert_uint_eq(kv_text_distance("abc", "xyz"), 3);
}
END_TEST

START_TEST(overlong_words_are_far_from_everything)
{
    char longest[65], fits[64];
    memset(longest, 'x', sizeof(longest));
    longest[64] = '\0';
    memset(fits, 'x', sizeof(fits));
    fits[63] = '\0';
    ck_assert_uint_eq(kv_text_distance(longest, "x"), SIZE_MAX);
    ck_assert_uint_eq(kv_text_distance("x", longest), SIZE_MAX);
    ck_assert_uint_eq(kv_text_distance(fits, ""), 63);
    ck_assert(!kv_text_is_near(longest, longest));
}
END_TEST

START_TEST(short_words_must_be_nearer_than_long_ones)
{
    ck_assert(kv_text_is_near("gett", "get"));
    ck_assert(kv_text_is_near("stauts", "status"));
    ck_assert(kv_text_is_near("apend", "append"));
    ck_assert(kv_text_is_near("apendd", "append"));
    ck_assert(!kv_text_is_near("ps", "get"));
    ck_assert(!kv_text_is_near("mr", "ls"));
}
END_TEST

KV_SUITE("text", number_takes_digits_and_nothing_else, size_takes_units_of_1024,
         size_refuses_what_is_none, size_is_written_as_it_is_read,
         duration_is_seconds_unless_it_says_otherwise,
         wrapped_lines_fill_the_columns_and_never_pass_them, wrapping_keeps_line_ends,
         an_entry_has_its_text_beside_it_or_below, distance_counts_single_changes,
         overlong_words_are_far_from_everything,
         short_words_must_be_nearer_than_long_ones)
