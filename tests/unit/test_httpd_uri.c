#include "httpd/uri.h"

#include "suite.h"

#include <stdio.h>
#include <string.h>

static char buffer[4096];
static struct kv_uri uri;

static const char *parse_bytes(const char *target, size_t len)
{
    memcpy(buffer, target, len);
    return kv_uri_parse(buffer, len, &uri);
}

static const char *parse(const char *target)
{
    return parse_bytes(target, strlen(target));
}

#define ck_assert_path(target, literal)                                                \
    do {                                                                               \
        ck_assert_ptr_null(parse(target));                                             \
        ck_assert_bytes(uri.path, uri.path_len, literal);                              \
    } while (0)

#define ck_assert_param(name, literal)                                                 \
    do {                                                                               \
        const struct kv_param *param_ = kv_uri_param(&uri, name);                      \
        ck_assert_ptr_nonnull(param_);                                                 \
        ck_assert_bytes(param_->value, param_->value_len, literal);                    \
    } while (0)

START_TEST(uri_path_is_decoded_exactly_once)
{
    ck_assert_path("/", "/");
    ck_assert_path("/v1/keys/a", "/v1/keys/a");
    ck_assert_path("/a%2Fb%2fc", "/a/b/c");
    ck_assert_path("/%2525", "/%25");
    ck_assert_path("/%e4%F6", "/\xe4\xf6");
    ck_assert_path("/a//b/", "/a//b/");
    ck_assert_path("/a+b", "/a+b");
}
END_TEST

START_TEST(uri_keeps_an_encoded_nul)
{
    ck_assert_path("/a%00b", "/a\0b");
}
END_TEST

START_TEST(uri_refuses_a_bad_escape)
{
    static const char *const targets[] = {"/%",  "/%4",   "/%zz",    "/a%g0",
                                          "/%4", "/?a=%", "/?a=%4z", "/?%=1"};
    for (size_t i = 0; i < sizeof(targets) / sizeof(*targets); i++)
        ck_assert_msg(parse(targets[i]) != NULL, "%s", targets[i]);
}
END_TEST

START_TEST(uri_refuses_blanks_and_control_characters)
{
    ck_assert_ptr_nonnull(parse("/a b"));
    ck_assert_ptr_nonnull(parse("/a\tb"));
    ck_assert_ptr_nonnull(parse("/a\x7f"));
    ck_assert_ptr_nonnull(parse("/?a=b c"));
    ck_assert_ptr_nonnull(parse_bytes(KV_LIT("/a\0b")));
}
END_TEST

START_TEST(uri_refuses_what_is_no_path)
{
    ck_assert_ptr_nonnull(parse(""));
    ck_assert_ptr_nonnull(parse("*"));
    ck_assert_ptr_nonnull(parse("v1/keys"));
    ck_assert_ptr_nonnull(parse("localhost:5000"));
    ck_assert_ptr_nonnull(parse("ftp://localhost/"));
}
END_TEST

START_TEST(uri_strips_scheme_and_authority)
{
    ck_assert_path("http://localhost:5000/a?b=c", "/a");
    ck_assert_bytes(uri.authority, uri.authority_len, "localhost:5000");
    ck_assert_param("b", "c");
    ck_assert_path("HTTPS://x/", "/");
    ck_assert_path("http://x", "/");
    ck_assert_path("http://x?a=1", "/");
    ck_assert_param("a", "1");
    ck_assert_path("/a", "/a");
    ck_assert_ptr_null(uri.authority);
}
END_TEST

START_TEST(uri_query_is_split_before_it_is_decoded)
{
    ck_assert_ptr_null(parse("/?dir=a%26b%3Dc&to=x%2Fy&values"));
    ck_assert_uint_eq(uri.param_count, 3);
    ck_assert_param("dir", "a&b=c");
    ck_assert_param("to", "x/y");
    ck_assert_param("values", "");
    ck_assert_ptr_null(kv_uri_param(&uri, "di"));
    ck_assert_ptr_null(kv_uri_param(&uri, "dirs"));
}
END_TEST

START_TEST(uri_plus_is_a_blank_in_the_query_only)
{
    ck_assert_ptr_null(parse("/a+b?c+d=e+f%2Bg"));
    ck_assert_bytes(uri.path, uri.path_len, "/a+b");
    ck_assert_param("c d", "e f+g");
}
END_TEST

START_TEST(uri_value_may_hold_equals_and_question_marks)
{
    ck_assert_ptr_null(parse("/?a=b=c?d"));
    ck_assert_param("a", "b=c?d");
}
END_TEST

START_TEST(uri_empty_parameters_are_skipped)
{
    ck_assert_ptr_null(parse("/?&&a=1&"));
    ck_assert_uint_eq(uri.param_count, 1);
    ck_assert_ptr_null(parse("/?"));
    ck_assert_uint_eq(uri.param_count, 0);
}
END_TEST

START_TEST(uri_refuses_nameless_and_repeated_parameters)
{
    ck_assert_ptr_nonnull(parse("/?=1"));
    ck_assert_ptr_nonnull(parse("/?a=1&a=1"));
    ck_assert_ptr_nonnull(parse("/?a=1&%61=2"));
}
END_TEST

START_TEST(uri_bounds_the_number_of_parameters)
{
    char target[512] = "/?";
    for (int i = 0; i < KV_URI_PARAMS_MAX; i++)
        sprintf(target + strlen(target), "p%d=%d&", i, i);
    ck_assert_ptr_null(parse(target));
    ck_assert_uint_eq(uri.param_count, KV_URI_PARAMS_MAX);
    strcat(target, "more=1");
    ck_assert_ptr_nonnull(parse(target));
}
END_TEST

KV_SUITE("httpd_uri", uri_path_is_decoded_exactly_once, uri_keeps_an_encoded_nul,
         uri_refuses_a_bad_escape, uri_refuses_blanks_and_control_characters,
         uri_refuses_what_is_no_path, uri_strips_scheme_and_authority,
         uri_query_is_split_before_it_is_decoded, uri_plus_is_a_blank_in_the_query_only,
         uri_value_may_hold_equals_and_question_marks, uri_empty_parameters_are_skipped,
         uri_refuses_nameless_and_repeated_parameters,
         uri_bounds_the_number_of_parameters)
