#ifndef KV_CLI_TRUST_H
#define KV_CLI_TRUST_H

/* Who asks, and which servers are believed: a token and a file of certificates. Neither
 * is ever printed. One thread. */

#include "fault.h"

struct kv_trust {
    struct kv_buf token; /* with a NUL; empty: none */
    const char *cacert;  /* NULL: the system's */
};

/* What --token or KV_TOKEN says: a token, or "@FILE", which holds one. 0,
 * KV_EXIT_USAGE: it cannot be one; KV_EXIT_LOCAL. */
int kv_trust_token(struct kv_trust *trust, const char *text, struct kv_fault *fault);

void kv_trust_done(struct kv_trust *trust);

#endif
