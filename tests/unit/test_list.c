#include "base/list.h"

#include "suite.h"

struct item {
    int number;
    struct kv_list_node node;
};

/* The numbers of a list as decimal digits, read from front to back, and checked to be
 * the same from back to front. */
static int digits(struct kv_list_node *head)
{
    int forward = 0, backward = 0, place = 1;
    KV_LIST_FOREACH(node, head)
    forward = forward * 10 + KV_CONTAINER_OF(node, struct item, node)->number;
    for (struct kv_list_node *node = head->prev; node != head; node = node->prev) {
        backward += place * KV_CONTAINER_OF(node, struct item, node)->number;
        place *= 10;
    }
    ck_assert_int_eq(forward, backward);
    return forward;
}

static void fill(struct kv_list_node *head, struct item *items, int count, int first)
{
    kv_list_init(head);
    for (int i = 0; i < count; i++) {
        items[i].number = first + i;
        kv_list_push_back(head, &items[i].node);
    }
}

START_TEST(list_is_empty_when_new)
{
    struct kv_list_node head;
    kv_list_init(&head);
    ck_assert(kv_list_empty(&head));
    ck_assert_int_eq(digits(&head), 0);
}
END_TEST

START_TEST(list_pushes_at_both_ends)
{
    struct kv_list_node head;
    struct item items[3] = {{1}, {2}, {3}};
    kv_list_init(&head);
    kv_list_push_back(&head, &items[1].node);
    kv_list_push_back(&head, &items[2].node);
    kv_list_push_front(&head, &items[0].node);
    ck_assert(!kv_list_empty(&head));
    ck_assert_int_eq(digits(&head), 123);
}
END_TEST

START_TEST(list_removes_from_anywhere_and_twice)
{
    struct kv_list_node head;
    struct item items[4];
    fill(&head, items, 4, 1);
    kv_list_remove(&items[1].node);
    ck_assert_int_eq(digits(&head), 134);
    kv_list_remove(&items[1].node);
    ck_assert_int_eq(digits(&head), 134);
    kv_list_remove(&items[0].node);
    kv_list_remove(&items[3].node);
    ck_assert_int_eq(digits(&head), 3);
    kv_list_remove(&items[2].node);
    ck_assert(kv_list_empty(&head));
}
END_TEST

START_TEST(list_walk_survives_removal_of_the_current_node)
{
    struct kv_list_node head;
    struct item items[5];
    fill(&head, items, 5, 1);
    KV_LIST_FOREACH(node, &head)
    {
        if (KV_CONTAINER_OF(node, struct item, node)->number % 2 == 1)
            kv_list_remove(node);
    }
    ck_assert_int_eq(digits(&head), 24);
}
END_TEST

START_TEST(list_splice_moves_everything_behind)
{
    struct kv_list_node to, from;
    struct item a[2], b[3];
    fill(&to, a, 2, 1);
    fill(&from, b, 3, 3);
    kv_list_splice_back(&to, &from);
    ck_assert_int_eq(digits(&to), 12345);
    ck_assert(kv_list_empty(&from));
    kv_list_splice_back(&to, &from);
    ck_assert_int_eq(digits(&to), 12345);
    kv_list_splice_back(&from, &to);
    ck_assert_int_eq(digits(&from), 12345);
    ck_assert(kv_list_empty(&to));
}
END_TEST

KV_SUITE("list", list_is_empty_when_new, list_pushes_at_both_ends,
         list_removes_from_anywhere_and_twice,
         list_walk_survives_removal_of_the_current_node,
         list_splice_moves_everything_behind)
