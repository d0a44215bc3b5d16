#ifndef KV_FUSE_PROCESS_H
#define KV_FUSE_PROCESS_H

/* Which process a request comes from. A request names the calling thread; the rules
 * about who closed what speak of processes (thread groups). Any thread. */

#include <stdbool.h>
#include <sys/types.h>

/* The thread group of a thread, or the thread itself when it cannot be found out. */
pid_t kv_process_of(pid_t tid);

/* Whether the thread belongs to the process. One system call at most. */
bool kv_process_has(pid_t process, pid_t tid);

/* Whether a process has ended and was waited for. */
bool kv_process_ended(pid_t process);

#endif
