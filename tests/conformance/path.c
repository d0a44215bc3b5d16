/* Names and the way to them. */
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

static void lengths_of_names(void)
{
    const char *most = letters(255), *more = letters(256);
    ok("a file of 255 bytes", creates(most, O_CREAT | O_WRONLY, 0644));
    same("is listed", names("."), most);
    put(most, "abc");
    same("can be read", value(most), "abc");
    ok("and removed", unlink(most));
    ok("a directory of 255 bytes", mkdir(most, 0755));
    ok("and removed as well", rmdir(most));
    struct stat st;
    fails("open of 256 bytes", opens(more, O_RDONLY), ENAMETOOLONG);
    fails("creat", creates(more, O_CREAT | O_WRONLY, 0644), ENAMETOOLONG);
    fails("stat", stat(more, &st), ENAMETOOLONG);
    fails("lstat", lstat(more, &st), ENAMETOOLONG);
    fails("mkdir", mkdir(more, 0755), ENAMETOOLONG);
    fails("rmdir", rmdir(more), ENAMETOOLONG);
    fails("unlink", unlink(more), ENAMETOOLONG);
    fails("symlink", symlink("x", more), ENAMETOOLONG);
    fails("readlink", (int)readlink(more, (char[1]){0}, 1), ENAMETOOLONG);
    fails("chmod", chmod(more, 0644), ENAMETOOLONG);
    fails("chown", chown(more, 0, 0), ENAMETOOLONG);
    fails("truncate", truncate(more, 0), ENAMETOOLONG);
    fails("access", access(more, F_OK), ENAMETOOLONG);
    fails("chdir", chdir(more), ENAMETOOLONG);
    fails("mknod", mknod(more, S_IFREG | 0644, 0), ENAMETOOLONG);
    fails("utimensat", utimensat(AT_FDCWD, more, NULL, 0), ENAMETOOLONG);
    make("f");
    fails("link", link("f", more), ENAMETOOLONG);
    fails("a long name on the way", opens(text("%s/f", more), O_RDONLY), ENAMETOOLONG);
}

static void lengths_of_paths(void)
{
    char *path = (char *)letters(PATH_MAX);
    put("f", "abc");
    for (size_t i = 0; i + 1 < PATH_MAX; i += 2)
        memcpy(path + i, "./", 2);
    path[PATH_MAX - 1] = '\0';
    path[PATH_MAX - 2] = 'f';
    path[PATH_MAX - 3] = '/';
    path[PATH_MAX - 4] = '.';
    path[PATH_MAX - 5] = '/';
    ok("4095 bytes", access(path, F_OK));
    same("can be opened", value(path), "abc");
    const char *longer = text("/%s", path);
    fails("4096 bytes: access", access(longer, F_OK), ENAMETOOLONG);
    fails("4096 bytes: mkdir", mkdir(longer, 0755), ENAMETOOLONG);
    fails("4096 bytes: rename", rename("f", longer), ENAMETOOLONG);
    fails("4096 bytes: symlink", symlink("x", longer), ENAMETOOLONG);
    ok("as a link's target", symlink(path, "l"));
    same("leads there", value("l"), "abc");
}

static void depth(void)
{
    const char *name = letters(40);
    for (int i = 0; i < 9; i++) {
        must(mkdir(name, 0755));
        must(chdir(name));
    }
    ok("a file 9 directories down", creates("f", O_CREAT | O_WRONLY, 0644));
    put("f", "deep");
    same("can be read", value("f"), "deep");
    for (int i = 0; i < 30; i++) {
        if (mkdir(name, 0755) != 0 || chdir(name) != 0)
            break;
    }
    ok("a file 39 directories down", creates("f", O_CREAT | O_WRONLY, 0644));
}

static void dots(void)
{
    must(mkdir("d", 0755));
    put("f", "abc");
    put("d/g", "def");
    same("./f", value("./f"), "abc");
    same("d/../f", value("d/../f"), "abc");
    same("d/./g", value("d/./g"), "def");
    same(".//d///g", value(".//d///g"), "def");
    same("d/../d/.././d/g", value("d/../d/.././d/g"), "def");
    is("d/.. is .", (long long)look("d/..").st_ino, (long long)look(".").st_ino);
    is("d/. is d", (long long)look("d/.").st_ino, (long long)look("d").st_ino);
    fails("f/..", access("f/..", F_OK), ENOTDIR);
    fails("f/.", access("f/.", F_OK), ENOTDIR);
    fails("none/..", access("none/..", F_OK), ENOENT);
    const char *odd[] = {"...", ".hidden", "..x",      " ",  "a b", "\n",  "\\", "*",
                         "-rf", "é",       "\xff\xfe", "#x", "~",   "a:b", "%2F"};
    bool right = true;
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
        put(odd[i], odd[i]);
        right = right && strcmp(value(odd[i]), odd[i]) == 0;
    }
    yes("odd names are names", right);
}

