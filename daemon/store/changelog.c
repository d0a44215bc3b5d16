/* Events as bytes: a fixed head, then the old name of a rename, the key, the
 * attributes, and the value unless the record is bare. The key of the table is the
 * revision and the index, big-endian, so that byte order is revision order and
 * appending is cheap. */
#include "store/changelog.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

/* How far the search for a previous value goes: events of its revision, and events that
 * changed other things than the value. */
#define PREVIOUS_SCAN_MAX 1024
#define PREVIOUS_HOPS_MAX 8

struct packed_position {
    uint64_t revision;
    uint32_t index;
} __attribute__((packed));

enum {
    FLAG_LAST = 1 << 0,
    FLAG_CREATED = 1 << 1,
    FLAG_IMPLIED = 1 << 2,
    FLAG_BARE = 1 << 3,
    FLAG_EXCHANGED = 1 << 4,
    FLAG_PREVIOUS = 1 << 5, /* prev_revision stands behind the value, little-endian */
};

struct packed_event {
    uint8_t type;
    uint8_t flags;
    uint16_t key_len, from_len;
    uint32_t origin;
    uint32_t xattrs_len;
    int64_t time_ns;
    uint64_t parent_id, from_parent_id, replaced_id;
    struct kv_packed_meta meta;
    /* from, key, xattrs, value */
} __attribute__((packed));

static struct packed_position pack_position(uint64_t revision, uint32_t index)
{
    return (struct packed_position){htobe64(revision), htobe32(index)};
}

static struct kv_cursor unpack_position(struct kv_slice key)
{
    struct packed_position packed = {0};
    memcpy(&packed, key.data, key.len < sizeof(packed) ? key.len : sizeof(packed));
    return (struct kv_cursor){be64toh(packed.revision), be32toh(packed.index)};
}

static uint8_t flags_of(const struct kv_event *event)
{
    return (uint8_t)((event->last ? FLAG_LAST : 0) |
                     (event->created ? FLAG_CREATED : 0) |
                     (event->implied ? FLAG_IMPLIED : 0) |
                     (event->exchanged ? FLAG_EXCHANGED : 0) |
                     (event->prev_revision ? FLAG_PREVIOUS : 0) |
                     (event->record->bare ? FLAG_BARE : 0));
}

static char *put_bytes(char *out, const void *data, size_t len)
{
    return len ? (char *)memcpy(out, data, len) + len : out;
}

int kv_changelog_append(struct kv_view *view, const struct kv_event *event,
                        struct kv_counters *counters)
{
    const struct kv_record *record = event->record;
    struct packed_event head = {
        .type = (uint8_t)event->type,
        .flags = flags_of(event),
        .key_len = (uint16_t)record->key_len,
        .from_len = (uint16_t)event->from_len,
        .origin = event->origin,
        .xattrs_len = record->xattrs_len,
        .time_ns = event->time_ns,
        .parent_id = event->parent_id,
        .from_parent_id = event->from_parent_id,
        .replaced_id = event->replaced_id,
        .meta = kv_meta_pack(&record->meta),
    };
    struct packed_position at = pack_position(event->revision, event->index);
    size_t value_len = record->bare ? 0 : record->meta.size;
    uint64_t previous = htole64(event->prev_revision);
    size_t previous_len = event->prev_revision ? sizeof(previous) : 0;
    size_t size = sizeof(head) + event->from_len + record->key_len +
                  record->xattrs_len + value_len + previous_len;
    void *place;
    int err =
        kv_view_put(view, KV_DB_LOG, (struct kv_slice){&at, sizeof(at)}, size, &place);
    if (err)
        return err;
    char *out = put_bytes(place, &head, sizeof(head));
    out = put_bytes(out, event->from, event->from_len);
    out = put_bytes(out, record->key, record->key_len);
    out = put_bytes(out, record->xattrs, record->xattrs_len);
    out = put_bytes(out, record->value, value_len);
    put_bytes(out, &previous, previous_len);
    counters->log_bytes += sizeof(at) + size;
    counters->log_events++;
    return 0;
}

int kv_changelog_trim(struct kv_view *view, struct kv_counters *counters,
                      uint64_t max_bytes, uint64_t max_events, size_t most)
{
    if (counters->log_bytes <= max_bytes && counters->log_events <= max_events)
        return 0;
    KV_CLEANUP(kv_walk_closep) struct kv_walk *walk = NULL;
    int err = kv_walk_open(view, KV_DB_LOG, &walk);
    /* What was trimmed before is not looked at; of one revision more a part may be
     * left.
     */
    struct packed_position from = pack_position(counters->log_first - 1, 0);
    struct kv_slice key, value;
    if (!err)
        err = kv_walk_seek(walk, (struct kv_slice){&from, sizeof(from)}, &key, &value);
    while (!err && most-- > 0 &&
           (counters->log_bytes > max_bytes || counters->log_events > max_events)) {
        /* A revision that lost one event no longer counts as held. */
        counters->log_first = unpack_position(key).revision + 1;
        counters->log_bytes -= key.len + value.len;
        counters->log_events--;
        err = kv_walk_delete(walk);
        if (!err)
            err = kv_walk_next(walk, &key, &value);
    }
    return err == -ENOENT ? 0 : err;
}

