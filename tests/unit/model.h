#ifndef KV_TESTS_UNIT_MODEL_H
#define KV_TESTS_UNIT_MODEL_H

/* What a store should hold, in the simplest form: an array of keys with everything
 * copied at every step. It is written from the headers, not from the store's code, and
 * knows neither LMDB nor a cache. Times are not modelled, nor are keys that expire. */

#include "store/store.h"

struct model_entry {
    char key[KV_KEY_MAX + 1];
    uint64_t id; /* 0: the store has not told yet */
    uint64_t create_revision, mod_revision, version;
    uint32_t mode, uid;
    int64_t expiry_ns;
    const char *value; /* kept until model_free */
    size_t len;
    char colour[16], shape[16]; /* attributes user.colour, user.shape; "": not set */
};

struct model {
    struct model_entry *entries; /* in no order */
    size_t count, room;
    uint64_t revision;
    uint64_t max_value_bytes;
    void **memory; /* of the values */
    size_t memory_count;
};

/* What a transaction should have come to. */
struct model_result {
    int error;
    bool succeeded, changed;
    size_t failed; /* with an error */
    uint64_t revision;
};

void model_free(struct model *model);

/* Do what the transaction says, all or nothing. */
struct model_result model_apply(struct model *model, const struct kv_txn *txn);

/* Do what the events say, which are whole revisions. */
void model_replay(struct model *model, struct kv_event *const *events, size_t count);

struct model_entry *model_find(const struct model *model, const char *key);

/* Sort by key, for a listing. */
void model_sort(struct model *model);

#endif
