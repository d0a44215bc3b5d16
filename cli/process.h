#ifndef KV_CLI_PROCESS_H
#define KV_CLI_PROCESS_H

/* Other programs that a command runs: an editor, a hook, the command below a lock. */

#include "fault.h"

#include <signal.h>
#include <sys/types.h>

/* What a shell reports for a command that cannot be run. */
#define KV_PROCESS_NOT_FOUND 127

/* Start argv[0], looked for in PATH, with stdin, stdout and stderr of this process and
 * the signal mask given (NULL: ours). One that cannot be run says so on stderr and ends
 * with KV_PROCESS_NOT_FOUND. 0 or KV_EXIT_LOCAL. */
int kv_process_start(char *const argv[], const sigset_t *mask, pid_t *ret,
                     struct kv_fault *fault);

/* The exit status as a shell has it: of a signal, 128 and its number. */
int kv_process_status(int wait_status);

/* Start and wait; Ctrl-C meanwhile is for the program alone. */
int kv_process_run(char *const argv[], int *ret_status, struct kv_fault *fault);

#endif
