/* Paths are few, so all are looked at. */
#include "store/within.h"

#include <string.h>

enum kv_within_place kv_within_place(const struct kv_within *within, const void *key,
                                     size_t len)
{
    enum kv_within_place place = KV_OUTSIDE;
    for (size_t i = 0; i < within->count; i++) {
        const char *path = within->paths[i].text;
        size_t path_len = within->paths[i].len;
        if (kv_key_equal(key, len, path, path_len) ||
            kv_key_is_below(key, len, path, path_len))
            return KV_INSIDE;
        if (kv_key_is_below(path, path_len, key, len))
            place = KV_ON_THE_WAY;
    }
    return place;
}

/* Keep the candidate if it comes behind key and before the best so far. */
static void offer(const char *candidate, size_t candidate_len, const void *key,
                  size_t len, char *best, size_t *best_len)
{
    if (kv_key_compare(candidate, candidate_len, key, len) <= 0 ||
        (*best_len > 0 &&
         kv_key_compare(candidate, candidate_len, best, *best_len) >= 0))
        return;
    memcpy(best, candidate, candidate_len);
    *best_len = candidate_len;
}

/* What is not outside begins at a path, at its slash, or at a directory on the way. */
bool kv_within_next(const struct kv_within *within, const void *key, size_t len,
                    char ret[KV_KEY_MAX + 1], size_t *ret_len)
{
    *ret_len = 0;
    for (size_t i = 0; i < within->count; i++) {
        size_t path_len = within->paths[i].len;
        char path[KV_KEY_MAX + 1];
        memcpy(path, within->paths[i].text, path_len);
        path[path_len] = '/';
        offer(path, path_len + 1, key, len, ret, ret_len);
        for (size_t part = path_len; part > 0; part = kv_key_parent_len(path, part))
            offer(path, part, key, len, ret, ret_len);
    }
    return *ret_len > 0;
}
