#include "httpd/field.h"

#include "base/clock.h"
#include "base/cleanup.h"
#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct kv_etags tags;

static int parse_tags(const char *text)
{
    return kv_etags_parse(text, strlen(text), &tags);
}

START_TEST(etags_one_and_several)
{
    ck_assert_int_eq(parse_tags("\"12\""), 0);
    ck_assert(kv_etags_match_strong(&tags, 12));
    ck_assert(!kv_etags_match_strong(&tags, 1));
    ck_assert_int_eq(parse_tags(" \"1\" ,\"2\",, \"18446744073709551615\"\t"), 0);
    ck_assert_uint_eq(tags.count, 3);
    ck_assert(kv_etags_match_strong(&tags, 2));
    ck_assert(kv_etags_match_strong(&tags, UINT64_MAX));
}
END_TEST

START_TEST(etags_star_matches_everything)
{
    ck_assert_int_eq(parse_tags(" * "), 0);
    ck_assert(tags.any);
    ck_assert(kv_etags_match_strong(&tags, 7));
    ck_assert(kv_etags_match_weak(&tags, 7));
}
END_TEST

START_TEST(etags_weak_ones_match_weakly_only)
{
    ck_assert_int_eq(parse_tags("W/\"5\", \"6\""), 0);
    ck_assert(!kv_etags_match_strong(&tags, 5));
    ck_assert(kv_etags_match_weak(&tags, 5));
    ck_assert(kv_etags_match_weak(&tags, 6));
}
END_TEST

START_TEST(etags_of_others_match_nothing)
{
    ck_assert_int_eq(parse_tags("\"abc\", W/\"\", \"1,2\", \"-1\", \" 3\", \"007\", "
                                "W/\"00\""),
                     0);
    ck_assert_uint_eq(tags.count + tags.weak_count, 0);
    ck_assert(!kv_etags_match_weak(&tags, 7));
    ck_assert(!kv_etags_match_weak(&tags, 0));
}
END_TEST

