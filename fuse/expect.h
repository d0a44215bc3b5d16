#ifndef KV_FUSE_EXPECT_H
#define KV_FUSE_EXPECT_H

/* What the notifier's next system call is about, so that the handlers can answer it
 * without touching the store: for the length of one call it names one or two directory
 * entries and says what the notifier is to find there. Every other request of that
 * thread is answered as usual, except that it never hears ESTALE for an inode.
 *
 * The functions kv_expect_<operation> answer the request when it is the notifier's and
 * return true; otherwise they return false and have done nothing. Any worker. */

#include "fuse/mount.h"

/* The mode that the notifier is shown of a file that is gone. The kernel takes it for
 * the inode, and may be about to check by it somebody who found the name before: what
 * he may with a file that is gone is for OPEN to say, which answers ESTALE. */
#define KV_MODE_GONE 0777u

struct kv_expect_name {
    uint64_t parent;
    const char *name;
    size_t name_len;
    struct kv_record *shown; /* what LOOKUP finds; NULL: nothing */
    bool asked; /* LOOKUP came since kv_expect_set, or since the last ESTALE */
};

struct kv_expect {
    pthread_mutex_t lock; /* guards names, count and made; a leaf */
    _Atomic pid_t tid;    /* the notifier's thread; 0: it does not run */
    struct kv_expect_name names[2];
    size_t count;
    struct kv_record *made; /* what a create, mkdir or symlink makes */
};

void kv_expect_init(struct kv_expect *expect);
void kv_expect_done(struct kv_expect *expect);

/* Notifier thread: from here on, and no more. Strings and records stay the caller's and
 * must live until kv_expect_clear. */
void kv_expect_set(struct kv_expect *expect, const struct kv_expect_name *names,
                   size_t count, struct kv_record *made);
void kv_expect_clear(struct kv_expect *expect);

/* The mount's, whose thread the notifier is. */
struct kv_expect *kv_expect_of(struct kv_mount *mount);
bool kv_expect_asks(struct kv_mount *mount, fuse_req_t req);

bool kv_expect_lookup(struct kv_mount *mount, fuse_req_t req, fuse_ino_t parent,
                      const char *name);
bool kv_expect_getattr(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino);
/* SETATTR: answered with the attributes as they are. */
bool kv_expect_setattr(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino);
bool kv_expect_open(struct kv_mount *mount, fuse_req_t req, struct fuse_file_info *fi);
/* MKDIR, SYMLINK, MKNOD; with fi CREATE. */
bool kv_expect_make(struct kv_mount *mount, fuse_req_t req, fuse_ino_t parent,
                    const char *name, struct fuse_file_info *fi);
/* UNLINK and RMDIR; with new_name RENAME. */
bool kv_expect_take(struct kv_mount *mount, fuse_req_t req, fuse_ino_t parent,
                    const char *name);

#endif
