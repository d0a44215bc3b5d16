#include "base/base64.h"

#include "alloc.h"
#include "suite.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

/* RFC 4648 section 10, and the two characters that section 5 replaces. */
static const struct {
    const char *plain, *encoded;
} vectors[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
    {"\xfb\xff\xbf", "+/+/"},
};

START_TEST(base64_encodes_the_vectors_of_the_rfc)
{
    for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
        KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
        kv_buf_addc(&out, '<');
        kv_base64_encode(&out, vectors[i].plain, strlen(vectors[i].plain));
        kv_buf_addc(&out, '\0');
        ck_assert_str_eq(out.data + 1, vectors[i].encoded);
    }
}
END_TEST

START_TEST(base64_decodes_the_vectors_of_the_rfc)
{
    for (size_t i = 0; i < sizeof(vectors) / sizeof(*vectors); i++) {
        KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
        kv_buf_addc(&out, '<');
        ck_assert_int_eq(
            kv_base64_decode(&out, vectors[i].encoded, strlen(vectors[i].encoded)), 0);
        kv_buf_addc(&out, '\0');
        ck_assert_str_eq(out.data + 1, vectors[i].plain);
    }
}
END_TEST

START_TEST(base64_returns_every_byte_at_every_length)
{
    unsigned char data[256];
    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * 167 + 13);
    for (size_t len = 0; len <= sizeof(data); len++) {
        KV_CLEANUP(kv_buf_done) struct kv_buf text = {0}, back = {0};
        kv_base64_encode(&text, data, len);
        ck_assert_uint_eq(text.len, (len + 2) / 3 * 4);
        ck_assert_int_eq(kv_base64_decode(&back, text.data, text.len), 0);
        ck_assert_uint_eq(back.len, len);
        if (len > 0)
            ck_assert_mem_eq(back.data, data, len);
    }
}
END_TEST

START_TEST(base64_decode_is_strict_and_leaves_the_buffer)
{
    static const char *const bad[] = {
        "Z",        "Zg",         "Zg=",      "Zm8",      "=",    "====",
        "Zg==Zg==", "Z===",       "Zm9v\n",   " Zm9v",    "Zm 9", "Zm9v====",
        "Zm9_",     "Zm9-",       "Zh==",     "Zm9=",     "Zg=v", "=Zm9",
        "Zm9vYg",   "Zm\xc3\xa9", "Zm9vZ===", "Z=9vZm9v",
    };
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    kv_buf_adds(&out, "kept");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        ck_assert_msg(kv_base64_decode(&out, bad[i], strlen(bad[i])) == -EINVAL, "%s",
                      bad[i]);
        ck_assert_bytes(out.data, out.len, "kept");
        ck_assert_int_eq(kv_buf_error(&out), 0);
    }
    ck_assert_int_eq(kv_base64_decode(&out, "Zm\0v", 4), -EINVAL);
}
END_TEST

START_TEST(base64_reports_lack_of_memory)
{
    struct kv_buf out = {0};
    kv_alloc_fail_nth(1);
    kv_base64_encode(&out, "foo", 3);
    ck_assert(kv_alloc_fail_stop());
    ck_assert_int_eq(kv_buf_error(&out), -ENOMEM);
    ck_assert_int_eq(kv_base64_decode(&out, "", 0), -ENOMEM);
    kv_buf_reset(&out);
    kv_alloc_fail_nth(1);
    ck_assert_int_eq(kv_base64_decode(&out, "Zm9v", 4), -ENOMEM);
    ck_assert(kv_alloc_fail_stop());
    kv_buf_reset(&out);
    kv_base64_encode(&out, "", SIZE_MAX);
    ck_assert_int_eq(kv_buf_error(&out), -ENOMEM);
    kv_buf_done(&out);
}
END_TEST

KV_SUITE("base64", base64_encodes_the_vectors_of_the_rfc,
         base64_decodes_the_vectors_of_the_rfc,
         base64_returns_every_byte_at_every_length,
         base64_decode_is_strict_and_leaves_the_buffer, base64_reports_lack_of_memory)
