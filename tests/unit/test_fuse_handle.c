#include "fuse/handle.h"

#include "fixture.h"
#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#define MAX 1000

static struct kv_inode inode = {.id = 7}; /* handles only look whether they have one */

static struct kv_handle *open_record(int flags, struct kv_record *record)
{
    struct kv_handle *handle =
        kv_handle_new(7, flags, getpid(), flags & O_TRUNC, record);
    ck_assert_ptr_nonnull(handle);
    handle->inode = &inode;
    return handle;
}

static struct kv_handle *open_value(int flags, const char *value)
{
    return open_record(flags, fixture_record("key", value));
}

static void assert_reads(struct kv_handle *handle, uint64_t offset, size_t size,
                         const char *expected)
{
    KV_CLEANUP(kv_part_done) struct kv_part part = {0};
    ck_assert_int_eq(kv_handle_read(handle, offset, size, &part), 0);
    ck_assert_uint_eq(part.len, strlen(expected));
    if (part.len)
        ck_assert_mem_eq(part.data, expected, part.len);
}

static void write_text(struct kv_handle *handle, uint64_t offset, const char *text)
{
    ck_assert_int_eq(kv_handle_write(handle, offset, text, strlen(text), MAX), 0);
}

static void publish(struct kv_handle *handle, const char *value)
{
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *record = fixture_record("key", value);
    KV_SCOPED_LOCK(&handle->lock);
    kv_flush_take(&handle->flush);
    kv_handle_published_locked(handle, record, handle->changes, handle->bytes.len);
}

START_TEST(reader_reads_parts_of_its_record)
{
    struct kv_handle *handle = open_value(O_RDONLY, "one version");
    assert_reads(handle, 0, 3, "one");
    assert_reads(handle, 4, 100, "version");
    assert_reads(handle, 11, 100, "");
    assert_reads(handle, UINT64_MAX, 100, "");
    kv_handle_unref(handle);
}
END_TEST

START_TEST(reader_moves_on_at_offset_0_and_after_the_end)
{
    struct kv_handle *handle = open_value(O_RDONLY, "old");
    ck_assert(kv_handle_wants_newest(handle, 0, 5));
    ck_assert(!kv_handle_wants_newest(handle, 1, 5));
    assert_reads(handle, 1, 100, "ld"); /* short, but not told the end */
    ck_assert(!kv_handle_wants_newest(handle, 3, 5));
    assert_reads(handle, 3, 100, "");
    ck_assert(kv_handle_wants_newest(handle, 3, 5));
    kv_handle_refresh(handle, fixture_record("key", "old and new"), 5);
    assert_reads(handle, 3, 100, " and new");
    ck_assert(!kv_handle_wants_newest(handle, 11, 6));
    kv_handle_unref(handle);
}
END_TEST

START_TEST(reader_asks_only_when_something_was_committed)
{
    struct kv_handle *handle = open_value(O_RDONLY, "v");
    kv_handle_refresh(handle, fixture_record("key", "w"), 5);
    ck_assert(!kv_handle_wants_newest(handle, 0, 5));
    ck_assert(kv_handle_wants_newest(handle, 0, 6));
    kv_handle_unref(handle);
}
END_TEST

START_TEST(reader_keeps_its_record_when_the_key_is_gone)
{
    struct kv_handle *handle = open_value(O_RDONLY, "last");
    kv_handle_refresh(handle, NULL, 9);
    assert_reads(handle, 0, 100, "last");
    kv_handle_unref(handle);
}
END_TEST

START_TEST(slower_fetch_does_not_win)
{
    struct kv_handle *handle = open_value(O_RDONLY, "1");
    kv_handle_refresh(handle, fixture_record("key", "3"), 3);
    kv_handle_refresh(handle, fixture_record("key", "2"), 2);
    assert_reads(handle, 0, 100, "3");
    kv_handle_unref(handle);
}
END_TEST

