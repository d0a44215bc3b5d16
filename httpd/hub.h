#ifndef KV_HTTPD_HUB_H
#define KV_HTTPD_HUB_H

/* The hub: one thread that follows the feed and wakes the watchers that an event is
 * for. What it shares with a watcher's own reading (watch.c). */

#include "httpd/request.h"
#include "httpd/sse.h"

/* Without an event the client hears something after so long. */
#define KV_WATCH_HEARTBEAT_NS INT64_C(15000000000)

struct kv_watcher {
    struct kv_hub *hub;
    struct kv_request *request;
    struct kv_filter filter; /* points into text */
    struct kv_buf text;
    bool counted; /* kv_hub_enter said yes */
    enum kv_sse_values values;
    bool previous; /* with what each key was before */
    bool ended; /* what is in out is the last */
    /* As position: its client closed its side; say something to find out whether it is
     * gone; and be looked at first next time, once. */
    bool half_closed, probe, first;
    /* hub->lock; parked: also the hub's wake list */
    struct kv_list_node parked, bucket;
    /* The reader's; while parked hub->lock guards them. */
    struct kv_position position;
    struct kv_cursor told; /* the position of the last id sent */
    int64_t spoke_ns;      /* monotonic: when the client last heard something */
    int64_t until_ns;      /* monotonic: a poll's end; 0: a stream, which has none */
    void (*answer)(struct kv_request *request); /* a poll's, when the key changed */
    struct kv_buf out;
    size_t sent;  /* of out */
    size_t taken; /* of http->answers, for out */
};

/* Count a watcher; false: there are as many as allowed. */
bool kv_hub_enter(struct kv_hub *hub);
void kv_hub_leave(struct kv_hub *hub);
unsigned kv_hub_max(struct kv_hub *hub);

/* The watcher's connection is suspended, and it has read up to its position: wake it
 * when there is something for it, perhaps at once. It is the hub's until then. */
void kv_hub_park(struct kv_watcher *watcher);

#endif
