/* The table of inodes: a hash by id, chained, that doubles when it is full. Every
 * thread of the mount comes here, for less than a microsecond each. */
#include "fuse/inode.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "store/txn.h"

#include <errno.h>
#include <malloc.h>
#include <string.h>

#define FIRST_BUCKETS 1024
/* So many inodes are worth the walk through malloc's free lists when they are gone. */
#define MANY_INODES 16384
/* More components than a key can have: a walk that is longer has met a loop. */
#define MAX_DEPTH (KV_KEY_MAX / 2 + 2)

static size_t bucket_of(const struct kv_inodes *inodes, uint64_t id)
{
    /* Ids are consecutive numbers; the multiplication spreads strided ones too. */
    return (size_t)((id * UINT64_C(0x9e3779b97f4a7c15)) >> 20) &
           (inodes->bucket_count - 1);
}

struct kv_inode *kv_inodes_find_locked(struct kv_inodes *inodes, uint64_t id)
{
    struct kv_inode *inode = inodes->buckets[bucket_of(inodes, id)];
    while (inode && inode->id != id)
        inode = inode->hash_next;
    return inode;
}

/* A table that cannot grow works on with longer chains. */
static void grow(struct kv_inodes *inodes)
{
    size_t old_count = inodes->bucket_count;
    struct kv_inode **old = inodes->buckets;
    struct kv_inode **buckets = calloc(old_count * 2, sizeof(*buckets));
    if (!buckets)
        return;
    inodes->buckets = buckets;
    inodes->bucket_count = old_count * 2;
    for (size_t i = 0; i < old_count; i++) {
        struct kv_inode *inode = old[i];
        while (inode) {
            struct kv_inode *next = inode->hash_next;
            struct kv_inode **bucket = &buckets[bucket_of(inodes, inode->id)];
            inode->hash_next = *bucket;
            *bucket = inode;
            inode = next;
        }
    }
    free(old);
}

static struct kv_inode *add(struct kv_inodes *inodes, uint64_t id, uint32_t type,
                            const char *name, size_t name_len)
{
    struct kv_inode *inode = calloc(1, sizeof(*inode));
    char *copy = malloc(name_len + 1);
    if (!inode || !copy) {
        free(inode);
        free(copy);
        return NULL;
    }
    memcpy(copy, name, name_len);
    copy[name_len] = '\0';
    inode->id = id;
    inode->type = type;
    inode->name = copy;
    inode->name_len = name_len;
    kv_list_init(&inode->handles);
    kv_list_init(&inode->parked);
    kv_list_init(&inode->pending_children);
    kv_list_init(&inode->pending_node);
    if (inodes->count >= inodes->bucket_count)
        grow(inodes);
    struct kv_inode **bucket = &inodes->buckets[bucket_of(inodes, id)];
    inode->hash_next = *bucket;
    *bucket = inode;
    inodes->count++;
    if (inodes->count > inodes->peak)
        inodes->peak = inodes->count;
    return inode;
}

void kv_pending_free(struct kv_pending *pending)
{
    if (!pending)
        return;
    kv_buf_done(&pending->xattrs);
    free(pending);
}

void kv_pending_set(struct kv_pending *pending, unsigned set,
                    const struct kv_meta *meta)
{
    struct kv_meta *kept = &pending->meta;
    if (set & KV_SET_MODE)
        kept->mode = (kept->mode & S_IFMT) | (meta->mode & 07777);
    if (set & KV_SET_UID)
        kept->uid = meta->uid;
    if (set & KV_SET_GID)
        kept->gid = meta->gid;
    if (set & KV_SET_MTIME) {
        kept->mtime_ns = meta->mtime_ns;
        pending->mtime_set = true;
    }
    kept->ctime_ns = kv_clock_realtime_ns();
}

static void free_inode(struct kv_inode *inode)
{
    kv_list_remove(&inode->pending_node);
    kv_pending_free(inode->pending);
    kv_pending_free(inode->orphan);
    free(inode->name);
    free(inode);
}

