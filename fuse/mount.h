#ifndef KV_FUSE_MOUNT_H
#define KV_FUSE_MOUNT_H

/* What the files of fuse/ share: the mount itself, and how requests come to an answer.
 *
 * Threads: libfuse's workers run the handlers; the store's committer runs the observer
 * (observe.c) and every *_done, which may reply; the notifier (notify.c) makes system
 * calls on the mount. No handler waits for a commit. */

#define FUSE_USE_VERSION 312

#include "fuse/handle.h"
#include "fuse/inode.h"
#include "fuse/retry.h"
#include "fuse/session.h"

#include <fuse_lowlevel.h>

/* Names and attributes are cached until they are invalidated. */
#define KV_FOREVER 1e9

struct kv_notifier;

/* Ids of the control directory and its files, above all that the store gives out. */
#define KV_CONTROL_FIRST (UINT64_MAX - 255)
static inline bool kv_is_control(fuse_ino_t ino)
{
    return ino >= KV_CONTROL_FIRST;
}

struct kv_mount {
    struct kv_store *store;
    uint32_t origin; /* of the changes made through this mount */
    uint64_t max_value_bytes;
    uint64_t root_id; /* of the directory that is mounted */
    bool read_only;
    struct kv_mount_view view;
    const char *version;
    const char *const *config_text;
    void (*ended)(void *ctx);
    void *ended_ctx;

    char *path; /* absolute */
    dev_t device;
    struct fuse_session *session;
    /* Held for reading while a handler notifies the kernel, which does not block; for
     * writing when the session's descriptor is about to be closed. */
    pthread_rwlock_t session_lock;
    bool session_closed; /* guarded by session_lock */
    pthread_t loop;
    struct kv_inodes inodes;
    struct kv_retry retry;
    struct kv_notifier *notifier;
    struct kv_observer observer;
    atomic_bool stopping;
    atomic_uint_fast64_t requests;
    /* Files and directories. Raised before what was opened travels through the kernel
     * as a number, and read by whoever gets it back from there, so that he sees all of
     * it. */
    atomic_uint_fast64_t open_handles;

    pthread_mutex_t opened_lock; /* guards dirs and texts; a leaf */
    struct kv_list_node dirs;    /* of kv_dir */
    struct kv_list_node texts;   /* of kv_handle: open control files */

    pthread_mutex_t flight_lock; /* guards in_flight */
    pthread_cond_t landed;       /* in_flight is 0 */
    unsigned in_flight;          /* transactions submitted and not done */
};

static inline struct kv_mount *kv_mount_of(fuse_req_t req)
{
    struct kv_mount *mount = fuse_req_userdata(req);
    atomic_fetch_add_explicit(&mount->requests, 1, memory_order_relaxed);
    return mount;
}

/* The kernel's root is inode 1, whatever directory is mounted. Every handler begins
 * with kv_ino_of, and what goes to the kernel by number goes through kv_nodeid_of. */
static inline uint64_t kv_ino_of(const struct kv_mount *mount, fuse_ino_t nodeid)
{
    return nodeid == FUSE_ROOT_ID ? mount->root_id : nodeid;
}

static inline fuse_ino_t kv_nodeid_of(const struct kv_mount *mount, uint64_t id)
{
    return id == mount->root_id ? FUSE_ROOT_ID : id;
}

/* From a handler: have the kernel drop the attributes it keeps of an inode. */
void kv_mount_drop_attr(struct kv_mount *mount, fuse_ino_t ino);

/* -- What is open -- */

static inline uint64_t kv_mount_hand_out(struct kv_mount *mount, const void *opened)
{
    atomic_fetch_add(&mount->open_handles, 1);
    return (uint64_t)(uintptr_t)opened;
}

static inline void *kv_mount_opened(struct kv_mount *mount,
                                    const struct fuse_file_info *fi)
{
    (void)atomic_load_explicit(&mount->open_handles, memory_order_acquire);
    return (void *)(uintptr_t)fi->fh;
}