static int decode_event(struct kv_slice key, struct kv_slice value,
                        struct kv_event **ret)
{
    struct packed_event head;
    if (key.len != sizeof(struct packed_position) || value.len < sizeof(head))
        return -EBADMSG;
    memcpy(&head, value.data, sizeof(head));
    const char *from = (const char *)value.data + sizeof(head);
    size_t texts = (size_t)head.from_len + head.key_len + head.xattrs_len;
    bool bare = head.flags & FLAG_BARE;
    uint64_t previous = 0;
    size_t previous_len = head.flags & FLAG_PREVIOUS ? sizeof(previous) : 0;
    if (value.len - sizeof(head) < texts + previous_len)
        return -EBADMSG;
    size_t value_len = value.len - sizeof(head) - texts - previous_len;
    if (value_len != (bare ? 0 : head.meta.size))
        return -EBADMSG;
    struct kv_row row = {
        .meta = kv_meta_unpack(&head.meta),
        .xattrs = from + head.from_len + head.key_len,
        .xattrs_len = head.xattrs_len,
        .value = from + texts,
    };
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *record =
        kv_row_record(&row, from + head.from_len, head.key_len, bare);
    struct kv_event *event =
        record ? kv_event_new(head.type, record, head.from_len ? from : NULL,
                              head.from_len)
               : NULL;
    if (!event)
        return -ENOMEM;
    struct kv_cursor at = unpack_position(key);
    memcpy(&previous, from + texts + value_len, previous_len);
    event->prev_revision = le64toh(previous);
    event->revision = at.revision;
    event->index = at.index;
    event->last = head.flags & FLAG_LAST;
    event->created = head.flags & FLAG_CREATED;
    event->implied = head.flags & FLAG_IMPLIED;
    event->exchanged = head.flags & FLAG_EXCHANGED;
    event->origin = head.origin;
    event->time_ns = head.time_ns;
    event->parent_id = head.parent_id;
    event->from_parent_id = head.from_parent_id;
    event->replaced_id = head.replaced_id;
    *ret = event;
    return 0;
}

/* Whether the log holds all that comes behind the cursor: from log_first on it is
 * whole, and a cursor at the end of the revision before misses nothing either. */
static bool holds(const struct kv_counters *counters, const struct kv_cursor *cursor)
{
    return cursor->revision >= counters->log_first ||
           (cursor->revision + 1 == counters->log_first && cursor->index == UINT32_MAX);
}

int kv_changelog_read(struct kv_view *view, const struct kv_cursor *cursor,
                      struct kv_event **out, size_t max, size_t max_bytes,
                      size_t *ret_count)
{
    struct kv_counters counters;
    int err = kv_counters_get(view, &counters);
    if (err)
        return err;
    if (!holds(&counters, cursor))
        return -ESTALE;
    KV_CLEANUP(kv_walk_closep) struct kv_walk *walk = NULL;
    err = kv_walk_open(view, KV_DB_LOG, &walk);
    if (err)
        return err;
    struct packed_position from =
        cursor->index == UINT32_MAX
            ? pack_position(cursor->revision + 1, 0)
            : pack_position(cursor->revision, cursor->index + 1);
    struct kv_slice key, value;
    size_t count = 0, bytes = 0;
    err = kv_walk_seek(walk, (struct kv_slice){&from, sizeof(from)}, &key, &value);
    while (!err && count < max && (count == 0 || bytes + value.len <= max_bytes)) {
        err = decode_event(key, value, &out[count]);
        if (err)
            break;
        count++;
        bytes += value.len;
        err = kv_walk_next(walk, &key, &value);
    }
    if (err && err != -ENOENT) {
        while (count > 0)
            kv_event_unref(out[--count]);
        return err;
    }
    *ret_count = count;
    return 0;
}

/* Whether the event in value is about key, told from its names alone. */
static bool names_key(struct kv_slice value, const void *key, size_t len)
{
    struct packed_event head;
    if (value.len < sizeof(head))
        return false;
    memcpy(&head, value.data, sizeof(head));
    const char *from = (const char *)value.data + sizeof(head);
    if (value.len - sizeof(head) < (size_t)head.from_len + head.key_len)
        return false;
    return kv_key_equal(from + head.from_len, head.key_len, key, len) ||
           (head.from_len && kv_key_equal(from, head.from_len, key, len));
}

/* Whether the event in value is one after which something is at key. */
static bool leaves_key(struct kv_slice value, const void *key, size_t len)
{
    struct packed_event head;
    if (!names_key(value, key, len))
        return false;
    memcpy(&head, value.data, sizeof(head));
    return kv_key_equal((const char *)value.data + sizeof(head) + head.from_len,
                        head.key_len, key, len);
}

