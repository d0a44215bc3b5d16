/* Publications. One is made by a flush, an fsync, RELEASE, or by somebody who must see
 * its outcome; it holds a reference to its handle until its commit is done.
 *
 * The bytes are copied into the transaction, not moved: writes and reads of the handle
 * go on while the commit runs, and when it fails nothing is lost. A handle has one
 * publication at a time; who wants what was written since to be published waits in
 * handle->queue for the next. */
#include "fuse/publish.h"

#include "base/log.h"
#include "fuse/process.h"
#include "store/xattr.h"

#include <errno.h>
#include <string.h>

struct waiter {
    struct kv_list_node node;
    kv_published_fn *fn;
    void *ctx;
};

struct kv_publication {
    struct kv_mount *mount;
    struct kv_handle *handle; /* counted */
    struct kv_flush taken;    /* guarded by handle->lock, like the next three */
    uint64_t changes;
    size_t len;
    struct kv_list_node waiters;
    struct kv_path path;
    unsigned tries; /* how often it came too late */
    bool first;     /* counted in inode->publishing */
};

/* Who waits for an inode's RELEASEs: a request, or with published somebody else. */
struct parked {
    struct kv_list_node node;
    fuse_req_t req;
    fuse_ino_t ino;
    struct fuse_file_info file;
    bool has_file;
    kv_parked_fn *fn;
    kv_published_fn *published;
    void *ctx;
};

void kv_handle_drop(struct kv_mount *mount, struct kv_handle *handle)
{
    struct kv_inode *inode = handle->inode;
    if (!kv_handle_unref(handle) || !inode)
        return;
    KV_SCOPED_LOCK(&mount->inodes.lock);
    kv_inode_unref_locked(&mount->inodes, inode);
}

bool kv_publish_note_locked(struct kv_mount *mount, struct kv_handle *handle)
{
    bool unpublished = kv_flush_unpublished(&handle->flush) || handle->current;
    KV_SCOPED_LOCK(&mount->inodes.lock);
    struct kv_inode *inode = handle->inode;
    bool first = inode->unpublished == 0 && unpublished;
    inode->unpublished += unpublished;
    inode->unpublished -= handle->unpublished;
    handle->unpublished = unpublished;
    handle->limbo = kv_flush_limbo(&handle->flush);
    return first;
}

/* -- Requests that wait -- */

static void serve(struct kv_mount *mount, struct parked *parked)
{
    if (parked->published)
        parked->published(mount, parked->ctx, 0);
    else
        parked->fn(mount, parked->req, parked->ino,
                   parked->has_file ? &parked->file : NULL);
    free(parked);
}

static void serve_published(struct kv_mount *mount, void *ctx, int err)
{
    (void)err; /* whoever closed is told, or the log */
    serve(mount, ctx);
}

/* A handle of the inode that was closed as far as the asking process can tell. */
static struct kv_handle *closed_handle_locked(struct kv_inode *inode, pid_t tid,
                                              bool by_name)
{
    KV_LIST_FOREACH(node, &inode->handles)
    {
        struct kv_handle *handle = KV_CONTAINER_OF(node, struct kv_handle, node);
        if (handle->limbo && ((by_name && kv_process_has(handle->process, tid)) ||
                              kv_process_ended(handle->process)))
            return kv_handle_ref(handle);
    }
    return NULL;
}

bool kv_park(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
             const struct fuse_file_info *fi, bool by_name, kv_parked_fn *fn)
{
    pid_t tid = fuse_req_ctx(req)->pid;
    struct kv_handle *closed = NULL;
    kv_lock(&mount->inodes.lock);
    struct kv_inode *inode = kv_inodes_find_locked(&mount->inodes, ino);
    bool wait = inode && inode->releasing > 0;
    if (inode && !wait && inode->unpublished > 0)
        closed = closed_handle_locked(inode, tid, by_name);
    struct parked *parked = wait || closed ? malloc(sizeof(*parked)) : NULL;
    if (parked) {
        *parked = (struct parked){.req = req, .ino = ino, .fn = fn, .has_file = fi};
        if (fi)
            parked->file = *fi;
        if (wait)
            kv_list_push_back(&inode->parked, &parked->node);
    }
    kv_unlock(&mount->inodes.lock);
    if (!parked && (wait || closed))
        fuse_reply_err(req, ENOMEM);
    else if (closed)
        kv_publish(mount, closed, serve_published, parked);
    if (closed)
        kv_handle_drop(mount, closed);
    return wait || closed;
}

