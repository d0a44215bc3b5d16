#ifndef KV_TESTS_UNIT_FIXTURE_H
#define KV_TESTS_UNIT_FIXTURE_H

/* Records and events for tests that do not care what else is in them. */

#include "store/event.h"

#include <check.h>
#include <string.h>

static inline struct kv_record *fixture_record_sized(const char *key, const void *value,
                                                     size_t value_len)
{
    struct kv_record *record = kv_record_new(&(struct kv_record_parts){
        .meta = {.id = 7, .mode = S_IFREG | 0644, .version = 1},
        .key = key,
        .key_len = strlen(key),
        .value = value,
        .value_len = value_len,
    });
    ck_assert_ptr_nonnull(record);
    return record;
}

static inline struct kv_record *fixture_record(const char *key, const char *value)
{
    return fixture_record_sized(key, value, strlen(value));
}

/* A put of key in a revision, or with from a rename from there. */
static inline struct kv_event *fixture_event(const char *key, const char *from,
                                             uint64_t revision, uint32_t index)
{
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *record = fixture_record(key, "value");
    struct kv_event *event = kv_event_new(from ? KV_EVENT_RENAME : KV_EVENT_PUT, record,
                                          from, from ? strlen(from) : 0);
    ck_assert_ptr_nonnull(event);
    event->revision = revision;
    event->index = index;
    return event;
}

#endif
