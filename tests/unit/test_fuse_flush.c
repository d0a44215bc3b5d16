#include "fuse/flush.h"

#include "suite.h"

/* What a publication does to the state: it begins, and nothing is left. */
static int published;

static void publish_if(struct kv_flush *flush, bool publish)
{
    if (!publish)
        return;
    published++;
    kv_flush_take(flush);
}

/* One line of input: 'o' open with O_TRUNC, 'O' without, 'w' write, 'f' flush by the
 * opener, 'c' by a child, 's' fsync, 'r' RELEASE. Returns how often it published. */
static int run(const char *input)
{
    struct kv_flush flush = {0};
    published = 0;
    for (; *input; input++) {
        switch (*input) {
        case 'o':
        case 'O':
            kv_flush_open(&flush, *input == 'o');
            break;
        case 'w':
            kv_flush_write(&flush);
            break;
        case 'f':
        case 'c':
            publish_if(&flush, kv_flush_flush(&flush, *input == 'f'));
            break;
        default:
            publish_if(&flush, kv_flush_rest(&flush));
        }
    }
    return published;
}

/* As they were traced: bash duplicates with dup2 and closes the original before it runs
 * the command. */
START_TEST(flush_publishes_each_command_line_once)
{
    ck_assert_int_eq(run("ofwfr"), 1);    /* echo v > key */
    ck_assert_int_eq(run("offr"), 1);     /* : > key */
    ck_assert_int_eq(run("ofwcwcfr"), 1); /* { date; uname; } > key */
    ck_assert_int_eq(run("ofwwfr"), 1);   /* cat f > key */
    ck_assert_int_eq(run("ofr"), 1);      /* open(key, 'w').close() */
}
END_TEST

START_TEST(flush_of_what_was_not_changed_publishes_nothing)
{
    ck_assert_int_eq(run("Or"), 0);
    ck_assert_int_eq(run("Offfr"), 0);
    ck_assert_int_eq(run("Ocsr"), 0);
}
END_TEST

START_TEST(flush_by_a_child_publishes_nothing)
{
    ck_assert_int_eq(run("owc"), 0);
    ck_assert_int_eq(run("owccc"), 0);
    ck_assert_int_eq(run("occ"), 0);
    /* Nor does it count as the first flush of the opener. */
    ck_assert_int_eq(run("ocf"), 0);
    ck_assert_int_eq(run("ocff"), 1);
}
END_TEST

START_TEST(flush_of_a_new_write_publishes_again)
{
    ck_assert_int_eq(run("owfwfr"), 2);
    ck_assert_int_eq(run("owffwffr"), 2);
    ck_assert_int_eq(run("ofwfwr"), 2);
}
END_TEST

START_TEST(release_publishes_what_is_left)
{
    ck_assert_int_eq(run("or"), 1);
    ck_assert_int_eq(run("owr"), 1);
    ck_assert_int_eq(run("owcr"), 1);
    ck_assert_int_eq(run("Owr"), 1);
}
END_TEST

START_TEST(fsync_publishes_at_once_and_close_not_again)
{
    ck_assert_int_eq(run("owsfr"), 1);
    ck_assert_int_eq(run("osfr"), 1);
    ck_assert_int_eq(run("owswfr"), 2);
}
END_TEST

START_TEST(flush_once_without_a_write_is_limbo_until_something_happens)
{
    struct kv_flush flush;
    kv_flush_open(&flush, true);
    ck_assert(!kv_flush_limbo(&flush));
    ck_assert(!kv_flush_flush(&flush, false));
    ck_assert(!kv_flush_limbo(&flush));
    ck_assert(!kv_flush_flush(&flush, true));
    ck_assert(kv_flush_limbo(&flush));
    kv_flush_write(&flush);
    ck_assert(!kv_flush_limbo(&flush));
    ck_assert(kv_flush_unpublished(&flush));
}
END_TEST

START_TEST(failed_publication_is_still_to_be_made)
{
    struct kv_flush flush;
    kv_flush_open(&flush, true);
    kv_flush_write(&flush);
    struct kv_flush taken = kv_flush_take(&flush);
    ck_assert(!kv_flush_unpublished(&flush));
    kv_flush_restore(&flush, taken);
    ck_assert(kv_flush_flush(&flush, true));

    /* Also the empty value, which the next flush then publishes. */
    kv_flush_open(&flush, true);
    ck_assert(!kv_flush_flush(&flush, true));
    taken = kv_flush_take(&flush);
    kv_flush_restore(&flush, taken);
    ck_assert(kv_flush_limbo(&flush));
    ck_assert(kv_flush_flush(&flush, true));
}
END_TEST

KV_SUITE("fuse_flush", flush_publishes_each_command_line_once,
         flush_of_what_was_not_changed_publishes_nothing,
         flush_by_a_child_publishes_nothing, flush_of_a_new_write_publishes_again,
         release_publishes_what_is_left, fsync_publishes_at_once_and_close_not_again,
         flush_once_without_a_write_is_limbo_until_something_happens,
         failed_publication_is_still_to_be_made)
