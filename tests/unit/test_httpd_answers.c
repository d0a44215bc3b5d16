/* Answers that clients are slow to take, and bodies, against the real server on a real
 * store: what they may hold in memory, and for how long. */
#include "base/clock.h"
#include "httpd/server.h"
#include "store_fixture.h"

#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define KIB 1024
#define DEADLINE_MS 60000
/* A socket's buffers hold less than this, so an answer that nobody reads stays. */
#define LARGE (900 * KIB)

static struct kv_httpd *server;
static char *dir;
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static void start_server(uint64_t max_memory_bytes, unsigned idle_timeout_s)
{
    struct kv_httpd_config config = {
        .socket_path = address.sun_path,
        .state_dir = dir,
        .max_memory_bytes = max_memory_bytes,
        .transfer_timeout_s = 1,
        .header_timeout_s = 1,
        .idle_timeout_s = idle_timeout_s,
    };
    ck_assert_int_eq(kv_httpd_start(store, &config, &server), 0);
}

static void setup(void)
{
    store_setup_closed();
    store_config.cache_bytes = 64 * KIB * KIB; /* a large value fits */
    ck_assert_int_eq(store_open(), 0);
    dir = temp_dir_make();
    int len = snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", dir);
    ck_assert_int_lt(len, (int)sizeof(address.sun_path));
    start_server(2 * LARGE, 0);
}

static void teardown(void)
{
    kv_httpd_stop(server);
    temp_dir_remove(dir);
    store_teardown();
}

static int dial(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(connect(fd, (const struct sockaddr *)&address, sizeof(address)),
                     0);
    return fd;
}

static void send_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t sent = send(fd, data, len, MSG_NOSIGNAL);
        ck_assert_int_gt(sent, 0);
        data += sent;
        len -= (size_t)sent;
    }
}

static int ask(const char *method, const char *target)
{
    char text[512];
    int fd = dial();
    int len = snprintf(text, sizeof(text), "%s %s HTTP/1.1\r\nHost: localhost\r\n\r\n",
                       method, target);
    send_all(fd, text, (size_t)len);
    return fd;
}

/* PUT so many bytes to a key; if_match is the header's value. */
static int ask_put(const char *target, const char *if_match, size_t size)
{
    char text[512], *value = calloc(1, size);
    ck_assert_ptr_nonnull(value);
    int fd = dial();
    int len = snprintf(text, sizeof(text),
                       "PUT %s HTTP/1.1\r\nHost: localhost\r\nIf-Match: %s\r\n"
                       "Content-Length: %zu\r\n\r\n",
                       target, if_match, size);
    send_all(fd, text, (size_t)len);
    send_all(fd, value, size);
    free(value);
    return fd;
}

/* The next bytes; 0 at the end. */
static size_t receive(int fd, char *out, size_t max)
{
    struct pollfd in = {fd, POLLIN, 0};
    ck_assert_int_eq(poll(&in, 1, DEADLINE_MS), 1);
    ssize_t len = recv(fd, out, max, 0);
    return len > 0 ? (size_t)len : 0;
}

/* The head of an answer, and no byte more: from here on the answer is under way. */
static const char *head(int fd)
{
    static char text[4096];
    size_t len = 0;
    do {
        ck_assert_uint_lt(len, sizeof(text) - 1);
        ck_assert_uint_eq(receive(fd, text + len, 1), 1);
        text[++len] = '\0';
    } while (!strstr(text, "\r\n\r\n"));
    return text;
}

/* The stream up to and with the end of the next frame that holds this text. */
static const char *frame(int fd, const char *wanted)
{
    static char text[4096];
    for (;;) {
        size_t len = 0;
        do {
            ck_assert_uint_lt(len, sizeof(text) - 1);
            ck_assert_uint_eq(receive(fd, text + len, 1), 1);
            text[++len] = '\0';
        } while (!strstr(text, "\n\n"));
        if (strstr(text, wanted))
            return text;
    }
}

/* An answer that its client does not go on reading. */
static int begin_get(const char *target)
{
    int fd = ask("GET", target);
    ck_assert_ptr_nonnull(strstr(head(fd), " 200 "));
    return fd;
}

