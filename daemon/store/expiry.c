/* Rows of the expiry index: expiry in ns and record id, big-endian, -> key. The sign
 * bit is turned so that times before 1970 sort first. */
#include "store/expiry.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

struct packed_due {
    uint64_t expiry, id;
} __attribute__((packed));

static uint64_t pack_expiry(int64_t expiry_ns)
{
    return htobe64((uint64_t)expiry_ns ^ (UINT64_C(1) << 63));
}

static struct packed_due pack(const struct kv_meta *meta)
{
    return (struct packed_due){
        .expiry = pack_expiry(meta->expiry_ns),
        .id = htobe64(meta->id),
    };
}

static int64_t unpack_expiry(struct kv_slice key)
{
    struct packed_due due;
    memcpy(&due, key.data, sizeof(due));
    return (int64_t)(be64toh(due.expiry) ^ (UINT64_C(1) << 63));
}

int kv_expiry_put(struct kv_view *view, const struct kv_record *record)
{
    struct packed_due due = pack(&record->meta);
    void *place;
    int err = kv_view_put(view, KV_DB_EXPIRY, (struct kv_slice){&due, sizeof(due)},
                          record->key_len, &place);
    if (!err)
        memcpy(place, record->key, record->key_len);
    return err;
}

int kv_expiry_delete(struct kv_view *view, const struct kv_meta *meta)
{
    struct packed_due due = pack(meta);
    return kv_view_delete(view, KV_DB_EXPIRY, (struct kv_slice){&due, sizeof(due)});
}

int kv_expiry_due(struct kv_view *view, int64_t from_ns, int64_t now_ns, size_t max,
                  int (*fn)(void *ctx, int64_t expiry_ns, const void *key, size_t len),
                  void *ctx, int64_t *ret_next_ns)
{
    KV_CLEANUP(kv_walk_closep) struct kv_walk *walk = NULL;
    int err = kv_walk_open(view, KV_DB_EXPIRY, &walk);
    if (err)
        return err;
    int64_t next_ns = INT64_MAX;
    struct packed_due from = {.expiry = pack_expiry(from_ns)};
    struct kv_slice key, value;
    for (err = kv_walk_seek(walk, (struct kv_slice){&from, sizeof(from)}, &key, &value);
         !err; err = kv_walk_next(walk, &key, &value)) {
        if (key.len != sizeof(struct packed_due))
            return -EBADMSG;
        int64_t expiry_ns = unpack_expiry(key);
        if (expiry_ns > now_ns || max-- == 0) {
            next_ns = expiry_ns;
            break;
        }
        err = fn(ctx, expiry_ns, value.data, value.len);
        if (err)
            return err;
    }
    if (err && err != -ENOENT)
        return err;
    *ret_next_ns = next_ns;
    return 0;
}
