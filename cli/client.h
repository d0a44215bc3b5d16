#ifndef KV_CLI_CLIENT_H
#define KV_CLI_CLIENT_H

/* What client.c and client_watch.c share: the HTTP side of access.h. */

#include "access.h"
#include "base/jsonread.h"
#include "http.h"

struct kv_client {
    struct kv_access access;
    struct kv_http *http;
};

static inline struct kv_client *kv_client_of(struct kv_access *access)
{
    return (struct kv_client *)access; /* its first member */
}

/* The JSON of a 2xx answer; otherwise what kvfsd says is wrong, or that it is not kvfsd
 * who answered. key (may be NULL) is what the request was about. */
int kv_client_judge(struct kv_client *client, const struct kv_http_answer *answer,
                    const char *key, struct kv_fault *fault);

/* A request without a body of which only the JSON answer matters: json points into
 * answer. The answer is the caller's to end. */
int kv_client_ask(struct kv_client *client, const char *target,
                  struct kv_http_answer *answer, struct kv_span *json,
                  struct kv_fault *fault);

/* -- What only HTTP has, for commands that are http_only -- */

/* Add by to the number that is the value of key; the sum is appended to ret_value. */
int kv_client_incr(struct kv_client *client, const char *key, int64_t by,
                   struct kv_buf *ret_value, struct kv_written *ret,
                   struct kv_fault *fault);

/* Run a transaction, JSON as docs/http.md has it, within timeout_ms (0: no limit). json
 * points into answer, which is the caller's to end. A compare that does not hold is no
 * fault: "succeeded" tells. */
int kv_client_txn(struct kv_client *client, const struct kv_buf *txn,
                  unsigned timeout_ms, struct kv_http_answer *answer,
                  struct kv_span *json, struct kv_fault *fault);

/* access.h's watch. */
int kv_client_watch(struct kv_access *access, const struct kv_watcher *watcher,
                    struct kv_fault *fault);

/* access.h's mounts, mount and unmount. */
int kv_client_mounts(struct kv_access *access, struct kv_buf *ret_json,
                     struct kv_fault *fault);
int kv_client_mount(struct kv_access *access, const char *dir, const char *options,
                    struct kv_fault *fault);
int kv_client_unmount(struct kv_access *access, const char *dir, bool lazy,
                      struct kv_fault *fault);

#endif
