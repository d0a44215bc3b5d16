#ifndef KV_STORE_STATE_H
#define KV_STORE_STATE_H

/* The state table: key -> record, and the store's counters beside it. How a record lies
 * on disk is known here and in changelog.c, which shares the packed metadata.
 *
 * The empty key (the root directory) is stored under a single NUL byte, which no valid
 * key can be and which sorts before all of them. Threads and lifetimes as in table.h.
 */

#include "store/table.h"

/* A record as it lies in a view: pointers into the map, see table.h. */
struct kv_row {
    struct kv_meta meta;
    const void *xattrs;
    size_t xattrs_len;
    const void *value; /* meta.size bytes */
};

/* On disk, little-endian, unaligned: copy, never point. */
struct kv_packed_meta {
    uint64_t id, create_revision, mod_revision, version, size;
    int64_t mtime_ns, ctime_ns, expiry_ns;
    uint32_t mode, uid, gid;
} __attribute__((packed));

struct kv_packed_meta kv_meta_pack(const struct kv_meta *meta);
struct kv_meta kv_meta_unpack(const struct kv_packed_meta *packed);

/* 0, -ENOENT, -EBADMSG (not a record), or table errors. Expired records are returned.
 */
int kv_state_get(struct kv_view *view, const void *key, size_t len, struct kv_row *ret);
int kv_state_put(struct kv_view *view, const struct kv_record *record);
int kv_state_delete(struct kv_view *view, const void *key, size_t len);

/* Take a value from a walk over KV_DB_STATE apart. -EBADMSG. */
int kv_row_decode(struct kv_slice value, struct kv_row *ret);

/* A record of its own from a row. NULL: no memory. */
struct kv_record *kv_row_record(const struct kv_row *row, const void *key, size_t len,
                                bool bare);

/* Numbers that change with each commit, in one row of the meta table. */
struct kv_counters {
    uint64_t revision;  /* the newest */
    uint64_t next_id;   /* the next id that no key has had */
    uint64_t log_first; /* the oldest revision that the log holds whole */
    uint64_t log_bytes, log_events;
    uint64_t keys, directories; /* without the root */
};

/* -ENOENT in a new environment; -EPROTO when the format is not one this program knows.
 */
int kv_counters_get(struct kv_view *view, struct kv_counters *ret);
int kv_counters_put(struct kv_view *view, const struct kv_counters *counters);

#endif
