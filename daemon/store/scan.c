/* Scans over one snapshot. */
#include "store/scan.h"

#include "base/clock.h"
#include "store/store_internal.h"

#include <errno.h>
#include <string.h>

struct kv_scan {
    struct kv_view *view;
    struct kv_walk *walk;
    uint64_t revision;
    bool begun, below; /* it has shown the directory; it has gone on behind that */
    size_t from_len;   /* of the directory and the slash behind it */
    char from[KV_KEY_MAX + 1]; /* what all keys of the scan begin with */
};

static int check_dir(struct kv_view *view, const void *dir, size_t len)
{
    struct kv_row row;
    if (len == 0)
        return 0;
    if (len > KV_KEY_MAX)
        return -ENAMETOOLONG;
    int err = kv_state_get(view, dir, len, &row);
    if (err)
        return err;
    return S_ISDIR(row.meta.mode) ? 0 : -ENOTDIR;
}

int kv_scan_open(struct kv_store *store, const void *dir, size_t dir_len,
                 struct kv_scan **ret)
{
    KV_CLEANUP(kv_scan_closep) struct kv_scan *scan = calloc(1, sizeof(*scan));
    struct kv_counters counters;
    if (!scan)
        return -ENOMEM;
    int err = kv_view_read(store->table, &scan->view);
    if (!err)
        err = kv_counters_get(scan->view, &counters);
    if (!err)
        err = check_dir(scan->view, dir, dir_len);
    if (!err)
        err = kv_walk_open(scan->view, KV_DB_STATE, &scan->walk);
    if (err)
        return err;
    scan->revision = counters.revision;
    if (dir_len > 0) {
        memcpy(scan->from, dir, dir_len);
        scan->from[dir_len] = '/';
        scan->from_len = dir_len + 1;
    }
    *ret = KV_STEAL(scan);
    return 0;
}

static int step(struct kv_scan *scan, struct kv_slice *key, struct kv_slice *value)
{
    /* Behind the root's own row, which is a single NUL. */
    const struct kv_slice first = {scan->from_len ? scan->from : "\x01",
                                   scan->from_len ? scan->from_len : 1};
    if (!scan->begun) {
        scan->begun = true;
        if (scan->from_len > 0)
            return kv_walk_seek(scan->walk,
                                (struct kv_slice){scan->from, scan->from_len - 1}, key,
                                value);
    }
    /* Other keys ("dir-") stand between a directory and what is in it. */
    int err = scan->below ? kv_walk_next(scan->walk, key, value)
                          : kv_walk_seek(scan->walk, first, key, value);
    scan->below = true;
    if (err)
        return err;
    bool inside =
        key->len > scan->from_len && memcmp(key->data, scan->from, scan->from_len) == 0;
    return inside ? 0 : -ENOENT;
}

int kv_scan_next(struct kv_scan *scan, struct kv_scan_row *ret)
{
    int64_t now_ns = kv_clock_realtime_ns();
    struct kv_slice key, value;
    struct kv_row row;
    do {
        int err = step(scan, &key, &value);
        if (!err)
            err = kv_row_decode(value, &row);
        if (err)
            return err;
    } while (row.meta.expiry_ns && row.meta.expiry_ns <= now_ns);
    kv_view_rest(scan->view);
    *ret = (struct kv_scan_row){.key = key.data,
                                .key_len = key.len,
                                .meta = row.meta,
                                .xattrs = row.xattrs,
                                .xattrs_len = row.xattrs_len,
                                .value = row.value};
    return 0;
}

uint64_t kv_scan_revision(const struct kv_scan *scan)
{
    return scan->revision;
}

void kv_scan_close(struct kv_scan *scan)
{
    if (!scan)
        return;
    kv_walk_close(scan->walk);
    kv_view_end(scan->view);
    free(scan);
}
