#undef _FILE_OFFSET_BITS /* it would give pwrite the name of pwrite64 */
/* Crashes: what a table holds that is opened from the files that another one had
 * written until some moment.
 *
 * The program's own pwrite, writev and fdatasync come before those of the C library, so
 * each step on the way to disk is seen here. After each one the files are copied, as
 * kill -9 would leave them and as a power cut would, and the copy is opened. */
#include "history.h"
#include "store_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define MIB (UINT64_C(1) << 20)
#define EVERYTHING ((1u << FILES) - 1)

enum file { DATA, WAL_0, WAL_1, FILES };

static const char *const names[FILES] = {"data.mdb", "wal.0", "wal.1"};

static char *dir, *copy_dir;
static struct kv_table *table;
static uint64_t max_bytes;

/* Guards what is below, and holds writes back while a copy is taken. */
static pthread_mutex_t disk_lock = PTHREAD_MUTEX_INITIALIZER;
static char *images[FILES]; /* what a power cut leaves: as of the last sync */
static off_t image_sizes[FILES];
static bool crash_at_each_step;
static unsigned steps, steps_of_threads, steps_of[FILES];
static const char *wrong; /* the first thing that was */
static uint64_t attempted, acknowledged;

static _Thread_local bool looking; /* at a copy: its own writes are no steps */

/* -- Files -- */

static void read_image(enum file which)
{
    char path[256];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/%s", dir, names[which]);
    KV_CLEANUP(kv_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &st), 0);
    free(images[which]);
    images[which] = malloc((size_t)st.st_size + 1);
    ck_assert_ptr_nonnull(images[which]);
    image_sizes[which] = st.st_size;
    ck_assert_int_eq(pread(fd, images[which], (size_t)st.st_size, 0), st.st_size);
}

static void write_copy(enum file which)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%s", copy_dir, names[which]);
    KV_CLEANUP(kv_close)
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(write(fd, images[which], (size_t)image_sizes[which]),
                     image_sizes[which]);
    ck_assert_int_eq(ftruncate(fd, image_sizes[which]), 0);
}

/* -- Crashes -- */

/* The copy must hold what some commit left, none that was not tried, and everything
 * that was acknowledged; and when it is opened once more. */
static const char *look_at_copy(uint64_t least, unsigned crashes)
{
    for (unsigned i = 0; i < crashes; i++) {
        KV_CLEANUP(kv_table_closep) struct kv_table *copy = NULL;
        uint64_t number;
        if (kv_table_open(copy_dir, max_bytes, KV_SYNC_ALWAYS, &copy))
            return "the copy cannot be opened";
        const char *text = history_check_table(copy, &number);
        if (text)
            return text;
        if (number < least)
            return "an acknowledged commit is lost";
        if (number > attempted)
            return "a commit is there that never was";
        least = number;
    }
    return NULL;
}

static void note_wrong(const char *text)
{
    if (text && !wrong)
        wrong = text;
}

/* What was written and not synced is on disk or not, for each file by itself: bit n of
 * `kept` says it of the nth. */
static void crash(unsigned kept)
{
    char *saved[FILES];
    off_t sizes[FILES];
    for (int i = 0; i < FILES; i++) {
        saved[i] = NULL;
        if (!(kept & 1u << i))
            continue;
        saved[i] = KV_STEAL(images[i]);
        sizes[i] = image_sizes[i];
        read_image((enum file)i);
    }
    for (int i = 0; i < FILES; i++)
        write_copy((enum file)i);
    note_wrong(look_at_copy(acknowledged, kept == EVERYTHING ? 2 : 1));
    for (int i = 0; i < FILES; i++) {
        if (!saved[i])
            continue;
        free(images[i]);
        images[i] = saved[i];
        image_sizes[i] = sizes[i];
    }
}

/* One that a kill leaves, and those that a power cut can leave. */
static void crash_here(void)
{
    static const unsigned kept[] = {EVERYTHING, 0, 1 << DATA, 1 << WAL_0 | 1 << WAL_1};
    looking = true;
    for (size_t i = 0; i < sizeof(kept) / sizeof(*kept); i++)
        crash(kept[i]);
    looking = false;
    steps++;
    steps_of_threads += gettid() != getpid();
}

static enum file file_of(int fd)
{
    char link[64], path[256];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path) - 1);
    if (len <= 0 || !dir || strncmp(path, dir, strlen(dir)) != 0)
        return FILES;
    path[len] = '\0';
    for (int i = 0; i < FILES; i++)
        if (strcmp(path + strlen(dir) + 1, names[i]) == 0)
            return (enum file)i;
    return FILES;
}

static void after_step(enum file which, bool synced)
{
    if (which == FILES)
        return;
    steps_of[which]++;
    if (synced)
        read_image(which);
    if (crash_at_each_step)
        crash_here();
}

