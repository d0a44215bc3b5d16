/* A list under a lock, which is a leaf: done and wake are called without it. */
#include "mountqueue.h"

#include "base/cleanup.h"

#include <errno.h>

void kv_mountqueue_init(struct kv_mountqueue *queue, void (*wake)(void *ctx),
                        void *wake_ctx)
{
    *queue = (struct kv_mountqueue){.wake = wake, .wake_ctx = wake_ctx};
    pthread_mutex_init(&queue->lock, NULL);
    kv_list_init(&queue->waiting);
}

static void refuse(struct kv_mounting *mounting)
{
    mounting->error = -ESHUTDOWN;
    mounting->done(mounting);
}

void kv_mountqueue_put(void *ctx, struct kv_mounting *mounting)
{
    struct kv_mountqueue *queue = ctx;
    kv_lock(&queue->lock);
    bool closed = queue->closed;
    if (!closed)
        kv_list_push_back(&queue->waiting, &mounting->node);
    kv_unlock(&queue->lock);
    if (closed)
        refuse(mounting);
    else
        queue->wake(queue->wake_ctx);
}

struct kv_mounting *kv_mountqueue_take(struct kv_mountqueue *queue)
{
    KV_SCOPED_LOCK(&queue->lock);
    if (kv_list_empty(&queue->waiting))
        return NULL;
    struct kv_list_node *first = queue->waiting.next;
    kv_list_remove(first);
    return KV_CONTAINER_OF(first, struct kv_mounting, node);
}

void kv_mountqueue_close(struct kv_mountqueue *queue)
{
    struct kv_mounting *mounting;
    kv_lock(&queue->lock);
    queue->closed = true;
    kv_unlock(&queue->lock);
    while ((mounting = kv_mountqueue_take(queue)))
        refuse(mounting);
}
