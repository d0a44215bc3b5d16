/* The book-keeping of a write transaction under construction; see batch.h. */
#include "store/batch.h"

#include "base/clock.h"
#include "store/changelog.h"
#include "store/expiry.h"

#include <errno.h>
#include <string.h>

/* What a row costs in pages beyond its bytes, generously: a leaf that splits in each of
 * the three tables it may touch. */
#define ROW_OVERHEAD_BYTES UINT64_C(1024)

static int broke(struct kv_batch *batch, int err)
{
    if (err && !batch->broken)
        batch->broken = err;
    return err;
}

int kv_batch_begin(struct kv_batch *batch, const struct kv_store_config *config,
                   struct kv_view *view, _Atomic(uint64_t) *next_id, int64_t now_ns)
{
    *batch = (struct kv_batch){
        .config = config,
        .view = view,
        .next_id = next_id,
        .now_ns = now_ns,
        .due_ns = now_ns,
        .earliest_expiry_ns = INT64_MAX,
    };
    uint64_t used;
    int err = kv_counters_get(view, &batch->counters);
    return err ? err : kv_view_space(view, &used, &batch->space);
}

static void drop_events(struct kv_batch *batch, size_t count)
{
    while (batch->event_count > count)
        kv_event_unref(batch->events[--batch->event_count]);
}

static void drop_changes(struct kv_batch *batch, size_t count)
{
    while (batch->change_count > count)
        kv_record_unref(batch->changes[--batch->change_count].record);
}

void kv_batch_done(struct kv_batch *batch)
{
    drop_changes(batch, 0);
    drop_events(batch, 0);
    free(batch->changes);
    free(batch->events);
    free(batch->touched);
    kv_view_end(batch->view);
    *batch = (struct kv_batch){0};
}

struct kv_batch_mark kv_batch_mark(const struct kv_batch *batch)
{
    return (struct kv_batch_mark){
        .counters = batch->counters,
        .event_count = batch->event_count,
        .change_count = batch->change_count,
        .touched_count = batch->touched_count,
        .space = batch->space,
    };
}

void kv_batch_rollback(struct kv_batch *batch, const struct kv_batch_mark *mark)
{
    drop_changes(batch, mark->change_count);
    drop_events(batch, mark->event_count);
    batch->touched_count = mark->touched_count;
    batch->counters = mark->counters;
    batch->space = mark->space;
    batch->parent_id = 0;
}

/* Room for one more element of an array that doubles. */
static int grow(struct kv_batch *batch, void **array, size_t count, size_t *room,
                size_t size)
{
    if (count < *room)
        return 0;
    size_t more = *room ? *room * 2 : 64;
    void *bigger = reallocarray(*array, more, size);
    if (!bigger)
        return broke(batch, -ENOMEM);
    *array = bigger;
    *room = more;
    return 0;
}

static uint64_t *counter_of(struct kv_batch *batch, uint32_t mode)
{
    return S_ISDIR(mode) ? &batch->counters.directories : &batch->counters.keys;
}

int kv_batch_put(struct kv_batch *batch, struct kv_record *record,
                 const struct kv_meta *old)
{
    int err = 0;
    int64_t expiry_ns = record->meta.expiry_ns;
    bool moved = old && (old->expiry_ns != expiry_ns || old->id != record->meta.id);
    if (old && old->expiry_ns && moved)
        err = kv_expiry_delete(batch->view, old);
    if (!err && expiry_ns && (!old || moved))
        err = kv_expiry_put(batch->view, record);
    if (!err)
        err = kv_state_put(batch->view, record);
    if (err)
        return broke(batch, err);
    if (expiry_ns && expiry_ns < batch->earliest_expiry_ns)
        batch->earliest_expiry_ns = expiry_ns;
    if (old)
        --*counter_of(batch, old->mode);
    if (record->key_len)
        ++*counter_of(batch, record->meta.mode);
    else
        ++batch->counters.directories; /* the root replaces itself and is not counted */
    return 0;
}

