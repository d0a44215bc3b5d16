#ifndef KV_CLI_COMPLETE_H
#define KV_CLI_COMPLETE_H

#include "command.h"
#include "lineedit.h"

/* A kv_complete_fn (lineedit.h) for the shell; ctx is its struct kv_cli. The first word
 * is a command, then come options of that command and keys. */
int kv_complete(void *ctx, const char *line, struct kv_candidates *ret);

#endif
