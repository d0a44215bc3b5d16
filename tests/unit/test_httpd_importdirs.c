/* When the time of a directory is set: behind everything in it. */
#include "httpd/importdirs.h"

#include "base/cleanup.h"
#include "suite.h"

#include <stdio.h>
#include <string.h>

static struct kv_txn *txn;
static struct kv_import_dirs dirs;

static void setup(void)
{
    ck_assert_int_eq(kv_txn_new(KV_ORIGIN_HTTP, NULL, NULL, &txn), 0);
    dirs = (struct kv_import_dirs){0};
}

static void teardown(void)
{
    kv_txn_free(txn);
}

/* Lines of these keys (a directory with a slash behind it) come, and then the end; the
 * times that were set before each, in text. */
static const char *times(const char *const *keys)
{
    static char text[1024];
    size_t seen;
    text[0] = '\0';
    seen = txn->op_count;
    for (int64_t i = 0;; i++) {
        size_t len = keys[i] ? strlen(keys[i]) : 0;
        bool dir = len > 0 && keys[i][len - 1] == '/';
        ck_assert_int_eq(kv_import_dirs_pass(&dirs, keys[i], len - dir, txn), 0);
        for (; seen < txn->op_count; seen++) {
            const struct kv_op *op = &txn->ops[seen];
            ck_assert_int_eq(op->type, KV_OP_SET_META);
            ck_assert_uint_eq(op->set, KV_SET_MTIME);
            (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.*s=%d ",
                           (int)op->key_len, op->key, (int)op->meta.mtime_ns);
        }
        if (!keys[i])
            return text;
        (void)snprintf(text + strlen(text), sizeof(text) - strlen(text), "<%s> ",
                       keys[i]);
        if (dir)
            kv_import_dirs_open(&dirs, keys[i], len - 1, i + 1);
    }
}

#define TIMES(...) times((const char *const[]){__VA_ARGS__, NULL})

START_TEST(a_directory_gets_its_time_behind_its_content)
{
    ck_assert_str_eq(TIMES("a/", "a/x", "a/y/", "a/y/z", "a0", "b"),
                     "<a/> <a/x> <a/y/> <a/y/z> a/y=3 a=1 <a0> <b> ");
}
END_TEST

START_TEST(one_with_another_between_it_and_its_content)
{
    ck_assert_str_eq(TIMES("a/", "a-b/", "a-b/c", "a/x"),
                     "<a/> <a-b/> <a-b/c> a-b=2 <a/x> a=1 ");
}
END_TEST

START_TEST(the_end_of_an_import_is_the_end_of_all)
{
    ck_assert_str_eq(TIMES("a/", "a/b/", "a/b/c"), "<a/> <a/b/> <a/b/c> a/b=2 a=1 ");
}
END_TEST

START_TEST(an_empty_directory_has_its_time_already)
{
    ck_assert_str_eq(TIMES("a/", "b/", "b-", "c"), "<a/> <b/> <b-> <c> ");
}
END_TEST

START_TEST(lines_out_of_order_end_what_they_are_not_in)
{
    ck_assert_str_eq(TIMES("b/", "b/x", "a/", "a/x", "b/y"),
                     "<b/> <b/x> b=1 <a/> <a/x> a=3 <b/y> ");
    ck_assert_str_eq(TIMES("c/", "c/", "c/x"), "<c/> <c/> <c/x> c=2 ");
}
END_TEST

START_TEST(as_many_can_be_open_as_a_key_is_long)
{
    char key[KV_KEY_MAX];
    memset(key, '-', sizeof(key));
    for (size_t len = 1; len <= KV_KEY_MAX; len++) {
        ck_assert_int_eq(kv_import_dirs_pass(&dirs, key, len, txn), 0);
        kv_import_dirs_open(&dirs, key, len, 1);
    }
    ck_assert_uint_eq(dirs.count, KV_KEY_MAX);
    ck_assert_int_eq(kv_import_dirs_pass(&dirs, NULL, 0, txn), 0);
    ck_assert_uint_eq(dirs.count, 0);
}
END_TEST

KV_SUITE_WITH("httpd_importdirs", setup, teardown,
              a_directory_gets_its_time_behind_its_content,
              one_with_another_between_it_and_its_content,
              the_end_of_an_import_is_the_end_of_all,
              an_empty_directory_has_its_time_already,
              lines_out_of_order_end_what_they_are_not_in,
              as_many_can_be_open_as_a_key_is_long)
