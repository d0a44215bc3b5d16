/* The change stream. Each watcher reads the feed by itself, with its own cursor, on its
 * connection's thread; one that has nothing to send suspends its connection and
 * parks with the hub. The hub's thread follows the feed and wakes the parked watchers
 * that an event is for.
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
 * A parked watcher's connection is suspended, so the library cannot end it; whoever
 * takes it out of the lists under the lock owes it one wake, after which it is gone for
 * him. */
#include "httpd/watch.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "httpd/field.h"
#include "httpd/reply.h"
#include "httpd/route.h"
#include "httpd/sse.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <string.h>

#define HEARTBEAT_NS (15 * KV_NS_PER_S)
#define BUCKETS 4096
#define HUB_BATCH 64
/* Parked watchers whose sockets one tick looks at. */
#define PROBE_BATCH 2048
/* What one call of the reader may take before other connections have their turn. */
#define READ_BATCH 16
#define READ_ROUNDS 16
#define READ_BYTES (64 * 1024)
/* A watcher keeps a buffer of this size while it waits. */
#define KEEP_BYTES 1024

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

struct kv_watcher {
    struct kv_hub *hub;
    struct kv_request *request;
    struct kv_filter filter; /* points into text */
    struct kv_buf text;
    bool values;
    bool ended; /* what is in out is the last */
    /* As position: its client closed its side; say something to find out whether it is
     * gone; and be looked at first next time, once. */
    bool half_closed, probe, first;
    struct kv_list_node parked,
        bucket; /* hub->lock; parked: also the hub's wake list */
    /* The reader's; while parked hub->lock guards them. */
    struct kv_position position;
    struct kv_cursor told; /* the position of the last id sent */
    int64_t spoke_ns;      /* monotonic: when the client last heard something */
    struct kv_buf out;
    size_t sent; /* of out */
};

/* -- Positions -- */

/* Behind the last event of a revision and behind the revision are one place; it is
 * always written as the latter, so that positions can be compared. */
static struct kv_position position_of(const struct kv_event *event)
{
    struct kv_position position = {.whole = event->last};
    position.cursor = event->last ? kv_cursor_after(event->revision)
                                  : (struct kv_cursor){event->revision, event->index};
    return position;
}

static bool is_before(const struct kv_cursor *a, const struct kv_cursor *b)
{
    return a->revision != b->revision ? a->revision < b->revision : a->index < b->index;
}

/* -- Parking and waking -- */

static struct kv_list_node *bucket_of(struct kv_hub *hub, const char *text, size_t len)
{
    return &hub->buckets[kv_hash(text, len) % BUCKETS];
}

/* Take it out; the caller owes it a wake. */
static void unpark_locked(struct kv_watcher *watcher, struct kv_list_node *wake)
{
    kv_list_remove(&watcher->bucket);
    kv_list_remove(&watcher->parked);
    kv_list_push_back(wake, &watcher->parked);
}

static void wake_all(struct kv_list_node *wake)
{
    while (!kv_list_empty(wake)) {
        struct kv_watcher *watcher =
            KV_CONTAINER_OF(wake->next, struct kv_watcher, parked);
        kv_list_remove(&watcher->parked);
        kv_request_wake(watcher->request);
    }
}

