/* read(2), write(2), lseek(2), vectors, O_DIRECT, private mappings. */
#include "conform.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <unistd.h>

static void reads_what_was_written(void)
{
    char bytes[8];
    int fd = fresh("f", "0123456789");
    is("the offset is behind it", lseek(fd, 0, SEEK_CUR), 10);
    is("read at the end", read(fd, bytes, 8), 0);
    must(lseek(fd, 2, SEEK_SET));
    is("read", read(fd, bytes, 4), 4);
    yes("those bytes", memcmp(bytes, "2345", 4) == 0);
    is("the offset moves", lseek(fd, 0, SEEK_CUR), 6);
    is("a read beyond the end is short", read(fd, bytes, 8), 4);
    is("pread behind the end", pread(fd, bytes, 8, 100), 0);
    is("pread", pread(fd, bytes, 1, 5), 1);
    is("leaves the offset", lseek(fd, 0, SEEK_CUR), 10);
    is("read of nothing", read(fd, bytes, 0), 0);
    must(close(fd));
    same("the same by name", value("f"), "0123456789");
}

static void overwrites_in_place(void)
{
    put("f", "0123456789");
    int fd = opened("f", O_RDWR);
    put_at(fd, 3, "abc");
    same("in the middle", value_fd(fd), "012abc6789");
    put_at(fd, 8, "XYZ");
    same("across the end", value_fd(fd), "012abc67XYZ");
    put_at(fd, 13, "!");
    same("behind the end, with a hole of zeros", value_fd(fd), "012abc67XYZ00!");
    is("write of nothing", pwrite(fd, "", 0, 100), 0);
    must(close(fd));
    same("stays after close", value("f"), "012abc67XYZ00!");
    is("the size", size_of("f"), 14);
}

static void write_of_nothing_changes_nothing(void)
{
    put("f", "abc");
    struct stat before = look("f");
    tick();
    int fd = opened("f", O_WRONLY);
    is("write", write(fd, "", 0), 0);
    ok("close", close(fd));
    struct stat after = look("f");
    is("no time moves", moved(&before, &after), 0);
    is("nor the size", after.st_size, 3);
}

static void offsets(void)
{
    int fd = fresh("f", "0123456789");
    is("SEEK_SET", lseek(fd, 4, SEEK_SET), 4);
    is("SEEK_CUR", lseek(fd, 3, SEEK_CUR), 7);
    is("SEEK_END", lseek(fd, -3, SEEK_END), 7);
    is("behind the end", lseek(fd, 5, SEEK_END), 15);
    is("leaves the size", size_of("f"), 10);
    fails("before the beginning", (int)lseek(fd, -1, SEEK_SET), EINVAL);
    fails("before the beginning from the end", (int)lseek(fd, -11, SEEK_END), EINVAL);
    fails("an unknown whence", (int)lseek(fd, 0, 99), EINVAL);
    is("none of these moved it", lseek(fd, 0, SEEK_CUR), 15);
    fails("pread before the beginning", (int)pread(fd, &(char){0}, 1, -1), EINVAL);
    fails("pwrite before the beginning", (int)pwrite(fd, "x", 1, -1), EINVAL);
    must(close(fd));
    fd = opened("f", O_RDONLY);
    is("SEEK_END of a reader", lseek(fd, 0, SEEK_END), 10);
}

static void data_and_holes(void)
{
    int fd = fresh("f", "0123456789");
    is("data at the beginning", lseek(fd, 0, SEEK_DATA), 0);
    is("data in the middle", lseek(fd, 5, SEEK_DATA), 5);
    is("the hole is the end", lseek(fd, 0, SEEK_HOLE), 10);
    is("from the middle, too", lseek(fd, 5, SEEK_HOLE), 10);
    fails("data at the end", (int)lseek(fd, 10, SEEK_DATA), ENXIO);
    fails("a hole behind the end", (int)lseek(fd, 11, SEEK_HOLE), ENXIO);
    must(close(fd));
    make("empty");
    fd = opened("empty", O_RDONLY);
    fails("data of an empty file", (int)lseek(fd, 0, SEEK_DATA), ENXIO);
    fails("a hole of an empty file", (int)lseek(fd, 0, SEEK_HOLE), ENXIO);
}

