#ifndef KV_HTTPD_HUB_H
#define KV_HTTPD_HUB_H

/* The hub: one thread that follows the feed and wakes the watchers that an event is
 * for. What it shares with whoever reads for a watcher (stream.h, longpoll.c). */

#include "httpd/request.h"
#include "httpd/sse.h"

/* Without an event the client hears something after so long. */
#define KV_WATCH_HEARTBEAT_NS INT64_C(15000000000)

struct kv_framing;
struct kv_socket;

struct kv_watcher {
    struct kv_hub *hub;
    struct kv_request *request;
    /* How the hub hands it back, on the hub's or the ticker's thread and under no lock;
     * what is not the hub's any more may be gone when this returns. */
    void (*wake)(struct kv_watcher *watcher);
    const struct kv_framing *framing; /* of a stream */
    struct kv_socket *socket;         /* of a WebSocket: the pump's (pump.c) */
    struct kv_filter filter;          /* points into text */
    struct kv_buf text;
    bool counted; /* kv_hub_enter said yes */
    enum kv_sse_values values;
    bool previous; /* with what each key was before */
    int ended;     /* what is in out is the last, because of this error */
    /* As position: its client closed its side; say something to find out whether it is
     * gone; and be looked at first next time, once. */
    bool half_closed, probe, first;
    /* hub->lock; parked: also the hub's wake list */
    struct kv_list_node parked, bucket;
    bool is_parked;
    bool roused; /* it must not park before it has looked around again */
    /* The reader's; while parked hub->lock guards them. */
    struct kv_position position;
    int64_t spoke_ns; /* monotonic: when the client last heard something */
    int64_t until_ns; /* monotonic: a poll's end; 0: a stream, which has none */
    /* The reader's. */
    struct kv_cursor told;                      /* the position of the last id sent */
    void (*answer)(struct kv_request *request); /* a poll's, when the key changed */
    struct kv_buf out;
    size_t sent;  /* of out */
    size_t taken; /* of http->answers, for out */
};

/* Whether an event is one that was asked for. */
static inline bool kv_watcher_sees(const struct kv_watcher *watcher,
                                   const struct kv_event *event)
{
    return kv_filter_matches(&watcher->filter, event);
}

/* Count a watcher; false: there are as many as allowed. */
bool kv_hub_enter(struct kv_hub *hub);
void kv_hub_leave(struct kv_hub *hub);
unsigned kv_hub_max(struct kv_hub *hub);

/* The watcher has read up to its position, and nobody else uses it now: its connection
 * is suspended, or it has a socket. Wake it when there is something for it, perhaps at
 * once. It is the hub's until then. */
void kv_hub_park(struct kv_watcher *watcher);

/* Take it back before that, for good. False: it was not parked, or its wake is on the
 * way. For watchers that have a socket. */
bool kv_hub_unpark(struct kv_watcher *watcher);

/* There is something for the watcher besides events. True: it was parked, and the
 * caller owes it a wake. False: it is awake or about to be, and the
 * next kv_hub_park will wake it at once. The caller sees to it that the watcher lives.
 */
bool kv_hub_rouse(struct kv_watcher *watcher);

#endif
