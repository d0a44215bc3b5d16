#ifndef KV_STORE_SLICE_H
#define KV_STORE_SLICE_H

/* What the layers of a table (table.h) have in common: which tables there are, and how
 * bytes that somebody else owns are named. */

#include <stddef.h>
#include <string.h>

enum kv_db {
    KV_DB_STATE,  /* key -> record (state.h) */
    KV_DB_LOG,    /* revision, index -> event (changelog.h) */
    KV_DB_EXPIRY, /* expiry, id -> key (expiry.h) */
    KV_DB_META,   /* name -> the store's own numbers */
    KV_DB_COUNT,
};

struct kv_slice {
    const void *data;
    size_t len;
};

/* Where a walk over a table goes next. */
enum kv_move {
    KV_MOVE_SEEK, /* the first key that is not less than the given one */
    KV_MOVE_FIRST,
    KV_MOVE_NEXT,
    KV_MOVE_LAST,
    KV_MOVE_PREV,
};

/* The order of keys: of their bytes, and a prefix comes first. */
static inline int kv_slice_compare(struct kv_slice a, struct kv_slice b)
{
    size_t len = a.len < b.len ? a.len : b.len;
    int order = len > 0 ? memcmp(a.data, b.data, len) : 0;
    return order != 0 ? order : (a.len > b.len) - (a.len < b.len);
}

#endif