/* -- The transaction -- */

static int add_xattrs(struct kv_txn *txn, const struct kv_path *path,
                      const struct kv_buf *xattrs)
{
    size_t offset = 0, name_len, value_len;
    const char *name;
    const void *value;
    int more;
    while ((more = kv_xattr_next(xattrs->data, xattrs->len, &offset, &name, &name_len,
                                 &value, &value_len)) > 0) {
        struct kv_op *op;
        int err = kv_txn_op(txn, KV_OP_SET_META, path->key, path->len, &op);
        if (!err)
            err = kv_op_set_xattr(op, name, name_len, value, value_len, KV_XATTR_ANY);
        if (err)
            return err;
    }
    return more;
}

static int add_value(struct kv_txn *txn, const struct kv_publication *publication,
                     struct kv_op **ret)
{
    const struct kv_handle *handle = publication->handle;
    struct kv_op *op;
    int err = kv_txn_op(txn, handle->whole ? KV_OP_PUT : KV_OP_APPEND,
                        publication->path.key, publication->path.len, &op);
    if (!err)
        err = kv_op_set_value(op, handle->bytes.data, handle->bytes.len);
    if (err)
        return err;
    if (handle->mtime_set) {
        op->set |= KV_SET_MTIME;
        op->meta.mtime_ns = handle->mtime_ns;
    }
    *ret = op;
    return 0;
}

/* A truncation that was closed and not published takes effect when it was closed: it
 * must not undo what somebody has stored since, having seen that close. */
static bool closed_earlier(const struct kv_publication *publication)
{
    return publication->taken.closed && !publication->taken.written;
}

/* The first version: with everything a new key needs, unless somebody else has made the
 * key meanwhile; then only the value goes there. When it is the directory that is not
 * there any more, neither happens, and it is built again at its new place. */
static int build_first(struct kv_txn *txn, const struct kv_publication *publication,
                       const struct kv_inode *inode)
{
    const struct kv_path *path = &publication->path;
    const struct kv_pending *pending = inode->pending;
    struct kv_op *op;
    int err = 0;
    if (inode->parent)
        err = kv_txn_require_parent(txn, inode->parent->id, path);
    if (!err)
        err = kv_txn_compare(txn, path->key, path->len, KV_COMPARE_EXISTS, KV_EQUAL, 0);
    if (!err)
        err = add_value(txn, publication, &op);
    if (err)
        return err;
    op->new_id = inode->id;
    op->set |= KV_SET_MODE | KV_SET_UID | KV_SET_GID | KV_SET_EXPIRY;
    op->meta.mode = pending->meta.mode;
    op->meta.uid = pending->meta.uid;
    op->meta.gid = pending->meta.gid;
    op->meta.expiry_ns = pending->meta.expiry_ns;
    if (pending->mtime_set && !(op->set & KV_SET_MTIME)) {
        op->set |= KV_SET_MTIME;
        op->meta.mtime_ns = pending->meta.mtime_ns;
    }
    err = add_xattrs(txn, path, &pending->xattrs);
    if (err || closed_earlier(publication))
        return err;
    kv_txn_else(txn);
    err = add_value(txn, publication, &op);
    if (!err)
        op->flags |= KV_OP_MUST_EXIST;
    return err;
}

static int build_next(struct kv_txn *txn, const struct kv_publication *publication)
{
    const struct kv_handle *handle = publication->handle;
    const struct kv_path *path = &publication->path;
    struct kv_op *op;
    int err = kv_txn_compare(txn, path->key, path->len, KV_COMPARE_ID, KV_EQUAL,
                             kv_handle_record_id_locked(handle));
    if (!err && closed_earlier(publication))
        err = kv_txn_compare(txn, path->key, path->len, KV_COMPARE_VERSION, KV_LESS,
                             handle->closed_version + 1);
    return err ? err : add_value(txn, publication, &op);
}

