/* Extended attributes of users. */
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

static int set(const char *path, const char *name, const char *bytes, int flags)
{
    return setxattr(path, name, bytes, strlen(bytes), flags);
}

static const char *get(const char *path, const char *name)
{
    static char bytes[65536];
    ssize_t len = lgetxattr(path, name, bytes, sizeof(bytes) - 1);
    if (len < 0)
        return text("-%s", strerrorname_np(errno));
    bytes[len] = '\0';
    return bytes;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Those in user., sorted. */
static const char *listed(const char *path)
{
    char bytes[65536];
    char *list[100];
    size_t count = 0;
    ssize_t len = llistxattr(path, bytes, sizeof(bytes));
    if (len < 0)
        return text("-%s", strerrorname_np(errno));
    for (char *at = bytes; at < bytes + len; at += strlen(at) + 1) {
        if (strncmp(at, "user.", 5) == 0 && count < 100)
            list[count++] = at;
    }
    qsort(list, count, sizeof(*list), compare);
    const char *joined = "";
    for (size_t i = 0; i < count; i++)
        joined = text("%s%s%s", joined, i ? " " : "", list[i] + 5);
    return joined;
}

static void are_kept(void)
{
    put("f", "abc");
    ok("set", set("f", "user.a", "one", 0));
    same("get", get("f", "user.a"), "one");
    ok("another", set("f", "user.b", "two", 0));
    same("list", listed("f"), "a b");
    ok("overwrite", set("f", "user.a", "another", 0));
    same("get again", get("f", "user.a"), "another");
    ok("an empty one", set("f", "user.e", "", 0));
    same("is there", get("f", "user.e"), "");
    ok("bytes of any kind", setxattr("f", "user.n", "a\0b\xff", 4, 0));
    char bytes[4];
    is("come back", getxattr("f", "user.n", bytes, 4), 4);
    yes("as they were", memcmp(bytes, "a\0b\xff", 4) == 0);
    ok("remove", removexattr("f", "user.a"));
    same("it is gone", get("f", "user.a"), "-ENODATA");
    same("the others are not", listed("f"), "b e n");
    must(rename("f", "g"));
    same("a rename keeps them", get("g", "user.b"), "two");
    put("g", "new value");
    same("an overwrite, too", get("g", "user.b"), "two");
    same("the value is not touched", value("g"), "new value");
    put("h", "other");
    must(rename("h", "g"));
    same("a file that replaces it has its own", listed("g"), "");
}

static void by_descriptor_and_on_directories(void)
{
    int fd = fresh("f", "abc");
    ok("fsetxattr of a file that is only open so far",
       fsetxattr(fd, "user.a", "b", 1, 0));
    is("fgetxattr", fgetxattr(fd, "user.a", NULL, 0), 1);
    must(close(fd));
    same("after close", get("f", "user.a"), "b");
    fd = opened("f", O_RDONLY);
    ok("fremovexattr", fremovexattr(fd, "user.a"));
    same("is gone", listed("f"), "");
    must(mkdir("d", 0755));
    ok("a directory", set("d", "user.a", "dir", 0));
    same("has it", get("d", "user.a"), "dir");
    same("lists it", listed("d"), "a");
}

static void flags(void)
{
    make("f");
    fails("XATTR_REPLACE of nothing", set("f", "user.a", "1", XATTR_REPLACE), ENODATA);
    ok("XATTR_CREATE", set("f", "user.a", "1", XATTR_CREATE));
    fails("XATTR_CREATE again", set("f", "user.a", "2", XATTR_CREATE), EEXIST);
    same("is as it was", get("f", "user.a"), "1");
    ok("XATTR_REPLACE", set("f", "user.a", "3", XATTR_REPLACE));
    same("is replaced", get("f", "user.a"), "3");
    fails("unknown flags", set("f", "user.a", "4", 8), EINVAL);
}

static void sizes(void)
{
    make("f");
    must(set("f", "user.a", "12345", 0));
    char bytes[8];
    is("asking for the size", getxattr("f", "user.a", NULL, 0), 5);
    fails("too small a buffer", (int)getxattr("f", "user.a", bytes, 4), ERANGE);
    is("asking for the list's size", listxattr("f", NULL, 0), 7);
    fails("too small a buffer for the list", (int)listxattr("f", bytes, 6), ERANGE);
    ok("2000 bytes", set("f", "user.b", letters(2000), 0));
    is("are kept", getxattr("f", "user.b", NULL, 0), 2000);
    fails("more than 65536", setxattr("f", "user.c", letters(65537), 65537, 0), E2BIG);
    const char *name = text("user.%s", letters(250));
    ok("a name of 255 bytes", set("f", name, "x", 0));
    same("is kept, too", get("f", name), "x");
    fails("of 256", set("f", text("user.%s", letters(251)), "x", 0), ERANGE);
}

static void refuses(void)
{
    make("f");
    must(symlink("f", "l"));
    must(symlink("none", "dangling"));
    fails("no such attribute", (int)getxattr("f", "user.x", NULL, 0), ENODATA);
    fails("removing none", removexattr("f", "user.x"), ENODATA);
    fails("nothing there", set("none", "user.a", "b", 0), ENOENT);
    fails("get of nothing", (int)getxattr("none", "user.a", NULL, 0), ENOENT);
    fails("list of nothing", (int)listxattr("none", NULL, 0), ENOENT);
    fails("a dangling link", set("dangling", "user.a", "b", 0), ENOENT);
    fails("a link itself", lsetxattr("l", "user.a", "b", 1, 0), EPERM);
    fails("an empty name", set("f", "user.", "b", 0), EINVAL);
    fails("an unknown namespace", set("f", "other.a", "b", 0), EOPNOTSUPP);
    fails("no namespace", set("f", "a", "b", 0), EOPNOTSUPP);
    ok("through a link", set("l", "user.a", "b", 0));
    same("it is the target's", get("f", "user.a"), "b");
}

static void permissions(void)
{
    make("f");
    must(set("f", "user.a", "b", 0));
    must(chmod("f", 0644));
    become(NOBODY, NOBODY, 0);
    fails("set of another's", set("f", "user.a", "c", 0), EACCES);
    fails("remove", removexattr("f", "user.a"), EACCES);
    same("get", get("f", "user.a"), "b");
    become_root();
    must(chmod("f", 0600));
    become(NOBODY, NOBODY, 0);
    fails("get without r", (int)getxattr("f", "user.a", NULL, 0), EACCES);
    become_root();
    must(chmod("f", 0666));
    become(NOBODY, NOBODY, 0);
    ok("set of what one may write", set("f", "user.a", "c", 0));
    become_root();
    must(mkdir("sticky", 01777));
    become(NOBODY, NOBODY, 0);
    fails("another's sticky directory", set("sticky", "user.a", "b", 0), EPERM);
}

FAMILY(xattr, CASE(are_kept), CASE(by_descriptor_and_on_directories), CASE(flags),
       CASE(sizes), CASE(refuses), CASE(permissions));
