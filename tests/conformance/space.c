/* fallocate(2), posix_fallocate(3), and what stat says of blocks. */
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#define KEEP FALLOC_FL_KEEP_SIZE

static void allocates(void)
{
    int fd = fresh("f", "0123");
    ok("inside", fallocate(fd, 0, 0, 2));
    same("changes nothing", value_fd(fd), "0123");
    ok("behind the end", fallocate(fd, 0, 2, 4));
    same("grows with zeros", value_fd(fd), "012300");
    ok("behind a gap", fallocate(fd, 0, 8, 1));
    is("up to there", look("f").st_size, 9);
    ok("keeping the size", fallocate(fd, KEEP, 0, 100));
    is("keeps it", look("f").st_size, 9);
    must(close(fd));
    same("after close", value("f"), "012300000");
    fd = opened("f", O_RDWR);
    ok("of a clean handle", fallocate(fd, 0, 0, 12));
    must(close(fd));
    is("is stored", size_of("f"), 12);
    fd = opened("f", O_RDWR);
    is("posix_fallocate", posix_fallocate(fd, 0, 20), 0);
    must(close(fd));
    is("grows, too", size_of("f"), 20);
}

static void clears(void)
{
    int fd = fresh("f", "0123456789");
    ok("punch a hole", fallocate(fd, FALLOC_FL_PUNCH_HOLE | KEEP, 2, 3));
    put_at(fd, 0, "x");
    same("is zeros", value_fd(fd), "x100056789");
    ok("across the end", fallocate(fd, FALLOC_FL_PUNCH_HOLE | KEEP, 8, 100));
    same("keeps the size", value_fd(fd), "x100056700");
    ok("behind the end", fallocate(fd, FALLOC_FL_PUNCH_HOLE | KEEP, 50, 10));
    is("does nothing", look("f").st_size, 10);
    ok("zero a range", fallocate(fd, FALLOC_FL_ZERO_RANGE, 5, 1));
    same("is zeros, too", value_fd(fd), "x100006700");
    ok("zero across the end, keeping the size",
       fallocate(fd, FALLOC_FL_ZERO_RANGE | KEEP, 7, 100));
    same("keeps it", value_fd(fd), "x100006000");
    ok("zero across the end", fallocate(fd, FALLOC_FL_ZERO_RANGE, 6, 6));
    same("grows", value_fd(fd), "x10000000000");
    must(close(fd));
    same("after close", value("f"), "x10000000000");
}

static void refuses(void)
{
    int fd = fresh("f", "0123");
    fails("no length", fallocate(fd, 0, 0, 0), EINVAL);
    fails("a negative length", fallocate(fd, 0, 0, -1), EINVAL);
    fails("a negative offset", fallocate(fd, 0, -1, 1), EINVAL);
    fails("a hole that changes the size", fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 1),
          EOPNOTSUPP);
    fails("an unknown mode", fallocate(fd, 0x4000, 0, 1), EOPNOTSUPP);
    fails("an end that overflows", fallocate(fd, 0, 0x7fffffffffffffff, 1), EFBIG);
    fails("a reader", fallocate(opened("f", O_RDONLY), 0, 0, 1), EBADF);
    must(mkdir("d", 0755));
    fails("a directory", fallocate(opened("d", O_RDONLY), 0, 0, 1), EBADF);
    must(close(fd));
    same("nothing happened", value("f"), "0123");
}

static void blocks(void)
{
    make("empty");
    is("an empty file has none", look("empty").st_blocks, 0);
    int fd = opened("f", O_CREAT | O_RDWR);
    must(write(fd, letters(10000), 10000));
    must(fsync(fd));
    yes("a full one has enough", look("f").st_blocks * 512LL >= 10000);
    yes("but not many more", look("f").st_blocks * 512LL <= 20480);
    yes("the block size is a page at least", look("f").st_blksize >= 4096);
}

FAMILY(space, CASE(allocates), CASE(clears), CASE(refuses), CASE(blocks));
