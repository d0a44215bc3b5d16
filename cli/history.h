#ifndef KV_CLI_HISTORY_H
#define KV_CLI_HISTORY_H

/* The versions of a key that kvfsd's log still holds. Over HTTP. One thread. */

#include "client.h"

struct kv_version {
    const char *type;       /* as in struct kv_change */
    const char *key, *from; /* from: of a rename, otherwise NULL */
    const char *time, *origin;
    uint64_t revision, version, size;
    const char *value; /* of size bytes; NULL: none, or left out */
    bool omitted;
    struct kv_span json; /* all of it, one line */
};

/* Called for each version, the newest first; returns 0 to go on. */
typedef int kv_version_fn(void *ctx, const struct kv_version *version);

/* The versions of key before revision `before` (0: all). ret_oldest gets the revision
 * from which on the log is whole. 0, what each returned, or the fault. */
int kv_history_each(struct kv_client *client, const char *key, uint64_t before,
                    bool values, kv_version_fn *each, void *ctx, uint64_t *ret_oldest,
                    struct kv_fault *fault);

#define KV_HISTORY_NOW (UINT64_MAX - 1) /* a revision: the newest */

/* The value of key as it was when revision was the newest; a key that was renamed is
 * followed. 0; KV_EXIT_NOT_FOUND when there was no such key, or when it is not known
 * any more, which the message tells; KV_EXIT_REFUSED when there is no such revision
 * yet; or another fault. */
int kv_history_value(struct kv_client *client, const char *key, uint64_t revision,
                     struct kv_buf *ret, struct kv_fault *fault);

#endif
