/* stat(2), access(2), statfs(2). */
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

static void what_stat_says(void)
{
    put("f", "abc");
    struct stat st, other;
    must(stat("f", &st));
    yes("a regular file", S_ISREG(st.st_mode));
    is("its size", st.st_size, 3);
    is("one link", links(st), 1);
    is("root's", st.st_uid, 0);
    int fd = opened("f", O_RDONLY);
    must(fstat(fd, &other));
    is("fstat: the same number", (long long)other.st_ino, (long long)st.st_ino);
    is("the same device", (long long)other.st_dev, (long long)st.st_dev);
    must(symlink("f", "l"));
    must(stat("l", &other));
    is("through a link", (long long)other.st_ino, (long long)st.st_ino);
    must(fstatat(AT_FDCWD, "l", &other, AT_SYMLINK_NOFOLLOW));
    yes("of the link itself", S_ISLNK(other.st_mode));
    make("g");
    yes("another file, another number", look("g").st_ino != st.st_ino);
    struct statx sx;
    ok("statx", statx(AT_FDCWD, "f", 0, STATX_BASIC_STATS, &sx));
    is("its size, too", (long long)sx.stx_size, 3);
}

static void sizes_follow_at_once(void)
{
    int fd = opened("f", O_CREAT | O_RDWR);
    struct stat st;
    bool by_fd = true, by_name = true;
    for (int i = 1; i <= 50; i++) {
        must(write(fd, "0123456789", 10));
        must(fstat(fd, &st));
        by_fd = by_fd && st.st_size == i * 10;
        by_name = by_name && size_of("f") == i * 10;
    }
    yes("by descriptor", by_fd);
    yes("by name", by_name);
    must(close(fd));
    is("after close", size_of("f"), 500);
}

static void directories_have_a_size(void)
{
    must(mkdir("d", 0755));
    yes("more than 0", look("d").st_size > 0);
}

static void stat_refuses(void)
{
    struct stat st;
    fails("nothing there", stat("none", &st), ENOENT);
    fails("an empty path", stat("", &st), ENOENT);
    fails("a closed descriptor", fstat(99, &st), EBADF);
    must(mkdir("d", 0700));
    make("d/f");
    must(symlink("d/f", "l"));
    become(NOBODY, NOBODY, 0);
    fails("in a directory without x", stat("d/f", &st), EACCES);
    fails("through a link", stat("l", &st), EACCES);
    ok("of the directory itself", stat("d", &st));
}

static void access_as_root(void)
{
    make("f");
    must(chmod("f", 0));
    ok("root reads and writes", access("f", R_OK | W_OK));
    fails("but does not run what nobody may", access("f", X_OK), EACCES);
    must(chmod("f", 0001));
    ok("what somebody may, root may", access("f", X_OK));
    fails("an unknown mode", access("f", 16), EINVAL);
}

static void filesystem(void)
{
    struct statvfs before, after;
    ok("statvfs", statvfs(".", &before));
    is("names have 255 bytes", (long long)before.f_namemax, 255);
    yes("there is room", before.f_blocks > 0 && before.f_bavail > 0);
    yes("no more is free than there is",
        before.f_bfree <= before.f_blocks && before.f_bavail <= before.f_bfree);
    yes("files, too", before.f_files > 0 && before.f_ffree <= before.f_files);
    int fd = opened("f", O_CREAT | O_RDWR);
    ok("of a descriptor", fstatvfs(fd, &after));
    const size_t len = 4 << 20;
    is("write 4 MiB", write(fd, letters(len), len), (long long)len);
    must(fsync(fd));
    must(close(fd));
    must(statvfs(".", &after));
    yes("that much is less free",
        (before.f_bfree - after.f_bfree) * after.f_frsize >= len);
    is("pathconf NAME_MAX", pathconf(".", _PC_NAME_MAX), 255);
    fails("of nothing", statvfs("none", &after), ENOENT);
}

FAMILY(stat, CASE(what_stat_says), CASE(sizes_follow_at_once),
       CASE(directories_have_a_size), CASE(stat_refuses), CASE(access_as_root),
       CASE(filesystem));
