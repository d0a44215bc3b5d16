#ifndef KV_FUSE_INODE_H
#define KV_FUSE_INODE_H

/* The inodes the kernel knows: id (nodeid, inode number and record id are one number)
 * to the place in the tree, and what is going on with the file.
 *
 * A place is (parent, name); the key is found by walking up, so the rename of a
 * directory moves everything below it by changing one entry. An entry lives while the
 * kernel counts lookups on it, while something here refers to it, and while entries
 * below it live. An entry whose new parent is not in the table (a file was moved by
 * somebody else to a place the kernel has not looked at) is detached: it has no parent,
 * and its name is the whole key.
 *
 * The place is a hint, the store decides: whoever finds another id at the key answers
 * ESTALE, and the kernel looks the name up again.
 *
 * Locks of fuse/, in their order. None is held across fuse_reply_*, a call of the
 * store, or a notification to the kernel, but for three: kv_inodes.lock is while a
 * publication is queued (kv_store_submit), so that what follows from it is queued
 * behind it; kv_dir.lock is while the names are read; session_lock is while attributes
 * are dropped, so that the session stays open.
 *
 *     kv_handle.lock         one for each file handle: its bytes and its rule's state
 *     kv_dir.lock            one for each directory handle: the names handed out
 *     kv_inodes.lock         the table and everything in it
 *     kv_retry.lock          leaf
 *     kv_expect.lock         leaf: what the notifier waits for
 *     kv_mount.opened_lock   leaf: directories and control files that are open
 *     kv_mount.flight_lock   leaf: transactions that are not done yet
 *     kv_mount.session_lock  leaf, but see there
 *
 * No FUSE in here: the table is tested by itself. */

#include "base/buf.h"
#include "base/list.h"
#include "store/key.h"
#include "store/record.h"

#include <pthread.h>

#define KV_NAME_KEPT UINT64_MAX

/* What is to be stored with a name that is not published yet. */
struct kv_pending {
    struct kv_meta meta; /* mode, uid, gid, times, expiry */
    bool mtime_set;
    struct kv_buf xattrs; /* the format of xattr.h */
};

struct kv_inode {
    uint64_t id;
    struct kv_inode *hash_next;
    struct kv_inode *parent; /* counted in its refs; NULL: root, or detached */
    char *name;              /* last component; the whole key when detached */
    size_t name_len;
    uint64_t place_revision; /* the record's revision that told the place */
    uint64_t nlookup;        /* what the kernel will FORGET */
    unsigned refs;           /* children, handles, work under way */
    uint32_t type;           /* S_IFMT bits */
    /* A request has named it, so the kernel has made its inode and hears of
     * invalidations; before that attributes are handed out for one use only. */
    bool confirmed;
    bool gone; /* its key was removed or replaced */
    /* Until this revision is announced the kernel may still hold the name that a change
     * by somebody else took away; 0: nothing of the kind, KV_NAME_KEPT: nobody takes it
     * away. */
    uint64_t moved_revision;
    unsigned publishing;  /* first publications under way */
    unsigned releasing;   /* handles whose RELEASE came, with a publication under way */
    unsigned unpublished; /* handles that hold something the store does not have */
    struct kv_list_node handles;          /* of kv_handle */
    struct kv_list_node parked;           /* of requests that wait for `releasing` */
    struct kv_list_node pending_children; /* directory: names not published yet */
    struct kv_list_node pending_node;
    struct kv_pending *pending; /* NULL: the store knows it */
    struct kv_pending *orphan;  /* what is kept of it since its key is gone, or NULL */
    uint64_t size;              /* that the last entry of it told; see kv_orphan_size */
    /* Directory: when an unpublished name last came or went. It counts as a change of
     * the directory until the store knows a later one. */
    int64_t touched_ns;
    bool atime_set; /* the access time is the one that was set last */
    int64_t atime_ns;
};

struct kv_inodes {
    pthread_mutex_t lock; /* guards every field of every inode */
    struct kv_inode **buckets;
    size_t bucket_count, count;
    size_t peak; /* most inodes there were, since memory was last given back */
    struct kv_inode *root;
};

struct kv_path {
    size_t len;
    char key[KV_KEY_MAX + 1];
};

/* A table with the root in it: a directory with no parent here, at its whole key.
 * -ENOMEM. */
int kv_inodes_init(struct kv_inodes *inodes, uint64_t root_id, const char *key,
                   size_t key_len);
/* Frees every inode; no handle may be left. */
void kv_inodes_done(struct kv_inodes *inodes);

struct kv_inode *kv_inodes_find_locked(struct kv_inodes *inodes, uint64_t id);

/* Find or make the entry and raise nlookup. revision is the record's: an older word
 * than the one the entry has does not move it. -ENOMEM. */
int kv_inodes_enter_locked(struct kv_inodes *inodes, struct kv_inode *parent,
                           const char *name, size_t name_len, uint64_t id,
                           uint32_t type, uint64_t revision, struct kv_inode **ret);

/* Drop lookups; the entry may be freed. kv_inodes_forget also gives memory back to the
 * system when most of very many entries are gone. */
void kv_inodes_forget_locked(struct kv_inodes *inodes, struct kv_inode *inode,
                             uint64_t nlookup);
void kv_inodes_forget(struct kv_inodes *inodes, uint64_t id, uint64_t nlookup);

struct kv_inode *kv_inode_ref_locked(struct kv_inode *inode);
void kv_inode_unref_locked(struct kv_inodes *inodes, struct kv_inode *inode);

/* The inode was moved: to (parent, last component of key), or detached at key when the
 * parent is NULL. Older revisions are ignored. On -ENOMEM it stays where it was. */
int kv_inode_move_locked(struct kv_inodes *inodes, struct kv_inode *inode,
                         struct kv_inode *parent, const char *key, size_t key_len,
                         uint64_t revision);

/* The key of an inode, or of a name in it when name is not NULL. -ENAMETOOLONG, and
 * -ESTALE for a name in a directory that is gone. */
int kv_inode_path_locked(const struct kv_inode *inode, const char *name,
                         size_t name_len, struct kv_path *ret);
/* The same by id; -ESTALE when the table does not have it. */
int kv_inodes_path(struct kv_inodes *inodes, uint64_t id, const char *name,
                   struct kv_path *ret);

/* Whether its key is gone, and the kernel has no name for it either, when everything up
 * to that revision is announced: then only descriptors lead to it. */
bool kv_inode_nameless_locked(const struct kv_inode *inode, uint64_t announced);

/* Make the inode one that is not published yet; pending is taken over. */
void kv_inode_set_pending_locked(struct kv_inode *inode, struct kv_pending *pending);
/* The store knows it now, or nobody will ever. */
void kv_inode_clear_pending_locked(struct kv_inode *inode);
/* The name was removed before it was published: what is known is kept for those who
 * have it open. */
void kv_inode_orphan_pending_locked(struct kv_inode *inode);
/* What is kept of an inode whose key is gone, made from meta the first time; NULL: no
 * memory. */
struct kv_pending *kv_inode_orphan_locked(struct kv_inode *inode,
                                          const struct kv_meta *meta);
/* The unpublished inode of that name in a directory, or NULL. */
struct kv_inode *kv_inode_pending_child_locked(const struct kv_inode *dir,
                                               const char *name, size_t name_len);

void kv_pending_free(struct kv_pending *pending); /* NULL is allowed */
/* Take over what set (KV_SET_*: mode, owner, mtime) names. */
void kv_pending_set(struct kv_pending *pending, unsigned set,
                    const struct kv_meta *meta);
KV_DEFINE_CLEANUP(struct kv_pending, kv_pending_free)

#endif
