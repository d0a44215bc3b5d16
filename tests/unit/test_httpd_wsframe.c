#include "httpd/wsframe.h"

#include "base/cleanup.h"
#include "suite.h"

#include <string.h>

#define MESSAGE_MAX 1000

static struct kv_buf in, out;
static struct kv_ws_parser parser;
static const char *next;
static size_t left;

static void setup(void)
{
    in = out = (struct kv_buf){0};
    parser = (struct kv_ws_parser){.message_max = MESSAGE_MAX};
    next = NULL;
    left = 0;
}

static void teardown(void)
{
    kv_buf_done(&in);
    kv_buf_done(&out);
    kv_ws_parser_done(&parser);
}

/* A client's frame: any first byte, and the length as it is written in so many bytes.
 */
static void add_frame(unsigned first, const void *payload, size_t len,
                      unsigned len_bytes)
{
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    const unsigned char *bytes = payload;
    kv_buf_addc(&in, (char)first);
    kv_buf_addc(&in, (char)(0x80 | (len_bytes == 0   ? len
                                    : len_bytes == 2 ? 126
                                                     : 127)));
    for (unsigned i = len_bytes; i-- > 0;)
        kv_buf_addc(&in, (char)((uint64_t)len >> 8 * i));
    kv_buf_add(&in, mask, sizeof(mask));
    for (size_t i = 0; bytes && i < len; i++)
        kv_buf_addc(&in, (char)(bytes[i] ^ mask[i % 4]));
    ck_assert_int_eq(kv_buf_error(&in), 0);
}

static void frame(unsigned first, const char *payload)
{
    add_frame(first, payload, strlen(payload), strlen(payload) < 126 ? 0 : 2);
}

static enum kv_ws_got got(void)
{
    if (!next) {
        next = in.data;
        left = in.len;
    }
    return kv_ws_parse(&parser, &next, &left);
}

static void breaks(unsigned code)
{
    ck_assert_int_eq(got(), KV_WS_GOT_ERROR);
    ck_assert_uint_eq(parser.code, code);
    ck_assert_ptr_nonnull(parser.reason);
    ck_assert_uint_le(strlen(parser.reason), KV_WS_REASON_MAX);
    ck_assert_int_eq(got(), KV_WS_GOT_NOTHING);
    ck_assert_uint_eq(left, 0);
}

