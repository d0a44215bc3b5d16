/* Scans: one snapshot, in order, at any pace. */
#include "base/clock.h"
#include "store/scan.h"
#include "store_fixture.h"

/* The rest of a scan in one line; directories end in '/'. */
static const char *rest_of(struct kv_scan *scan)
{
    static struct kv_buf text;
    struct kv_scan_row row;
    int err;
    kv_buf_reset(&text);
    while ((err = kv_scan_next(scan, &row)) == 0) {
        kv_buf_add(&text, row.key, row.key_len);
        kv_buf_adds(&text, S_ISDIR(row.meta.mode) ? "/ " : "=");
        kv_buf_add(&text, row.value, row.meta.size);
        kv_buf_adds(&text, S_ISDIR(row.meta.mode) ? "" : " ");
    }
    ck_assert_int_eq(err, -ENOENT);
    kv_buf_addc(&text, '\0');
    return text.data;
}

static struct kv_scan *scan_of(const char *dir)
{
    struct kv_scan *scan;
    ck_assert_int_eq(kv_scan_open(store, dir, strlen(dir), &scan), 0);
    return scan;
}

START_TEST(a_scan_shows_everything_in_byte_order)
{
    ck_assert_int_eq(put("b", "2"), 0);
    ck_assert_int_eq(put("a/x", "1"), 0);
    ck_assert_int_eq(put("a-b", "3"), 0);
    KV_CLEANUP(kv_scan_closep) struct kv_scan *scan = scan_of("");
    ck_assert_str_eq(rest_of(scan), "a/ a-b=3 a/x=1 b=2 ");
    ck_assert_uint_eq(kv_scan_revision(scan), 3);
}
END_TEST

START_TEST(a_scan_of_a_directory_stays_in_it)
{
    ck_assert_int_eq(put("a/x", "1"), 0);
    ck_assert_int_eq(put("a/y/z", "2"), 0);
    ck_assert_int_eq(put("a0", "3"), 0);
    ck_assert_int_eq(put("a-", "4"), 0);
    ck_assert_int_eq(make_dir("e"), 0);
    KV_CLEANUP(kv_scan_closep) struct kv_scan *scan = scan_of("a");
    ck_assert_str_eq(rest_of(scan), "a/ a/x=1 a/y/ a/y/z=2 ");
    KV_CLEANUP(kv_scan_closep) struct kv_scan *empty = scan_of("e");
    ck_assert_str_eq(rest_of(empty), "e/ ");
}
END_TEST

START_TEST(a_scan_stays_in_its_snapshot)
{
    ck_assert_int_eq(put("a", "1"), 0);
    ck_assert_int_eq(put("c", "3"), 0);
    KV_CLEANUP(kv_scan_closep) struct kv_scan *scan = scan_of("");
    struct kv_scan_row row;
    ck_assert_int_eq(kv_scan_next(scan, &row), 0);
    ck_assert_int_eq(put("b", "2"), 0);
    ck_assert_int_eq(put("c", "changed"), 0);
    ck_assert_int_eq(del("a"), 0);
    for (int i = 0; i < 200; i++) /* what is free is used again, but not these pages */
        ck_assert_int_eq(put_sized("filler", 4000, 'x'), 0);
    ck_assert_bytes(row.value, row.meta.size, "1");
    ck_assert_str_eq(rest_of(scan), "c=3 ");
    ck_assert_uint_eq(kv_scan_revision(scan), 2);
}
END_TEST

START_TEST(a_scan_leaves_out_what_is_due)
{
    int64_t now = kv_clock_realtime_ns();
    ck_assert_int_eq(put_expiring("soon", "v", now + 3600 * KV_NS_PER_S), 0);
    ck_assert_int_eq(put("stays", "v"), 0);
    KV_CLEANUP(kv_scan_closep) struct kv_scan *scan = scan_of("");
    ck_assert_str_eq(rest_of(scan), "soon=v stays=v ");
    ck_assert_int_eq(put_expiring("short", "v", now + 20 * KV_NS_PER_MS), 0);
    KV_CLEANUP(kv_scan_closep) struct kv_scan *later = scan_of("");
    while (kv_clock_realtime_ns() <= now + 20 * KV_NS_PER_MS)
        ;
    ck_assert_str_eq(rest_of(later), "soon=v stays=v ");
}
END_TEST

START_TEST(a_scan_wants_a_directory)
{
    struct kv_scan *scan;
    char longest[KV_KEY_MAX + 1] = {0};
    ck_assert_int_eq(put("k", "v"), 0);
    ck_assert_int_eq(kv_scan_open(store, "none", 4, &scan), -ENOENT);
    ck_assert_int_eq(kv_scan_open(store, "k", 1, &scan), -ENOTDIR);
    ck_assert_int_eq(kv_scan_open(store, longest, sizeof(longest), &scan),
                     -ENAMETOOLONG);
}
END_TEST

KV_SUITE_WITH("scan", store_setup, store_teardown,
              a_scan_shows_everything_in_byte_order, a_scan_of_a_directory_stays_in_it,
              a_scan_stays_in_its_snapshot, a_scan_leaves_out_what_is_due,
              a_scan_wants_a_directory)
