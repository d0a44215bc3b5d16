/* An HTTP client for numbers: many keep-alive connections, each with one request under
 * way, from one thread.
 *
 *     load PORT PUT|GET CONNECTIONS KEYS VALUE-BYTES COUNT random|sequential
 *
 * sends COUNT requests for the keys bench/0000000 .. and prints how many it got through
 * in a second. Any answer but 200 and 201 ends it. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 128 * 1024 };

struct connection {
    int fd;
    size_t len; /* of the answer so far */
    char answer[ROOM];
};

static bool put, sequential;
static unsigned long keys, count, sent, answered;
static size_t value_len;
static char request[ROOM];

static void die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static unsigned long next_key(void)
{
    static unsigned long long state = 88172645463325252ULL;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return sequential ? sent % keys : (unsigned long)(state % keys);
}

static void send_one(struct connection *connection)
{
    unsigned long key = next_key();
    int head = snprintf(request, sizeof request,
                        "%s /v1/keys/bench/%07lu HTTP/1.1\r\nHost: localhost\r\n",
                        put ? "PUT" : "GET", key);
    size_t len = (size_t)head;
    if (put)
        len += (size_t)sprintf(request + len, "Content-Length: %zu\r\n", value_len);
    len += (size_t)sprintf(request + len, "\r\n");
    if (put) {
        memset(request + len, 'a' + (int)(sent % 26), value_len);
        len += value_len;
    }
    if (write(connection->fd, request, len) != (ssize_t)len)
        die("write");
    sent++;
    connection->len = 0;
}

/* Whether the answer is whole; ends the program when it is not a good one. */
static bool is_whole(struct connection *connection)
{
    connection->answer[connection->len] = '\0';
    char *end = strstr(connection->answer, "\r\n\r\n");
    if (end == NULL)
        return false;
    if (strncmp(connection->answer, "HTTP/1.1 20", 11) != 0) {
        fprintf(stderr, "load: %s\n", connection->answer);
        exit(1);
    }
    char *length = strcasestr(connection->answer, "\r\nContent-Length:");
    size_t body = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
    return connection->len >= (size_t)(end + 4 - connection->answer) + body;
}

static void receive(struct connection *connection)
{
    ssize_t got = read(connection->fd, connection->answer + connection->len,
                       ROOM - 1 - connection->len);
    if (got <= 0)
        die("read");
    connection->len += (size_t)got;
    if (!is_whole(connection))
        return;
    answered++;
    if (sent < count)
        send_one(connection);
}

static void open_connection(struct connection *connection, int port, int epoll)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connection->fd < 0 ||
        connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, connection->fd, &event) != 0)
        die("epoll_ctl");
}

int main(int argc, char **argv)
{
    if (argc != 8) {
        fprintf(stderr, "usage: load PORT PUT|GET CONNECTIONS KEYS VALUE-BYTES COUNT "
                        "random|sequential\n");
        return 2;
    }
    put = strcmp(argv[2], "PUT") == 0;
    size_t connections = strtoul(argv[3], NULL, 10);
    keys = strtoul(argv[4], NULL, 10);
    value_len = strtoul(argv[5], NULL, 10);
    count = strtoul(argv[6], NULL, 10);
    sequential = strcmp(argv[7], "sequential") == 0;
    struct connection *all = calloc(connections, sizeof *all);
    int epoll = epoll_create1(0);
    if (all == NULL || epoll < 0 || value_len > ROOM / 2)
        die("start");
    for (size_t i = 0; i < connections; i++)
        open_connection(&all[i], atoi(argv[1]), epoll);
    double start = now();
    for (size_t i = 0; i < connections && sent < count; i++)
        send_one(&all[i]);
    while (answered < count) {
        struct epoll_event events[64];
        int ready = epoll_wait(epoll, events, 64, 30000);
        if (ready <= 0)
            die("nothing came for 30 s");
        for (int i = 0; i < ready; i++)
            receive(events[i].data.ptr);
    }
    printf("%.0f\n", (double)count / (now() - start));
    free(all);
    close(epoll);
    return 0;
}
