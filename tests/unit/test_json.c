#include "base/json.h"

#include "alloc.h"
#include "suite.h"

#include "base/cleanup.h"

#include <errno.h>

#define ck_assert_json_string(input, expected)                                         \
    do {                                                                               \
        KV_CLEANUP(kv_buf_done) struct kv_buf out_ = {0};                              \
        kv_json_string(&out_, KV_LIT(input));                                          \
        ck_assert_bytes(out_.data, out_.len, expected);                                \
    } while (0)

#define ck_assert_json_bytes(name, input, expected)                                    \
    do {                                                                               \
        KV_CLEANUP(kv_buf_done) struct kv_buf out_ = {0};                              \
        kv_json_bytes(&out_, name, KV_LIT(input));                                     \
        ck_assert_bytes(out_.data, out_.len, expected);                                \
    } while (0)

START_TEST(json_string_quotes_plain_text)
{
    ck_assert_json_string("", "\"\"");
    ck_assert_json_string("app/db/host", "\"app/db/host\"");
    ck_assert_json_string("gr\xc3\xbc\xc3\x9f \xf0\x9d\x84\x9e", "\"gr\xc3\xbc\xc3\x9f "
                                                                 "\xf0\x9d\x84\x9e\"");
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    kv_json_string(&out, NULL, 0);
    ck_assert_bytes(out.data, out.len, "\"\"");
}
END_TEST

START_TEST(json_string_escapes_what_must_be)
{
    ck_assert_json_string("\"\\/", "\"\\\"\\\\/\"");
    ck_assert_json_string("a\tb\nc\rd", "\"a\\tb\\nc\\rd\"");
    ck_assert_json_string("a\0b\x1f\x7f", "\"a\\u0000b\\u001f\x7f\"");
    ck_assert_json_string("\b\f", "\"\\u0008\\u000c\"");
}
END_TEST

START_TEST(json_string_replaces_each_bad_byte)
{
    ck_assert_json_string("\xff", "\"\xef\xbf\xbd\"");
    ck_assert_json_string("a\xc3z\xe2\x82",
                          "\"a\xef\xbf\xbdz\xef\xbf\xbd\xef\xbf\xbd\"");
    ck_assert_json_string("\xed\xa0\x80\"",
                          "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\\\"\"");
}
END_TEST

START_TEST(json_bytes_writes_text_as_text)
{
    ck_assert_json_bytes("value", "a\"b", "\"value\":\"a\\\"b\"");
    ck_assert_json_bytes("key", "", "\"key\":\"\"");
    ck_assert_json_bytes("value", "a\0b", "\"value\":\"a\\u0000b\"");
}
END_TEST

START_TEST(json_bytes_writes_other_bytes_as_base64)
{
    ck_assert_json_bytes("value", "\xff\xfe",
                         "\"value\":\"//4=\",\"encoding\":\"base64\"");
    ck_assert_json_bytes("key", "\xff", "\"key\":\"/w==\",\"key_encoding\":\"base64\"");
}
END_TEST

START_TEST(json_u64_has_all_64_bits)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    kv_json_u64(&out, 0);
    kv_buf_addc(&out, ' ');
    kv_json_u64(&out, (UINT64_C(1) << 53) + 1);
    kv_buf_addc(&out, ' ');
    kv_json_u64(&out, UINT64_MAX);
    ck_assert_bytes(out.data, out.len, "0 9007199254740993 18446744073709551615");
}
END_TEST

START_TEST(json_errors_stick_to_the_buffer)
{
    struct kv_buf out = {0};
    kv_alloc_fail_nth(1);
    kv_json_bytes(&out, "value", "\xff", 1);
    ck_assert(kv_alloc_fail_stop());
    kv_json_u64(&out, 1);
    ck_assert_int_eq(kv_buf_error(&out), -ENOMEM);
    kv_buf_done(&out);
}
END_TEST

KV_SUITE("json", json_string_quotes_plain_text, json_string_escapes_what_must_be,
         json_string_replaces_each_bad_byte, json_bytes_writes_text_as_text,
         json_bytes_writes_other_bytes_as_base64, json_u64_has_all_64_bits,
         json_errors_stick_to_the_buffer)
