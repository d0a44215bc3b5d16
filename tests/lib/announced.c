/* Programs that read a file whenever inotify says that it was changed, beside a storm
 * of changes: whatever they read at the last event of a file has to be its last value.
 *
 *     announced open|keep DIRECTORY URL KEY-OF-DIRECTORY KEYS PUTS CONNECTIONS WRITES
 *
 * The directory is there and empty. KEYS files are made in it; then one process sends
 * PUTS requests over CONNECTIONS connections, one under way on each, another one makes
 * WRITES changes on the mount, to files of its own, all in turn. Who is behind with his
 * events meets the last value early; therefore, when all events have been read, each
 * file is changed once more, and that has to be heard of.
 *
 * One thread watches the files, one their directory; they open a file at each event, or
 * keep it open and read it from its beginning again. Their parent's watch must hear
 * nothing. The last change is one of the file "end": nothing is behind it in a queue.
 *
 * A value is its number, letters up to a length that follows from it, and the number
 * again; so one that is cut, mixed or old is told from the right one. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_KEYS = 4096, ROOM = 4096, HEAD = 10, PATIENCE_MS = 30000 };

/* Which file is whose: the first ones are PUT, the others written on the mount. */
static unsigned long keys, over_http, requests, connections, writes;
static bool keep_open;
static const char *directory, *key_of_directory;
static uint16_t port;

static struct shared {
    atomic_ulong acknowledged[MAX_KEYS]; /* the newest number of each file */
} * shared;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, " (%s)\n", strerror(errno));
    _exit(1);
}

/* -- Values -- */

static size_t make_value(unsigned long number, char *out)
{
    size_t middle = number * 37 % 900;
    int head = sprintf(out, "%010lu", number);
    memset(out + head, 'a' + (int)(number % 26), middle);
    return (size_t)(head + (int)middle +
                    sprintf(out + head + middle, "%010lu", number));
}

/* The number of a value; ends the program when it is not whole. */
static unsigned long number_of(const char *name, const char *value, size_t len)
{
    char expected[ROOM];
    unsigned long number = len >= HEAD ? strtoul(value, NULL, 10) : 0;
    if (make_value(number, expected) != len || memcmp(value, expected, len) != 0)
        die("%s is not whole: %zu bytes, '%.*s'", name, len, (int)len, value);
    return number;
}

static void name_of(unsigned long key, char *out, size_t size)
{
    if (key == keys)
        snprintf(out, size, "end");
    else
        snprintf(out, size, "k%lu", key);
}

static void path_of(unsigned long key, char *out, size_t size)
{
    char name[32];
    name_of(key, name, sizeof name);
    snprintf(out, size, "%s/%s", directory, name);
}

/* -- Who watches -- */

enum { CHANGED = IN_MODIFY | IN_CLOSE_WRITE };

struct watcher {
    const char *what;
    int fd;
    bool by_file;                    /* or by the names of a directory */
    unsigned long seen[MAX_KEYS];    /* the number at the last event of each file */
    unsigned long events, overflows; /* overflow: everything is read once more */
    int key_of_wd[MAX_KEYS + 1], kept[MAX_KEYS];
};

static int open_key(unsigned long key)
{
    char path[512];
    path_of(key, path, sizeof path);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        die("open %s", path);
    return fd;
}

static void read_key(struct watcher *watcher, unsigned long key)
{
    char name[32], value[ROOM + 1];
    name_of(key, name, sizeof name);
    int fd = keep_open ? watcher->kept[key] : open_key(key);
    ssize_t len = pread(fd, value, ROOM, 0);
    if (len < 0)
        die("read %s", name);
    if (!keep_open)
        close(fd);
    value[len] = '\0';
    unsigned long number = number_of(name, value, (size_t)len);
    if (number < watcher->seen[key])
        die("%s goes back from %lu to %lu", name, watcher->seen[key], number);
    watcher->seen[key] = number;
}

static unsigned long key_of_event(const struct watcher *watcher,
                                  const struct inotify_event *event)
{
    if (watcher->by_file)
        return (unsigned long)watcher->key_of_wd[event->wd];
    return strcmp(event->name, "end") == 0 ? keys : strtoul(event->name + 1, NULL, 10);
}

static bool take_event(struct watcher *watcher, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW) {
        watcher->overflows++;
        for (unsigned long key = 0; key < keys; key++)
            read_key(watcher, key);
        return true;
    }
    unsigned long key = key_of_event(watcher, event);
    watcher->events++;
    read_key(watcher, key);
    return key != keys || !(event->mask & IN_CLOSE_WRITE);
}

