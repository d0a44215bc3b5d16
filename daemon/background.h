#ifndef KV_BACKGROUND_H
#define KV_BACKGROUND_H

/* Going into the background: the process forks, and who started it waits in the parent
 * until the child serves or has failed. The child keeps stdin, stdout and stderr until
 * then, so that it can say why. */

#include <stdbool.h>

/* Fork. In the parent, which waits: *ret_parent is true, and *ret_status is 0 when the
 * child serves, else the status it ended with. In the child, which is the leader of a
 * session and has no descriptors but the standard ones: *ret_parent is false, and
 * kv_background_ready has to be called. 0 or a negative errno. Before other threads
 * start. */
int kv_background_fork(bool *ret_parent, int *ret_status);

/* In the child: it serves. stdin and stdout are /dev/null from now on, and stderr is
 * where the log goes, or /dev/null too when that is no file. Does nothing in a process
 * that was not forked so. 0 or a negative errno. */
int kv_background_ready(void);

#endif
