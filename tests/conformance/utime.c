/* utimensat(2) and futimens(3), utimes(2), in every form. */
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#include <utime.h>

#define NOW                                                                            \
    {                                                                                  \
        0, UTIME_NOW                                                                   \
    }
#define OMIT                                                                           \
    {                                                                                  \
        0, UTIME_OMIT                                                                  \
    }

static int set(const char *path, struct timespec atime, struct timespec mtime)
{
    return utimensat(AT_FDCWD, path, (struct timespec[2]){atime, mtime}, 0);
}

static struct timespec at(time_t seconds, long ns)
{
    return (struct timespec){seconds, ns};
}

static const char *shown(struct timespec time)
{
    return text("%lld.%09ld", (long long)time.tv_sec, time.tv_nsec);
}

static void sets_both(void)
{
    make("f");
    must(mkdir("d", 0755));
    const char *paths[] = {"f", "d"};
    for (size_t i = 0; i < 2; i++) {
        const char *what = i ? "a directory" : "a file";
        ok(what, set(paths[i], at(1900000000, 5), at(1950000000, 987654321)));
        struct stat st = look(paths[i]);
        same(text("%s: atime", what), shown(st.st_atim), "1900000000.000000005");
        same(text("%s: mtime", what), shown(st.st_mtim), "1950000000.987654321");
    }
    ok("before 1970", set("f", at(-1000, 0), at(-2000, 0)));
    is("atime", look("f").st_atim.tv_sec, -1000);
    is("mtime", look("f").st_mtim.tv_sec, -2000);
    ok("at 0", set("f", at(0, 0), at(0, 0)));
    is("mtime 0", look("f").st_mtim.tv_sec, 0);
    ok("after 2038", set("f", at(4294967296, 0), at(4294967296, 0)));
    is("mtime then", look("f").st_mtim.tv_sec, 4294967296);
}

static void sets_one(void)
{
    make("f");
    must(set("f", at(1000, 1), at(2000, 2)));
    ok("atime alone", set("f", at(3000, 3), (struct timespec)OMIT));
    same("it has changed", shown(look("f").st_atim), "3000.000000003");
    same("mtime has not", shown(look("f").st_mtim), "2000.000000002");
    ok("mtime alone", set("f", (struct timespec)OMIT, at(4000, 4)));
    same("it has changed, too", shown(look("f").st_mtim), "4000.000000004");
    same("atime has not", shown(look("f").st_atim), "3000.000000003");
    struct stat before = look("f");
    tick();
    ok("neither", set("f", (struct timespec)OMIT, (struct timespec)OMIT));
    struct stat after = look("f");
    is("nothing moves", moved(&before, &after), 0);
}

static bool recent(struct timespec time)
{
    struct timespec now;
    must(clock_gettime(CLOCK_REALTIME, &now));
    return time.tv_sec > now.tv_sec - 30 && time.tv_sec <= now.tv_sec;
}

static void sets_now(void)
{
    make("f");
    must(set("f", at(1000, 0), at(1000, 0)));
    ok("without times", utimensat(AT_FDCWD, "f", NULL, 0));
    yes("both are now", recent(look("f").st_mtim) && recent(look("f").st_atim));
    must(set("f", at(1000, 0), at(1000, 0)));
    ok("UTIME_NOW", set("f", (struct timespec)NOW, (struct timespec)NOW));
    yes("both are now as well", recent(look("f").st_mtim) && recent(look("f").st_atim));
    must(set("f", at(1000, 0), at(1000, 0)));
    ok("mtime now", set("f", (struct timespec)OMIT, (struct timespec)NOW));
    yes("it is", recent(look("f").st_mtim));
    is("atime stays", look("f").st_atim.tv_sec, 1000);
    must(set("f", at(1000, 0), at(1000, 0)));
    ok("atime now, mtime given", set("f", (struct timespec)NOW, at(7, 0)));
    yes("atime is now", recent(look("f").st_atim));
    is("mtime is as given", look("f").st_mtim.tv_sec, 7);
}

