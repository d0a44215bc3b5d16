#ifndef KV_CLI_LOAD_H
#define KV_CLI_LOAD_H

/* Clients that put and get the keys of one directory as fast as they are answered, and
 * that check every value they get: it must be whole, of the right key, and no older
 * than what was acknowledged before it was asked for. Each key is written by one client
 * only, so what it holds is known. Each client is a process of its own with a
 * connection of its own, because a mount shows to a process what it has written and not
 * closed yet.
 *
 * One thread, and no others while clients are made. */

#include "access.h"
#include "latency.h"
#include "progress.h"

enum kv_load_kind {
    KV_LOAD_FILL,  /* put every key once */
    KV_LOAD_PUT,   /* any key, over what is there */
    KV_LOAD_GET,   /* any key */
    KV_LOAD_MIXED, /* nine gets for a put */
    KV_LOAD_CHECK, /* get every key once: it holds what was put last */
};

#define KV_LOAD_SIZE_MIN 16 /* of a value: it tells its key and its place in order */

struct kv_load_config {
    const char *dir; /* a key that is not there; the load's own */
    unsigned clients;
    uint64_t keys; /* at least as many as clients */
    uint64_t size; /* bytes of each value, from KV_LOAD_SIZE_MIN on */
    /* Opens a client's way to the keys, in the client's process. 0 or the fault. */
    int (*open)(void *ctx, struct kv_access **ret, struct kv_fault *fault);
    void *open_ctx;
};

struct kv_load_result {
    struct kv_latency latency;
    int64_t elapsed_ns;
    bool interrupted; /* by Ctrl-C */
};

struct kv_load;

/* Start the clients. config's texts have to outlive the load. 0 or KV_EXIT_LOCAL. */
int kv_load_new(const struct kv_load_config *config, struct kv_load **ret,
                struct kv_fault *fault);
void kv_load_free(struct kv_load *load); /* ends them; NULL is allowed */

/* Let the clients do that for duration_ns (of FILL and CHECK: until it is done), or
 * until Ctrl-C, which must be caught (interrupt.h). The first operation that fails ends
 * it. 0 or the fault. */
int kv_load_run(struct kv_load *load, enum kv_load_kind kind, int64_t duration_ns,
                struct kv_progress *progress, struct kv_load_result *ret,
                struct kv_fault *fault);

/* Remove, by access, the directory and all that is in it. 0, also when there is none,
 * or the fault. */
int kv_load_clear(const struct kv_load *load, struct kv_access *access,
                  struct kv_fault *fault);

#endif