static void committed(struct kv_txn *txn, void *ctx);

/* Take what the handle holds now into the transaction and submit that. handle->lock is
 * held. Who finds the inode not pending any more, or its first publication under way,
 * submits his own transaction in the belief that it comes behind this one; so this one
 * is queued before the lock is given back. */
static int submit_locked(struct kv_publication *publication, struct kv_txn *txn)
{
    struct kv_handle *handle = publication->handle;
    struct kv_mount *mount = publication->mount;
    struct kv_flush taken = kv_flush_take(&handle->flush);
    publication->taken.truncated |= taken.truncated;
    publication->taken.written |= taken.written;
    publication->taken.closed |= taken.closed;
    publication->changes = handle->changes;
    publication->len = handle->bytes.len;
    KV_SCOPED_LOCK(&mount->inodes.lock);
    struct kv_inode *inode = handle->inode;
    int err = kv_inode_path_locked(inode, NULL, 0, &publication->path);
    if (!err)
        err = inode->pending ? build_first(txn, publication, inode)
                             : build_next(txn, publication);
    if (err)
        return err;
    publication->first = inode->pending;
    inode->publishing += publication->first;
    kv_mount_submit(mount, txn);
    return 0;
}

static void finish(struct kv_publication *publication, int err,
                   struct kv_record *record);

static void submit(struct kv_publication *publication)
{
    struct kv_mount *mount = publication->mount;
    struct kv_handle *handle = publication->handle;
    struct kv_txn *txn;
    int err = kv_txn_new(mount->origin, committed, publication, &txn);
    if (!err) {
        kv_lock(&handle->lock);
        err = submit_locked(publication, txn);
        kv_publish_note_locked(mount, handle);
        kv_unlock(&handle->lock);
        if (err)
            kv_txn_free(txn);
    }
    if (err)
        finish(publication, err, NULL);
}

/* Whether the transaction came too late to where the file was, which is somewhere else
 * by now, or was meanwhile; of a first one, its directory. A truncation that was closed
 * earlier may have been overtaken instead, as its last compare tells. */
static bool moved(const struct kv_publication *publication, const struct kv_txn *txn)
{
    const struct kv_handle *handle = publication->handle;
    struct kv_mount *mount = publication->mount;
    if (closed_earlier(publication) && txn->error == -ECANCELED &&
        txn->failed + 1 == txn->compare_count)
        return false;
    if (!publication->first)
        return kv_is_there(mount, handle->ino, kv_handle_record_id_locked(handle));
    kv_lock(&mount->inodes.lock);
    const struct kv_inode *parent = handle->inode->parent;
    uint64_t id = parent ? parent->id : 0;
    kv_unlock(&mount->inodes.lock);
    return id && kv_is_there(mount, id, id);
}

static void again(struct kv_publication *publication)
{
    struct kv_mount *mount = publication->mount;
    kv_lock(&mount->inodes.lock);
    publication->handle->inode->publishing -= publication->first;
    publication->first = false;
    kv_unlock(&mount->inodes.lock);
    submit(publication);
}

/* Committer thread. */
static void committed(struct kv_txn *txn, void *ctx)
{
    struct kv_publication *publication = ctx;
    struct kv_mount *mount = publication->mount;
    struct kv_record *record = NULL;
    if (!txn->error)
        record = (txn->succeeded ? txn->ops : txn->else_ops)[0].result;
    bool missed = txn->error == -ECANCELED || txn->error == -ENOENT;
    if (missed && moved(publication, txn) && ++publication->tries < KV_TRIES)
        again(publication);
    else if (missed && publication->tries == KV_TRIES)
        finish(publication, -EIO, NULL);
    else /* unlinked or replaced: what is written to such a file is nobody's */
        finish(publication, txn->error == -ECANCELED ? 0 : txn->error, record);
    kv_mount_landed(mount);
}

/* -- The end of it -- */

/* The inode is what the record says; or the name was somebody else's, whose record got
 * the value (NULL: did not have to), and the kernel has to look it up. */
static void adopt_locked(struct kv_inode *inode, const struct kv_record *record)
{
    bool was_pending = inode->pending;
    if (was_pending)
        kv_inode_clear_pending_locked(inode);
    if (record ? record->meta.id != inode->id : was_pending) {
        inode->gone = true;
        inode->moved_revision = KV_NAME_KEPT;
    }
}

