/* unlink(2), rmdir(2), remove(3). */
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void removes(void)
{
    put("f", "abc");
    ok("unlink", unlink("f"));
    fails("it is gone", access("f", F_OK), ENOENT);
    put("g", "abc");
    must(symlink("g", "l"));
    ok("a link", unlink("l"));
    fails("is gone", readlink("l", (char[1]){0}, 1) < 0 ? -1 : 0, ENOENT);
    yes("not its target", exists("g"));
    must(mkdir("d", 0755));
    ok("rmdir", rmdir("d"));
    fails("is gone as well", access("d", F_OK), ENOENT);
    ok("the name is free for a file", creates("d", O_CREAT | O_EXCL | O_WRONLY, 0644));
    must(mkdir("e", 0755));
    ok("rmdir with a slash", rmdir("e/"));
    must(mkdir("e", 0755));
    ok("remove of a directory", remove("e"));
    ok("remove of a file", remove("g"));
    same("what is left", names("."), "d");
}

static void unlink_refuses(void)
{
    make("f");
    must(mkdir("d", 0755));
    must(symlink("d", "dlink"));
    must(symlink("loop", "loop"));
    struct {
        const char *name;
        int err;
    } rows[] = {
        {"none", ENOENT},    {"f/x", ENOTDIR}, {"none/x", ENOENT}, {"d", EISDIR},
        {".", EISDIR},       {"..", EISDIR},   {"f/", ENOTDIR},    {"loop/x", ELOOP},
        {"dlink/", ENOTDIR}, {"", ENOENT},     {"d/", EISDIR},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        fails(text("'%s': %s", rows[i].name, strerrorname_np(rows[i].err)),
              unlink(rows[i].name), rows[i].err);
    same("nothing was removed", names("."), "d dlink f loop");
}

static void rmdir_refuses(void)
{
    make("f");
    must(mkdir("d", 0755));
    must(mkdir("d/sub", 0755));
    must(mkdir("full", 0755));
    make("full/f");
    must(symlink("d/sub", "dlink"));
    must(symlink("loop", "loop"));
    struct {
        const char *name;
        int err;
    } rows[] = {
        {"none", ENOENT},   {"none/x", ENOENT},  {"f", ENOTDIR},
        {"f/x", ENOTDIR},   {"d", ENOTEMPTY},    {"full", ENOTEMPTY},
        {".", EINVAL},      {"d/.", EINVAL},     {"d/sub/..", ENOTEMPTY},
        {"dlink", ENOTDIR}, {"dlink/", ENOTDIR}, {"loop", ENOTDIR},
        {"loop/x", ELOOP},  {"", ENOENT},        {"/", EBUSY},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        fails(text("'%s': %s", rows[i].name, strerrorname_np(rows[i].err)),
              rmdir(rows[i].name), rows[i].err);
    must(unlink("full/f"));
    int fd = opened("full/open", O_CREAT | O_WRONLY);
    fails("with a file that is only open so far", rmdir("full"), ENOTEMPTY);
    must(unlink("full/open"));
    ok("once that is unlinked", rmdir("full"));
    must(close(fd));
    must(mkdir("links", 0755));
    must(symlink("x", "links/l"));
    fails("with a link in it", rmdir("links"), ENOTEMPTY);
    same("the rest is there", names("."), "d dlink f links loop");
}

static void a_directory_that_is_in_use(void)
{
    must(mkdir("d", 0755));
    must(chdir("d"));
    ok("rmdir of the working directory", rmdir("../d"));
    fails("nothing can be made in it", creates("f", O_CREAT | O_WRONLY, 0644), ENOENT);
    fails("nor a directory", mkdir("e", 0755), ENOENT);
    fails("nor a link", symlink("x", "l"), ENOENT);
    struct stat st;
    ok("stat of . works", stat(".", &st));
    is("and says no link", links(st), 0);
    same("it lists nothing", names("."), "");
}

static void removal_while_listing(void)
{
    for (int i = 0; i < 100; i++)
        make(text("f%d", i));
    must(mkdir("d", 0755));
    for (int i = 0; i < 100; i++)
        must(unlink(text("f%d", i)));
    same("all are gone", names("."), "d");
}

FAMILY(remove, CASE(removes), CASE(unlink_refuses), CASE(rmdir_refuses),
       CASE(a_directory_that_is_in_use), CASE(removal_while_listing));