int fdatasync(int fd)
{
    if (looking)
        return 0;
    KV_SCOPED_LOCK(&disk_lock);
    after_step(file_of(fd), true);
    return 0;
}

/* LMDB writes its meta page, the only thing shorter than a page, through a descriptor
 * that syncs: that is left out, it costs most of the time. */
static ssize_t write_meta(int fd, const void *data, size_t len, int64_t offset)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    KV_CLEANUP(kv_close) int other = open(path, O_WRONLY | O_CLOEXEC);
    return syscall(SYS_pwrite64, other, data, len, offset);
}

static ssize_t write_at(int fd, const void *data, size_t len, int64_t offset)
{
    bool syncs = fcntl(fd, F_GETFL) & O_DSYNC;
    if (looking)
        return syncs ? write_meta(fd, data, len, offset)
                     : syscall(SYS_pwrite64, fd, data, len, offset);
    KV_SCOPED_LOCK(&disk_lock);
    ssize_t n = syncs ? write_meta(fd, data, len, offset)
                      : syscall(SYS_pwrite64, fd, data, len, offset);
    after_step(file_of(fd), syncs);
    return n;
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    return write_at(fd, data, len, offset);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off64_t offset)
{
    return write_at(fd, data, len, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    if (looking)
        return syscall(SYS_writev, fd, parts, count);
    KV_SCOPED_LOCK(&disk_lock);
    ssize_t n = syscall(SYS_writev, fd, parts, count);
    after_step(file_of(fd), false);
    return n;
}

/* -- Setup -- */

static void open_table(void)
{
    ck_assert_int_eq(kv_table_open(dir, max_bytes, KV_SYNC_ALWAYS, &table), 0);
    for (int i = 0; i < FILES; i++)
        read_image((enum file)i);
}

static void setup(void)
{
    attempted = acknowledged = 0;
    wrong = NULL;
    steps = steps_of_threads = 0;
    crash_at_each_step = false;
    max_bytes = 64 * MIB;
    dir = temp_dir_make();
    copy_dir = temp_dir_make();
    open_table();
}

static void teardown(void)
{
    kv_table_close(table);
    temp_dir_remove(copy_dir);
    temp_dir_remove(dir);
    dir = NULL;
    for (int i = 0; i < FILES; i++) {
        free(images[i]);
        images[i] = NULL;
    }
}

static void reopen_table(void)
{
    kv_table_close(table);
    open_table();
}

static int try_commit(void)
{
    kv_lock(&disk_lock);
    attempted++;
    kv_unlock(&disk_lock);
    int err = history_commit(table, attempted);
    kv_lock(&disk_lock);
    acknowledged += !err;
    kv_unlock(&disk_lock);
    return err;
}

static void commit_some(uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        ck_assert_int_eq(try_commit(), 0);
}

static void check_table(void)
{
    uint64_t number;
    ck_assert_pstr_eq(history_check_table(table, &number), NULL);
    ck_assert_uint_eq(number, acknowledged);
}

static void crash_now(void)
{
    KV_SCOPED_LOCK(&disk_lock);
    crash_here();
    ck_assert_pstr_eq(wrong, NULL);
}

/* -- Tests -- */

START_TEST(a_table_that_was_not_closed_has_everything_that_was_committed)
{
    crash_now();
    for (int i = 0; i < 30; i++) {
        commit_some(1);
        crash_now();
    }
    check_table();
}
END_TEST

START_TEST(a_write_view_that_had_not_committed_leaves_nothing)
{
    commit_some(5);
    struct kv_view *view;
    ck_assert_int_eq(kv_view_write(table, &view), 0);
    ck_assert_int_eq(history_apply(view, 6), 0);
    crash_now(); /* attempted is still 5 */
    kv_view_end(view);
}
END_TEST

START_TEST(a_crash_at_any_step_of_commits_and_checkpoints_loses_nothing)
{
    crash_at_each_step = true;
    for (int i = 0; i < 5; i++) {
        commit_some(4);
        ck_assert_int_eq(kv_table_checkpoint(table), 0);
        ck_assert_pstr_eq(wrong, NULL);
    }
    commit_some(3);
    reopen_table();
    check_table();
    commit_some(3);
    ck_assert_pstr_eq(wrong, NULL);
    ck_assert_uint_gt(steps, 2 * 26 + 6 * 3); /* it saw them */
}
END_TEST

START_TEST(a_crash_while_a_crash_is_recovered_from_loses_nothing)
{
    commit_some(10);
    ck_assert_int_eq(kv_table_checkpoint(table), 0);
    commit_some(10);
    for (int i = 0; i < 5; i++) {
        /* The copy's files become the table's, as if it had been killed. */
        crash_now();
        for (int which = 0; which < FILES; which++)
            read_image((enum file)which);
        char *abandoned = dir;
        struct kv_table *old = table;
        for (int which = 0; which < FILES; which++)
            write_copy((enum file)which);
        dir = copy_dir;
        copy_dir = temp_dir_make();
        crash_at_each_step = true;
        open_table();
        check_table();
        commit_some(5);
        crash_at_each_step = false;
        ck_assert_pstr_eq(wrong, NULL);
        looking = true;
        kv_table_close(old);
        looking = false;
        temp_dir_remove(abandoned);
    }
}
END_TEST

/* A row that is none of the history's. */
static void fill(char name, size_t len)
{
    struct kv_view *view;
    void *place;
    ck_assert_int_eq(kv_view_write(table, &view), 0);
    ck_assert_int_eq(kv_view_put(view, KV_DB_LOG,
                                 (struct kv_slice){&(char[]){'f', name}, 2}, len,
                                 &place),
                     0);
    memset(place, 'x', len);
    ck_assert_int_eq(kv_view_commit(view), 0);
}

/* Large rows in a small table, so that the thread makes checkpoints. */
START_TEST(a_crash_at_any_step_of_background_checkpoints_loses_nothing)
{
    max_bytes = 4 * MIB;
    reopen_table();
    crash_at_each_step = true;
    for (int i = 0; i < 40; i++) {
        commit_some(1);
        fill('l', 40000);
    }
    crash_at_each_step = false;
    ck_assert_pstr_eq(wrong, NULL);
    check_table();
    ck_assert_uint_gt(steps_of_threads, 0);
    ck_assert_uint_gt(steps, 80);
}
END_TEST

START_TEST(a_crash_at_any_step_of_commits_to_an_almost_full_table_loses_nothing)
{
    max_bytes = 4 * MIB;
    reopen_table();
    for (char i = 'a'; i < 'a' + 7; i++)
        fill(i, MIB / 2);
    crash_at_each_step = true;
    unsigned before = steps_of[WAL_0] + steps_of[WAL_1];
    commit_some(15);
    ck_assert_uint_eq(steps_of[WAL_0] + steps_of[WAL_1], before);
    ck_assert_pstr_eq(wrong, NULL);
    reopen_table();
    commit_some(3);
    ck_assert_pstr_eq(wrong, NULL);
}
END_TEST

START_TEST(a_table_holds_its_history_over_checkpoints_and_reopenings)
{
    for (unsigned i = 1; i <= 1500; i++) {
        commit_some(1);
        if (i % 7 == 0)
            ck_assert_int_eq(kv_table_checkpoint(table), 0);
        if (i % 10 == 0)
            check_table();
        if (i % 100 == 0)
            crash_now();
        if (i % 150 == 0)
            reopen_table();
    }
    check_table();
}
END_TEST

START_TEST(a_store_that_was_not_closed_has_its_keys_events_and_figures)
{
    store_setup_closed();
    temp_dir_remove((char *)(uintptr_t)store_config.path);
    kv_table_close(table);
    table = NULL;
    store_config.path = dir;
    ck_assert_int_eq(store_open(), 0);
    ck_assert_int_eq(put("a/b", "one"), 0);
    ck_assert_int_eq(put("a/c", "two"), 0);
    ck_assert_int_eq(put_expiring("e", "v", INT64_MAX - 1), 0);
    ck_assert_int_eq(move("a", "d", 0), 0);
    ck_assert_int_eq(del("d/b"), 0);
    KV_CLEANUP(kv_free) char *tree = strdup(tree_of(""));
    KV_CLEANUP(kv_free) char *events = strdup(events_since(0));
    for (int i = 0; i < FILES; i++) {
        read_image((enum file)i);
        write_copy((enum file)i);
    }
    store_shut();
    store_config.path = copy_dir;
    ck_assert_int_eq(store_open(), 0);
    ck_assert_str_eq(tree_of(""), tree);
    ck_assert_str_eq(events_since(0), events);
    ck_assert_value("d/c", "two");
    ck_assert_uint_eq(revision_now(), 5);
    check_store();
    store_shut();
}
END_TEST

KV_SUITE_WITH("recovery", setup, teardown,
              a_table_that_was_not_closed_has_everything_that_was_committed,
              a_write_view_that_had_not_committed_leaves_nothing,
              a_crash_at_any_step_of_commits_and_checkpoints_loses_nothing,
              a_crash_while_a_crash_is_recovered_from_loses_nothing,
              a_crash_at_any_step_of_background_checkpoints_loses_nothing,
              a_crash_at_any_step_of_commits_to_an_almost_full_table_loses_nothing,
              a_table_holds_its_history_over_checkpoints_and_reopenings,
              a_store_that_was_not_closed_has_its_keys_events_and_figures)