static void settle_handle_locked(struct kv_publication *publication, int err,
                                 struct kv_record *record)
{
    struct kv_mount *mount = publication->mount;
    struct kv_handle *handle = publication->handle;
    handle->current = NULL;
    if (err && !handle->released) /* the next close, or RELEASE, tries again */
        kv_flush_restore(&handle->flush, publication->taken);
    if (record)
        kv_handle_published_locked(handle, record, publication->changes,
                                   publication->len);
    bool superseded = !err && !record && closed_earlier(publication);
    if (superseded)
        kv_handle_drop_bytes_locked(handle);
    KV_SCOPED_LOCK(&mount->inodes.lock);
    handle->inode->publishing -= publication->first;
    if (record || superseded)
        adopt_locked(handle->inode, record);
}

/* The name of a file that could not be stored at its last close does not exist. */
static void lose_pending_locked(struct kv_inode *inode)
{
    if (!inode->pending || !kv_list_empty(&inode->handles))
        return;
    kv_inode_clear_pending_locked(inode);
    inode->gone = true;
}

static void finish_release(struct kv_publication *publication, int err)
{
    struct kv_mount *mount = publication->mount;
    struct kv_inode *inode = publication->handle->inode;
    struct kv_list_node waiting;
    kv_list_init(&waiting);
    if (err)
        kv_warning("cannot store '%.*s' at its last close: %s",
                   (int)publication->path.len, publication->path.key, kv_strerror(err));
    kv_lock(&mount->inodes.lock);
    if (err)
        lose_pending_locked(inode);
    if (--inode->releasing == 0)
        kv_list_splice_back(&waiting, &inode->parked);
    kv_unlock(&mount->inodes.lock);
    KV_LIST_FOREACH(node, &waiting)
    serve(mount, KV_CONTAINER_OF(node, struct parked, node));
}

static void wake(struct kv_mount *mount, struct kv_list_node *waiters, int err)
{
    KV_LIST_FOREACH(node, waiters)
    {
        struct waiter *waiter = KV_CONTAINER_OF(node, struct waiter, node);
        waiter->fn(mount, waiter->ctx, err);
        free(waiter);
    }
}

static struct kv_publication *begin_locked(struct kv_mount *mount,
                                           struct kv_handle *handle)
{
    struct kv_publication *publication = calloc(1, sizeof(*publication));
    if (!publication)
        return NULL;
    publication->mount = mount;
    publication->handle = kv_handle_ref(handle);
    kv_list_init(&publication->waiters);
    kv_list_splice_back(&publication->waiters, &handle->queue);
    handle->current = publication;
    return publication;
}

static void finish(struct kv_publication *publication, int err,
                   struct kv_record *record)
{
    struct kv_mount *mount = publication->mount;
    struct kv_handle *handle = publication->handle;
    struct kv_publication *next = NULL;
    struct kv_list_node left;
    kv_list_init(&left);
    kv_lock(&handle->lock);
    settle_handle_locked(publication, err, record);
    bool wanted = handle->released || !kv_list_empty(&handle->queue);
    bool rest = kv_flush_rest(&handle->flush);
    if (wanted && rest)
        next = begin_locked(mount, handle);
    if (!next)
        kv_list_splice_back(&left, &handle->queue);
    bool released = handle->released && !next;
    /* What they wait for was refused, or went along when this one was submitted again,
     * or there is no memory. */
    int left_err = err ? err : handle->refused ? handle->refused : rest ? -ENOMEM : 0;
    kv_publish_note_locked(mount, handle);
    kv_unlock(&handle->lock);
    wake(mount, &publication->waiters, err);
    wake(mount, &left, left_err);
    if (released)
        finish_release(publication, err);
    if (next)
        submit(next);
    kv_handle_drop(mount, handle);
    free(publication);
}

/* -- The beginning -- */

