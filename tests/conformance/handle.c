/* Open files whose name is removed, replaced or moved; children and duplicates. */
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

static void works_without_a_name(int fd, const char *at, const char *bytes)
{
    struct stat st;
    ok(text("%s: fstat", at), fstat(fd, &st));
    is(text("%s: no link", at), links(st), 0);
    is(text("%s: the size", at), st.st_size, (off_t)strlen(bytes));
    same(text("%s: read", at), value_fd(fd), bytes);
    put_at(fd, 0, "X");
    is(text("%s: a write is seen", at), value_fd(fd)[0], 'X');
    ok(text("%s: fsync", at), fsync(fd));
    is(text("%s: it stays", at), value_fd(fd)[0], 'X');
    ok(text("%s: fchmod", at), fchmod(fd, 0604));
    must(fstat(fd, &st));
    is_mode(text("%s: the mode", at), st.st_mode & 07777, 0604);
    ok(text("%s: fchown", at), fchown(fd, NOBODY, GROUP));
    must(fstat(fd, &st));
    is(text("%s: the owner", at), st.st_uid, NOBODY);
    is(text("%s: the group", at), st.st_gid, GROUP);
    struct timespec past[2] = {{1000, 0}, {1000, 5}};
    ok(text("%s: futimens", at), futimens(fd, past));
    must(fstat(fd, &st));
    is(text("%s: the time", at), st.st_mtim.tv_sec, 1000);
    ok(text("%s: ftruncate", at), ftruncate(fd, 2));
    must(fstat(fd, &st));
    is(text("%s: the new size", at), st.st_size, 2);
    ok(text("%s: fsetxattr", at), fsetxattr(fd, "user.a", "b", 1, 0));
    is(text("%s: fgetxattr", at), fgetxattr(fd, "user.a", NULL, 0), 1);
    ok(text("%s: close", at), close(fd));
}

/* By the link that /proc keeps of a descriptor, as /dev/fd/N does. */
static void opened_again(const char *at, int fd, const char *expected)
{
    int again = open(text("/proc/self/fd/%d", fd), O_RDONLY);
    yes(text("%s: opened again", at), again >= 0);
    same(text("%s: the same bytes", at), again >= 0 ? value_fd(again) : "", expected);
    if (again >= 0)
        must(close(again));
    again = open(text("/proc/self/fd/%d", fd), O_WRONLY);
    yes(text("%s: opened again to write", at), again >= 0);
    if (again >= 0)
        must(close(again));
}

static void writes_without_a_name_show_through_every_descriptor(void)
{
    int fd = fresh("a", "");
    int other = opened("a", O_RDONLY);
    must(unlink("a"));
    put_at(fd, 0, "written");
    struct stat st;
    must(fstat(fd, &st));
    is("the size", st.st_size, 7);
    must(fstat(other, &st));
    is("the size by the other", st.st_size, 7);
    same("the bytes by the other", value_fd(other), "written");
    must(close(other));
    must(close(fd));
}

static void is_opened_again_without_a_name(void)
{
    put("a", "removed");
    int fd = opened("a", O_RDWR);
    must(unlink("a"));
    opened_again("removed", fd, "removed");
    must(close(fd));
    fd = fresh("b", "new");
    must(unlink("b"));
    opened_again("removed before its first close", fd, "new");
    must(close(fd));
    put("c", "replaced");
    fd = opened("c", O_RDONLY);
    put("d", "other");
    must(rename("d", "c"));
    opened_again("replaced", fd, "replaced");
    same("the name is the other's", value("c"), "other");
    must(close(fd));
}

static void goes_on_without_a_name(void)
{
    put("a", "removed");
    int fd = opened("a", O_RDWR);
    must(unlink("a"));
    works_without_a_name(fd, "removed", "removed");

    fd = fresh("b", "new");
    must(unlink("b"));
    works_without_a_name(fd, "removed before its first close", "new");

    put("c", "replaced");
    fd = opened("c", O_RDWR);
    put("d", "other");
    must(rename("d", "c"));
    works_without_a_name(fd, "replaced", "replaced");
    same("the other is untouched", value("c"), "other");

    fd = fresh("e", "abc");
    put("g", "other");
    must(rename("g", "e"));
    works_without_a_name(fd, "replaced before its first close", "abc");
    same("the other is untouched as well", value("e"), "other");
    same("nothing reappears", names("."), "c e");
}

static void a_reader_goes_on(void)
{
    put("f", "old value");
    int fd = opened("f", O_RDONLY);
    must(unlink("f"));
    put("f", "new");
    same("after remove and create", value_fd(fd), "old value");
    struct stat st;
    must(fstat(fd, &st));
    is("fstat is of the old one", st.st_size, 9);
    is("which has no link", links(st), 0);
    same("the name is the new one's", value("f"), "new");
    must(close(fd));
    same("still", value("f"), "new");
}

