/* open(2), creat(2), close(2). */
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void creates_with_mode_and_umask(void)
{
    struct {
        mode_t mask, mode, want;
    } rows[] = {
        {0, 0755, 0755},   {0, 0, 0},           {022, 0666, 0644},
        {077, 0777, 0700}, {070, 0151, 0101},   {0501, 0345, 0244},
        {0777, 0777, 0},   {022, 01755, 01755}, {022, 06777, 06755},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *name = text("f%zu", i);
        umask(rows[i].mask);
        must(creates(name, O_CREAT | O_WRONLY, rows[i].mode));
        is_mode(text("%04o with umask %04o", rows[i].mode, rows[i].mask), mode_of(name),
                rows[i].want);
    }
    umask(022);
    must(close((int)must(creat("c", 0666))));
    is_mode("creat, too", mode_of("c"), 0644);
    yes("a regular file", S_ISREG(look("c").st_mode));
    is("of size 0", size_of("c"), 0);
    is("with one link", links(look("c")), 1);
}

static void a_new_file_can_be_written_whatever_its_mode(void)
{
    become(0, 0, 0);
    must(chmod(".", 0777));
    become(NOBODY, NOBODY, 0);
    int fd = ok("O_RDWR with mode 0", open("f", O_CREAT | O_RDWR, 0));
    is("write", write(fd, "abc", 3), 3);
    same("read", value_fd(fd), "abc");
    ok("close", close(fd));
    fails("opened again: refused", opens("f", O_RDONLY), EACCES);
    fd = ok("O_RDONLY with mode 0222", open("g", O_CREAT | O_RDONLY, 0222));
    fails("write to it", (int)write(fd, "x", 1), EBADF);
    become_root();
    same("the first holds what was written", value("f"), "abc");
}

static void exclusive(void)
{
    ok("a new name", creates("f", O_CREAT | O_EXCL | O_WRONLY, 0600));
    fails("a file", opens("f", O_CREAT | O_EXCL | O_WRONLY), EEXIST);
    must(mkdir("d", 0755));
    fails("a directory", opens("d", O_CREAT | O_EXCL), EEXIST);
    must(symlink("nowhere", "dangling"));
    fails("a dangling link", opens("dangling", O_CREAT | O_EXCL | O_WRONLY), EEXIST);
    must(symlink("f", "link"));
    fails("a link", opens("link", O_CREAT | O_EXCL | O_WRONLY), EEXIST);
    fails("the link's target is not made", access("nowhere", F_OK), ENOENT);
    int fd = opened("open", O_CREAT | O_WRONLY);
    fails("a name that is only open so far", opens("open", O_CREAT | O_EXCL), EEXIST);
    must(close(fd));
}