int kv_batch_remove(struct kv_batch *batch, const void *key, size_t len,
                    const struct kv_meta *old)
{
    int err = kv_state_delete(batch->view, key, len);
    if (!err && old->expiry_ns)
        err = kv_expiry_delete(batch->view, old);
    if (err)
        return broke(batch, err);
    --*counter_of(batch, old->mode);
    if (S_ISDIR(old->mode))
        batch->parent_id = 0;
    return 0;
}

int kv_batch_change(struct kv_batch *batch, enum kv_change_kind kind,
                    struct kv_record *record, const char *key, size_t key_len)
{
    int err = grow(batch, (void **)&batch->changes, batch->change_count,
                   &batch->change_room, sizeof(*batch->changes));
    if (err)
        return err;
    batch->changes[batch->change_count++] = (struct kv_change){
        .kind = kind,
        .record = record ? kv_record_ref(record) : NULL,
        .key = key,
        .key_len = key_len,
    };
    batch->value_bytes += record && !record->bare ? record->meta.size : 0;
    return 0;
}

int kv_batch_touch(struct kv_batch *batch, const void *dir, size_t dir_len)
{
    struct kv_row row;
    int err = kv_state_get(batch->view, dir, dir_len, &row);
    if (err)
        return broke(batch, err);
    if (row.meta.mtime_ns == batch->now_ns && row.meta.ctime_ns == batch->now_ns)
        return 0;
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *record = kv_row_record(&row, dir, dir_len, false);
    if (!record)
        return broke(batch, -ENOMEM);
    struct kv_meta old = row.meta;
    record->meta.mtime_ns = record->meta.ctime_ns = batch->now_ns;
    err = kv_batch_put(batch, record, &old);
    if (!err)
        err = kv_batch_change(batch, KV_CHANGE_PUBLISH, record, record->key, dir_len);
    if (!err)
        err = grow(batch, (void **)&batch->touched, batch->touched_count,
                   &batch->touched_room, sizeof(*batch->touched));
    if (!err)
        batch->touched[batch->touched_count++] = old.id;
    return err;
}

int kv_batch_event(struct kv_batch *batch, enum kv_event_type type,
                   struct kv_record *record, const void *from, size_t from_len,
                   uint32_t origin, uint64_t parent_id, struct kv_event **ret)
{
    int err = grow(batch, (void **)&batch->events, batch->event_count,
                   &batch->event_room, sizeof(struct kv_event *));
    if (err)
        return err;
    bool large = !record->bare &&
                 record->meta.size > kv_event_value_max(batch->config->log_max_bytes);
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *told =
        large ? kv_record_bare_copy(record) : kv_record_ref(record);
    struct kv_event *event = told ? kv_event_new(type, told, from, from_len) : NULL;
    if (!event)
        return broke(batch, -ENOMEM);
    event->origin = origin;
    event->parent_id = parent_id;
    event->revision = kv_batch_revision(batch);
    event->time_ns = batch->now_ns;
    batch->events[batch->event_count++] = event;
    if (ret)
        *ret = event;
    return 0;
}

int kv_batch_end_revision(struct kv_batch *batch, const struct kv_batch_mark *mark)
{
    size_t first = mark->event_count, count = batch->event_count - first;
    if (count == 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        struct kv_event *event = batch->events[first + i];
        event->index = (uint32_t)i;
        event->last = i == count - 1;
        int err = kv_changelog_append(batch->view, event, &batch->counters);
        if (err)
            return broke(batch, err);
    }
    batch->counters.revision++;
    return 0;
}

uint64_t kv_batch_new_id(struct kv_batch *batch)
{
    return atomic_fetch_add_explicit(batch->next_id, 1, memory_order_relaxed);
}

int kv_batch_claim(struct kv_batch *batch, uint64_t bytes)
{
    /* Once in the state and once in the log. */
    uint64_t need = 2 * (bytes + ROW_OVERHEAD_BYTES);
    if (need > batch->space) {
        batch->refused_for_space = true;
        return -ENOSPC;
    }
    batch->space -= need;
    return 0;
}
