/* The feed: a ring of references to the newest events, and the log behind it.
 *
 * Positions are ordered by (revision, index). `floor` is the position of the newest
 * event that is not in the ring, so a cursor at or behind the floor finds in the ring
 * everything there is, and a cursor before it asks the log. The log is always ahead of
 * the ring (a commit is appended here after it was made), so whatever the log says
 * about positions up to the floor is the whole truth, however far the ring moved on
 * while it was being read; that makes the change-over exact without holding the lock
 * across it.
 *
 * The lock guards all fields. Only the committer changes them (kv_feed_append), so it
 * may read them without the lock. Events are unref'd outside: the last reference may
 * free a large record. */
#include "store/feed.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define RING_MIN 256
#define EVICT_BATCH 128

struct slot {
    struct kv_event *event;
    size_t bytes;
};

struct kv_feed {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    kv_feed_backlog_fn *backlog;
    void *backlog_ctx;
    size_t max_bytes;
    struct slot *ring;
    size_t capacity; /* a power of two */
    size_t head, count;
    size_t bytes;
    struct kv_cursor floor; /* newest event that the ring does not hold */
    struct kv_cursor last;  /* newest event of all */
    uint64_t revision;
};

static int compare(const struct kv_cursor *a, const struct kv_cursor *b)
{
    if (a->revision != b->revision)
        return a->revision < b->revision ? -1 : 1;
    return (a->index > b->index) - (a->index < b->index);
}

/* Behind the last event of a revision nothing of it is left, so a cursor there is the
 * one of kv_cursor_after, which the log serves even when it has dropped that revision.
 */
static struct kv_cursor position(const struct kv_event *event)
{
    if (event->last)
        return kv_cursor_after(event->revision);
    return (struct kv_cursor){event->revision, event->index};
}

static struct slot *slot_at(struct slot *ring, size_t capacity, size_t i)
{
    return &ring[i & (capacity - 1)];
}

static struct kv_event *event_at(const struct kv_feed *feed, size_t i)
{
    return slot_at(feed->ring, feed->capacity, feed->head + i)->event;
}

struct kv_feed *kv_feed_new(uint64_t revision, size_t max_bytes,
                            kv_feed_backlog_fn *backlog, void *backlog_ctx)
{
    struct kv_feed *feed = calloc(1, sizeof(*feed));
    if (!feed)
        return NULL;
    feed->backlog = backlog;
    feed->backlog_ctx = backlog_ctx;
    feed->max_bytes = max_bytes;
    feed->capacity = RING_MIN;
    feed->floor = feed->last = kv_cursor_after(revision);
    feed->revision = revision;
    feed->ring = calloc(RING_MIN, sizeof(struct slot));
    if (!feed->ring)
        goto fail_ring;
    if (pthread_mutex_init(&feed->lock, NULL))
        goto fail_lock;
    if (pthread_cond_init(&feed->moved, NULL))
        goto fail_cond;
    return feed;
fail_cond:
    pthread_mutex_destroy(&feed->lock);
fail_lock:
    free(feed->ring);
fail_ring:
    free(feed);
    return NULL;
}

void kv_feed_free(struct kv_feed *feed)
{
    if (!feed)
        return;
    for (size_t i = 0; i < feed->count; i++)
        kv_event_unref(event_at(feed, i));
    free(feed->ring);
    pthread_cond_destroy(&feed->moved);
    pthread_mutex_destroy(&feed->lock);
    free(feed);
}

/* Drop the oldest event; its reference goes to the caller. */
static struct kv_event *pop_locked(struct kv_feed *feed)
{
    struct slot *slot = slot_at(feed->ring, feed->capacity, feed->head);
    struct kv_event *event = slot->event;
    feed->bytes -= slot->bytes;
    feed->floor = position(event);
    feed->head++;
    feed->count--;
    return event;
}

/* Drop the oldest events until at most max_count and max_bytes are left, but not the
 * last of all when keep_last. In batches, so that readers get in between. */
static void evict(struct kv_feed *feed, size_t max_count, size_t max_bytes,
                  bool keep_last)
{
    struct kv_event *gone[EVICT_BATCH];
    size_t gone_count;
    do {
        gone_count = 0;
        kv_lock(&feed->lock);
        while (gone_count < EVICT_BATCH && feed->count > (keep_last ? 1 : 0) &&
               (feed->count > max_count || feed->bytes > max_bytes))
            gone[gone_count++] = pop_locked(feed);
        kv_unlock(&feed->lock);
        for (size_t i = 0; i < gone_count; i++)
            kv_event_unref(gone[i]);
    } while (gone_count == EVICT_BATCH);
}

/* Make the ring large enough for `more` events, as far as memory allows. */
static void grow(struct kv_feed *feed, size_t more)
{
    size_t capacity = feed->capacity;
    while (capacity - feed->count < more) {
        if (__builtin_mul_overflow(capacity, 2, &capacity))
            return;
    }
    if (capacity == feed->capacity)
        return;
    struct slot *ring = reallocarray(NULL, capacity, sizeof(struct slot));
    if (!ring)
        return;
    for (size_t i = 0; i < feed->count; i++)
        *slot_at(ring, capacity, feed->head + i) =
            *slot_at(feed->ring, feed->capacity, feed->head + i);
    kv_lock(&feed->lock);
    struct slot *old = feed->ring;
    feed->ring = ring;
    feed->capacity = capacity;
    kv_unlock(&feed->lock);
    free(old);
}

