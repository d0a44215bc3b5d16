/* Random operations on one file, against a model of its bytes in memory.
 *
 *     random_ops [--seed N] [--operations N] [--max BYTES] FILE
 *
 * Each operation is done to the file and to the model, and what it returns is compared;
 * so are size and bytes after each change of the handle. A pair of the same seed and
 * options does the same. The first mismatch ends the run with the last operations and
 * the place of the first wrong byte. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define LOG_LINES 64
#define LINE 160

static struct {
    const char *path;
    int fd;
    bool append; /* the handle */
    char *bytes; /* the model; zeros from size on */
    size_t size, max;
    char *buf; /* room for one operation */
    uint64_t random, done;
    char log[LOG_LINES][LINE];
    uint64_t logged;
} run;

/* -- Random numbers: xorshift64* -- */

static uint64_t next_random(void)
{
    run.random ^= run.random >> 12;
    run.random ^= run.random << 25;
    run.random ^= run.random >> 27;
    return run.random * 0x2545f4914f6cdd1dull;
}

static size_t below(size_t limit)
{
    return limit ? (size_t)((next_random() >> 11) % limit) : 0;
}

/* Mostly small, sometimes anything; often at a border. */
static size_t some_length(size_t limit)
{
    if (limit == 0)
        return 0;
    size_t len = below(4) ? below(limit < 5000 ? limit : 5000) : below(limit);
    return below(8) == 0 && len > 4096 ? len / 4096 * 4096 : len;
}

/* -- The log -- */

__attribute__((format(printf, 1, 2))) static void note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(run.log[run.logged++ % LOG_LINES], LINE, format, args);
    va_end(args);
}

__attribute__((format(printf, 1, 2), noreturn)) static void mismatch(const char *format,
                                                                     ...)
{
    int err = errno;
    va_list args;
    uint64_t first = run.logged > LOG_LINES ? run.logged - LOG_LINES : 0;
    for (uint64_t i = first; i < run.logged; i++)
        printf("# %llu %s\n", (unsigned long long)i, run.log[i % LOG_LINES]);
    printf("# MISMATCH: ");
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf(" (errno %s); the model has %zu bytes\n", strerrorname_np(err), run.size);
    exit(1);
}

/* -- Comparing -- */

static void compare(const char *what, const char *got, size_t offset, size_t len)
{
    if (memcmp(got, run.bytes + offset, len) == 0)
        return;
    size_t at = 0;
    while (got[at] == run.bytes[offset + at])
        at++;
    mismatch("%s: byte %zu is %02x, should be %02x", what, offset + at,
             (unsigned char)got[at], (unsigned char)run.bytes[offset + at]);
}

static void compare_size(const char *what, off_t got)
{
    if ((size_t)got != run.size)
        mismatch("%s is %lld", what, (long long)got);
}

static void compare_all(void)
{
    struct stat st;
    if (fstat(run.fd, &st) < 0)
        mismatch("fstat");
    compare_size("the size", st.st_size);
    ssize_t got = pread(run.fd, run.buf, run.max + 1, 0);
    if (got != (ssize_t)run.size)
        mismatch("pread of everything gives %zd", got);
    compare("everything", run.buf, 0, run.size);
}

static void compare_by_name(void)
{
    struct stat st;
    if (stat(run.path, &st) < 0)
        mismatch("stat");
    compare_size("the size by name", st.st_size);
    int fd = open(run.path, O_RDONLY);
    ssize_t got = fd < 0 ? -1 : read(fd, run.buf, run.max + 1);
    if (got != (ssize_t)run.size)
        mismatch("read by name gives %zd", got);
    compare("by name", run.buf, 0, run.size);
    close(fd);
}

/* -- Operations -- */

static void do_read(void)
{
    size_t offset = below(run.max + run.max / 8), len = some_length(run.max);
    note("pread %zu bytes at %zu", len, offset);
    size_t want = offset >= run.size        ? 0
                  : run.size - offset < len ? run.size - offset
                                            : len;
    ssize_t got = pread(run.fd, run.buf, len, (off_t)offset);
    if (got != (ssize_t)want)
        mismatch("pread gives %zd, not %zu", got, want);
    if (want)
        compare("pread", run.buf, offset, want);
}

