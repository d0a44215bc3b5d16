/* chmod(2), and what clears set-id bits. */
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static void changes(void)
{
    make("f");
    must(mkdir("d", 0755));
    const mode_t modes[] = {0111, 0000, 0755, 01777, 02755, 04755, 06711, 07777, 0644};
    for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
        must(chmod("f", modes[i]));
        is_mode(text("a file: %04o", modes[i]), mode_of("f"), modes[i]);
        must(chmod("d", modes[i]));
        is_mode(text("a directory: %04o", modes[i]), mode_of("d"), modes[i]);
    }
    yes("the types stay", S_ISREG(look("f").st_mode) && S_ISDIR(look("d").st_mode));
    must(chmod("d", 0755));
    must(symlink("f", "l"));
    ok("through a link", chmod("l", 0600));
    is_mode("changes its target", mode_of("f"), 0600);
    is_mode("not the link", mode_of("l"), 0777);
    int fd = opened("f", O_RDONLY);
    ok("fchmod", fchmod(fd, 0640));
    is_mode("changes", mode_of("f"), 0640);
    must(close(fd));
    fd = fresh("new", "abc");
    must(fchmod(fd, 0604));
    is_mode("of a file that is only open so far", mode_of("new"), 0604);
    must(close(fd));
    is_mode("stays after close", mode_of("new"), 0604);
    same("with its bytes", value("new"), "abc");
    ok("fchmodat", fchmodat(AT_FDCWD, "new", 0600, 0));
    fd = opened("d", O_RDONLY);
    ok("fchmod of a directory", fchmod(fd, 0700));
    is_mode("changes, too", mode_of("d"), 0700);
}

static void refuses(void)
{
    make("f");
    must(symlink("loop", "loop"));
    fails("nothing there", chmod("none", 0644), ENOENT);
    fails("below a file", chmod("f/x", 0644), ENOTDIR);
    fails("a loop", chmod("loop", 0644), ELOOP);
    fails("a closed descriptor", fchmod(99, 0644), EBADF);
    become(NOBODY, NOBODY, 0);
    fails("another's file", chmod("f", 0666), EPERM);
    fails("by descriptor", fchmod(opened("f", O_RDONLY), 0666), EPERM);
    become_root();
    must(chown("f", NOBODY, GROUP));
    become(NOBODY, NOBODY, 0);
    ok("one's own", chmod("f", 0600));
    is_mode("changes", mode_of("f"), 0600);
    become(BOB, GROUP, 0);
    fails("a file of one's group", chmod("f", 0660), EPERM);
}

static void set_group_id_needs_the_group(void)
{
    make("f");
    must(chown("f", NOBODY, GROUP));
    become(NOBODY, NOBODY, 0);
    ok("not in it: chmod goes through", chmod("f", 02755));
    is_mode("without the bit", mode_of("f"), 0755);
    become(NOBODY, NOBODY, GROUP, 0);
    ok("by a supplementary group", chmod("f", 02755));
    is_mode("with the bit", mode_of("f"), 02755);
    become(NOBODY, GROUP, 0);
    ok("by the group", chmod("f", 06755));
    is_mode("with both", mode_of("f"), 06755);
}

static void the_sticky_bit_of_files(void)
{
    make("f");
    must(chown("f", NOBODY, NOBODY));
    become(NOBODY, NOBODY, 0);
    ok("an ordinary user sets it", chmod("f", 01644));
    is_mode("it stands", mode_of("f"), 01644);
}

static void prepare(const char *name, mode_t mode)
{
    put(name, "0123456789");
    must(chown(name, NOBODY, NOBODY));
    must(chmod(name, mode));
}

static void writing_clears(void)
{
    struct {
        mode_t mode, want;
    } rows[] = {
        {04777, 0777}, {02777, 0777}, {06777, 0777}, {04766, 0766}, {01777, 01777},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
        const char *name = text("f%zu", i);
        prepare(name, rows[i].mode);
        become(BOB, BOB, 0);
        int fd = opened(name, O_RDWR);
        put_at(fd, 0, "x");
        become_root();
        is_mode(text("write: %04o", rows[i].mode), mode_of(name), rows[i].want);
        must(close(fd));
        is_mode(text("after close: %04o", rows[i].mode), mode_of(name), rows[i].want);

        prepare(name, rows[i].mode);
        become(BOB, BOB, 0);
        must(truncate(name, 3));
        become_root();
        is_mode(text("truncate: %04o", rows[i].mode), mode_of(name), rows[i].want);

        prepare(name, rows[i].mode);
        become(BOB, BOB, 0);
        fd = opened(name, O_RDWR);
        must(ftruncate(fd, 3));
        become_root();
        must(close(fd));
        is_mode(text("ftruncate: %04o", rows[i].mode), mode_of(name), rows[i].want);

        prepare(name, rows[i].mode);
        become(BOB, BOB, 0);
        must(close(opened(name, O_WRONLY | O_TRUNC)));
        become_root();
        is_mode(text("O_TRUNC: %04o", rows[i].mode), mode_of(name), rows[i].want);
    }
    prepare("o", 06777);
    become(NOBODY, NOBODY, 0);
    int fd = opened("o", O_WRONLY);
    put_at(fd, 0, "x");
    must(close(fd));
    is_mode("the owner's write clears as well", mode_of("o"), 0777);
    become_root();
    prepare("r", 06777);
    fd = opened("r", O_WRONLY);
    put_at(fd, 0, "x");
    must(close(fd));
    is_mode("root's does not", mode_of("r"), 06777);
    prepare("n", 06777);
    become(BOB, BOB, 0);
    fd = opened("n", O_RDWR);
    must(pwrite(fd, "", 0, 0));
    must(close(fd));
    is_mode("nor a write of nothing", mode_of("n"), 06777);
}

FAMILY(chmod, CASE(changes), CASE(refuses), CASE(set_group_id_needs_the_group),
       CASE(the_sticky_bit_of_files), CASE(writing_clears));
