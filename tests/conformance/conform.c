/* Runs the families of conform.h in a directory and reports TAP.
 *
 *     conform DIR [FAMILY...]
 *
 * Cases run in children: what one leaves behind - identity, locks, open files, a crash
 * - does not reach the next. The parent removes a case's directory when it has ended.
 */
#include "conform.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CASE_SECONDS 60

static const struct family *const families[] = {
    &family_open,  &family_data,   &family_size,   &family_space,  &family_handle,
    &family_make,  &family_remove, &family_rename, &family_path,   &family_dir,
    &family_stat,  &family_chmod,  &family_owner,  &family_access, &family_utime,
    &family_times, &family_xattr,  &family_lock,
};

/* Shared by parent and children. */
struct count {
    unsigned run, failed;
};
static struct count *count;
static const char *family_name, *case_name;

/* -- Assertions -- */

static void report(bool passed, const char *what)
{
    count->run++;
    count->failed += !passed;
    printf("%s %u - %s/%s: %s\n", passed ? "ok" : "not ok", count->run, family_name,
           case_name, what);
}

int ok(const char *what, int result)
{
    int err = errno;
    report(result >= 0, what);
    if (result < 0)
        printf("# got %s\n", strerrorname_np(err));
    errno = err;
    return result;
}

void fails(const char *what, int result, int err)
{
    int got = errno;
    bool passed = result < 0 && got == err;
    report(passed, what);
    if (!passed)
        printf("# got %s, expected %s\n", result < 0 ? strerrorname_np(got) : "success",
               strerrorname_np(err));
}

void is(const char *what, long long got, long long want)
{
    report(got == want, what);
    if (got != want)
        printf("# got %lld, expected %lld\n", got, want);
}

void is_mode(const char *what, mode_t got, mode_t want)
{
    report(got == want, what);
    if (got != want)
        printf("# got %04o, expected %04o\n", got, want);
}

void yes(const char *what, bool holds)
{
    report(holds, what);
}

void same(const char *what, const char *got, const char *want)
{
    bool equal = strcmp(got, want) == 0;
    report(equal, what);
    if (!equal)
        printf("# got '%.200s', expected '%.200s'\n", got, want);
}

long must_(const char *call, long result)
{
    if (result >= 0)
        return result;
    const char *error = strerrorname_np(errno);
    report(false, "goes to its end");
    printf("# %s: %s\n", call, error);
    exit(0);
}

/* -- Steps -- */

const char *text(const char *format, ...)
{
    char *out;
    va_list args;
    va_start(args, format);
    must(vasprintf(&out, format, args));
    va_end(args);
    return out;
}

const char *letters(size_t len)
{
    char *out = malloc(len + 1);
    must(out ? 0 : -1);
    memset(out, 'x', len);
    out[len] = '\0';
    return out;
}

int opened(const char *path, int flags)
{
    return (int)must(open(path, flags, 0644));
}

void put_at(int fd, off_t offset, const char *bytes)
{
    must(pwrite(fd, bytes, strlen(bytes), offset) == (ssize_t)strlen(bytes) ? 0 : -1);
}

int fresh(const char *path, const char *bytes)
{
    int fd = opened(path, O_RDWR | O_CREAT | O_TRUNC);
    must(write(fd, bytes, strlen(bytes)) == (ssize_t)strlen(bytes) ? 0 : -1);
    return fd;
}

void put(const char *path, const char *bytes)
{
    must(close(fresh(path, bytes)));
}

void make(const char *path)
{
    must(close(opened(path, O_WRONLY | O_CREAT | O_EXCL)));
}

const char *value_fd(int fd)
{
    static char bytes[1 << 16];
    size_t len = 0;
    ssize_t part;
    while ((part = pread(fd, bytes + len, sizeof(bytes) - 1 - len, (off_t)len)) > 0)
        len += (size_t)part;
    if (part < 0)
        return text("-%s", strerrorname_np(errno));
    for (size_t i = 0; i < len; i++)
        bytes[i] = bytes[i] ? bytes[i] : '0'; /* so that holes can be compared */
    bytes[len] = '\0';
    return text("%s", bytes);
}

