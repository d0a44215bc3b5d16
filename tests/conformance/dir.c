/* readdir(3), telldir(3), seekdir(3), rewinddir(3), getdents(2). */
#include "conform.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MANY 500

static DIR *opened_dir(const char *path)
{
    DIR *dir = opendir(path);
    must(dir ? 0 : -1);
    return dir;
}

static void what_entries_say(void)
{
    make("f");
    must(mkdir("d", 0755));
    must(symlink("x", "l"));
    DIR *dir = opened_dir(".");
    const struct dirent *entry;
    int dots = 0, right = 0, types = 0;
    while ((entry = readdir(dir))) {
        struct stat st = look(entry->d_name);
        right += entry->d_ino == st.st_ino;
        types += entry->d_type == (unsigned char)((st.st_mode & S_IFMT) >> 12);
        dots += entry->d_name[0] == '.';
    }
    is(". and .. are among them", dots, 2);
    is("each has its type", types, 5);
    is("each has its number", right, 5);
    must(closedir(dir));
}

static void empty_directories(void)
{
    must(mkdir("d", 0755));
    DIR *dir = opened_dir("d");
    int count = 0;
    while (readdir(dir))
        count++;
    is("hold . and .. only", count, 2);
    errno = 0;
    yes("the end stays the end", !readdir(dir) && errno == 0);
    must(closedir(dir));
}

/* Marks what is listed from here on; false when a name comes twice. */
static bool list(DIR *dir, char *seen, size_t len)
{
    const struct dirent *entry;
    bool once = true;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] != 'n')
            continue;
        size_t number = (size_t)atoi(entry->d_name + 1);
        if (number < len) {
            once = once && !seen[number];
            seen[number] = 1;
        }
    }
    return once;
}

static size_t seen_of(const char *seen, size_t from, size_t to)
{
    size_t count = 0;
    for (size_t i = from; i < to; i++)
        count += seen[i] != 0;
    return count;
}

static void make_many(size_t count)
{
    for (size_t i = 0; i < count; i++)
        must(mknod(text("n%zu", i), S_IFREG | 0644, 0));
}

static void many_entries(void)
{
    static char seen[3000];
    make_many(3000);
    DIR *dir = opened_dir(".");
    yes("each comes once", list(dir, seen, 3000));
    is("all of them", (long long)seen_of(seen, 0, 3000), 3000);
    memset(seen, 0, sizeof(seen));
    rewinddir(dir);
    yes("after rewinddir, too", list(dir, seen, 3000));
    is("all of them again", (long long)seen_of(seen, 0, 3000), 3000);
    must(closedir(dir));
}

static void positions(void)
{
    make_many(MANY);
    static char names_at[MANY + 2][16];
    long at[MANY + 3];
    DIR *dir = opened_dir(".");
    size_t count = 0;
    for (;; count++) {
        at[count] = telldir(dir);
        const struct dirent *entry = readdir(dir);
        if (!entry || count == MANY + 2)
            break;
        memcpy(names_at[count], entry->d_name, strnlen(entry->d_name, 15));
    }
    is("so many", (long long)count, MANY + 2);
    size_t right = 0;
    for (size_t i = count; i-- > 0;) {
        seekdir(dir, at[i]);
        const struct dirent *entry = readdir(dir);
        right += entry && strcmp(entry->d_name, names_at[i]) == 0;
    }
    is("seekdir leads back to each", (long long)right, (long long)count);
    make("between");
    must(unlink(names_at[count / 2]));
    seekdir(dir, at[count - 1]);
    const struct dirent *entry = readdir(dir);
    yes("also when others come and go",
        entry && strcmp(entry->d_name, names_at[count - 1]) == 0);
    must(closedir(dir));
}

static void changes_while_listing(void)
{
    static char seen[MANY * 3];
    make_many(MANY);
    DIR *dir = opened_dir(".");
    for (int i = 0; i < 10; i++)
        must(readdir(dir) ? 0 : -1);
    rewinddir(dir);
    memset(seen, 0, sizeof(seen));
    const struct dirent *entry;
    bool once = true;
    for (size_t step = 0; (entry = readdir(dir)); step++) {
        if (entry->d_name[0] != 'n')
            continue;
        size_t number = (size_t)atoi(entry->d_name + 1);
        once = once && !seen[number];
        seen[number] = 1;
        if (step < MANY / 2) { /* the upper half goes, others come */
            (void)unlink(text("n%zu", MANY / 2 + step));
            must(mknod(text("n%zu", MANY + step), S_IFREG | 0644, 0));
        }
    }
    yes("no name comes twice", once);
    is("those that stay come all", (long long)seen_of(seen, 0, MANY / 2), MANY / 2);
    must(closedir(dir));
}

static void removing_what_is_listed(void)
{
    make_many(MANY);
    DIR *dir = opened_dir(".");
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == 'n')
            must(unlink(entry->d_name));
    }
    must(closedir(dir));
    same("leaves nothing", names("."), "");
}

static void removing_what_was_listed_before(void)
{
    static char seen[3000];
    make_many(3000);
    for (int i = 0; i < 2; i++) {
        DIR *dir = opened_dir(".");
        (void)list(dir, seen, 3000);
        must(closedir(dir));
    }
    DIR *dir = opened_dir(".");
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == 'n')
            must(unlink(entry->d_name));
    }
    must(closedir(dir));
    same("leaves nothing", names("."), "");
}

static void what_is_made_is_listed(void)
{
    DIR *dir = opened_dir(".");
    int fd = opened("open", O_CREAT | O_WRONLY);
    same("a file that is only open so far", names("."), "open");
    must(close(fd));
    must(rename("open", "f"));
    same("a rename", names("."), "f");
    rewinddir(dir);
    size_t count = 0;
    while (readdir(dir))
        count++;
    is("a stream that was opened before, after rewinddir", (long long)count, 3);
    must(unlink("f"));
    same("an unlink", names("."), "");
    must(closedir(dir));
}

static void refuses(void)
{
    make("f");
    yes("opendir of a file", !opendir("f") && errno == ENOTDIR);
    yes("opendir of nothing", !opendir("none") && errno == ENOENT);
    int fd = opened(".", O_RDONLY);
    fails("read of a directory", (int)read(fd, (char[1]){0}, 1), EISDIR);
    fails("write to a directory", (int)write(fd, "x", 1), EBADF);
    ok("fsync of a directory", fsync(fd));
    must(mkdir("secret", 0700));
    must(mkdir("listed", 0744));
    must(mkdir("entered", 0711));
    make("entered/f");
    become(NOBODY, NOBODY, 0);
    yes("opendir without r", !opendir("secret") && errno == EACCES);
    ok("with r alone", opens("listed", O_RDONLY | O_DIRECTORY));
    ok("x alone: names can be used", access("entered/f", F_OK));
    yes("not listed", !opendir("entered") && errno == EACCES);
}

FAMILY(dir, CASE(what_entries_say), CASE(empty_directories), CASE(many_entries),
       CASE(positions), CASE(changes_while_listing), CASE(removing_what_is_listed),
       CASE(removing_what_was_listed_before), CASE(what_is_made_is_listed),
       CASE(refuses));
