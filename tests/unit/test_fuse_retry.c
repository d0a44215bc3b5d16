#include "fuse/process.h"
#include "fuse/retry.h"

#include "fixture.h"
#include "suite.h"

#include <pthread.h>
#include <unistd.h>

static struct kv_retry retry;
static struct kv_record *record; /* of id 7 */

static void setup(void)
{
    kv_retry_init(&retry);
    record = fixture_record("key", "looked up");
}

static void teardown(void)
{
    kv_record_unref(record);
    kv_retry_done(&retry);
}

static bool match(pid_t tid, uint64_t id, int64_t now_ns, bool with_record)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *found = NULL;
    if (!kv_retry_match(&retry, tid, id, now_ns, &found))
        return false;
    ck_assert_ptr_eq(found, with_record ? record : NULL);
    return true;
}

START_TEST(nobody_is_in_a_retry_at_first)
{
    ck_assert(!kv_retry_expects(&retry, 10, 0));
    ck_assert(!match(10, 7, 0, false));
}
END_TEST

START_TEST(lookup_after_estale_is_kept_for_the_open)
{
    kv_retry_stale(&retry, 10, 5, 0);
    ck_assert(kv_retry_expects(&retry, 10, 1));
    ck_assert(!kv_retry_expects(&retry, 11, 1));
    kv_retry_found(&retry, 10, record);
    ck_assert(match(10, 7, 2, true));
    ck_assert(match(10, 7, 3, true)); /* a permission check, then the open */
    ck_assert(!match(11, 7, 3, true));
    ck_assert(!match(10, 8, 3, true));
}
END_TEST

START_TEST(thread_that_comes_back_with_the_same_inode_is_let_through)
{
    kv_retry_stale(&retry, 10, 7, 0);
    ck_assert(match(10, 7, 1, false));
    ck_assert(!match(10, 8, 1, false));
}
END_TEST

START_TEST(retry_ends_with_the_open)
{
    kv_retry_stale(&retry, 10, 7, 0);
    kv_retry_found(&retry, 10, record);
    kv_retry_forget(&retry, 10);
    ck_assert(!match(10, 7, 1, true));
    ck_assert_uint_eq(atomic_load(&retry.used), 0);
}
END_TEST

START_TEST(retry_ends_with_time)
{
    kv_retry_stale(&retry, 10, 7, 0);
    kv_retry_found(&retry, 10, record);
    ck_assert(match(10, 7, KV_RETRY_NS, true));
    ck_assert(!match(10, 7, KV_RETRY_NS + 1, true));
    ck_assert_uint_eq(atomic_load(&retry.used), 0);
}
END_TEST

START_TEST(retry_ends_when_it_was_used_as_often_as_a_call_can)
{
    kv_retry_stale(&retry, 10, 5, 0);
    kv_retry_found(&retry, 10, record);
    for (int i = 0; i < KV_RETRY_USES; i++)
        ck_assert(match(10, 7, 1, true));
    ck_assert(!match(10, 7, 1, true));
    ck_assert_uint_eq(atomic_load(&retry.used), 0);
}
END_TEST

START_TEST(large_value_is_not_kept)
{
    static const char large[KV_RETRY_VALUE_MAX + 1];
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *big = fixture_record_sized("key", large, sizeof(large));
    kv_retry_stale(&retry, 10, 5, 0);
    kv_retry_found(&retry, 10, big);
    ck_assert(!match(10, 7, 1, true));
}
END_TEST

START_TEST(more_threads_than_slots_push_the_oldest_out)
{
    for (pid_t tid = 1; tid <= KV_RETRY_SLOTS + 1; tid++)
        kv_retry_stale(&retry, tid, 7, 0);
    ck_assert(!match(1, 7, 1, false));
    ck_assert(match(2, 7, 1, false));
    ck_assert(match(KV_RETRY_SLOTS + 1, 7, 1, false));
    ck_assert_uint_eq(atomic_load(&retry.used), KV_RETRY_SLOTS);
}
END_TEST

static void *other_thread(void *arg)
{
    pid_t *tid = arg;
    *tid = gettid();
    ck_assert_int_eq(kv_process_of(*tid), getpid());
    ck_assert(kv_process_has(getpid(), *tid));
    return NULL;
}

START_TEST(process_of_a_thread_is_its_group)
{
    pthread_t thread;
    pid_t tid = 0;
    ck_assert_int_eq(kv_process_of(getpid()), getpid());
    ck_assert_int_eq(pthread_create(&thread, NULL, other_thread, &tid), 0);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_int_ne(tid, getpid());
    ck_assert(!kv_process_has(getpid(), 1));
    ck_assert(!kv_process_has(1, getpid()));
}
END_TEST

START_TEST(process_has_ended_only_when_it_was_waited_for)
{
    ck_assert(!kv_process_ended(getpid()));
    ck_assert(!kv_process_ended(1));
    ck_assert(!kv_process_ended(0)); /* of another pid namespace: unknown */
}
END_TEST

KV_SUITE_WITH("fuse_retry", setup, teardown, nobody_is_in_a_retry_at_first,
              lookup_after_estale_is_kept_for_the_open,
              thread_that_comes_back_with_the_same_inode_is_let_through,
              retry_ends_with_the_open, retry_ends_with_time,
              retry_ends_when_it_was_used_as_often_as_a_call_can,
              large_value_is_not_kept, more_threads_than_slots_push_the_oldest_out,
              process_of_a_thread_is_its_group,
              process_has_ended_only_when_it_was_waited_for)