static void a_new_file_of_that_name_is_another(void)
{
    int fd = fresh("f", "first");
    ino_t first = look("f").st_ino;
    must(unlink("f"));
    fails("the name is free", access("f", F_OK), ENOENT);
    int other = fresh("f", "second");
    yes("it has another number", look("f").st_ino != first);
    same("one reads its own", value_fd(fd), "first");
    same("the other, too", value_fd(other), "second");
    must(close(other));
    must(close(fd));
    same("the later close does not overwrite it", value("f"), "second");
}

static void follows_a_rename(void)
{
    must(mkdir("d", 0755));
    int fd = fresh("f", "one");
    must(rename("f", "d/g"));
    put_at(fd, 3, "two");
    must(rename("d", "e"));
    put_at(fd, 6, "three");
    fails("the old name is gone", access("f", F_OK), ENOENT);
    must(close(fd));
    same("what was written goes to the new one", value("e/g"), "onetwothree");
    same("and nowhere else", names("."), "e");
}

static void unlinked_by_descriptor_of_its_directory(void)
{
    must(mkdir("d", 0755));
    int dir = opened("d", O_RDONLY | O_DIRECTORY);
    int fd = fresh("d/f", "abc");
    must(unlinkat(dir, "f", 0));
    must(rmdir("d"));
    same("the file can be read", value_fd(fd), "abc");
    fails("nothing can be made in the directory",
          openat(dir, "g", O_CREAT | O_WRONLY, 0644), ENOENT);
    fails("nor a directory", mkdirat(dir, "g", 0755), ENOENT);
    fails("nothing is found in it", faccessat(dir, "f", F_OK, 0), ENOENT);
    struct stat st;
    ok("fstat of it", fstat(dir, &st));
    is("says no link", links(st), 0);
    ok("close", close(fd));
}

static void a_child_writes(void *arg)
{
    put_at(*(int *)arg, 3, "child");
}

static void is_inherited(void)
{
    int fd = fresh("f", "abc");
    is("a child writes and ends", in_child(a_child_writes, &fd), 0);
    same("its parent sees that", value_fd(fd), "abcchild");
    put_at(fd, 0, "A");
    must(close(fd));
    same("both are stored", value("f"), "Abcchild");
}

static void a_child_closes(void *arg)
{
    must(close(*(int *)arg));
}

static void closes_are_counted(void)
{
    int fd = fresh("f", "abc");
    must(in_child(a_child_closes, &fd));
    int other = (int)must(dup(fd));
    must(close(fd));
    put_at(other, 3, "def");
    same("after the first close", value_fd(other), "abcdef");
    must(close(other));
    same("after the last", value("f"), "abcdef");
}

static void each_close_is_seen_by_the_next_open(void)
{
    char want[32];
    bool right = true;
    for (int i = 0; i < 200; i++) {
        snprintf(want, sizeof(want), "value %d", i);
        put("f", want);
        right = right && strcmp(value("f"), want) == 0 &&
                size_of("f") == (off_t)strlen(want);
    }
    yes("200 times", right);
}

static void many_at_once(void)
{
    int fds[200];
    for (size_t i = 0; i < 200; i++)
        fds[i] = fresh(text("f%zu", i), "x");
    for (size_t i = 0; i < 200; i++)
        put_at(fds[i], 1, text("%zu", i));
    for (size_t i = 0; i < 200; i++)
        must(close(fds[i]));
    bool right = true;
    for (size_t i = 0; i < 200; i++)
        right = right && strcmp(value(text("f%zu", i)), text("x%zu", i)) == 0;
    yes("each keeps its own bytes", right);
}

/* Truncated when it is opened, closed by one descriptor, then by the other. */
static void a_truncation_outlives(const char *what, void (*change)(void))
{
    put("f", "old");
    int fd = opened("f", O_WRONLY | O_TRUNC);
    int duplicate = (int)must(dup(fd));
    must(close(fd));
    change();
    must(close(duplicate));
    is(what, size_of("f"), 0);
}

static void is_renamed(void)
{
    must(rename("f", "g"));
    must(rename("g", "f"));
}

static void is_chmoded(void)
{
    must(chmod("f", 0600));
}

static void truncations_of_duplicates(void)
{
    a_truncation_outlives("a rename", is_renamed);
    a_truncation_outlives("a chmod", is_chmoded);
}

FAMILY(handle, CASE(goes_on_without_a_name), CASE(is_opened_again_without_a_name),
       CASE(writes_without_a_name_show_through_every_descriptor),
       CASE(a_reader_goes_on), CASE(a_new_file_of_that_name_is_another),
       CASE(follows_a_rename), CASE(unlinked_by_descriptor_of_its_directory),
       CASE(is_inherited), CASE(closes_are_counted),
       CASE(each_close_is_seen_by_the_next_open), CASE(truncations_of_duplicates),
       CASE(many_at_once));
