#ifndef KV_CLI_NEWFILE_H
#define KV_CLI_NEWFILE_H

/* A file that is there only when it is whole: written beside its place under another
 * name, synced, and then renamed. One thread. */

#include "fault.h"

#include <stddef.h>

struct kv_newfile {
    char *path, *temporary;
    int fd;
};

/* Begin; the file is for its owner only. 0 or KV_EXIT_LOCAL. */
int kv_newfile_begin(struct kv_newfile *file, const char *path, struct kv_fault *fault);

int kv_newfile_write(struct kv_newfile *file, const void *data, size_t len,
                     struct kv_fault *fault);

/* Sync what was written: from here on only its name can be wrong. 0 or KV_EXIT_LOCAL.
 */
int kv_newfile_sync(struct kv_newfile *file, struct kv_fault *fault);

/* Sync it and put it in its place, over what is there. 0 or KV_EXIT_LOCAL. */
int kv_newfile_commit(struct kv_newfile *file, struct kv_fault *fault);

/* Throw away what was not committed. */
void kv_newfile_done(struct kv_newfile *file);

#endif
