#undef _FILE_OFFSET_BITS /* it would give pwrite the name of pwrite64 */
/* Logs that a crash cut off, or that are damaged. */
#include "wal_fixture.h"

#include "base/hash.h"

/* -- Cut and damaged -- */

/* Whether some commits from the first on are what was replayed: "" to all of them. */
static bool is_prefix(const char *got, const char *all, uint64_t commits)
{
    size_t len = strlen(got), expected = 0;
    for (uint64_t i = 0; i < commits; i++) {
        const char *end = strstr(all + expected, "3-gone");
        ck_assert_ptr_nonnull(end);
        expected = (size_t)(end - all) + strlen("3-gone");
        if (i + 1 < commits)
            expected++;
    }
    expected -= expected > 0 && all[expected - 1] == ' ';
    return len == expected && memcmp(got, all, len) == 0;
}

static void append_five(void)
{
    const char *const texts[] = {"one", "", "a longer text, of three", "4", "five"};
    for (int i = 0; i < 5; i++)
        commit(texts[i]);
}

START_TEST(a_log_cut_off_anywhere_replays_the_whole_records_before)
{
    size_t ends[6] = {0};
    for (int i = 1; i <= 5; i++) {
        commit("text");
        ends[i] = file_size(0);
    }
    KV_CLEANUP(kv_free) char *all = strdup(replayed());
    KV_CLEANUP(kv_buf_done) struct kv_buf whole = file_bytes(0);
    ck_assert_uint_eq(whole.len, ends[5]);
    uint64_t commits = 0;
    for (size_t len = 0; len <= whole.len; len++) {
        commits += commits < 5 && len == ends[commits + 1];
        set_file(0, whole.data, len);
        ck_assert_msg(is_prefix(replayed(), all, commits), "cut at %zu of %zu: %s", len,
                      whole.len, replayed());
        ck_assert_uint_eq(last, commits);
    }
    ck_assert_uint_eq(commits, 5);
}
END_TEST

START_TEST(a_damaged_byte_ends_the_log_before_its_record)
{
    size_t ends[6] = {0};
    append_five();
    KV_CLEANUP(kv_free) char *all = strdup(replayed());
    KV_CLEANUP(kv_buf_done) struct kv_buf whole = file_bytes(0);
    set_file(0, "", 0);
    reopen_wal();
    last = 0;
    const char *const texts[] = {"one", "", "a longer text, of three", "4", "five"};
    for (int i = 1; i <= 5; i++) {
        commit(texts[i - 1]);
        ends[i] = file_size(0);
    }
    uint64_t commits = 0;
    for (size_t at = 0; at < whole.len; at++) {
        commits += at == ends[commits + 1];
        for (int bit = 0; bit < 8; bit++) {
            whole.data[at] = (char)(whole.data[at] ^ 1 << bit);
            set_file(0, whole.data, whole.len);
            ck_assert_msg(is_prefix(replayed(), all, commits), "bit %d of byte %zu: %s",
                          bit, at, replayed());
            whole.data[at] = (char)(whole.data[at] ^ 1 << bit);
        }
    }
}
END_TEST

START_TEST(new_commits_follow_a_log_that_was_cut_off)
{
    append_five();
    KV_CLEANUP(kv_buf_done) struct kv_buf whole = file_bytes(0);
    set_file(0, whole.data, whole.len - 1);
    struct kv_wal_position position = {0};
    (void)replayed_from(&position);
    ck_assert_uint_eq(last, 4);
    commit("new");
    ck_assert_str_eq(replayed_behind(position), "0:k5=new 3-gone");
}
END_TEST

START_TEST(a_file_of_zeros_or_noise_is_an_empty_log)
{
    char noise[4096] = {0};
    set_file(0, noise, sizeof(noise));
    set_file(1, noise, sizeof(noise));
    ck_assert_str_eq(replayed(), "");
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (char)(i * 7919 >> 3);
    set_file(0, noise, sizeof(noise));
    set_file(1, noise, sizeof(noise));
    ck_assert_str_eq(replayed(), "");
}
END_TEST

START_TEST(a_missing_file_is_made)
{
    commit("one");
    struct kv_wal_position position = position_now();
    kv_wal_restart(wal);
    commit("two");
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/wal.0", dir);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_str_eq(replayed_behind(position), "0:k2=two 3-gone");
    ck_assert_str_eq(replayed(), ""); /* what is missing is not passed over */
    ck_assert_int_eq(access(path, F_OK), 0);
}
END_TEST

START_TEST(a_missing_directory_is_enoent)
{
    struct kv_wal *other = NULL;
    ck_assert_int_eq(kv_wal_open("/nonexistent/kvfs", KV_SYNC_OFF, &other), -ENOENT);
    ck_assert_ptr_null(other);
}
END_TEST

/* -- Whole, and not to be understood -- */

/* Change the record in the first file, and make its checksum right again. */
static void forge(size_t at, char byte)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf bytes = file_bytes(0);
    bytes.data[at] = byte;
    uint64_t checksum =
        kv_checksum(bytes.data + sizeof(checksum), bytes.len - sizeof(checksum));
    memcpy(bytes.data, &checksum, sizeof(checksum));
    set_file(0, bytes.data, bytes.len);
}

static int replay_error(void)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf text = {0};
    struct kv_wal_position position = {0};
    reopen_wal();
    return kv_wal_replay(wal, &position, note_change, &text);
}

#define HEADER_BYTES 32

START_TEST(a_whole_record_of_an_unknown_table_is_eio)
{
    commit("one");
    forge(HEADER_BYTES, KV_DB_META);
    ck_assert_int_eq(replay_error(), 0);
    forge(HEADER_BYTES, KV_DB_COUNT);
    ck_assert_int_eq(replay_error(), -EIO);
}
END_TEST

START_TEST(a_whole_record_with_a_length_beyond_its_end_is_eio)
{
    commit("one");
    forge(HEADER_BYTES + 1, 100); /* of the key */
    ck_assert_int_eq(replay_error(), -EIO);
    forge(HEADER_BYTES + 1, 2);
    ck_assert_int_eq(replay_error(), 0);
    forge(HEADER_BYTES + 5 + 7, (char)0xff); /* of the value */
    ck_assert_int_eq(replay_error(), -EIO);
}
END_TEST

KV_SUITE_WITH("wal_damage", setup, teardown,
              a_log_cut_off_anywhere_replays_the_whole_records_before,
              a_damaged_byte_ends_the_log_before_its_record,
              new_commits_follow_a_log_that_was_cut_off,
              a_file_of_zeros_or_noise_is_an_empty_log, a_missing_file_is_made,
              a_missing_directory_is_enoent, a_whole_record_of_an_unknown_table_is_eio,
              a_whole_record_with_a_length_beyond_its_end_is_eio)
