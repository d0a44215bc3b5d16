/* Many watchers in one process: watchers URL COUNT sse|websocket
 *
 * Opens COUNT watches of the directory "fan", prints "connected COUNT" when each has
 * had its first words, and then does what stdin says:
 *
 *     put SIZE    PUT a value of SIZE bytes into the directory, and wait until every
 *                 watcher has been told: "reached N of M in T ms, the PUT took P ms"
 *     stall N     do not read from the first N any more
 *
 * Exits 1 when something does not happen within a minute. */
#include "http.h"

#include "base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define DEADLINE_NS (60 * KV_NS_PER_S)
/* So many are on their way to be accepted at a time. */
#define OPENING_MAX 256
#define MARK_MAX 32

struct watcher {
    int fd;
    size_t matched; /* bytes of the mark */
    bool told;
};

static struct watcher *watchers;
static size_t count, stalled;
static int epoll_fd;
static char mark[MARK_MAX]; /* its first character stands in it once */
static size_t told;

static void die(const char *what)
{
    fprintf(stderr, "watchers: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        die("getrlimit");
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit))
        die("setrlimit");
}

static struct sockaddr_in address_of(const char *url)
{
    unsigned port;
    struct sockaddr_in address = {.sin_family = AF_INET};
    if (sscanf(url, "http://127.0.0.1:%u", &port) != 1) {
        errno = EINVAL;
        die(url);
    }
    address.sin_port = htons((uint16_t)port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void set_mark(const char *text)
{
    (void)snprintf(mark, sizeof(mark), "%s", text);
    told = 0;
    for (size_t i = 0; i < count; i++) {
        watchers[i].told = false;
        watchers[i].matched = 0;
    }
}

static void look_for_mark(struct watcher *watcher, const char *data, size_t len)
{
    for (size_t i = 0; i < len && !watcher->told; i++) {
        if (data[i] == mark[watcher->matched])
            watcher->matched++;
        else
            watcher->matched = data[i] == mark[0];
        watcher->told = mark[watcher->matched] == '\0';
    }
    told += watcher->told;
}

static void receive(struct watcher *watcher)
{
    static char data[256 * 1024];
    ssize_t len = recv(watcher->fd, data, sizeof(data), MSG_DONTWAIT);
    if (len < 0 && errno == EAGAIN)
        return;
    if (len <= 0)
        die("a watcher was closed");
    if (!watcher->told)
        look_for_mark(watcher, data, (size_t)len);
}

/* Until so many were told. */
static bool wait_told(size_t wanted)
{
    int64_t end = kv_clock_monotonic_ns() + DEADLINE_NS;
    while (told < wanted && kv_clock_monotonic_ns() < end) {
        struct epoll_event events[256];
        int ready = epoll_wait(epoll_fd, events, 256, 1000);
        for (int i = 0; i < ready; i++)
            receive(events[i].data.ptr);
    }
    return told >= wanted;
}

static void open_watcher(struct watcher *watcher, const struct sockaddr_in *address,
                         bool websocket)
{
    static const char request[] =
        "GET /v1/watch?dir=fan HTTP/1.1\r\nHost: localhost\r\n";
    static const char upgrade[] =
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    char text[512];
    int len =
        snprintf(text, sizeof(text), "%s%s\r\n", request, websocket ? upgrade : "");
    watcher->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (watcher->fd < 0)
        die("socket");
    int small = 4096; /* so that what is not read soon stays with the daemon */
    if (setsockopt(watcher->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)))
        die("SO_RCVBUF");
    if (connect(watcher->fd, (const struct sockaddr *)address, sizeof(*address)))
        die("connect");
    if (send(watcher->fd, text, (size_t)len, 0) != len)
        die("send");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = watcher};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, watcher->fd, &event))
        die("epoll_ctl");
}

static void open_all(const char *url, bool websocket)
{
    struct sockaddr_in address = address_of(url);
    set_mark(websocket ? "open\"" : ": kvfs"); /* what comes first */
    for (size_t i = 0; i < count; i++) {
        open_watcher(&watchers[i], &address, websocket);
        if (i >= OPENING_MAX && !wait_told(i - OPENING_MAX))
            die("a watch does not begin");
    }
    if (!wait_told(count))
        die("a watch does not begin");
    printf("connected %zu\n", count);
}

static void put(struct http *http, size_t size)
{
    static unsigned number;
    char *value = malloc(size + MARK_MAX);
    if (!value)
        die("malloc");
    char text[MARK_MAX];
    (void)snprintf(text, sizeof(text), "#%u;", ++number);
    set_mark(text);
    size_t len = strlen(text);
    memset(value, 'v', size + MARK_MAX);
    size_t at = size > len ? size - len : 0; /* the mark comes last */
    memcpy(value + at, text, len);
    int64_t start = kv_clock_monotonic_ns();
    int status =
        http_request(http, "PUT", "/v1/keys/fan/key", value, at + len, NULL, NULL);
    int64_t answered = kv_clock_monotonic_ns();
    free(value);
    if (status != 200 && status != 201) {
        fprintf(stderr, "watchers: PUT: %d %s\n", status, http_error(http));
        exit(1);
    }
    bool all = wait_told(count - stalled);
    printf("reached %zu of %zu in %.1f ms, the PUT took %.1f ms\n", told,
           count - stalled,
           (double)(kv_clock_monotonic_ns() - answered) / (double)KV_NS_PER_MS,
           (double)(answered - start) / (double)KV_NS_PER_MS);
    if (!all)
        exit(1);
}

static void stall(size_t wanted)
{
    for (; stalled < wanted && stalled < count; stalled++)
        if (epoll_ctl(epoll_fd, EPOLL_CTL_DEL, watchers[stalled].fd, NULL))
            die("epoll_ctl");
}

int main(int argc, char **argv)
{
    char line[64];
    size_t number;
    count = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
    if (count == 0) {
        fprintf(stderr, "usage: watchers URL COUNT sse|websocket\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    raise_limit();
    watchers = calloc(count, sizeof(*watchers));
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!watchers || epoll_fd < 0)
        die("starting");
    struct http *http = http_new(argv[1]);
    open_all(argv[1], strcmp(argv[3], "websocket") == 0);
    while (fgets(line, sizeof(line), stdin)) {
        if (sscanf(line, "put %zu", &number) == 1)
            put(http, number);
        else if (sscanf(line, "stall %zu", &number) == 1)
            stall(number);
        else
            die(line);
    }
    http_free(http);
    return 0;
}
