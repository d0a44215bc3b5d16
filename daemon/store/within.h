#ifndef KV_STORE_WITHIN_H
#define KV_STORE_WITHIN_H

/* A part of the keyspace: what is at or below some paths, and the directories on the
 * way to them. Pure functions. Any thread. */

#include "store/key.h"

#define KV_WITHIN_MAX 32

struct kv_within {
    size_t count;
    struct {
        const char *text; /* len 0: the root, and so everything */
        size_t len;
    } paths[KV_WITHIN_MAX];
};

enum kv_within_place {
    KV_OUTSIDE,
    KV_ON_THE_WAY, /* a path lies below it: part of it if it is a directory */
    KV_INSIDE,
};

enum kv_within_place kv_within_place(const struct kv_within *within, const void *key,
                                     size_t len);

/* A key that is outside: where in byte order the next one that is not can be. False:
 * nowhere. */
bool kv_within_next(const struct kv_within *within, const void *key, size_t len,
                    char ret[KV_KEY_MAX + 1], size_t *ret_len);

#endif
