/* The hub. Each watcher reads the feed by itself, with its own cursor, on its
 * connection's thread or the pump's; one that has nothing to send suspends its
 * connection, if the library has that, and parks with the hub. The hub's thread follows
 * the feed and wakes the parked watchers that an event is for.
 *
 * No wakeup is lost. hub->scanned is how far the hub has got, and this holds under
 * hub->lock: every parked watcher has been tested against every event between its own
 * position and scanned, and none was for it. Parking keeps it true: a watcher whose
 * position is before scanned does not park but is woken at once and reads on; one at or
 * behind it has nothing to be tested against yet. Advancing keeps it true: the hub
 * tests a batch against all that are parked and moves scanned in one critical section.
 * So an event finds its watcher either parked and tested, or not parked yet, and then
 * the watcher finds scanned ahead of it. It also follows that a parked watcher may be
 * moved to scanned for nothing, so one that sleeps long does not read the past again.
 *
 * The hub finds the watchers of an event by hash: those of a key or directory stand in
 * the bucket of that text, so an event asks for its key and each directory above it.
 *
 * A parked watcher's connection is suspended or the pump's, so the library cannot end
 * it; whoever takes it out of the lists under the lock owes it one wake, after which it
 * is gone for him. */
#include "httpd/hub.h"

#include "base/hash.h"
#include "base/clock.h"
#include "base/log.h"
#include "httpd/watch.h"

#include <poll.h>

#define BUCKETS 4096
#define HUB_BATCH 64
/* Parked watchers whose sockets one tick looks at. */
#define PROBE_BATCH 2048

struct kv_hub {
    struct kv_http *http;
    struct kv_feed *feed;
    unsigned max_watches;
    atomic_uint watches; /* open, parked or not */
    atomic_bool stop;
    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t wanted;                /* somebody parked, or stop */
    bool stopped;                         /* lock: nobody parks any more */
    struct kv_cursor scanned;             /* lock */
    struct kv_list_node parked;           /* lock: all of them */
    struct kv_list_node buckets[BUCKETS]; /* lock: by key or directory */
    struct kv_list_node prefixes;         /* lock: those with a prefix */
};

/* -- Parking and waking -- */

static struct kv_list_node *bucket_of(struct kv_hub *hub, const char *text, size_t len)
{
    return &hub->buckets[kv_hash(text, len) % BUCKETS];
}

static void take_out_locked(struct kv_watcher *watcher)
{
    kv_list_remove(&watcher->bucket);
    kv_list_remove(&watcher->parked);
    watcher->is_parked = false;
}

/* Take it out; the caller owes it a wake. */
static void unpark_locked(struct kv_watcher *watcher, struct kv_list_node *wake)
{
    take_out_locked(watcher);
    kv_list_push_back(wake, &watcher->parked);
}

static void wake_all(struct kv_list_node *wake)
{
    while (!kv_list_empty(wake)) {
        struct kv_watcher *watcher =
            KV_CONTAINER_OF(wake->next, struct kv_watcher, parked);
        kv_list_remove(&watcher->parked);
        watcher->wake(watcher);
    }
}

void kv_hub_park(struct kv_watcher *watcher)
{
    struct kv_hub *hub = watcher->hub;
    kv_lock(&hub->lock);
    /* Nobody is parked, so the hub may have been idle and is let skip to the present.
     */
    if (kv_list_empty(&hub->parked))
        hub->scanned = kv_cursor_after(kv_feed_revision(hub->feed));
    bool stays = !hub->stopped && !watcher->roused &&
                 !kv_cursor_is_before(&watcher->position.cursor, &hub->scanned);
    watcher->roused = false;
    if (stays) {
        (void)pthread_cond_signal(&hub->wanted);
        watcher->is_parked = true;
        if (watcher->first)
            kv_list_push_front(&hub->parked, &watcher->parked);
        else
            kv_list_push_back(&hub->parked, &watcher->parked);
        watcher->first = false;
        kv_list_push_back(
            watcher->filter.kind == KV_FILTER_PREFIX
                ? &hub->prefixes
                : bucket_of(hub, watcher->filter.text, watcher->filter.len),
            &watcher->bucket);
    }
    kv_unlock(&hub->lock);
    if (!stays)
        watcher->wake(watcher);
}

bool kv_hub_unpark(struct kv_watcher *watcher)
{
    KV_SCOPED_LOCK(&watcher->hub->lock);
    bool was_parked = watcher->is_parked;
    if (was_parked)
        take_out_locked(watcher);
    return was_parked;
}