START_TEST(handle_for_both_reads_the_newest_until_it_writes)
{
    struct kv_handle *handle = open_value(O_RDWR, "first");
    ck_assert(kv_handle_wants_newest(handle, 3, 5));
    write_text(handle, 0, "F");
    ck_assert(!kv_handle_wants_newest(handle, 0, 6));
    assert_reads(handle, 0, 100, "First");
    kv_handle_refresh(handle, fixture_record("key", "other"), 7);
    assert_reads(handle, 0, 100, "First");
    kv_handle_unref(handle);
}
END_TEST

START_TEST(reader_that_yielded_moves_on_wherever_it_is)
{
    struct kv_handle *handle = open_value(O_RDONLY, "old");
    ck_assert(kv_handle_yields(handle));
    kv_handle_yielded(handle);
    ck_assert(kv_handle_wants_newest(handle, 2, 5));
    kv_handle_refresh(handle, fixture_record("key", "newer"), 5);
    assert_reads(handle, 2, 100, "wer");
    ck_assert(!kv_handle_wants_newest(handle, 5, 6));
    kv_handle_unref(handle);
}
END_TEST

START_TEST(handle_with_bytes_of_its_own_yields_to_nobody)
{
    struct kv_handle *handle = open_value(O_RDWR, "old");
    ck_assert(kv_handle_yields(handle));
    write_text(handle, 0, "new");
    ck_assert(!kv_handle_yields(handle));
    publish(handle, "new");
    ck_assert(kv_handle_yields(handle));
    kv_handle_unref(handle);
}
END_TEST

START_TEST(write_behind_the_end_fills_with_zeros)
{
    struct kv_handle *handle = open_value(O_RDWR, "ab");
    write_text(handle, 4, "e");
    KV_CLEANUP(kv_part_done) struct kv_part part = {0};
    ck_assert_int_eq(kv_handle_read(handle, 0, 100, &part), 0);
    ck_assert_bytes(part.data, part.len, "ab\0\0e");
    kv_handle_unref(handle);
}
END_TEST

START_TEST(truncated_handle_is_empty_and_unpublished)
{
    struct kv_handle *handle = open_value(O_RDWR | O_TRUNC, "old");
    ck_assert_uint_eq(kv_handle_size_locked(handle), 0);
    ck_assert(kv_flush_unpublished(&handle->flush));
    assert_reads(handle, 0, 100, "");
    kv_handle_unref(handle);
}
END_TEST

START_TEST(appender_keeps_what_it_appends_apart)
{
    struct kv_handle *handle = open_value(O_RDWR | O_APPEND, "log ");
    write_text(handle, 0, "one ");
    write_text(handle, 100, "two");
    ck_assert(!handle->whole);
    ck_assert_bytes(handle->bytes.data, handle->bytes.len, "one two");
    assert_reads(handle, 0, 100, "log one two");
    assert_reads(handle, 2, 4, "g on");
    kv_handle_unref(handle);
}
END_TEST

START_TEST(new_name_opened_to_append_appends)
{
    struct kv_handle *handle =
        kv_handle_new(7, O_WRONLY | O_APPEND, getpid(), true, NULL);
    ck_assert(!handle->whole);
    ck_assert(kv_flush_unpublished(&handle->flush));
    kv_handle_unref(handle);
    handle = kv_handle_new(7, O_WRONLY, getpid(), true, NULL);
    ck_assert(handle->whole);
    kv_handle_unref(handle);
}
END_TEST

START_TEST(resize_cuts_and_extends)
{
    struct kv_handle *handle = open_value(O_RDWR, "abcdef");
    ck_assert_int_eq(kv_handle_resize(handle, 3, MAX), 0);
    assert_reads(handle, 0, 100, "abc");
    ck_assert_int_eq(kv_handle_resize(handle, 5, MAX), 0);
    ck_assert_uint_eq(kv_handle_size_locked(handle), 5);
    ck_assert(kv_flush_unpublished(&handle->flush));
    kv_handle_unref(handle);
}
END_TEST

