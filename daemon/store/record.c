/* Records: the struct, the key and a NUL, the attributes and the value stand in this
 * order in one allocation, so a version costs one malloc and one free, and everything
 * but the reference count and the attachment is constant while it is shared. */
#include "store/record.h"

#include <assert.h>
#include <malloc.h>
#include <string.h>

/* What glibc keeps in front of each block. */
#define MALLOC_HEADER sizeof(size_t)

/* Bytes of the whole allocation, or 0 when the lengths do not fit a record. */
static size_t allocation_size(const struct kv_record_parts *parts, size_t value_len)
{
    size_t size = sizeof(struct kv_record) + 1;
    if (parts->key_len > UINT32_MAX || parts->xattrs_len > UINT32_MAX ||
        __builtin_add_overflow(size, parts->key_len, &size) ||
        __builtin_add_overflow(size, parts->xattrs_len, &size) ||
        __builtin_add_overflow(size, value_len, &size) || size > PTRDIFF_MAX)
        return 0;
    return size;
}

/* Copy bytes to *at, which moves behind them; where they stand now. */
static const char *place(char **at, const void *data, size_t len)
{
    char *start = *at;
    if (len > 0)
        memcpy(start, data, len);
    *at = start + len;
    return start;
}

struct kv_record *kv_record_new(const struct kv_record_parts *parts)
{
    size_t value_len = parts->bare ? 0 : parts->value_len;
    size_t size = allocation_size(parts, value_len);
    struct kv_record *record = size == 0 ? NULL : malloc(size);
    if (!record)
        return NULL;
    *record = (struct kv_record){
        .key_len = (uint32_t)parts->key_len,
        .xattrs_len = (uint32_t)parts->xattrs_len,
        .bare = parts->bare,
        .meta = parts->meta,
    };
    atomic_init(&record->refs, 1);
    atomic_init(&record->attachment, NULL);
    char *at = (char *)(record + 1);
    record->key = place(&at, parts->key, parts->key_len);
    *at++ = '\0';
    record->xattrs = place(&at, parts->xattrs, parts->xattrs_len);
    if (!parts->bare) {
        record->value = place(&at, parts->value, value_len);
        record->meta.size = value_len;
    }
    return record;
}

struct kv_record *kv_record_copy(const struct kv_record *record,
                                 const struct kv_meta *meta, const void *key,
                                 size_t key_len)
{
    return kv_record_new(&(struct kv_record_parts){
        .meta = *meta,
        .key = key ? key : record->key,
        .key_len = key ? key_len : record->key_len,
        .xattrs = record->xattrs,
        .xattrs_len = record->xattrs_len,
        .value = record->value,
        .value_len = record->bare ? 0 : record->meta.size,
        .bare = record->bare,
    });
}

struct kv_record *kv_record_bare_copy(const struct kv_record *record)
{
    return kv_record_new(&(struct kv_record_parts){
        .meta = record->meta,
        .key = record->key,
        .key_len = record->key_len,
        .xattrs = record->xattrs,
        .xattrs_len = record->xattrs_len,
        .bare = true,
    });
}

struct kv_record *kv_record_ref(struct kv_record *record)
{
    /* Relaxed: whoever refs has a reference already, so nothing can be freed. */
    unsigned before = atomic_fetch_add_explicit(&record->refs, 1, memory_order_relaxed);
    assert(before > 0);
    (void)before;
    return record;
}

void kv_record_unref(struct kv_record *record)
{
    if (!record)
        return;
    /* Release what this thread did with the record; acquire what the others did, before
     * the last one frees it. */
    unsigned before = atomic_fetch_sub_explicit(&record->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before > 1)
        return;
    void *attachment = kv_record_attachment(record);
    if (attachment)
        record->attachment_free(attachment);
    free(record);
}

size_t kv_record_footprint(const struct kv_record *record)
{
    /* malloc_usable_size changes nothing, though its argument is not const. */
    return malloc_usable_size((void *)(uintptr_t)record) + MALLOC_HEADER;
}

void *kv_record_attach(struct kv_record *record, void *attachment,
                       void (*attachment_free)(void *attachment))
{
    /* Before the attachment, so that whoever sees that sees this. Threads that race
     * write the same function; atomic makes that defined. */
    __atomic_store_n(&record->attachment_free, attachment_free, __ATOMIC_RELAXED);
    void *first = NULL;
    if (atomic_compare_exchange_strong_explicit(&record->attachment, &first, attachment,
                                                memory_order_acq_rel,
                                                memory_order_acquire))
        return attachment;
    return first;
}