static void push_locked(struct kv_feed *feed, struct kv_event *event, size_t bytes)
{
    struct slot *slot = slot_at(feed->ring, feed->capacity, feed->head + feed->count);
    slot->event = kv_event_ref(event);
    slot->bytes = bytes;
    feed->count++;
    feed->bytes += bytes;
}

void kv_feed_append(struct kv_feed *feed, struct kv_event *const *events, size_t count,
                    uint64_t revision)
{
    grow(feed, count);
    size_t skip = 0;
    if (feed->capacity - feed->count < count) {
        /* No memory for a larger ring: the oldest give way, to the point of leaving
         * the first of the new ones to the log. */
        if (count > feed->capacity)
            skip = count - feed->capacity;
        evict(feed, feed->capacity - (count - skip), SIZE_MAX, false);
    }
    kv_lock(&feed->lock);
    if (skip > 0)
        feed->floor = position(events[skip - 1]);
    for (size_t i = skip; i < count; i++)
        push_locked(feed, events[i],
                    kv_event_footprint(events[i]) + sizeof(struct slot));
    if (count > 0)
        feed->last = position(events[count - 1]);
    feed->revision = revision;
    pthread_cond_broadcast(&feed->moved);
    kv_unlock(&feed->lock);
    evict(feed, SIZE_MAX, feed->max_bytes, true);
}

uint64_t kv_feed_revision(struct kv_feed *feed)
{
    KV_SCOPED_LOCK(&feed->lock);
    return feed->revision;
}

/* How many events of the ring are not behind the cursor, which may be one that names
 * the last event of a revision by its index. */
static size_t search_locked(const struct kv_feed *feed, const struct kv_cursor *cursor)
{
    size_t low = 0, high = feed->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const struct kv_event *event = event_at(feed, middle);
        struct kv_cursor at = {event->revision, event->index};
        if (compare(&at, cursor) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static size_t read_ring_locked(struct kv_feed *feed, struct kv_cursor *cursor,
                               struct kv_event **out, size_t max)
{
    size_t first = search_locked(feed, cursor);
    size_t count = feed->count - first < max ? feed->count - first : max;
    for (size_t i = 0; i < count; i++)
        out[i] = kv_event_ref(event_at(feed, first + i));
    if (count > 0)
        *cursor = position(out[count - 1]);
    else if (first == feed->count && compare(cursor, &feed->last) < 0)
        *cursor = feed->last; /* or a wait would end at once, again and again */
    return count;
}

/* Read from the log. It may be ahead of the feed by a commit that is being appended
 * just now: what is newer than `newest` is left for the ring, since a cursor behind it
 * would lie in the future. When the log holds nothing, nothing lies between the cursor
 * and floor, and the cursor moves there. */
static int read_backlog(struct kv_feed *feed, struct kv_cursor *cursor,
                        const struct kv_cursor *floor, uint64_t newest,
                        struct kv_event **out, size_t max, size_t *ret_count)
{
    size_t count = 0;
    int err = feed->backlog(feed->backlog_ctx, cursor, out, max, &count);
    if (err)
        return err;
    while (count > 0 && out[count - 1]->revision > newest)
        kv_event_unref(out[--count]);
    *cursor = count > 0 ? position(out[count - 1]) : *floor;
    *ret_count = count;
    return 0;
}

int kv_feed_read(struct kv_feed *feed, struct kv_cursor *cursor, struct kv_event **out,
                 size_t max, size_t *ret_count)
{
    for (;;) {
        kv_lock(&feed->lock);
        struct kv_cursor floor = feed->floor;
        uint64_t newest = feed->revision;
        bool in_ring = compare(cursor, &floor) >= 0;
        size_t count = 0;
        if (cursor->revision <= newest && in_ring)
            count = read_ring_locked(feed, cursor, out, max);
        kv_unlock(&feed->lock);
        if (cursor->revision > newest)
            return -EINVAL;
        if (!in_ring && max > 0) {
            int err = read_backlog(feed, cursor, &floor, newest, out, max, &count);
            if (err)
                return err;
        }
        if (in_ring || max == 0 || count > 0) {
            *ret_count = count;
            return 0;
        }
    }
}

bool kv_feed_wait(struct kv_feed *feed, const struct kv_cursor *cursor,
                  const atomic_bool *stop)
{
    KV_SCOPED_LOCK(&feed->lock);
    for (;;) {
        if (stop && atomic_load(stop))
            return false;
        if (compare(cursor, &feed->last) < 0)
            return true;
        pthread_cond_wait(&feed->moved, &feed->lock);
    }
}

void kv_feed_kick(struct kv_feed *feed)
{
    /* Under the lock, so that it cannot fall between a waiter's look at stop and its
     * sleep. */
    KV_SCOPED_LOCK(&feed->lock);
    pthread_cond_broadcast(&feed->moved);
}
