/* Who may do what: modes, groups, sticky and set-group-ID directories. */
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Someone else than the last one, from root's view. */
#define as(...) become(__VA_ARGS__, 0)

static void by_class(void)
{
    struct {
        mode_t mode;
        uid_t uid;
        gid_t gid, also;
        int reads, writes;
        const char *who;
    } rows[] = {
        {0400, NOBODY, NOBODY, 0, 0, EACCES, "owner, 0400"},
        {0200, NOBODY, NOBODY, 0, EACCES, 0, "owner, 0200"},
        {0600, NOBODY, NOBODY, 0, 0, 0, "owner, 0600"},
        {0077, NOBODY, GROUP, 0, EACCES, EACCES, "owner, 0077"},
        {0040, BOB, GROUP, 0, 0, EACCES, "group, 0040"},
        {0020, BOB, GROUP, 0, EACCES, 0, "group, 0020"},
        {0707, BOB, GROUP, 0, EACCES, EACCES, "group, 0707"},
        {0060, BOB, BOB, GROUP, 0, 0, "supplementary group, 0060"},
        {0707, BOB, BOB, GROUP, EACCES, EACCES, "supplementary group, 0707"},
        {0004, BOB, BOB, 0, 0, EACCES, "others, 0004"},
        {0002, BOB, BOB, 0, EACCES, 0, "others, 0002"},
        {0770, BOB, BOB, 0, EACCES, EACCES, "others, 0770"},
        {0000, 0, 0, 0, 0, 0, "root, 0000"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        become_root();
        must(creates("f", O_CREAT | O_WRONLY, 0644));
        must(chown("f", NOBODY, GROUP));
        must(chmod("f", rows[i].mode));
        as(rows[i].uid, rows[i].gid, rows[i].also);
        int reads = opens("f", O_RDONLY) ? errno : 0;
        int writes = opens("f", O_WRONLY) ? errno : 0;
        int both = opens("f", O_RDWR) ? errno : 0;
        int cuts = opens("f", O_RDONLY | O_TRUNC) ? errno : 0;
        is(text("%s: reading", rows[i].who), reads, rows[i].reads);
        is(text("%s: writing", rows[i].who), writes, rows[i].writes);
        is(text("%s: both", rows[i].who), both,
           rows[i].reads ? rows[i].reads : rows[i].writes);
        is(text("%s: reading and truncating", rows[i].who), cuts,
           rows[i].reads ? rows[i].reads : rows[i].writes);
    }
}

static void of_directories(void)
{
    must(mkdir("d", 0755));
    make("d/f");
    must(mkdir("d/sub", 0755));
    make("own");
    must(chown("own", NOBODY, NOBODY));
    as(NOBODY, NOBODY, 0);
    fails("create", creates("d/new", O_CREAT | O_WRONLY, 0644), EACCES);
    fails("create exclusively", creates("d/new", O_CREAT | O_EXCL | O_WRONLY, 0644),
          EACCES);
    fails("mkdir", mkdir("d/new", 0755), EACCES);
    fails("symlink", symlink("x", "d/new"), EACCES);
    fails("mknod", mknod("d/new", S_IFREG | 0644, 0), EACCES);
    fails("unlink", unlink("d/f"), EACCES);
    fails("rmdir", rmdir("d/sub"), EACCES);
    fails("rename inside", rename("d/f", "d/g"), EACCES);
    fails("rename out", rename("d/f", "g"), EACCES);
    fails("rename in", rename("own", "d/own"), EACCES);
    fails("link", link("own", "d/own"), EACCES);
    ok("O_CREAT of what exists", creates("d/f", O_CREAT | O_RDONLY, 0644));
    fails("mkdir of what exists", mkdir("d/sub", 0755), EEXIST);
    become_root();
    must(chmod("d", 0666));
    as(NOBODY, NOBODY, 0);
    fails("without x: open", opens("d/f", O_RDONLY), EACCES);
    fails("without x: create", creates("d/new", O_CREAT | O_WRONLY, 0644), EACCES);
    fails("without x: mkdir", mkdir("d/new", 0755), EACCES);
    fails("without x: unlink", unlink("d/f"), EACCES);
    fails("without x: chmod", chmod("d/f", 0644), EACCES);
    fails("without x: chdir", chdir("d"), EACCES);
    become_root();
    must(chmod("d", 0333));
    as(NOBODY, NOBODY, 0);
    ok("w and x: create", creates("d/new", O_CREAT | O_WRONLY, 0644));
    ok("w and x: unlink of another's", unlink("d/f"));
    ok("w and x: rename", rename("d/new", "d/newer"));
    ok("w and x: rmdir of another's", rmdir("d/sub"));
    become_root();
    must(chmod("d", 0770));
    must(chown("d", 0, GROUP));
    as(NOBODY, NOBODY, GROUP);
    ok("by a supplementary group: create", creates("d/g", O_CREAT | O_WRONLY, 0644));
    ok("by a supplementary group: unlink", unlink("d/newer"));
}

static void moving_a_directory_needs_it_writable(void)
{
    must(chmod(".", 0777));
    must(mkdir("to", 0777));
    must(mkdir("d", 0555));
    must(chown("d", BOB, BOB));
    as(NOBODY, NOBODY, 0);
    fails("to another parent", rename("d", "to/d"), EACCES);
    ok("within one parent", rename("d", "e"));
}

/* In a sticky directory of one user, files of several. */
static void sticky_directories(void)
{
    struct {
        const char *who;
        uid_t dir_owner, file_owner, uid;
        int err;
    } rows[] = {
        {"neither's", BOB, BOB, NOBODY, EPERM},
        {"one's own file", BOB, NOBODY, NOBODY, 0},
        {"one's own directory", NOBODY, BOB, NOBODY, 0},
        {"both one's own", NOBODY, NOBODY, NOBODY, 0},
        {"root", BOB, BOB, 0, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        become_root();
        const char *dir = text("d%zu", i);
        must(mkdir(dir, 0777));
        must(chown(dir, rows[i].dir_owner, 0));
        must(chmod(dir, 01777));
        must(chdir(dir));
        const char *files[] = {"f", "g", "h", "i", "k"};
        for (size_t k = 0; k < 5; k++) {
            make(files[k]);
            must(chown(files[k], rows[i].file_owner, 0));
        }
        must(mkdir("sub", 0777));
        must(chown("sub", rows[i].file_owner, 0));
        as(rows[i].uid, rows[i].uid, 0);
        must(mknod("mine", S_IFREG | 0644, 0));
        const char *who = rows[i].who;
        int done[] = {
            unlink("f") ? errno : 0,           rename("g", "moved") ? errno : 0,
            rename("h", "../out") ? errno : 0, rename("mine", "i") ? errno : 0,
            rmdir("sub") ? errno : 0,
        };
        const char *what[] = {"unlink", "rename", "rename out", "rename over", "rmdir"};
        for (size_t k = 0; k < 5; k++) {
            /* The directory above is not theirs. */
            int err = k == 2 && rows[i].uid && !rows[i].err ? EACCES : rows[i].err;
            is(text("%s: %s", who, what[k]), done[k], err);
        }
        must(chdir(".."));
    }
}

static void set_group_id_directories(void)
{
    must(mkdir("d", 0777));
    must(chown("d", 0, GROUP));
    must(chmod("d", 02777));
    as(NOBODY, NOBODY, 0);
    must(creates("d/f", O_CREAT | O_WRONLY, 0644));
    is("a file has the directory's group", look("d/f").st_gid, GROUP);
    must(creates("d/x", O_CREAT | O_EXCL | O_WRONLY, 0644));
    is("one made exclusively, too", look("d/x").st_gid, GROUP);
    must(mkdir("d/sub", 0755));
    is("so has a directory", look("d/sub").st_gid, GROUP);
    is_mode("and the bit", mode_of("d/sub"), 02755);
    must(mkdir("d/sub/sub", 0700));
    is("inherited further", look("d/sub/sub").st_gid, GROUP);
    must(symlink("x", "d/l"));
    is("a link as well", look("d/l").st_gid, GROUP);
    must(mknod("d/n", S_IFREG | 0644, 0));
    is("and mknod's", look("d/n").st_gid, GROUP);
    must(creates("d/s", O_CREAT | O_WRONLY, 02755));
    is_mode("a file loses the bit when its maker is not in the group", mode_of("d/s"),
            0755);
    must(creates("d/t", O_CREAT | O_WRONLY, 02745));
    is_mode("but not without x for the group", mode_of("d/t"), 02745);
    as(NOBODY, NOBODY, GROUP);
    must(creates("d/u", O_CREAT | O_WRONLY, 02755));
    is_mode("who is in the group keeps it", mode_of("d/u"), 02755);
}

static void checks_at_open_alone(void)
{
    make("f");
    must(chown("f", NOBODY, NOBODY));
    as(NOBODY, NOBODY, 0);
    int fd = opened("f", O_RDWR);
    must(chmod("f", 0));
    is("write after chmod 0", write(fd, "abc", 3), 3);
    same("read, too", value_fd(fd), "abc");
    ok("ftruncate", ftruncate(fd, 2));
    ok("close", close(fd));
    must(chmod("f", 0400));
    same("it was stored", value("f"), "ab");
}

static void real_and_effective_users(void)
{
    make("f");
    must(chmod("f", 0600));
    as(NOBODY, NOBODY, 0);
    ok("access asks for the real one", access("f", R_OK));
    fails("faccessat for the effective one", faccessat(AT_FDCWD, "f", R_OK, AT_EACCESS),
          EACCES);
}

FAMILY(access, CASE(by_class), CASE(of_directories),
       CASE(moving_a_directory_needs_it_writable), CASE(sticky_directories),
       CASE(set_group_id_directories), CASE(checks_at_open_alone),
       CASE(real_and_effective_users));
