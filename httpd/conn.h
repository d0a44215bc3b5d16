#ifndef KV_HTTPD_CONN_H
#define KV_HTTPD_CONN_H

/* The connections that are open: how many, from where, and until when they may take.
 *
 * The library counts idle time only, so a client that sends a byte every two seconds
 * would live for ever. Here each phase has an absolute end: the headers, and the body
 * by its size. kv_conns_tick cuts what is late with shutdown(2), and the library then
 * cleans up as if the client had gone.
 *
 * Why the descriptor is still the right one: the library announces the end of a
 * connection (MHD_CONNECTION_NOTIFY_CLOSED) before it closes the descriptor, in the
 * same thread. kv_conn_closed takes the connection out under conns->lock, and tick
 * calls shutdown under that lock, so while a connection is in the list its descriptor
 * is open and nobody else's. */

#include "httpd/request.h"

struct kv_conns_limits {
    unsigned connections; /* more are answered with 503 and closed */
    unsigned per_address; /* likewise; loopback and the Unix socket are free of it */
};

/* Where the library stops to accept: room for telling the surplus that it is too many.
 */
#define KV_CONNS_HEADROOM 64

struct kv_conns *kv_conns_new(const struct kv_conns_limits *limits);
void kv_conns_free(struct kv_conns *conns); /* every connection must be closed */

/* A connection began; NULL: no memory, and it must be closed. */
struct kv_conn *kv_conn_started(struct kv_http *http, struct MHD_Connection *connection,
                                bool local);
/* It ends. NULL is allowed. */
void kv_conn_closed(struct kv_conn *conn);

/* It must be done within ns from now; 0: no deadline. */
void kv_conn_deadline(struct kv_conn *conn, int64_t ns);

/* The same, ns from a moment that may be long ago. */
void kv_conn_deadline_since(struct kv_conn *conn, int64_t start_ns, int64_t ns);

/* Cut connections that are late; how many. Any thread. */
unsigned kv_conns_tick(struct kv_conns *conns);

unsigned kv_conns_count(struct kv_conns *conns);

#endif
