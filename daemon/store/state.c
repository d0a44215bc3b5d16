/* Records and counters as bytes. The format number changes whenever a layout does;
 * there is only little-endian so far, which is checked with it. */
#include "store/state.h"

#include <errno.h>
#include <string.h>

#define FORMAT UINT64_C(0x326673766b) /* "kvsf2": also tells the byte order */

struct packed_row {
    struct kv_packed_meta meta;
    uint32_t xattrs_len;
    /* xattrs, value */
} __attribute__((packed));

struct packed_counters {
    uint64_t format;
    struct kv_counters counters;
} __attribute__((packed));

static struct kv_slice slice_of_key(const void *key, size_t len)
{
    return len ? (struct kv_slice){key, len} : (struct kv_slice){"", 1};
}

struct kv_packed_meta kv_meta_pack(const struct kv_meta *meta)
{
    return (struct kv_packed_meta){
        .id = meta->id,
        .create_revision = meta->create_revision,
        .mod_revision = meta->mod_revision,
        .version = meta->version,
        .size = meta->size,
        .mtime_ns = meta->mtime_ns,
        .ctime_ns = meta->ctime_ns,
        .expiry_ns = meta->expiry_ns,
        .mode = meta->mode,
        .uid = meta->uid,
        .gid = meta->gid,
    };
}

struct kv_meta kv_meta_unpack(const struct kv_packed_meta *packed)
{
    return (struct kv_meta){
        .id = packed->id,
        .create_revision = packed->create_revision,
        .mod_revision = packed->mod_revision,
        .version = packed->version,
        .size = packed->size,
        .mtime_ns = packed->mtime_ns,
        .ctime_ns = packed->ctime_ns,
        .expiry_ns = packed->expiry_ns,
        .mode = packed->mode,
        .uid = packed->uid,
        .gid = packed->gid,
    };
}

int kv_row_decode(struct kv_slice value, struct kv_row *ret)
{
    struct packed_row row;
    if (value.len < sizeof(row))
        return -EBADMSG;
    memcpy(&row, value.data, sizeof(row));
    size_t rest = value.len - sizeof(row);
    if (row.xattrs_len > rest || row.meta.size != rest - row.xattrs_len)
        return -EBADMSG;
    const char *bytes = (const char *)value.data + sizeof(row);
    ret->meta = kv_meta_unpack(&row.meta);
    ret->xattrs = bytes;
    ret->xattrs_len = row.xattrs_len;
    ret->value = bytes + row.xattrs_len;
    return 0;
}

int kv_state_get(struct kv_view *view, const void *key, size_t len, struct kv_row *ret)
{
    struct kv_slice value;
    int err = kv_view_get(view, KV_DB_STATE, slice_of_key(key, len), &value);
    return err ? err : kv_row_decode(value, ret);
}

int kv_state_put(struct kv_view *view, const struct kv_record *record)
{
    assert(!record->bare);
    struct packed_row row = {
        .meta = kv_meta_pack(&record->meta),
        .xattrs_len = record->xattrs_len,
    };
    size_t size = sizeof(row) + record->xattrs_len + record->meta.size;
    void *place;
    int err = kv_view_put(view, KV_DB_STATE, slice_of_key(record->key, record->key_len),
                          size, &place);
    if (err)
        return err;
    char *out = memcpy(place, &row, sizeof(row));
    out += sizeof(row);
    if (record->xattrs_len)
        memcpy(out, record->xattrs, record->xattrs_len);
    if (record->meta.size)
        memcpy(out + record->xattrs_len, record->value, record->meta.size);
    return 0;
}

int kv_state_delete(struct kv_view *view, const void *key, size_t len)
{
    return kv_view_delete(view, KV_DB_STATE, slice_of_key(key, len));
}

struct kv_record *kv_row_record(const struct kv_row *row, const void *key, size_t len,
                                bool bare)
{
    struct kv_record_parts parts = {
        .meta = row->meta,
        .key = key,
        .key_len = len,
        .xattrs = row->xattrs,
        .xattrs_len = row->xattrs_len,
        .value = bare ? NULL : row->value,
        .value_len = bare ? 0 : row->meta.size,
        .bare = bare,
    };
    return kv_record_new(&parts);
}

static const struct kv_slice counters_key = {"counters", 8};

int kv_counters_get(struct kv_view *view, struct kv_counters *ret)
{
    struct kv_slice value;
    int err = kv_view_get(view, KV_DB_META, counters_key, &value);
    if (err)
        return err;
    struct packed_counters packed;
    if (value.len != sizeof(packed))
        return -EPROTO;
    memcpy(&packed, value.data, sizeof(packed));
    if (packed.format != FORMAT)
        return -EPROTO;
    *ret = packed.counters;
    return 0;
}

int kv_counters_put(struct kv_view *view, const struct kv_counters *counters)
{
    struct packed_counters packed = {.format = FORMAT, .counters = *counters};
    void *place;
    int err = kv_view_put(view, KV_DB_META, counters_key, sizeof(packed), &place);
    if (!err)
        memcpy(place, &packed, sizeof(packed));
    return err;
}