START_TEST(resize_of_an_appender_makes_it_whole)
{
    struct kv_handle *handle = open_value(O_RDWR | O_APPEND, "abc");
    write_text(handle, 0, "def");
    ck_assert_int_eq(kv_handle_resize(handle, 4, MAX), 0);
    ck_assert(handle->whole);
    write_text(handle, 0, "!");
    assert_reads(handle, 0, 100, "abcd!");
    kv_handle_unref(handle);
}
END_TEST

static void assert_allocates(struct kv_handle *handle, int mode, uint64_t offset,
                             uint64_t len, int expected)
{
    ck_assert_int_eq(kv_handle_allocate(handle, mode, offset, len, MAX), expected);
}

START_TEST(allocation_extends_and_never_cuts)
{
    struct kv_handle *handle = open_value(O_RDWR, "abcdef");
    assert_allocates(handle, 0, 0, 3, 0);
    ck_assert(!kv_flush_unpublished(&handle->flush));
    assert_allocates(handle, FALLOC_FL_KEEP_SIZE, 0, 100, 0);
    ck_assert(!kv_flush_unpublished(&handle->flush));
    assert_allocates(handle, 0, 4, 4, 0);
    ck_assert(kv_flush_unpublished(&handle->flush));
    ck_assert_uint_eq(kv_handle_size_locked(handle), 8);
    assert_reads(handle, 0, 6, "abcdef");
    kv_handle_unref(handle);
}
END_TEST

START_TEST(allocation_clears_what_it_is_told_to)
{
    static const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    struct kv_handle *handle = open_value(O_RDWR, "abcdef");
    KV_CLEANUP(kv_part_done) struct kv_part part = {0};
    assert_allocates(handle, punch, 6, 10, 0);
    ck_assert(!kv_flush_unpublished(&handle->flush));
    assert_allocates(handle, punch, 1, 2, 0);
    assert_allocates(handle, FALLOC_FL_ZERO_RANGE, 5, 2, 0);
    ck_assert_int_eq(kv_handle_read(handle, 0, 100, &part), 0);
    ck_assert_uint_eq(part.len, 7);
    ck_assert_mem_eq(part.data, "a\0\0de\0\0", 7);
    kv_handle_unref(handle);
}
END_TEST

START_TEST(allocation_beyond_the_limit_is_refused_and_changes_nothing)
{
    struct kv_handle *handle = open_value(O_RDWR, "abc");
    assert_allocates(handle, 0, 0, MAX + 1, -EFBIG);
    assert_allocates(handle, 0, UINT64_MAX, 2, -EFBIG);
    ck_assert(!kv_flush_unpublished(&handle->flush));
    assert_reads(handle, 0, 100, "abc");
    assert_allocates(handle, 0, 0, MAX, 0);
    kv_handle_unref(handle);
}
END_TEST

START_TEST(appending_may_begin_and_end_while_open)
{
    struct kv_handle *handle = open_value(O_RDWR, "abc");
    ck_assert_int_eq(kv_handle_set_append(handle, true), 0);
    write_text(handle, 0, "de");
    ck_assert(!handle->whole);
    assert_reads(handle, 0, 100, "abcde");
    ck_assert_int_eq(kv_handle_set_append(handle, false), 0);
    ck_assert(handle->whole);
    write_text(handle, 0, "A");
    assert_reads(handle, 0, 100, "Abcde");
    ck_assert_int_eq(kv_handle_set_append(handle, true), 0);
    write_text(handle, 0, "f");
    assert_reads(handle, 0, 100, "Abcdef");
    kv_handle_unref(handle);
}
END_TEST

static struct kv_meta shown(struct kv_handle *handle)
{
    struct kv_meta meta = {.size = 3, .mtime_ns = 1, .ctime_ns = 1};
    kv_handle_show(handle, &meta);
    return meta;
}

