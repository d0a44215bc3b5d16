#include "fuse/retry.h"

#include <string.h>

void kv_retry_init(struct kv_retry *retry)
{
    memset(retry, 0, sizeof(*retry));
    int err = pthread_mutex_init(&retry->lock, NULL);
    assert(err == 0);
    (void)err;
}

static void empty_locked(struct kv_retry *retry, struct kv_retry_slot *slot)
{
    if (!slot->tid)
        return;
    kv_record_unref(slot->record);
    *slot = (struct kv_retry_slot){0};
    atomic_fetch_sub(&retry->used, 1);
}

void kv_retry_done(struct kv_retry *retry)
{
    for (size_t i = 0; i < KV_RETRY_SLOTS; i++)
        empty_locked(retry, &retry->slots[i]);
    pthread_mutex_destroy(&retry->lock);
}

static struct kv_retry_slot *find_locked(struct kv_retry *retry, pid_t tid)
{
    for (size_t i = 0; i < KV_RETRY_SLOTS; i++) {
        if (retry->slots[i].tid == tid)
            return &retry->slots[i];
    }
    return NULL;
}

/* The thread's slot if it is still good; an old one is emptied. */
static struct kv_retry_slot *fresh_locked(struct kv_retry *retry, pid_t tid,
                                          int64_t now_ns)
{
    struct kv_retry_slot *slot = find_locked(retry, tid);
    if (slot && now_ns - slot->time_ns > KV_RETRY_NS) {
        empty_locked(retry, slot);
        return NULL;
    }
    return slot;
}

void kv_retry_stale(struct kv_retry *retry, pid_t tid, uint64_t id, int64_t now_ns)
{
    if (tid <= 0)
        return;
    KV_SCOPED_LOCK(&retry->lock);
    struct kv_retry_slot *slot = find_locked(retry, tid);
    if (!slot) {
        slot = &retry->slots[retry->next];
        retry->next = (retry->next + 1) % KV_RETRY_SLOTS;
    }
    empty_locked(retry, slot);
    *slot = (struct kv_retry_slot){.tid = tid, .id = id, .time_ns = now_ns};
    atomic_fetch_add(&retry->used, 1);
}

bool kv_retry_expects(struct kv_retry *retry, pid_t tid, int64_t now_ns)
{
    if (atomic_load(&retry->used) == 0 || tid <= 0)
        return false;
    KV_SCOPED_LOCK(&retry->lock);
    return fresh_locked(retry, tid, now_ns) != NULL;
}

void kv_retry_found(struct kv_retry *retry, pid_t tid, struct kv_record *record)
{
    bool keep = !record->bare && record->meta.size <= KV_RETRY_VALUE_MAX;
    KV_SCOPED_LOCK(&retry->lock);
    struct kv_retry_slot *slot = find_locked(retry, tid);
    if (!slot)
        return;
    kv_record_unref(slot->record);
    slot->uses = 0;
    slot->record = keep ? kv_record_ref(record) : NULL;
}

bool kv_retry_match(struct kv_retry *retry, pid_t tid, uint64_t id, int64_t now_ns,
                    struct kv_record **ret)
{
    if (atomic_load(&retry->used) == 0 || tid <= 0)
        return false;
    KV_SCOPED_LOCK(&retry->lock);
    struct kv_retry_slot *slot = fresh_locked(retry, tid, now_ns);
    if (!slot)
        return false;
    bool looked_up = slot->record && slot->record->meta.id == id;
    if (!looked_up && slot->id != id)
        return false;
    *ret = looked_up ? kv_record_ref(slot->record) : NULL;
    if (++slot->uses == KV_RETRY_USES)
        empty_locked(retry, slot);
    return true;
}

void kv_retry_forget(struct kv_retry *retry, pid_t tid)
{
    if (atomic_load(&retry->used) == 0 || tid <= 0)
        return;
    KV_SCOPED_LOCK(&retry->lock);
    struct kv_retry_slot *slot = find_locked(retry, tid);
    if (slot)
        empty_locked(retry, slot);
}