START_TEST(ws_a_message_is_unmasked)
{
    frame(0x81, "Hello");
    /* The example of RFC 6455 section 5.7. */
    ck_assert_mem_eq(in.data, "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11);
    ck_assert_int_eq(got(), KV_WS_GOT_MESSAGE);
    ck_assert_bytes(parser.message.data, parser.message.len, "Hello");
    ck_assert(!parser.binary);
    ck_assert_int_eq(got(), KV_WS_GOT_NOTHING);
    ck_assert_uint_eq(parser.message.cap, 0);
}
END_TEST

START_TEST(ws_parts_make_one_message_with_controls_between)
{
    frame(0x01, "gr\xc3");
    frame(0x89, "p1");
    frame(0x00, "\xbc\xc3\x9f");
    frame(0x8a, "");
    frame(0x80, "e");
    frame(0x82, "\xff");
    ck_assert_int_eq(got(), KV_WS_GOT_PING);
    ck_assert_bytes(parser.control, parser.control_len, "p1");
    ck_assert_int_eq(got(), KV_WS_GOT_PONG);
    ck_assert_int_eq(got(), KV_WS_GOT_MESSAGE);
    ck_assert_bytes(parser.message.data, parser.message.len,
                    "gr\xc3\xbc\xc3\x9f"
                    "e");
    ck_assert_int_eq(got(), KV_WS_GOT_MESSAGE);
    ck_assert(parser.binary);
    ck_assert_bytes(parser.message.data, parser.message.len, "\xff");
    ck_assert_int_eq(got(), KV_WS_GOT_NOTHING);
}
END_TEST

/* However the bytes are cut, they say the same. */
START_TEST(ws_bytes_may_come_one_by_one)
{
    char text[301];
    memset(text, 'x', 300);
    text[300] = '\0';
    frame(0x01, text);
    frame(0x89, "");
    frame(0x80, text);
    frame(0x88, "\x03\xe8"
                "bye");
    enum kv_ws_got seen[4];
    size_t count = 0, message_len = 0;
    for (size_t i = 0; i < in.len; i++) {
        const char *byte = in.data + i;
        size_t one = 1;
        enum kv_ws_got what;
        while ((what = kv_ws_parse(&parser, &byte, &one)) != KV_WS_GOT_NOTHING) {
            ck_assert_uint_lt(count, 4);
            seen[count++] = what;
            if (what == KV_WS_GOT_MESSAGE)
                message_len = parser.message.len;
        }
        ck_assert_uint_eq(one, 0);
    }
    ck_assert_uint_eq(count, 3);
    ck_assert_int_eq(seen[0], KV_WS_GOT_PING);
    ck_assert_int_eq(seen[1], KV_WS_GOT_MESSAGE);
    ck_assert_int_eq(seen[2], KV_WS_GOT_CLOSE);
    ck_assert_uint_eq(message_len, 600);
    ck_assert_uint_eq(parser.code, 1000);
}
END_TEST

START_TEST(ws_unmasked_frames_are_refused)
{
    kv_buf_add(&in, "\x81\x05Hello", 7);
    breaks(KV_WS_PROTOCOL_ERROR);
}
END_TEST

START_TEST(ws_reserved_bits_and_kinds_are_refused)
{
    static const unsigned char firsts[] = {0xc1, 0xa1, 0x91, 0x83, 0x87, 0x8b, 0x8f};
    for (size_t i = 0; i < sizeof(firsts); i++) {
        teardown();
        setup();
        frame(firsts[i], "x");
        breaks(KV_WS_PROTOCOL_ERROR);
    }
}
END_TEST

START_TEST(ws_parts_out_of_order_are_refused)
{
    frame(0x80, "nothing to continue");
    breaks(KV_WS_PROTOCOL_ERROR);
    teardown();
    setup();
    frame(0x01, "one");
    frame(0x81, "another");
    breaks(KV_WS_PROTOCOL_ERROR);
    teardown();
    setup();
    frame(0x81, "whole");
    frame(0x80, "and more");
    ck_assert_int_eq(got(), KV_WS_GOT_MESSAGE);
    breaks(KV_WS_PROTOCOL_ERROR);
}
END_TEST

START_TEST(ws_control_frames_are_short_and_whole)
{
    char text[127] = {0};
    memset(text, 'x', 126);
    frame(0x09, "in parts");
    breaks(KV_WS_PROTOCOL_ERROR);
    teardown();
    setup();
    frame(0x89, text);
    breaks(KV_WS_PROTOCOL_ERROR);
    teardown();
    setup();
    text[125] = '\0';
    frame(0x89, text);
    ck_assert_int_eq(got(), KV_WS_GOT_PING);
    ck_assert_uint_eq(parser.control_len, 125);
}
END_TEST

START_TEST(ws_lengths_are_as_short_as_they_can_be)
{
    char text[126];
    memset(text, 'x', sizeof(text));
    add_frame(0x81, text, 125, 2);
    breaks(KV_WS_PROTOCOL_ERROR);
    teardown();
    setup();
    add_frame(0x81, text, 126, 8);
    breaks(KV_WS_PROTOCOL_ERROR);
    teardown();
    setup();
    add_frame(0x81, text, 126, 2);
    ck_assert_int_eq(got(), KV_WS_GOT_MESSAGE);
}
END_TEST

START_TEST(ws_messages_are_bounded)
{
    char text[MESSAGE_MAX + 1];
    memset(text, 'x', sizeof(text));
    add_frame(0x81, text, MESSAGE_MAX, 2);
    ck_assert_int_eq(got(), KV_WS_GOT_MESSAGE);
    teardown();
    setup();
    /* Before a byte of it has come. */
    add_frame(0x81, NULL, MESSAGE_MAX + 1, 2);
    breaks(KV_WS_TOO_BIG);
    teardown();
    setup();
    add_frame(0x82, NULL, SIZE_MAX, 8);
    breaks(KV_WS_TOO_BIG);
    teardown();
    setup();
    add_frame(0x01, text, MESSAGE_MAX, 2);
    add_frame(0x00, NULL, 0, 0);
    add_frame(0x80, text, 1, 0);
    breaks(KV_WS_TOO_BIG);
}
END_TEST

START_TEST(ws_text_must_be_utf8)
{
    frame(0x81, "\xc3");
    breaks(KV_WS_NOT_UTF8);
    teardown();
    setup();
    frame(0x01, "\xed\xa0");
    frame(0x80, "\x80");
    breaks(KV_WS_NOT_UTF8);
}
END_TEST

START_TEST(ws_close_has_a_code_that_may_be_sent)
{
    frame(0x88, "");
    ck_assert_int_eq(got(), KV_WS_GOT_CLOSE);
    ck_assert_uint_eq(parser.code, KV_WS_NO_CODE);
    static const unsigned good[] = {1000, 1001, 1003, 1007, 1011, 1014, 3000, 4999};
    static const unsigned bad[] = {0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        teardown();
        setup();
        char code[2] = {(char)(good[i] >> 8), (char)good[i]};
        add_frame(0x88, code, 2, 0);
        frame(0x81, "what follows does not matter");
        ck_assert_int_eq(got(), KV_WS_GOT_CLOSE);
        ck_assert_uint_eq(parser.code, good[i]);
        ck_assert_int_eq(got(), KV_WS_GOT_NOTHING);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        teardown();
        setup();
        char code[2] = {(char)(bad[i] >> 8), (char)bad[i]};
        add_frame(0x88, code, 2, 0);
        breaks(KV_WS_PROTOCOL_ERROR);
    }
    teardown();
    setup();
    frame(0x88, "\x03");
    breaks(KV_WS_PROTOCOL_ERROR);
    teardown();
    setup();
    frame(0x88, "\x03\xe8\xff");
    breaks(KV_WS_NOT_UTF8);
}
END_TEST

START_TEST(ws_sent_frames_have_the_shortest_header)
{
    static char payload[70000];
    static const struct {
        size_t len, header_len;
        const char *header;
    } cases[] = {
        {0, 2, "\x81\x00"},
        {125, 2, "\x81\x7d"},
        {126, 4, "\x81\x7e\x00\x7e"},
        {65535, 4, "\x81\x7e\xff\xff"},
        {65536, 10, "\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"},
    };
    memset(payload, 'x', sizeof(payload));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        kv_buf_reset(&out);
        kv_ws_add(&out, KV_WS_TEXT, payload, cases[i].len);
        ck_assert_uint_eq(out.len, cases[i].header_len + cases[i].len);
        ck_assert_mem_eq(out.data, cases[i].header, cases[i].header_len);
        /* Put together in place it is the same. */
        size_t first = out.len, mark = kv_ws_begin(&out);
        kv_buf_add(&out, payload, cases[i].len);
        kv_ws_end(&out, mark, KV_WS_TEXT);
        ck_assert_uint_eq(out.len, 2 * first);
        ck_assert_mem_eq(out.data, out.data + first, first);
    }
}
END_TEST

