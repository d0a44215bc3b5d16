/* How long after the answer to a PUT others hear of it: a program that waits for
 * inotify, and one that reads the change stream.
 *
 *     latency DIRECTORY URL KEY-OF-DIRECTORY COUNT RATE
 *
 * PUTs one key COUNT times, each after both have told of the one before, while another
 * process PUTs RATE other keys of the directory in a second (0: none). Prints the
 * median, the 99th percentile and the maximum for each, in us. A MODIFY event counts if
 * the file has the value by then, an event of the stream if it has the answer's
 * revision; anything else ends the program. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 16 * 1024, OTHER_KEYS = 1000, PATIENCE_MS = 30000 };

static const char *directory, *key_of_directory;
static uint16_t port;

/* A connection, and what came over it. */
struct stream {
    int fd;
    size_t len;
    char bytes[ROOM];
};

static struct stream answers, changes;
static int events, file; /* inotify; the key, open for reading */

__attribute__((noreturn)) static void die(const char *what)
{
    fprintf(stderr, "latency: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* -- HTTP -- */

static void open_stream(struct stream *stream)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    stream->len = 0;
    stream->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (stream->fd < 0 ||
        connect(stream->fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    setsockopt(stream->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void receive(struct stream *stream)
{
    if (stream->len + 1 >= sizeof stream->bytes)
        die("too much at once");
    ssize_t got = read(stream->fd, stream->bytes + stream->len,
                       sizeof stream->bytes - 1 - stream->len);
    if (got <= 0)
        die("the server closed a connection");
    stream->len += (size_t)got;
    stream->bytes[stream->len] = '\0';
}

static void send_put(int fd, const char *name, unsigned long number)
{
    char request[512], value[32];
    int len = snprintf(value, sizeof value, "%lu", number);
    len = snprintf(request, sizeof request,
                   "PUT /v1/keys/%s/%s HTTP/1.1\r\nHost: localhost\r\n"
                   "Content-Length: %d\r\n\r\n%s",
                   key_of_directory, name, len, value);
    if (write(fd, request, (size_t)len) != len)
        die("write to the server");
}

/* The number behind `what` in an answer that is whole, which is taken out of the
 * stream; 0 when it is not there yet. */
static uint64_t take_answer(struct stream *stream, const char *what)
{
    const char *end = stream->len > 0 ? strstr(stream->bytes, "\r\n\r\n") : NULL;
    if (!end)
        return 0;
    const char *length = strcasestr(stream->bytes, "\r\nContent-Length:");
    size_t body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    if (stream->len < (size_t)(end + 4 - stream->bytes) + body)
        return 0;
    const char *number = strcasestr(stream->bytes, what);
    if (strncmp(stream->bytes, "HTTP/1.1 20", 11) != 0 || !number) {
        fprintf(stderr, "latency: %s\n", stream->bytes);
        exit(1);
    }
    stream->len = 0;
    return strtoull(number + strlen(what), NULL, 10);
}

static uint64_t await_answer(struct stream *stream, const char *what)
{
    uint64_t number;
    do
        receive(stream);
    while (!(number = take_answer(stream, what)));
    return number;
}

static const char REVISION[] = "\r\nETag: \"";

static uint64_t put(struct stream *stream, const char *name, unsigned long number)
{
    send_put(stream->fd, name, number);
    return await_answer(stream, REVISION);
}

/* Until the mount has announced everything up to this revision. */
static void await_announced(struct stream *stream, uint64_t revision)
{
    static const char request[] = "GET /v1/status HTTP/1.1\r\nHost: localhost\r\n\r\n";
    do
        if (write(stream->fd, request, sizeof request - 1) != sizeof request - 1)
            die("write to the server");
    while (await_answer(stream, "\"notify_revision\":") < revision);
}

/* The id of the next event in the change stream, taken out of it; 0: none is whole. */
static uint64_t take_change(struct stream *stream)
{
    for (;;) {
        char *end = stream->len ? strstr(stream->bytes, "\n\n") : NULL;
        if (!end)
            return 0;
        *end = '\0';
        const char *id = strstr(stream->bytes, "id: ");
        uint64_t revision =
            id && strstr(stream->bytes, "data: ") ? strtoull(id + 4, NULL, 10) : 0;
        stream->len -= (size_t)(end + 2 - stream->bytes);
        memmove(stream->bytes, end + 2, stream->len + 1);
        if (revision)
            return revision;
    }
}

static void watch_changes(void)
{
    char request[512];
    int len = snprintf(request, sizeof request,
                       "GET /v1/watch?key=%s/probe HTTP/1.1\r\nHost: localhost\r\n\r\n",
                       key_of_directory);
    open_stream(&changes);
    if (write(changes.fd, request, (size_t)len) != len)
        die("write to the server");
    while (changes.len == 0 || !strstr(changes.bytes, "\r\n\r\n"))
        receive(&changes);
}

/* -- Others, who only make work -- */

static void sleep_until(int64_t ns)
{
    struct timespec ts = {ns / 1000000000, ns % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR)
        ;
}

static void other_name(unsigned long i, char name[32])
{
    snprintf(name, 32, "other-%lu", i % OTHER_KEYS);
}

/* Ten requests are sent at a time, on as many connections. */
static void make_work(unsigned long rate)
{
    static struct stream all[10];
    const unsigned long batch = sizeof all / sizeof *all;
    char name[32];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (unsigned long i = 0; i < batch; i++)
        open_stream(&all[i]);
    int64_t due = now_ns();
    for (unsigned long i = 0;; i += batch) {
        for (unsigned long j = 0; j < batch; j++) {
            other_name(i + j, name);
            send_put(all[j].fd, name, i);
        }
        for (unsigned long j = 0; j < batch; j++)
            (void)await_answer(&all[j], REVISION);
        due += (int64_t)(batch * 1000000000 / rate);
        sleep_until(due);
    }
}

/* The kernel knows their names, so they are announced like any that somebody uses. */
static pid_t start_work(unsigned long rate)
{
    char path[512], name[32];
    for (unsigned long i = 0; i < OTHER_KEYS; i++) {
        other_name(i, name);
        (void)put(&answers, name, 0);
        snprintf(path, sizeof path, "%s/%s", directory, name);
        if (access(path, F_OK) != 0)
            die(path);
    }
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0)
        make_work(rate);
    return child;
}

/* -- Measuring -- */

/* Whether inotify has something to tell, and the file has the value then. */
static void take_event(unsigned long number)
{
    char buf[4096], value[32];
    ssize_t got = read(events, buf, sizeof buf);
    ssize_t len = pread(file, value, sizeof value - 1, 0);
    if (got < (ssize_t)sizeof(struct inotify_event) || len < 0)
        die("read");
    value[len] = '\0';
    if (got > (ssize_t)sizeof(struct inotify_event) ||
        strtoul(value, NULL, 10) != number) {
        fprintf(stderr, "latency: %zd bytes of events, value '%s' of %lu\n", got, value,
                number);
        exit(1);
    }
}

/* One PUT: how long after its answer the two others have heard of it. */
static void measure(unsigned long number, int64_t *ret_event, int64_t *ret_change)
{
    int64_t answered = 0, told = 0, changed = 0;
    uint64_t revision = 0, announced = 0;
    send_put(answers.fd, "probe", number);
    while (!answered || !told || !changed) {
        struct pollfd fds[] = {{.fd = answers.fd, .events = POLLIN},
                               {.fd = events, .events = POLLIN},
                               {.fd = changes.fd, .events = POLLIN}};
        if (poll(fds, 3, PATIENCE_MS) <= 0)
            die("nothing came");
        int64_t now = now_ns();
        if (fds[0].revents) {
            receive(&answers);
            if ((revision = take_answer(&answers, REVISION)))
                answered = now;
        }
        if (fds[1].revents) {
            take_event(number);
            told = now;
        }
        if (fds[2].revents) {
            receive(&changes);
            if ((announced = take_change(&changes)))
                changed = now;
        }
    }
    if (announced != revision)
        die("the stream told of another change");
    *ret_event = told > answered ? told - answered : 0;
    *ret_change = changed > answered ? changed - answered : 0;
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void print(const char *name, int64_t *ns, size_t count)
{
    qsort(ns, count, sizeof *ns, by_size);
    printf("%s %.0f %.0f %.0f\n", name, (double)ns[count / 2] / 1e3,
           (double)ns[count * 99 / 100] / 1e3, (double)ns[count - 1] / 1e3);
}

/* The file is there, known, and all that was changed before is told of. */
static void begin(void)
{
    char path[512];
    open_stream(&answers);
    await_announced(&answers, put(&answers, "probe", 0));
    snprintf(path, sizeof path, "%s/probe", directory);
    events = inotify_init1(IN_CLOEXEC);
    file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || events < 0 || inotify_add_watch(events, path, IN_MODIFY) < 0)
        die(path);
}

int main(int argc, char **argv)
{
    if (argc != 6) {
        fprintf(stderr, "usage: latency DIRECTORY URL KEY-OF-DIRECTORY COUNT RATE\n");
        return 2;
    }
    directory = argv[1], key_of_directory = argv[3];
    port = (uint16_t)strtoul(strrchr(argv[2], ':') + 1, NULL, 10);
    size_t count = strtoul(argv[4], NULL, 10);
    unsigned long rate = strtoul(argv[5], NULL, 10);
    int64_t *event_ns = calloc(count, sizeof *event_ns);
    int64_t *change_ns = calloc(count, sizeof *change_ns);
    if (!event_ns || !change_ns || count == 0)
        die("start");
    begin();
    pid_t worker = rate ? start_work(rate) : 0;
    watch_changes();
    for (size_t i = 0; i < count; i++)
        measure(i + 1, &event_ns[i], &change_ns[i]);
    if (worker) {
        kill(worker, SIGKILL);
        waitpid(worker, NULL, 0);
    }
    print("inotify", event_ns, count);
    print("stream", change_ns, count);
    return 0;
}
