#ifndef KV_HTTPD_LONGPOLL_H
#define KV_HTTPD_LONGPOLL_H

/* GET /v1/keys/KEY?wait=30s&since=REV: an answer as soon as the key changes. The
 * connection sleeps as a watcher of the hub's. */

#include "httpd/route.h"

/* The key is valid. Call answer, once, when the key has changed after since=, or at the
 * first change when there is no since; answer 304 when the time is over. What is wrong
 * with the parameters is answered, too. The connection's thread. */
void kv_poll_get(struct kv_request *request, kv_handler_fn *answer);

#endif