int kv_inodes_init(struct kv_inodes *inodes, uint64_t root_id, const char *key,
                   size_t key_len)
{
    *inodes = (struct kv_inodes){.bucket_count = FIRST_BUCKETS};
    inodes->buckets = calloc(FIRST_BUCKETS, sizeof(struct kv_inode *));
    if (!inodes->buckets)
        return -ENOMEM;
    inodes->root = add(inodes, root_id, S_IFDIR, key, key_len);
    if (!inodes->root) {
        free(inodes->buckets);
        return -ENOMEM;
    }
    inodes->root->refs = 1;
    inodes->root->nlookup = 1;
    inodes->root->confirmed = true;
    int err = pthread_mutex_init(&inodes->lock, NULL);
    assert(err == 0);
    (void)err;
    return 0;
}

void kv_inodes_done(struct kv_inodes *inodes)
{
    for (size_t i = 0; i < inodes->bucket_count; i++) {
        while (inodes->buckets[i]) {
            struct kv_inode *inode = inodes->buckets[i];
            inodes->buckets[i] = inode->hash_next;
            free_inode(inode);
        }
    }
    free(inodes->buckets);
    pthread_mutex_destroy(&inodes->lock);
}

static void remove_from_hash(struct kv_inodes *inodes, struct kv_inode *inode)
{
    struct kv_inode **link = &inodes->buckets[bucket_of(inodes, inode->id)];
    while (*link != inode)
        link = &(*link)->hash_next;
    *link = inode->hash_next;
    inodes->count--;
}

/* Free the entry when nothing needs it any more, and then its parents likewise. */
static void collect(struct kv_inodes *inodes, struct kv_inode *inode)
{
    while (inode && inode->refs == 0 && inode->nlookup == 0) {
        struct kv_inode *parent = inode->parent;
        remove_from_hash(inodes, inode);
        free_inode(inode);
        if (parent)
            parent->refs--;
        inode = parent;
    }
}

struct kv_inode *kv_inode_ref_locked(struct kv_inode *inode)
{
    inode->refs++;
    return inode;
}

void kv_inode_unref_locked(struct kv_inodes *inodes, struct kv_inode *inode)
{
    assert(inode->refs > 0);
    inode->refs--;
    collect(inodes, inode);
}

/* Put an inode at a place; takes the name over. */
static void place(struct kv_inodes *inodes, struct kv_inode *inode,
                  struct kv_inode *parent, char *name, size_t name_len,
                  uint64_t revision)
{
    struct kv_inode *old = inode->parent;
    if (parent)
        parent->refs++;
    free(inode->name);
    inode->parent = parent;
    inode->name = name;
    inode->name_len = name_len;
    inode->place_revision = revision;
    if (inode->pending) {
        kv_list_remove(&inode->pending_node);
        if (parent)
            kv_list_push_back(&parent->pending_children, &inode->pending_node);
    }
    if (old)
        kv_inode_unref_locked(inodes, old);
}

int kv_inode_move_locked(struct kv_inodes *inodes, struct kv_inode *inode,
                         struct kv_inode *parent, const char *key, size_t key_len,
                         uint64_t revision)
{
    if (revision < inode->place_revision)
        return 0;
    size_t skip = parent ? kv_key_name_offset(key, key_len) : 0;
    size_t len = key_len - skip;
    if (inode->parent == parent && inode->name_len == len &&
        memcmp(inode->name, key + skip, len) == 0) {
        inode->place_revision = revision;
        return 0;
    }
    char *name = malloc(len + 1);
    if (!name)
        return -ENOMEM;
    memcpy(name, key + skip, len);
    name[len] = '\0';
    place(inodes, inode, parent, name, len, revision);
    return 0;
}

int kv_inodes_enter_locked(struct kv_inodes *inodes, struct kv_inode *parent,
                           const char *name, size_t name_len, uint64_t id,
                           uint32_t type, uint64_t revision, struct kv_inode **ret)
{
    struct kv_inode *inode = kv_inodes_find_locked(inodes, id);
    if (!inode) {
        inode = add(inodes, id, type, name, name_len);
        if (!inode)
            return -ENOMEM;
        inode->parent = kv_inode_ref_locked(parent);
        inode->place_revision = revision;
    } else {
        int err = kv_inode_move_locked(inodes, inode, parent, name, name_len, revision);
        if (err)
            return err;
    }
    inode->nlookup++;
    *ret = inode;
    return 0;
}

