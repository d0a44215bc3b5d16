/* The memory of the dialects. */
#include "httpd/dialects/dialects.h"

#include "base/clock.h"
#include "httpd/dialects/socketio.h"

#include <stdlib.h>

struct kv_dialects *kv_dialects_new(unsigned max_sessions)
{
    struct kv_dialects *dialects = calloc(1, sizeof(*dialects));
    if (!dialects)
        return NULL;
    dialects->sessions = kv_sessions_new(max_sessions, &kv_socketio_waker);
    dialects->subscriptions = kv_subscriptions_new();
    if (dialects->sessions && dialects->subscriptions)
        return dialects;
    kv_dialects_free(dialects);
    return NULL;
}

void kv_dialects_free(struct kv_dialects *dialects)
{
    if (!dialects)
        return;
    kv_sessions_free(dialects->sessions);
    kv_subscriptions_free(dialects->subscriptions);
    free(dialects);
}

void kv_dialects_tick(struct kv_dialects *dialects)
{
    kv_sessions_tick(dialects->sessions, kv_clock_monotonic_ns());
}
