#include "base/utf8.h"

#include "suite.h"

#include <stdint.h>

/* What the standard says a code point looks like, without regard to which are allowed.
 */
static size_t encode(uint32_t point, unsigned char *out)
{
    if (point < 0x80) {
        out[0] = (unsigned char)point;
        return 1;
    }
    size_t size = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = size; i-- > 1; point >>= 6)
        out[i] = (unsigned char)(0x80 | (point & 0x3f));
    out[0] = (unsigned char)((0xf00u >> size & 0xff) | point);
    return size;
}

START_TEST(utf8_accepts_exactly_the_code_points)
{
    for (uint32_t point = 0; point < 0x120000; point++) {
        unsigned char bytes[4];
        size_t size = encode(point, bytes);
        bool allowed = point <= 0x10ffff && (point < 0xd800 || point > 0xdfff);
        /* libcheck writes each assertion down: a million of them take seconds. */
        if (kv_utf8_valid(bytes, size) != allowed ||
            kv_utf8_next(bytes, size) != (allowed ? size : 0))
            ck_abort_msg("U+%X", (unsigned)point);
    }
}
END_TEST

START_TEST(utf8_refuses_overlong_forms)
{
    ck_assert(!kv_utf8_valid(KV_LIT("\xc0\x80")));
    ck_assert(!kv_utf8_valid(KV_LIT("\xc1\xbf")));
    ck_assert(!kv_utf8_valid(KV_LIT("\xe0\x9f\xbf")));
    ck_assert(!kv_utf8_valid(KV_LIT("\xf0\x8f\xbf\xbf")));
}
END_TEST

START_TEST(utf8_refuses_bytes_that_never_occur)
{
    for (unsigned byte = 0x80; byte < 0x100; byte++) {
        unsigned char bytes[4] = {(unsigned char)byte, 'a', 'b', 'c'};
        ck_assert_msg(!kv_utf8_valid(bytes, 4), "%02x", byte);
    }
    ck_assert(!kv_utf8_valid(KV_LIT("\xf8\x88\x80\x80\x80")));
    ck_assert(!kv_utf8_valid(KV_LIT("\xff")));
}
END_TEST

START_TEST(utf8_refuses_a_character_that_is_cut_short)
{
    const char euro[] = "\xe2\x82\xac", g_clef[] = "\xf0\x9d\x84\x9e";
    for (size_t len = 1; len < 3; len++)
        ck_assert(!kv_utf8_valid(euro, len));
    for (size_t len = 1; len < 4; len++)
        ck_assert(!kv_utf8_valid(g_clef, len));
    ck_assert(!kv_utf8_valid(KV_LIT("\xe2\x82z")));
    ck_assert(!kv_utf8_valid(KV_LIT("\xf0\x9d\x84z")));
}
END_TEST

START_TEST(utf8_finds_a_bad_byte_at_every_place)
{
    char text[40];
    for (size_t len = 1; len <= sizeof(text); len++) {
        for (size_t bad = 0; bad < len; bad++) {
            for (size_t i = 0; i < len; i++)
                text[i] = 'a';
            ck_assert(kv_utf8_valid(text, len));
            text[bad] = (char)0x80;
            ck_assert(!kv_utf8_valid(text, len));
        }
    }
}
END_TEST

START_TEST(utf8_takes_nul_and_nothing)
{
    ck_assert(kv_utf8_valid(KV_LIT("a\0b")));
    ck_assert(kv_utf8_valid("", 0));
    ck_assert(kv_utf8_valid(NULL, 0));
    ck_assert_uint_eq(kv_utf8_next("", 0), 0);
    ck_assert_uint_eq(kv_utf8_next("\0", 1), 1);
}
END_TEST

KV_SUITE("utf8", utf8_accepts_exactly_the_code_points, utf8_refuses_overlong_forms,
         utf8_refuses_bytes_that_never_occur,
         utf8_refuses_a_character_that_is_cut_short,
         utf8_finds_a_bad_byte_at_every_place, utf8_takes_nul_and_nothing)
