/* mkdir(2), symlink(2), readlink(2), link(2), mknod(2). */
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

static void makes_directories(void)
{
    umask(022);
    ok("mkdir", mkdir("d", 0777));
    is_mode("the umask counts", mode_of("d"), 0755);
    umask(0);
    must(mkdir("e", 01751));
    is_mode("the sticky bit is kept", mode_of("e"), 01751);
    must(mkdir("s", 06755));
    is_mode("set-id bits are not", mode_of("s"), 0755);
    must(mkdir("n", 0));
    is_mode("mode 0", mode_of("n"), 0);
    yes("a directory", S_ISDIR(look("d").st_mode));
    same("it is empty", names("d"), "");
    is("two links", links(look("d")), 2);
    must(mkdir("d/sub", 0755));
    is("three with a directory in it", links(look("d")), 3);
    must(rmdir("d/sub"));
    is("two again", links(look("d")), 2);
    make("d/f");
    is("a file does not count", links(look("d")), 2);
    become(0, 0, 0);
    must(chmod("e", 0777));
    become(NOBODY, GROUP, 0);
    must(mkdir("e/mine", 0700));
    is("the owner is who makes it", look("e/mine").st_uid, NOBODY);
    is("so is the group", look("e/mine").st_gid, GROUP);
}

static void mkdir_refuses(void)
{
    must(mkdir("d", 0755));
    make("f");
    must(symlink("nowhere", "dangling"));
    must(symlink("loop", "loop"));
    struct {
        const char *what, *name;
        int err;
    } rows[] = {
        {"a directory", "d", EEXIST},
        {"a file", "f", EEXIST},
        {"a dangling link", "dangling", EEXIST},
        {"a dangling link with a slash", "dangling/", EEXIST},
        {"no parent", "none/x", ENOENT},
        {"a file as parent", "f/x", ENOTDIR},
        {"a loop as parent", "loop/x", ELOOP},
        {".", ".", EEXIST},
        {"d/.", "d/.", EEXIST},
        {"..", "..", EEXIST},
        {"nothing", "", ENOENT},
        {"/", "/", EEXIST},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        fails(text("%s: %s", rows[i].what, strerrorname_np(rows[i].err)),
              mkdir(rows[i].name, 0755), rows[i].err);
    ok("a slash at the end is fine", mkdir("x/", 0755));
    int fd = opened("open", O_CREAT | O_WRONLY);
    fails("a file that is only open so far", mkdir("open", 0755), EEXIST);
    must(close(fd));
    same("nothing else was made", names("."), "d dangling f loop open x");
}

static const char *target_of(const char *path)
{
    static char bytes[PATH_MAX + 1];
    ssize_t len = readlink(path, bytes, sizeof(bytes) - 1);
    if (len < 0)
        return text("-%s", strerrorname_np(errno));
    bytes[len] = '\0';
    return bytes;
}

static void makes_links(void)
{
    put("f", "abc");
    ok("symlink", symlink("f", "l"));
    struct stat st = look("l");
    yes("is a link", S_ISLNK(st.st_mode));
    is_mode("of mode 0777", st.st_mode & 07777, 0777);
    is("as long as its target", st.st_size, 1);
    same("readlink", target_of("l"), "f");
    same("leads there", value("l"), "abc");
    ok("to nothing", symlink("nowhere/at all", "dangling"));
    same("is kept as it is", target_of("dangling"), "nowhere/at all");
    fails("leads nowhere", opens("dangling", O_RDONLY), ENOENT);
    ok("absolute", symlink("/etc/passwd", "abs"));
    same("is kept, too", target_of("abs"), "/etc/passwd");
    const char *odd = "a//b/../c/./\xff\n end";
    must(symlink(odd, "odd"));
    same("any bytes", target_of("odd"), odd);
    char few[2];
    is("readlink into less", readlink("dangling", few, 2), 2);
    yes("gives the beginning", memcmp(few, "no", 2) == 0);
    ok("the longest target", symlink(letters(4095), "long"));
    is("comes back", (long long)strlen(target_of("long")), 4095);
    is("and is its size", size_of("long"), 4095);
    become(0, 0, 0);
    must(chmod(".", 0777));
    become(NOBODY, GROUP, 0);
    must(symlink("f", "mine"));
    is("the owner is who makes it", look("mine").st_uid, NOBODY);
    is("so is the group", look("mine").st_gid, GROUP);
}

static void symlink_refuses(void)
{
    make("f");
    must(mkdir("d", 0755));
    must(symlink("x", "l"));
    fails("a file", symlink("x", "f"), EEXIST);
    fails("a directory", symlink("x", "d"), EEXIST);
    fails("a link", symlink("y", "l"), EEXIST);
    fails("no parent", symlink("x", "none/l"), ENOENT);
    fails("a file as parent", symlink("x", "f/l"), ENOTDIR);
    fails("an empty target", symlink("", "e"), ENOENT);
    fails("too long a target", symlink(letters(4096), "e"), ENAMETOOLONG);
    same("the first target is kept", target_of("l"), "x");
}

static void readlink_refuses(void)
{
    make("f");
    must(mkdir("d", 0755));
    must(symlink("loop", "loop"));
    char byte;
    fails("a file", (int)readlink("f", &byte, 1), EINVAL);
    fails("a directory", (int)readlink("d", &byte, 1), EINVAL);
    fails("nothing", (int)readlink("none", &byte, 1), ENOENT);
    fails("below a file", (int)readlink("f/x", &byte, 1), ENOTDIR);
    fails("below a loop", (int)readlink("loop/x", &byte, 1), ELOOP);
    is("the loop itself", readlink("loop", &byte, 1), 1);
    fails("into nothing", (int)readlink("loop", &byte, 0), EINVAL);
}

static void hard_links(void)
{
    put("f", "abc");
    ok("link", link("f", "g"));
    is("counts two", links(look("f")), 2);
    yes("is the same file", exists("g") && look("g").st_ino == look("f").st_ino);
}

static void link_refuses(void)
{
    make("f");
    must(mkdir("d", 0755));
    make("g");
    fails("an existing target", link("f", "g"), EEXIST);
    fails("no source", link("none", "x"), ENOENT);
    fails("no parent", link("f", "none/x"), ENOENT);
    fails("a directory", link("d", "x"), EPERM);
    fails("below a file", link("f", "g/x"), ENOTDIR);
    same("nothing was made", names("."), "d f g");
}

static void special_files(void)
{
    ok("a pipe", mkfifo("fifo", 0644));
    yes("is one", exists("fifo") && S_ISFIFO(look("fifo").st_mode));
    ok("a character device", mknod("null", S_IFCHR | 0666, makedev(1, 3)));
    ok("a block device", mknod("loop", S_IFBLK | 0600, makedev(7, 0)));
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int fd = (int)must(socket(AF_UNIX, SOCK_STREAM, 0));
    ok("a socket", bind(fd, (struct sockaddr *)&address, sizeof(address)));
}

static void mknod_makes_files(void)
{
    ok("mknod", mknod("f", S_IFREG | 0640, 0));
    is_mode("the mode", mode_of("f"), 0640);
    is("empty", size_of("f"), 0);
    fails("again", mknod("f", S_IFREG | 0640, 0), EEXIST);
    ok("type 0 is a file", mknod("g", 0600, 0));
    yes("a regular one", S_ISREG(look("g").st_mode));
    fails("a directory", mknod("d", S_IFDIR | 0755, 0), EPERM);
    become(0, 0, 0);
    must(chmod(".", 0777));
    become(NOBODY, NOBODY, 0);
    fails("a device by another than root", mknod("n", S_IFCHR | 0666, makedev(1, 3)),
          EPERM);
    ok("a file by another", mknod("h", S_IFREG | 0600, 0));
    put("h", "abc");
    same("can be written by him", value("h"), "abc");
}

FAMILY(make, CASE(makes_directories), CASE(mkdir_refuses), CASE(makes_links),
       CASE(symlink_refuses), CASE(readlink_refuses), CASE(hard_links),
       CASE(link_refuses), CASE(special_files), CASE(mknod_makes_files));
