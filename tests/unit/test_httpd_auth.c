#include "httpd/auth.h"

#include "suite.h"

#include <arpa/inet.h>
#include <string.h>

static bool allowed(const char *host, const char *const *more)
{
    return kv_host_allowed(host, strlen(host), more);
}

START_TEST(host_may_be_loopback_or_an_address)
{
    static const char *const good[] = {
        "localhost",  "LocalHost:5000", "127.0.0.1", "127.0.0.1:80", "[::1]",
        "[::1]:5000", "192.168.1.2:99", "[fe80::1]", "localhost:"};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        ck_assert_msg(allowed(good[i], NULL), "%s", good[i]);
}
END_TEST

START_TEST(host_of_somebody_else_is_refused)
{
    static const char *const bad[] = {"",
                                      "evil.example",
                                      "localhost.evil.example",
                                      "127.0.0.1.evil.example",
                                      "[::1",
                                      "[::1]x",
                                      "localhost:80:90",
                                      "localhost:http",
                                      ":5000",
                                      "[]",
                                      "::1",
                                      "127.0.0.1@evil.example",
                                      "1.2.3.4.5",
                                      "localhost:1234567",
                                      "2130706433"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(!allowed(bad[i], NULL), "%s", bad[i]);
}
END_TEST

START_TEST(host_names_can_be_added)
{
    static const char *const names[] = {"kv.example", "other.example:5000", NULL};
    ck_assert(allowed("kv.example", names));
    ck_assert(allowed("KV.example:1", names));
    ck_assert(allowed("other.example:5000", names));
    ck_assert(!allowed("other.example:5001", names));
    ck_assert(!allowed("x.kv.example", names));
    ck_assert(!allowed("evil.example", names));
    static const char *const any[] = {"*", NULL};
    ck_assert(allowed("evil.example:80", any));
    ck_assert(!allowed("", any));
}
END_TEST

static bool own(const char *origin, const char *host)
{
    return kv_origin_is_own(origin, strlen(origin), host, host ? strlen(host) : 0);
}

START_TEST(origin_is_own_when_it_is_the_host)
{
    ck_assert(own("http://localhost:5000", "localhost:5000"));
    ck_assert(own("HTTP://LocalHost:5000", "localhost:5000"));
    ck_assert(own("http://localhost", "localhost:80"));
    ck_assert(own("http://localhost:80", "localhost"));
    ck_assert(own("https://kv.example", "kv.example:443"));
    ck_assert(own("http://[::1]:5000", "[::1]:5000"));
}
END_TEST

START_TEST(origin_of_another_page_is_foreign)
{
    ck_assert(!own("http://localhost:3000", "localhost:5000"));
    ck_assert(!own("http://127.0.0.1:5000", "localhost:5000"));
    ck_assert(!own("http://localhost:5000.evil.example", "localhost:5000"));
    ck_assert(!own("http://evil.example", "localhost:5000"));
    ck_assert(!own("null", "localhost:5000"));
    ck_assert(!own("", "localhost:5000"));
    ck_assert(!own("http://", ""));
    ck_assert(!own("http://localhost", NULL));
}
END_TEST

static struct sockaddr_storage address_of(int family, const char *text)
{
    struct sockaddr_storage address = {0};
    if (family == AF_INET) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
        v4->sin_family = AF_INET;
        ck_assert_int_eq(inet_pton(AF_INET, text, &v4->sin_addr), 1);
    } else {
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
        v6->sin6_family = AF_INET6;
        ck_assert_int_eq(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
    }
    return address;
}

static bool loopback(int family, const char *text)
{
    struct sockaddr_storage address = address_of(family, text);
    return kv_address_is_loopback((struct sockaddr *)&address);
}

static bool same_network(const char *a, const char *b)
{
    struct sockaddr_storage first = address_of(strchr(a, ':') ? AF_INET6 : AF_INET, a);
    struct sockaddr_storage second = address_of(strchr(b, ':') ? AF_INET6 : AF_INET, b);
    unsigned char of_first[KV_NETWORK_SIZE], of_second[KV_NETWORK_SIZE];
    kv_address_network((struct sockaddr *)&first, of_first);
    kv_address_network((struct sockaddr *)&second, of_second);
    return memcmp(of_first, of_second, KV_NETWORK_SIZE) == 0;
}

START_TEST(clients_are_told_apart_by_address_or_network)
{
    ck_assert(!same_network("10.0.0.1", "10.0.0.2"));
    ck_assert(same_network("::ffff:10.0.0.1", "10.0.0.1"));
    ck_assert(!same_network("::ffff:10.0.0.1", "::ffff:10.0.0.2"));
    ck_assert(same_network("2001:db8:1:2::1", "2001:db8:1:2:ffff::2"));
    ck_assert(!same_network("2001:db8:1:2::1", "2001:db8:1:3::1"));
}
END_TEST

START_TEST(loopback_is_all_of_127_and_one_v6_address)
{
    ck_assert(loopback(AF_INET, "127.0.0.1"));
    ck_assert(loopback(AF_INET, "127.255.0.1"));
    ck_assert(loopback(AF_INET6, "::1"));
    ck_assert(loopback(AF_INET6, "::ffff:127.0.0.1"));
    ck_assert(!loopback(AF_INET, "0.0.0.0"));
    ck_assert(!loopback(AF_INET, "128.0.0.1"));
    ck_assert(!loopback(AF_INET, "10.127.0.1"));
    ck_assert(!loopback(AF_INET6, "::"));
    ck_assert(!loopback(AF_INET6, "::ffff:10.0.0.1"));
    struct sockaddr local = {.sa_family = AF_UNIX};
    ck_assert(kv_address_is_loopback(&local));
}
END_TEST

START_TEST(an_origin_is_a_scheme_and_a_host)
{
    static const char *const good[] = {"http://a", "https://a.example", "HTTP://a:1",
                                       "https://[::1]:8443"};
    static const char *const bad[] = {
        "",         "a", "ftp://a",    "http://", "http://a/", "http://a:x",
        "http://*", "*", "http://a b", "null",    "http://u@a"};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
        ck_assert_msg(kv_origin_valid(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        ck_assert_msg(!kv_origin_valid(bad[i]), "%s", bad[i]);
}
END_TEST

START_TEST(only_origins_that_are_named_are_allowed)
{
    static const char *const allowed[] = {"https://a.example", "http://b:81", NULL};
    ck_assert(kv_origin_allowed(KV_LIT("https://a.example"), allowed));
    ck_assert(kv_origin_allowed(KV_LIT("HTTP://B:81"), allowed));
    ck_assert(!kv_origin_allowed(KV_LIT("https://a.example:443"), allowed));
    ck_assert(!kv_origin_allowed(KV_LIT("https://a.exampl"), allowed));
    ck_assert(!kv_origin_allowed(KV_LIT("https://a.example.evil"), allowed));
    ck_assert(!kv_origin_allowed(KV_LIT(""), allowed));
    ck_assert(!kv_origin_allowed(KV_LIT("https://a.example"), NULL));
}
END_TEST

KV_SUITE("httpd_auth", an_origin_is_a_scheme_and_a_host,
         only_origins_that_are_named_are_allowed, host_may_be_loopback_or_an_address,
         host_of_somebody_else_is_refused, host_names_can_be_added,
         origin_is_own_when_it_is_the_host, origin_of_another_page_is_foreign,
         loopback_is_all_of_127_and_one_v6_address,
         clients_are_told_apart_by_address_or_network)