/* The last event of a revision, before a position, that left something at the key. */
static int find_in_revision(struct kv_walk *walk, uint64_t revision,
                            const struct kv_cursor *before,
                            const struct kv_record *record, struct kv_event **ret)
{
    struct packed_position from = pack_position(revision, 0);
    struct kv_slice at, value, found_at = {0}, found = {0};
    int err = kv_walk_seek(walk, (struct kv_slice){&from, sizeof(from)}, &at, &value);
    for (size_t scanned = 0; !err; scanned++) {
        struct kv_cursor position = unpack_position(at);
        if (position.revision != revision ||
            (revision == before->revision && position.index >= before->index))
            break;
        if (scanned == PREVIOUS_SCAN_MAX)
            return -ENOENT;
        if (leaves_key(value, record->key, record->key_len)) {
            found_at = at;
            found = value;
        }
        err = kv_walk_next(walk, &at, &value);
    }
    if (err && err != -ENOENT)
        return err;
    return found.data ? decode_event(found_at, found, ret) : -ENOENT;
}

int kv_changelog_previous(struct kv_view *view, const struct kv_event *event,
                          struct kv_event **ret)
{
    KV_CLEANUP(kv_walk_closep) struct kv_walk *walk = NULL;
    KV_CLEANUP(kv_event_unrefp) struct kv_event *found = NULL;
    struct kv_cursor before = {event->revision, event->index};
    uint64_t revision = event->prev_revision;
    int err = kv_walk_open(view, KV_DB_LOG, &walk);
    for (int hop = 0; !err && hop < PREVIOUS_HOPS_MAX; hop++) {
        if (revision == 0)
            return -ENOENT;
        kv_event_unref(KV_STEAL(found));
        err = find_in_revision(walk, revision, &before, event->record, &found);
        if (!err && found->type != KV_EVENT_META) {
            *ret = KV_STEAL(found);
            return 0;
        }
        if (!err) {
            before = (struct kv_cursor){found->revision, found->index};
            revision = found->prev_revision;
        }
    }
    return err ? err : -ENOENT;
}

void kv_history_done(struct kv_history *history)
{
    while (history->count > 0)
        kv_event_unref(history->events[--history->count]);
    free(history->events);
    *history = (struct kv_history){0};
}

/* Stand on the newest event, or the newest one before a position. */
static int seek_before(struct kv_walk *walk, const struct kv_cursor *before,
                       struct kv_slice *ret_at, struct kv_slice *ret_value)
{
    if (before->revision == 0)
        return kv_walk_last(walk, ret_at, ret_value);
    struct packed_position from = pack_position(before->revision, before->index);
    int err =
        kv_walk_seek(walk, (struct kv_slice){&from, sizeof(from)}, ret_at, ret_value);
    return err == -ENOENT ? kv_walk_last(walk, ret_at, ret_value)
           : err          ? err
                          : kv_walk_prev(walk, ret_at, ret_value);
}

static int add_event(struct kv_history *history, size_t *room, struct kv_slice at,
                     struct kv_slice value)
{
    if (history->count == *room) {
        size_t more = *room ? *room * 2 : 16;
        struct kv_event **events = reallocarray(history->events, more, sizeof(*events));
        if (!events)
            return -ENOMEM;
        history->events = events;
        *room = more;
    }
    int err = decode_event(at, value, &history->events[history->count]);
    history->count += err == 0;
    return err;
}

static int walk_back(struct kv_walk *walk, const struct kv_history_query *query,
                     struct kv_history *history)
{
    size_t room = 0, scanned = 0, bytes = 0;
    struct kv_slice at, value;
    int err = seek_before(walk, &query->before, &at, &value);
    for (; !err && unpack_position(at).revision >= history->oldest;
         err = kv_walk_prev(walk, &at, &value)) {
        bool wanted = names_key(value, query->key, query->key_len);
        bool full =
            wanted && (history->count == query->limit ||
                       (history->count > 0 && bytes + value.len > query->max_bytes));
        if (full || scanned++ == query->scan_max) {
            history->more = true;
            return 0;
        }
        history->next = unpack_position(at);
        if (!wanted)
            continue;
        bytes += value.len;
        err = add_event(history, &room, at, value);
        if (err)
            return err;
    }
    return err == -ENOENT ? 0 : err;
}

int kv_changelog_history(struct kv_view *view, const struct kv_history_query *query,
                         struct kv_history *ret)
{
    KV_CLEANUP(kv_walk_closep) struct kv_walk *walk = NULL;
    struct kv_counters counters;
    int err = kv_counters_get(view, &counters);
    if (!err)
        err = kv_walk_open(view, KV_DB_LOG, &walk);
    if (err)
        return err;
    *ret = (struct kv_history){.revision = counters.revision,
                               .oldest = counters.log_first};
    err = walk_back(walk, query, ret);
    if (err)
        kv_history_done(ret);
    return err;
}
