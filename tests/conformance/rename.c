/* rename(2), renameat2(2) with RENAME_NOREPLACE and RENAME_EXCHANGE. */
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int exchange(const char *a, const char *b)
{
    return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
}

static int noreplace(const char *a, const char *b)
{
    return renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_NOREPLACE);
}

static void moves_things(void)
{
    put("f", "abc");
    must(chmod("f", 0640));
    ino_t number = look("f").st_ino;
    ok("a file", rename("f", "g"));
    fails("the old name is gone", access("f", F_OK), ENOENT);
    same("the new one has the bytes", value("g"), "abc");
    is("the number stays", (long long)look("g").st_ino, (long long)number);
    is_mode("the mode as well", mode_of("g"), 0640);
    must(symlink("g", "l"));
    ok("a link", rename("l", "m"));
    yes("moves itself, not its target", S_ISLNK(look("m").st_mode) && exists("g"));
    must(mkdir("d", 0755));
    put("d/f", "inside");
    must(mkdir("d/sub", 0755));
    put("d/sub/f", "deeper");
    ok("a directory", rename("d", "e"));
    same("with all that is in it", names("e"), "f sub");
    same("down to the bottom", value("e/sub/f"), "deeper");
    fails("nothing is left", access("d/f", F_OK), ENOENT);
    must(mkdir("to", 0755));
    ok("into a directory", rename("e", "to/e"));
    same("it is there", value("to/e/sub/f"), "deeper");
    ok("with slashes at the end", rename("to/e/", "e2/"));
    same("as well", value("e2/f"), "inside");
    ok("onto itself", rename("g", "g"));
    same("changes nothing", value("g"), "abc");
    ok("a directory onto itself", rename("e2", "e2"));
    same("what there is", names("."), "e2 g m to");
}

static void replaces(void)
{
    put("a", "source");
    put("b", "target");
    ino_t number = look("a").st_ino;
    ok("a file", rename("a", "b"));
    same("it has the new bytes", value("b"), "source");
    is("and the source's number", (long long)look("b").st_ino, (long long)number);
    must(mkdir("d", 0755));
    put("d/f", "inside");
    must(mkdir("empty", 0755));
    ok("an empty directory", rename("d", "empty"));
    same("holds the other's", value("empty/f"), "inside");
    must(symlink("x", "l"));
    ok("a link by a file", rename("b", "l"));
    yes("it is a file now", S_ISREG(look("l").st_mode));
    must(symlink("y", "k"));
    ok("a file by a link", rename("k", "l"));
    yes("it is a link now", S_ISLNK(look("l").st_mode));
    same("what there is", names("."), "empty l");
}

