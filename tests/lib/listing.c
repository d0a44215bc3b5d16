/* Listings that must be right while names come and go. The directory holds the names
 * s0 ... sCOUNT-1, which stay, and others, which do not.
 *
 *     listing churn DIRECTORY URL KEY     for ever: make, rename and remove others, on
 *                                         the mount and over HTTP
 *     listing check DIRECTORY COUNT ROUNDS  no name that stays is missing, none is
 * twice listing seek DIRECTORY COUNT ROUNDS   telldir and seekdir find their way back
 *     listing follow DIRECTORY URL KEY ROUNDS
 *                                         what HTTP has acknowledged is in the listing
 *
 * KEY is the directory's. Prints what is wrong, and exits with 1 then. */
#include "http.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OTHERS = 200 };

struct names {
    char **list;
    size_t count, room;
};

static void add(struct names *names, const char *name)
{
    if (names->count == names->room) {
        names->room = names->room ? names->room * 2 : 1024;
        names->list = reallocarray(names->list, names->room, sizeof *names->list);
        if (!names->list)
            err(2, "names");
    }
    names->list[names->count] = strdup(name);
    if (!names->list[names->count++])
        err(2, "names");
}

static int compare(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

static void release(struct names *names)
{
    while (names->count > 0)
        free(names->list[--names->count]);
    free(names->list);
    *names = (struct names){0};
}

static DIR *open_dir(const char *directory)
{
    DIR *dir = opendir(directory);
    if (!dir)
        err(1, "%s", directory);
    return dir;
}

/* The next name, or NULL at the end. */
static const char *next(DIR *dir)
{
    errno = 0;
    const struct dirent *entry = readdir(dir);
    if (!entry && errno)
        err(1, "readdir");
    return entry ? entry->d_name : NULL;
}

static void read_all(DIR *dir, struct names *names)
{
    const char *name;
    while ((name = next(dir)))
        add(names, name);
    qsort(names->list, names->count, sizeof *names->list, compare);
}

static void check_names(const struct names *names, unsigned count)
{
    unsigned stay = 0;
    for (size_t i = 0; i < names->count; i++) {
        if (i > 0 && strcmp(names->list[i - 1], names->list[i]) == 0)
            errx(1, "%s is there twice", names->list[i]);
        stay += names->list[i][0] == 's';
    }
    if (stay != count)
        errx(1, "%u of %u names that stay are there", stay, count);
}

static void check(const char *directory, unsigned count, unsigned rounds)
{
    for (unsigned i = 0; i < rounds; i++) {
        struct names names = {0};
        DIR *dir = open_dir(directory);
        read_all(dir, &names);
        check_names(&names, count);
        release(&names);
        if (i % 2) { /* the same handle once more */
            rewinddir(dir);
            read_all(dir, &names);
            check_names(&names, count);
            release(&names);
        }
        closedir(dir);
    }
}

/* Every name that stays, with the place behind which it comes. */
static void seek_round(const char *directory, unsigned count, unsigned seed)
{
    struct names names = {0};
    long *places = calloc(count, sizeof *places);
    DIR *dir = open_dir(directory), *other = open_dir(directory);
    if (!places)
        err(2, "places");
    long place = telldir(dir);
    for (const char *name; (name = next(dir)); place = telldir(dir)) {
        if (name[0] != 's')
            continue;
        if (names.count == count)
            errx(1, "more than %u names that stay", count);
        places[names.count] = place;
        add(&names, name);
    }
    /* A place is a name's, not a handle's. What comes and goes may stand before it. */
    for (unsigned i = 0; i < 200; i++) {
        size_t wanted = (size_t)rand_r(&seed) % names.count;
        DIR *at = i % 2 ? other : dir;
        const char *name;
        seekdir(at, places[wanted]);
        while ((name = next(at)) && name[0] != 's')
            ;
        if (!name || strcmp(name, names.list[wanted]) != 0)
            errx(1, "%s instead of %s", name ? name : "the end", names.list[wanted]);
    }
    closedir(dir);
    closedir(other);
    release(&names);
    free(places);
}

/* -- Changes -- */

static int request(struct http *http, const char *method, const char *key,
                   const char *name)
{
    char path[700];
    bool put = strcmp(method, "PUT") == 0;
    snprintf(path, sizeof path, "/v1/keys/%s/%s", key, name);
    int status =
        http_request(http, method, path, put ? "http" : NULL, put ? 4 : 0, NULL, NULL);
    if (status < 200 || (status > 299 && status != 404))
        errx(1, "%s %s: status %d %s", method, path, status, http_error(http));
    return status;
}

static void on_mount(const char *directory, unsigned random)
{
    char path[600], to[600];
    snprintf(path, sizeof path, "%s/c%u", directory, random % OTHERS);
    snprintf(to, sizeof to, "%s/c%u", directory, random / OTHERS % OTHERS);
    int result = 0;
    switch (random >> 20 & 3) {
    case 0:
        result = rename(path, to);
        break;
    case 1:
        result = unlink(path);
        break;
    default:
        result = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        if (result >= 0)
            close(result);
    }
    if (result < 0 && errno != ENOENT && errno != ESTALE)
        err(1, "%s", path);
}

static void churn(const char *directory, const char *url, const char *key)
{
    struct http *http = http_new(url);
    char name[16];
    unsigned seed = 1;
    for (;;) {
        unsigned random = (unsigned)rand_r(&seed);
        on_mount(directory, random);
        snprintf(name, sizeof name, "c%u", random / 7 % OTHERS);
        request(http, random & 64 ? "PUT" : "DELETE", key, name);
    }
}

static bool is_listed(const char *directory, const char *wanted)
{
    DIR *dir = open_dir(directory);
    const char *name;
    while ((name = next(dir)) && strcmp(name, wanted) != 0)
        ;
    bool found = name;
    closedir(dir);
    return found;
}

static void follow(const char *directory, const char *url, const char *key,
                   unsigned rounds)
{
    struct http *http = http_new(url);
    char name[32];
    for (unsigned i = 0; i < rounds; i++) {
        snprintf(name, sizeof name, "f%d-%u", getpid(), i % 3);
        request(http, "PUT", key, name);
        if (!is_listed(directory, name))
            errx(1, "%s was stored and is not listed (round %u)", name, i);
        request(http, "DELETE", key, name);
        if (is_listed(directory, name))
            errx(1, "%s was deleted and is listed (round %u)", name, i);
    }
    http_free(http);
}

static unsigned number(const char *text)
{
    return (unsigned)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "check") == 0 && argc == 5)
        check(argv[2], number(argv[3]), number(argv[4]));
    else if (strcmp(what, "churn") == 0 && argc == 5)
        churn(argv[2], argv[3], argv[4]);
    else if (strcmp(what, "follow") == 0 && argc == 6)
        follow(argv[2], argv[3], argv[4], number(argv[5]));
    else if (strcmp(what, "seek") == 0 && argc == 5)
        for (unsigned i = 0; i < number(argv[4]); i++)
            seek_round(argv[2], number(argv[3]), i);
    else
        errx(2,
             "usage: listing churn|check|seek|follow DIRECTORY ... (see the source)");
    return 0;
}
