/* What views see, and what commits do, while a checkpoint is made or fails. */
#include "history.h"
#include "store_fixture.h"

#include "base/log.h"
#include "store/disk.h"
#include "store/wal.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>

#define MIB (UINT64_C(1) << 20)

static char *dir;
static struct kv_table *table;

/* -- What goes to disk -- */

static atomic_uint appends, disk_commits; /* that succeeded */
static atomic_int data_sync_errno;        /* what a sync of the tables fails with */

int fdatasync(int fd)
{
    char link[64], path[256];
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t len = readlink(link, path, sizeof(path));
    bool is_data = len > 9 && memcmp(path + len - 9, "/data.mdb", 9) == 0;
    errno = is_data ? atomic_load(&data_sync_errno) : 0;
    return errno ? -1 : 0;
}

int __real_kv_wal_append(struct kv_wal *wal);
int __wrap_kv_wal_append(struct kv_wal *wal);

int __wrap_kv_wal_append(struct kv_wal *wal)
{
    int err = __real_kv_wal_append(wal);
    atomic_fetch_add(&appends, !err);
    return err;
}

/* -- The moment when the tables on disk have been written, and nobody was told so -- */

static void (*at_disk_commit)(void);
static _Atomic int disk_error; /* what a commit to disk fails with */

int __real_kv_disk_commit(struct kv_disk_write *write);
int __wrap_kv_disk_commit(struct kv_disk_write *write);

int __wrap_kv_disk_commit(struct kv_disk_write *write)
{
    int err = atomic_load(&disk_error);
    if (err) {
        kv_disk_abort(write);
        return err;
    }
    err = __real_kv_disk_commit(write);
    atomic_fetch_add(&disk_commits, !err);
    if (!err && at_disk_commit)
        at_disk_commit();
    return err;
}

static void open_table(uint64_t max_bytes)
{
    ck_assert_int_eq(kv_table_open(dir, max_bytes, KV_SYNC_OFF, &table), 0);
}

static void setup(void)
{
    kv_log_init("test", (enum kv_log_level)0); /* errors are what the tests expect */
    dir = temp_dir_make();
    open_table(64 * MIB);
    atomic_store(&appends, 0);
    atomic_store(&disk_commits, 0);
}

static void teardown(void)
{
    at_disk_commit = NULL;
    atomic_store(&disk_error, 0);
    atomic_store(&data_sync_errno, 0);
    kv_table_close(table);
    temp_dir_remove(dir);
}

static void reopen_sized(uint64_t max_bytes)
{
    kv_table_close(table);
    open_table(max_bytes);
}

static struct kv_slice slice(const char *text)
{
    return (struct kv_slice){text, strlen(text)};
}

static struct kv_view *begin_read(void)
{
    struct kv_view *view;
    ck_assert_int_eq(kv_view_read(table, &view), 0);
    return view;
}

static struct kv_view *begin_write(void)
{
    struct kv_view *view;
    ck_assert_int_eq(kv_view_write(table, &view), 0);
    return view;
}

static void put_row(struct kv_view *view, const char *key, size_t len)
{
    void *place;
    ck_assert_int_eq(kv_view_put(view, KV_DB_STATE, slice(key), len, &place), 0);
    memset(place, 'x', len);
}

static size_t size_in(struct kv_view *view, const char *key)
{
    struct kv_slice value;
    ck_assert_int_eq(kv_view_get(view, KV_DB_STATE, slice(key), &value), 0);
    return value.len;
}

static void check_history(uint64_t expected)
{
    uint64_t number;
    ck_assert_pstr_eq(history_check_table(table, &number), NULL);
    ck_assert_uint_eq(number, expected);
}

/* A row of the state table that the history does not know. */
static void fill_beside(char which, size_t len)
{
    struct kv_view *view = begin_write();
    void *place;
    char key[] = {'f', which};
    if (len == 0)
        ck_assert_int_eq(
            kv_view_delete(view, KV_DB_LOG, (struct kv_slice){key, sizeof(key)}), 0);
    else
        ck_assert_int_eq(kv_view_put(view, KV_DB_LOG,
                                     (struct kv_slice){key, sizeof(key)}, len, &place),
                         0);
    if (len > 0)
        memset(place, 'x', len);
    ck_assert_int_eq(kv_view_commit(view), 0);
}

/* -- Views -- */

static uint64_t seen_sum;

