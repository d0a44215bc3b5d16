/* Events: the struct and the old name of a rename in one allocation, plus a reference
 * to the record. */
#include "store/event.h"

#include "store/key.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

struct kv_event *kv_event_new(enum kv_event_type type, struct kv_record *record,
                              const void *from, size_t from_len)
{
    size_t size = sizeof(struct kv_event);
    if (from && (__builtin_add_overflow(size, from_len, &size) ||
                 __builtin_add_overflow(size, 1, &size)))
        return NULL;
    struct kv_event *event = malloc(size);
    if (!event)
        return NULL;
    *event = (struct kv_event){.type = type, .record = kv_record_ref(record)};
    atomic_init(&event->refs, 1);
    if (from) {
        event->from = (char *)(event + 1);
        event->from_len = from_len;
        if (from_len > 0)
            memcpy(event->from, from, from_len);
        event->from[from_len] = '\0';
    }
    return event;
}

struct kv_event *kv_event_ref(struct kv_event *event)
{
    unsigned before = atomic_fetch_add_explicit(&event->refs, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
    return event;
}

void kv_event_unref(struct kv_event *event)
{
    if (!event)
        return;
    unsigned before = atomic_fetch_sub_explicit(&event->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before > 1)
        return;
    kv_record_unref(event->record);
    free(event);
}

const char *kv_event_type_name(enum kv_event_type type)
{
    switch (type) {
    case KV_EVENT_PUT:
        return "put";
    case KV_EVENT_DELETE:
        return "delete";
    case KV_EVENT_RENAME:
        return "rename";
    case KV_EVENT_MKDIR:
        return "mkdir";
    case KV_EVENT_RMDIR:
        return "rmdir";
    case KV_EVENT_META:
        return "meta";
    }
    return "unknown";
}

const char *kv_origin_name(uint32_t origin)
{
    if (origin >= KV_ORIGIN_MOUNT)
        return "mount";
    switch (origin) {
    case KV_ORIGIN_HTTP:
        return "http";
    case KV_ORIGIN_TTL:
        return "ttl";
    case KV_ORIGIN_CLUSTER:
        return "cluster";
    default:
        return "unknown";
    }
}

bool kv_event_is_about(const struct kv_event *event, const void *key, size_t len)
{
    const struct kv_record *record = event->record;
    return kv_key_equal(record->key, record->key_len, key, len) ||
           (event->from && kv_key_equal(event->from, event->from_len, key, len));
}

static bool is_in(const char *key, size_t len, const void *dir, size_t dir_len)
{
    return kv_key_equal(key, len, dir, dir_len) ||
           kv_key_is_below(key, len, dir, dir_len);
}

bool kv_event_is_in(const struct kv_event *event, const void *dir, size_t dir_len)
{
    const struct kv_record *record = event->record;
    return is_in(record->key, record->key_len, dir, dir_len) ||
           (event->from && is_in(event->from, event->from_len, dir, dir_len));
}

static bool has_prefix(const char *key, size_t len, const void *prefix,
                       size_t prefix_len)
{
    return len >= prefix_len &&
           (prefix_len == 0 || memcmp(key, prefix, prefix_len) == 0);
}

bool kv_event_has_prefix(const struct kv_event *event, const void *prefix, size_t len)
{
    const struct kv_record *record = event->record;
    return has_prefix(record->key, record->key_len, prefix, len) ||
           (event->from && has_prefix(event->from, event->from_len, prefix, len));
}

size_t kv_event_footprint(const struct kv_event *event)
{
    /* malloc_usable_size changes nothing, though its argument is not const. */
    return malloc_usable_size((void *)(uintptr_t)event) + sizeof(size_t) +
           kv_record_footprint(event->record);
}
