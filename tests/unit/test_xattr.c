#include "store/xattr.h"

#include "alloc.h"
#include "suite.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

/* Replace run by itself with one attribute set. */
static int set(struct kv_buf *run, const char *name, const void *value,
               size_t value_len, enum kv_xattr_mode mode)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    int err = kv_xattr_set(run->data, run->len, name, strlen(name), value, value_len,
                           mode, &out);
    if (err)
        return err;
    kv_buf_done(run);
    *run = out;
    out = (struct kv_buf){0};
    return 0;
}

static void check_value(const struct kv_buf *run, const char *name,
                        const char *expected)
{
    const void *value;
    size_t len;
    ck_assert_int_eq(
        kv_xattr_get(run->data, run->len, name, strlen(name), &value, &len), 0);
    ck_assert_uint_eq(len, strlen(expected));
    ck_assert(memcmp(value, expected, len) == 0);
}

START_TEST(xattr_set_values_can_be_got)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf run = {0};
    ck_assert_int_eq(set(&run, "user.b", KV_LIT("two"), KV_XATTR_ANY), 0);
    ck_assert_int_eq(set(&run, "user.a", KV_LIT("one"), KV_XATTR_ANY), 0);
    ck_assert_int_eq(set(&run, "user.c", NULL, 0, KV_XATTR_ANY), 0);
    ck_assert_int_eq(set(&run, "user.b", KV_LIT("2"), KV_XATTR_ANY), 0);
    check_value(&run, "user.a", "one");
    check_value(&run, "user.b", "2");
    check_value(&run, "user.c", "");
}
END_TEST

START_TEST(xattr_encoding_is_as_documented)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf run = {0};
    char value[258];
    memset(value, 'v', sizeof(value));
    ck_assert_int_eq(set(&run, "b", value, sizeof(value), KV_XATTR_ANY), 0);
    ck_assert_int_eq(set(&run, "a", KV_LIT("x"), KV_XATTR_ANY), 0);
    ck_assert_uint_eq(run.len, 5 + 4 + sizeof(value));
    ck_assert_mem_eq(run.data, "\1\1\0ax\1\2\1bv", 10);
}
END_TEST

START_TEST(xattr_steps_through_in_the_order_of_names)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf run = {0};
    static const char *const names[] = {"user.ab", "user.a", "user.\xff", "user.b"};
    static const char *const sorted[] = {"user.a", "user.ab", "user.b", "user.\xff"};
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(set(&run, names[i], names[i], i, KV_XATTR_ANY), 0);
    size_t offset = 0, name_len, value_len;
    const char *name;
    const void *value;
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(kv_xattr_next(run.data, run.len, &offset, &name, &name_len,
                                       &value, &value_len),
                         1);
        ck_assert_uint_eq(name_len, strlen(sorted[i]));
        ck_assert_mem_eq(name, sorted[i], name_len);
    }
    ck_assert_int_eq(
        kv_xattr_next(run.data, run.len, &offset, &name, &name_len, &value, &value_len),
        0);
    ck_assert_uint_eq(offset, run.len);
}
END_TEST

START_TEST(xattr_modes_decide_about_existing_names)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf run = {0};
    ck_assert_int_eq(set(&run, "user.a", KV_LIT("1"), KV_XATTR_REPLACE), -ENODATA);
    ck_assert_int_eq(set(&run, "user.a", KV_LIT("1"), KV_XATTR_CREATE), 0);
    ck_assert_int_eq(set(&run, "user.a", KV_LIT("2"), KV_XATTR_CREATE), -EEXIST);
    check_value(&run, "user.a", "1");
    ck_assert_int_eq(set(&run, "user.a", KV_LIT("3"), KV_XATTR_REPLACE), 0);
    check_value(&run, "user.a", "3");
}
END_TEST

START_TEST(xattr_absent_names_are_enodata)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf run = {0}, out = {0};
    const void *value;
    size_t len;
    ck_assert_int_eq(kv_xattr_get(NULL, 0, KV_LIT("user.a"), &value, &len), -ENODATA);
    ck_assert_int_eq(set(&run, "user.a", KV_LIT("1"), KV_XATTR_ANY), 0);
    ck_assert_int_eq(kv_xattr_get(run.data, run.len, KV_LIT("user"), &value, &len),
                     -ENODATA);
    ck_assert_int_eq(kv_xattr_get(run.data, run.len, KV_LIT("user.ab"), &value, &len),
                     -ENODATA);
    ck_assert_int_eq(kv_xattr_remove(run.data, run.len, KV_LIT("user.b"), &out),
                     -ENODATA);
}
END_TEST

