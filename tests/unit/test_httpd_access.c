/* Every route of the real server, by somebody without a token and by somebody whose
 * token grants something else. The table of routes is walked, so a route that is new
 * has to be told of here. */
#include "httpd/access.h"
#include "httpd/route.h"
#include "httpd/server.h"
#include "httpd/token.h"
#include "httpd/webtoken.h"

#include "base/clock.h"
#include "store_fixture.h"

#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>

/* What is in nobody's answer. */
#define SECRET "xyzzy"

static char *dir;
static struct kv_httpd *server;
static char token[KV_TOKEN_TEXT_MAX];

/* A token for "mine" alone. */
static void make_token(void)
{
    struct kv_tokens *tokens = NULL;
    struct kv_token *made;
    struct kv_rights rights = {0};
    ck_assert_int_eq(kv_tokens_open(dir, true, &tokens), 0);
    ck_assert_int_eq(kv_rights_add(&rights, "mine", 4, KV_READ | KV_WRITE), 0);
    ck_assert_int_eq(kv_tokens_create(tokens, "mine", &rights, 0, token, &made), 0);
    kv_token_unref(made);
    kv_tokens_free(tokens);
}

static void setup(void)
{
    static const char *const listen[] = {"127.0.0.1:0", NULL};
    store_setup();
    ck_assert_int_eq(put("hidden/" SECRET, SECRET), 0);
    ck_assert_int_eq(put("mine/key", "value"), 0);
    dir = temp_dir_make();
    make_token();
    struct kv_httpd_config config = {.listen = listen, .state_dir = dir};
    ck_assert_int_eq(kv_httpd_start(store, &config, &server), 0);
}

static void teardown(void)
{
    kv_httpd_stop(server);
    temp_dir_remove(dir);
    store_teardown();
}

static int dial(void)
{
    const char *port = strrchr(kv_httpd_addresses(server)[0], ':') + 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof(address)),
                     0);
    return fd;
}

/* The whole answer to a request, with the line `header`. */
static const char *ask(const char *method, const char *target, const char *header,
                       const char *body)
{
    static char text[256 * 1024];
    size_t len = 0;
    ssize_t n;
    int fd = dial();
    int sent = snprintf(text, sizeof(text),
                        "%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                        "%sContent-Length: %zu\r\n\r\n%s",
                        method, target, header, strlen(body), body);
    ck_assert_int_eq(send(fd, text, (size_t)sent, MSG_NOSIGNAL), sent);
    while ((n = recv(fd, text + len, sizeof(text) - 1 - len, 0)) > 0)
        len += (size_t)n;
    ck_assert_int_eq(close(fd), 0);
    text[len] = '\0';
    return text;
}

static int status_of(const char *answer)
{
    return (int)strtol(answer + strlen("HTTP/1.1 "), NULL, 10);
}

static const char *ask_with_token(const char *method, const char *target,
                                  const char *body)
{
    char header[300];
    (void)snprintf(header, sizeof(header),
                   "Authorization: Bearer %s\r\nX-Access-Tokens: %s\r\n", token, token);
    return ask(method, target, header, body);
}

static const struct {
    enum kv_method method;
    const char *name;
} methods[] = {{KV_GET, "GET"},
               {KV_HEAD, "HEAD"},
               {KV_PUT, "PUT"},
               {KV_POST, "POST"},
               {KV_DELETE, "DELETE"}};

/* Call fn for each route and each of its methods; how often. */
static size_t walk(void (*fn)(const struct kv_route *route, const char *method))
{
    const struct kv_route *route;
    size_t state = 0, count = 0;
    while ((route = kv_route_next(&state)))
        for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
            if (!(route->methods & methods[i].method))
                continue;
            fn(route, methods[i].name);
            count++;
        }
    return count;
}

/* -- Without a token -- */

static const char *const public_paths[] = {
    "/healthz", "/readyz", "/openapi.json", "/docs", "/docs/", "/", "/ui/",
};

static bool is_public(const char *path)
{
    for (size_t i = 0; i < sizeof(public_paths) / sizeof(*public_paths); i++)
        if (strcmp(public_paths[i], path) == 0)
            return true;
    return false;
}

static void refuses_strangers(const struct kv_route *route, const char *method)
{
    const char *answer = ask(method, route->path, "", "");
    int status = status_of(answer);
    if (is_public(route->path))
        ck_assert_msg(status == 200 || status == 404, "%s %s: %s", method, route->path,
                      answer);
    else if (route->flags & KV_ROUTE_OWN_TOKEN)
        ck_assert_msg(status == 400 || status == 401, "%s %s: %s", method, route->path,
                      answer);
    else
        ck_assert_msg(status == 401 && strstr(answer, "WWW-Authenticate: Bearer"),
                      "%s %s: %s", method, route->path, answer);
}

START_TEST(no_route_but_the_public_ones_is_for_strangers)
{
    ck_assert_uint_gt(walk(refuses_strangers), 20);
}
END_TEST

/* -- With a token for something else -- */

/* What is asked of each route that is for every token: the secret by name, which is
 * refused, or everything, of which the secret is no part. */
