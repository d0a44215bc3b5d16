#ifndef KV_CLI_TREE_H
#define KV_CLI_TREE_H

#include "command.h"

/* Write the directory dir ("": the root) and all that is below it to stdout as a tree.
 * 0 or an enum kv_exit with the fault set; what was written before stays. */
int kv_tree_draw(struct kv_cli *cli, const char *dir);

#endif