START_TEST(xattr_remove_leaves_the_others)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf run = {0}, out = {0}, none = {0};
    ck_assert_int_eq(set(&run, "user.a", KV_LIT("1"), KV_XATTR_ANY), 0);
    ck_assert_int_eq(set(&run, "user.b", KV_LIT("2"), KV_XATTR_ANY), 0);
    ck_assert_int_eq(kv_xattr_remove(run.data, run.len, KV_LIT("user.a"), &out), 0);
    check_value(&out, "user.b", "2");
    ck_assert_uint_eq(out.len, run.len / 2);
    ck_assert_int_eq(kv_xattr_remove(out.data, out.len, KV_LIT("user.b"), &none), 0);
    ck_assert_uint_eq(none.len, 0);
}
END_TEST

START_TEST(xattr_name_length_is_limited)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf run = {0};
    char name[257];
    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    ck_assert_int_eq(set(&run, name, KV_LIT("1"), KV_XATTR_ANY), -ERANGE);
    ck_assert_int_eq(set(&run, name + 1, KV_LIT("1"), KV_XATTR_ANY), 0);
    check_value(&run, name + 1, "1");
    ck_assert_int_eq(set(&run, "", KV_LIT("1"), KV_XATTR_ANY), -ERANGE);
}
END_TEST

START_TEST(xattr_value_and_total_are_limited)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf run = {0}, big = {0};
    ck_assert_int_eq(kv_buf_resize(&big, KV_XATTR_VALUE_MAX + 1), 0);
    ck_assert_int_eq(set(&run, "a", big.data, big.len, KV_XATTR_ANY), -E2BIG);
    size_t fits = KV_XATTRS_MAX - 4;
    ck_assert_int_eq(set(&run, "a", big.data, fits + 1, KV_XATTR_ANY), -ENOSPC);
    ck_assert_int_eq(set(&run, "a", big.data, fits, KV_XATTR_ANY), 0);
    ck_assert_uint_eq(run.len, KV_XATTRS_MAX);
    ck_assert_int_eq(set(&run, "b", NULL, 0, KV_XATTR_ANY), -ENOSPC);
    /* What it replaces does not count. */
    ck_assert_int_eq(set(&run, "a", big.data, fits, KV_XATTR_REPLACE), 0);
    ck_assert_int_eq(set(&run, "a", NULL, 0, KV_XATTR_ANY), 0);
    ck_assert_int_eq(set(&run, "b", NULL, 0, KV_XATTR_ANY), 0);
}
END_TEST

START_TEST(xattr_broken_bytes_are_ebadmsg)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf run = {0};
    ck_assert_int_eq(set(&run, "user.a", KV_LIT("1234"), KV_XATTR_ANY), 0);
    const char *name;
    const void *value;
    size_t name_len, value_len;
    for (size_t len = 1; len < run.len; len++) {
        /* A block of its own, so that a read past the end is seen. */
        KV_CLEANUP(kv_free) char *cut = malloc(len);
        memcpy(cut, run.data, len);
        size_t offset = 0;
        ck_assert_int_eq(
            kv_xattr_next(cut, len, &offset, &name, &name_len, &value, &value_len),
            -EBADMSG);
        KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
        ck_assert_int_eq(kv_xattr_get(cut, len, KV_LIT("user.b"), &value, &value_len),
                         -EBADMSG);
        ck_assert_int_eq(
            kv_xattr_set(cut, len, KV_LIT("b"), NULL, 0, KV_XATTR_ANY, &out), -EBADMSG);
        ck_assert_int_eq(kv_xattr_remove(cut, len, KV_LIT("b"), &out), -EBADMSG);
    }
    size_t offset = run.len + 1;
    ck_assert_int_eq(
        kv_xattr_next(run.data, run.len, &offset, &name, &name_len, &value, &value_len),
        -EBADMSG);
    offset = 0;
    ck_assert_int_eq(
        kv_xattr_next("\0\0\0", 3, &offset, &name, &name_len, &value, &value_len),
        -EBADMSG);
}
END_TEST

START_TEST(xattr_reports_lack_of_memory)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf run = {0}, out = {0};
    ck_assert_int_eq(set(&run, "a", KV_LIT("1"), KV_XATTR_ANY), 0);
    ck_assert_int_eq(set(&run, "b", KV_LIT("1"), KV_XATTR_ANY), 0);
    kv_alloc_fail_nth(1);
    ck_assert_int_eq(
        kv_xattr_set(run.data, run.len, KV_LIT("c"), NULL, 0, KV_XATTR_ANY, &out),
        -ENOMEM);
    ck_assert(kv_alloc_fail_stop());
    kv_buf_reset(&out);
    kv_alloc_fail_nth(1);
    ck_assert_int_eq(kv_xattr_remove(run.data, run.len, KV_LIT("a"), &out), -ENOMEM);
    ck_assert(kv_alloc_fail_stop());
}
END_TEST

KV_SUITE("xattr", xattr_set_values_can_be_got, xattr_encoding_is_as_documented,
         xattr_steps_through_in_the_order_of_names,
         xattr_modes_decide_about_existing_names, xattr_absent_names_are_enodata,
         xattr_remove_leaves_the_others, xattr_name_length_is_limited,
         xattr_value_and_total_are_limited, xattr_broken_bytes_are_ebadmsg,
         xattr_reports_lack_of_memory)
