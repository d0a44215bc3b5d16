#ifndef KV_FUSE_RETRY_H
#define KV_FUSE_RETRY_H

/* What follows an ESTALE.
 *
 * A request on an inode whose key is gone or was replaced answers ESTALE, and the
 * kernel walks the path once more, asking for every name. A second ESTALE goes to the
 * user. Where a file is replaced in a loop (rename over it), the second try can lose
 * the same race: the name is looked up, replaced, and then opened. No disk would fail
 * there, because the looked-up file stays openable. So after an ESTALE to a thread the
 * record its next LOOKUP finds is kept for it, and its open or stat may be answered
 * from that: the call takes effect at the moment of its own lookup.
 *
 * The same memory lets a thread through that comes back with the same inode and no
 * new name: it holds the inode by a descriptor or as its working directory.
 *
 * A slot is forgotten when the open is answered, when it was used as often as one call
 * needs it, and after KV_RETRY_NS, longer than a retry takes on a busy machine. Any
 * thread. */

#include "store/record.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#define KV_RETRY_SLOTS 32
#define KV_RETRY_NS INT64_C(1000000000)
#define KV_RETRY_USES 3               /* a permission check or two, then the open */
#define KV_RETRY_VALUE_MAX (1u << 20) /* larger values are not kept */

struct kv_retry_slot {
    pid_t tid; /* 0: free */
    uint64_t id;
    int64_t time_ns;
    unsigned uses;
    struct kv_record *record; /* what LOOKUP found since, or NULL */
};

struct kv_retry {
    pthread_mutex_t lock; /* guards slots and next; a leaf */
    struct kv_retry_slot slots[KV_RETRY_SLOTS];
    unsigned next;
    atomic_uint used; /* slots; read without the lock to skip it */
};

void kv_retry_init(struct kv_retry *retry);
void kv_retry_done(struct kv_retry *retry);

/* The thread is answered ESTALE for inode id. */
void kv_retry_stale(struct kv_retry *retry, pid_t tid, uint64_t id, int64_t now_ns);

/* Whether the thread is in a retry: its lookups should be told to kv_retry_found. */
bool kv_retry_expects(struct kv_retry *retry, pid_t tid, int64_t now_ns);

/* A lookup of the thread found this record. */
void kv_retry_found(struct kv_retry *retry, pid_t tid, struct kv_record *record);

/* Whether a request of the thread on inode id belongs to a retry. *ret (untouched when
 * false) is a new reference to the record it looked up, or NULL when it came back
 * without looking up that inode. */
bool kv_retry_match(struct kv_retry *retry, pid_t tid, uint64_t id, int64_t now_ns,
                    struct kv_record **ret);

/* The thread's retry is over. */
void kv_retry_forget(struct kv_retry *retry, pid_t tid);

#endif
