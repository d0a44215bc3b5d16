#ifndef KV_HTTPD_DIALECTS_DIALECTS_H
#define KV_HTTPD_DIALECTS_DIALECTS_H

/* What the dialects keep in memory for as long as the server runs. Their routes are in
 * route.h. */

#include "httpd/dialects/session.h"
#include "httpd/dialects/subscriptions.h"

struct kv_dialects {
    struct kv_sessions *sessions;           /* of key-value-store's Socket.IO */
    struct kv_subscriptions *subscriptions; /* of KV-Store */
};

struct kv_dialects *kv_dialects_new(unsigned max_sessions); /* NULL: no memory */
/* No request may be left; NULL is allowed. */
void kv_dialects_free(struct kv_dialects *dialects);

/* Called every second or so. Any thread. */
void kv_dialects_tick(struct kv_dialects *dialects);

#endif
