#ifndef KV_STORE_SCAN_H
#define KV_STORE_SCAN_H

/* A scan: every key and directory in one snapshot, at the caller's pace. As long as it
 * is open, pages of that snapshot cannot be used again, so the file grows by what is
 * written meanwhile: whoever opens one must bound how long it lives.
 *
 * Any thread, one at a time for each scan. */

#include "store/store.h"

struct kv_scan;

/* Where a scan stands: pointers into the map, good until the scan is closed. */
struct kv_scan_row {
    const char *key;
    size_t key_len;
    struct kv_meta meta;
    const void *xattrs;
    size_t xattrs_len;
    const void *value; /* meta.size bytes; nothing for a directory */
};

/* Begin before directory dir, behind which comes what lies below it, in byte order of
 * keys (dir_len 0: everything, but not the root itself). -ENOENT, -ENOTDIR, -ENAMETOOLONG, -ENOMEM, -EMFILE, -EIO. */
int kv_scan_open(struct kv_store *store, const void *dir, size_t dir_len,
                 struct kv_scan **ret);

/* Step on, past keys whose time is over. 0; -ENOENT at the end, -EBADMSG, -EIO. */
int kv_scan_next(struct kv_scan *scan, struct kv_scan_row *ret);

/* Of the snapshot. */
uint64_t kv_scan_revision(const struct kv_scan *scan);

void kv_scan_close(struct kv_scan *scan); /* NULL is allowed */
KV_DEFINE_CLEANUP(struct kv_scan, kv_scan_close)

#endif
