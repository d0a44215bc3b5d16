#ifndef KV_CLI_HTTP_H
#define KV_CLI_HTTP_H

/* One HTTP request after another to one server, over libcurl: TCP or a Unix socket,
 * bodies streamed both ways. Proxies of the environment are not used: a store is near.
 * One thread. */

#include "base/cleanup.h"
#include "fault.h"
#include "source.h"
#include "trust.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct kv_http;

struct kv_http_answer {
    long status;
    /* From the headers; 0 when there is none. */
    uint64_t mod_revision; /* ETag "N" */
    uint64_t revision;     /* X-Kv-Revision */
    uint64_t version;      /* X-Kv-Version */
    uint64_t length;       /* Content-Length */
    time_t modified;       /* Last-Modified */
    int64_t expires_ns;    /* X-Kv-Expires, realtime */
    struct kv_buf body;    /* but for what went to a sink */
};

/* Where the body of a 2xx answer goes as it arrives. Each returns 0 to go on; anything
 * else ends the request, and kv_http_perform returns it. begin may be NULL, and comes
 * once. */
struct kv_http_sink {
    int (*begin)(void *ctx, const struct kv_http_answer *answer);
    int (*data)(void *ctx, const void *data, size_t len);
    void *ctx;
};

struct kv_http_request {
    const char *method;
    const char *target;              /* path and query, percent-encoded */
    const struct kv_source *body;    /* NULL: none */
    const char *headers[4];          /* "Name: value"; up to a NULL */
    const struct kv_http_sink *sink; /* NULL: everything into answer->body */
    unsigned timeout_ms;             /* for all of it; 0: none */
    /* Called about once a second and after each signal; may be NULL. Not 0 ends the
     * request, and kv_http_perform returns it. */
    int (*tick)(void *ctx);
    void *tick_ctx;
    void (*sent)(void *ctx, size_t len); /* bytes of the body; may be NULL */
    void *sent_ctx;
};

/* url is "[http://]HOST[:PORT][/PATH]" or https; trust is kept. 0, KV_EXIT_USAGE,
 * KV_EXIT_LOCAL. */
int kv_http_new(const char *url, const char *socket_path, const struct kv_trust *trust,
                struct kv_http **ret, struct kv_fault *fault);
void kv_http_free(struct kv_http *http); /* NULL is allowed */
KV_DEFINE_CLEANUP(struct kv_http, kv_http_free)

/* 0: answered, whatever the status says. KV_EXIT_AWAY: no answer, or it broke off.
 * KV_EXIT_LOCAL, or what the sink returned. The answer is the caller's to end with
 * kv_http_answer_done in any case. */
int kv_http_perform(struct kv_http *http, const struct kv_http_request *request,
                    struct kv_http_answer *answer, struct kv_fault *fault);

void kv_http_answer_done(struct kv_http_answer *answer);

/* An RFC 3339 time in UTC, as kvfsd writes it, in nanoseconds; 0 when it is none. */
int64_t kv_http_time_ns(const char *text);

/* Where it goes, for messages. */
const char *kv_http_place(const struct kv_http *http);

/* Append text with all bytes but unreserved ones (RFC 3986 section 2.3) and '/' as
 * %XX. */
void kv_http_encode(struct kv_buf *out, const char *text);

#endif