const char *value(const char *path)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return text("-%s", strerrorname_np(errno));
    const char *bytes = value_fd(fd);
    must(close(fd));
    return bytes;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *names(const char *dir)
{
    const char *list[1000];
    size_t len = 0;
    DIR *stream = opendir(dir);
    if (!stream)
        return text("-%s", strerrorname_np(errno));
    const struct dirent *entry;
    while ((entry = readdir(stream)) && len < 1000) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            list[len++] = text("%s", entry->d_name);
    }
    must(closedir(stream));
    qsort(list, len, sizeof(*list), compare_names);
    const char *joined = "";
    for (size_t i = 0; i < len; i++)
        joined = text("%s%s%s", joined, i ? " " : "", list[i]);
    return joined;
}

int opens(const char *path, int flags)
{
    return creates(path, flags, 0644);
}

int creates(const char *path, int flags, mode_t mode)
{
    int fd = open(path, flags, mode);
    if (fd < 0)
        return -1;
    must(close(fd));
    return 0;
}

struct stat look(const char *path)
{
    struct stat st;
    must(lstat(path, &st));
    return st;
}

mode_t mode_of(const char *path)
{
    return look(path).st_mode & 07777;
}

off_t size_of(const char *path)
{
    return look(path).st_size;
}

bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

void become(uid_t uid, gid_t gid, ...)
{
    gid_t groups[8], group;
    size_t len = 0;
    va_list args;
    va_start(args, gid);
    while (len < 8 && (group = va_arg(args, gid_t)) != 0)
        groups[len++] = group;
    va_end(args);
    must(seteuid(0));
    must(setgroups(len, groups));
    must(setegid(gid));
    must(seteuid(uid));
}

void become_root(void)
{
    must(seteuid(0));
    must(setegid(0));
    must(setgroups(0, NULL));
}

static int64_t ns_of(struct timespec at)
{
    return at.tv_sec * 1000000000LL + at.tv_nsec;
}

static int64_t coarse_ns(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_REALTIME_COARSE, &now));
    return ns_of(now);
}

void tick(void)
{
    int64_t start = coarse_ns(), last = start;
    for (int moves = 0; moves < 2;) {
        int64_t now = coarse_ns();
        moves += now != last;
        last = now;
        must(usleep(500));
    }
}

int moved(const struct stat *before, const struct stat *after)
{
    return (ns_of(after->st_mtim) > ns_of(before->st_mtim) ? MTIME : 0) |
           (ns_of(after->st_ctim) > ns_of(before->st_ctim) ? CTIME : 0);
}

int in_child(void (*fn)(void *arg), void *arg)
{
    int status;
    fflush(stdout);
    pid_t pid = (pid_t)must(fork());
    if (pid == 0) {
        fn(arg);
        fflush(stdout);
        _exit(0);
    }
    must(waitpid(pid, &status, 0));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* -- Running -- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)at;
    return type == FTW_DP ? rmdir(path) : unlink(path);
}

static void run_child(const struct case_ *one, const char *dir)
{
    umask(0);
    must(setgroups(0, NULL));
    must(mkdir(dir, 0755));
    must(chdir(dir));
    alarm(CASE_SECONDS);
    one->fn();
    exit(0);
}

static void run_case(const struct family *family, const struct case_ *one,
                     const char *root)
{
    family_name = family->name;
    case_name = one->name;
    const char *dir = text("%s/%s.%s", root, family->name, one->name);
    fflush(stdout);
    pid_t pid = (pid_t)must(fork());
    if (pid == 0)
        run_child(one, dir);
    int status;
    must(waitpid(pid, &status, 0));
    if (status != 0) {
        report(false, "goes to its end");
        printf("# %s %d\n", WIFSIGNALED(status) ? "signal" : "exit status",
               WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    }
    if (nftw(dir, remove_one, 32, FTW_DEPTH | FTW_PHYS) != 0) {
        report(false, "leaves nothing that cannot be removed");
        printf("# %s\n", strerrorname_np(errno));
    }
}

static bool selected(const struct family *family, char **wanted)
{
    if (!*wanted)
        return true;
    for (; *wanted; wanted++) {
        if (strcmp(*wanted, family->name) == 0)
            return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    if (argc < 2 || geteuid() != 0) {
        fprintf(stderr, "usage, as root: conform DIR [FAMILY...]\n");
        return 2;
    }
    count = mmap(NULL, sizeof(*count), PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (count == MAP_FAILED) {
        perror("conform");
        return 2;
    }
    for (size_t i = 0; i < sizeof(families) / sizeof(*families); i++) {
        const struct case_ *one = families[i]->cases;
        for (; selected(families[i], argv + 2) && one->name; one++)
            run_case(families[i], one, argv[1]);
    }
    printf("1..%u\n", count->run);
    return count->failed == 0 ? 0 : 1;
}
