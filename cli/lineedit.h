#ifndef KV_CLI_LINEEDIT_H
#define KV_CLI_LINEEDIT_H

/* Lines typed at a prompt, with editing, history and completion: libedit. One at a
 * time; one thread. */

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>

struct kv_lineedit;

/* Candidates for the word that the cursor is at the end of. */
struct kv_candidates {
    char **items; /* whole words, without quotes */
    size_t count, cap;
    size_t start; /* where the word begins in the line */
};

/* Add a copy. 0 or -ENOMEM. */
int kv_candidates_add(struct kv_candidates *candidates, const char *word);

/* Fill in what may stand in line, which ends at the cursor. 0 or a negative errno. */
typedef int kv_complete_fn(void *ctx, const char *line, struct kv_candidates *ret);

/* history_file: where the history is kept; NULL: nowhere. 0 or -ENOMEM. */
int kv_lineedit_new(const char *prompt, const char *history_file,
                    kv_complete_fn *complete, void *ctx, struct kv_lineedit **ret);

/* Save the history. NULL is allowed. */
void kv_lineedit_free(struct kv_lineedit *edit);
KV_DEFINE_CLEANUP(struct kv_lineedit, kv_lineedit_free)

enum kv_line { KV_LINE, KV_LINE_END, KV_LINE_INTERRUPTED };

/* The next line, NUL-terminated; it stays until the next call. INTERRUPTED: by Ctrl-C,
 * which interrupt.h has to catch meanwhile. */
enum kv_line kv_lineedit_read(struct kv_lineedit *edit, const char **ret);

#endif