static const char *body(int fd)
{
    static char text[8192];
    size_t len = 0, got;
    (void)head(fd);
    (void)shutdown(fd, SHUT_WR);
    while ((got = receive(fd, text + len, sizeof(text) - 1 - len)) > 0)
        len += got;
    text[len] = '\0';
    (void)close(fd);
    return text;
}

static uint64_t answer_bytes(void)
{
    static const char name[] = "\"answer_bytes\":";
    const char *at = strstr(body(ask("GET", "/v1/status")), name);
    ck_assert_ptr_nonnull(at);
    return strtoull(at + strlen(name), NULL, 10);
}

static bool has_ended(int fd)
{
    struct pollfd end = {fd, POLLRDHUP, 0};
    return poll(&end, 1, 0) == 1;
}

static void wait_until_ended(int fd)
{
    struct pollfd end = {fd, POLLRDHUP, 0};
    ck_assert_int_eq(poll(&end, 1, DEADLINE_MS), 1);
}

static void wait_until_bytes(uint64_t wanted)
{
    int64_t end = kv_clock_monotonic_ns() + DEADLINE_MS * KV_NS_PER_MS;
    while (answer_bytes() != wanted)
        ck_assert_int_lt(kv_clock_monotonic_ns(), end);
}

static void answers_count_once(void)
{
    ck_assert_int_eq(put_sized("k", LARGE, 'x'), 0);
    int first = begin_get("/v1/keys/k"), second = begin_get("/v1/keys/k");
    ck_assert_uint_ge(answer_bytes(), LARGE);
    ck_assert_uint_lt(answer_bytes(), LARGE + 4 * KIB);
    (void)close(first);
    (void)close(second);
    wait_until_bytes(0);
}

START_TEST(answers_of_one_version_count_once)
{
    answers_count_once();
}
END_TEST

START_TEST(answers_of_one_version_count_once_without_a_cache)
{
    kv_httpd_stop(server);
    store_config.cache_bytes = 1; /* keeps nothing */
    store_reopen();
    start_server(2 * LARGE, 0);
    answers_count_once();
}
END_TEST

START_TEST(answers_of_old_versions_are_bounded)
{
    ck_assert_int_eq(put_sized("k", LARGE, '1'), 0);
    int old = begin_get("/v1/keys/k");
    ck_assert_int_eq(put_sized("k", LARGE, '2'), 0);
    int fd = ask("GET", "/v1/keys/k");
    const char *answer = head(fd);
    ck_assert_ptr_nonnull(strstr(answer, " 503 "));
    ck_assert_ptr_nonnull(strstr(answer, "\r\nRetry-After: "));
    ck_assert_ptr_nonnull(strstr(answer, "\r\nContent-Type: application/json\r\n"));
    (void)close(fd);
    ck_assert_ptr_nonnull(
        strstr(body(ask("GET", "/v1/keys/k")), "{\"error\":{\"code\":\"busy\","));
    ck_assert_ptr_nonnull(
        strstr(body(ask("GET", "/v1/keys?values=1")), "\"code\":\"busy\""));

    /* What needs no such memory goes on. */
    ck_assert_int_eq(put("small", "v"), 0);
    ck_assert_str_eq(body(ask("GET", "/v1/keys/small")), "v");
    fd = ask("HEAD", "/v1/keys/k");
    ck_assert_ptr_nonnull(strstr(head(fd), "\r\nContent-Length: 921600\r\n"));
    (void)close(fd);

    (void)close(old);
    wait_until_bytes(0);
    (void)close(begin_get("/v1/keys/k"));
}
END_TEST

