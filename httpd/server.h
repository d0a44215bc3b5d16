#ifndef KV_HTTPD_SERVER_H
#define KV_HTTPD_SERVER_H

/* The HTTP front-end. This header is all that the rest of the daemon sees of it. */

#include "base/buf.h"
#include "base/list.h"
#include "store/store.h"

struct kv_httpd;

/* What /v1/mounts asks for: to mount on a directory, or to unmount it. */
struct kv_mounting {
    bool remove;
    bool lazy;           /* to be removed even when it is in use */
    const char *dir;     /* absolute */
    const char *options; /* of mount(8): "ro,subdir=app"; may be empty */
    /* The answer: 0, and where it is mounted, without symbolic links; or a negative
     * errno, and why. Then done, from any thread, which
     * ends the use of all this. */
    int error;
    struct kv_buf path, reason;
    void (*done)(struct kv_mounting *mounting);
    struct kv_list_node node; /* for the use of whoever works on it */
};

struct kv_httpd_config {
    const char *const
        *listen;             /* "HOST:PORT", "[V6]:PORT"; NULL-terminated; may be empty.
                                Port 0: one the kernel picks, told by kv_httpd_addresses */
    const char *socket_path; /* Unix socket, or NULL; a stale one is replaced */
    unsigned threads;        /* per TCP listener; 0: a good number for this machine */
    const char *state_dir;   /* where tokens and keys are kept: the data directory */
    bool tokens;             /* ask for a token although there is none yet */
    const char *tls_cert, *tls_key; /* PEM files: TLS on TCP; both or neither */
    bool insecure; /* allow addresses beyond loopback although nothing guards them */
    const char *const
        *allowed_hosts; /* Host values accepted besides the loopback names, the
                           listen addresses; NULL-terminated; or NULL */
    const char *const *cors_origins; /* origins whose web pages may use the API; NULL-
                                        terminated; or NULL */
    unsigned max_connections, max_connections_per_address, max_watches; /* 0: default */
    uint64_t max_body_bytes;   /* 0: the store's value limit (and a little for JSON) */
    uint64_t max_memory_bytes; /* of request bodies, and as much of answers; 0: four of
                                  the largest bodies, at least 256 MiB; raised to one */
    /* 0: default. The transfer timeout is for a body or an answer, which may take
     * longer by what its size takes at 64 KiB/s. */
    unsigned header_timeout_s, transfer_timeout_s, idle_timeout_s;
    const char *version;
    /* More samples for /metrics and /v1/status (the mount's); may be NULL. metrics
     * appends Prometheus text, status appends members of a JSON object, each with a
     * comma before. */
    void (*more_metrics)(void *ctx, struct kv_buf *out);
    void (*more_status)(void *ctx, struct kv_buf *out);
    /* Mount or unmount, in a while and by another thread; NULL: there is no /v1/mounts.
     */
    void (*mount)(void *ctx, struct kv_mounting *mounting);
    void *more_ctx;
};

/* Bind, listen and serve. -EADDRINUSE, -EACCES, -EPERM: beyond loopback without
 * insecure; -EINVAL: a listen address that cannot be parsed. The reason is logged. */
int kv_httpd_start(struct kv_store *store, const struct kv_httpd_config *config,
                   struct kv_httpd **ret);

/* Refuse new requests, end every watch, wait for the commits under way to be answered,
 * stop the threads, free. The store must still be running. NULL is allowed. */
void kv_httpd_stop(struct kv_httpd *httpd);

/* Read the certificate and its key again. 0; -ENOSYS: there is none; otherwise as
 * kv_httpd_start, what there was stays, and the reason is logged. */
int kv_httpd_reload(struct kv_httpd *httpd);

/* "127.0.0.1:5000", ... as bound; NULL-terminated, lives as long as httpd. */
const char *const *kv_httpd_addresses(struct kv_httpd *httpd);

#endif
