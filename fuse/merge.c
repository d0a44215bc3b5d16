/* From the last event to the first: a put is skipped when its key has one behind it
 * and nothing in between that is more than a put. */
#include "fuse/merge.h"

/* Whether the event keeps the puts before it and after it apart. */
static bool parts(const struct kv_event *event, uint64_t id)
{
    if (event->type == KV_EVENT_PUT)
        return false;
    /* A directory takes what is below it along. */
    if (event->type == KV_EVENT_RENAME && kv_record_is_dir(event->record))
        return true;
    return event->record->meta.id == id || event->replaced_id == id;
}

static bool put_follows(struct kv_event *const *events, size_t count, size_t i,
                        uint32_t own)
{
    const struct kv_event *event = events[i];
    uint64_t id = event->record->meta.id;
    for (size_t next = i + 1; next < count; next++) {
        const struct kv_event *later = events[next];
        if (parts(later, id))
            return false;
        if (later->type == KV_EVENT_PUT && later->record->meta.id == id)
            return !later->created && (later->origin == own) == (event->origin == own);
    }
    return false;
}

size_t kv_merge_puts(struct kv_event *const *events, size_t count, uint32_t own,
                     bool *skip)
{
    size_t skipped = 0;
    for (size_t i = 0; i < count; i++) {
        const struct kv_event *event = events[i];
        skip[i] = event->type == KV_EVENT_PUT && !event->created &&
                  put_follows(events, count, i, own);
        skipped += skip[i];
    }
    return skipped;
}