static void look(void)
{
    KV_CLEANUP(kv_view_endp) struct kv_view *view = begin_read();
    seen_sum = size_in(view, "a") + size_in(view, "b");
}

/* Two values whose sizes have the same sum in every commit. */
static void put_pair(struct kv_view *view, size_t a)
{
    put_row(view, "a", a);
    put_row(view, "b", 100 - a);
}

START_TEST(a_view_that_begins_during_a_commit_to_disk_is_one_snapshot)
{
    reopen_sized(16 * MIB);
    struct kv_view *view = begin_write();
    put_pair(view, 30);
    ck_assert_int_eq(kv_view_commit(view), 0);
    ck_assert_int_eq(kv_table_checkpoint(table), 0);
    view = begin_write();
    put_row(view, "a", 30); /* this one is in memory, the other one on disk */
    ck_assert_int_eq(kv_view_commit(view), 0);
    view = begin_write();
    put_pair(view, 70);
    put_row(view, "large", 8 * MIB); /* so that it cannot wait in memory */
    at_disk_commit = look;
    ck_assert_int_eq(kv_view_commit(view), 0);
    ck_assert_uint_eq(seen_sum, 100);
}
END_TEST

/* -- Space -- */

static uint64_t space_in_write(void)
{
    KV_CLEANUP(kv_view_endp) struct kv_view *view = begin_write();
    uint64_t used, left;
    ck_assert_int_eq(kv_view_space(view, &used, &left), 0);
    return left;
}

START_TEST(what_an_ended_write_view_put_takes_no_space)
{
    uint64_t before = space_in_write();
    struct kv_view *view = begin_write();
    put_row(view, "k", 8 * MIB);
    kv_view_end(view);
    ck_assert_uint_eq(space_in_write(), before);
}
END_TEST

START_TEST(what_an_ended_nested_view_put_takes_no_space_behind_a_checkpoint)
{
    struct kv_view *inner, *outer = begin_write();
    put_row(outer, "k", 1);
    ck_assert_int_eq(kv_view_commit(outer), 0);
    ck_assert_int_eq(kv_table_checkpoint(table), 0);
    uint64_t before = space_in_write();
    outer = begin_write();
    ck_assert_int_eq(kv_view_nested(outer, &inner), 0);
    put_row(inner, "k", 8 * MIB);
    kv_view_end(inner);
    put_row(outer, "k", 2);
    ck_assert_int_eq(kv_view_commit(outer), 0);
    ck_assert_int_eq(kv_table_checkpoint(table), 0);
    ck_assert_uint_gt(space_in_write(), before - MIB);
}
END_TEST

/* -- Where commits go -- */

START_TEST(commits_wait_in_the_log_for_a_checkpoint)
{
    for (uint64_t n = 1; n <= 20; n++)
        ck_assert_int_eq(history_commit(table, n), 0);
    ck_assert_uint_eq(atomic_load(&appends), 20);
    ck_assert_uint_lt(atomic_load(&disk_commits), 20);
    ck_assert_int_eq(kv_table_checkpoint(table), 0);
    unsigned committed = atomic_load(&disk_commits);
    ck_assert_uint_ge(committed, 1);
    ck_assert_int_eq(kv_table_checkpoint(table), 0); /* of nothing */
    ck_assert_uint_eq(atomic_load(&disk_commits), committed);
    check_history(20);
}
END_TEST

static sem_t written;

static void note_written(void)
{
    sem_post(&written);
}

START_TEST(what_waits_is_written_when_nothing_more_comes)
{
    ck_assert_int_eq(sem_init(&written, 0, 0), 0);
    at_disk_commit = note_written;
    ck_assert_int_eq(history_commit(table, 1), 0);
    ck_assert_int_eq(sem_wait(&written), 0);
    at_disk_commit = NULL;
    check_history(1);
}
END_TEST

static int commit_sized(const char *key, size_t len)
{
    struct kv_view *view = begin_write();
    put_row(view, key, len);
    return kv_view_commit(view);
}

static void delete_committed(const char *key)
{
    struct kv_view *view = begin_write();
    ck_assert_int_eq(kv_view_delete(view, KV_DB_STATE, slice(key)), 0);
    ck_assert_int_eq(kv_view_commit(view), 0);
}

