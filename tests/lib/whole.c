/* Overwrites one key many times while other processes read it, and checks each value
 * that anybody gets: never empty, short or mixed, never older than what was
 * acknowledged before the read began, never from the future, never going back for one
 * reader.
 *
 *     whole FILE URL KEY mount|http COUNT FIRST
 *
 * writes the values FIRST .. FIRST+COUNT-1 (see value.h) by the system calls of a
 * shell's `echo value > FILE`, or by PUT. Readers: two that open, read to the end and
 * close, one that runs cat(1), one that asks stat, one by HTTP GET. After each write
 * the writer itself looks, too: by stat, by reading, and now and then over the other
 * interface.
 *
 * The bounds for a read are two numbers in shared memory: `acked` loaded before it
 * begins, `started` loaded after its end. */
#include "http.h"
#include "value.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum reader { READ_1, READ_2, CAT, STAT, HTTP, READERS };
static const char *const reader_name[READERS] = {"read", "read", "cat", "stat", "GET"};

static struct shared {
    _Atomic uint64_t started, acked;
    atomic_bool stop;
    _Atomic uint64_t reads[READERS];
} * shared;

static const char *file, *url, *key_path;
static char bytes[VALUE_MAX + 128 * 1024];

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    atomic_store(&shared->stop, true);
    exit(1);
}

/* As cat does it: 128 KiB at a time until the end. */
static size_t read_all(int fd)
{
    size_t len = 0;
    while (len < sizeof bytes) {
        size_t room = sizeof bytes - len < 128 * 1024 ? sizeof bytes - len : 128 * 1024;
        ssize_t got = read(fd, bytes + len, room);
        if (got < 0)
            die("read: %s", strerror(errno));
        if (got == 0)
            return len;
        len += (size_t)got;
    }
    die("the value is longer than any that was written");
}

static size_t read_file(void)
{
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        die("open for reading: %s", strerror(errno));
    size_t len = read_all(fd);
    close(fd);
    return len;
}