/* Free what is still open when the mount ends; nobody else is there any more. */
void kv_dir_free_all(struct kv_mount *mount);
void kv_control_free_all(struct kv_mount *mount);

/* -- Transactions (flight.c) -- */

/* So often may what a transaction is about be moved just before it, until the call
 * fails with EIO (or ENOENT for a name). Moved there and back, it has the same key when
 * one looks; whoever moves it again and again can keep in step with the tries. */
#define KV_TRIES 1000

/* A request that waits for its commit. Zeroed members are for the handler's use. */
struct kv_request {
    struct kv_mount *mount;
    fuse_req_t req;
    fuse_ino_t parent, ino;
    struct fuse_file_info file; /* of a create or an open */
    size_t size;                /* of a write */
    unsigned tries;             /* how often its transaction came too late */
    char *name;
    struct kv_path path;
};

/* -ENOMEM. name may be NULL. */
int kv_request_new(struct kv_mount *mount, fuse_req_t req, fuse_ino_t parent,
                   const char *name, struct kv_request **ret);
void kv_request_free(struct kv_request *request);
KV_DEFINE_CLEANUP(struct kv_request, kv_request_free)

/* Submit; done must end with kv_mount_landed, after which the mount may be gone. */
void kv_mount_submit(struct kv_mount *mount, struct kv_txn *txn);
void kv_mount_landed(struct kv_mount *mount);

/* A transaction of one operation on request->path. When id is not 0 it happens only
 * while the key has that id (-ECANCELED). */
int kv_request_txn(struct kv_request *request, enum kv_op_type type, uint64_t id,
                   kv_txn_done_fn *done, struct kv_txn **ret, struct kv_op **ret_op);

/* The transaction is about a name in that directory, wherever that is by then: it does
 * not happen (-ECANCELED) when path, which leads to the name, does not go through it.
 */
int kv_txn_require_parent(struct kv_txn *txn, uint64_t parent,
                          const struct kv_path *path);

/* A transaction did not find the directory where it was: 0 when it is to be built
 * again, with request->path as it is now. */
int kv_request_find_again(struct kv_request *request);

/* A transaction of one operation on inode request->ino has ended. True: the inode was
 * moved before, so it is submitted again where that is now, and done will come once
 * more: this one has nothing left to do. */
bool kv_request_follow(struct kv_request *request, struct kv_txn *txn,
                       kv_txn_done_fn *done);

/* -- Finding what a request is about (resolve.c) -- */

struct kv_subject {
    struct kv_record *record; /* NULL: the inode is not published */
    struct kv_meta meta;      /* the record's, or the pending one's */
    struct kv_path path;
    bool pending;
    bool atime_set;
    int64_t atime_ns;
    int64_t touched_ns; /* of kv_inode */
    /* Its attributes may be cached: nobody has unpublished bytes, and the notifier is
     * done with the change. Its SETATTR carries attributes that the kernel takes over
     * whenever it gets to it, between another call's look at their validity and its
     * look at them, too; so until it has come back nothing is valid for longer than one
     * use. */
    bool settled;
};
void kv_subject_done(struct kv_subject *subject);

/* The inode's record now. -ESTALE when its key is gone or replaced, so that the kernel
 * looks the name up again. */
int kv_resolve(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino, bool want_value,
               struct kv_subject *ret);

/* The record with that id at the inode's place now; NULL when the key is gone or
 * replaced, not when it is only moved. id is the inode's, or a handle's. */
struct kv_record *kv_record_of(struct kv_mount *mount, fuse_ino_t ino, uint64_t id,
                               bool want_value);

/* Whether the store has it there, for a done, to which table and store are as of the
 * same batch: what a transaction has missed was moved when it is, and is gone when not.
 */
bool kv_is_there(struct kv_mount *mount, fuse_ino_t ino, uint64_t id);

/* kv_record_of with the value, for a handle that moves on. */
struct kv_record *kv_newest(struct kv_mount *mount, struct kv_handle *handle);

