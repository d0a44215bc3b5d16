#ifndef KV_FUSE_HANDLE_H
#define KV_FUSE_HANDLE_H

/* An open file. A handle that reads pins the record it opened and reads that one
 * version to its end. A handle that writes has bytes of its own, which nobody else sees
 * until they are published whole (publish.h).
 *
 * A handle that reads moves on to the newest version at three moments only: when it
 * reads at offset 0, at the first read after it was told the end, and at the first
 * after it was given what another handle of its process has written and not published.
 * So cat gets one whole version, and tail -f gets what is new. A handle open for both
 * reads the newest at every read while it holds nothing of its own.
 *
 * No FUSE in here: handles are tested by themselves. */

#include "fuse/flush.h"
#include "fuse/inode.h"

struct kv_publication;

struct kv_handle {
    /* Never change. */
    uint64_t ino;
    bool readable, writable;
    pid_t tid, process;     /* that opened it */
    struct kv_inode *inode; /* counted; NULL: a text of the control directory */
    atomic_uint refs;

    /* Guarded by kv_inodes.lock: copies of what the flush rule says, for those who
     * look at an inode. */
    struct kv_list_node node; /* in inode->handles until RELEASE; a text's elsewhere */
    bool unpublished, limbo;

    pthread_mutex_t lock; /* guards what follows */
    bool append;          /* fcntl(2) may change it */
    uint64_t id; /* of the record it writes; 0: made by the first publication */
    struct kv_record *record; /* the version it reads; NULL: empty */
    uint64_t seen_revision;   /* of the store when the record was the newest */
    bool moves_on; /* the last read was told the end, or was of another handle */
    bool
        whole; /* bytes are the whole value; otherwise what comes behind the record's */
    struct kv_buf bytes;
    uint64_t changes;   /* of the bytes, to tell whether a publication has them all */
    int64_t changed_ns; /* when that was last */
    struct kv_flush flush;
    uint64_t closed_version; /* of the key when flush.closed was set */
    bool owner_known;        /* owner is the lock owner of the process that opened it */
    uint64_t owner;
    int refused;    /* negative errno: the bytes lack what a refused write had */
    bool mtime_set; /* by utimens after the last write; goes out with the value */
    int64_t mtime_ns;
    struct kv_publication *current; /* under way, or NULL */
    struct kv_list_node queue;      /* who waits for the next one */
    bool released;                  /* RELEASE came */
};

/* A handle with one reference; takes the record reference over (also on failure). flags
 * are those of open(2); truncated: as kv_flush_open. A record of NULL stands for a name
 * that is not published. NULL: no memory. */
struct kv_handle *kv_handle_new(uint64_t ino, int flags, pid_t tid, bool truncated,
                                struct kv_record *record);
struct kv_handle *kv_handle_ref(struct kv_handle *handle);
/* Frees the handle with its last reference and returns true; the inode is then the
 * caller's to unref. */
bool kv_handle_unref(struct kv_handle *handle);

/* Of the handles of an inode, or when tid is not 0 of those that the thread's process
 * has opened: the last that holds something unpublished, or NULL; and the same, or else
 * the last. The caller holds kv_inodes.lock. */
struct kv_handle *kv_handle_unpublished_locked(const struct kv_inode *inode, pid_t tid);
struct kv_handle *kv_handle_best_locked(const struct kv_inode *inode, pid_t tid);

/* The id of the record that it writes. */
uint64_t kv_handle_record_id_locked(const struct kv_handle *handle);

/* Whether the handle has bytes of its own. */
bool kv_handle_private_locked(const struct kv_handle *handle);
uint64_t kv_handle_size_locked(const struct kv_handle *handle);
uint64_t kv_handle_size(struct kv_handle *handle);

/* What its process is to see of a file: size and times of the bytes it has written, the
 * time it has set. */
void kv_handle_show(struct kv_handle *handle, struct kv_meta *meta);

/* Whether the handle has nothing of its own, so that a read is to be of what another
 * handle of its process has written. */
bool kv_handle_yields(struct kv_handle *handle);
/* That was a version to come: the next read moves on. */
void kv_handle_yielded(struct kv_handle *handle);

/* Whether a read at this offset has to be of the newest version. */
bool kv_handle_wants_newest(struct kv_handle *handle, uint64_t offset,
                            uint64_t store_revision);
/* Pin the newest version, read when the store had that revision; takes the record
 * reference over. NULL: the key is gone or replaced, so the handle keeps what it has.
 * Ignored by a handle with bytes of its own. */
void kv_handle_refresh(struct kv_handle *handle, struct kv_record *record,
                       uint64_t store_revision);

/* What a read returns: points into a pinned record or a copy. */
struct kv_part {
    struct kv_record *record;
    char *copy;
    const void *data;
    size_t len;
};
void kv_part_done(struct kv_part *part);

/* 0 or -ENOMEM. The second one is for somebody else, of whom the handle remembers
 * nothing. */
int kv_handle_read(struct kv_handle *handle, uint64_t offset, size_t size,
                   struct kv_part *ret);
int kv_handle_peek(struct kv_handle *handle, uint64_t offset, size_t size,
                   struct kv_part *ret);

/* Change the handle's own bytes; the first change copies the record. A handle that
 * appends ignores the offset. -EFBIG over max_bytes, -ENOMEM; nothing changes then. A
 * write that was refused leaves the handle with less than its writer meant: that is
 * never published, and writes go on failing, until the handle is cut to size 0. What
 * appends is not affected, there each write stands for itself. */
int kv_handle_write(struct kv_handle *handle, uint64_t offset, const void *data,
                    size_t len, uint64_t max_bytes);
int kv_handle_resize(struct kv_handle *handle, uint64_t size, uint64_t max_bytes);
/* fallocate(2) with mode 0, or FALLOC_FL_PUNCH_HOLE or FALLOC_FL_ZERO_RANGE, which make
 * zeros; and FALLOC_FL_KEEP_SIZE. Errors as kv_handle_write. */
int kv_handle_allocate(struct kv_handle *handle, int mode, uint64_t offset,
                       uint64_t len, uint64_t max_bytes);
/* Whether writes append, from now on. -ENOMEM. */
int kv_handle_set_append(struct kv_handle *handle, bool append);
/* A write was refused for another reason. */
void kv_handle_refuse(struct kv_handle *handle, int err);

/* Forget the handle's own bytes: it reads its record again. */
void kv_handle_drop_bytes_locked(struct kv_handle *handle);

/* Why the handle must not be published (negative errno), or 0. If there is a reason,
 * what the handle holds is dropped. */
int kv_handle_drop_refused_locked(struct kv_handle *handle);

/* A publication of the bytes as they were at `changes` has made this record. len: how
 * many bytes it took. They may have been dropped meanwhile. */
void kv_handle_published_locked(struct kv_handle *handle, struct kv_record *record,
                                uint64_t changes, size_t len);

/* Whether a flush comes from the process that opened the handle. owner: the request's
 * lock owner, which saves asking the system a second time. */
bool kv_handle_opened_by(struct kv_handle *handle, pid_t tid, uint64_t owner);

#endif
