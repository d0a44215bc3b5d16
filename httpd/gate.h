#ifndef KV_HTTPD_GATE_H
#define KV_HTTPD_GATE_H

/* The gate: the first look at a request's headers. One pass classifies them all,
 * remembers the ones that matter later, and refuses what the library lets through
 * although it makes two parties disagree about where a request ends or whom it is for
 * (request smuggling, RFC 9112 section 11.2). What the gate refuses is answered with
 * 400 (403 for the browser rules of auth.h) and the connection closed. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A field value; NULL: the header is absent. Points into the library's buffer. */
struct kv_field {
    const char *text;
    size_t len;
};

struct kv_headers {
    struct kv_field host, origin, length, encoding, expect;
    struct kv_field if_match, if_none_match, if_range, if_unmodified_since, range;
    struct kv_field last_event_id, content_type;
    struct kv_field cors_method;             /* Access-Control-Request-Method */
    struct kv_field accept, accept_encoding; /* of several the first */
    struct kv_field authorization, x_access_tokens;
    struct kv_field ws_key, ws_version;      /* Sec-WebSocket-... */
    bool websocket;                          /* Upgrade names it */
    bool connection_upgrade;                 /* Connection names Upgrade */
    bool chunked;
    uint64_t content_length; /* 0 when absent */
};

struct kv_request;

/* Look at the request; version and url are what the library says. false: refused, and
 * the answer is prepared. The connection's thread, at the first call. */
bool kv_gate_check(struct kv_request *request, const char *version, const char *method);

#endif
