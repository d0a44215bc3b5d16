#include "base/jsonread.h"

#include "base/cleanup.h"
#include "base/json.h"

#include "suite.h"

#include <errno.h>
#include <string.h>

static struct kv_span read_ok(const char *text)
{
    struct kv_span value = {0};
    ck_assert_msg(kv_json_read(text, strlen(text), &value) == 0, "%s", text);
    return value;
}

START_TEST(one_value_and_blanks_around_it_are_json)
{
    const char *const good[] = {
        "null",
        " true ",
        "false",
        "0",
        "-0",
        "-1.5e+10",
        "1E2",
        "\"\"",
        "[]",
        "{}",
        "[1,2 , [3]]",
        "{\"a\":1,\"b\":{\"c\":[]}}",
        "\"\\u00e9\\n\\\\\"",
        "\"\xc3\xa9\"",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        (void)read_ok(good[i]);
    ck_assert(kv_json_is(read_ok(" \t\r\ntrue\n"), "true"));
}
END_TEST

START_TEST(anything_else_is_not)
{
    const char *const bad[] = {
        "",        " ",           "nul",      "truex",    "01",        "1.",
        ".5",      "1e",          "+1",       "--1",      "\"",        "\"a\nb\"",
        "\"\\x\"", "\"\\u12g4\"", "\"\\u12",  "[",        "[1",        "[1,]",
        "[,1]",    "{",           "{\"a\"}",  "{\"a\":}", "{a:1}",     "{\"a\":1,}",
        "1 2",     "{} x",        "\"\xff\"", "]",        "{\"a\":1]",
    };
    struct kv_span value;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        ck_assert_msg(kv_json_read(bad[i], strlen(bad[i]), &value) == -EINVAL, "%s",
                      bad[i]);
}
END_TEST

START_TEST(nesting_is_bounded)
{
    char text[81];
    struct kv_span value;
    memset(text, '[', 40);
    memset(text + 40, ']', 40);
    text[80] = '\0';
    ck_assert_int_eq(kv_json_read(text, 80, &value), -EINVAL);
    ck_assert_int_eq(kv_json_read(text + 20, 40, &value), 0);
}
END_TEST

START_TEST(members_are_found_by_name)
{
    struct kv_span object = read_ok(" {\"a\" : [1,2], \"bb\":\"x\",\"a\":3 } ");
    struct kv_span value;
    ck_assert_int_eq(kv_json_member(object, "a", &value), 0);
    ck_assert(kv_json_is(value, "[1,2]"));
    ck_assert_int_eq(kv_json_member(object, "bb", &value), 0);
    ck_assert(kv_json_is(value, "\"x\""));
    ck_assert_int_eq(kv_json_member(object, "b", &value), -ENOENT);
    ck_assert_int_eq(kv_json_member(read_ok("[1]"), "a", &value), -ENOENT);
    ck_assert_int_eq(kv_json_member(read_ok("5"), "a", &value), -ENOENT);
}
END_TEST

START_TEST(elements_come_in_order)
{
    struct kv_span array = read_ok("[ 1 , \"two\",{\"three\":3} ]"), name, value;
    size_t offset = 0;
    ck_assert(kv_json_next(array, &offset, &name, &value));
    ck_assert(kv_json_is(value, "1"));
    ck_assert_uint_eq(name.len, 0);
    ck_assert(kv_json_next(array, &offset, NULL, &value));
    ck_assert(kv_json_is(value, "\"two\""));
    ck_assert(kv_json_next(array, &offset, NULL, &value));
    ck_assert(kv_json_is(value, "{\"three\":3}"));
    ck_assert(!kv_json_next(array, &offset, NULL, &value));
    offset = 0;
    ck_assert(!kv_json_next(read_ok("[ ]"), &offset, NULL, &value));
    ck_assert(!kv_json_next(read_ok("7"), &offset, NULL, &value));
}
END_TEST

START_TEST(strings_are_decoded)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    ck_assert_int_eq(
        kv_json_text(read_ok("\"a\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20ac"
                             "\\ud83d\\ude00\\u0000z\""),
                     &out),
        0);
    ck_assert_bytes(out.data, out.len,
                    "a\"\\/\b\f\n\r\tA\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\0z");
    kv_buf_reset(&out);
    ck_assert_int_eq(kv_json_text(read_ok("\"\\ud83dx\\ude00\""), &out), 0);
    ck_assert_bytes(out.data, out.len, "\xef\xbf\xbdx\xef\xbf\xbd");
    ck_assert_int_eq(kv_json_text(read_ok("5"), &out), -EINVAL);
}
END_TEST

