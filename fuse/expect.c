#include "fuse/expect.h"

#include "base/clock.h"
#include "fuse/attr.h"
#include "fuse/orphan.h"

#include <errno.h>
#include <string.h>

void kv_expect_init(struct kv_expect *expect)
{
    memset(expect, 0, sizeof(*expect));
    int err = pthread_mutex_init(&expect->lock, NULL);
    assert(err == 0);
    (void)err;
}

void kv_expect_done(struct kv_expect *expect)
{
    pthread_mutex_destroy(&expect->lock);
}

void kv_expect_set(struct kv_expect *expect, const struct kv_expect_name *names,
                   size_t count, struct kv_record *made)
{
    KV_SCOPED_LOCK(&expect->lock);
    assert(count <= 2);
    expect->count = count;
    for (size_t i = 0; i < count; i++)
        expect->names[i] = names[i];
    expect->made = made;
}

void kv_expect_clear(struct kv_expect *expect)
{
    kv_expect_set(expect, NULL, 0, NULL);
}

bool kv_expect_asks(struct kv_mount *mount, fuse_req_t req)
{
    pid_t tid = atomic_load_explicit(&kv_expect_of(mount)->tid, memory_order_relaxed);
    return tid != 0 && fuse_req_ctx(req)->pid == tid;
}

static struct kv_expect_name *find_locked(struct kv_expect *expect, uint64_t parent,
                                          const char *name)
{
    for (size_t i = 0; i < expect->count; i++) {
        struct kv_expect_name *expected = &expect->names[i];
        if (expected->parent == parent && strlen(name) == expected->name_len &&
            memcmp(name, expected->name, expected->name_len) == 0)
            return expected;
    }
    return NULL;
}

/* -- Entries -- */

/* Raise nlookup of something that need not be there any more. Its place is the event's
 * only as long as nobody knows better. */
static int enter_shown(struct kv_mount *mount, fuse_ino_t parent, const char *name,
                       const struct kv_record *record)
{
    KV_SCOPED_LOCK(&mount->inodes.lock);
    struct kv_inode *dir = kv_inodes_find_locked(&mount->inodes, parent);
    struct kv_inode *inode;
    return dir ? kv_inodes_enter_locked(&mount->inodes, dir, name, strlen(name),
                                        record->meta.id, record->meta.mode & S_IFMT, 0,
                                        &inode)
               : -ESTALE;
}

/* The entry of a record that the notifier is to see. When it is no longer what the
 * store has there, nothing of it may be cached. nlookup is raised. */
static int shown_entry(struct kv_mount *mount, fuse_ino_t parent, const char *name,
                       struct kv_record *record, struct fuse_entry_param *ret)
{
    struct kv_path path;
    KV_CLEANUP(kv_record_unrefp) struct kv_record *now = NULL;
    bool settled;
    int err = kv_inodes_path(&mount->inodes, parent, name, &path);
    if (!err)
        err = kv_store_stat(mount->store, path.key, path.len, &now);
    if (!err && now->meta.id == record->meta.id) {
        err = kv_enter(mount, parent, name, now, &settled);
        kv_entry_fill(mount, ret, &now->meta, settled);
        return err;
    }
    kv_entry_fill(mount, ret, &record->meta, false);
    ret->entry_timeout = 0;
    return enter_shown(mount, parent, name, record);
}

static void reply_shown(struct kv_mount *mount, fuse_req_t req, fuse_ino_t parent,
                        const char *name, struct kv_record *record)
{
    struct fuse_entry_param entry;
    int err = shown_entry(mount, parent, name, record, &entry);
    if (err)
        fuse_reply_err(req, -err);
    else
        kv_reply_entry(mount, req, &entry);
}

bool kv_expect_lookup(struct kv_mount *mount, fuse_req_t req, fuse_ino_t parent,
                      const char *name)
{
    if (!kv_expect_asks(mount, req))
        return false;
    struct kv_expect *expect = kv_expect_of(mount);
    KV_CLEANUP(kv_record_unrefp) struct kv_record *shown = NULL;
    kv_lock(&expect->lock);
    struct kv_expect_name *expected = find_locked(expect, parent, name);
    if (expected) {
        expected->asked = true;
        shown = expected->shown ? kv_record_ref(expected->shown) : NULL;
    }
    kv_unlock(&expect->lock);
    if (!expected)
        return false;
    if (shown)
        reply_shown(mount, req, parent, name, shown);
    else
        fuse_reply_err(req, ENOENT);
    return true;
}

