/* A list behind a lock. It is short, so it is searched from its front. */
#include "httpd/dialects/subscriptions.h"

#include "base/cleanup.h"
#include "base/list.h"

#include <errno.h>
#include <string.h>

struct kv_subscriptions {
    pthread_mutex_t lock;
    struct kv_list_node all; /* lock */
    unsigned count;          /* lock */
};

struct subscription {
    struct kv_list_node node;
    size_t len;
    char key[];
};

struct kv_subscriptions *kv_subscriptions_new(void)
{
    struct kv_subscriptions *subscriptions = calloc(1, sizeof(*subscriptions));
    if (!subscriptions)
        return NULL;
    kv_list_init(&subscriptions->all);
    pthread_mutex_init(&subscriptions->lock, NULL);
    return subscriptions;
}

void kv_subscriptions_free(struct kv_subscriptions *subscriptions)
{
    if (!subscriptions)
        return;
    KV_LIST_FOREACH(it, &subscriptions->all)
    free(KV_CONTAINER_OF(it, struct subscription, node));
    pthread_mutex_destroy(&subscriptions->lock);
    free(subscriptions);
}

static struct subscription *find_locked(struct kv_subscriptions *subscriptions,
                                        const void *key, size_t len)
{
    KV_LIST_FOREACH(it, &subscriptions->all)
    {
        struct subscription *one = KV_CONTAINER_OF(it, struct subscription, node);
        if (one->len == len && memcmp(one->key, key, len) == 0)
            return one;
    }
    return NULL;
}

int kv_subscriptions_add(struct kv_subscriptions *subscriptions, const void *key,
                         size_t len)
{
    KV_SCOPED_LOCK(&subscriptions->lock);
    if (find_locked(subscriptions, key, len))
        return 0;
    if (subscriptions->count == KV_SUBSCRIPTIONS_MAX)
        return -ENOSPC;
    struct subscription *one = malloc(sizeof(*one) + len);
    if (!one)
        return -ENOMEM;
    one->len = len;
    memcpy(one->key, key, len);
    kv_list_push_back(&subscriptions->all, &one->node);
    subscriptions->count++;
    return 0;
}

bool kv_subscriptions_has(struct kv_subscriptions *subscriptions, const void *key,
                          size_t len)
{
    KV_SCOPED_LOCK(&subscriptions->lock);
    return find_locked(subscriptions, key, len) != NULL;
}

bool kv_subscriptions_take(struct kv_subscriptions *subscriptions, const void *key,
                           size_t len)
{
    KV_SCOPED_LOCK(&subscriptions->lock);
    struct subscription *one = find_locked(subscriptions, key, len);
    if (!one)
        return false;
    kv_list_remove(&one->node);
    subscriptions->count--;
    free(one);
    return true;
}

void kv_subscriptions_list(struct kv_subscriptions *subscriptions, struct kv_buf *out)
{
    KV_SCOPED_LOCK(&subscriptions->lock);
    KV_LIST_FOREACH(it, &subscriptions->all)
    {
        const struct subscription *one = KV_CONTAINER_OF(it, struct subscription, node);
        kv_buf_add(out, one->key, one->len);
        kv_buf_addc(out, '\0');
    }
}