START_TEST(an_almost_full_table_commits_to_disk_and_comes_back_to_the_log)
{
    enum { ROWS = 15 };
    char key[16];
    reopen_sized(8 * MIB);
    for (int i = 0; i < ROWS; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        ck_assert_int_eq(commit_sized(key, MIB / 2), 0);
    }
    unsigned appended = atomic_load(&appends), committed = atomic_load(&disk_commits);
    ck_assert_uint_lt(appended, ROWS);
    for (unsigned i = 0; i < 5; i++)
        ck_assert_int_eq(commit_sized("k0", 100 + i), 0);
    ck_assert_uint_eq(atomic_load(&appends), appended);
    ck_assert_uint_eq(atomic_load(&disk_commits), committed + 5);
    for (int i = 1; i < ROWS; i++) {
        (void)snprintf(key, sizeof(key), "k%d", i);
        delete_committed(key);
    }
    ck_assert_int_eq(kv_table_checkpoint(table), 0);
    appended = atomic_load(&appends);
    for (unsigned i = 0; i < 5; i++)
        ck_assert_int_eq(commit_sized("k0", 100 + i), 0);
    ck_assert_uint_eq(atomic_load(&appends), appended + 5);
    reopen_sized(8 * MIB);
    struct kv_view *view = begin_read();
    ck_assert_uint_eq(size_in(view, "k0"), 104);
    kv_view_end(view);
}
END_TEST

/* Direct commits and those in the log follow one another in one history. */
START_TEST(a_table_that_is_almost_full_now_and_then_keeps_its_history)
{
    reopen_sized(8 * MIB);
    for (uint64_t n = 1; n <= 300; n++) {
        ck_assert_int_eq(history_commit(table, n), 0);
        if (n % 50 == 10)
            for (char i = 'a'; i < 'a' + 14; i++)
                fill_beside(i, MIB / 2);
        if (n % 50 == 30)
            for (char i = 'a'; i < 'a' + 14; i++)
                fill_beside(i, 0);
        if (n % 50 == 0)
            reopen_sized(8 * MIB);
        if (n % 5 == 0)
            check_history(n);
    }
    ck_assert_uint_gt(atomic_load(&appends), 100);
    ck_assert_uint_gt(atomic_load(&disk_commits), 50);
}
END_TEST

/* -- Views that stay -- */

START_TEST(views_keep_their_snapshots_over_checkpoints)
{
    enum { VIEWS = 8 };
    struct kv_view *views[VIEWS] = {0};
    uint64_t numbers[VIEWS] = {0}, seen;
    for (uint64_t n = 1; n <= 200; n++) {
        ck_assert_int_eq(history_commit(table, n), 0);
        if (n % 3 == 0) {
            unsigned place = (unsigned)(n / 3 * 5 % VIEWS);
            kv_view_end(views[place]);
            views[place] = begin_read();
            numbers[place] = n;
        }
        if (n % 7 == 0)
            ck_assert_int_eq(kv_table_checkpoint(table), 0);
        for (unsigned i = 0; i < VIEWS && n % 5 == 0; i++) {
            if (!views[i])
                continue;
            ck_assert_pstr_eq(history_check(views[i], &seen), NULL);
            ck_assert_uint_eq(seen, numbers[i]);
        }
    }
    for (unsigned i = 0; i < VIEWS; i++)
        kv_view_end(views[i]);
}
END_TEST

START_TEST(a_write_view_sees_its_own_changes_over_all_that_is_below)
{
    for (uint64_t n = 1; n <= 100; n++) {
        struct kv_view *view = begin_write();
        uint64_t seen;
        ck_assert_int_eq(history_apply(view, n), 0);
        ck_assert_pstr_eq(history_check(view, &seen), NULL);
        ck_assert_uint_eq(seen, n);
        ck_assert_int_eq(kv_view_commit(view), 0);
        if (n % 6 == 0)
            ck_assert_int_eq(kv_table_checkpoint(table), 0);
    }
}
END_TEST

/* -- Failures -- */

/* More rows than a memtable takes before it goes to disk, so that the thread makes a
 * checkpoint when the next view begins. */
static int commit_many_rows(unsigned mark)
{
    enum { ROWS = 70000 };
    struct kv_view *view;
    int err = kv_view_write(table, &view);
    for (unsigned i = 0; i < ROWS && !err; i++) {
        char key[16];
        void *place;
        (void)snprintf(key, sizeof(key), "row%u", i);
        err = kv_view_put(view, KV_DB_STATE, slice(key), sizeof(mark), &place);
        if (!err)
            memcpy(place, &mark, sizeof(mark));
        else
            kv_view_end(view);
    }
    return err ? err : kv_view_commit(view);
}