static void other_calls(void)
{
    make("f");
    must(symlink("f", "l"));
    ok("utimes", utimes("f", (struct timeval[2]){{1000, 1}, {2000, 2}}));
    same("has microseconds", shown(look("f").st_mtim), "2000.000002000");
    ok("utime", utime("f", &(struct utimbuf){3000, 4000}));
    is("has seconds", look("f").st_mtim.tv_sec, 4000);
    ok("through a link", set("l", at(5, 0), at(6, 0)));
    is("changes the target", look("f").st_mtim.tv_sec, 6);
    struct timespec times[2] = {{7, 0}, {8, 0}};
    ok("of the link", utimensat(AT_FDCWD, "l", times, AT_SYMLINK_NOFOLLOW));
    is("has it", look("l").st_mtim.tv_sec, 8);
    is("the target does not", look("f").st_mtim.tv_sec, 6);
    int fd = opened("f", O_RDONLY);
    ok("futimens of a reader", futimens(fd, times));
    is("has it as well", look("f").st_mtim.tv_sec, 8);
    fd = opened(".", O_RDONLY);
    ok("futimens of a directory", futimens(fd, times));
    is("has it, too", look(".").st_mtim.tv_sec, 8);
}

static void of_files_being_written(void)
{
    struct timespec times[2] = {{7, 0}, {8, 0}};
    int fd = fresh("f", "abc");
    ok("futimens after write", futimens(fd, times));
    is("is seen at once", look("f").st_mtim.tv_sec, 8);
    must(close(fd));
    is("and after close", look("f").st_mtim.tv_sec, 8);
    same("with the bytes", value("f"), "abc");
    fd = opened("f", O_WRONLY | O_TRUNC);
    must(futimens(fd, times));
    must(close(fd));
    is("after O_TRUNC alone", look("f").st_mtim.tv_sec, 8);
    fd = opened("f", O_WRONLY);
    must(futimens(fd, times));
    put_at(fd, 0, "x");
    must(close(fd));
    yes("a write after that wins", recent(look("f").st_mtim));
    fd = opened("f", O_WRONLY);
    put_at(fd, 0, "y");
    must(set("f", at(9, 0), at(10, 0)));
    must(close(fd));
    is("by name", look("f").st_mtim.tv_sec, 10);
}

static void refuses(void)
{
    make("f");
    must(symlink("loop", "loop"));
    fails("nothing there", set("none", at(1, 0), at(1, 0)), ENOENT);
    fails("below a file", set("f/x", at(1, 0), at(1, 0)), ENOTDIR);
    fails("a loop", set("loop", at(1, 0), at(1, 0)), ELOOP);
    fails("1000000000 ns", set("f", at(1, 1000000000), at(1, 0)), EINVAL);
    fails("-1 ns", set("f", at(1, 0), at(1, -1)), EINVAL);
    fails("unknown flags", utimensat(AT_FDCWD, "f", NULL, 0x1), EINVAL);
    fails("a closed descriptor", futimens(99, NULL), EBADF);
}

static void who_may(void)
{
    make("f");
    must(chmod("f", 0644));
    become(NOBODY, NOBODY, 0);
    fails("another's: a time", set("f", at(1, 0), at(1, 0)), EPERM);
    fails("another's: now", utimensat(AT_FDCWD, "f", NULL, 0), EACCES);
    fails("another's: one of them",
          set("f", (struct timespec)OMIT, (struct timespec)NOW), EPERM);
    ok("another's: neither", set("f", (struct timespec)OMIT, (struct timespec)OMIT));
    become_root();
    must(chmod("f", 0666));
    become(NOBODY, NOBODY, 0);
    fails("writable: a time", set("f", at(1, 0), at(1, 0)), EPERM);
    ok("writable: now", utimensat(AT_FDCWD, "f", NULL, 0));
    ok("writable: UTIME_NOW twice",
       set("f", (struct timespec)NOW, (struct timespec)NOW));
    become_root();
    must(chown("f", NOBODY, NOBODY));
    must(chmod("f", 0));
    become(NOBODY, NOBODY, 0);
    ok("one's own, mode 0: a time", set("f", at(1, 0), at(1, 0)));
    ok("one's own, mode 0: now", utimensat(AT_FDCWD, "f", NULL, 0));
}

FAMILY(utime, CASE(sets_both), CASE(sets_one), CASE(sets_now), CASE(other_calls),
       CASE(of_files_being_written), CASE(refuses), CASE(who_may));
