#include "sse.h"

#include "base/cleanup.h"

#include "suite.h"

#include <errno.h>
#include <string.h>

static struct kv_sse sse;
static struct kv_buf seen; /* "type:data|" for each event */
static int answer;         /* what the callback returns */

static int on_event(void *ctx, const struct kv_sse_event *event)
{
    ck_assert_ptr_eq(ctx, &seen);
    ck_assert_int_eq(event->data[event->data_len], '\0');
    kv_buf_addf(&seen, "%s:", event->type);
    kv_buf_add(&seen, event->data, event->data_len);
    kv_buf_addc(&seen, '|');
    return answer;
}

static void setup(void)
{
    seen = (struct kv_buf){0};
    answer = 0;
    kv_sse_init(&sse, on_event, &seen);
}

static void teardown(void)
{
    kv_sse_done(&sse);
    kv_buf_done(&seen);
}

static void feed(const char *text)
{
    ck_assert_int_eq(kv_sse_feed(&sse, text, strlen(text)), 0);
}

#define ASSERT_SEEN(literal) ck_assert_bytes(seen.data, seen.len, literal)

START_TEST(an_event_ends_with_an_empty_line)
{
    feed("event: put\ndata: {}\n");
    ck_assert_uint_eq(seen.len, 0);
    feed("\n");
    ASSERT_SEEN("put:{}|");
}
END_TEST

START_TEST(the_type_is_message_unless_named_and_lasts_one_event)
{
    feed("event: put\ndata: 1\n\ndata: 2\n\n");
    ASSERT_SEEN("put:1|message:2|");
}
END_TEST

START_TEST(data_lines_are_joined_by_newlines)
{
    feed("data: a\ndata\ndata:b\n\n");
    ASSERT_SEEN("message:a\n\nb|");
}
END_TEST

START_TEST(one_blank_behind_the_colon_is_dropped_and_no_more)
{
    feed("data:  a\n\ndata:b:c\n\n");
    ASSERT_SEEN("message: a|message:b:c|");
}
END_TEST

START_TEST(comments_unknown_fields_and_events_without_data_say_nothing)
{
    feed(": comment\nretry: 5\nnonsense\n\nevent: progress\n\n:\n\n");
    ck_assert_uint_eq(seen.len, 0);
    feed("data: 1\n\n");
    ASSERT_SEEN("message:1|"); /* not "progress" */
}
END_TEST

START_TEST(all_three_line_ends_count_once)
{
    feed("data: a\r\rdata: b\r\n\r\ndata: c\n\n");
    ASSERT_SEEN("message:a|message:b|message:c|");
}
END_TEST

START_TEST(pieces_may_be_cut_anywhere)
{
    const char *text =
        "\xef\xbb\xbf"
        "id: 7\r\nevent: put\r\ndata: x\r\ndata: y\r\n\r\ndata: z\r\n\r\n";
    for (const char *p = text; *p; p++)
        ck_assert_int_eq(kv_sse_feed(&sse, p, 1), 0);
    ASSERT_SEEN("put:x\ny|message:z|");
    ck_assert_str_eq(kv_sse_last_id(&sse), "7");
}
END_TEST

START_TEST(the_last_id_is_that_of_the_last_complete_event)
{
    ck_assert_str_eq(kv_sse_last_id(&sse), "");
    feed("id: 5.1\ndata: a\n\n");
    ck_assert_str_eq(kv_sse_last_id(&sse), "5.1");
    feed("data: b\n\n");
    ck_assert_str_eq(kv_sse_last_id(&sse), "5.1"); /* it lasts */
    feed("id: 6\ndata: c\n");
    ck_assert_str_eq(kv_sse_last_id(&sse), "5.1"); /* not complete */
    feed("\n");
    ck_assert_str_eq(kv_sse_last_id(&sse), "6");
    feed("id: 9\n\n");
    ck_assert_str_eq(kv_sse_last_id(&sse), "9"); /* without data too */
}
END_TEST

START_TEST(an_id_with_a_nul_is_ignored)
{
    ck_assert_int_eq(
        kv_sse_feed(&sse, KV_LIT("id: 3\ndata: a\n\nid: 4\0x\ndata: b\n\n")), 0);
    ck_assert_str_eq(kv_sse_last_id(&sse), "3");
}
END_TEST

START_TEST(a_restart_forgets_the_rest_and_keeps_the_id)
{
    feed("id: 3\ndata: a\n\nid: 4\nevent: put\ndata: half");
    kv_sse_restart(&sse);
    ck_assert_str_eq(kv_sse_last_id(&sse), "3");
    feed("data: b\n\n");
    ASSERT_SEEN("message:a|message:b|");
    ck_assert_str_eq(kv_sse_last_id(&sse), "3");
}
END_TEST

START_TEST(what_the_callback_says_ends_the_feeding)
{
    answer = 5;
    ck_assert_int_eq(kv_sse_feed(&sse, KV_LIT("data: a\n\ndata: b\n\n")), 5);
    ASSERT_SEEN("message:a|");
}
END_TEST

KV_SUITE_WITH("cli_sse", setup, teardown, an_event_ends_with_an_empty_line,
              the_type_is_message_unless_named_and_lasts_one_event,
              data_lines_are_joined_by_newlines,
              one_blank_behind_the_colon_is_dropped_and_no_more,
              comments_unknown_fields_and_events_without_data_say_nothing,
              all_three_line_ends_count_once, pieces_may_be_cut_anywhere,
              the_last_id_is_that_of_the_last_complete_event,
              an_id_with_a_nul_is_ignored, a_restart_forgets_the_rest_and_keeps_the_id,
              what_the_callback_says_ends_the_feeding)
