/* truncate(2) and ftruncate(2), in every state of a handle. */
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static void by_name(void)
{
    put("f", "0123456789");
    ok("shorter", truncate("f", 4));
    same("cuts", value("f"), "0123");
    ok("longer", truncate("f", 7));
    same("adds zeros", value("f"), "0123000");
    ok("to the same size", truncate("f", 7));
    same("keeps the bytes", value("f"), "0123000");
    ok("to 0", truncate("f", 0));
    is("empties", size_of("f"), 0);
    ok("from 0 to 70000", truncate("f", 70000));
    is("grows", size_of("f"), 70000);
    must(symlink("f", "link"));
    ok("through a link", truncate("link", 3));
    is("cuts its target", size_of("f"), 3);
}

static void refuses(void)
{
    make("f");
    must(mkdir("d", 0755));
    must(symlink("loop", "loop"));
    fails("a directory", truncate("d", 0), EISDIR);
    fails("nothing there", truncate("none", 0), ENOENT);
    fails("below a file", truncate("f/x", 0), ENOTDIR);
    fails("a loop of links", truncate("loop", 0), ELOOP);
    fails("a negative size", truncate("f", -1), EINVAL);
    fails("a negative size by descriptor", ftruncate(opened("f", O_RDWR), -1), EINVAL);
    fails("a reader", ftruncate(opened("f", O_RDONLY), 0), EINVAL);
    fails("a directory's descriptor", ftruncate(opened("d", O_RDONLY), 0), EINVAL);
    fails("a descriptor that is closed", ftruncate(99, 0), EBADF);
    fails("too large", truncate("f", 0x7fffffffffffffff), EFBIG);
    is("nothing happened", size_of("f"), 0);
}

static void needs_write_permission(void)
{
    put("f", "abc");
    must(chmod("f", 0644));
    become(NOBODY, NOBODY, 0);
    fails("truncate of another's file", truncate("f", 0), EACCES);
    become_root();
    must(chown("f", NOBODY, NOBODY));
    must(chmod("f", 0444));
    become(NOBODY, NOBODY, 0);
    fails("of one's own that is read-only", truncate("f", 0), EACCES);
    become_root();
    must(chmod("f", 0200));
    become(NOBODY, NOBODY, 0);
    ok("of one's own that is write-only", truncate("f", 1));
    become_root();
    same("it was cut", value("f"), "a");
}

static void beyond_the_limit_of_the_process(void)
{
    must(setrlimit(RLIMIT_FSIZE, &(struct rlimit){100, 100}));
    signal(SIGXFSZ, SIG_IGN);
    put("f", "abc");
    fails("truncate", truncate("f", 101), EFBIG);
    int fd = opened("f", O_RDWR);
    fails("ftruncate", ftruncate(fd, 101), EFBIG);
    ok("up to it", ftruncate(fd, 100));
    fails("write behind it", (int)pwrite(fd, "x", 1, 100), EFBIG);
    is("a write across it is short", pwrite(fd, "xyz", 3, 98), 2);
    is("the size", size_of("f"), 100);
}

/* -- States of a handle: "0123456789" open for reading and writing -- */

static int clean(void)
{
    put("f", "0123456789");
    return opened("f", O_RDWR);
}

static int just_written(void)
{
    return fresh("f", "0123456789");
}

static int overwritten(void)
{
    put("f", "01234");
    int fd = opened("f", O_RDWR);
    put_at(fd, 5, "56789");
    return fd;
}

static int synced(void)
{
    int fd = fresh("f", "0123456789");
    must(fsync(fd));
    return fd;
}

static int exclusively_made(void)
{
    int fd = opened("f", O_CREAT | O_EXCL | O_RDWR);
    put_at(fd, 0, "0123456789");
    return fd;
}

static int appending(void)
{
    put("f", "01234");
    int fd = opened("f", O_RDWR | O_APPEND);
    put_at(fd, 0, "56789");
    return fd;
}

static int appending_clean(void)
{
    put("f", "0123456789");
    return opened("f", O_RDWR | O_APPEND);
}

static int duplicated(void)
{
    int fd = fresh("f", "0123456789");
    must(close((int)must(dup(fd))));
    return fd;
}

static int renamed(void)
{
    int fd = fresh("g", "0123456789");
    must(rename("g", "f"));
    return fd;
}

static int renamed_over(void)
{
    put("f", "something else");
    return renamed();
}

static int truncated_by_name(void)
{
    int fd = fresh("f", "0123456789abcdef");
    must(fsync(fd));
    must(truncate("f", 10));
    return fd;
}

static int removed(void)
{
    int fd = clean();
    must(unlink("f"));
    return fd;
}