START_TEST(process_sees_size_and_times_of_what_it_has_written)
{
    struct kv_handle *handle = open_value(O_RDWR, "abc");
    ck_assert_int_eq(shown(handle).mtime_ns, 1);
    write_text(handle, 3, "def");
    ck_assert_uint_eq(shown(handle).size, 6);
    ck_assert_int_eq(shown(handle).mtime_ns, handle->changed_ns);
    ck_assert_int_eq(shown(handle).ctime_ns, handle->changed_ns);
    handle->mtime_set = true;
    handle->mtime_ns = 42;
    ck_assert_int_eq(shown(handle).mtime_ns, 42);
    ck_assert_int_eq(shown(handle).ctime_ns, handle->changed_ns);
    kv_handle_unref(handle);
}
END_TEST

START_TEST(write_at_the_limit_and_one_byte_beyond)
{
    static const char bytes[MAX];
    struct kv_handle *handle = open_value(O_RDWR, "");
    ck_assert_int_eq(kv_handle_write(handle, 0, bytes, MAX, MAX), 0);
    ck_assert_int_eq(kv_handle_write(handle, MAX - 1, "xy", 2, MAX), -EFBIG);
    ck_assert_uint_eq(kv_handle_size_locked(handle), MAX);
    ck_assert_int_eq(kv_handle_resize(handle, MAX + 1, MAX), -EFBIG);
    ck_assert_int_eq(kv_handle_write(handle, UINT64_MAX, "x", 1, MAX), -EFBIG);
    kv_handle_unref(handle);
}
END_TEST

START_TEST(handle_that_was_refused_a_write_is_not_published)
{
    struct kv_handle *handle = open_value(O_RDWR, "good");
    write_text(handle, 0, "part");
    ck_assert_int_eq(kv_handle_write(handle, MAX, "x", 1, MAX), -EFBIG);
    ck_assert_int_eq(kv_handle_write(handle, 0, "x", 1, MAX), -EFBIG);
    ck_assert_int_eq(kv_handle_drop_refused_locked(handle), -EFBIG);
    ck_assert(!kv_flush_unpublished(&handle->flush));
    assert_reads(handle, 0, 100, "good");
    ck_assert_int_eq(kv_handle_resize(handle, 0, MAX), 0);
    ck_assert_int_eq(kv_handle_drop_refused_locked(handle), 0);
    write_text(handle, 0, "again");
    assert_reads(handle, 0, 100, "again");
    kv_handle_unref(handle);
}
END_TEST

START_TEST(appender_that_was_refused_a_write_goes_on)
{
    struct kv_handle *handle = open_value(O_WRONLY | O_APPEND, "log");
    static const char bytes[MAX];
    ck_assert_int_eq(kv_handle_write(handle, 0, bytes, MAX, MAX), -EFBIG);
    ck_assert_int_eq(kv_handle_drop_refused_locked(handle), 0);
    write_text(handle, 0, "x");
    ck_assert_uint_eq(kv_handle_size_locked(handle), 4);
    kv_handle_unref(handle);
}
END_TEST

START_TEST(published_handle_is_clean_and_reads_its_record)
{
    struct kv_handle *handle = open_value(O_RDWR, "old");
    write_text(handle, 0, "new");
    publish(handle, "new");
    ck_assert(!kv_handle_private_locked(handle));
    ck_assert(!kv_flush_unpublished(&handle->flush));
    assert_reads(handle, 0, 100, "new");
    kv_handle_unref(handle);
}
END_TEST

START_TEST(write_during_a_publication_stays_for_the_next)
{
    struct kv_handle *handle = open_value(O_RDWR, "....");
    write_text(handle, 0, "a");
    uint64_t changes = handle->changes;
    kv_flush_take(&handle->flush);
    write_text(handle, 1, "b");
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *record = fixture_record("key", "a...");
    kv_lock(&handle->lock);
    kv_handle_published_locked(handle, record, changes, 4);
    kv_unlock(&handle->lock);
    ck_assert(kv_flush_unpublished(&handle->flush));
    assert_reads(handle, 0, 100, "ab..");
    kv_handle_unref(handle);
}
END_TEST

