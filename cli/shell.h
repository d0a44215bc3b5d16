#ifndef KV_CLI_SHELL_H
#define KV_CLI_SHELL_H

#include "command.h"

/* Run the lines of stdin as commands: at a prompt when it is a terminal, as a script
 * otherwise. The exit status: at a prompt 0; of a script that of the first command that
 * failed. */
int kv_shell_run(struct kv_cli *cli);

/* Whether stdin is something to read commands from: not when it is /dev/null or the
 * like. */
bool kv_shell_has_input(void);

#endif
