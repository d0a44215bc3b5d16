/* How long what programs do with files takes: one process, the files f0, f1, ... of one
 * directory in turn, each with a value that names it. What comes back is checked.
 *
 *     files CALL DIRECTORY FILES ROUNDS
 *
 * make              write the files (for the others; ROUNDS is ignored)
 * read, stat        open+read+close, stat
 * overwrite         open(O_TRUNC)+write+close; overwrite-fsync: with fsync before close
 * create            open(O_CREAT)+write+close+unlink of a new name; create-fsync
 * first             opendir, the first entry, closedir
 * names, list       opendir, every entry, closedir; list: with lstat of each
 *
 * Prints microseconds: for each call, of first for each opendir, of names and list for
 * the whole directory. ROUNDS is how often the call, or the listing, is repeated. */
#include <dirent.h>
#include <err.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 100 };

static unsigned files;

static double now_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static void name_of(unsigned i, char *name)
{
    snprintf(name, 16, "f%u", i);
}

static void value_of(unsigned i, char *value)
{
    memset(value, '.', SIZE);
    int len = snprintf(value, SIZE, "value of f%u", i);
    value[len] = '.';
}

static void write_file(const char *name, int flags, unsigned i, bool sync)
{
    char value[SIZE];
    value_of(i, value);
    int fd = open(name, O_WRONLY | O_CLOEXEC | flags, 0644);
    if (fd < 0 || write(fd, value, SIZE) != SIZE || (sync && fsync(fd)) || close(fd))
        err(1, "%s", name);
}

static void check_file(unsigned i)
{
    char name[16], value[SIZE], found[SIZE + 1];
    name_of(i, name);
    value_of(i, value);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        err(1, "%s", name);
    if (read(fd, found, sizeof found) != SIZE || memcmp(found, value, SIZE) != 0)
        errx(1, "%s holds something else", name);
    close(fd);
}

static void check_stat(unsigned i)
{
    char name[16];
    struct stat st;
    name_of(i, name);
    if (stat(name, &st))
        err(1, "%s", name);
    if (st.st_size != SIZE)
        errx(1, "%s has %lld bytes", name, (long long)st.st_size);
}

static void create_and_unlink(bool sync)
{
    write_file("created", O_CREAT | O_EXCL, 0, sync);
    if (unlink("created"))
        err(1, "created");
}

static void list(bool with_stat, bool first_only)
{
    unsigned found = 0;
    struct dirent *entry;
    struct stat st;
    DIR *dir = opendir(".");
    if (!dir)
        err(1, "opendir");
    while ((entry = readdir(dir)) && !first_only) {
        if (entry->d_name[0] == '.')
            continue;
        found++;
        if (with_stat && lstat(entry->d_name, &st))
            err(1, "%s", entry->d_name);
        if (with_stat && st.st_size != SIZE)
            errx(1, "%s has %lld bytes", entry->d_name, (long long)st.st_size);
    }
    closedir(dir);
    if (first_only ? !entry : found != files)
        errx(1, "%u entries of %u", found, files);
}

static void call(const char *what, unsigned i)
{
    char name[16];
    name_of(i % files, name);
    if (strcmp(what, "read") == 0)
        check_file(i % files);
    else if (strcmp(what, "stat") == 0)
        check_stat(i % files);
    else if (strcmp(what, "overwrite") == 0)
        write_file(name, O_TRUNC, i % files, false);
    else if (strcmp(what, "overwrite-fsync") == 0)
        write_file(name, O_TRUNC, i % files, true);
    else if (strcmp(what, "create") == 0)
        create_and_unlink(false);
    else if (strcmp(what, "create-fsync") == 0)
        create_and_unlink(true);
    else if (strcmp(what, "first") == 0)
        list(false, true);
    else if (strcmp(what, "names") == 0)
        list(false, false);
    else if (strcmp(what, "list") == 0)
        list(true, false);
    else
        write_file(name, O_CREAT | O_TRUNC, i, false); /* make */
}

int main(int argc, char **argv)
{
    if (argc != 5 || chdir(argv[2]))
        errx(2, "usage: files CALL DIRECTORY FILES ROUNDS");
    files = (unsigned)strtoul(argv[3], NULL, 10);
    bool make = strcmp(argv[1], "make") == 0;
    unsigned rounds = make ? files : (unsigned)strtoul(argv[4], NULL, 10);
    double start = now_us();
    for (unsigned i = 0; i < rounds; i++)
        call(argv[1], i);
    double end = now_us();
    if (strncmp(argv[1], "overwrite", 9) == 0)
        check_file((rounds - 1) % files);
    printf("%.3f\n", (end - start) / rounds);
    return 0;
}
