#ifndef KV_BASE_LIST_H
#define KV_BASE_LIST_H

/* Intrusive doubly linked list: a node lives in the object it links. A head is a node
 * that is in no object. Not thread-safe: the owner's lock guards it. */

#include <stdbool.h>
#include <stddef.h>

struct kv_list_node {
    struct kv_list_node *prev, *next;
};

#define KV_CONTAINER_OF(ptr, type, member)                                               \
    ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Walk a list; the current node may be removed inside the body. */
#define KV_LIST_FOREACH(it, head)                                                        \
    for (struct kv_list_node *it = (head)->next, *it##_next = it->next; it != (head);    \
         it = it##_next, it##_next = it->next)

static inline void kv_list_init(struct kv_list_node *head)
{
    head->prev = head->next = head;
}

static inline bool kv_list_empty(const struct kv_list_node *head)
{
    return head->next == head;
}

static inline void kv_list_insert_between(struct kv_list_node *prev,
                                          struct kv_list_node *next,
                                          struct kv_list_node *node)
{
    node->prev = prev;
    node->next = next;
    prev->next = node;
    next->prev = node;
}

static inline void kv_list_push_front(struct kv_list_node *head,
                                      struct kv_list_node *node)
{
    kv_list_insert_between(head, head->next, node);
}

static inline void kv_list_push_back(struct kv_list_node *head,
                                     struct kv_list_node *node)
{
    kv_list_insert_between(head->prev, head, node);
}

/* The node is left linked to itself, so removing it again does nothing. */
static inline void kv_list_remove(struct kv_list_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    kv_list_init(node);
}

/* Move every node of from to the end of to. */
static inline void kv_list_splice_back(struct kv_list_node *to,
                                       struct kv_list_node *from)
{
    if (kv_list_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    kv_list_init(from);
}

#endif