START_TEST(numbers_are_exact_beyond_a_double)
{
    uint64_t number = 0;
    ck_assert_int_eq(kv_json_number(read_ok("9007199254740993"), &number), 0);
    ck_assert_uint_eq(number, UINT64_C(9007199254740993)); /* 2^53 + 1 */
    ck_assert_int_eq(kv_json_number(read_ok("18446744073709551615"), &number), 0);
    ck_assert_uint_eq(number, UINT64_MAX);
    ck_assert_int_eq(kv_json_number(read_ok("18446744073709551616"), &number), -ERANGE);
    ck_assert_int_eq(kv_json_number(read_ok("-1"), &number), -EINVAL);
    ck_assert_int_eq(kv_json_number(read_ok("1.0"), &number), -EINVAL);
    ck_assert_int_eq(kv_json_number(read_ok("\"1\""), &number), -EINVAL);
    ck_assert_uint_eq(number, UINT64_MAX);
}
END_TEST

/* What the daemon writes comes back, whatever bytes it is. */
START_TEST(bytes_survive_the_way_through_json)
{
    static const struct {
        const char *data;
        size_t len;
    } values[] = {{KV_LIT("")},         {KV_LIT("plain")},    {KV_LIT("a\0b\x1f\x7f")},
                  {KV_LIT("\xff\xfe")}, {KV_LIT("\xc3\xa9")}, {KV_LIT("\"\\\n")}};
    const char *const names[] = {"value", "key"};
    for (size_t n = 0; n < 2; n++) {
        for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
            KV_CLEANUP(kv_buf_done) struct kv_buf json = {0}, out = {0};
            struct kv_span object;
            kv_buf_adds(&json, "{\"x\":1,");
            kv_json_bytes(&json, names[n], values[i].data, values[i].len);
            kv_buf_addc(&json, '}');
            ck_assert_int_eq(kv_json_read(json.data, json.len, &object), 0);
            ck_assert_int_eq(kv_json_member_bytes(object, names[n], &out), 0);
            ck_assert_uint_eq(out.len, values[i].len);
            if (out.len)
                ck_assert_mem_eq(out.data, values[i].data, out.len);
        }
    }
}
END_TEST

START_TEST(bytes_in_an_unknown_encoding_are_refused)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    struct kv_span object =
        read_ok("{\"value\":\"AA==\",\"encoding\":\"hex\",\"key\":\"!\","
                "\"key_encoding\":\"base64\",\"number\":5}");
    ck_assert_int_eq(kv_json_member_bytes(object, "value", &out), -EINVAL);
    ck_assert_int_eq(kv_json_member_bytes(object, "key", &out), -EINVAL);
    ck_assert_int_eq(kv_json_member_bytes(object, "number", &out), -EINVAL);
    ck_assert_int_eq(kv_json_member_bytes(object, "none", &out), -ENOENT);
}
END_TEST

KV_SUITE("jsonread", one_value_and_blanks_around_it_are_json, anything_else_is_not,
         nesting_is_bounded, members_are_found_by_name, elements_come_in_order,
         strings_are_decoded, numbers_are_exact_beyond_a_double,
         bytes_survive_the_way_through_json, bytes_in_an_unknown_encoding_are_refused)