START_TEST(answer_that_is_taken_byte_by_byte_is_cut)
{
    ck_assert_int_eq(put_sized("k", 320 * KIB, 'x'), 0);
    int64_t start = kv_clock_monotonic_ns();
    int fd = begin_get("/v1/keys/k");
    struct pollfd end = {fd, POLLRDHUP, 0};
    char byte;
    while (poll(&end, 1, 200) == 0) {
        ck_assert_int_lt(kv_clock_monotonic_ns() - start, DEADLINE_MS * KV_NS_PER_MS);
        ck_assert_uint_eq(receive(fd, &byte, 1), 1);
    }
    (void)close(fd);
    /* A second, and five for the size. */
    ck_assert_int_gt(kv_clock_monotonic_ns() - start, 5 * KV_NS_PER_S);
    wait_until_bytes(0);
}
END_TEST

START_TEST(watch_that_does_not_read_is_cut_and_one_that_waits_is_not)
{
    int waits = begin_get("/v1/watch?key=k"), sleeps = begin_get("/v1/watch?dir=d");
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(put_sized("d/k", 64 * KIB, 'x'), 0);
    wait_until_ended(sleeps);
    (void)close(sleeps);
    wait_until_bytes(0);
    ck_assert(!has_ended(waits));
    ck_assert_int_eq(put("k", "v"), 0);
    ck_assert_ptr_nonnull(strstr(frame(waits, "event: put"), "\"value\":\"v\""));
    (void)close(waits);
}
END_TEST

START_TEST(watch_goes_on_without_values_when_answers_have_no_room)
{
    int watch = begin_get("/v1/watch?key=k");
    ck_assert_int_eq(put_sized("a", LARGE, 'x'), 0);
    ck_assert_int_eq(put_sized("b", 2 * LARGE / 3, 'x'), 0);
    int first = begin_get("/v1/keys/a"), second = begin_get("/v1/keys/b");
    ck_assert_int_eq(put("k", "v"), 0);
    ck_assert_ptr_nonnull(
        strstr(frame(watch, "event: put"), "\"size\":1,\"omitted\":true}"));
    (void)close(first);
    (void)close(second);
    wait_until_bytes(0);
    ck_assert_int_eq(put("k", "w"), 0);
    ck_assert_ptr_nonnull(strstr(frame(watch, "event: put"), "\"value\":\"w\""));
    (void)close(watch);
}
END_TEST

/* A frame in which a value is six times as long as it is, and the socket has not that
 * much room. */
START_TEST(websocket_that_does_not_read_does_not_hold_up_the_end)
{
    static const char upgrade[] =
        "GET /v1/watch?since=0 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    struct kv_httpd_config config = {
        .socket_path = address.sun_path, .state_dir = dir, .transfer_timeout_s = 3600};
    int64_t end = kv_clock_monotonic_ns() + DEADLINE_MS * KV_NS_PER_MS;
    int fd, waiting = 0;
    kv_httpd_stop(server);
    ck_assert_int_eq(kv_httpd_start(store, &config, &server), 0);
    ck_assert_int_eq(put_sized("k", 64 * KIB, '\1'), 0);
    fd = dial();
    send_all(fd, upgrade, sizeof(upgrade) - 1);
    ck_assert_ptr_nonnull(strstr(head(fd), " 101 "));
    while (waiting < 64 * KIB) {
        ck_assert_int_eq(ioctl(fd, FIONREAD, &waiting), 0);
        ck_assert_int_lt(kv_clock_monotonic_ns(), end);
        sched_yield();
    }
    kv_httpd_stop(server); /* before the test's time is up */
    start_server(0, 0);
    (void)close(fd);
}
END_TEST

/* Send a byte now and then until the daemon ends it; how long that took. */
static int64_t drip(int fd, char byte)
{
    int64_t start_ns = kv_clock_monotonic_ns(), took_ns = 0;
    struct pollfd end = {fd, POLLIN | POLLRDHUP, 0};
    while (poll(&end, 1, 200) == 0) {
        (void)send(fd, &byte, 1, MSG_NOSIGNAL); /* it may just have ended */
        took_ns = kv_clock_monotonic_ns() - start_ns;
        ck_assert_int_lt(took_ns, DEADLINE_MS * KV_NS_PER_MS);
    }
    return took_ns;
}

