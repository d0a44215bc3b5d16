#ifndef KV_HTTPD_KEEPSAKE_H
#define KV_HTTPD_KEEPSAKE_H

/* Small secret files in the data directory, each for its owner only: they are replaced
 * as a whole and are on the disk when that returns. One thread for each file. */

#include "base/buf.h"

/* Append the file's bytes. 0; -ENOENT: there is none; -EFBIG: longer than max;
 * -EACCES, -EIO, -ENOMEM, ... */
int kv_keepsake_read(const char *dir, const char *name, size_t max, struct kv_buf *out);

/* Write it beside its place, sync, rename, sync the directory. What was there stays
 * when it fails. -ENOSPC, -EROFS, -EIO, ... */
int kv_keepsake_write(const char *dir, const char *name, const void *data, size_t len);

#endif
