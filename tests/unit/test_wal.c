#undef _FILE_OFFSET_BITS /* it would give pwrite the name of pwrite64 */
#include "wal_fixture.h"

/* -- Round trips -- */

START_TEST(what_was_appended_is_replayed_in_order)
{
    commit("one");
    commit("");
    commit("three");
    ck_assert_str_eq(replayed(), "0:k1=one 3-gone 0:k2= 3-gone 0:k3=three 3-gone");
}
END_TEST

START_TEST(a_new_log_is_empty)
{
    ck_assert_str_eq(replayed(), "");
    ck_assert_uint_eq(last, 0);
}
END_TEST

START_TEST(keys_and_values_are_any_bytes)
{
    char key[300];
    memset(key, 0xff, sizeof(key));
    key[0] = '\0';
    kv_wal_begin(wal, ++last);
    kv_wal_add(wal, KV_DB_EXPIRY, (struct kv_slice){key, sizeof(key)}, false,
               (struct kv_slice){"\0\377", 2});
    ck_assert_int_eq(kv_wal_append(wal), 0);
    KV_CLEANUP(kv_buf_done) struct kv_buf expected = {0};
    ck_assert_int_eq(note_change(&expected, KV_DB_EXPIRY,
                                 (struct kv_slice){key, sizeof(key)}, false,
                                 (struct kv_slice){"\0\377", 2}),
                     0);
    struct kv_buf got = {0};
    struct kv_wal_position position = {0};
    reopen_wal();
    ck_assert_int_eq(kv_wal_replay(wal, &position, note_change, &got), 0);
    ck_assert_uint_eq(got.len, expected.len);
    ck_assert_mem_eq(got.data, expected.data, got.len);
    kv_buf_done(&got);
}
END_TEST

START_TEST(replay_moves_the_position_behind_the_last_record)
{
    commit("one");
    commit("two");
    struct kv_wal_position written = position_now(), read = {0};
    (void)replayed_from(&read);
    ck_assert_uint_eq(read.number, 2);
    ck_assert_uint_eq(read.checksum, written.checksum);
    ck_assert_uint_eq(kv_wal_checksum(wal), written.checksum);
}
END_TEST

START_TEST(what_a_checkpoint_holds_is_not_replayed)
{
    commit("one");
    struct kv_wal_position position = position_now();
    kv_wal_restart(wal);
    commit("two");
    commit("three");
    ck_assert_str_eq(replayed_behind(position), "0:k2=two 3-gone 0:k3=three 3-gone");
}
END_TEST

START_TEST(a_checkpoint_that_was_not_finished_needs_both_files)
{
    commit("one");
    kv_wal_restart(wal);
    commit("two");
    ck_assert_str_eq(replayed(), "0:k1=one 3-gone 0:k2=two 3-gone");
}
END_TEST

static int refuse_second(void *ctx, enum kv_db db, struct kv_slice key, bool deletes,
                         struct kv_slice value)
{
    (void)db;
    (void)key;
    (void)deletes;
    (void)value;
    unsigned *calls = ctx;
    return ++*calls == 3 ? -ENOSPC : 0; /* of the second commit */
}

START_TEST(an_error_of_a_change_ends_the_replay_there)
{
    commit("one");
    struct kv_wal_position first = position_now(), position = {0};
    commit("two");
    commit("three");
    reopen_wal();
    unsigned calls = 0;
    ck_assert_int_eq(kv_wal_replay(wal, &position, refuse_second, &calls), -ENOSPC);
    ck_assert_uint_eq(calls, 3);
    ck_assert_uint_eq(position.number, 1);
    ck_assert_uint_eq(position.checksum, first.checksum);
}
END_TEST

/* -- Older rounds -- */

START_TEST(records_of_an_earlier_round_behind_the_end_are_not_replayed)
{
    for (int i = 0; i < 5; i++)
        commit("one");
    kv_wal_restart(wal);
    commit("six");
    struct kv_wal_position position = position_now();
    kv_wal_restart(wal);
    commit("one"); /* as long as the one it overwrites */
    ck_assert_str_eq(replayed_behind(position), "0:k7=one 3-gone");
}
END_TEST

/* Of the file that is written second a power cut left more than of the first. */
START_TEST(records_beyond_a_gap_are_never_replayed)
{
    commit("one");
    commit("two");
    commit("three");
    kv_wal_restart(wal);
    commit("four");
    commit("five");
    KV_CLEANUP(kv_buf_done) struct kv_buf first = file_bytes(0);
    set_file(0, first.data, first.len - 1);
    struct kv_wal_position position = {0};
    ck_assert_str_eq(replayed_from(&position), "0:k1=one 3-gone 0:k2=two 3-gone");
    commit("THREE"); /* and "four" would have the next number */
    ck_assert_str_eq(replayed_behind(position), "0:k3=THREE 3-gone");
    ck_assert_uint_eq(last, 3);
}
END_TEST

