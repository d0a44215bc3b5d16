#include "httpd/dialects/pyjson.h"

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

#define CHECK(mode, literal, want)                                                     \
    do {                                                                               \
        kv_buf_reset(&out);                                                            \
        kv_pyjson_string(&out, mode, KV_LIT(literal));                                 \
        ck_assert_bytes(out.data, out.len, want);                                      \
    } while (0)

/* The expected texts are what python3 -c 'import json; print(json.dumps(...))' says. */

START_TEST(pyjson_ascii_escapes_all_that_is_not_printable_ascii)
{
    CHECK(KV_PYJSON_ASCII, "", "\"\"");
    CHECK(KV_PYJSON_ASCII, "plain / text", "\"plain / text\"");
    CHECK(KV_PYJSON_ASCII, "\"\\", "\"\\\"\\\\\"");
    CHECK(KV_PYJSON_ASCII, "\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"");
    CHECK(KV_PYJSON_ASCII, "\0\x01\x1f ~\x7f", "\"\\u0000\\u0001\\u001f ~\\u007f\"");
    CHECK(KV_PYJSON_ASCII, "caf\u00e9 \u20ac", "\"caf\\u00e9 \\u20ac\"");
    CHECK(KV_PYJSON_ASCII, "\U0001f600", "\"\\ud83d\\ude00\"");
    CHECK(KV_PYJSON_ASCII, "\U0010ffff", "\"\\udbff\\udfff\"");
}
END_TEST

START_TEST(pyjson_utf8_escapes_only_what_json_wants_escaped)
{
    CHECK(KV_PYJSON_UTF8, "\"\\/", "\"\\\"\\\\/\"");
    CHECK(KV_PYJSON_UTF8, "\b\f\n\r\t", "\"\\b\\f\\n\\r\\t\"");
    CHECK(KV_PYJSON_UTF8, "\0\x1f\x7f", "\"\\u0000\\u001f\x7f\"");
    CHECK(KV_PYJSON_UTF8, "caf\u00e9 \U0001f600!", "\"caf\u00e9 \U0001f600!\"");
}
END_TEST

START_TEST(pyjson_shows_bytes_that_are_not_utf8_as_replacements)
{
    CHECK(KV_PYJSON_ASCII, "a\xff\x80z", "\"a\\ufffd\\ufffdz\"");
    CHECK(KV_PYJSON_UTF8, "a\xffz", "\"a\xef\xbf\xbdz\"");
    CHECK(KV_PYJSON_UTF8, "cut \xe2\x82", "\"cut \xef\xbf\xbd\xef\xbf\xbd\"");
    CHECK(KV_PYJSON_ASCII, "\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\"");
}
END_TEST

START_TEST(pyjson_slices_join_to_the_whole)
{
    static const char text[] = "a\u00e9\u20ac\U0001f600\xff\"\n\xe2\x82z\xf0\x9f\x98";
    for (int mode = KV_PYJSON_ASCII; mode <= KV_PYJSON_UTF8; mode++) {
        KV_CLEANUP(kv_buf_done) struct kv_buf whole = {0};
        kv_pyjson_slice(&whole, (enum kv_pyjson)mode, KV_LIT(text), false);
        for (size_t size = 4; size < sizeof(text); size++) {
            size_t done = 0, len = sizeof(text) - 1;
            kv_buf_reset(&out);
            while (done < len) {
                bool more = len - done > size;
                done += kv_pyjson_slice(&out, (enum kv_pyjson)mode, text + done,
                                        more ? size : len - done, more);
            }
            ck_assert_uint_eq(out.len, whole.len);
            ck_assert_mem_eq(out.data, whole.data, whole.len);
        }
    }
}
END_TEST

KV_SUITE_WITH("httpd_pyjson", setup, teardown,
              pyjson_ascii_escapes_all_that_is_not_printable_ascii,
              pyjson_utf8_escapes_only_what_json_wants_escaped,
              pyjson_shows_bytes_that_are_not_utf8_as_replacements,
              pyjson_slices_join_to_the_whole)
