#ifndef KV_FUSE_FLUSH_H
#define KV_FUSE_FLUSH_H

/* When does closing publish? The rule for one handle that is open for writing, as a
 * state machine without any FUSE in it.
 *
 * FLUSH comes for every closed duplicate of a descriptor, and shells duplicate: bash's
 * `echo v > key` is open, dup2, close [flush], write, dup2 [flush]. Only the second
 * flush may publish, or every reader would meet an empty value between the two. On the
 * other hand python's open(key, 'w').close() ends after one flush, and has to publish
 * the empty value. What tells the two apart comes later: another flush, a write, or
 * RELEASE.
 *
 * So: a flush by the process that opened the handle publishes what was written. When
 * nothing was written since O_TRUNC it publishes nothing the first time and the empty
 * value the second. A flush by another process, a child that inherited the
 * descriptor, publishes nothing: more may come from its siblings. RELEASE publishes
 * whatever is left, fsync as well.
 *
 * Not thread-safe: the handle's lock guards it. */

#include <stdbool.h>

struct kv_flush {
    bool truncated; /* the value is to become empty: O_TRUNC, or the key is new */
    bool written;   /* or it was written or resized */
    bool closed;    /* flushed once by the opener while truncated and not written */
};

/* A handle begins; truncated: with O_TRUNC, or on a name that was just made. */
void kv_flush_open(struct kv_flush *flush, bool truncated);

void kv_flush_write(struct kv_flush *flush);

/* What came: each returns whether to publish now. They do not change to "published":
 * kv_flush_take does. */
bool kv_flush_flush(struct kv_flush *flush, bool by_opener);
bool kv_flush_rest(const struct kv_flush *flush); /* fsync, RELEASE */

/* Something is held that the store does not have. */
static inline bool kv_flush_unpublished(const struct kv_flush *flush)
{
    return flush->truncated || flush->written;
}

/* Closed by its process as far as anyone can tell, but not published. */
static inline bool kv_flush_limbo(const struct kv_flush *flush)
{
    return flush->closed;
}

/* A publication begins: the state turns clean, and what it was is returned, for
 * kv_flush_restore when the publication fails. */
struct kv_flush kv_flush_take(struct kv_flush *flush);
void kv_flush_restore(struct kv_flush *flush, struct kv_flush taken);

#endif
