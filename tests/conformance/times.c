/* Which call moves which times, of the file and of the directories it is in. */
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static int write_closed(const char *path, const char *bytes)
{
    int fd = opened(path, O_WRONLY);
    put_at(fd, 0, bytes);
    return close(fd);
}

static int append_closed(const char *path)
{
    int fd = opened(path, O_WRONLY | O_APPEND);
    put_at(fd, 0, "x");
    return close(fd);
}

static int resize_closed(const char *path, off_t size)
{
    int fd = opened(path, O_WRONLY);
    must(ftruncate(fd, size));
    return close(fd);
}

static void of_files(void)
{
    put("f", "0123456789");
    struct timespec past[2] = {{1000, 0}, {1000, 0}};
    moves("write", "f", BOTH, write_closed("f", "ab"));
    moves("write of the same bytes", "f", BOTH, write_closed("f", "ab"));
    moves("append", "f", BOTH, append_closed("f"));
    moves("O_TRUNC", "f", BOTH, opens("f", O_WRONLY | O_TRUNC));
    moves("O_TRUNC of an empty file", "f", BOTH, opens("f", O_WRONLY | O_TRUNC));
    moves("truncate longer", "f", BOTH, truncate("f", 10));
    moves("truncate shorter", "f", BOTH, truncate("f", 5));
    moves("truncate to the same size", "f", BOTH, truncate("f", 5));
    moves("ftruncate", "f", BOTH, resize_closed("f", 3));
    moves("ftruncate to the same size", "f", BOTH, resize_closed("f", 3));
    moves("chmod", "f", CTIME, chmod("f", 0600));
    moves("chmod to the same mode", "f", CTIME, chmod("f", 0600));
    moves("chown", "f", CTIME, chown("f", 1, 1));
    moves("chown to the same owner", "f", CTIME, chown("f", 1, 1));
    moves("chown to -1", "f", CTIME, chown("f", 1, (gid_t)-1));
    moves("setxattr", "f", CTIME, setxattr("f", "user.a", "b", 1, 0));
    moves("removexattr", "f", CTIME, removexattr("f", "user.a"));
    moves("rename", "f", CTIME, (rename("f", "g"), rename("g", "f")));
    moves("utimensat with the past", "f", CTIME, utimensat(AT_FDCWD, "f", past, 0));
    moves("utimensat with now", "f", BOTH, utimensat(AT_FDCWD, "f", NULL, 0));
    moves("open and close", "f", 0, opens("f", O_RDWR));
    moves("read", "f", 0, (value("f"), 0));
    moves("access", "f", 0, access("f", R_OK));
    moves("O_CREAT", "f", 0, creates("f", O_CREAT | O_WRONLY, 0600));
    moves("a truncation that is refused", "f", 0, truncate("f", -1) == -1 ? 0 : -1);
    must(chown("f", 0, 0));
    become(NOBODY, NOBODY, 0);
    moves("a chmod that is refused", "f", 0, chmod("f", 0777) == -1 ? 0 : -1);
}

static void of_directories(void)
{
    must(mkdir("d", 0755));
    moves("create", "d", BOTH, creates("d/f", O_CREAT | O_WRONLY, 0644));
    moves("create exclusively", "d", BOTH,
          creates("d/x", O_CREAT | O_EXCL | O_WRONLY, 0644));
    moves("mkdir", "d", BOTH, mkdir("d/sub", 0755));
    moves("symlink", "d", BOTH, symlink("x", "d/l"));
    moves("mknod", "d", BOTH, mknod("d/n", S_IFREG | 0644, 0));
    moves("rename inside", "d", BOTH, rename("d/n", "d/m"));
    moves("rename out", "d", BOTH, rename("d/m", "m"));
    moves("rename in", "d", BOTH, rename("m", "d/m"));
    moves("rename over", "d", BOTH, rename("d/m", "d/f"));
    moves("exchange", "d", BOTH,
          renameat2(AT_FDCWD, "d/f", AT_FDCWD, "d/l", RENAME_EXCHANGE));
    moves("unlink", "d", BOTH, unlink("d/x"));
    moves("rmdir", "d", BOTH, rmdir("d/sub"));
    moves("chmod", "d", CTIME, chmod("d", 0700));
    moves("chown", "d", CTIME, chown("d", 1, 1));
    moves("setxattr", "d", CTIME, setxattr("d", "user.a", "b", 1, 0));
    moves("a write to a file in it", "d", 0, write_closed("d/l", "x"));
    must(mkdir("d/deep", 0755));
    moves("a change deeper down", "d", 0, mkdir("d/deep/x", 0755));
    moves("a file that exists", "d", 0, creates("d/l", O_CREAT | O_WRONLY, 0644));
    moves("listing", "d", 0, (names("d"), 0));
    moves("a mkdir that is refused", "d", 0, mkdir("d/l", 0755) == -1 ? 0 : -1);
    moves("an unlink that is refused", "d", 0, unlink("d/none") == -1 ? 0 : -1);
    moves("an rmdir that is refused", "d", 0, rmdir("d/l") == -1 ? 0 : -1);
    moves("a rename that is refused", "d", 0, rename("d/l", "none/x") == -1 ? 0 : -1);
}