/* -- Attributes -- */

/* Of an inode that is gone only its number and type are still known, and its size to
 * whoever has it open. */
static int remembered(struct kv_mount *mount, fuse_ino_t ino, struct stat *ret)
{
    uint64_t size = kv_orphan_size(mount, ino);
    KV_SCOPED_LOCK(&mount->inodes.lock);
    const struct kv_inode *inode = kv_inodes_find_locked(&mount->inodes, ino);
    if (!inode)
        return -ESTALE;
    struct kv_meta meta = {.id = ino, .mode = inode->type | KV_MODE_GONE, .size = size};
    meta.uid = getuid();
    meta.gid = getgid();
    kv_stat_fill(mount, ret, &meta);
    return 0;
}

static void reply_attr(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino)
{
    struct kv_path path;
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    struct stat st;
    int err = kv_inodes_path(&mount->inodes, ino, NULL, &path);
    if (!err)
        err = kv_store_stat(mount->store, path.key, path.len, &record);
    if (!err && record->meta.id == ino)
        kv_stat_fill(mount, &st, &record->meta);
    else
        err = remembered(mount, ino, &st);
    if (err) {
        fuse_reply_err(req, -err);
        return;
    }
    kv_size_in_writing(mount, &st);
    fuse_reply_attr(req, &st, 0);
}

bool kv_expect_getattr(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino)
{
    if (!kv_expect_asks(mount, req))
        return false;
    reply_attr(mount, req, ino);
    return true;
}

bool kv_expect_setattr(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino)
{
    return kv_expect_getattr(mount, req, ino);
}

/* -- Files -- */

static void fill_file_info(struct fuse_file_info *fi)
{
    fi->fh = 0; /* no handle: nothing is read or written through it */
    fi->direct_io = 1;
    fi->noflush = 1;
}

bool kv_expect_open(struct kv_mount *mount, fuse_req_t req, struct fuse_file_info *fi)
{
    if (!kv_expect_asks(mount, req))
        return false;
    fill_file_info(fi);
    fuse_reply_open(req, fi);
    return true;
}

static void reply_created(struct kv_mount *mount, fuse_req_t req, fuse_ino_t parent,
                          const char *name, struct kv_record *record,
                          struct fuse_file_info *fi)
{
    struct fuse_entry_param entry;
    int err = shown_entry(mount, parent, name, record, &entry);
    if (err) {
        fuse_reply_err(req, -err);
        return;
    }
    fill_file_info(fi);
    if (fuse_reply_create(req, &entry, fi) == -ENOENT)
        kv_inodes_forget(&mount->inodes, entry.ino, 1);
}

bool kv_expect_make(struct kv_mount *mount, fuse_req_t req, fuse_ino_t parent,
                    const char *name, struct fuse_file_info *fi)
{
    if (!kv_expect_asks(mount, req))
        return false;
    struct kv_expect *expect = kv_expect_of(mount);
    KV_CLEANUP(kv_record_unrefp) struct kv_record *made = NULL;
    kv_lock(&expect->lock);
    if (expect->made && find_locked(expect, parent, name))
        made = kv_record_ref(expect->made);
    kv_unlock(&expect->lock);
    if (!made)
        fuse_reply_err(req, EIO); /* it only wants the name looked up (replay.c) */
    else if (fi)
        reply_created(mount, req, parent, name, made, fi);
    else
        reply_shown(mount, req, parent, name, made);
    return true;
}

/* The kernel may have used a name it had cached, which by now can stand for a newer
 * file; marking that as deleted would be wrong. ESTALE makes it look the name up again,
 * and then it finds what was shown. */
bool kv_expect_take(struct kv_mount *mount, fuse_req_t req, fuse_ino_t parent,
                    const char *name)
{
    if (!kv_expect_asks(mount, req))
        return false;
    struct kv_expect *expect = kv_expect_of(mount);
    kv_lock(&expect->lock);
    const struct kv_expect_name *expected = find_locked(expect, parent, name);
    bool right = expected && expected->asked;
    kv_unlock(&expect->lock);
    fuse_reply_err(req, right ? 0 : ESTALE);
    return true;
}
