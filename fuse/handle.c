#include "fuse/handle.h"

#include "base/clock.h"
#include "fuse/process.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

struct kv_handle *kv_handle_new(uint64_t ino, int flags, pid_t tid, bool truncated,
                                struct kv_record *record)
{
    struct kv_handle *handle = calloc(1, sizeof(*handle));
    if (!handle) {
        kv_record_unref(record);
        return NULL;
    }
    int access = flags & O_ACCMODE;
    handle->ino = ino;
    handle->readable = access != O_WRONLY;
    handle->writable = access != O_RDONLY;
    handle->append = handle->writable && (flags & O_APPEND);
    handle->tid = tid;
    handle->process = handle->writable ? kv_process_of(tid) : tid;
    atomic_init(&handle->refs, 1);
    kv_list_init(&handle->node);
    kv_list_init(&handle->queue);
    int err = pthread_mutex_init(&handle->lock, NULL);
    assert(err == 0);
    (void)err;
    /* Locked so that whoever locks it next sees all of this: the handle travels to
     * other threads through the kernel, as a number. */
    KV_SCOPED_LOCK(&handle->lock);
    handle->record = record;
    handle->id = record ? record->meta.id : 0;
    /* A new name opened for appending appends, too: two processes may do so at once. */
    handle->whole = truncated && (record || !handle->append);
    handle->changed_ns = truncated ? kv_clock_realtime_ns() : 0;
    kv_flush_open(&handle->flush, truncated);
    return handle;
}

struct kv_handle *kv_handle_ref(struct kv_handle *handle)
{
    atomic_fetch_add_explicit(&handle->refs, 1, memory_order_relaxed);
    return handle;
}

bool kv_handle_unref(struct kv_handle *handle)
{
    if (atomic_fetch_sub_explicit(&handle->refs, 1, memory_order_acq_rel) != 1)
        return false;
    kv_record_unref(handle->record);
    kv_buf_done(&handle->bytes);
    pthread_mutex_destroy(&handle->lock);
    free(handle);
    return true;
}

static struct kv_handle *last_locked(const struct kv_inode *inode, pid_t tid,
                                     bool unpublished)
{
    const struct kv_list_node *head = &inode->handles;
    for (struct kv_list_node *node = head->prev; node != head; node = node->prev) {
        struct kv_handle *handle = KV_CONTAINER_OF(node, struct kv_handle, node);
        if (handle->unpublished == unpublished &&
            (tid == 0 || kv_process_has(handle->process, tid)))
            return handle;
    }
    return NULL;
}

struct kv_handle *kv_handle_unpublished_locked(const struct kv_inode *inode, pid_t tid)
{
    return inode->unpublished > 0 ? last_locked(inode, tid, true) : NULL;
}

struct kv_handle *kv_handle_best_locked(const struct kv_inode *inode, pid_t tid)
{
    struct kv_handle *handle = kv_handle_unpublished_locked(inode, tid);
    return handle ? handle : last_locked(inode, tid, false);
}

uint64_t kv_handle_record_id_locked(const struct kv_handle *handle)
{
    return handle->id ? handle->id : handle->ino;
}

bool kv_handle_private_locked(const struct kv_handle *handle)
{
    return handle->whole || handle->bytes.len > 0;
}

static uint64_t record_size(const struct kv_handle *handle)
{
    return handle->whole || !handle->record ? 0 : handle->record->meta.size;
}

uint64_t kv_handle_size_locked(const struct kv_handle *handle)
{
    return record_size(handle) + handle->bytes.len;
}

uint64_t kv_handle_size(struct kv_handle *handle)
{
    KV_SCOPED_LOCK(&handle->lock);
    return kv_handle_size_locked(handle);
}

void kv_handle_show(struct kv_handle *handle, struct kv_meta *meta)
{
    KV_SCOPED_LOCK(&handle->lock);
    bool own = kv_handle_private_locked(handle);
    if (own || !handle->record)
        meta->size = kv_handle_size_locked(handle);
    if (own && handle->changed_ns > meta->ctime_ns)
        meta->mtime_ns = meta->ctime_ns = handle->changed_ns;
    if (handle->mtime_set)
        meta->mtime_ns = handle->mtime_ns;
}

bool kv_handle_yields(struct kv_handle *handle)
{
    KV_SCOPED_LOCK(&handle->lock);
    return handle->inode && !kv_handle_private_locked(handle);
}

void kv_handle_yielded(struct kv_handle *handle)
{
    KV_SCOPED_LOCK(&handle->lock);
    handle->moves_on = true;
}