static void *watch(void *arg)
{
    struct watcher *watcher = arg;
    static _Thread_local char buf[64 * 1024]
        __attribute__((aligned(__alignof__(struct inotify_event))));
    for (;;) {
        ssize_t got = read(watcher->fd, buf, sizeof buf);
        if (got <= 0)
            die("read of inotify");
        for (char *at = buf; at < buf + got;) {
            const struct inotify_event *event = (const void *)at;
            if (!take_event(watcher, event))
                return NULL;
            at += sizeof *event + event->len;
        }
    }
}

static void watch_files(struct watcher *watcher)
{
    for (unsigned long key = 0; key <= keys; key++) {
        char path[512];
        path_of(key, path, sizeof path);
        int wd = inotify_add_watch(watcher->fd, path, CHANGED);
        if (wd < 0 || (unsigned long)wd > keys + 1)
            die("watch %s", path);
        watcher->key_of_wd[wd] = (int)key;
    }
}

static void add_watches(struct watcher *watcher)
{
    watcher->fd = inotify_init1(IN_CLOEXEC);
    if (watcher->fd < 0)
        die("inotify_init1");
    if (watcher->by_file)
        watch_files(watcher);
    else if (inotify_add_watch(watcher->fd, directory, CHANGED) < 0)
        die("watch %s", directory);
    for (unsigned long key = 0; key <= keys; key++) {
        if (keep_open)
            watcher->kept[key] = open_key(key);
        read_key(watcher, key);
    }
}

/* -- Who changes: on the mount -- */

static void write_key(unsigned long key, unsigned long number)
{
    char path[512], value[ROOM];
    size_t len = make_value(number, value);
    path_of(key, path, sizeof path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, value, len) != (ssize_t)len || close(fd) != 0)
        die("write %s", path);
    atomic_store(&shared->acknowledged[key], number);
}

static unsigned long next_number(unsigned long key)
{
    return atomic_load(&shared->acknowledged[key]) + 1;
}

static void write_storm(unsigned long count)
{
    for (unsigned long i = 0; i < count; i++) {
        unsigned long key = over_http + i % (keys - over_http);
        write_key(key, next_number(key));
    }
}

/* -- Who changes: over HTTP -- */

struct connection {
    int fd;
    unsigned long key, number; /* under way */
    size_t len;
    char answer[ROOM];
};

static void send_put(struct connection *connection, unsigned long key)
{
    char request[2 * ROOM], value[ROOM], name[32];
    connection->key = key;
    connection->number = next_number(key);
    connection->len = 0;
    name_of(key, name, sizeof name);
    size_t len = make_value(connection->number, value);
    int head = snprintf(request, sizeof request,
                        "PUT /v1/keys/%s/%s HTTP/1.1\r\nHost: localhost\r\n"
                        "Content-Length: %zu\r\n\r\n",
                        key_of_directory, name, len);
    memcpy(request + head, value, len);
    if (write(connection->fd, request, (size_t)head + len) != head + (ssize_t)len)
        die("write to the server");
}

/* Whether the answer has come; ends the program when it is not 200. */
static bool answered(struct connection *connection)
{
    ssize_t got = read(connection->fd, connection->answer + connection->len,
                       sizeof connection->answer - 1 - connection->len);
    if (got <= 0)
        die("the server closed a connection");
    connection->len += (size_t)got;
    connection->answer[connection->len] = '\0';
    const char *end = strstr(connection->answer, "\r\n\r\n");
    const char *length = strcasestr(connection->answer, "\r\nContent-Length:");
    if (!end)
        return false;
    if (strncmp(connection->answer, "HTTP/1.1 200", 12) != 0)
        die("PUT: %s", connection->answer);
    size_t body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    return connection->len >= (size_t)(end + 4 - connection->answer) + body;
}