START_TEST(write_refused_during_a_publication_leaves_what_was_published)
{
    struct kv_handle *handle = open_value(O_RDWR | O_TRUNC, "old");
    write_text(handle, 0, "value");
    struct kv_record *record = fixture_record("key", "value");
    kv_lock(&handle->lock);
    uint64_t changes = handle->changes;
    size_t len = handle->bytes.len;
    kv_flush_take(&handle->flush);
    kv_unlock(&handle->lock);
    ck_assert_int_eq(kv_handle_write(handle, MAX, "x", 1, MAX), -EFBIG);
    kv_lock(&handle->lock);
    ck_assert_int_eq(kv_handle_drop_refused_locked(handle), -EFBIG);
    kv_handle_published_locked(handle, record, changes, len);
    ck_assert_uint_eq(handle->bytes.len, 0);
    kv_unlock(&handle->lock);
    kv_record_unref(record);
    assert_reads(handle, 0, 100, "value");
    kv_handle_unref(handle);
}
END_TEST

START_TEST(append_during_a_publication_is_not_sent_twice)
{
    struct kv_handle *handle = open_value(O_RDWR | O_APPEND, "");
    write_text(handle, 0, "one");
    uint64_t changes = handle->changes;
    kv_flush_take(&handle->flush);
    write_text(handle, 0, "two");
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *record = fixture_record("key", "one");
    kv_lock(&handle->lock);
    kv_handle_published_locked(handle, record, changes, 3);
    kv_unlock(&handle->lock);
    ck_assert_bytes(handle->bytes.data, handle->bytes.len, "two");
    assert_reads(handle, 0, 100, "onetwo");
    kv_handle_unref(handle);
}
END_TEST

START_TEST(opener_is_known_by_process_then_by_lock_owner)
{
    struct kv_handle *handle = open_value(O_WRONLY, "");
    ck_assert(!kv_handle_opened_by(handle, 1, 11)); /* init is somebody else */
    ck_assert(kv_handle_opened_by(handle, getpid(), 22));
    ck_assert(kv_handle_opened_by(handle, 1, 22));
    ck_assert(!kv_handle_opened_by(handle, 1, 11));
    kv_handle_unref(handle);
}
END_TEST

KV_SUITE("fuse_handle", reader_reads_parts_of_its_record,
         reader_moves_on_at_offset_0_and_after_the_end,
         reader_asks_only_when_something_was_committed,
         reader_keeps_its_record_when_the_key_is_gone, slower_fetch_does_not_win,
         handle_for_both_reads_the_newest_until_it_writes,
         reader_that_yielded_moves_on_wherever_it_is,
         handle_with_bytes_of_its_own_yields_to_nobody,
         write_behind_the_end_fills_with_zeros,
         truncated_handle_is_empty_and_unpublished,
         appender_keeps_what_it_appends_apart, new_name_opened_to_append_appends,
         resize_cuts_and_extends, resize_of_an_appender_makes_it_whole,
         allocation_extends_and_never_cuts, allocation_clears_what_it_is_told_to,
         allocation_beyond_the_limit_is_refused_and_changes_nothing,
         appending_may_begin_and_end_while_open,
         process_sees_size_and_times_of_what_it_has_written,
         write_at_the_limit_and_one_byte_beyond,
         handle_that_was_refused_a_write_is_not_published,
         appender_that_was_refused_a_write_goes_on,
         published_handle_is_clean_and_reads_its_record,
         write_during_a_publication_stays_for_the_next,
         write_refused_during_a_publication_leaves_what_was_published,
         append_during_a_publication_is_not_sent_twice,
         opener_is_known_by_process_then_by_lock_owner)
