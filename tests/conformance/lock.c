/* flock(2), fcntl(2) locks of processes and of open files. */
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

static struct flock range(int type, off_t start, off_t len)
{
    return (struct flock){
        .l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
}

static int lock(int fd, int type, off_t start, off_t len)
{
    struct flock lock = range(type, start, len);
    return fcntl(fd, F_SETLK, &lock);
}

static int lock_open_file(int fd, int type, off_t start, off_t len)
{
    struct flock lock = range(type, start, len);
    return fcntl(fd, F_OFD_SETLK, &lock);
}

static int unlocked_in_child(int fd, int type, off_t start, off_t len)
{
    struct flock lock = range(type, start, len);
    must(fcntl(fd, F_GETLK, &lock));
    return lock.l_type == F_UNLCK;
}

/* What a child that opens f itself finds: bits of what it could lock. */
#define SHARED 1
#define EXCLUSIVE 2
#define READ_HEAD 4
#define WRITE_HEAD 8
#define WRITE_TAIL 16

static void try_locks(void *arg)
{
    (void)arg;
    int fd = opened("f", O_RDWR), found = 0;
    found |= flock(fd, LOCK_SH | LOCK_NB) == 0 ? SHARED : 0;
    found |= flock(fd, LOCK_EX | LOCK_NB) == 0 ? EXCLUSIVE : 0;
    found |= unlocked_in_child(fd, F_RDLCK, 0, 10) ? READ_HEAD : 0;
    found |= unlocked_in_child(fd, F_WRLCK, 0, 10) ? WRITE_HEAD : 0;
    found |= unlocked_in_child(fd, F_WRLCK, 100, 0) ? WRITE_TAIL : 0;
    _exit(found);
}

#define ALL (SHARED | EXCLUSIVE | READ_HEAD | WRITE_HEAD | WRITE_TAIL)

static void whole_files(void)
{
    put("f", "0123456789");
    int fd = opened("f", O_RDWR);
    is("nothing is locked", in_child(try_locks, NULL), ALL);
    ok("LOCK_SH", flock(fd, LOCK_SH));
    is("others share it", in_child(try_locks, NULL), ALL & ~EXCLUSIVE);
    ok("LOCK_EX", flock(fd, LOCK_EX));
    is("others get none", in_child(try_locks, NULL), ALL & ~EXCLUSIVE & ~SHARED);
    int other = opened("f", O_RDONLY);
    fails("nor does another open of the same process", flock(other, LOCK_SH | LOCK_NB),
          EWOULDBLOCK);
    int duplicate = (int)must(dup(fd));
    ok("a duplicate has it", flock(duplicate, LOCK_EX | LOCK_NB));
    must(close(fd));
    is("and keeps it", in_child(try_locks, NULL), ALL & ~EXCLUSIVE & ~SHARED);
    must(close(duplicate));
    is("the last close gives it up", in_child(try_locks, NULL), ALL);
    must(flock(other, LOCK_EX));
    ok("LOCK_UN", flock(other, LOCK_UN));
    is("gives it up, too", in_child(try_locks, NULL), ALL);
    fails("no lock at all", flock(other, 0), EINVAL);
}

static void ranges_of_processes(void)
{
    put("f", "0123456789");
    int fd = opened("f", O_RDWR);
    ok("read lock", lock(fd, F_RDLCK, 0, 10));
    is("others may read", in_child(try_locks, NULL), ALL & ~WRITE_HEAD);
    ok("write lock", lock(fd, F_WRLCK, 0, 10));
    is("others may neither", in_child(try_locks, NULL), ALL & ~WRITE_HEAD & ~READ_HEAD);
    ok("of the rest", lock(fd, F_WRLCK, 50, 0));
    is("others may nothing", in_child(try_locks, NULL), SHARED | EXCLUSIVE);
    ok("unlocking a part", lock(fd, F_UNLCK, 60, 0));
    is("frees that", in_child(try_locks, NULL), SHARED | EXCLUSIVE | WRITE_TAIL);
    must(close(opened("f", O_RDONLY)));
    is("a close of any descriptor frees all", in_child(try_locks, NULL), ALL);
    int reader = opened("f", O_RDONLY);
    fails("a write lock of a reader", lock(reader, F_WRLCK, 0, 1), EBADF);
    fails("a read lock of a writer", lock(opened("f", O_WRONLY), F_RDLCK, 0, 1), EBADF);
    fails("a negative start", lock(fd, F_RDLCK, -1, 1), EINVAL);
}

static void locked_already(void *arg)
{
    int fd = opened("f", O_RDWR);
    fails("another process is refused", lock(fd, F_WRLCK, 5, 1), EAGAIN);
    struct flock found = range(F_WRLCK, 0, 0);
    must(fcntl(fd, F_GETLK, &found));
    is("F_GETLK names who holds it", found.l_pid, *(pid_t *)arg);
    is("from where", found.l_start, 0);
    is("for how long", found.l_len, 10);
    ok("next to it there is room", lock(fd, F_WRLCK, 10, 1));
}

static void who_holds_it(void)
{
    put("f", "0123456789");
    int fd = opened("f", O_RDWR);
    must(lock(fd, F_WRLCK, 0, 10));
    pid_t pid = getpid();
    is("a child looks", in_child(locked_already, &pid), 0);
    ok("its end freed what it had", lock(fd, F_WRLCK, 0, 0));
}

static void locks_of_open_files(void)
{
    put("f", "0123456789");
    int fd = opened("f", O_RDWR), other = opened("f", O_RDWR);
    ok("write lock", lock_open_file(fd, F_WRLCK, 0, 10));
    fails("another open of the same process is refused",
          lock_open_file(other, F_WRLCK, 0, 1), EAGAIN);
    ok("elsewhere it is not", lock_open_file(other, F_WRLCK, 10, 1));
    must(close(opened("f", O_RDONLY)));
    is("a close of another open leaves it", in_child(try_locks, NULL),
       ALL & ~WRITE_HEAD & ~READ_HEAD);
    must(close(fd));
    ok("its own close does not", lock_open_file(other, F_WRLCK, 0, 10));
}

/* A process that waits for a lock gets it when the other one ends. */
static void waiting(void)
{
    put("f", "0");
    int ready[2];
    must(pipe(ready));
    pid_t pid = (pid_t)must(fork());
    if (pid == 0) {
        int fd = opened("f", O_RDWR);
        must(lock(fd, F_WRLCK, 0, 0));
        must(write(ready[1], "x", 1));
        put_at(fd, 0, "1");
        _exit(0); /* closes: its bytes are stored, then the lock goes */
    }
    must(read(ready[0], (char[1]){0}, 1));
    int fd = opened("f", O_RDWR);
    struct flock all = range(F_WRLCK, 0, 0);
    ok("F_SETLKW", fcntl(fd, F_SETLKW, &all));
    same("what was written before is there", value_fd(fd), "1");
}

/* A counter that processes raise under a lock. */
static void raise_counter(void *arg)
{
    bool whole = *(bool *)arg;
    for (int i = 0; i < 25; i++) {
        int guard = opened("lock", O_RDWR);
        struct flock all = range(F_WRLCK, 0, 0);
        must(whole ? flock(guard, LOCK_EX) : fcntl(guard, F_SETLKW, &all));
        put("f", text("%d", atoi(value("f")) + 1));
        must(close(guard));
    }
}

static void count_under(const char *what, bool whole)
{
    pid_t pids[4];
    put("f", "0");
    for (size_t i = 0; i < 4; i++) {
        pids[i] = (pid_t)must(fork());
        if (pids[i] == 0) {
            raise_counter(&whole);
            _exit(0);
        }
    }
    int status, failed = 0;
    for (size_t i = 0; i < 4; i++) {
        must(waitpid(pids[i], &status, 0));
        failed += status != 0;
    }
    is(text("%s: all end well", what), failed, 0);
    same(text("%s: nothing is lost", what), value("f"), "100");
}

static void guards_a_counter(void)
{
    make("lock");
    count_under("flock", true);
    count_under("fcntl", false);
}

FAMILY(lock, CASE(whole_files), CASE(ranges_of_processes), CASE(who_holds_it),
       CASE(locks_of_open_files), CASE(waiting), CASE(guards_a_counter));
