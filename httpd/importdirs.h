#ifndef KV_HTTPD_IMPORTDIRS_H
#define KV_HTTPD_IMPORTDIRS_H

/* The directories of an import that more may come into. Making an entry touches the
 * times of its directory, so the time that a line tells of a directory is set once more
 * behind everything in it. Lines in byte order are what this understands; of others it
 * may set a time too early. One thread at a time. */

#include "base/buf.h"
#include "store/key.h"
#include "store/txn.h"

/* They all contain the key that came last, so they are beginnings of one text, and no
 * more than it is long. Zero: none. */
struct kv_import_dirs {
    char key[KV_KEY_MAX];
    size_t count;
    struct {
        size_t len; /* of key */
        int64_t mtime_ns;
        bool filled; /* something has come into it */
    } open[KV_KEY_MAX];
};

/* What one call may add to a transaction. */
#define KV_IMPORT_DIRS_OPS KV_KEY_MAX

/* A line with this key has come (NULL: no more will): add operations that set the times
 * of the directories that are complete now. 0 or -ENOMEM. */
int kv_import_dirs_pass(struct kv_import_dirs *dirs, const char *key, size_t len,
                        struct kv_txn *txn);

/* That line was of a directory, with the time that it is to have. After pass. */
void kv_import_dirs_open(struct kv_import_dirs *dirs, const char *key, size_t len,
                         int64_t mtime_ns);

#endif