static void of_renames(void)
{
    must(mkdir("from", 0755));
    must(mkdir("to", 0755));
    make("from/f");
    must(mkdir("from/d", 0755));
    make("from/d/f");
    moves("the old parent", "from", BOTH, rename("from/f", "to/f"));
    moves("the new parent", "from", BOTH, rename("to/f", "from/f"));
    moves("the directory itself", "from/d", CTIME,
          (rename("from/d", "to/d"), rename("to/d", "from/d")));
    moves("what is in it", "from/d/f", 0,
          (rename("from/d", "to/d"), rename("to/d", "from/d")));
    moves("onto itself", "from/f", 0, rename("from/f", "from/f"));
}

static bool starts_now(const struct stat *st, int64_t seconds)
{
    return st->st_mtim.tv_sec >= seconds && st->st_ctim.tv_sec >= seconds &&
           st->st_atim.tv_sec >= seconds && st->st_mtim.tv_sec < seconds + 30;
}

static void of_new_files(void)
{
    struct timespec now;
    must(clock_gettime(CLOCK_REALTIME_COARSE, &now));
    make("x");
    must(creates("f", O_CREAT | O_WRONLY, 0644));
    must(mkdir("d", 0755));
    must(symlink("x", "l"));
    const char *paths[] = {"x", "f", "d", "l"};
    for (size_t i = 0; i < 4; i++) {
        struct stat st = look(paths[i]);
        yes(text("%s: now", paths[i]), starts_now(&st, now.tv_sec));
    }
    int fd = opened("open", O_CREAT | O_WRONLY);
    struct stat st = look("open");
    yes("a file that is only open so far", starts_now(&st, now.tv_sec));
    must(close(fd));
}

static void while_it_is_open(void)
{
    int fd = fresh("f", "abc");
    moves("write", "f", BOTH, (int)write(fd, "x", 1));
    moves("write again", "f", BOTH, (int)write(fd, "x", 1));
    moves("ftruncate", "f", BOTH, ftruncate(fd, 2));
    moves("fsync", "f", 0, fsync(fd));
    moves("close after fsync", "f", 0, close(fd));
    fd = opened("f", O_RDWR);
    moves("write of a file that was there", "f", BOTH, (int)write(fd, "x", 1));
    moves("close", "f", 0, close(fd));
    fd = opened("f", O_RDWR);
    moves("fchmod", "f", CTIME, fchmod(fd, 0600));
    moves("read", "f", 0, (int)read(fd, (char[1]){0}, 1));
    moves("close of one that was not written", "f", 0, close(fd));
}

static void of_unlinked_files(void)
{
    put("f", "abc");
    int fd = opened("f", O_RDWR);
    struct stat before, after;
    must(fstat(fd, &before));
    tick();
    must(unlink("f"));
    must(fstat(fd, &after));
    is("unlink moves", moved(&before, &after), CTIME);
    tick();
    before = after;
    put_at(fd, 0, "x");
    must(fstat(fd, &after));
    is("write moves", moved(&before, &after), BOTH);
}

static void reading_moves_atime(void)
{
    put("f", "abc");
    struct timespec past[2] = {{1000, 0}, {2000, 0}};
    must(utimensat(AT_FDCWD, "f", past, 0));
    (void)value("f");
    yes("that is older than mtime", look("f").st_atim.tv_sec > 2000);
}

FAMILY(times, CASE(of_files), CASE(of_directories), CASE(of_renames),
       CASE(of_new_files), CASE(while_it_is_open), CASE(of_unlinked_files),
       CASE(reading_moves_atime));
