#ifndef KV_HTTPD_WEBSOCKET_H
#define KV_HTTPD_WEBSOCKET_H

/* GET /v1/watch as a WebSocket (RFC 6455): the opening handshake, and the messages of
 * the stream. Each message is one JSON object, in a text frame:
 *
 *     {"type":"open","revision":13}                 the first
 *     {"id":"13.0","type":"put","key":...}          what an event of the stream is
 *     {"id":"14","type":"progress"}                 with a heartbeat, which is a ping
 *     {"type":"compacted","message":...,...}        the last, before the Close
 *     {"type":"failed","message":...}               likewise
 *
 * The socket itself is the pump's (pump.h). */

#include "httpd/request.h"
#include "httpd/stream.h"

/* Base64 of a SHA-1, and a NUL. */
#define KV_WS_ACCEPT_SIZE 29

/* Application codes for a Close, after the status of HTTP. */
#define KV_WS_UNAUTHORIZED 4401
#define KV_WS_COMPACTED 4410

extern const struct kv_framing kv_websocket_framing;

/* Whether the request opens a WebSocket as it must; what Sec-WebSocket-Accept has to
 * say. False: 400 or 426 is prepared. */
bool kv_websocket_check(struct kv_request *request, char ret_accept[KV_WS_ACCEPT_SIZE]);

/* Section 4.2.2: the answer to a key. 0, or -EINVAL: it is not 16 bytes in base64. */
int kv_websocket_accept(const char *key, size_t len, char ret[KV_WS_ACCEPT_SIZE]);

/* Prepare 101. When it was sent, the pump drives request->watcher. */
void kv_websocket_reply(struct kv_request *request, const char *accept);

#endif