START_TEST(etags_malformed_lists_are_refused)
{
    static const char *const texts[] = {
        "",           " ",           ",",       "5",        "\"5",      "5\"",
        "\"5\"\"6\"", "\"5\" \"6\"", "w/\"5\"", "W/ \"5\"", "*, \"5\"", "\"5\", *"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
        ck_assert_msg(parse_tags(texts[i]) == -EINVAL, "%s", texts[i]);
}
END_TEST

START_TEST(etags_are_bounded)
{
    char text[1024] = "";
    for (int i = 0; i < KV_ETAGS_MAX; i++)
        sprintf(text + strlen(text), "\"%d\",", i);
    ck_assert_int_eq(parse_tags(text), 0);
    strcat(text, "\"99\"");
    ck_assert_int_eq(parse_tags(text), -E2BIG);
}
END_TEST

START_TEST(etags_are_bounded_strong_and_weak_together)
{
    char text[1024] = "";
    for (int i = 0; i < KV_ETAGS_MAX; i++)
        sprintf(text + strlen(text), "%s\"%d\",", i % 2 ? "W/" : "", i);
    ck_assert_int_eq(parse_tags(text), 0);
    strcat(text, "\"99\"");
    ck_assert_int_eq(parse_tags(text), -E2BIG);
}
END_TEST

static enum kv_range_kind range(const char *text, uint64_t size, uint64_t *first,
                                uint64_t *last)
{
    return kv_range_parse(text, strlen(text), size, first, last);
}

START_TEST(range_selects_bytes)
{
    static const struct {
        const char *text;
        uint64_t first, last;
    } cases[] = {
        {"bytes=0-0", 0, 0},  {"bytes=2-4", 2, 4}, {"bytes=5-", 5, 9},
        {"bytes=0-99", 0, 9}, {"bytes=-3", 7, 9},  {"bytes=-99", 0, 9},
        {"Bytes=9-", 9, 9},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint64_t first, last;
        ck_assert_msg(range(cases[i].text, 10, &first, &last) == KV_RANGE_PART, "%s",
                      cases[i].text);
        ck_assert_uint_eq(first, cases[i].first);
        ck_assert_uint_eq(last, cases[i].last);
    }
}
END_TEST

START_TEST(range_outside_the_value_cannot_be_satisfied)
{
    uint64_t first, last;
    ck_assert_int_eq(range("bytes=10-", 10, &first, &last), KV_RANGE_OUTSIDE);
    ck_assert_int_eq(range("bytes=10-12", 10, &first, &last), KV_RANGE_OUTSIDE);
    ck_assert_int_eq(range("bytes=-0", 10, &first, &last), KV_RANGE_OUTSIDE);
    ck_assert_int_eq(range("bytes=0-", 0, &first, &last), KV_RANGE_OUTSIDE);
    ck_assert_int_eq(range("bytes=-1", 0, &first, &last), KV_RANGE_OUTSIDE);
}
END_TEST

START_TEST(range_that_is_none_is_ignored)
{
    static const char *const texts[] = {
        "",           "bytes",       "bytes=",        "bytes=-",
        "bytes=a-b",  "bytes=4-2",   "bytes=0-1,3-4", "lines=0-1",
        "bytes= 0-1", "bytes=0 - 1", "bytes=1",       "bytes=0-99999999999999999999"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
        uint64_t first, last;
        ck_assert_msg(range(texts[i], 10, &first, &last) == KV_RANGE_NONE, "%s",
                      texts[i]);
    }
}
END_TEST

static int number(const char *text, uint64_t *ret)
{
    return kv_u64_parse(text, strlen(text), ret);
}

START_TEST(number_is_digits_within_64_bits)
{
    uint64_t n = 1;
    ck_assert_int_eq(number("0", &n), 0);
    ck_assert_uint_eq(n, 0);
    ck_assert_int_eq(number("18446744073709551615", &n), 0);
    ck_assert_uint_eq(n, UINT64_MAX);
    ck_assert_int_eq(number("18446744073709551616", &n), -ERANGE);
    ck_assert_int_eq(number("99999999999999999999", &n), -ERANGE);
    static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "0x1", "1.0"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_int_eq(number(bad[i], &n), -EINVAL);
}
END_TEST

static int duration(const char *text, int64_t *ret)
{
    return kv_duration_parse(text, strlen(text), ret);
}

START_TEST(duration_knows_its_units)
{
    int64_t ns;
    ck_assert_int_eq(duration("500ms", &ns), 0);
    ck_assert_int_eq(ns, 500 * KV_NS_PER_MS);
    ck_assert_int_eq(duration("60s", &ns), 0);
    ck_assert_int_eq(ns, 60 * KV_NS_PER_S);
    ck_assert_int_eq(duration("90", &ns), 0);
    ck_assert_int_eq(ns, 90 * KV_NS_PER_S);
    ck_assert_int_eq(duration("5m", &ns), 0);
    ck_assert_int_eq(ns, 300 * KV_NS_PER_S);
    ck_assert_int_eq(duration("2h", &ns), 0);
    ck_assert_int_eq(ns, 7200 * KV_NS_PER_S);
    ck_assert_int_eq(duration("36500d", &ns), 0);
    ck_assert_int_eq(ns, KV_NS_PER_S * 86400 * 36500);
}
END_TEST

START_TEST(duration_refuses_what_it_cannot_mean)
{
    int64_t ns;
    static const char *const bad[] = {"",     "s",   "5y",  "5S",  "-5s",
                                      "1.5s", "5 s", "5s ", "5sm", "ms"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(duration(bad[i], &ns) == -EINVAL, "%s", bad[i]);
    static const char *const far[] = {"0s", "0", "36501d", "99999999999999999999s"};
    for (size_t i = 0; i < sizeof(far) / sizeof(*far); i++)
        ck_assert_msg(duration(far[i], &ns) == -ERANGE, "%s", far[i]);
}
END_TEST

START_TEST(flag_is_on_when_it_is_only_named)
{
    bool flag = false;
    ck_assert_int_eq(kv_bool_parse(KV_LIT(""), &flag), 0);
    ck_assert(flag);
    ck_assert_int_eq(kv_bool_parse(KV_LIT("0"), &flag), 0);
    ck_assert(!flag);
    ck_assert_int_eq(kv_bool_parse(KV_LIT("true"), &flag), 0);
    ck_assert(flag);
    ck_assert_int_eq(kv_bool_parse(KV_LIT("yes"), &flag), -EINVAL);
}
END_TEST

START_TEST(position_is_a_revision_or_a_place_in_one)
{
    uint64_t revision;
    uint32_t index;
    ck_assert_int_eq(kv_position_parse(KV_LIT("7"), &revision, &index), 0);
    ck_assert_uint_eq(revision, 7);
    ck_assert_uint_eq(index, UINT32_MAX);
    ck_assert_int_eq(kv_position_parse(KV_LIT("7.0"), &revision, &index), 0);
    ck_assert_uint_eq(index, 0);
    ck_assert_int_eq(kv_position_parse(KV_LIT("7.4294967296"), &revision, &index),
                     -ERANGE);
    ck_assert_int_eq(kv_position_parse(KV_LIT("7."), &revision, &index), -EINVAL);
    ck_assert_int_eq(kv_position_parse(KV_LIT(".7"), &revision, &index), -EINVAL);
    ck_assert_int_eq(kv_position_parse(KV_LIT("7.1.2"), &revision, &index), -EINVAL);
    ck_assert_int_eq(kv_position_parse(KV_LIT(""), &revision, &index), -EINVAL);
}
END_TEST

START_TEST(dates_are_written_as_the_standards_say)
{
    char date[KV_HTTP_DATE_SIZE], text[KV_TIME_SIZE];
    kv_http_date(date, INT64_C(784111777) * KV_NS_PER_S + 999);
    ck_assert_str_eq(date, "Sun, 06 Nov 1994 08:49:37 GMT");
    kv_time_text(text, INT64_C(784111777) * KV_NS_PER_S + 999);
    ck_assert_str_eq(text, "1994-11-06T08:49:37.000000999Z");
    kv_time_text(text, -1);
    ck_assert_str_eq(text, "1969-12-31T23:59:59.999999999Z");
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    kv_json_time(&json, 0);
    ck_assert_bytes(json.data, json.len, "\"1970-01-01T00:00:00.000000000Z\"");
}
END_TEST

START_TEST(signed_numbers_fit_64_bits)
{
    static const struct {
        const char *text;
        int err;
        int64_t number;
    } cases[] = {
        {"0", 0, 0},
        {"-0", 0, 0},
        {"-12", 0, -12},
        {"9223372036854775807", 0, INT64_MAX},
        {"-9223372036854775808", 0, INT64_MIN},
        {"9223372036854775808", -ERANGE, 0},
        {"-9223372036854775809", -ERANGE, 0},
        {"", -EINVAL, 0},
        {"-", -EINVAL, 0},
        {"--1", -EINVAL, 0},
        {"+1", -EINVAL, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        int64_t number = 0;
        ck_assert_int_eq(kv_i64_parse(cases[i].text, strlen(cases[i].text), &number),
                         cases[i].err);
        ck_assert_int_eq(number, cases[i].number);
    }
}
END_TEST

START_TEST(tags_of_other_dress_are_of_the_same_version)
{
    struct kv_etags parsed;
    ck_assert_int_eq(kv_etags_parse(KV_LIT("\"12-json\", \"13-gzip\""), &parsed), 0);
    ck_assert(kv_etags_match_strong(&parsed, 12));
    ck_assert(kv_etags_match_strong(&parsed, 13));
    ck_assert_int_eq(
        kv_etags_parse(KV_LIT("\"12-xml\", \"-json\", \"1json\""), &parsed), 0);
    ck_assert_uint_eq(parsed.count, 0);
    ck_assert(kv_etag_is(KV_LIT("\"12\""), 12));
    ck_assert(!kv_etag_is(KV_LIT("\"12-json\""), 12));
    ck_assert(!kv_etag_is(KV_LIT("W/\"12\""), 12));
    ck_assert(!kv_etag_is(KV_LIT("\"1\""), 12));
}
END_TEST

START_TEST(media_types_are_what_can_be_sent)
{
    static const char *const good[] = {"text/plain", "text/html; charset=utf-8",
                                       "application/vnd.api+json", "a/b;c=\"d e\""};
    static const char *const bad[] = {
        "",      "text",        "/plain",        "text/",    "te xt/a",
        "a/b/c", "a/b\r\nX: y", "text/pl\xe4in", "a/b;\x01", "a/b,c/d"};
    char text[300];
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        ck_assert_msg(kv_media_type_valid(good[i], strlen(good[i])), "%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(!kv_media_type_valid(bad[i], strlen(bad[i])), "%s", bad[i]);
    memset(text, 'x', sizeof(text));
    text[4] = '/';
    ck_assert(kv_media_type_valid(text, KV_MEDIA_TYPE_MAX));
    ck_assert(!kv_media_type_valid(text, KV_MEDIA_TYPE_MAX + 1));
}
END_TEST

START_TEST(weights_say_what_is_liked_best)
{
    static const struct {
        const char *text;
        int weight, other;
    } cases[] = {
        {"gzip", 1000, -1},
        {"deflate, GZIP;q=0.5, br;q=0.75", 500, 1000},
        {"gzip;q=0", 0, -1},
        {"gzip ; q=0.123 , *;q=0", 123, 0},
        {"gzip;level=9;q=0.5", 500, -1},
        {"gzip;q=x, identity", 0, 1000},
        {"gzip;q=", 0, -1},
        {"gzip;q=1.9", 1000, -1},
        {"xgzip, gzipx", -1, 1000},
        {"", -1, -1},
        {",,gzip,", 1000, -1},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        const char *text = cases[i].text;
        ck_assert_int_eq(kv_accept_weight(text, strlen(text), "gzip"), cases[i].weight);
        ck_assert_int_eq(kv_accept_other_weight(text, strlen(text), "gzip"),
                         cases[i].other);
    }
}
END_TEST

START_TEST(times_come_back_as_they_were_written)
{
    static const int64_t times[] = {0,
                                    1,
                                    INT64_C(1795254064518330334),
                                    INT64_C(951782399999999999),
                                    INT64_C(9190000000000000000),
                                    -1,
                                    -INT64_C(1000000000),
                                    -INT64_C(1500000000),
                                    INT64_MIN + 1,
                                    INT64_MAX - 1};
    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++) {
        char text[KV_TIME_SIZE];
        int64_t back = -1;
        kv_time_text(text, times[i]);
        ck_assert_int_eq(kv_time_parse(text, strlen(text), &back), 0);
        ck_assert_int_eq(back, times[i]);
    }
    int64_t ns;
    ck_assert_int_eq(kv_time_parse(KV_LIT("1970-01-01T00:00:01.5Z"), &ns), 0);
    ck_assert_int_eq(ns, 1500000000);
    ck_assert_int_eq(kv_time_parse(KV_LIT("1970-01-01T00:00:02Z"), &ns), 0);
    ck_assert_int_eq(ns, 2000000000);
    static const char *const wrong[] = {"",
                                        "1970-01-01",
                                        "1970-01-01T00:00:00",
                                        "1970-01-01T00:00:00.Z",
                                        "1970-01-01T00:00:00.0123456789Z",
                                        "1970-01-01T00:00:00+01:00",
                                        "1970-00-01T00:00:00Z",
                                        "1970-01-32T00:00:00Z",
                                        "1970-01-01T24:00:00Z",
                                        "1970-01-01 00:00:00Z",
                                        "1677-09-21T00:12:43Z",
                                        "0000-01-01T00:00:00Z",
                                        "2262-04-11T23:47:17Z",
                                        "9999-12-31T23:59:59Z"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        ck_assert_msg(kv_time_parse(wrong[i], strlen(wrong[i]), &ns) < 0, "%s",
                      wrong[i]);
}
END_TEST

KV_SUITE("httpd_field", times_come_back_as_they_were_written,
         tags_of_other_dress_are_of_the_same_version, media_types_are_what_can_be_sent,
         weights_say_what_is_liked_best, signed_numbers_fit_64_bits,
         etags_one_and_several, etags_star_matches_everything,
         etags_weak_ones_match_weakly_only, etags_of_others_match_nothing,
         etags_malformed_lists_are_refused, etags_are_bounded,
         etags_are_bounded_strong_and_weak_together, range_selects_bytes,
         range_outside_the_value_cannot_be_satisfied, range_that_is_none_is_ignored,
         number_is_digits_within_64_bits, duration_knows_its_units,
         duration_refuses_what_it_cannot_mean, flag_is_on_when_it_is_only_named,
         position_is_a_revision_or_a_place_in_one,
         dates_are_written_as_the_standards_say)