static unsigned mark_of(const char *key)
{
    KV_CLEANUP(kv_view_endp) struct kv_view *view = begin_read();
    struct kv_slice value;
    unsigned mark;
    ck_assert_int_eq(kv_view_get(view, KV_DB_STATE, slice(key), &value), 0);
    ck_assert_uint_eq(value.len, sizeof(mark));
    memcpy(&mark, value.data, sizeof(mark));
    return mark;
}

START_TEST(a_checkpoint_that_fails_for_space_is_made_up_for)
{
    reopen_sized(1024 * MIB);
    atomic_store(&disk_error, -ENOSPC);
    ck_assert_int_eq(commit_many_rows(1), 0);
    ck_assert_int_eq(commit_many_rows(2), 0);
    ck_assert_int_eq(commit_many_rows(3), 0); /* the log takes two of them */
    int err = commit_many_rows(4);
    ck_assert_int_eq(err, -ENOSPC);
    ck_assert_int_eq(kv_table_checkpoint(table), -ENOSPC);
    ck_assert_uint_eq(mark_of("row0"), 3);
    unsigned committed = atomic_load(&disk_commits);
    atomic_store(&disk_error, 0);
    ck_assert_int_eq(commit_many_rows(5), 0);
    ck_assert_uint_eq(mark_of("row69999"), 5);
    ck_assert_int_eq(kv_table_checkpoint(table), 0);
    ck_assert_uint_ge(atomic_load(&disk_commits), committed + 2);
    reopen_sized(1024 * MIB);
    ck_assert_uint_eq(mark_of("row0"), 5);
}
END_TEST

START_TEST(a_table_closed_on_a_full_disk_has_everything_later)
{
    for (uint64_t n = 1; n <= 30; n++)
        ck_assert_int_eq(history_commit(table, n), 0);
    atomic_store(&disk_error, -ENOSPC);
    kv_table_close(table);
    table = NULL;
    for (int i = 0; i < 2; i++) {
        open_table(64 * MIB);
        check_history(30);
        ck_assert_int_eq(kv_table_checkpoint(table), -ENOSPC);
        kv_table_close(table);
    }
    open_table(64 * MIB);
    ck_assert_int_eq(history_commit(table, 31), 0); /* the log goes on behind it */
    atomic_store(&disk_error, 0);
    ck_assert_int_eq(kv_table_checkpoint(table), 0);
    reopen_sized(64 * MIB);
    check_history(31);
}
END_TEST

START_TEST(after_a_checkpoint_failed_reads_go_on_and_writes_do_not)
{
    reopen_sized(1024 * MIB);
    ck_assert_int_eq(history_commit(table, 1), 0);
    ck_assert_int_eq(kv_table_checkpoint(table), 0);
    ck_assert_int_eq(history_commit(table, 2), 0);
    atomic_store(&data_sync_errno, EIO);
    ck_assert_int_eq(commit_many_rows(1), 0);
    int err, mark = 1;
    uint64_t n = 3;
    while ((err = commit_many_rows((unsigned)mark + 1)) == 0 && mark < 5)
        mark++;
    ck_assert_int_eq(err, -EIO);
    atomic_store(&data_sync_errno, 0); /* nobody may believe it */
    ck_assert_int_eq(history_commit(table, n), -EIO);
    ck_assert_int_eq(kv_table_checkpoint(table), -EIO);
    ck_assert_uint_eq(mark_of("row0"), (unsigned)mark);
    ck_assert_uint_eq(mark_of("row69999"), (unsigned)mark);
    reopen_sized(1024 * MIB);
    ck_assert_uint_eq(mark_of("row0"), (unsigned)mark);
    ck_assert_uint_eq(mark_of("row69999"), (unsigned)mark);
    ck_assert_int_eq(history_commit(table, n), 0);
}
END_TEST

/* -- Under load -- */

enum { READERS = 2, PAIRS = 50, LOAD_COMMITS = 2500, SUM = 1000000 };

static atomic_bool finished;
static atomic_uint torn, looks;

static int value_in(struct kv_slice value)
{
    int number = 0;
    if (value.len == sizeof(number))
        memcpy(&number, value.data, sizeof(number));
    return number;
}

static int half_of(struct kv_view *view, unsigned pair, char half)
{
    char key[16];
    struct kv_slice value;
    (void)snprintf(key, sizeof(key), "%c%u", half, pair);
    int err = kv_view_get(view, KV_DB_STATE, slice(key), &value);
    return err ? 0 : value_in(value);
}