/* The last unpublished handle of the inode that the thread's process opened, or any
 * process when tid is 0; NULL: none; counted (kv_handle_drop). A process sees through
 * every descriptor what it wrote. */
struct kv_handle *kv_unpublished_handle(struct kv_mount *mount, pid_t tid,
                                        fuse_ino_t ino);

/* The kernel keeps one size of an inode and goes by it without asking in
 * copy_file_range(2) and for mappings. So the attributes that come along with something
 * else, for one use only, have the size of what is being written; who asks for a size
 * (GETATTR) is told the right one. */
void kv_size_in_writing(struct kv_mount *mount, struct stat *st);

/* -- Answers (reply.c) -- */

void kv_stat_fill(const struct kv_mount *mount, struct stat *st,
                  const struct kv_meta *meta);

/* For how long the kernel may keep these attributes: for ever, or for this one use when
 * they are not settled or have just changed. The kernel takes new attributes over field
 * by field, and stat(2) reads them without a lock as soon as it believes that they are
 * valid, so where a change of kept attributes meets a GETATTR and a stat, the stat may
 * see the old size after the change was acknowledged. What is not kept is answered from
 * the reply itself. */
#define KV_AT_REST_NS (100 * KV_NS_PER_MS)
double kv_attr_timeout(const struct stat *st, bool settled);
/* A lookup of inode in that state: attributes are cached when settled. */
void kv_entry_fill(struct kv_mount *mount, struct fuse_entry_param *entry,
                   const struct kv_meta *meta, bool settled);
/* Reply with an entry whose nlookup was raised; lowers it when nobody took the reply.
 */
void kv_reply_entry(struct kv_mount *mount, fuse_req_t req,
                    const struct fuse_entry_param *entry);
/* Raise nlookup of a record's inode found under (parent, name). *ret_settled: its
 * attributes may be cached. -ESTALE, -ENOMEM. */
int kv_enter(struct kv_mount *mount, fuse_ino_t parent, const char *name,
             const struct kv_record *record, bool *ret_settled);
/* The same, and reply. */
void kv_reply_record(struct kv_mount *mount, fuse_req_t req, fuse_ino_t parent,
                     const char *name, const struct kv_record *record);

/* The errno for a name in a directory, before anything is done with it. */
int kv_child_path(struct kv_mount *mount, fuse_ino_t parent, const char *name,
                  struct kv_path *ret);

/* Owner and mode of something new in a directory: set-group-ID directories hand their
 * group on, and directories the bit too. */
void kv_new_meta(struct kv_mount *mount, fuse_req_t req, fuse_ino_t parent, mode_t mode,
                 struct kv_meta *ret);

/* -- Handlers, by file -- */

void kv_op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void kv_op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t nlookup);
void kv_op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void kv_op_readlink(fuse_req_t req, fuse_ino_t ino);
void kv_op_statfs(fuse_req_t req, fuse_ino_t ino);

void kv_op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void kv_op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
                   struct fuse_file_info *fi);

void kv_op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                 dev_t rdev);
void kv_op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void kv_op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent,
                   const char *name);
void kv_op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void kv_op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void kv_op_rename(fuse_req_t req, fuse_ino_t parent, const char *name,
                  fuse_ino_t new_parent, const char *new_name, unsigned int flags);
void kv_op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t new_parent,
                const char *new_name);

void kv_op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
                  struct fuse_file_info *fi);
void kv_op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void kv_op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                struct fuse_file_info *fi);
void kv_op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size,
                 off_t offset, struct fuse_file_info *fi);
void kv_op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t offset,
                     off_t length, struct fuse_file_info *fi);
void kv_op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void kv_op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
                 struct fuse_file_info *fi);
void kv_op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);

void kv_op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void kv_op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                   struct fuse_file_info *fi);
void kv_op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                       struct fuse_file_info *fi);
void kv_op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi);
void kv_op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync,
                    struct fuse_file_info *fi);

void kv_op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
                    size_t size, int flags);
void kv_op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void kv_op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void kv_op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

#endif