static void grow_to(size_t end)
{
    if (end > run.size)
        run.size = end;
}

static void fill(size_t len)
{
    char letter = (char)('a' + next_random() % 26);
    for (size_t i = 0; i < len; i++)
        run.buf[i] = (char)(letter + (char)(i % 5));
}

static void do_write(void)
{
    size_t offset = run.append ? run.size : below(run.max);
    if (!run.append && below(3) == 0 && run.size < run.max)
        offset = run.size;
    size_t len = some_length(run.max - offset);
    bool vector = below(5) == 0;
    note("%s %zu bytes at %zu", vector ? "pwritev" : "pwrite", len, offset);
    fill(len);
    struct iovec parts[2] = {{run.buf, len / 3}, {run.buf + len / 3, len - len / 3}};
    ssize_t got = vector ? pwritev(run.fd, parts, 2, (off_t)offset)
                         : pwrite(run.fd, run.buf, len, (off_t)offset);
    if (got != (ssize_t)len)
        mismatch("it gives %zd", got);
    if (len == 0)
        return;
    memcpy(run.bytes + offset, run.buf, len);
    grow_to(offset + len);
}

static void resize_model(size_t size)
{
    if (size < run.size)
        memset(run.bytes + size, 0, run.size - size);
    run.size = size;
}

static void do_truncate(void)
{
    size_t size = below(4) ? below(run.max + 1) : below(run.size + 1);
    if (below(10) == 0)
        size = below(2) ? 0 : run.size;
    bool by_name = below(4) == 0;
    note("%s to %zu", by_name ? "truncate" : "ftruncate", size);
    int err =
        by_name ? truncate(run.path, (off_t)size) : ftruncate(run.fd, (off_t)size);
    if (err)
        mismatch("it fails");
    resize_model(size);
}

static void do_sync(void)
{
    bool data = below(2);
    note("%s", data ? "fdatasync" : "fsync");
    if (data ? fdatasync(run.fd) : fsync(run.fd))
        mismatch("it fails");
    compare_by_name();
}

static void do_reopen(void)
{
    int flags = O_RDWR | (below(4) ? 0 : O_APPEND) | (below(12) ? 0 : O_TRUNC) |
                (below(6) ? 0 : O_SYNC);
    note("close, open%s%s%s", flags & O_APPEND ? " O_APPEND" : "",
         flags & O_TRUNC ? " O_TRUNC" : "", flags & O_SYNC ? " O_SYNC" : "");
    if (close(run.fd))
        mismatch("close");
    compare_by_name();
    run.fd = open(run.path, flags);
    if (run.fd < 0)
        mismatch("open");
    run.append = flags & O_APPEND;
    if (flags & O_TRUNC)
        resize_model(0);
}

static void clear_model(size_t from, size_t to)
{
    if (to > run.size)
        to = run.size;
    if (from < to)
        memset(run.bytes + from, 0, to - from);
}