/* The two of a pair have one sum in every commit, and so has all together. */
static bool is_whole(struct kv_view *view, unsigned turn)
{
    unsigned pair = turn % PAIRS;
    if (half_of(view, pair, 'a') + half_of(view, pair, 'b') != SUM)
        return false;
    KV_CLEANUP(kv_walk_closep) struct kv_walk *walk = NULL;
    struct kv_slice key, value;
    int64_t sum = 0;
    int err = kv_walk_open(view, KV_DB_STATE, &walk);
    while (!err && (err = turn % 2 ? kv_walk_next(walk, &key, &value)
                                   : kv_walk_prev(walk, &key, &value)) == 0)
        sum += value_in(value);
    return err == -ENOENT && sum == (int64_t)SUM * PAIRS;
}

/* Each snapshot is looked at twice, with checkpoints between, perhaps. */
static void *read_on(void *arg)
{
    for (unsigned turn = *(unsigned *)arg; !atomic_load(&finished); turn++) {
        KV_CLEANUP(kv_view_endp) struct kv_view *view = NULL;
        bool whole = kv_view_read(table, &view) == 0 && is_whole(view, turn);
        whole = whole && is_whole(view, turn + 1);
        atomic_fetch_add(&torn, !whole);
        atomic_fetch_add(&looks, 1);
    }
    return NULL;
}

static void put_half(struct kv_view *view, unsigned pair, char half, int number)
{
    char key[16];
    void *place;
    (void)snprintf(key, sizeof(key), "%c%u", half, pair);
    ck_assert_int_eq(kv_view_put(view, KV_DB_STATE, slice(key), sizeof(number), &place),
                     0);
    memcpy(place, &number, sizeof(number));
}

/* Part of it in a nested view that is undone. */
static void commit_pairs(unsigned from, unsigned count, unsigned round)
{
    struct kv_view *nested, *view = begin_write();
    for (unsigned i = 0; i < count; i++) {
        unsigned pair = (from + i) % PAIRS;
        int left = (int)((round * 7919 + i * 104729) % SUM);
        ck_assert_int_eq(kv_view_nested(view, &nested), 0);
        put_half(nested, pair, 'a', left);
        if (round % 3 == 0)
            ck_assert_int_eq(kv_view_delete(nested, KV_DB_STATE, slice("a0")), 0);
        kv_view_end(nested);
        put_half(view, pair, 'a', left);
        put_half(view, pair, 'b', SUM - left);
    }
    ck_assert_int_eq(kv_view_commit(view), 0);
}

START_TEST(snapshots_are_whole_while_checkpoints_are_made_under_load)
{
    pthread_t readers[READERS];
    unsigned turns[READERS] = {0, 1};
    reopen_sized(1024 * MIB);
    atomic_store(&finished, false);
    atomic_store(&torn, 0);
    atomic_store(&looks, 0);
    commit_pairs(0, PAIRS, 1);
    for (int i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&readers[i], NULL, read_on, &turns[i]), 0);
    for (unsigned round = 0; round < LOAD_COMMITS; round++)
        commit_pairs(round, PAIRS, round);
    atomic_store(&finished, true);
    for (int i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    ck_assert_uint_eq(atomic_load(&torn), 0);
    ck_assert_uint_gt(atomic_load(&looks), 0);
    ck_assert_uint_ge(atomic_load(&disk_commits), 2); /* by the thread alone */
}
END_TEST

KV_SUITE_WITH("checkpoint", setup, teardown,
              a_view_that_begins_during_a_commit_to_disk_is_one_snapshot,
              what_an_ended_write_view_put_takes_no_space,
              what_an_ended_nested_view_put_takes_no_space_behind_a_checkpoint,
              commits_wait_in_the_log_for_a_checkpoint,
              what_waits_is_written_when_nothing_more_comes,
              an_almost_full_table_commits_to_disk_and_comes_back_to_the_log,
              a_table_that_is_almost_full_now_and_then_keeps_its_history,
              views_keep_their_snapshots_over_checkpoints,
              a_write_view_sees_its_own_changes_over_all_that_is_below,
              a_checkpoint_that_fails_for_space_is_made_up_for,
              a_table_closed_on_a_full_disk_has_everything_later,
              after_a_checkpoint_failed_reads_go_on_and_writes_do_not,
              snapshots_are_whole_while_checkpoints_are_made_under_load)