static void open_connection(struct connection *connection)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int on = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 ||
        connect(connection->fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* A file has one PUT under way at most, so its newest number is the last that was
 * acknowledged. */
static bool busy[MAX_KEYS];

static void send_next(struct connection *connection)
{
    static unsigned long next;
    while (busy[next % over_http])
        next++;
    busy[next % over_http] = true;
    send_put(connection, next++ % over_http);
}

static void take_answer(struct connection *connection)
{
    atomic_store(&shared->acknowledged[connection->key], connection->number);
    busy[connection->key] = false;
}

static void put_storm(unsigned long count)
{
    struct connection *all = calloc(connections, sizeof *all);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!all || epoll < 0)
        die("no memory for connections");
    for (unsigned long i = 0; i < connections; i++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
        open_connection(&all[i]);
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &event) != 0)
            die("epoll_ctl");
        send_next(&all[i]);
    }
    for (unsigned long sent = connections, done = 0; done < sent;) {
        struct epoll_event event;
        if (epoll_wait(epoll, &event, 1, PATIENCE_MS) != 1)
            die("no answer to a PUT");
        if (!answered(event.data.ptr))
            continue;
        take_answer(event.data.ptr);
        done++;
        if (sent < count) {
            send_next(event.data.ptr);
            sent++;
        }
    }
    free(all);
}

/* Over HTTP, because what this mount does itself is heard of at once, before what is
 * still in the notifier's queue. */
static void put_end(void)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection)
        die("no memory for a connection");
    open_connection(connection);
    send_put(connection, keys);
    while (!answered(connection))
        ;
    take_answer(connection);
    close(connection->fd);
    free(connection);
}

/* -- The whole -- */

static pid_t start(void (*storm)(unsigned long), unsigned long count)
{
    fflush(stdout);
    pid_t child = fork();
    if (child < 0)
        die("fork");
    if (child == 0) {
        storm(count);
        _exit(0);
    }
    return child;
}

static int end(pid_t child)
{
    int status;
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
}

/* How many files the watcher ended on something old with. */
static int check(const struct watcher *watcher)
{
    int old = 0;
    for (unsigned long key = 0; key < keys; key++) {
        unsigned long last = atomic_load(&shared->acknowledged[key]);
        if (watcher->seen[key] == last)
            continue;
        if (++old <= 5)
            fprintf(stderr, "%s: k%lu ended on %lu, its last value is %lu\n",
                    watcher->what, key, watcher->seen[key], last);
    }
    printf("%s: %lu events, %lu overflows, %d ended on an old value\n", watcher->what,
           watcher->events, watcher->overflows, old);
    return old;
}

static int watch_parent(void)
{
    char path[512];
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    snprintf(path, sizeof path, "%s/..", directory);
    if (fd < 0 || inotify_add_watch(fd, path, CHANGED) < 0)
        die("watch %s", path);
    return fd;
}

/* One storm, until everything is heard of. */
static int pass(struct watcher watchers[2], unsigned long put_count,
                unsigned long write_count)
{
    pthread_t threads[2];
    int failed = 0;
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, watch, &watchers[i]) != 0)
            die("pthread_create");
    pid_t putter = start(put_storm, put_count),
          writer = start(write_storm, write_count);
    failed = end(putter) | end(writer);
    if (failed)
        return 1;
    put_end();
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
        failed += check(&watchers[i]);
    }
    return failed;
}

static int run(void)
{
    static struct watcher watchers[2] = {{.what = "files", .by_file = true},
                                         {.what = "directory"}};
    int parent = watch_parent();
    for (int i = 0; i < 2; i++)
        add_watches(&watchers[i]);
    int failed = pass(watchers, requests, writes);
    if (!failed)
        failed = pass(watchers, over_http, keys - over_http);
    struct inotify_event event;
    if (read(parent, &event, sizeof event) >= 0 || errno != EAGAIN) {
        fprintf(stderr, "the parent heard of what happens below its directory\n");
        failed++;
    }
    return failed ? 1 : 0;
}

int main(int argc, char **argv)
{
    if (argc != 9) {
        fprintf(stderr, "usage: announced open|keep DIRECTORY URL KEY-OF-DIRECTORY "
                        "KEYS PUTS CONNECTIONS WRITES\n");
        return 2;
    }
    keep_open = strcmp(argv[1], "keep") == 0;
    directory = argv[2], key_of_directory = argv[4];
    port = (uint16_t)strtoul(strrchr(argv[3], ':') + 1, NULL, 10);
    keys = strtoul(argv[5], NULL, 10), requests = strtoul(argv[6], NULL, 10);
    connections = strtoul(argv[7], NULL, 10), writes = strtoul(argv[8], NULL, 10);
    over_http = keys - keys / 10;
    if (keys < 10 || keys >= MAX_KEYS || over_http < connections * 2 ||
        requests < connections) {
        fprintf(stderr, "announced: bad numbers\n");
        return 2;
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED)
        die("mmap");
    for (unsigned long key = 0; key <= keys; key++)
        write_key(key, 1);
    return run();
}