static void refuses(void)
{
    must(mkdir("d", 0755));
    make("f");
    must(symlink("f", "link"));
    must(symlink("loop", "loop"));
    must(symlink("d", "dlink"));
    struct {
        const char *name;
        int flags, err;
    } rows[] = {
        {"none", O_RDONLY, ENOENT},
        {"none/f", O_CREAT | O_WRONLY, ENOENT},
        {"f/x", O_RDONLY, ENOTDIR},
        {"f/x", O_CREAT | O_WRONLY, ENOTDIR},
        {"f", O_RDONLY | O_DIRECTORY, ENOTDIR},
        {"link", O_RDONLY | O_NOFOLLOW, ELOOP},
        {"loop", O_RDONLY, ELOOP},
        {"loop", O_CREAT | O_WRONLY, ELOOP},
        {"dlink", O_RDONLY | O_NOFOLLOW | O_DIRECTORY, ENOTDIR},
        {"d", O_WRONLY, EISDIR},
        {"d", O_RDWR, EISDIR},
        {"d", O_RDONLY | O_TRUNC, EISDIR},
        {"d", O_CREAT | O_WRONLY, EISDIR},
        {"d", O_CREAT | O_RDONLY, EISDIR},
        {"", O_RDONLY, ENOENT},
        {"f/", O_RDONLY, ENOTDIR},
        {"new/", O_CREAT | O_WRONLY, EISDIR},
        {".", O_CREAT | O_WRONLY, EISDIR},
        {".", O_CREAT | O_EXCL, EEXIST},
        {"..", O_WRONLY, EISDIR},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        fails(text("'%s' with flags %#o: %s", rows[i].name, (unsigned)rows[i].flags,
                   strerrorname_np(rows[i].err)),
              opens(rows[i].name, rows[i].flags), rows[i].err);
    ok("a directory can be opened", opens("d", O_RDONLY | O_DIRECTORY));
    ok("through a link, too", opens("dlink", O_RDONLY | O_DIRECTORY));
    same("nothing was made", names("."), "d dlink f link loop");
}

static void creates_through_a_link(void)
{
    must(mkdir("d", 0755));
    must(symlink("d/new", "link"));
    ok("a link to a name that is free", creates("link", O_CREAT | O_WRONLY, 0640));
    yes("makes the target", exists("d/new"));
    yes("and leaves the link", S_ISLNK(look("link").st_mode));
}

static void truncates(void)
{
    put("f", "something");
    ok("O_TRUNC", opens("f", O_WRONLY | O_TRUNC));
    is("size 0", size_of("f"), 0);
    put("f", "something");
    ok("O_RDONLY | O_TRUNC", opens("f", O_RDONLY | O_TRUNC));
    is("size 0 as well", size_of("f"), 0);
    put("f", "something");
    ok("O_CREAT of what exists", creates("f", O_CREAT | O_WRONLY, 0600));
    is("keeps the bytes", size_of("f"), 9);
    is_mode("and the mode", mode_of("f"), 0644);
    int fd = opened("f", O_WRONLY | O_TRUNC);
    struct stat st;
    must(fstat(fd, &st));
    is("fstat says 0 at once", st.st_size, 0);
    is("stat, too", size_of("f"), 0);
    must(close(fd));
    same("and there is nothing", value("f"), "");
}

static void access_modes(void)
{
    char byte;
    put("f", "abc");
    int fd = opened("f", O_RDONLY);
    fails("write to O_RDONLY", (int)write(fd, "x", 1), EBADF);
    fails("pwrite to O_RDONLY", (int)pwrite(fd, "x", 1, 0), EBADF);
    fails("ftruncate of O_RDONLY", ftruncate(fd, 0), EINVAL);
    must(close(fd));
    fd = opened("f", O_WRONLY);
    fails("read from O_WRONLY", (int)read(fd, &byte, 1), EBADF);
    is("fcntl says O_WRONLY", fcntl(fd, F_GETFL) & O_ACCMODE, O_WRONLY);
    must(close(fd));
    fd = opened("f", O_PATH);
    fails("read from O_PATH", (int)read(fd, &byte, 1), EBADF);
    struct stat st;
    ok("fstat of O_PATH", fstat(fd, &st));
    is("tells the size", st.st_size, 3);
    must(close(fd));
    fails("a closed descriptor", close(fd), EBADF);
    same("nothing has changed", value("f"), "abc");
}

static void o_append(void)
{
    put("f", "one");
    int fd = opened("f", O_WRONLY | O_APPEND);
    must(lseek(fd, 0, SEEK_SET));
    is("write", write(fd, "two", 3), 3);
    is("leaves the offset at the end", lseek(fd, 0, SEEK_CUR), 6);
    must(lseek(fd, 1, SEEK_SET));
    is("once more", write(fd, "3", 1), 1);
    must(close(fd));
    same("everything came behind", value("f"), "onetwo3");
    fd = opened("f", O_RDWR | O_APPEND);
    is("pwrite appends as well", pwrite(fd, "4", 1, 0), 1);
    same("read back", value_fd(fd), "onetwo34");
    must(fcntl(fd, F_SETFL, 0));
    is("without O_APPEND since", pwrite(fd, "O", 1, 0), 1);
    must(close(fd));
    same("it goes to its place", value("f"), "Onetwo34");
    fd = opened("f", O_RDWR);
    must(fcntl(fd, F_SETFL, O_APPEND));
    is("with O_APPEND set later", write(fd, "5", 1), 1);
    must(close(fd));
    same("it goes to the end", value("f"), "Onetwo345");
}

static void synchronous(void)
{
    struct {
        const char *name;
        int flag;
    } rows[] = {{"O_SYNC", O_SYNC}, {"O_DSYNC", O_DSYNC}};
    for (size_t i = 0; i < 2; i++) {
        int fd = ok(text("%s", rows[i].name),
                    open("f", O_CREAT | O_RDWR | O_TRUNC | rows[i].flag, 0644));
        is("write", write(fd, "abc", 3), 3);
        same("others read it already", value("f"), "abc");
        is("write again", write(fd, "def", 3), 3);
        same("that, too", value("f"), "abcdef");
        ok("fsync", fsync(fd));
        ok("fdatasync", fdatasync(fd));
        must(close(fd));
    }
}

static void other_flags(void)
{
    put("f", "abc");
    ok("O_NONBLOCK", opens("f", O_RDWR | O_NONBLOCK));
    ok("O_NOCTTY", opens("f", O_RDWR | O_NOCTTY));
    ok("O_NOATIME of the owner", opens("f", O_RDONLY | O_NOATIME));
    int fd = opened("f", O_RDONLY | O_CLOEXEC);
    is("O_CLOEXEC", fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    become(NOBODY, NOBODY, 0);
    fails("O_NOATIME of others", opens("f", O_RDONLY | O_NOATIME), EPERM);
}

static void a_temporary_file_without_a_name(void)
{
    int fd = ok("O_TMPFILE", open(".", O_TMPFILE | O_RDWR, 0600));
    if (fd < 0)
        return;
    is("write", write(fd, "abc", 3), 3);
    same("the directory shows nothing", names("."), "");
}

static void relative_to_a_directory(void)
{
    must(mkdir("d", 0755));
    int dir = opened("d", O_RDONLY | O_DIRECTORY);
    int fd = ok("openat", openat(dir, "f", O_CREAT | O_WRONLY, 0644));
    must(close(fd));
    yes("is below it", exists("d/f"));
    must(rename("d", "e"));
    fd = ok("after the directory moved", openat(dir, "g", O_CREAT | O_WRONLY, 0644));
    must(close(fd));
    yes("it is there", exists("e/g"));
    fails("a descriptor of a file", openat(opened("e/f", O_RDONLY), "x", O_RDONLY),
          ENOTDIR);
}

FAMILY(open, CASE(creates_with_mode_and_umask),
       CASE(a_new_file_can_be_written_whatever_its_mode), CASE(exclusive),
       CASE(refuses), CASE(creates_through_a_link), CASE(truncates), CASE(access_modes),
       CASE(o_append), CASE(synchronous), CASE(other_flags),
       CASE(a_temporary_file_without_a_name), CASE(relative_to_a_directory));