START_TEST(a_round_that_has_just_begun_does_not_hide_the_one_before)
{
    commit("one");
    struct kv_wal_position position = position_now();
    kv_wal_restart(wal);
    commit("two");
    kv_wal_restart(wal);
    sync_errno = EIO;
    ck_assert_int_eq(try_commit("three"), -EIO);
    heal();
    ck_assert_str_eq(replayed_behind(position), "0:k2=two 3-gone");
}
END_TEST

START_TEST(a_file_of_unusual_size_is_cut_when_it_is_used_again)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf large = {0};
    ck_assert_int_eq(kv_buf_resize(&large, 65u << 20), 0);
    kv_wal_begin(wal, ++last);
    kv_wal_add(wal, KV_DB_STATE, slice("k"), false,
               (struct kv_slice){large.data, large.len});
    ck_assert_int_eq(kv_wal_append(wal), 0);
    ck_assert_uint_gt(file_size(0), 65u << 20);
    kv_wal_restart(wal);
    ck_assert_uint_gt(file_size(0), 65u << 20); /* it may still be needed */
    commit("two");
    struct kv_wal_position position = position_now();
    kv_wal_restart(wal);
    ck_assert_uint_le(file_size(0), 64u << 20);
    commit("three");
    ck_assert_str_eq(replayed_behind(position), "0:k3=three 3-gone");
}
END_TEST

/* -- Failures -- */

START_TEST(each_append_is_synced)
{
    commit("one");
    ck_assert_uint_eq(sync_calls, 1);
    commit("two");
    ck_assert_uint_eq(sync_calls, 2);
}
END_TEST

START_TEST(the_weaker_modes_sync_when_they_are_told_to)
{
    kv_wal_close(wal);
    ck_assert_int_eq(kv_wal_open(dir, KV_SYNC_INTERVAL, &wal), 0);
    commit("one");
    ck_assert_uint_eq(sync_calls, 0);
    ck_assert_int_eq(kv_wal_sync(wal), 0);
    ck_assert_uint_eq(sync_calls, 2); /* both files */
    sync_errno = EIO;
    ck_assert_int_eq(kv_wal_sync(wal), -EIO);
}
END_TEST

START_TEST(after_a_failed_sync_nothing_can_be_appended)
{
    commit("one");
    struct kv_wal_position position = position_now();
    sync_errno = EIO;
    ck_assert_int_eq(try_commit("lost"), -EIO);
    heal(); /* the disk says it is well again, which nobody may believe */
    last--;
    ck_assert_int_eq(try_commit("late"), -EIO);
    ck_assert_uint_eq(kv_wal_checksum(wal), position.checksum);
    ck_assert_str_eq(replayed(), "0:k1=one 3-gone");
    commit("again");
    ck_assert_str_eq(replayed_behind(position), "0:k2=again 3-gone");
}
END_TEST

START_TEST(after_a_failed_write_nothing_can_be_appended)
{
    commit("one");
    write_errno = EIO;
    write_room = 10;
    ck_assert_int_eq(try_commit("lost"), -EIO);
    heal();
    last--;
    ck_assert_int_eq(try_commit("late"), -EIO);
    ck_assert_str_eq(replayed(), "0:k1=one 3-gone");
}
END_TEST

static void check_full(int err)
{
    commit("one");
    write_errno = err;
    write_room = 60; /* the header, and some */
    ck_assert_int_eq(try_commit("a text that does not fit"), -ENOSPC);
    heal();
    last--;
    commit("fits");
    ck_assert_str_eq(replayed(), "0:k1=one 3-gone 0:k2=fits 3-gone");
}

START_TEST(a_full_disk_is_enospc_and_the_next_append_works)
{
    check_full(ENOSPC);
}
END_TEST

START_TEST(a_used_up_quota_is_a_full_disk)
{
    check_full(EDQUOT);
}
END_TEST

START_TEST(a_write_in_pieces_is_one_record)
{
    write_piece = 7;
    commit("one");
    commit("two");
    ck_assert_str_eq(replayed(), "0:k1=one 3-gone 0:k2=two 3-gone");
}
END_TEST

KV_SUITE_WITH("wal", setup, teardown, what_was_appended_is_replayed_in_order,
              a_new_log_is_empty, keys_and_values_are_any_bytes,
              replay_moves_the_position_behind_the_last_record,
              what_a_checkpoint_holds_is_not_replayed,
              a_checkpoint_that_was_not_finished_needs_both_files,
              an_error_of_a_change_ends_the_replay_there,
              records_of_an_earlier_round_behind_the_end_are_not_replayed,
              records_beyond_a_gap_are_never_replayed,
              a_round_that_has_just_begun_does_not_hide_the_one_before,
              a_file_of_unusual_size_is_cut_when_it_is_used_again,
              each_append_is_synced, the_weaker_modes_sync_when_they_are_told_to,
              after_a_failed_sync_nothing_can_be_appended,
              after_a_failed_write_nothing_can_be_appended,
              a_full_disk_is_enospc_and_the_next_append_works,
              a_used_up_quota_is_a_full_disk, a_write_in_pieces_is_one_record)
