#ifndef KV_MOUNTS_H
#define KV_MOUNTS_H

/* The daemon's mounts. Each has a session, an inode table and a notifier of its own;
 * what they share is the store.
 *
 * Threads: the main thread adds, reaps and stops; status and metrics come from any. */

#include "mountspec.h"

struct kv_mounts;

struct kv_mounts_config {
    struct kv_store *store;
    const char *source; /* what df(1) calls them, unless an option says otherwise */
    unsigned threads;   /* of each mount; 0: a good number for this machine */
    bool allow_other;   /* in every mount */
    const char *version;
    const char *const *config_text; /* for /.kv/config */
    /* A mount ended by itself, and waits for kv_mounts_reap. From a thread of the
     * mount; must only pass the word on. */
    void (*ended)(void *ctx);
    void *ended_ctx;
};

/* None at first. NULL: no memory. config is copied, what it points to is not. */
struct kv_mounts *kv_mounts_new(const struct kv_mounts_config *config);

/* Mount DIR[,OPTION]... 0, or a negative errno and why in error, one line without a
 * newline; -EINVAL: the text is wrong. */
int kv_mounts_add(struct kv_mounts *mounts, const char *text, struct kv_buf *error);

/* The same for a directory and OPTION[,OPTION]...; logged. Where that is, without
 * symbolic links, is appended to ret_path. */
int kv_mounts_add_at(struct kv_mounts *mounts, const char *path, const char *options,
                     struct kv_buf *ret_path, struct kv_buf *error);

/* Unmount the one that this path leads to; logged. 0, or a negative errno and why in
 * error: -ENOENT there is none; -EBUSY in use, unless it is done lazily. */
int kv_mounts_remove(struct kv_mounts *mounts, const char *path, bool lazy,
                     struct kv_buf *error);

/* Stop those that were unmounted from outside, with a word to the log. */
void kv_mounts_reap(struct kv_mounts *mounts);

/* A line in the log for each. */
void kv_mounts_announce(struct kv_mounts *mounts);

size_t kv_mounts_count(struct kv_mounts *mounts);

/* Append what they have to tell: members of a JSON object, each with a comma before it;
 * Prometheus samples. mounts is a struct kv_mounts *. */
void kv_mounts_status(void *mounts, struct kv_buf *out);
void kv_mounts_metrics(void *mounts, struct kv_buf *out);

/* Unmount all and free. NULL is allowed. */
void kv_mounts_stop(struct kv_mounts *mounts);

#endif