static const struct {
    const char *path, *method, *target, *body;
    int status; /* 403, or that of an answer without the secret */
} questions[] = {
    {"/v1/keys/", "GET", "/v1/keys/hidden/" SECRET, "", 403},
    {"/v1/keys/", "GET", "/v1/keys/hidden/" SECRET "?wait=1s", "", 403},
    {"/v1/keys/", "GET", "/v1/keys/hidden", "", 403},
    {"/v1/keys/", "HEAD", "/v1/keys/hidden/" SECRET, "", 403},
    {"/v1/keys/", "PUT", "/v1/keys/hidden/new", "v", 403},
    {"/v1/keys/", "DELETE", "/v1/keys/hidden/" SECRET, "", 403},
    {"/v1/keys/", "DELETE", "/v1/keys/hidden?recursive=1", "", 403},
    {"/v1/keys/", "POST", "/v1/keys/hidden/" SECRET "?op=append", "v", 403},
    {"/v1/keys/", "POST", "/v1/keys/hidden/n?op=incr", "", 403},
    {"/v1/keys/", "POST", "/v1/keys/hidden/" SECRET "?op=rename&to=mine/it", "", 403},
    {"/v1/keys/", "POST", "/v1/keys/mine/key?op=rename&to=hidden/" SECRET, "", 403},
    {"/v1/keys", "GET", "/v1/keys?values=1", "", 200},
    {"/v1/keys", "GET", "/v1/keys?delimiter=/", "", 200},
    {"/v1/keys", "GET", "/v1/keys?dir=hidden", "", 403},
    {"/v1/keys", "GET", "/v1/keys?prefix=hidden/", "", 403},
    {"/v1/keys", "HEAD", "/v1/keys?dir=hidden", "", 403},
    {"/v1/export", "GET", "/v1/export", "", 403},
    {"/v1/export", "GET", "/v1/export?dir=hidden", "", 403},
    {"/v1/import", "POST", "/v1/import", "{\"key\":\"hidden/new\",\"value\":\"v\"}\n",
     403},
    {"/v1/history", "GET", "/v1/history?key=hidden/" SECRET, "", 403},
    {"/v1/history", "HEAD", "/v1/history?key=hidden/" SECRET, "", 403},
    {"/v1/txn", "POST", "/v1/txn",
     "{\"then\":[{\"op\":\"get\",\"key\":\"hidden/" SECRET "\"}]}", 403},
    {"/v1/txn", "POST", "/v1/txn",
     "{\"else\":[{\"op\":\"put\",\"key\":\"hidden/a\",\"value\":\"v\"}]}", 403},
    {"/v1/txn", "POST", "/v1/txn",
     "{\"compare\":[{\"key\":\"hidden/" SECRET "\",\"value\":\"a\",\"is\":\"<\"}]}",
     403},
    {"/v1/txn", "POST", "/v1/txn",
     "{\"then\":[{\"op\":\"rename\",\"key\":\"mine/key\",\"to\":\"hidden/" SECRET
     "\"}]}",
     403},
    {"/v1/watch", "GET", "/v1/watch?since=0&dir=hidden", "", 403},
    {"/v1/watch", "GET", "/v1/watch?since=0&key=hidden/" SECRET, "", 403},
    {"/v1/watch", "GET", "/v1/watch?since=0&prefix=hidden/", "", 403},
    {"/api/v1/keys", "GET", "/api/v1/keys?key=hidden/" SECRET, "", 403},
    {"/api/v1/keys", "PUT", "/api/v1/keys?key=hidden/new&value=v", "", 403},
    {"/kv", "GET", "/kv", "{\"key\":\"hidden/" SECRET "\"}", 403},
    {"/kv", "PUT", "/kv", "{\"key\":\"hidden/new\",\"value\":\"v\"}", 403},
    {"/socket.io/", "GET", "/socket.io/?EIO=4&transport=polling", "", 200},
    {"/socket.io/", "POST", "/socket.io/?EIO=4&transport=polling&sid=none", "40", 400},
    {"/key/insert", "POST", "/key/insert",
     "{\"key\":\"hidden/" SECRET "\",\"value\":\"v\"}", 403},
    {"/key/insert", "PUT", "/key/insert", "{\"key\":\"hidden/new\",\"value\":\"v\"}",
     403},
    {"/key/", "GET", "/key/hidden/" SECRET, "", 403},
    {"/key/", "DELETE", "/key/hidden/" SECRET, "", 403},
    {"/alllist", "GET", "/alllist", "", 200},
    {"/subscribe/list", "GET", "/subscribe/list", "", 200},
    {"/subscribe/", "POST", "/subscribe/hidden/" SECRET, "", 403},
    {"/get", "GET", "/get?key=hidden/" SECRET, "", 403},
    {"/add", "POST", "/add?key=hidden/new&value=v", "", 403},
    {"/get_all", "GET", "/get_all", "", 200},
    {"/api/insert", "POST", "/api/insert", "{\"key\":\"hidden/a\",\"value\":\"v\"}",
     403},
    {"/api/search", "GET", "/api/search", "{\"key\":\"hidden/" SECRET "\"}", 403},
    {"/api/search", "GET", "/api/search", "{\"prefix\":\"\"}", 200},
    {"/api/search", "GET", "/api/search", "{\"prefix\":\"" SECRET "\"}", 204},
};