START_TEST(body_that_comes_byte_by_byte_is_cut)
{
    static const char put_head[] = "PUT /v1/keys/k HTTP/1.1\r\nHost: localhost\r\n"
                                   "Content-Length: 100000\r\n\r\n";
    int fd = dial();
    send_all(fd, put_head, sizeof(put_head) - 1);
    /* A second, and one more that everybody has. */
    ck_assert_int_gt(drip(fd, 'x'), KV_NS_PER_S);
    ck_assert_uint_eq(receive(fd, (char[1]){0}, 1), 0);
    (void)close(fd);
    ck_assert_str_eq(value_of("k"), "-");
}
END_TEST

START_TEST(headers_that_come_byte_by_byte_are_cut)
{
    static const char begin[] = "GET / HTTP/1.1\r\nX-Header: ";
    int fd = dial();
    send_all(fd, begin, sizeof(begin) - 1);
    (void)drip(fd, 'x');
    ck_assert_uint_eq(receive(fd, (char[1]){0}, 1), 0);
    (void)close(fd);
}
END_TEST

START_TEST(connection_on_which_nothing_is_asked_is_closed)
{
    kv_httpd_stop(server);
    start_server(0, 1);
    int silent = dial(), blank = dial();
    /* Empty lines before a request line are skipped, and are none. */
    (void)drip(blank, '\n');
    wait_until_ended(blank);
    wait_until_ended(silent);
    (void)close(blank);
    int after = begin_get("/healthz");
    wait_until_ended(after);
    (void)close(silent);
    (void)close(after);
}
END_TEST

START_TEST(body_that_is_kept_for_another_try_counts_twice)
{
    const size_t size = 1000 * KIB; /* allowed once, not twice */
    ck_assert_int_eq(put("k", "v"), 0);
    int fd = ask_put("/v1/keys/k", "\"1\", \"99\"", size);
    ck_assert_ptr_nonnull(strstr(head(fd), " 503 "));
    (void)close(fd);
    ck_assert_value("k", "v");
    fd = ask_put("/v1/keys/k", "\"1\"", size);
    ck_assert_ptr_nonnull(strstr(head(fd), " 200 "));
    (void)close(fd);
    fd = ask_put("/v1/keys/k", "\"2\", \"99\"", size / 2);
    ck_assert_ptr_nonnull(strstr(head(fd), " 200 "));
    (void)close(fd);
}
END_TEST

static int ask_compressed(const char *target)
{
    char text[512];
    int fd = dial();
    int len = snprintf(text, sizeof(text),
                       "GET %s HTTP/1.1\r\nHost: localhost\r\n"
                       "Accept-Encoding: gzip\r\n\r\n",
                       target);
    send_all(fd, text, (size_t)len);
    return fd;
}

START_TEST(answer_is_compressed_while_there_is_room_for_it)
{
    ck_assert_int_eq(put_sized("a", LARGE, 'x'), 0);
    ck_assert_int_eq(put_sized("b", LARGE - 100 * KIB, 'x'), 0);
    int fd = ask_compressed("/metrics");
    ck_assert_ptr_nonnull(strstr(head(fd), "\r\nContent-Encoding: gzip\r\n"));
    (void)close(fd);
    wait_until_bytes(0);
    int first = begin_get("/v1/keys/a"), second = begin_get("/v1/keys/b");
    fd = ask_compressed("/metrics");
    const char *answer = head(fd);
    ck_assert_ptr_nonnull(strstr(answer, " 200 "));
    ck_assert_ptr_null(strstr(answer, "Content-Encoding"));
    (void)close(fd);
    (void)close(first);
    (void)close(second);
    wait_until_bytes(0);
}
END_TEST

START_TEST(gets_of_a_transaction_count_until_they_are_answered)
{
    ck_assert_int_eq(put_sized("a", LARGE, 'x'), 0);
    ck_assert_int_eq(put_sized("b", LARGE - 40 * KIB, 'x'), 0);
    static const char get[] = "POST /v1/txn HTTP/1.1\r\nHost: localhost\r\n"
                              "Content-Length: 33\r\n\r\n"
                              "{\"then\":[{\"op\":\"get\",\"key\":\"k\"}]}";
    int first = begin_get("/v1/keys/a"), second = begin_get("/v1/keys/b");
    int fd = dial();
    send_all(fd, get, sizeof(get) - 1);
    ck_assert_ptr_nonnull(strstr(head(fd), " 503 "));
    (void)close(fd);
    (void)close(first);
    (void)close(second);
    wait_until_bytes(0);
    fd = dial();
    send_all(fd, get, sizeof(get) - 1);
    ck_assert_ptr_nonnull(strstr(head(fd), " 200 "));
    (void)close(fd);
    wait_until_bytes(0);
}
END_TEST