void kv_publish(struct kv_mount *mount, struct kv_handle *handle, kv_published_fn *fn,
                void *ctx)
{
    struct waiter *waiter = malloc(sizeof(*waiter));
    if (!waiter) {
        fn(mount, ctx, -ENOMEM);
        return;
    }
    *waiter = (struct waiter){.fn = fn, .ctx = ctx};
    struct kv_publication *begun = NULL;
    kv_lock(&handle->lock);
    int err = kv_handle_drop_refused_locked(handle);
    bool unpublished = kv_flush_rest(&handle->flush), waits = !err && handle->current;
    if (err) {
        kv_publish_note_locked(mount, handle);
    } else if (unpublished && !waits) {
        begun = begin_locked(mount, handle);
        err = begun ? 0 : -ENOMEM;
        waits = begun;
    }
    if (waits)
        kv_list_push_back(unpublished && !begun ? &handle->queue
                                                : &handle->current->waiters,
                          &waiter->node);
    kv_unlock(&handle->lock);
    if (begun)
        submit(begun);
    if (!waits) {
        free(waiter);
        fn(mount, ctx, err);
    }
}

/* In one step for those who look at the inode: the handle leaves, and what it leaves
 * behind is announced. */
static void leave(struct kv_mount *mount, struct kv_handle *handle, bool publishes)
{
    struct kv_inode *inode = handle->inode;
    KV_SCOPED_LOCK(&mount->inodes.lock);
    kv_list_remove(&handle->node);
    handle->limbo = false;
    if (publishes)
        inode->releasing++;
    else if (inode->releasing == 0)
        lose_pending_locked(inode);
}

void kv_publish_release(struct kv_mount *mount, struct kv_handle *handle)
{
    struct kv_publication *begun = NULL;
    kv_lock(&handle->lock);
    handle->released = true;
    bool lost = false;
    if (kv_handle_drop_refused_locked(handle))
        kv_publish_note_locked(mount, handle);
    if (!handle->current && kv_flush_rest(&handle->flush)) {
        begun = begin_locked(mount, handle);
        lost = !begun;
    }
    leave(mount, handle, handle->current);
    if (lost) {
        kv_flush_take(&handle->flush);
        kv_publish_note_locked(mount, handle);
    }
    kv_unlock(&handle->lock);
    if (lost)
        kv_error("cannot store a file at its last close: %s", kv_strerror(-ENOMEM));
    if (begun)
        submit(begun);
    kv_handle_drop(mount, handle);
}

void kv_publish_abandon(struct kv_mount *mount, struct kv_handle *handle)
{
    kv_lock(&handle->lock);
    kv_flush_take(&handle->flush);
    kv_publish_note_locked(mount, handle);
    leave(mount, handle, false);
    kv_unlock(&handle->lock);
    kv_handle_drop(mount, handle);
}

/* A handle that can publish the inode; counted. */
static struct kv_handle *writer_locked(const struct kv_inode *inode)
{
    KV_LIST_FOREACH(node, &inode->handles)
    {
        struct kv_handle *handle = KV_CONTAINER_OF(node, struct kv_handle, node);
        if (handle->unpublished)
            return kv_handle_ref(handle);
    }
    return NULL;
}

/* When the first publication is submitted already, what fn submits comes behind it.
 * When it is just about to be, by RELEASE, fn waits for that. */
void kv_publish_pending(struct kv_mount *mount, fuse_ino_t ino, kv_published_fn *fn,
                        void *ctx)
{
    struct parked *parked = malloc(sizeof(*parked));
    if (!parked) {
        fn(mount, ctx, -ENOMEM);
        return;
    }
    *parked = (struct parked){.published = fn, .ctx = ctx};
    struct kv_handle *writer = NULL;
    bool waits = false;
    kv_lock(&mount->inodes.lock);
    struct kv_inode *inode = kv_inodes_find_locked(&mount->inodes, ino);
    if (inode && inode->pending && inode->publishing == 0) {
        writer = writer_locked(inode);
        waits = !writer && inode->releasing > 0;
    }
    if (waits)
        kv_list_push_back(&inode->parked, &parked->node);
    kv_unlock(&mount->inodes.lock);
    if (waits)
        return;
    free(parked);
    if (writer) {
        kv_publish(mount, writer, fn, ctx);
        kv_handle_drop(mount, writer);
    } else {
        fn(mount, ctx, 0);
    }
}