static size_t read_with_cat(void)
{
    int ends[2];
    if (pipe(ends) != 0)
        die("pipe: %s", strerror(errno));
    pid_t child = fork();
    if (child == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execlp("cat", "cat", file, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    size_t len = read_all(ends[0]);
    close(ends[0]);
    int status;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        die("cat failed");
    return len;
}

static size_t read_http(struct http *http)
{
    const char *body;
    size_t len;
    int status = http_request(http, "GET", key_path, NULL, 0, &body, &len);
    if (status != 200)
        die("GET: status %d %s", status, http_error(http));
    if (len > sizeof bytes)
        die("GET: %zu bytes", len);
    memcpy(bytes, body, len);
    return len;
}

static uint64_t check_value(const char *who, size_t len, uint64_t low, uint64_t high)
{
    int64_t sequence = value_check(bytes, len, low, high);
    if (sequence < 0)
        die("%s got a wrong value: %zu bytes that begin with '%.16s' (lowest digit "
            "first), "
            "expected one of %#" PRIx64 "..%#" PRIx64,
            who, len, len ? bytes : "", low, high);
    return (uint64_t)sequence;
}

static void check_size(const char *who, off_t size, uint64_t low, uint64_t high)
{
    for (uint64_t sequence = low; sequence <= high; sequence++)
        if ((uint64_t)size == value_length(sequence))
            return;
    /* Whether it stays wrong tells a stale cache from a late invalidation. */
    struct stat st = {0};
    usleep(200000);
    (void)stat(file, &st);
    die("%s says %lld bytes, which none of %#" PRIx64 "..%#" PRIx64 " has (%#" PRIx64
        " before it has %zu); 0.2 s later it says %lld",
        who, (long long)size, low, high, low - 1, value_length(low - 1),
        (long long)st.st_size);
}

static void run_reader(enum reader kind)
{
    /* Never idle, but not in the way of the writer and the daemon. */
    if (nice(10) < 0)
        die("nice: %s", strerror(errno));
    struct http *http = http_new(url);
    uint64_t newest = 0;
    while (!atomic_load(&shared->stop)) {
        uint64_t low = atomic_load(&shared->acked);
        struct stat st;
        size_t len = 0;
        if (kind == STAT) {
            if (stat(file, &st) != 0)
                die("stat: %s", strerror(errno));
        } else {
            len = kind == CAT    ? read_with_cat()
                  : kind == HTTP ? read_http(http)
                                 : read_file();
        }
        uint64_t high = atomic_load(&shared->started);
        low = low > newest ? low : newest;
        if (kind == STAT)
            check_size("stat", st.st_size, low, high);
        else
            newest = check_value(reader_name[kind], len, low, high);
        atomic_fetch_add(&shared->reads[kind], 1);
    }
    http_free(http);
    exit(0);
}

/* bash: open is 3, dup2 onto the output, close 3, write, dup2 the old output back. */
static void write_by_echo(const char *value, size_t len)
{
    enum { OUTPUT = 100, SAVED = 101 };
    if (fcntl(SAVED, F_GETFD) < 0 &&
        (dup2(STDOUT_FILENO, SAVED) < 0 || dup2(1, OUTPUT) < 0))
        die("dup2: %s", strerror(errno));
    int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0)
        die("open for writing: %s", strerror(errno));
    if (dup2(fd, OUTPUT) < 0 || close(fd) != 0)
        die("dup2 or close of the new output: %s", strerror(errno));
    for (size_t at = 0; at < len;) {
        ssize_t put = write(OUTPUT, value + at, len - at);
        if (put < 0)
            die("write: %s", strerror(errno));
        at += (size_t)put;
    }
    if (dup2(SAVED, OUTPUT) < 0)
        die("dup2 of the old output: %s", strerror(errno));
}

static void write_by_put(struct http *http, const char *value, size_t len)
{
    int status = http_request(http, "PUT", key_path, value, len, NULL, NULL);
    if (status != 200 && status != 201)
        die("PUT: status %d %s", status, http_error(http));
}

static void run_writer(bool by_http, uint64_t first, uint64_t count)
{
    static char value[VALUE_MAX];
    struct http *http = http_new(url);
    for (uint64_t i = first; i < first + count && !atomic_load(&shared->stop); i++) {
        size_t len = value_make(i, value);
        atomic_store(&shared->started, i);
        if (by_http)
            write_by_put(http, value, len);
        else
            write_by_echo(value, len);
        atomic_store(&shared->acked, i);

        struct stat st;
        if (stat(file, &st) != 0)
            die("stat after the write: %s", strerror(errno));
        check_size("stat after the write", st.st_size, i, i);
        check_value("the writer's read", read_file(), i, i);
        if (i % 16 == 0)
            check_value("the writer's GET", read_http(http), i, i);
    }
    http_free(http);
}

int main(int argc, char **argv)
{
    if (argc != 7) {
        fprintf(stderr, "usage: whole FILE URL KEY mount|http COUNT FIRST\n");
        return 2;
    }
    bool by_http = strcmp(argv[4], "http") == 0;
    uint64_t count = strtoull(argv[5], NULL, 10), first = strtoull(argv[6], NULL, 10);
    char path[1024];
    snprintf(path, sizeof path, "/v1/keys/%s", argv[3]);
    file = argv[1], url = argv[2], key_path = path;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        perror("mmap");
        return 2;
    }

    run_writer(by_http, first, 1); /* there is a value before the first read */
    pid_t readers[READERS];
    for (int kind = 0; kind < READERS; kind++) {
        readers[kind] = fork();
        if (readers[kind] == 0)
            run_reader((enum reader)kind);
        if (readers[kind] < 0)
            die("fork: %s", strerror(errno));
    }
    run_writer(by_http, first + 1, count - 1);
    atomic_store(&shared->stop, true);

    int result = atomic_load(&shared->acked) == first + count - 1 ? 0 : 1;
    for (int kind = 0; kind < READERS; kind++) {
        int status;
        if (waitpid(readers[kind], &status, 0) < 0 || status != 0)
            result = 1;
        uint64_t reads = atomic_load(&shared->reads[kind]);
        printf("%s: %" PRIu64 " reads\n", reader_name[kind], reads);
        if (reads == 0)
            result = 1;
    }
    return result;
}