/* The committer stands still behind its first commit until it is let go. */
static int standing[2], let_go[2];
static atomic_bool stood;

static void stand_still(void *ctx, struct kv_event *const *events, size_t count,
                        const uint64_t *touched_ids, size_t touched_count)
{
    char byte = 0;
    (void)ctx, (void)events, (void)count, (void)touched_ids, (void)touched_count;
    if (atomic_exchange(&stood, true))
        return;
    ck_assert_int_eq(write(standing[1], &byte, 1), 1);
    ck_assert_int_eq(read(let_go[0], &byte, 1), 1);
}

static void send_lines(int fd, int from, int to)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf text = {0};
    for (int i = from; i < to; i++)
        kv_buf_addf(&text, "{\"key\":\"k%06d\",\"value\":\"v\"}\n", i);
    send_all(fd, text.data, text.len);
}

/* Another one, which has longer because it has sent more, is cut off meanwhile. */
START_TEST(an_import_has_the_time_that_its_commits_take)
{
    enum { LINES = 1500, LINE = 30, MORE = 256 * KIB };
    struct kv_observer observer = {.fn = stand_still};
    static char more[MORE];
    char text[200], byte;
    atomic_store(&stood, false);
    ck_assert_int_eq(pipe(standing) | pipe(let_go), 0);
    kv_httpd_stop(server);
    start_server(0, 0); /* an import needs more room than the others here have */
    kv_store_add_observer(store, &observer);
    int import = dial(), other = dial();
    send_all(import, text,
             (size_t)snprintf(text, sizeof(text),
                              "POST /v1/import HTTP/1.1\r\nHost: localhost\r\n"
                              "Content-Length: %d\r\n\r\n",
                              LINES * LINE));
    send_lines(import, 0, LINES - 1);
    ck_assert_int_eq(read(standing[0], &byte, 1), 1);
    send_all(other, text,
             (size_t)snprintf(text, sizeof(text),
                              "PUT /v1/keys/other HTTP/1.1\r\nHost: localhost\r\n"
                              "Content-Length: %d\r\n\r\n",
                              MORE + 1));
    send_all(other, more, sizeof(more));
    ck_assert_uint_eq(receive(other, &byte, 1), 0);
    ck_assert_int_eq(write(let_go[1], &byte, 1), 1);
    send_lines(import, LINES - 1, LINES);
    ck_assert_int_eq(strncmp(head(import), "HTTP/1.1 200", 12), 0);
    kv_store_remove_observer(store, &observer);
    close(import);
    close(other);
    for (int i = 0; i < 2; i++) {
        close(standing[i]);
        close(let_go[i]);
    }
}
END_TEST

KV_SUITE_WITH("httpd_answers", setup, teardown,
              answer_is_compressed_while_there_is_room_for_it,
              gets_of_a_transaction_count_until_they_are_answered,
              answers_of_one_version_count_once,
              answers_of_one_version_count_once_without_a_cache,
              answers_of_old_versions_are_bounded,
              answer_that_is_taken_byte_by_byte_is_cut,
              watch_that_does_not_read_is_cut_and_one_that_waits_is_not,
              watch_goes_on_without_values_when_answers_have_no_room,
              websocket_that_does_not_read_does_not_hold_up_the_end,
              body_that_is_kept_for_another_try_counts_twice,
              body_that_comes_byte_by_byte_is_cut,
              headers_that_come_byte_by_byte_are_cut,
              connection_on_which_nothing_is_asked_is_closed,
              an_import_has_the_time_that_its_commits_take)