static void trailing_slashes(void)
{
    make("f");
    must(mkdir("d", 0755));
    must(symlink("d", "dlink"));
    must(symlink("f", "flink"));
    struct stat st;
    ok("stat d/", stat("d/", &st));
    fails("stat f/", stat("f/", &st), ENOTDIR);
    ok("lstat dlink/", lstat("dlink/", &st));
    yes("is the directory", S_ISDIR(st.st_mode));
    fails("stat flink/", stat("flink/", &st), ENOTDIR);
    fails("chmod f/", chmod("f/", 0600), ENOTDIR);
    fails("truncate f/", truncate("f/", 0), ENOTDIR);
    fails("readlink flink/", (int)readlink("flink/", (char[1]){0}, 1), ENOTDIR);
    fails("symlink x/", symlink("f", "x/"), ENOENT);
    fails("link x/", link("f", "x/"), ENOENT);
    fails("mknod x/", mknod("x/", S_IFREG | 0600, 0), ENOENT);
    same("nothing was made", names("."), "d dlink f flink");
}

static void loops_of_links(void)
{
    must(symlink("a", "b"));
    must(symlink("b", "a"));
    must(symlink("self/x", "self"));
    struct stat st;
    fails("stat", stat("a", &st), ELOOP);
    ok("lstat", lstat("a", &st));
    fails("open", opens("a", O_RDONLY), ELOOP);
    fails("creat", creates("a", O_CREAT | O_WRONLY, 0644), ELOOP);
    fails("chmod", chmod("a", 0644), ELOOP);
    fails("chown", chown("a", 0, 0), ELOOP);
    ok("lchown", lchown("a", 0, 0));
    fails("chdir", chdir("a"), ELOOP);
    fails("mkdir below", mkdir("a/d", 0755), ELOOP);
    fails("through itself", stat("self", &st), ELOOP);
    fails("unlink below", unlink("self/y"), ELOOP);
    make("end");
    const char *last = "end";
    for (int i = 0; i < 40; i++) {
        const char *name = text("l%d", i);
        must(symlink(last, name));
        last = name;
    }
    ok("40 links", stat("l39", &st));
    must(symlink("l39", "l40"));
    fails("41 links", stat("l40", &st), ELOOP);
    ok("unlink of one", unlink("a"));
    fails("leaves it dangling", stat("b", &st), ENOENT);
}

static void files_on_the_way(void)
{
    make("f");
    struct stat st;
    struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    fails("stat", stat("f/x", &st), ENOTDIR);
    fails("lstat", lstat("f/x", &st), ENOTDIR);
    fails("access", access("f/x", F_OK), ENOTDIR);
    fails("chdir", chdir("f"), ENOTDIR);
    fails("chmod", chmod("f/x", 0644), ENOTDIR);
    fails("chown", chown("f/x", 0, 0), ENOTDIR);
    fails("symlink", symlink("x", "f/x"), ENOTDIR);
    fails("utimensat", utimensat(AT_FDCWD, "f/x", now, 0), ENOTDIR);
    fails("mknod", mknod("f/x", S_IFREG | 0644, 0), ENOTDIR);
}

static void bad_addresses(void)
{
    char *volatile nowhere = (char *)8; /* out of the compiler's sight */
    char *bad = nowhere;
    struct stat st;
    make("f");
    fails("open", open(bad, O_RDONLY), EFAULT);
    fails("mkdir", mkdir(bad, 0755), EFAULT);
    fails("unlink", unlink(bad), EFAULT);
    fails("rename", rename("f", bad), EFAULT);
    fails("stat", stat(bad, &st), EFAULT);
    fails("symlink", symlink(bad, "l"), EFAULT);
    int fd = opened("f", O_RDWR);
    fails("write", (int)write(fd, bad, 8), EFAULT);
    is("nothing is written", size_of("f"), 0);
    put_at(fd, 0, "abc");
    fails("read", (int)pread(fd, bad, 3, 0), EFAULT);
    must(close(fd));
    same("the file is whole", value("f"), "abc");
}

FAMILY(path, CASE(lengths_of_names), CASE(lengths_of_paths), CASE(depth), CASE(dots),
       CASE(trailing_slashes), CASE(loops_of_links), CASE(files_on_the_way),
       CASE(bad_addresses));