static int removed_unpublished(void)
{
    int fd = just_written();
    must(unlink("f"));
    return fd;
}

static int replaced(void)
{
    int fd = clean();
    put("other", "other");
    must(rename("other", "f"));
    return fd;
}

static const struct state {
    const char *name;
    int (*enter)(void);
    bool named; /* f is the file */
    bool appends;
} states[] = {
    {"clean", clean, true, false},
    {"just written", just_written, true, false},
    {"overwritten", overwritten, true, false},
    {"synced", synced, true, false},
    {"exclusively made", exclusively_made, true, false},
    {"appending", appending, true, true},
    {"appending, clean", appending_clean, true, true},
    {"duplicated", duplicated, true, false},
    {"renamed", renamed, true, false},
    {"renamed over another", renamed_over, true, false},
    {"truncated by name", truncated_by_name, true, false},
    {"removed", removed, false, false},
    {"removed before its first close", removed_unpublished, false, false},
    {"replaced", replaced, false, false},
};

static off_t fd_size(int fd)
{
    struct stat st;
    must(fstat(fd, &st));
    return st.st_size;
}

static void check_state(const struct state *state)
{
    int fd = state->enter();
    const char *at = state->name;
    is(text("%s: the size", at), fd_size(fd), 10);
    same(text("%s: the bytes", at), value_fd(fd), "0123456789");
    ok(text("%s: ftruncate shorter", at), ftruncate(fd, 6));
    is(text("%s: the shorter size", at), fd_size(fd), 6);
    same(text("%s: what is left", at), value_fd(fd), "012345");
    ok(text("%s: ftruncate longer", at), ftruncate(fd, 8));
    same(text("%s: zeros behind it", at), value_fd(fd), "01234500");
    put_at(fd, 2, "ab");
    const char *want = state->appends ? "01234500ab" : "01ab4500";
    same(text("%s: a write after that", at), value_fd(fd), want);
    ok(text("%s: fsync", at), fsync(fd));
    same(text("%s: the bytes after fsync", at), value_fd(fd), want);
    if (state->named)
        is(text("%s: the size by name", at), size_of("f"), (off_t)strlen(want));
    ok(text("%s: ftruncate to 0", at), ftruncate(fd, 0));
    is(text("%s: nothing is left", at), fd_size(fd), 0);
    put_at(fd, 0, "end");
    same(text("%s: it can be written again", at), value_fd(fd), "end");
    ok(text("%s: close", at), close(fd));
    if (state->named)
        same(text("%s: after close", at), value("f"), "end");
    (void)unlink("f");
}

static void in_every_state_of_a_handle(void)
{
    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++)
        check_state(&states[i]);
    same("nothing reappears", names("."), "");
}

static void by_name_in_every_state_of_a_handle(void)
{
    for (size_t i = 0; i < sizeof(states) / sizeof(*states); i++) {
        const char *at = states[i].name;
        if (!states[i].named)
            continue;
        int fd = states[i].enter();
        ok(text("%s: truncate", at), truncate("f", 4));
        is(text("%s: the size by name", at), size_of("f"), 4);
        is(text("%s: the size by descriptor", at), fd_size(fd), 4);
        same(text("%s: the bytes by descriptor", at), value_fd(fd), "0123");
        must(close(fd));
        same(text("%s: the bytes after close", at), value("f"), "0123");
        must(unlink("f"));
    }
}

static void the_offset_stays(void)
{
    int fd = fresh("f", "0123456789");
    must(ftruncate(fd, 3));
    is("behind the new end", lseek(fd, 0, SEEK_CUR), 10);
    is("a write there", write(fd, "x", 1), 1);
    same("leaves zeros before it", value_fd(fd), "0120000000x");
    must(close(fd));
    same("also after close", value("f"), "0120000000x");
}

static void cut_bytes_do_not_come_back(void)
{
    int fd = fresh("f", "secret");
    must(ftruncate(fd, 1));
    must(ftruncate(fd, 6));
    same("after growing again", value_fd(fd), "s00000");
    must(fsync(fd));
    must(ftruncate(fd, 2));
    must(fsync(fd));
    must(ftruncate(fd, 5));
    same("with fsync between", value_fd(fd), "s0000");
    must(close(fd));
    must(truncate("f", 0));
    must(truncate("f", 3));
    same("by name", value("f"), "000");
}

FAMILY(size, CASE(by_name), CASE(refuses), CASE(needs_write_permission),
       CASE(beyond_the_limit_of_the_process), CASE(in_every_state_of_a_handle),
       CASE(by_name_in_every_state_of_a_handle), CASE(the_offset_stays),
       CASE(cut_bytes_do_not_come_back));
