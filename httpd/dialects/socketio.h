#ifndef KV_HTTPD_DIALECTS_SOCKETIO_H
#define KV_HTTPD_DIALECTS_SOCKETIO_H

/* /socket.io/: each put, whoever makes it, as the event `key_update` of Socket.IO, to
 * clients that poll (Engine.IO 4, its long-polling transport and no other). A poll
 * sleeps as a watcher of the hub's. */

#include "httpd/dialects/session.h"
#include "httpd/route.h"

/* How a session wakes its poll, which is a watcher. */
extern const struct kv_session_waker kv_socketio_waker;

/* What clients are told they may bring in one request. */
#define KV_SOCKETIO_PAYLOAD_MAX 1000000

/* GET opens a session or polls, POST brings packets to one, which must be there before
 * they are read. */
kv_admit_fn kv_socketio_admit;
kv_handler_fn kv_socketio_get, kv_socketio_post, kv_socketio_too_long;

/* Let go of the session that the request polls; it may have none. */
void kv_socketio_release(struct kv_request *request);

#endif
