/* What a key was before an event. */
#include "store/previous.h"
#include "store_fixture.h"

#include <stdio.h>

/* The value before the event at this place of the log behind revision `since`; "-" when
 * nobody knows, "..." when it is left out. */
static const char *before(uint64_t since, size_t index)
{
    static char text[64];
    size_t count;
    struct kv_event **events = read_events(since, &count), *previous = NULL;
    ck_assert_uint_lt(index, count);
    int err = kv_store_previous(store, events[index], &previous);
    free_events(events, count);
    if (err) {
        ck_assert_int_eq(err, -ENOENT);
        return "-";
    }
    if (previous->record->bare)
        (void)snprintf(text, sizeof(text), "...");
    else
        (void)snprintf(text, sizeof(text), "%.*s", (int)previous->record->meta.size,
                       (const char *)previous->record->value);
    kv_event_unref(previous);
    return text;
}

START_TEST(the_value_before_a_put_and_a_delete_is_known)
{
    ck_assert_int_eq(put("k", "one"), 0);
    ck_assert_int_eq(put("other", "x"), 0);
    ck_assert_int_eq(put("k", "two"), 0);
    ck_assert_int_eq(append("k", "!"), 0);
    ck_assert_int_eq(del("k"), 0);
    ck_assert_int_eq(put("k", "new"), 0);
    for (int reopened = 0; reopened < 2; reopened++) { /* from the ring, from the log */
        ck_assert_str_eq(before(0, 0), "-");
        ck_assert_str_eq(before(2, 0), "one");
        ck_assert_str_eq(before(3, 0), "two");
        ck_assert_str_eq(before(4, 0), "two!");
        ck_assert_str_eq(before(5, 0), "-");
        store_reopen();
    }
}
END_TEST

START_TEST(it_is_found_past_changes_of_other_things)
{
    ck_assert_int_eq(put("k", "one"), 0);
    ck_assert_int_eq(set_mode("k", 0600), 0);
    ck_assert_int_eq(set_xattr("k", "user.a", "b", KV_XATTR_ANY), 0);
    ck_assert_int_eq(put("k", "two"), 0);
    ck_assert_str_eq(before(3, 0), "one");
}
END_TEST

START_TEST(it_may_be_of_the_same_revision)
{
    ck_assert_int_eq(put("k", "one"), 0);
    struct kv_txn *txn = txn_make();
    (void)txn_put(txn, "k", "two");
    (void)txn_put(txn, "between", "x");
    (void)txn_put(txn, "k", "three");
    (void)txn_add(txn, KV_OP_DELETE, "k");
    ck_assert_int_eq(txn_commit(txn), 0);
    ck_assert_str_eq(before(1, 0), "one");
    ck_assert_str_eq(before(1, 2), "two");
    ck_assert_str_eq(before(1, 3), "three");
}
END_TEST

START_TEST(what_the_log_does_not_hold_nobody_knows)
{
    ck_assert_int_eq(put_sized("large", 500000, 'x'), 0); /* over a 64th of the log */
    ck_assert_int_eq(put("large", "small"), 0);
    ck_assert_str_eq(before(1, 0), "...");
    ck_assert_int_eq(put("k", "one"), 0);
    while (status_now().oldest_revision <= 3)
        ck_assert_int_eq(put_sized("filler", 100000, 'x'), 0);
    uint64_t since = revision_now();
    ck_assert_int_eq(put("k", "two"), 0);
    ck_assert_str_eq(before(since, 0), "-");
}
END_TEST

KV_SUITE_WITH("previous", store_setup, store_teardown,
              the_value_before_a_put_and_a_delete_is_known,
              it_is_found_past_changes_of_other_things, it_may_be_of_the_same_revision,
              what_the_log_does_not_hold_nobody_knows)
