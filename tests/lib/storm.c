/* Eight processes create, write, rename, unlink, stat and list in one directory of the
 * mount while two more change the same names over HTTP: what would deadlock a
 * filesystem that takes a directory's lock on its way to the acknowledgement.
 *
 *     storm DIRECTORY URL KEY-OF-DIRECTORY ROUNDS
 *
 * Losing a race is fine, any other error is not. Prints how many calls succeeded. */
#include "http.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ON_MOUNT = 8, OVER_HTTP = 2, NAMES = 6 };

static struct shared {
    atomic_ulong succeeded[8], lost, stale;
    atomic_bool failed;
} * shared;

enum call { CREATE, WRITE, RENAME, UNLINK, MKDIR, RMDIR, LIST, REQUEST };
static const char *const call_name[] = {"create", "write", "rename", "unlink",
                                        "mkdir",  "rmdir", "list",   "request"};

/* Count the outcome of a call; another process may have been faster. */
static void count(enum call call, int result)
{
    if (result >= 0) {
        atomic_fetch_add(&shared->succeeded[call], 1);
        return;
    }
    switch (errno) {
    case ESTALE: /* the name changed hands twice while the kernel looked it up */
        atomic_fetch_add(&shared->stale, 1);
        return;
    case ENOENT:
    case EEXIST:
    case EISDIR:
    case ENOTDIR:
    case ENOTEMPTY:
        atomic_fetch_add(&shared->lost, 1);
        return;
    default:
        fprintf(stderr, "%s: %s\n", call_name[call], strerror(errno));
        atomic_store(&shared->failed, true);
    }
}

static int create(const char *path, int flags)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0644);
    if (fd < 0)
        return -1;
    if (write(fd, "value", 5) != 5) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return close(fd);
}

static int list(const char *directory)
{
    DIR *dir = opendir(directory);
    if (dir == NULL)
        return -1;
    errno = 0;
    while (readdir(dir) != NULL)
        ;
    int error = errno;
    closedir(dir);
    errno = error;
    return error ? -1 : 0;
}

static void on_mount(const char *directory, unsigned seed, unsigned rounds)
{
    char path[600], other[600];
    for (unsigned i = 0; i < rounds; i++) {
        unsigned random = (unsigned)rand_r(&seed);
        snprintf(path, sizeof path, "%s/n%u", directory, random % NAMES);
        snprintf(other, sizeof other, "%s/n%u", directory, random / NAMES % NAMES);
        switch (random / 64 % 8) {
        case 0:
            count(CREATE, create(path, O_EXCL));
            break;
        case 1:
            count(WRITE, create(path, O_TRUNC));
            break;
        case 2:
        case 3:
            count(RENAME, rename(path, other));
            break;
        case 4:
            count(UNLINK, unlink(path));
            break;
        case 5:
            count(MKDIR, mkdir(path, 0755));
            break;
        case 6:
            count(RMDIR, rmdir(path));
            break;
        default:
            count(LIST, list(directory));
            break;
        }
    }
}

static void over_http(const char *url, const char *key, unsigned seed, unsigned rounds)
{
    struct http *http = http_new(url);
    char path[700];
    for (unsigned i = 0; i < rounds; i++) {
        unsigned random = (unsigned)rand_r(&seed);
        bool put = random / 64 % 2;
        snprintf(path, sizeof path, "/v1/keys/%s/n%u%s", key, random % NAMES,
                 put ? "" : "?recursive=1");
        int status = http_request(http, put ? "PUT" : "DELETE", path,
                                  put ? "http" : NULL, put ? 4 : 0, NULL, NULL);
        if (status == 200 || status == 201 || status == 204) {
            count(REQUEST, 0);
        } else if (status != 404 && status != 409) {
            fprintf(stderr, "%s %s: status %d %s\n", put ? "PUT" : "DELETE", path,
                    status, http_error(http));
            atomic_store(&shared->failed, true);
        }
    }
    http_free(http);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: storm DIRECTORY URL KEY-OF-DIRECTORY ROUNDS\n");
        return 2;
    }
    unsigned rounds = (unsigned)strtoul(argv[4], NULL, 10);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        perror("mmap");
        return 2;
    }
    for (unsigned i = 0; i < ON_MOUNT + OVER_HTTP; i++) {
        pid_t child = fork();
        if (child < 0) {
            perror("fork");
            return 2;
        }
        if (child == 0) {
            if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) /* whoever ends us ends all */
                return 2;
            if (i < ON_MOUNT)
                on_mount(argv[1], i, rounds);
            else
                over_http(argv[2], argv[3], i, rounds);
            return 0;
        }
    }
    bool failed = false;
    for (unsigned i = 0; i < ON_MOUNT + OVER_HTTP; i++) {
        int status;
        if (wait(&status) < 0 || status != 0)
            failed = true;
    }
    for (unsigned i = 0; i < sizeof call_name / sizeof *call_name; i++) {
        unsigned long n = atomic_load(&shared->succeeded[i]);
        printf("%s: %lu\n", call_name[i], n);
        if (n == 0)
            failed = true;
    }
    printf("lost races: %lu, stale: %lu\n", atomic_load(&shared->lost),
           atomic_load(&shared->stale));
    return failed || atomic_load(&shared->failed);
}
