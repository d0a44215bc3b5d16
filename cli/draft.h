#ifndef KV_CLI_DRAFT_H
#define KV_CLI_DRAFT_H

/* A value in a file of its own, for an editor. The file lies alone in a directory that
 * only its user may enter, and has the last component of the key for its name, from
 * which editors know what language it is. One thread. */

#include "fault.h"

#include <stdbool.h>

struct kv_draft {
    char *dir, *path;
    bool keep; /* leave it there at the end */
};

/* Make the file, below TMPDIR or /tmp. 0 or KV_EXIT_LOCAL. */
int kv_draft_write(struct kv_draft *draft, const char *key, const void *data,
                   size_t len, struct kv_fault *fault);

/* Let the user's editor ($VISUAL, $EDITOR, or vi) work on it. 0 when it ended with
 * status 0, otherwise KV_EXIT_LOCAL. */
int kv_draft_edit(const struct kv_draft *draft, struct kv_fault *fault);

/* Append what is in the file now. 0 or KV_EXIT_LOCAL. */
int kv_draft_read(const struct kv_draft *draft, struct kv_buf *out,
                  struct kv_fault *fault);

/* Remove it, unless it is to be kept. */
void kv_draft_done(struct kv_draft *draft);

#endif
