#ifndef KV_HTTPD_PUMP_H
#define KV_HTTPD_PUMP_H

/* The pump: one thread that drives the sockets of all WebSockets. The library hands a
 * socket over when its 101 was sent, and gets it back to be closed; in between nobody
 * but the pump reads it, writes it, or touches its watcher, but the hub while that is
 * parked. */

#include "httpd/hub.h"

struct kv_pump;

/* NULL: no memory. kv_pump_start follows: 0, -EMFILE, -EAGAIN, ... */
struct kv_pump *kv_pump_new(void);
int kv_pump_start(struct kv_pump *pump);

/* Tell every client that the daemon goes away, wait until each has answered or was cut
 * off (kv_conns_tick must still be called), and end the thread. What comes later is
 * closed at once. The hub must have been stopped. */
void kv_pump_stop(struct kv_pump *pump);
void kv_pump_free(struct kv_pump *pump); /* NULL is allowed */

/* Drive a watcher's socket from now on, until its end. extra: what was read of it
 * already. The connection's thread. */
void kv_pump_add(struct kv_watcher *watcher, int fd,
                 struct MHD_UpgradeResponseHandle *handle, const char *extra,
                 size_t extra_len);

#endif