static void refuses(void)
{
    make("f");
    must(mkdir("d", 0755));
    must(mkdir("d/sub", 0755));
    must(mkdir("full", 0755));
    make("full/f");
    must(mkdir("empty", 0755));
    must(symlink("loop", "loop"));
    struct {
        const char *from, *to;
        int err;
    } rows[] = {
        {"none", "x", ENOENT},  {"none/y", "x", ENOENT},  {"f", "none/x", ENOENT},
        {"f/y", "x", ENOTDIR},  {"d", "f/x", ENOTDIR},    {"f", "d", EISDIR},
        {"f", "empty", EISDIR}, {"d", "f", ENOTDIR},      {"d", "full", ENOTEMPTY},
        {"d", "d/x", EINVAL},   {"d", "d/sub/x", EINVAL}, {"d/sub", "d", ENOTEMPTY},
        {"d", "d/sub", EINVAL}, {"d", ".", EBUSY},        {".", "x", EBUSY},
        {"..", "x", EBUSY},     {"f", "..", EBUSY},       {"d/.", "x", EBUSY},
        {"f", "x/", ENOTDIR},   {"f/", "x", ENOTDIR},     {"loop/x", "y", ELOOP},
        {"f", "loop/x", ELOOP}, {"", "x", ENOENT},        {"f", "", ENOENT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
        fails(text("'%s' to '%s': %s", rows[i].from, rows[i].to,
                   strerrorname_np(rows[i].err)),
              rename(rows[i].from, rows[i].to), rows[i].err);
    fails("too long a name", rename("f", letters(256)), ENAMETOOLONG);
    fails("from too long a name", rename(letters(256), "x"), ENAMETOOLONG);
    same("nothing has moved", names("."), "d empty f full loop");
    same("nor below", names("d"), "sub");
}

static void with_noreplace(void)
{
    put("a", "a");
    put("b", "b");
    must(mkdir("d", 0755));
    must(symlink("nowhere", "l"));
    fails("a file", noreplace("a", "b"), EEXIST);
    fails("an empty directory", noreplace("a", "d"), EEXIST);
    fails("a dangling link", noreplace("a", "l"), EEXIST);
    fails("itself", noreplace("a", "a"), EEXIST);
    fails("from nothing", noreplace("none", "b"), ENOENT);
    int fd = opened("open", O_CREAT | O_WRONLY);
    fails("what is only open so far", noreplace("a", "open"), EEXIST);
    must(close(fd));
    ok("a free name", noreplace("a", "c"));
    same("moves", value("c"), "a");
    ok("a directory", noreplace("d", "e"));
    same("what there is", names("."), "b c e l open");
    same("the target is untouched", value("b"), "b");
}

static void with_exchange(void)
{
    put("a", "a");
    put("b", "b");
    ino_t a = look("a").st_ino, b = look("b").st_ino;
    ok("two files", exchange("a", "b"));
    same("the first", value("a"), "b");
    same("the second", value("b"), "a");
    yes("their numbers, too", look("a").st_ino == b && look("b").st_ino == a);
    must(mkdir("d", 0755));
    put("d/f", "inside");
    ok("a file and a directory", exchange("a", "d"));
    same("one is the directory", value("a/f"), "inside");
    same("the other the file", value("d"), "b");
    must(mkdir("e", 0755));
    put("e/g", "other");
    ok("two directories that are not empty", exchange("a", "e"));
    same("the first holds the second's", names("a"), "g");
    same("and the reverse", names("e"), "f");
    must(symlink("x", "l"));
    ok("a link and a file", exchange("l", "b"));
    yes("are exchanged", S_ISLNK(look("b").st_mode) && S_ISREG(look("l").st_mode));
    fails("with nothing", exchange("l", "none"), ENOENT);
    fails("from nothing", exchange("none", "l"), ENOENT);
    ok("with itself", exchange("l", "l"));
    must(mkdir("e/sub", 0755));
    fails("with what is inside", exchange("e", "e/sub"), EINVAL);
    fails("with what it is inside of", exchange("e/sub", "e"), EINVAL);
    int fd = fresh("open", "opened");
    ok("with what is only open so far", exchange("open", "l"));
    must(close(fd));
    same("what was written goes along", value("l"), "opened");
    same("and the other is there", value("open"), "a");
}

static void unknown_flags(void)
{
    make("a");
    make("b");
    fails("both", renameat2(AT_FDCWD, "a", AT_FDCWD, "b", 3), EINVAL);
    fails("others", renameat2(AT_FDCWD, "a", AT_FDCWD, "c", 1 << 20), EINVAL);
    same("nothing has moved", names("."), "a b");
}

static void of_open_files(void)
{
    put("target", "target");
    int reader = opened("target", O_RDONLY);
    int writer = fresh("new", "written");
    ok("over a file that is read", rename("new", "target"));
    same("the reader keeps what it opened", value_fd(reader), "target");
    same("the name shows what was written, before it is closed", value("target"),
         "written");
    put_at(writer, 7, "more");
    must(close(writer));
    same("and after", value("target"), "writtenmore");
    writer = opened("target", O_RDWR);
    put_at(writer, 0, "LOST");
    put("other", "other");
    ok("over a file that is written", rename("other", "target"));
    must(close(writer));
    same("its bytes go nowhere", value("target"), "other");
    same("what there is", names("."), "target");
}

static void of_the_working_directory(void)
{
    must(mkdir("d", 0755));
    must(chdir("d"));
    ok("rename", rename("../d", "../e"));
    ok("files can be made in it", creates("f", O_CREAT | O_WRONLY, 0644));
    yes("and are there", exists("../e/f"));
    must(mkdir("../to", 0755));
    ok("into another", rename("../e", "../to/e"));
    yes(".. is the new one", exists("../../to"));
}

static void as_programs_save(void)
{
    bool right = true;
    for (int i = 0; i < 100; i++) {
        const char *bytes = text("save %d", i);
        int fd = fresh("f.tmp", bytes);
        must(fsync(fd));
        must(close(fd));
        must(rename("f.tmp", "f"));
        right = right && strcmp(value("f"), bytes) == 0;
    }
    yes("each save is there at once", right);
    same("nothing else is left", names("."), "f");
}

FAMILY(rename, CASE(moves_things), CASE(replaces), CASE(refuses), CASE(with_noreplace),
       CASE(with_exchange), CASE(unknown_flags), CASE(of_open_files),
       CASE(of_the_working_directory), CASE(as_programs_save));