bool kv_handle_wants_newest(struct kv_handle *handle, uint64_t offset,
                            uint64_t store_revision)
{
    KV_SCOPED_LOCK(&handle->lock);
    if (!handle->inode || kv_handle_private_locked(handle) ||
        handle->seen_revision == store_revision)
        return false;
    return offset == 0 || handle->moves_on || handle->writable;
}

void kv_handle_refresh(struct kv_handle *handle, struct kv_record *record,
                       uint64_t store_revision)
{
    struct kv_record *old = record;
    kv_lock(&handle->lock);
    /* Two reads of one handle may fetch at once; the older answer must not win. */
    if (!kv_handle_private_locked(handle) && store_revision >= handle->seen_revision) {
        handle->seen_revision = store_revision;
        if (record) {
            old = handle->record;
            handle->record = record;
        }
    }
    kv_unlock(&handle->lock);
    kv_record_unref(old);
}

void kv_part_done(struct kv_part *part)
{
    kv_record_unref(part->record);
    free(part->copy);
}

static size_t clip(uint64_t have, uint64_t offset, size_t size)
{
    if (offset >= have)
        return 0;
    return have - offset < size ? (size_t)(have - offset) : size;
}

static int read_private(struct kv_handle *handle, uint64_t offset, size_t size,
                        struct kv_part *ret)
{
    size_t len = clip(kv_handle_size_locked(handle), offset, size);
    char *copy = malloc(len ? len : 1);
    if (!copy)
        return -ENOMEM;
    uint64_t base = record_size(handle);
    size_t head = clip(base, offset, len);
    if (head)
        memcpy(copy, (const char *)handle->record->value + offset, head);
    if (len > head)
        memcpy(copy + head, handle->bytes.data + (offset + head - base), len - head);
    *ret = (struct kv_part){.copy = copy, .data = copy, .len = len};
    return 0;
}

static int peek_locked(struct kv_handle *handle, uint64_t offset, size_t size,
                       struct kv_part *ret)
{
    *ret = (struct kv_part){0};
    if (kv_handle_private_locked(handle))
        return read_private(handle, offset, size, ret);
    if (handle->record) {
        ret->len = clip(handle->record->meta.size, offset, size);
        ret->record = kv_record_ref(handle->record);
        ret->data = ret->len ? (const char *)handle->record->value + offset : NULL;
    }
    return 0;
}

int kv_handle_peek(struct kv_handle *handle, uint64_t offset, size_t size,
                   struct kv_part *ret)
{
    KV_SCOPED_LOCK(&handle->lock);
    return peek_locked(handle, offset, size, ret);
}

int kv_handle_read(struct kv_handle *handle, uint64_t offset, size_t size,
                   struct kv_part *ret)
{
    KV_SCOPED_LOCK(&handle->lock);
    int err = peek_locked(handle, offset, size, ret);
    if (!err)
        handle->moves_on = ret->len == 0 && size > 0;
    return err;
}

/* The record's bytes become the handle's own. */
static int make_whole(struct kv_handle *handle, uint64_t keep, uint64_t room)
{
    if (handle->whole)
        return 0;
    uint64_t base = record_size(handle);
    struct kv_buf whole = {0};
    if (kv_buf_reserve(&whole, room > keep ? room : keep))
        return -ENOMEM;
    size_t head = clip(base, 0, keep);
    if (head)
        kv_buf_add(&whole, handle->record->value, head);
    if (keep > head)
        kv_buf_add(&whole, handle->bytes.data, keep - head);
    kv_buf_done(&handle->bytes);
    handle->bytes = whole;
    handle->whole = true;
    return 0;
}

static void changed(struct kv_handle *handle)
{
    handle->changes++;
    handle->changed_ns = kv_clock_realtime_ns();
    handle->mtime_set = false;
    kv_flush_write(&handle->flush);
}

/* Growth that fails must not leave the buffer failed: its bytes are still good. */
static int resize_bytes(struct kv_handle *handle, size_t len)
{
    int err = kv_buf_resize(&handle->bytes, len);
    handle->bytes.failed = false;
    return err;
}

static int append(struct kv_handle *handle, const void *data, size_t len,
                  uint64_t max_bytes)
{
    uint64_t size;
    if (__builtin_add_overflow(kv_handle_size_locked(handle), len, &size) ||
        size > max_bytes)
        return -EFBIG;
    size_t behind = handle->bytes.len;
    int err = resize_bytes(handle, behind + len);
    if (err)
        return err;
    memcpy(handle->bytes.data + behind, data, len);
    changed(handle);
    return 0;
}

