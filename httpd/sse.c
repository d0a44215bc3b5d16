/* Frames of the change stream. JSON never holds a raw line end, so one data line will
 * do. */
#include "httpd/sse.h"

#include "base/json.h"
#include "httpd/field.h"

#include <inttypes.h>

bool kv_filter_matches(const struct kv_filter *filter, const struct kv_event *event)
{
    switch (filter->kind) {
    case KV_FILTER_KEY:
        return kv_event_is_about(event, filter->text, filter->len);
    case KV_FILTER_DIR:
        return kv_event_is_in(event, filter->text, filter->len);
    case KV_FILTER_PREFIX:
        break;
    }
    return kv_event_has_prefix(event, filter->text, filter->len);
}

struct kv_position kv_position_of(const struct kv_event *event)
{
    struct kv_position position = {.whole = event->last};
    position.cursor = event->last ? kv_cursor_after(event->revision)
                                  : (struct kv_cursor){event->revision, event->index};
    return position;
}

bool kv_cursor_is_before(const struct kv_cursor *a, const struct kv_cursor *b)
{
    return a->revision != b->revision ? a->revision < b->revision : a->index < b->index;
}

void kv_position_text(struct kv_buf *out, const struct kv_position *position)
{
    kv_buf_addf(out, "%" PRIu64, position->cursor.revision);
    if (!position->whole)
        kv_buf_addf(out, ".%" PRIu32, position->cursor.index);
}

void kv_sse_id(struct kv_buf *out, const struct kv_position *position)
{
    kv_buf_adds(out, "id: ");
    kv_position_text(out, position);
    kv_buf_addc(out, '\n');
}

/* Only a put has a value of its own; what other records hold is from before. */
static void add_value(struct kv_buf *out, const struct kv_record *record, bool omit)
{
    if (omit || record->bare) {
        kv_buf_adds(out, ",\"omitted\":true");
        return;
    }
    kv_buf_addc(out, ',');
    kv_json_bytes(out, "value", record->value, record->meta.size);
}

/* What the key was before; used: bytes of value that stand in the object already. */
static void add_previous(struct kv_buf *out, const struct kv_event *previous,
                         enum kv_sse_values values, size_t used, size_t value_max)
{
    const struct kv_record *record = previous->record;
    kv_buf_addf(out,
                ",\"previous\":{\"revision\":%" PRIu64 ",\"version\":%" PRIu64
                ",\"size\":%" PRIu64,
                previous->revision, record->meta.version, record->meta.size);
    if (values != KV_SSE_WITHOUT_VALUES)
        add_value(out, record,
                  values == KV_SSE_OMIT_VALUES || used > value_max ||
                      record->meta.size > value_max - used);
    kv_buf_addc(out, '}');
}

void kv_event_members(struct kv_buf *out, const struct kv_event *event,
                      const struct kv_event *previous, enum kv_sse_values values,
                      size_t value_max)
{
    const struct kv_record *record = event->record;
    kv_buf_addf(out, "\"type\":\"%s\",", kv_event_type_name(event->type));
    kv_json_bytes(out, "key", record->key, record->key_len);
    if (event->from) {
        kv_buf_addc(out, ',');
        kv_json_bytes(out, "from", event->from, event->from_len);
    }
    kv_buf_addf(out, ",\"revision\":%" PRIu64 ",\"version\":%" PRIu64, event->revision,
                record->meta.version);
    if (event->type == KV_EVENT_PUT)
        kv_buf_addf(out, ",\"created\":%s", event->created ? "true" : "false");
    if (event->type == KV_EVENT_RENAME && kv_record_is_dir(record))
        kv_buf_adds(out, ",\"directory\":true");
    if (event->implied)
        kv_buf_adds(out, ",\"implied\":true");
    kv_buf_addf(out, ",\"origin\":\"%s\",\"time\":", kv_origin_name(event->origin));
    kv_json_time(out, event->time_ns);
    if (record->meta.expiry_ns && event->type != KV_EVENT_DELETE) {
        kv_buf_adds(out, ",\"expires\":");
        kv_json_time(out, record->meta.expiry_ns);
    }
    if (!kv_record_is_dir(record))
        kv_buf_addf(out, ",\"size\":%" PRIu64, record->meta.size);
    bool has_value = values != KV_SSE_WITHOUT_VALUES && event->type == KV_EVENT_PUT;
    bool omits =
        values == KV_SSE_OMIT_VALUES || record->bare || record->meta.size > value_max;
    if (has_value)
        add_value(out, record, omits);
    if (previous)
        add_previous(out, previous, values,
                     has_value && !omits ? (size_t)record->meta.size : 0, value_max);
}

void kv_event_json(struct kv_buf *out, const struct kv_event *event,
                   const struct kv_event *previous, enum kv_sse_values values,
                   size_t value_max)
{
    kv_buf_addc(out, '{');
    kv_event_members(out, event, previous, values, value_max);
    kv_buf_addc(out, '}');
}

void kv_json_compacted(struct kv_buf *out, uint64_t oldest_revision)
{
    kv_buf_addf(out,
                "\"message\":\"events before revision %" PRIu64
                " are gone: list the keys, then watch from the revision of that "
                "listing\",\"oldest_revision\":%" PRIu64,
                oldest_revision, oldest_revision);
}

void kv_sse_event(struct kv_buf *out, const struct kv_event *event,
                  const struct kv_event *previous, enum kv_sse_values values)
{
    struct kv_position position = kv_position_of(event);
    kv_sse_id(out, &position);
    kv_buf_addf(out, "event: %s\ndata: ", kv_event_type_name(event->type));
    kv_event_json(out, event, previous, values, KV_SSE_VALUE_MAX);
    kv_buf_adds(out, "\n\n");
}