static void vectors(void)
{
    int fd = opened("f", O_CREAT | O_RDWR);
    char a[3], b[5];
    struct iovec out[] = {
        {(char[]){"abc"}, 3}, {(char[]){""}, 0}, {(char[]){"defgh"}, 5}};
    struct iovec in[] = {{a, sizeof(a)}, {b, sizeof(b)}};
    is("writev", writev(fd, out, 3), 8);
    same("writes all of them", value_fd(fd), "abcdefgh");
    is("preadv", preadv(fd, in, 2, 0), 8);
    yes("reads all of them", memcmp(a, "abc", 3) == 0 && memcmp(b, "defgh", 5) == 0);
    is("pwritev", pwritev(fd, out, 3, 2), 8);
    must(close(fd));
    same("in its place", value("f"), "ababcdefgh");
}

static void large(void)
{
    enum { LEN = 3 * 1024 * 1024 + 17 };
    static char bytes[LEN], back[LEN + 1];
    const size_t len = LEN;
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)((i * 7919) >> 8);
    int fd = opened("f", O_CREAT | O_RDWR);
    is("one write", write(fd, bytes, len), (long long)len);
    is("one pread", pread(fd, back, len + 1, 0), (long long)len);
    yes("the same bytes", memcmp(bytes, back, len) == 0);
    must(close(fd));
    fd = opened("f", O_RDONLY);
    is("after close", read(fd, back, len + 1), (long long)len);
    yes("the same bytes still", memcmp(bytes, back, len) == 0);
    is("at an odd offset", pread(fd, back, 100001, 65537), 100001);
    yes("those bytes", memcmp(bytes + 65537, back, 100001) == 0);
}

static void unaligned_writes_at_page_borders(void)
{
    const off_t at[] = {1, 511, 4095, 4096, 4097, 8191, 65535, 131071};
    int fd = opened("f", O_CREAT | O_RDWR);
    must(ftruncate(fd, 140000));
    for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++)
        put_at(fd, at[i], "ab");
    must(close(fd));
    fd = opened("f", O_RDONLY);
    static char all[140001];
    is("the size", read(fd, all, sizeof(all)), 140000);
    bool right = true;
    for (size_t i = 0; i < sizeof(at) / sizeof(*at); i++)
        right = right && all[at[i] + 1] == (at[i] == 4095 || at[i] == 4096 ? 'a' : 'b');
    yes("every byte in its place", right && all[0] == 0 && all[139999] == 0);
}

static void direct_io(void)
{
    static _Alignas(4096) char page[8192], back[8192];
    memset(page, 'd', 8192);
    int fd = ok("O_DIRECT", open("f", O_CREAT | O_RDWR | O_DIRECT, 0644));
    if (fd < 0)
        return;
    is("write", pwrite(fd, page, 8192, 0), 8192);
    is("read", pread(fd, back, 4096, 4096), 4096);
    yes("those bytes", memcmp(page, back, 4096) == 0);
    is("read at the end", pread(fd, back, 4096, 8192), 0);
    must(close(fd));
    is("the size", size_of("f"), 8192);
    fd = opened("f", O_RDWR);
    ok("set later", fcntl(fd, F_SETFL, O_DIRECT));
    is("read", pread(fd, back, 8192, 0), 8192);
    must(close(fd));
}

static void private_mappings(void)
{
    put("f", "mapped bytes");
    int fd = opened("f", O_RDWR);
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    yes("mmap", map != MAP_FAILED);
    if (map == MAP_FAILED)
        return;
    yes("shows the bytes", memcmp(map, "mapped bytes", 12) == 0);
    yes("and zeros to the end of the page", map[12] == 0 && map[4095] == 0);
    map[0] = 'M';
    same("what is written to it stays private", value_fd(fd), "mapped bytes");
    must(close(fd));
    yes("and stays mapped after close", map[0] == 'M' && map[1] == 'a');
    must(munmap(map, 4096));
}

static void shared_mappings(void)
{
    put("f", "mapped bytes");
    int fd = opened("f", O_RDWR);
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    yes("mmap with PROT_WRITE", map != MAP_FAILED);
    map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    yes("mmap with PROT_READ", map != MAP_FAILED);
}

static void execute(void *path)
{
    execl(path, path, (char *)NULL);
    _exit(99);
}