static int overwrite(struct kv_handle *handle, uint64_t offset, const void *data,
                     size_t len, uint64_t max_bytes)
{
    uint64_t end;
    if (__builtin_add_overflow(offset, len, &end) || end > max_bytes)
        return -EFBIG;
    int err = make_whole(handle, kv_handle_size_locked(handle), end);
    if (!err && end > handle->bytes.len)
        err = resize_bytes(handle, end);
    if (err)
        return err;
    memcpy(handle->bytes.data + offset, data, len);
    changed(handle);
    return 0;
}

int kv_handle_write(struct kv_handle *handle, uint64_t offset, const void *data,
                    size_t len, uint64_t max_bytes)
{
    if (len == 0)
        return 0;
    KV_SCOPED_LOCK(&handle->lock);
    if (handle->append)
        return append(handle, data, len, max_bytes);
    if (!handle->refused)
        handle->refused = overwrite(handle, offset, data, len, max_bytes);
    return handle->refused;
}

void kv_handle_refuse(struct kv_handle *handle, int err)
{
    KV_SCOPED_LOCK(&handle->lock);
    if (!handle->append && !handle->refused)
        handle->refused = err;
}

int kv_handle_resize(struct kv_handle *handle, uint64_t size, uint64_t max_bytes)
{
    if (size > max_bytes)
        return -EFBIG;
    KV_SCOPED_LOCK(&handle->lock);
    uint64_t old = kv_handle_size_locked(handle);
    int err = make_whole(handle, old < size ? old : size, size);
    if (!err)
        err = resize_bytes(handle, size);
    if (err)
        return err;
    if (size == 0)
        handle->refused = 0;
    changed(handle);
    return 0;
}

int kv_handle_set_append(struct kv_handle *handle, bool append)
{
    KV_SCOPED_LOCK(&handle->lock);
    bool changes = handle->append != append;
    /* What was appended so far has its place behind the record's bytes. */
    if (changes && !append && handle->bytes.len > 0) {
        uint64_t size = kv_handle_size_locked(handle);
        int err = make_whole(handle, size, size);
        if (err)
            return err;
    }
    handle->append = append;
    return 0;
}

int kv_handle_allocate(struct kv_handle *handle, int mode, uint64_t offset,
                       uint64_t len, uint64_t max_bytes)
{
    bool clears = mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE);
    uint64_t end;
    if (__builtin_add_overflow(offset, len, &end))
        return -EFBIG;
    KV_SCOPED_LOCK(&handle->lock);
    uint64_t size = kv_handle_size_locked(handle);
    uint64_t grown = (mode & FALLOC_FL_KEEP_SIZE) || end <= size ? size : end;
    if (handle->refused)
        return handle->refused;
    if (grown > max_bytes)
        return -EFBIG;
    if (grown == size && (!clears || offset >= size))
        return 0;
    int err = make_whole(handle, size, grown);
    if (!err)
        err = resize_bytes(handle, grown);
    if (err)
        return err;
    if (clears && offset < size)
        memset(handle->bytes.data + offset, 0, (end < size ? end : size) - offset);
    changed(handle);
    return 0;
}

void kv_handle_drop_bytes_locked(struct kv_handle *handle)
{
    kv_buf_done(&handle->bytes);
    handle->whole = false;
    handle->seen_revision = 0;
}

int kv_handle_drop_refused_locked(struct kv_handle *handle)
{
    int err = handle->refused;
    if (!err)
        return 0;
    kv_handle_drop_bytes_locked(handle);
    kv_flush_take(&handle->flush);
    return err;
}

void kv_handle_published_locked(struct kv_handle *handle, struct kv_record *record,
                                uint64_t changes, size_t len)
{
    if (!handle->whole) { /* appended; or dropped meanwhile, and nothing is left */
        size_t left = handle->bytes.len > len ? handle->bytes.len - len : 0;
        if (left)
            memmove(handle->bytes.data, handle->bytes.data + len, left);
        handle->bytes.len = left;
    } else if (handle->changes != changes) {
        handle->id = record->meta.id;
        return; /* written since: the bytes stay, and stand for the whole value */
    } else {
        kv_buf_done(&handle->bytes);
        handle->whole = false;
    }
    if (handle->changes == changes)
        handle->mtime_set = false;
    kv_record_unref(handle->record);
    handle->record = kv_record_ref(record);
    handle->id = record->meta.id;
    handle->seen_revision = 0;
}

bool kv_handle_opened_by(struct kv_handle *handle, pid_t tid, uint64_t owner)
{
    KV_SCOPED_LOCK(&handle->lock);
    if (handle->owner_known && owner != 0 && handle->owner == owner)
        return true;
    if (!kv_process_has(handle->process, tid))
        return false;
    handle->owner_known = owner != 0;
    handle->owner = owner;
    return true;
}
