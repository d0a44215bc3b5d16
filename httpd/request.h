#ifndef KV_HTTPD_REQUEST_H
#define KV_HTTPD_REQUEST_H

/* What the parts of the front-end share: the server, a connection, a request.
 *
 * A request lives inside its connection and is touched by one thread at a time: the
 * library's thread that serves the connection, or, while the connection is suspended,
 * the one thread that will resume it (the committer for a write, the hub for a watch).
 *
 * A handler (route.h) is called when the request and its body are complete. It either
 * prepares an answer (reply.h), or goes to sleep with kv_request_submit and names the
 * function that is called when the commit is done. */

#include "base/buf.h"
#include "base/clock.h"
#include "base/list.h"
#include "httpd/auth.h"
#include "httpd/budget.h"
#include "httpd/gate.h"
#include "httpd/server.h"
#include "httpd/uri.h"
#include "store/store.h"

#include <microhttpd.h>
#include <stdatomic.h>

struct kv_conns;
struct kv_dialects;
struct kv_loans;
struct kv_mounts_job;
struct kv_hub;
struct kv_pump;
struct kv_route;
struct kv_watcher;
struct kv_import;
struct kv_failures;
struct kv_jwt;
struct kv_tls_pair;
struct kv_token;
struct kv_tokens;
struct kv_session;

/* How many requests sleep, and whether new ones may: what stopping waits for. */
struct kv_drain {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool closed;         /* lock */
    unsigned sleeping;   /* lock: suspended, somebody will resume it */
    unsigned unanswered; /* lock: resumed or suspended, and not answered yet */
};

struct kv_http_counters {
    atomic_ulong responses[6]; /* by first digit of the status; [0] unused */
    atomic_ulong refused;      /* by the gate */
    atomic_ulong timeouts;     /* connections cut by a deadline */
    atomic_ulong events_sent;
    atomic_ulong wrong_tokens;
};

struct kv_http {
    struct kv_store *store;
    const char *const *allowed_hosts, *const *cors_origins;
    const char *version;
    uint64_t max_body_bytes;
    uint64_t max_body_memory; /* of all requests together */
    int64_t header_timeout_ns, transfer_timeout_ns, idle_timeout_ns;
    void (*more_metrics)(void *ctx, struct kv_buf *out);
    void (*more_status)(void *ctx, struct kv_buf *out);
    void (*mount)(void *ctx, struct kv_mounting *mounting);
    void *more_ctx;
    int64_t start_ns; /* monotonic */

    struct kv_conns *conns;
    struct kv_hub *hub;
    struct kv_pump *pump;
    struct kv_dialects *dialects;
    struct kv_drain drain;
    struct kv_http_counters counters;
    atomic_uint exports;       /* under way */
    atomic_bool backup;        /* one is */
    atomic_ullong body_memory; /* bytes of bodies held now */
    struct kv_budget answers;  /* bytes of answers held now */
    struct kv_loans *loans;    /* the large values among them */
    struct kv_tokens *tokens;
    struct kv_jwt *jwt;
    struct kv_failures *failures;
};

enum kv_method {
    KV_GET = 1 << 0,
    KV_HEAD = 1 << 1,
    KV_PUT = 1 << 2,
    KV_POST = 1 << 3,
    KV_DELETE = 1 << 4,
    KV_OPTIONS = 1 << 5, /* answered in cors.c alone */
    KV_OTHER_METHOD = 1 << 6,
};

/* Who asks (access.h). Zero: nobody, who may do nothing. */
struct kv_caller {
    bool everything;        /* because no token is needed */
    bool manages;           /* tokens */
    int64_t until_s;        /* realtime: the end of what he showed, which the daemon had
                               signed (webtoken.h); 0: it was nothing like that */
    struct kv_token *token; /* otherwise, a reference; NULL: nobody */
};

enum kv_stage {
    KV_STAGE_LINE,   /* the request line was seen */
    KV_STAGE_BODY,   /* the headers were accepted, the body is coming */
    KV_STAGE_ASLEEP, /* suspended, or resumed and not called yet */
    KV_STAGE_ANSWERED,
};

struct kv_request {
    struct kv_http *http;
    struct MHD_Connection *connection;
    enum kv_stage stage;
    enum kv_method method;
    struct kv_headers headers;
    struct kv_uri uri;
    const char *target_end; /* where the raw target ended in the library's buffer */
    struct kv_buf target;   /* the raw target; uri points into it */
    const struct kv_route *route;
    struct kv_caller caller;
    const char *rest; /* of the path, behind the route's */
    size_t rest_len;
    struct kv_buf body;
    uint64_t charged;      /* bytes added to http->body_memory */
    uint64_t received;     /* bytes of the body so far */
    int64_t body_start_ns; /* monotonic */
    bool body_sleeps;      /* asleep between pieces of the body, since: */
    int64_t sleep_start_ns;
    bool discard; /* the answer is prepared; the rest of the body does not matter */

