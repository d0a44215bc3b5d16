#ifndef KV_MOUNTQUEUE_H
#define KV_MOUNTQUEUE_H

/* What /v1/mounts asks for, on its way from the threads of HTTP to the main thread,
 * which alone mounts and unmounts. Zeroed members and an init; one for a process. */

#include "httpd/server.h"

#include <pthread.h>

struct kv_mountqueue {
    pthread_mutex_t lock;
    struct kv_list_node waiting; /* lock: of struct kv_mounting */
    bool closed;                 /* lock */
    void (*wake)(void *ctx);     /* the main thread has something to take */
    void *wake_ctx;
};

void kv_mountqueue_init(struct kv_mountqueue *queue, void (*wake)(void *ctx),
                        void *wake_ctx);

/* Put one in; when the queue is closed it is done at once, with -ESHUTDOWN. queue is a
 * struct kv_mountqueue *. Any thread. */
void kv_mountqueue_put(void *queue, struct kv_mounting *mounting);

/* The one that waits longest, or NULL. Whoever takes it calls its done. */
struct kv_mounting *kv_mountqueue_take(struct kv_mountqueue *queue);

/* From now on nobody waits; those that do are done, with -ESHUTDOWN. */
void kv_mountqueue_close(struct kv_mountqueue *queue);

#endif