bool kv_hub_rouse(struct kv_watcher *watcher)
{
    KV_SCOPED_LOCK(&watcher->hub->lock);
    bool was_parked = watcher->is_parked;
    if (was_parked)
        take_out_locked(watcher);
    else
        watcher->roused = true;
    return was_parked;
}

static void move_to_locked(struct kv_watcher *watcher,
                           const struct kv_position *position)
{
    if (kv_cursor_is_before(&watcher->position.cursor, &position->cursor))
        watcher->position = *position;
}

/* -- The hub -- */

static void wake_in_locked(struct kv_list_node *list, const struct kv_event *event,
                           const struct kv_position *before, struct kv_list_node *wake)
{
    KV_LIST_FOREACH(it, list)
    {
        struct kv_watcher *watcher = KV_CONTAINER_OF(it, struct kv_watcher, bucket);
        if (!kv_watcher_sees(watcher, event))
            continue;
        move_to_locked(watcher, before);
        unpark_locked(watcher, wake);
    }
}

/* The watchers of a key, of each directory above it, and of the root. */
static void wake_path_locked(struct kv_hub *hub, const char *key, size_t len,
                             const struct kv_event *event,
                             const struct kv_position *before,
                             struct kv_list_node *wake)
{
    for (;;) {
        wake_in_locked(bucket_of(hub, key, len), event, before, wake);
        if (len == 0)
            return;
        len = kv_key_parent_len(key, len);
    }
}

static void test_locked(struct kv_hub *hub, const struct kv_event *event,
                        const struct kv_position *before, struct kv_list_node *wake)
{
    if (kv_list_empty(&hub->parked))
        return;
    wake_path_locked(hub, event->record->key, event->record->key_len, event, before,
                     wake);
    if (event->from)
        wake_path_locked(hub, event->from, event->from_len, event, before, wake);
    wake_in_locked(&hub->prefixes, event, before, wake);
}

static void scan(struct kv_hub *hub, struct kv_event *const *events, size_t count)
{
    struct kv_list_node wake;
    kv_list_init(&wake);
    struct kv_position after = kv_position_of(events[count - 1]);
    kv_lock(&hub->lock);
    struct kv_position before = {hub->scanned, hub->scanned.index == UINT32_MAX};
    for (size_t i = 0; i < count; i++)
        test_locked(hub, events[i], &before, &wake);
    hub->scanned = after.cursor;
    kv_unlock(&hub->lock);
    wake_all(&wake);
}

/* The feed cannot be read from where the hub stands: leave it to the watchers, which
 * find out each for itself what became of its own position. */
static void skip_ahead(struct kv_hub *hub)
{
    struct kv_list_node wake;
    kv_list_init(&wake);
    kv_lock(&hub->lock);
    KV_LIST_FOREACH(it, &hub->parked)
    unpark_locked(KV_CONTAINER_OF(it, struct kv_watcher, parked), &wake);
    hub->scanned = kv_cursor_after(kv_feed_revision(hub->feed));
    kv_unlock(&hub->lock);
    wake_all(&wake);
}

/* Wait until somebody is parked, so that writes wake no hub that nobody needs. */
static struct kv_cursor wait_wanted(struct kv_hub *hub)
{
    KV_SCOPED_LOCK(&hub->lock);
    while (kv_list_empty(&hub->parked) && !atomic_load(&hub->stop))
        (void)pthread_cond_wait(&hub->wanted, &hub->lock);
    return hub->scanned;
}

static void *hub_main(void *arg)
{
    struct kv_hub *hub = arg;
    for (;;) {
        struct kv_cursor cursor = wait_wanted(hub);
        if (!kv_feed_wait(hub->feed, &cursor, &hub->stop))
            return NULL;
        struct kv_event *events[HUB_BATCH];
        size_t count;
        int err = kv_feed_read(hub->feed, &cursor, events, HUB_BATCH, &count);
        if (err) {
            kv_warning("the watch hub cannot read the feed: %s", kv_strerror(err));
            skip_ahead(hub);
            continue;
        }
        if (count > 0)
            scan(hub, events, count);
        for (size_t i = 0; i < count; i++)
            kv_event_unref(events[i]);
    }
}

struct kv_hub *kv_hub_new(struct kv_http *http, unsigned max_watches)
{
    struct kv_hub *hub = calloc(1, sizeof(*hub));
    if (!hub)
        return NULL;
    hub->http = http;
    hub->feed = kv_store_feed(http->store);
    hub->max_watches = max_watches;
    hub->scanned = kv_cursor_after(kv_feed_revision(hub->feed));
    kv_list_init(&hub->parked);
    kv_list_init(&hub->prefixes);
    for (size_t i = 0; i < BUCKETS; i++)
        kv_list_init(&hub->buckets[i]);
    pthread_mutex_init(&hub->lock, NULL);
    pthread_cond_init(&hub->wanted, NULL);
    return hub;
}

