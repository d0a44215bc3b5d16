#include "base/buf.h"

#include "alloc.h"
#include "suite.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

START_TEST(buf_zero_is_empty_and_valid)
{
    struct kv_buf buf = {0};
    ck_assert_int_eq(kv_buf_error(&buf), 0);
    kv_buf_add(&buf, NULL, 0);
    ck_assert_uint_eq(buf.len, 0);
    kv_buf_done(&buf);
    kv_buf_done(&buf);
}
END_TEST

START_TEST(buf_appends_in_order)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf buf = {0};
    kv_buf_add(&buf, "a\0b", 3);
    kv_buf_adds(&buf, "cd");
    kv_buf_addc(&buf, 'e');
    kv_buf_addf(&buf, "%d-%s", 42, "f");
    ck_assert_int_eq(kv_buf_error(&buf), 0);
    ck_assert_bytes(buf.data, buf.len, "a\0bcde42-f");
}
END_TEST

START_TEST(buf_keeps_its_content_while_it_grows)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf buf = {0};
    for (int i = 0; i < 100000; i++)
        kv_buf_addc(&buf, (char)(i % 251));
    ck_assert_uint_eq(buf.len, 100000);
    for (int i = 0; i < 100000; i++)
        ck_assert_int_eq(buf.data[i], (char)(i % 251));
}
END_TEST

START_TEST(buf_formats_texts_longer_than_its_room)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf buf = {0};
    kv_buf_addf(&buf, "%1000d", 1);
    ck_assert_uint_eq(buf.len, 1000);
    ck_assert_int_eq(buf.data[0], ' ');
    ck_assert_int_eq(buf.data[999], '1');
}
END_TEST

START_TEST(buf_resize_zeroes_what_it_adds)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf buf = {0};
    kv_buf_adds(&buf, "abcdef");
    ck_assert_int_eq(kv_buf_resize(&buf, 2), 0);
    ck_assert_int_eq(kv_buf_resize(&buf, 5), 0);
    ck_assert_bytes(buf.data, buf.len, "ab\0\0\0");
}
END_TEST

START_TEST(buf_reserve_makes_room_and_changes_nothing)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf buf = {0};
    kv_buf_adds(&buf, "x");
    ck_assert_int_eq(kv_buf_reserve(&buf, 5000), 0);
    ck_assert_uint_ge(buf.cap, 5001);
    ck_assert_bytes(buf.data, buf.len, "x");
    char *before = buf.data;
    ck_assert_int_eq(kv_buf_resize(&buf, 5001), 0);
    ck_assert_ptr_eq(buf.data, before);
}
END_TEST

START_TEST(buf_refuses_more_than_the_address_space)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf buf = {0};
    kv_buf_adds(&buf, "x");
    ck_assert_int_eq(kv_buf_reserve(&buf, SIZE_MAX), -ENOMEM);
    kv_buf_reset(&buf);
    ck_assert_int_eq(kv_buf_reserve(&buf, (size_t)PTRDIFF_MAX + 1), -ENOMEM);
    kv_buf_reset(&buf);
    ck_assert_int_eq(kv_buf_resize(&buf, SIZE_MAX), -ENOMEM);
}
END_TEST

START_TEST(buf_errors_stick_until_reset)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf buf = {0};
    kv_buf_adds(&buf, "kept");
    kv_alloc_fail_nth(1);
    kv_buf_addf(&buf, "%1000d", 1);
    ck_assert(kv_alloc_fail_stop());
    ck_assert_int_eq(kv_buf_error(&buf), -ENOMEM);
    kv_buf_adds(&buf, "not added");
    ck_assert_int_eq(kv_buf_resize(&buf, 100), -ENOMEM);
    ck_assert_bytes(buf.data, buf.len, "kept");
    kv_buf_reset(&buf);
    kv_buf_adds(&buf, "again");
    ck_assert_int_eq(kv_buf_error(&buf), 0);
    ck_assert_bytes(buf.data, buf.len, "again");
}
END_TEST

START_TEST(buf_steal_gives_a_terminated_string_and_empties)
{
    struct kv_buf buf = {0};
    kv_buf_adds(&buf, "text");
    size_t len;
    KV_CLEANUP(kv_free) char *text = kv_buf_steal(&buf, &len);
    ck_assert_str_eq(text, "text");
    ck_assert_uint_eq(len, 4);
    ck_assert_ptr_null(buf.data);
    ck_assert_uint_eq(buf.len, 0);
    KV_CLEANUP(kv_free) char *empty = kv_buf_steal(&buf, NULL);
    ck_assert_str_eq(empty, "");
}
END_TEST

START_TEST(buf_steal_of_a_failed_one_is_null)
{
    struct kv_buf buf = {0};
    kv_buf_adds(&buf, "lost");
    ck_assert_int_eq(kv_buf_reserve(&buf, SIZE_MAX), -ENOMEM);
    ck_assert_ptr_null(kv_buf_steal(&buf, NULL));
    ck_assert_ptr_null(buf.data);
}
END_TEST

KV_SUITE("buf", buf_zero_is_empty_and_valid, buf_appends_in_order,
         buf_keeps_its_content_while_it_grows, buf_formats_texts_longer_than_its_room,
         buf_resize_zeroes_what_it_adds, buf_reserve_makes_room_and_changes_nothing,
         buf_refuses_more_than_the_address_space, buf_errors_stick_until_reset,
         buf_steal_gives_a_terminated_string_and_empties,
         buf_steal_of_a_failed_one_is_null)