/* The watcher's connection is suspended and it has read up to its position. */
static void park(struct kv_watcher *watcher)
{
    struct kv_hub *hub = watcher->hub;
    kv_lock(&hub->lock);
    /* Nobody is parked, so the hub may have been idle and is let skip to the present.
     */
    if (kv_list_empty(&hub->parked))
        hub->scanned = kv_cursor_after(kv_feed_revision(hub->feed));
    bool stays = !hub->stopped && !is_before(&watcher->position.cursor, &hub->scanned);
    if (stays) {
        (void)pthread_cond_signal(&hub->wanted);
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
        kv_request_wake(watcher->request);
}

static void move_to_locked(struct kv_watcher *watcher,
                           const struct kv_position *position)
{
    if (is_before(&watcher->position.cursor, &position->cursor))
        watcher->position = *position;
}

/* -- The hub -- */

static void wake_in_locked(struct kv_list_node *list, const struct kv_event *event,
                           const struct kv_position *before, struct kv_list_node *wake)
{
    KV_LIST_FOREACH(it, list)
    {
        struct kv_watcher *watcher = KV_CONTAINER_OF(it, struct kv_watcher, bucket);
        if (!kv_filter_matches(&watcher->filter, event))
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
    struct kv_position after = position_of(events[count - 1]);
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

/* A client that went away while its connection is suspended is noticed by nobody. Look
 * at the sockets of some parked watchers, another batch each time, and let those
 * whose client has closed its side say something: when it is gone for good the answer
 * is a reset, which the next look finds; when it only closed its sending side it
 * goes on reading. poll(2) does not wait here, and the lock is what keeps the
 * descriptors open: their connections are suspended as long as they are parked. */
static void probe_locked(struct kv_hub *hub, struct kv_list_node *wake)
{
    struct kv_watcher *watchers[PROBE_BATCH];
    struct pollfd fds[PROBE_BATCH];
    nfds_t count = 0;
    KV_LIST_FOREACH(it, &hub->parked)
    {
        if (count == PROBE_BATCH)
            break;
        watchers[count] = KV_CONTAINER_OF(it, struct kv_watcher, parked);
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
    int64_t due = kv_clock_monotonic_ns() - HEARTBEAT_NS;
    kv_lock(&hub->lock);
    struct kv_position position = {hub->scanned, hub->scanned.index == UINT32_MAX};
    KV_LIST_FOREACH(it, &hub->parked)
    {
        struct kv_watcher *watcher = KV_CONTAINER_OF(it, struct kv_watcher, parked);
        if (watcher->spoke_ns > due)
            continue;
        move_to_locked(watcher, &position);
        unpark_locked(watcher, &wake);
    }
    probe_locked(hub, &wake);
    kv_unlock(&hub->lock);
    wake_all(&wake);
}

unsigned kv_hub_watchers(struct kv_hub *hub)
{
    return atomic_load(&hub->watches);
}

/* -- A watcher's own reading, on its connection's thread -- */

static void say(struct kv_watcher *watcher, const struct kv_event *event)
{
    watcher->position = position_of(event);
    if (!kv_filter_matches(&watcher->filter, event))
        return;
    kv_sse_event(&watcher->out, event, watcher->values);
    watcher->told = watcher->position.cursor;
    atomic_fetch_add_explicit(&watcher->hub->http->counters.events_sent, 1,
                              memory_order_relaxed);
}

/* The stream cannot go on: tell why and end it. */
static void say_error(struct kv_watcher *watcher, int err)
{
    watcher->ended = true;
    if (err == -ESTALE)
        kv_buf_addf(&watcher->out,
                    "event: compacted\ndata: {\"oldest_revision\":%" PRIu64 "}\n\n",
                    kv_store_oldest_revision(watcher->hub->http->store));
    else
        kv_buf_addf(&watcher->out, "event: failed\ndata: {\"message\":\"%s\"}\n\n",
                    kv_strerror(err));
}

/* Read from the feed into out. True: there may be more, but others must have their
 * turn. */
static bool read_feed(struct kv_watcher *watcher)
{
    for (unsigned round = 0; round < READ_ROUNDS; round++) {
        struct kv_event *events[READ_BATCH];
        size_t count;
        struct kv_cursor cursor = watcher->position.cursor;
        int err = kv_feed_read(watcher->hub->feed, &cursor, events, READ_BATCH, &count);
        /* -EINVAL: it began at a revision that the store has but the feed is only just
         * getting, which is no reason to end. */
        if (err && err != -EINVAL) {
            say_error(watcher, err);
            return false;
        }
        if (err || count == 0) {
            watcher->position.cursor = cursor; /* past what it was asked to begin at */
            watcher->position.whole = cursor.index == UINT32_MAX;
            return false;
        }
        /* Events that do not fit any more are read again: position stands before them.
         */
        for (size_t i = 0; i < count; i++) {
            if (watcher->out.len < READ_BYTES)
                say(watcher, events[i]);
            kv_event_unref(events[i]);
        }
        if (watcher->out.len >= READ_BYTES)
            return true;
    }
    return true;
}

/* A sign of life, and how far the stream has got, so that one whose filter matches
 * little resumes from near the present and not from a revision long compacted. */
static void say_heartbeat(struct kv_watcher *watcher)
{
    kv_buf_adds(&watcher->out, ": keep-alive\n");
    if (is_before(&watcher->told, &watcher->position.cursor)) {
        kv_buf_adds(&watcher->out, "event: progress\n");
        kv_sse_id(&watcher->out, &watcher->position);
        watcher->told = watcher->position.cursor;
    }
    kv_buf_addc(&watcher->out, '\n');
}

static ssize_t take_out(struct kv_watcher *watcher, char *buf, size_t max)
{
    size_t len = watcher->out.len - watcher->sent;
    if (len > max)
        len = max;
    memcpy(buf, watcher->out.data + watcher->sent, len);
    watcher->sent += len;
    if (watcher->sent == watcher->out.len) {
        watcher->sent = 0;
        kv_buf_reset(&watcher->out);
        if (watcher->out.cap > KEEP_BYTES)
            kv_buf_done(&watcher->out);
    }
    return (ssize_t)len;
}

/* MHD_ContentReaderCallback. Returning 0 without having suspended would make the
 * library call again and again. */
static ssize_t read_stream(void *cls, uint64_t pos, char *buf, size_t max)
{
    struct kv_watcher *watcher = cls;
    bool more = false;
    (void)pos;
    if (watcher->out.len == 0) {
        if (watcher->ended || kv_drain_is_closed(&watcher->hub->http->drain))
            return MHD_CONTENT_READER_END_OF_STREAM;
        more = read_feed(watcher);
        int64_t now = kv_clock_monotonic_ns();
        bool quiet = watcher->out.len == 0 && !more;
        if (quiet && (watcher->probe || now - watcher->spoke_ns >= HEARTBEAT_NS))
            say_heartbeat(watcher);
        watcher->probe = false;
        if (watcher->out.len > 0)
            watcher->spoke_ns = now;
    }
    if (watcher->out.failed)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (watcher->out.len > 0)
        return take_out(watcher, buf, max);
    if (!kv_request_sleep(watcher->request, NULL))
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (more)
        kv_request_wake(watcher->request); /* to the end of the queue */
    else
        park(watcher);
    return 0;
}

/* -- Opening -- */

/* One of key=, dir=, prefix=, or none of them for everything. */
static bool parse_filter(struct kv_request *request, struct kv_filter *ret)
{
    static const struct {
        const char *name;
        enum kv_filter_kind kind;
    } kinds[] = {
        {"key", KV_FILTER_KEY}, {"dir", KV_FILTER_DIR}, {"prefix", KV_FILTER_PREFIX}};
    *ret = (struct kv_filter){.kind = KV_FILTER_DIR, .text = ""};
    unsigned given = 0;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        const struct kv_param *param = kv_uri_param(&request->uri, kinds[i].name);
        if (!param)
            continue;
        given++;
        *ret = (struct kv_filter){kinds[i].kind, param->value, param->value_len};
    }
    if (given > 1) {
        kv_reply_invalid_param(request, "key, dir, prefix", "only one of them");
        return false;
    }
    if (ret->kind == KV_FILTER_DIR && ret->len > 1 && ret->text[ret->len - 1] == '/')
        ret->len--;
    if ((ret->kind == KV_FILTER_KEY || (ret->kind == KV_FILTER_DIR && ret->len > 0)) &&
        kv_key_check(ret->text, ret->len) != KV_KEY_VALID) {
        kv_reply_invalid_key(request, ret->text, ret->len);
        return false;
    }
    return true;
}

/* Where to begin: Last-Event-ID, since=, or now. A browser that reconnects sends the
 * former and repeats the latter, so the former wins. */
static bool parse_since(struct kv_request *request, struct kv_position *ret)
{
    struct kv_store *store = request->http->store;
    const struct kv_field *last_id = &request->headers.last_event_id;
    const struct kv_param *since = kv_uri_param(&request->uri, "since");
    uint64_t now = kv_store_revision(store), oldest = kv_store_oldest_revision(store);
    ret->cursor = kv_cursor_after(now);
    ret->whole = true;
    if (!last_id->len && !since)
        return true;
    const char *name = last_id->len ? "Last-Event-ID" : "since";
    if (kv_position_parse(last_id->len ? last_id->text : since->value,
                          last_id->len ? last_id->len : since->value_len,
                          &ret->cursor.revision, &ret->cursor.index)) {
        kv_reply_invalid_param(request, name,
                               "must be a revision, or an id of the stream");
        return false;
    }
    ret->whole = ret->cursor.index == UINT32_MAX;
    if (ret->cursor.revision > now) {
        kv_reply_error(request, 400, "invalid_parameter", NULL, 0,
                       "%s: lies in the future; the revision is %" PRIu64, name, now);
        return false;
    }
    if (ret->cursor.revision + ret->whole < oldest) {
        kv_reply_compacted(request, oldest);
        return false;
    }
    return true;
}

static struct kv_watcher *new_watcher(struct kv_request *request,
                                      const struct kv_filter *filter,
                                      const struct kv_position *position, bool values)
{
    struct kv_watcher *watcher = calloc(1, sizeof(*watcher));
    if (!watcher)
        return NULL;
    watcher->hub = request->http->hub;
    watcher->request = request;
    watcher->values = values;
    watcher->position = *position;
    watcher->told = position->cursor;
    watcher->spoke_ns = kv_clock_monotonic_ns();
    kv_list_init(&watcher->parked);
    kv_list_init(&watcher->bucket);
    kv_buf_add(&watcher->text, filter->text, filter->len);
    watcher->filter = (struct kv_filter){
        filter->kind, watcher->text.data ? watcher->text.data : "", filter->len};
    kv_buf_addf(&watcher->out, ": kvfs %" PRIu64 "\n\n",
                kv_store_revision(request->http->store));
    atomic_fetch_add(&watcher->hub->watches, 1);
    if (watcher->text.failed || watcher->out.failed) {
        kv_watcher_free(watcher);
        return NULL;
    }
    return watcher;
}

void kv_watcher_free(struct kv_watcher *watcher)
{
    if (!watcher)
        return;
    atomic_fetch_sub(&watcher->hub->watches, 1);
    kv_buf_done(&watcher->text);
    kv_buf_done(&watcher->out);
    free(watcher);
}

void kv_watch_get(struct kv_request *request)
{
    struct kv_filter filter;
    struct kv_position position;
    const struct kv_param *param = kv_uri_param(&request->uri, "values");
    bool values = true;
    if (!parse_filter(request, &filter) || !parse_since(request, &position))
        return;
    if (param && kv_bool_parse(param->value, param->value_len, &values)) {
        kv_reply_invalid_param(request, "values", "must be 0 or 1");
        return;
    }
    if (kv_hub_watchers(request->http->hub) >= request->http->hub->max_watches) {
        kv_reply_error(request, 503, "too_many_watches", NULL, 0,
                       "there are %u open watches, which is the limit",
                       request->http->hub->max_watches);
        return;
    }
    request->watcher = new_watcher(request, &filter, &position, values);
    if (!request->watcher) {
        kv_reply_errno(request, -ENOMEM, NULL, 0);
        return;
    }
    kv_reply(request, 200,
             MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, KEEP_BYTES,
                                               read_stream, request->watcher, NULL));
    kv_reply_header(request, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
    kv_reply_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    kv_reply_header(request, "X-Accel-Buffering", "no");
}