int kv_hub_start(struct kv_hub *hub)
{
    int err = pthread_create(&hub->thread, NULL, hub_main, hub);
    if (err)
        return -err;
    hub->started = true;
    (void)pthread_setname_np(hub->thread, "kv-http-watch");
    return 0;
}

void kv_hub_stop(struct kv_hub *hub)
{
    struct kv_list_node wake;
    kv_list_init(&wake);
    kv_lock(&hub->lock);
    atomic_store(&hub->stop, true);
    (void)pthread_cond_signal(&hub->wanted);
    kv_unlock(&hub->lock);
    kv_feed_kick(hub->feed);
    if (hub->started)
        (void)pthread_join(hub->thread, NULL);
    hub->started = false;
    kv_lock(&hub->lock);
    hub->stopped = true;
    KV_LIST_FOREACH(it, &hub->parked)
    unpark_locked(KV_CONTAINER_OF(it, struct kv_watcher, parked), &wake);
    kv_unlock(&hub->lock);
    wake_all(&wake);
}

void kv_hub_free(struct kv_hub *hub)
{
    if (!hub)
        return;
    assert(atomic_load(&hub->watches) == 0);
    pthread_cond_destroy(&hub->wanted);
    pthread_mutex_destroy(&hub->lock);
    free(hub);
}

/* A client that went away while its connection is suspended is noticed by nobody (the
 * pump sees to its own). Look at the sockets of some parked watchers, another batch
 * each time, and let those whose client has closed its side say something: when it is
 * gone for good the answer is a reset, which the next look finds; when it only closed
 * its sending side it goes on reading. poll(2) does not wait here, and the lock is what
 * keeps the descriptors open: their connections are suspended as long as they are
 * parked. */
static void probe_locked(struct kv_hub *hub, struct kv_list_node *wake)
{
    struct kv_watcher *watchers[PROBE_BATCH];
    struct pollfd fds[PROBE_BATCH];
    nfds_t count = 0;
    KV_LIST_FOREACH(it, &hub->parked)
    {
        struct kv_watcher *watcher = KV_CONTAINER_OF(it, struct kv_watcher, parked);
        if (count == PROBE_BATCH)
            break;
        if (watcher->socket)
            continue;
        watchers[count] = watcher;
        fds[count] = (struct pollfd){kv_request_conn(watchers[count]->request)->fd,
                                     POLLRDHUP, 0};
        count++;
    }
    if (count == 0 || poll(fds, count, 0) < 0)
        return;
    for (nfds_t i = 0; i < count; i++) {
        kv_list_remove(&watchers[i]->parked);
        kv_list_push_back(&hub->parked, &watchers[i]->parked);
        if (!(fds[i].revents & (POLLRDHUP | POLLHUP | POLLERR)))
            continue;
        watchers[i]->probe = true;
        watchers[i]->first = !watchers[i]->half_closed;
        watchers[i]->half_closed = true;
        unpark_locked(watchers[i], wake);
    }
}

void kv_hub_tick(struct kv_hub *hub)
{
    struct kv_list_node wake;
    kv_list_init(&wake);
    int64_t now_ns = kv_clock_monotonic_ns();
    kv_lock(&hub->lock);
    struct kv_position position = {hub->scanned, hub->scanned.index == UINT32_MAX};
    KV_LIST_FOREACH(it, &hub->parked)
    {
        struct kv_watcher *watcher = KV_CONTAINER_OF(it, struct kv_watcher, parked);
        int64_t due_ns = watcher->until_ns ? watcher->until_ns
                                           : watcher->spoke_ns + KV_WATCH_HEARTBEAT_NS;
        if (due_ns > now_ns)
            continue;
        move_to_locked(watcher, &position);
        unpark_locked(watcher, &wake);
    }
    probe_locked(hub, &wake);
    kv_unlock(&hub->lock);
    wake_all(&wake);
}

bool kv_hub_enter(struct kv_hub *hub)
{
    if (atomic_fetch_add(&hub->watches, 1) < hub->max_watches)
        return true;
    kv_hub_leave(hub);
    return false;
}

void kv_hub_leave(struct kv_hub *hub)
{
    atomic_fetch_sub(&hub->watches, 1);
}

unsigned kv_hub_max(struct kv_hub *hub)
{
    return hub->max_watches;
}

unsigned kv_hub_watchers(struct kv_hub *hub)
{
    return atomic_load(&hub->watches);
}