static void running_programs(void)
{
    char bytes[65536];
    ssize_t len;
    int from = opened("/bin/true", O_RDONLY), to = opened("true", O_CREAT | O_WRONLY);
    while ((len = read(from, bytes, sizeof(bytes))) > 0)
        must(write(to, bytes, (size_t)len) == len ? 0 : -1);
    must(close(to));
    must(chmod("true", 0755));
    is("a program", in_child(execute, (char[]){"./true"}), 0);
    put("script", "#!/bin/sh\nexit 7\n");
    is("a script without x", in_child(execute, (char[]){"./script"}), 99);
    must(chmod("script", 0755));
    is("a script", in_child(execute, (char[]){"./script"}), 7);
}

static void by_the_kernel(void)
{
    put("f", "0123456789");
    int from = opened("f", O_RDONLY), to = opened("g", O_CREAT | O_RDWR);
    off_t offset = 2;
    is("sendfile", sendfile(to, from, &offset, 4), 4);
    same("copies", value_fd(to), "2345");
    int ends[2];
    must(pipe(ends));
    is("splice out", splice(from, &(off_t){6}, ends[1], NULL, 4, 0), 4);
    is("splice in", splice(ends[0], NULL, to, &(off_t){4}, 4, 0), 4);
    same("moves", value_fd(to), "23456789");
    must(close(to));
    same("after close", value("g"), "23456789");
    ok("posix_fadvise", posix_fadvise(from, 0, 0, POSIX_FADV_DONTNEED));
    ok("readahead", (int)readahead(from, 0, 4096));
}

static void copies_ranges(void)
{
    put("f", "0123456789");
    int from = opened("f", O_RDWR), to = opened("g", O_CREAT | O_RDWR);
    off_t in = 3, out = 1;
    is("copy_file_range", copy_file_range(from, &in, to, &out, 4, 0), 4);
    is("moves the source's offset", in, 7);
    is("and the target's", out, 5);
    same("copies", value_fd(to), "03456");
    in = 8, out = 0;
    is("across the end it is short", copy_file_range(from, &in, to, &out, 100, 0), 2);
    same("and copies that", value_fd(to), "89456");
    in = 100;
    is("behind the end", copy_file_range(from, &in, to, &out, 10, 0), 0);
    in = 0, out = 5;
    is("within one file", copy_file_range(from, &in, from, &out, 5, 0), 5);
    same("copies", value_fd(from), "0123401234");
    in = 0, out = 2;
    fails("overlapping", (int)copy_file_range(from, &in, from, &out, 5, 0), EINVAL);
    fails("with flags", (int)copy_file_range(from, &in, to, &out, 5, 1), EINVAL);
    int reader = opened("f", O_RDONLY);
    fails("to a reader", (int)copy_file_range(from, &in, reader, &out, 1, 0), EBADF);
    must(close(from));
    must(close(to));
    same("after close", value("g"), "89456");
    same("the other, too", value("f"), "0123401234");
}

static void through_two_descriptors(void)
{
    int fd = fresh("f", "one");
    must(fsync(fd));
    int reader = opened("f", O_RDONLY);
    put_at(fd, 0, "two");
    same("a reader of the same process sees a write before close", value_fd(reader),
         "two");
    int duplicate = (int)must(dup(fd));
    must(lseek(duplicate, 1, SEEK_SET));
    is("a duplicate shares the offset", lseek(fd, 0, SEEK_CUR), 1);
    must(close(duplicate));
    put_at(fd, 0, "3");
    must(lseek(reader, 1, SEEK_SET));
    must(close(fd));
    char rest[8];
    is("in the middle after close", read(reader, rest, sizeof(rest)), 2);
    same("after close", value_fd(reader), "3wo");
    int a = opened("f", O_RDWR), b = opened("f", O_RDWR);
    put_at(a, 0, "A");
    put_at(b, 1, "B");
    must(close(a));
    must(close(b));
    same("writes of two handles to different bytes both stay", value("f"), "ABo");
}

FAMILY(data, CASE(reads_what_was_written), CASE(overwrites_in_place),
       CASE(write_of_nothing_changes_nothing), CASE(offsets), CASE(data_and_holes),
       CASE(vectors), CASE(large), CASE(unaligned_writes_at_page_borders),
       CASE(direct_io), CASE(private_mappings), CASE(shared_mappings),
       CASE(running_programs), CASE(by_the_kernel), CASE(copies_ranges),
       CASE(through_two_descriptors));
