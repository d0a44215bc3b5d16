/* chown(2). */
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static void owned(const char *what, const char *path, uid_t uid, gid_t gid)
{
    struct stat st = look(path);
    same(what, text("%u:%u", st.st_uid, st.st_gid), text("%u:%u", uid, gid));
}

static void changes(void)
{
    make("f");
    must(mkdir("d", 0755));
    must(symlink("f", "l"));
    ok("a file", chown("f", 123, 456));
    owned("has them", "f", 123, 456);
    ok("-1 keeps", chown("f", (uid_t)-1, 7));
    owned("the owner", "f", 123, 7);
    ok("-1 keeps as well", chown("f", 8, (gid_t)-1));
    owned("the group", "f", 8, 7);
    ok("both -1", chown("f", (uid_t)-1, (gid_t)-1));
    owned("changes neither", "f", 8, 7);
    ok("a directory", chown("d", 1, 2));
    owned("has them, too", "d", 1, 2);
    ok("through a link", chown("l", 3, 4));
    owned("the target", "f", 3, 4);
    owned("not the link", "l", 0, 0);
    ok("lchown", lchown("l", 5, 6));
    owned("the link", "l", 5, 6);
    owned("not the target", "f", 3, 4);
    int fd = fresh("new", "abc");
    ok("fchown", fchown(fd, NOBODY, GROUP));
    owned("of a file that is only open so far", "new", NOBODY, GROUP);
    must(close(fd));
    owned("stays after close", "new", NOBODY, GROUP);
    ok("large numbers", chown("f", 4000000000u, 4000000001u));
    owned("are kept", "f", 4000000000u, 4000000001u);
}

static void refuses(void)
{
    make("f");
    must(symlink("loop", "loop"));
    fails("nothing there", chown("none", 0, 0), ENOENT);
    fails("a loop", chown("loop", 0, 0), ELOOP);
    fails("a closed descriptor", fchown(99, 0, 0), EBADF);
    become(NOBODY, NOBODY, 0);
    fails("another's file", chown("f", NOBODY, NOBODY), EPERM);
    fails("its group", chown("f", (uid_t)-1, NOBODY), EPERM);
    ok("neither", chown("f", (uid_t)-1, (gid_t)-1));
    become_root();
    must(chown("f", NOBODY, NOBODY));
    become(NOBODY, NOBODY, GROUP, 0);
    fails("giving away one's own", chown("f", BOB, (gid_t)-1), EPERM);
    fails("to a foreign group", chown("f", (uid_t)-1, BOB), EPERM);
    ok("to a group one is in", chown("f", (uid_t)-1, GROUP));
    owned("has it", "f", NOBODY, GROUP);
    ok("to oneself", chown("f", NOBODY, GROUP));
    owned("changes nothing", "f", NOBODY, GROUP);
}

static void clears_set_id_bits(void)
{
    struct {
        mode_t mode, by_owner, by_root;
    } rows[] = {
        {06755, 0755, 0755},   {06555, 0555, 0555},   {02755, 0755, 0755},
        {04755, 0755, 0755},   {02745, 02745, 02745}, {06744, 02744, 02744},
        {01755, 01755, 01755},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *name = text("f%zu", i);
        make(name);
        must(chown(name, NOBODY, NOBODY));
        must(chmod(name, rows[i].mode));
        become(NOBODY, NOBODY, NOBODY, GROUP, 0);
        must(chown(name, (uid_t)-1, GROUP));
        is_mode(text("the owner: %04o", rows[i].mode), mode_of(name), rows[i].by_owner);
        become_root();
        must(chmod(name, rows[i].mode));
        must(chown(name, BOB, BOB));
        is_mode(text("root: %04o", rows[i].mode), mode_of(name), rows[i].by_root);
    }
    must(mkdir("d", 0755));
    must(chmod("d", 06755));
    must(chown("d", NOBODY, GROUP));
    is_mode("not those of directories", mode_of("d"), 06755);
}

FAMILY(owner, CASE(changes), CASE(refuses), CASE(clears_set_id_bits));
