#ifndef KV_CLI_CMD_MOUNT_H
#define KV_CLI_CMD_MOUNT_H

/* What kv mount and kv umount share. */

#include "command.h"

/* Whether the way to kvfsd is one to its mounts. 0 or KV_EXIT_USAGE. */
int kv_cli_mount_access(struct kv_cli *cli);

/* The absolute path of a directory, to be freed. 0 or KV_EXIT_LOCAL. */
int kv_cli_mount_dir(struct kv_cli *cli, const char *dir, char **ret);

#endif
