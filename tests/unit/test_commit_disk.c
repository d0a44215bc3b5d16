#undef _FILE_OFFSET_BITS /* it would give pwrite the name of pwrite64 */
#include "together.h"

#include "base/clock.h"
#include "base/log.h"

#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/uio.h>

/* -- A disk that fails on demand: LMDB calls these, since a program's own functions
 * come before those of its libraries -- */

static atomic_int sync_errno, meta_errno;
static atomic_uint sync_calls;

int fdatasync(int fd)
{
    atomic_fetch_add(&sync_calls, 1);
    int err = atomic_load(&sync_errno);
    if (err) {
        errno = err;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

/* A sync of a directory in which the store's file stood. */
static atomic_bool file_name_synced;

int fsync(int fd)
{
    if (faccessat(fd, "data.mdb", F_OK, 0) == 0)
        atomic_store(&file_name_synced, true);
    return (int)syscall(SYS_fsync, fd);
}

/* A disk with so many bytes free: what one commit may write. */
static _Atomic(int64_t) room = INT64_MAX;
static _Atomic(int64_t) written;

static bool fills_disk(size_t len)
{
    return atomic_fetch_add(&written, (int64_t)len) + (int64_t)len > atomic_load(&room);
}

static bool is_log(int fd)
{
    char link[64], path[256];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path));
    return len > 6 && memcmp(path + len - 6, "/wal.", 5) == 0;
}

/* One write is a commit. */
static ssize_t write_log(int fd, const void *data, size_t len, int64_t offset)
{
    if ((int64_t)len > atomic_load(&room)) {
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, data, len, offset);
}

/* LMDB's meta page is the only thing it writes that is shorter than a page, and the
 * last of a commit. */