START_TEST(ws_close_tells_code_and_reason)
{
    char reason[200] = {0};
    memset(reason, 'x', sizeof(reason) - 1);
    kv_ws_add_close(&out, 1001, "bye");
    ck_assert_bytes(out.data, out.len,
                    "\x88\x05\x03\xe9"
                    "bye");
    kv_buf_reset(&out);
    kv_ws_add_close(&out, KV_WS_NO_CODE, "");
    ck_assert_bytes(out.data, out.len, "\x88\x00");
    kv_buf_reset(&out);
    kv_ws_add_close(&out, 4410, reason);
    ck_assert_uint_eq(out.len, 2 + KV_WS_CONTROL_MAX);
}
END_TEST

KV_SUITE_WITH("httpd_wsframe", setup, teardown, ws_a_message_is_unmasked,
              ws_parts_make_one_message_with_controls_between,
              ws_bytes_may_come_one_by_one, ws_unmasked_frames_are_refused,
              ws_reserved_bits_and_kinds_are_refused, ws_parts_out_of_order_are_refused,
              ws_control_frames_are_short_and_whole,
              ws_lengths_are_as_short_as_they_can_be, ws_messages_are_bounded,
              ws_text_must_be_utf8, ws_close_has_a_code_that_may_be_sent,
              ws_sent_frames_have_the_shortest_header, ws_close_tells_code_and_reason)
