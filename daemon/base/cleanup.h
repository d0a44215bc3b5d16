#ifndef KV_BASE_CLEANUP_H
#define KV_BASE_CLEANUP_H

/* Locals that clean up after themselves when their scope ends.
 *
 *     KV_CLEANUP(kv_free) char *path = NULL;
 *     KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
 *     KV_SCOPED_LOCK(&shard->lock);
 *
 * A cleanup function takes a pointer to the variable and does nothing when the
 * variable is empty, so half-built state is always safe to leave. */

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#define KV_CLEANUP(fn) __attribute__((cleanup(fn)))

/* Define fn##p, the cleanup form of a destructor that accepts NULL. */
#define KV_DEFINE_CLEANUP(type, fn)                                                      \
    static inline void fn##p(type **p)                                                   \
    {                                                                                    \
        fn(*p);                                                                          \
    }

/* The value of an owning pointer, which is left NULL: what moves ownership out. */
#define KV_STEAL(p)                                                                      \
    __extension__({                                                                      \
        __typeof__(p) kv_stolen_ = (p);                                                  \
        (p) = NULL;                                                                      \
        kv_stolen_;                                                                      \
    })

static inline void kv_free(void *p)
{
    free(*(void **)p);
}

static inline void kv_close(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

/* pthread mutex calls fail only for programmer errors (a mutex that was never
 * initialised, a lock taken twice), so they are asserted, not reported. */
static inline void kv_lock(pthread_mutex_t *mutex)
{
    int err = pthread_mutex_lock(mutex);
    assert(err == 0);
    (void)err;
}

static inline void kv_unlock(pthread_mutex_t *mutex)
{
    int err = pthread_mutex_unlock(mutex);
    assert(err == 0);
    (void)err;
}

static inline void kv_unlockp(pthread_mutex_t **mutex)
{
    kv_unlock(*mutex);
}

#define KV_PASTE_(a, b) a##b
#define KV_PASTE(a, b) KV_PASTE_(a, b)

/* Hold a mutex until the end of the enclosing block. */
#define KV_SCOPED_LOCK(m)                                                                \
    KV_CLEANUP(kv_unlockp)                                                               \
    __attribute__((unused)) pthread_mutex_t *KV_PASTE(kv_guard_, __LINE__) =             \
        (kv_lock(m), (m))

#endif