#define QUESTIONS (sizeof(questions) / sizeof(*questions))

static bool is_question_of(size_t i, const struct kv_route *route, const char *method)
{
    return strcmp(questions[i].path, route->path) == 0 &&
           strcmp(questions[i].method, method) == 0;
}

static void tells_no_secret(const struct kv_route *route, const char *method)
{
    size_t asked = 0;
    for (size_t i = 0; i < QUESTIONS; i++) {
        if (!is_question_of(i, route, method))
            continue;
        const char *answer =
            ask_with_token(method, questions[i].target, questions[i].body);
        ck_assert_msg(status_of(answer) == questions[i].status, "%s %s: %s", method,
                      questions[i].target, answer);
        ck_assert_msg(questions[i].status == 403 || !strstr(answer, SECRET),
                      "%s %s: %s", method, questions[i].target, answer);
        asked++;
    }
    ck_assert_msg(asked > 0, "no question is put to %s %s", method, route->path);
}

static void refuses_others(const struct kv_route *route, const char *method)
{
    if (is_public(route->path))
        return;
    if (route->flags & (KV_ROUTE_KEYS | KV_ROUTE_OWN_TOKEN)) {
        tells_no_secret(route, method);
        return;
    }
    const char *answer = ask_with_token(method, route->path, "");
    if (route->flags & KV_ROUTE_MEMBER)
        ck_assert_msg(!strstr(answer, SECRET), "%s %s: %s", method, route->path,
                      answer);
    else
        ck_assert_msg(status_of(answer) == 403, "%s %s: %s", method, route->path,
                      answer);
}

START_TEST(no_route_tells_or_does_what_the_token_does_not_grant)
{
    uint64_t before = revision_now();
    ck_assert_uint_gt(walk(refuses_others), 20);
    ck_assert_uint_eq(revision_now(), before);
}
END_TEST

START_TEST(what_the_token_grants_is_done)
{
    ck_assert_int_eq(status_of(ask_with_token("GET", "/v1/keys/mine/key", "")), 200);
    ck_assert_int_eq(status_of(ask_with_token("PUT", "/v1/keys/mine/b", "v")), 201);
    const char *answer = ask_with_token("GET", "/v1/keys", "");
    ck_assert_ptr_nonnull(strstr(answer, "\"mine/key\""));
    ck_assert_int_eq(status_of(ask_with_token("GET", "/v1/status", "")), 200);
}
END_TEST

START_TEST(a_token_that_is_wrong_is_told_so)
{
    const char *answer =
        ask("GET", "/v1/status", "Authorization: Bearer kv_wrong\r\n", "");
    ck_assert_int_eq(status_of(answer), 401);
    ck_assert_ptr_nonnull(strstr(answer, "invalid_token"));
    ck_assert_ptr_null(strstr(answer, "kv_wrong"));
    answer = ask("GET", "/v1/status", "Authorization: Basic YTpi\r\n", "");
    ck_assert_int_eq(status_of(answer), 401);
}
END_TEST

/* -- With a token that the daemon has signed -- */

START_TEST(what_was_opened_with_one_for_half_an_hour_ends_with_it)
{
    struct kv_http http = {0};
    struct kv_request request = {.http = &http};
    KV_CLEANUP(kv_buf_done) struct kv_buf text = {0};
    char id[KV_TOKEN_ID_LEN + 1] = "";
    unsigned wait_s;
    memcpy(id, token + strlen("kv_"), KV_TOKEN_ID_LEN);
    int64_t began_s = kv_clock_realtime_ns() / KV_NS_PER_S;
    ck_assert_int_eq(kv_tokens_open(dir, true, &http.tokens), 0);
    ck_assert_int_eq(kv_jwt_open(dir, &http.jwt), 0);
    ck_assert_int_eq(kv_jwt_sign(http.jwt, id, began_s, &text), 0);
    ck_assert(kv_access_present(&request, text.data, text.len, &wait_s));
    ck_assert_int_eq(request.caller.until_s, began_s + KV_JWT_SECONDS);
    ck_assert(kv_access_allows(&request, "mine/key", 8, KV_READ));
    request.caller.until_s = began_s; /* as if that time had passed */
    ck_assert(!kv_access_holds(&request));
    ck_assert(!kv_access_allows(&request, "mine/key", 8, KV_READ));
    kv_caller_done(&request.caller);
    kv_jwt_free(http.jwt);
    kv_tokens_free(http.tokens);
}
END_TEST

KV_SUITE_WITH("httpd_access", setup, teardown,
              no_route_but_the_public_ones_is_for_strangers,
              no_route_tells_or_does_what_the_token_does_not_grant,
              what_the_token_grants_is_done, a_token_that_is_wrong_is_told_so,
              what_was_opened_with_one_for_half_an_hour_ends_with_it)