static void do_allocate(void)
{
    static const int modes[] = {
        0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
        FALLOC_FL_ZERO_RANGE, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE};
    size_t pick = below(sizeof(modes) / sizeof(*modes)), offset = below(run.max);
    size_t len = 1 + some_length(run.max - offset - 1);
    note("fallocate mode %#x, %zu bytes at %zu", (unsigned)modes[pick], len, offset);
    if (fallocate(run.fd, modes[pick], (off_t)offset, (off_t)len)) {
        if (errno == EOPNOTSUPP) /* tmpfs */
            return;
        mismatch("it fails");
    }
    if (modes[pick] & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
        clear_model(offset, offset + len);
    if (!(modes[pick] & FALLOC_FL_KEEP_SIZE))
        grow_to(offset + len);
}

static void do_append_flag(void)
{
    run.append = !run.append;
    note("fcntl: O_APPEND %s", run.append ? "on" : "off");
    int flags = fcntl(run.fd, F_GETFL);
    flags = run.append ? flags | O_APPEND : flags & ~O_APPEND;
    if (fcntl(run.fd, F_SETFL, flags))
        mismatch("it fails");
}

static void do_map(void)
{
    note("mmap, compare everything");
    if (run.size == 0)
        return;
    char *map = mmap(NULL, run.size, PROT_READ, MAP_PRIVATE, run.fd, 0);
    if (map == MAP_FAILED)
        mismatch("it fails");
    compare("the mapping", map, 0, run.size);
    munmap(map, run.size);
}

/* Within the file, to where the bytes do not lie. */
static void do_copy(void)
{
    size_t half = run.size / 2;
    if (half == 0 || run.append) /* EBADF */
        return;
    off_t from = (off_t)below(half), to = (off_t)(half + below(run.size - half));
    size_t len = some_length(half - (size_t)from);
    if ((size_t)to + len > run.max)
        len = run.max - (size_t)to;
    note("copy_file_range %zu bytes from %lld to %lld", len, (long long)from,
         (long long)to);
    off_t source = from, target = to;
    ssize_t got = copy_file_range(run.fd, &source, run.fd, &target, len, 0);
    if (got != (ssize_t)len)
        mismatch("it gives %zd", got);
    memmove(run.bytes + to, run.bytes + from, len);
    if (len)
        grow_to((size_t)to + len);
}

static void do_look(void)
{
    note("compare by name");
    compare_by_name();
}

static void do_duplicate(void)
{
    note("dup, close");
    int fd = dup(run.fd);
    if (fd < 0 || close(run.fd))
        mismatch("it fails");
    run.fd = fd;
}

static void do_rename(void)
{
    char other[4096];
    snprintf(other, sizeof(other), "%s.new", run.path);
    note("rename and back");
    if (rename(run.path, other) || rename(other, run.path))
        mismatch("it fails");
}

static void do_replace(void)
{
    char other[4096];
    snprintf(other, sizeof(other), "%s.new", run.path);
    size_t len = some_length(run.max);
    note("write %zu bytes to another file, rename it over this one", len);
    fill(len);
    int fd = open(other, O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write(fd, run.buf, len) != (ssize_t)len || rename(other, run.path))
        mismatch("it fails");
    close(run.fd);
    run.fd = fd;
    run.append = false;
    resize_model(0);
    memcpy(run.bytes, run.buf, len);
    run.size = len;
}

static void do_check(void)
{
    note("compare everything");
    compare_all();
}

static const struct {
    unsigned weight;
    void (*fn)(void);
} operations[] = {
    {30, do_read},  {35, do_write},    {12, do_truncate},   {3, do_sync},
    {6, do_reopen}, {2, do_duplicate}, {1, do_rename},      {1, do_replace},
    {10, do_check}, {4, do_allocate},  {2, do_append_flag}, {3, do_map},
    {4, do_copy},   {5, do_look},
};

static void one_operation(void)
{
    size_t total = 0, i = 0;
    for (size_t k = 0; k < sizeof(operations) / sizeof(*operations); k++)
        total += operations[k].weight;
    size_t pick = below(total);
    while (pick >= operations[i].weight)
        pick -= operations[i++].weight;
    operations[i].fn();
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},
        {"operations", required_argument, NULL, 'n'},
        {"max", required_argument, NULL, 'm'},
        {0}};
    uint64_t seed = 1, count = 20000;
    int option;
    run.max = 256 * 1024;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 's')
            seed = strtoull(optarg, NULL, 10);
        else if (option == 'n')
            count = strtoull(optarg, NULL, 10);
        else if (option == 'm')
            run.max = strtoull(optarg, NULL, 10);
        else
            return 2;
    }
    if (optind + 1 != argc || run.max == 0) {
        fprintf(stderr,
                "usage: random_ops [--seed N] [--operations N] [--max BYTES] FILE\n");
        return 2;
    }
    run.path = argv[optind];
    run.random = seed * 0x9e3779b97f4a7c15ull + 1;
    run.bytes = calloc(1, run.max + 1);
    run.buf = malloc(run.max + 1);
    run.fd = open(run.path, O_RDWR | O_CREAT | O_EXCL, 0644);
    if (!run.bytes || !run.buf || run.fd < 0) {
        perror(run.path);
        return 2;
    }
    for (; run.done < count; run.done++)
        one_operation();
    compare_all();
    if (close(run.fd))
        mismatch("the last close");
    compare_by_name();
    if (unlink(run.path))
        mismatch("unlink");
    printf("# %llu operations of seed %llu\n", (unsigned long long)count,
           (unsigned long long)seed);
    return 0;
}