void kv_inodes_forget_locked(struct kv_inodes *inodes, struct kv_inode *inode,
                             uint64_t nlookup)
{
    if (inode == inodes->root)
        return;
    assert(inode->nlookup >= nlookup);
    inode->nlookup -= nlookup;
    inode->confirmed = false;
    collect(inodes, inode);
}

/* Whether memory is to be given back now: three of four inodes went. The kernel forgets
 * them by the hundred thousand when it is short of memory, and so may we be. */
static bool most_are_gone_locked(struct kv_inodes *inodes)
{
    if (inodes->peak < MANY_INODES || inodes->count > inodes->peak / 4)
        return false;
    inodes->peak = inodes->count;
    return true;
}

void kv_inodes_forget(struct kv_inodes *inodes, uint64_t id, uint64_t nlookup)
{
    kv_lock(&inodes->lock);
    struct kv_inode *inode = kv_inodes_find_locked(inodes, id);
    if (inode)
        kv_inodes_forget_locked(inodes, inode, nlookup);
    bool trim = most_are_gone_locked(inodes);
    kv_unlock(&inodes->lock);
    if (trim)
        (void)malloc_trim(0); /* 0: there was nothing to give back */
}

/* Put a component and the slash behind it in front of what the buffer's end holds. */
static int prepend(struct kv_path *path, size_t *start, const char *name, size_t len)
{
    size_t slash = *start < KV_KEY_MAX ? 1 : 0;
    if (len + slash > *start)
        return -ENAMETOOLONG;
    if (slash)
        path->key[--*start] = '/';
    *start -= len;
    memcpy(path->key + *start, name, len);
    return 0;
}

int kv_inode_path_locked(const struct kv_inode *inode, const char *name,
                         size_t name_len, struct kv_path *ret)
{
    size_t start = KV_KEY_MAX;
    int err = 0;
    if (name && inode->gone)
        return -ESTALE;
    if (name)
        err = prepend(ret, &start, name, name_len);
    for (int depth = 0; inode && inode->name_len > 0 && !err; inode = inode->parent) {
        if (++depth > MAX_DEPTH)
            return -ESTALE;
        err = prepend(ret, &start, inode->name, inode->name_len);
    }
    if (err)
        return err;
    ret->len = KV_KEY_MAX - start;
    memmove(ret->key, ret->key + start, ret->len);
    ret->key[ret->len] = '\0';
    return 0;
}

int kv_inodes_path(struct kv_inodes *inodes, uint64_t id, const char *name,
                   struct kv_path *ret)
{
    KV_SCOPED_LOCK(&inodes->lock);
    const struct kv_inode *inode = kv_inodes_find_locked(inodes, id);
    return inode ? kv_inode_path_locked(inode, name, name ? strlen(name) : 0, ret)
                 : -ESTALE;
}

bool kv_inode_nameless_locked(const struct kv_inode *inode, uint64_t announced)
{
    return inode->gone && inode->moved_revision <= announced;
}

void kv_inode_set_pending_locked(struct kv_inode *inode, struct kv_pending *pending)
{
    inode->pending = pending;
    kv_list_push_back(&inode->parent->pending_children, &inode->pending_node);
}

void kv_inode_clear_pending_locked(struct kv_inode *inode)
{
    kv_pending_free(inode->pending);
    inode->pending = NULL;
    kv_list_remove(&inode->pending_node);
}

void kv_inode_orphan_pending_locked(struct kv_inode *inode)
{
    kv_pending_free(inode->orphan);
    inode->orphan = inode->pending;
    inode->pending = NULL;
    inode->gone = true;
    kv_list_remove(&inode->pending_node);
}

struct kv_pending *kv_inode_orphan_locked(struct kv_inode *inode,
                                          const struct kv_meta *meta)
{
    if (!inode->orphan) {
        inode->orphan = calloc(1, sizeof(*inode->orphan));
        if (inode->orphan)
            inode->orphan->meta = *meta;
    }
    return inode->orphan;
}

struct kv_inode *kv_inode_pending_child_locked(const struct kv_inode *dir,
                                               const char *name, size_t name_len)
{
    KV_LIST_FOREACH(node, &dir->pending_children)
    {
        struct kv_inode *inode = KV_CONTAINER_OF(node, struct kv_inode, pending_node);
        if (kv_key_equal(inode->name, inode->name_len, name, name_len))
            return inode;
    }
    return NULL;
}
