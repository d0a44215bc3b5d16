#ifndef KV_SUPERVISOR_H
#define KV_SUPERVISOR_H

/* Tell the service manager what state the daemon is in, such as "READY=1" (the protocol
 * of sd_notify(3): a datagram to the Unix socket that NOTIFY_SOCKET names). Does
 * nothing and returns 0 when nobody asked for it; otherwise 0 or a negative errno. Any
 * thread. */
int kv_supervisor_tell(const char *state);

#endif
