#ifndef KV_TESTS_UNIT_WAL_FIXTURE_H
#define KV_TESTS_UNIT_WAL_FIXTURE_H

/* A write-ahead log in a temporary directory, on a disk that fails on demand, and what
 * is in its files. Only for programs that begin with
 *
 *     #undef _FILE_OFFSET_BITS // it would give pwrite the name of pwrite64
 *
 * because the functions here come before those of the C library. */

#include "store_fixture.h"

#include "base/log.h"
#include "store/wal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static char *dir;
static struct kv_wal *wal;
static uint64_t last; /* number of the last commit that was tried */

/* -- A disk that fails on demand -- */

static int sync_errno, write_errno;
static size_t write_room;  /* bytes that are written before it fails */
static size_t write_piece; /* of one call; 0: all. Signals interrupt every other one */
static unsigned sync_calls;

int fdatasync(int fd)
{
    (void)fd;
    sync_calls++;
    errno = sync_errno;
    return sync_errno ? -1 : 0;
}

static inline ssize_t write_at(int fd, const void *data, size_t len, int64_t offset)
{
    static bool interrupted;
    interrupted = write_piece && !interrupted;
    if (interrupted || (write_errno && write_room == 0)) {
        errno = interrupted ? EINTR : write_errno;
        return -1;
    }
    if (write_piece && len > write_piece)
        len = write_piece;
    if (write_errno && len > write_room)
        len = write_room;
    if (write_errno)
        write_room -= len;
    return syscall(SYS_pwrite64, fd, data, len, offset);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    return write_at(fd, data, len, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
    return write_at(fd, data, len, offset);
}

static inline void heal(void)
{
    sync_errno = write_errno = 0;
    write_piece = 0;
}

/* -- One-liners -- */

static inline void open_wal(void)
{
    ck_assert_int_eq(kv_wal_open(dir, KV_SYNC_ALWAYS, &wal), 0);
}

static inline void setup(void)
{
    kv_log_init("test", (enum kv_log_level)0); /* errors are what the tests expect */
    heal();
    sync_calls = 0;
    last = 0;
    dir = temp_dir_make();
    open_wal();
}

static inline void teardown(void)
{
    kv_wal_close(wal);
    temp_dir_remove(dir);
}

/* As after a crash. */
static inline void reopen_wal(void)
{
    kv_wal_close(wal);
    open_wal();
}

static inline struct kv_slice slice(const char *text)
{
    return (struct kv_slice){text, strlen(text)};
}

/* A commit that puts its number and a text, and deletes a key. */
static inline int try_commit(const char *text)
{
    char key[24];
    (void)snprintf(key, sizeof(key), "k%d", (int)++last);
    kv_wal_begin(wal, last);
    kv_wal_add(wal, KV_DB_STATE, slice(key), false, slice(text));
    kv_wal_add(wal, KV_DB_META, slice("gone"), true, slice(""));
    return kv_wal_append(wal);
}

static inline void commit(const char *text)
{
    ck_assert_int_eq(try_commit(text), 0);
}

static inline struct kv_wal_position position_now(void)
{
    return (struct kv_wal_position){last, kv_wal_checksum(wal)};
}

/* "0:k1=text 3-gone" and so on. */
static inline int note_change(void *ctx, enum kv_db db, struct kv_slice key,
                              bool deletes, struct kv_slice value)
{
    struct kv_buf *text = ctx;
    kv_buf_addf(text, "%s%d%s%.*s", text->len ? " " : "", (int)db, deletes ? "-" : ":",
                (int)key.len, (const char *)key.data);
    if (!deletes)
        kv_buf_addf(text, "=%.*s", (int)value.len, (const char *)value.data);
    return 0;
}

/* What a log opened anew repeats behind a position, which is moved. */
static inline const char *replayed_from(struct kv_wal_position *position)
{
    static struct kv_buf text;
    kv_buf_reset(&text);
    reopen_wal();
    ck_assert_int_eq(kv_wal_replay(wal, position, note_change, &text), 0);
    last = position->number;
    kv_buf_addc(&text, '\0');
    ck_assert_int_eq(kv_buf_error(&text), 0);
    return text.data;
}

static inline const char *replayed_behind(struct kv_wal_position position)
{
    return replayed_from(&position);
}

static inline const char *replayed(void)
{
    return replayed_behind((struct kv_wal_position){0});
}

/* -- The files -- */

static inline int open_file(unsigned which)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/wal.%u", dir, which);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    return fd;
}

static inline struct kv_buf file_bytes(unsigned which)
{
    KV_CLEANUP(kv_close) int fd = open_file(which);
    struct stat st;
    struct kv_buf bytes = {0};
    ck_assert_int_eq(fstat(fd, &st), 0);
    ck_assert_int_eq(kv_buf_resize(&bytes, (size_t)st.st_size), 0);
    ck_assert_int_eq(pread(fd, bytes.data, bytes.len, 0), (ssize_t)bytes.len);
    return bytes;
}

static inline void set_file(unsigned which, const void *data, size_t len)
{
    KV_CLEANUP(kv_close) int fd = open_file(which);
    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert_int_eq(syscall(SYS_pwrite64, fd, data, len, (int64_t)0), (ssize_t)len);
}

static inline size_t file_size(unsigned which)
{
    KV_CLEANUP(kv_close) int fd = open_file(which);
    struct stat st;
    ck_assert_int_eq(fstat(fd, &st), 0);
    return (size_t)st.st_size;
}

#endif