    /* The answer, prepared. */
    unsigned status;
    struct MHD_Response *response;
    uint64_t answer_bytes;   /* of its body; 0: none, or a stream */
    uint64_t answer_taken;   /* of http->answers, until the request is reset */
    const char *cors_origin; /* of the page that asks, when it is another's */
    size_t cors_origin_len;
    bool streams;  /* the answer sees to its deadline itself */
    bool borrowed; /* the response belongs to record, which is held until it is sent off
                    */
    struct kv_record *record;

    /* While asleep. */
    bool entered; /* counted in http->drain */
    void (*resume)(struct kv_request *request);

    /* What a commit gave. */
    int error;
    uint64_t revision, mod_revision, version, size, count;
    int64_t expiry_ns;
    int64_t number; /* of a counter */
    bool created;
    bool counter;       /* number is one, and part of the answer */
    struct kv_txn *txn; /* that was kept: with its results */
    bool several_tags;  /* If-Match with a list: a failed compare is tried again */

    struct kv_watcher *watcher;
    struct kv_session *session; /* that it polls, as a watcher */
    struct kv_import *import;
    struct kv_mounts_job *mounting;
};

struct kv_conn {
    struct kv_list_node node;               /* conns->lock */
    struct kv_list_node bucket;             /* conns->lock */
    unsigned char network[KV_NETWORK_SIZE]; /* of its address */
    bool local;                             /* Unix socket */
    bool loopback;
    struct kv_tls_pair *tls; /* NULL: plain */
    bool crowded;            /* one too many: answered with 503 */
    int fd;
    atomic_llong deadline_ns; /* monotonic; 0: none */
    char host[64];            /* the Host value that was accepted last */
    size_t host_len;
    struct kv_request request;
};

static inline struct kv_conn *kv_request_conn(struct kv_request *request)
{
    return KV_CONTAINER_OF(request, struct kv_conn, request);
}

/* A body or an answer may take the transfer timeout, and longer by what its size takes
 * at this rate. */
#define KV_TRANSFER_BYTES_PER_S (64 * 1024)

static inline int64_t kv_http_transfer_ns(const struct kv_http *http, uint64_t bytes)
{
    return http->transfer_timeout_ns +
           (int64_t)(bytes * (uint64_t)KV_NS_PER_S / KV_TRANSFER_BYTES_PER_S);
}

/* Put the connection to sleep, to be woken by kv_request_wake: resume is then called on
 * the connection's thread. false: the server is stopping; the request is left as it
 * was. The connection's thread only. */
bool kv_request_sleep(struct kv_request *request,
                      void (*resume)(struct kv_request *request));

/* Wake it: exactly once for each sleep, by any thread, under no lock. The request is
 * not the caller's any more afterwards. */
void kv_request_wake(struct kv_request *request);

/* Go to sleep, submit, and call resume with the result in error, revision, ... When who
 * asks may not do all of it, or the server is stopping, answers 403 or 503 and frees
 * the transaction. The transaction's done
 * and ctx are set here. */
void kv_request_submit(struct kv_request *request, struct kv_txn *txn,
                       void (*resume)(struct kv_request *request));

/* The same, and the transaction stays with the request as request->txn, for its
 * results, until the request is reset. */
void kv_request_submit_kept(struct kv_request *request, struct kv_txn *txn,
                            void (*resume)(struct kv_request *request));

/* Count bytes of the request's body that are held in memory, until the request is
 * reset. False: now all bodies together are more than allowed. The connection's thread.
 */
bool kv_request_charge(struct kv_request *request, uint64_t bytes);

/* Count so many bytes less again. */
void kv_request_uncharge(struct kv_request *request, uint64_t bytes);

/* Back to an empty request; frees what it held. */
void kv_request_reset(struct kv_request *request);

int kv_drain_init(struct kv_drain *drain);
void kv_drain_done(struct kv_drain *drain);
/* From now on nobody goes to sleep. */
void kv_drain_close(struct kv_drain *drain);
bool kv_drain_is_closed(struct kv_drain *drain);
/* Wait until nobody sleeps, and then until all are answered or timeout_ns is over. */
void kv_drain_wait(struct kv_drain *drain, int64_t timeout_ns);

#endif