static ssize_t write_at(int fd, const void *data, size_t len, int64_t offset)
{
    if (is_log(fd))
        return write_log(fd, data, len, offset);
    if (len < 4096) {
        atomic_store(&written, 0);
    } else if (fills_disk(len)) {
        atomic_store(&written, 0);
        errno = ENOSPC;
        return -1;
    }
    int err = len < 4096 ? atomic_load(&meta_errno) : 0;
    if (err) {
        errno = err;
        return -1;
    }
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

/* For pages that lie side by side. */
ssize_t writev(int fd, const struct iovec *parts, int count)
{
    size_t len = 0;
    for (int i = 0; i < count; i++)
        len += parts[i].iov_len;
    if (fills_disk(len)) {
        atomic_store(&written, 0);
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_writev, fd, parts, count);
}

/* -- Setup -- */

static void setup(void)
{
    atomic_store(&file_name_synced, false);
    kv_log_init("test", (enum kv_log_level)0); /* errors are what the tests expect */
    store_setup_closed();
    store_config.sync = KV_SYNC_ALWAYS;
    ck_assert_int_eq(store_open(), 0);
}

static void reopen_sized(uint64_t max_store_bytes)
{
    store_config.max_store_bytes = max_store_bytes;
    store_reopen();
}

/* -- Full -- */

START_TEST(only_what_does_not_fit_fails)
{
    reopen_sized(4u << 20);
    static int errors[3];
    struct together together = {0};
    txn_put(add_noted(&together, &errors[0]), "a", "small");
    struct kv_txn *txn = add_noted(&together, &errors[1]);
    for (int i = 0; i < 3; i++) {
        char key[8];
        (void)snprintf(key, sizeof(key), "big%d", i);
        struct kv_op *op = txn_put(txn, key, "");
        ck_assert_int_eq(kv_buf_resize(&op->value, 1u << 20), 0);
    }
    txn_put(add_noted(&together, &errors[2]), "b", "small");
    submit_together(&together);
    ck_assert_int_eq(errors[0], 0);
    ck_assert_int_eq(errors[1], -ENOSPC);
    ck_assert_int_eq(errors[2], 0);
    ck_assert_str_eq(tree_of(""), "a b");
    ck_assert_int_eq(status_now().latched_error, 0);
    check_store();
}
END_TEST

/* Fill the store until so little is left that each commit is written to the tables at
 * once. */
static void fill_store(void)
{
    char key[16];
    int err = 0;
    for (int i = 0; !err; i++) {
        (void)snprintf(key, sizeof(key), "fill%d", i);
        err = put_sized(key, 50000, 'x');
    }
    ck_assert_int_eq(err, -ENOSPC);
}

START_TEST(what_fills_the_disk_fails_alone)
{
    reopen_sized(2u << 20);
    fill_store();
    ck_assert_int_eq(del("fill0"), 0);
    static int errors[3];
    struct together together = {0};
    txn_put(add_noted(&together, &errors[0]), "a", "small");
    struct kv_txn *txn = add_noted(&together, &errors[1]);
    char value[40000];
    memset(value, 'y', sizeof(value));
    ck_assert_int_eq(
        kv_op_set_value(txn_add(txn, KV_OP_PUT, "large"), value, sizeof(value)), 0);
    txn_put(add_noted(&together, &errors[2]), "b", "small");
    atomic_store(&room, 12 * 4096);
    submit_together(&together);
    atomic_store(&room, INT64_MAX);
    ck_assert_int_eq(errors[0], 0);
    ck_assert_int_eq(errors[1], -ENOSPC);
    ck_assert_int_eq(errors[2], 0);
    ck_assert_int_eq(lookup("large"), -ENOENT);
    ck_assert_int_eq(put_sized("large", sizeof(value), 'y'), 0);
    check_store();
}
END_TEST

START_TEST(a_full_store_takes_deletes_and_recovers)
{
    reopen_sized(8u << 20);
    store_config.log_max_bytes = 1u << 20;
    store_reopen();
    int count = 0, err;
    char key[16];
    do {
        (void)snprintf(key, sizeof(key), "k%d", count);
        err = put_sized(key, 500000, 'x');
    } while (!err && ++count < 1000);
    ck_assert_int_eq(err, -ENOSPC);
    ck_assert_int_gt(count, 3);
    ck_assert_int_lt(count, 20);
    ck_assert(status_now().full);
    ck_assert_int_eq(put_sized("other", 500000, 'x'), -ENOSPC);
    ck_assert_int_eq(set_mode("k0", 0600), 0);
    while (count > 0) {
        (void)snprintf(key, sizeof(key), "k%d", --count);
        ck_assert_int_eq(del(key), 0);
    }
    ck_assert_int_eq(kv_store_writable(store), 0);
    ck_assert_int_eq(put_sized("again", 500000, 'x'), 0);
    ck_assert_int_eq(status_now().latched_error, 0);
    check_store();
}
END_TEST

/* -- A disk that fails -- */

static void fail_syncs(int err)
{
    atomic_store(&sync_errno, err);
}

static void heal(void)
{
    atomic_store(&sync_errno, 0);
    atomic_store(&meta_errno, 0);
}

/* Deletes need room too: so many keys that expire at once must not use it up. */
START_TEST(a_full_disk_takes_deletes_though_many_keys_are_due)
{
    char key[32], value[100];
    memset(value, 'v', sizeof(value));
    int64_t due_ns = kv_clock_realtime_ns() + KV_NS_PER_S;
    struct kv_txn *txn = txn_make();
    for (int i = 0; i < 2000; i++) {
        snprintf(key, sizeof(key), "k%d", i);
        struct kv_op *op = txn_add(txn, KV_OP_PUT, key);
        ck_assert_int_eq(kv_op_set_value(op, value, sizeof(value)), 0);
        op->set = KV_SET_EXPIRY;
        op->meta.expiry_ns = due_ns;
    }
    txn_put(txn, "other", "v");
    ck_assert_int_eq(txn_commit(txn), 0);
    store_reopen();
    atomic_store(&room, 24 * 4096);
    while (lookup("k0") == 0)
        usleep(1000);
    ck_assert_int_eq(del("other"), 0);
    ck_assert_int_eq(lookup("other"), -ENOENT);
    int64_t end_ns = kv_clock_monotonic_ns() + 20 * KV_NS_PER_S;
    while (status_now().keys > 0 && kv_clock_monotonic_ns() < end_ns)
        usleep(1000);
    ck_assert_uint_eq(status_now().keys, 0);
    ck_assert_uint_eq(status_now().expired, 2000);
    atomic_store(&room, INT64_MAX);
    check_store();
}
END_TEST

/* Its content alone is nothing when a power cut takes the name of the file. */
START_TEST(the_name_of_a_new_file_is_synced)
{
    ck_assert(atomic_load(&file_name_synced));
}
END_TEST

START_TEST(each_commit_is_synced)
{
    unsigned before = atomic_load(&sync_calls);
    ck_assert_int_eq(put("k", "v"), 0);
    ck_assert_uint_gt(atomic_load(&sync_calls), before);
}
END_TEST

START_TEST(a_failed_sync_makes_the_store_read_only_until_it_is_opened_anew)
{
    ck_assert_int_eq(put("k", "acknowledged"), 0);
    ck_assert_int_eq(put("other", "v"), 0);
    ck_assert_value("k", "acknowledged");
    fail_syncs(EIO);
    ck_assert_int_eq(put("k", "lost"), -EIO);
    heal(); /* the disk says it is well again, which nobody may believe */
    ck_assert_int_eq(put("k", "late"), -EROFS);
    ck_assert_int_eq(del("other"), -EROFS);
    ck_assert_int_eq(kv_store_writable(store), -EROFS);
    ck_assert_int_eq(status_now().latched_error, EIO);
    ck_assert_value("k", "acknowledged");
    ck_assert_str_eq(tree_of(""), "k other");
    ck_assert_uint_eq(revision_now(), 2);
    ck_assert_str_eq(events_since(0), "1.0:put+:k. 2.0:put+:other.");
    store_reopen();
    ck_assert_value("k", "acknowledged");
    ck_assert_str_eq(tree_of(""), "k other");
    ck_assert_int_eq(kv_store_writable(store), 0);
    ck_assert_int_eq(put("k", "new"), 0);
    check_store();
}
END_TEST

START_TEST(a_failed_batch_fails_each_of_its_transactions)
{
    static int errors[3];
    struct together together = {0};
    for (int i = 0; i < 3; i++)
        txn_put(add_noted(&together, &errors[i]), "k", "v");
    struct kv_txn *before = txn_make();
    txn_put(before, "k", "first");
    ck_assert_int_eq(txn_commit(before), 0);
    fail_syncs(EIO);
    submit_together(&together);
    heal();
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(errors[i], -EIO);
    ck_assert_value("k", "first");
}
END_TEST

START_TEST(the_cache_goes_on_after_a_failed_sync)
{
    ck_assert_int_eq(put("k", "v"), 0);
    fail_syncs(EIO);
    ck_assert_int_eq(put("k", "lost"), -EIO);
    heal();
    ck_assert_value("k", "v");
    uint64_t hits = status_now().cache.hits;
    ck_assert_value("k", "v");
    ck_assert_uint_eq(status_now().cache.hits, hits + 1);
}
END_TEST

/* With little space left each commit is written to the tables at once. */
START_TEST(reads_go_on_after_the_meta_page_could_not_be_written)
{
    reopen_sized(1u << 20);
    ck_assert_int_eq(put("k", "acknowledged"), 0);
    fill_store();
    atomic_store(&meta_errno, EIO);
    ck_assert_int_eq(put("k", "lost"), -EIO);
    heal();
    ck_assert_int_eq(put("k", "late"), -EROFS);
    ck_assert_value("k", "acknowledged");
    ck_assert_uint_eq(meta_of("fill0").size, 50000);
    ck_assert_int_eq(status_now().latched_error, EIO);
    store_reopen();
    ck_assert_value("k", "acknowledged");
    ck_assert_int_eq(set_mode("k", 0600), 0);
    check_store();
}
END_TEST

KV_SUITE_WITH("commit_disk", setup, store_teardown, only_what_does_not_fit_fails,
              what_fills_the_disk_fails_alone, a_full_store_takes_deletes_and_recovers,
              a_full_disk_takes_deletes_though_many_keys_are_due,
              the_name_of_a_new_file_is_synced, each_commit_is_synced,
              a_failed_sync_makes_the_store_read_only_until_it_is_opened_anew,
              a_failed_batch_fails_each_of_its_transactions,
              the_cache_goes_on_after_a_failed_sync,
              reads_go_on_after_the_meta_page_could_not_be_written)
