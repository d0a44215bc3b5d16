#ifndef KV_HTTPD_WATCH_H
#define KV_HTTPD_WATCH_H

/* GET /v1/watch: the change stream as Server-Sent Events (HTML Living Standard, section
 * 9.2). A watcher is a cursor and a filter; the hub is one thread that follows the
 * feed and wakes the watchers it has something for. */

#include "httpd/request.h"
#include "httpd/sse.h"

/* NULL: no memory. kv_hub_start follows; -EAGAIN: no thread. */
struct kv_hub *kv_hub_new(struct kv_http *http, unsigned max_watches);
int kv_hub_start(struct kv_hub *hub);

/* Wake every watcher, which then ends its stream, and end the thread. http->drain must
 * be closed, so that no watcher goes to sleep again. */
void kv_hub_stop(struct kv_hub *hub);
void kv_hub_free(struct kv_hub *hub); /* no watcher may be left; NULL is allowed */

/* Wake the watchers whose last word is long ago, for a heartbeat, and the polls whose
 * time is over. Called every second
 * or so. */
void kv_hub_tick(struct kv_hub *hub);

unsigned kv_hub_watchers(struct kv_hub *hub);

/* Make the request a watcher, as request->watcher. False: there is no memory, or there
 * are as many watchers as allowed, and the answer is prepared. */
bool kv_watcher_begin(struct kv_request *request, const struct kv_filter *filter,
                      const struct kv_position *position);
void kv_watcher_free(struct kv_watcher *watcher); /* NULL is allowed */

#endif
