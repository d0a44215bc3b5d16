/* Requests that wait for a commit, and the count of them: a mount is not taken apart
 * before the last is answered. */
#include "fuse/mount.h"

#include <errno.h>
#include <string.h>

int kv_request_new(struct kv_mount *mount, fuse_req_t req, fuse_ino_t parent,
                   const char *name, struct kv_request **ret)
{
    struct kv_request *request = calloc(1, sizeof(*request));
    char *copy = name ? strdup(name) : NULL;
    if (!request || (name && !copy)) {
        free(request);
        free(copy);
        return -ENOMEM;
    }
    request->mount = mount;
    request->req = req;
    request->parent = parent;
    request->name = copy;
    *ret = request;
    return 0;
}

void kv_request_free(struct kv_request *request)
{
    if (!request)
        return;
    free(request->name);
    free(request);
}

int kv_request_txn(struct kv_request *request, enum kv_op_type type, uint64_t id,
                   kv_txn_done_fn *done, struct kv_txn **ret, struct kv_op **ret_op)
{
    const struct kv_path *path = &request->path;
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = NULL;
    int err = kv_txn_new(request->mount->origin, done, request, &txn);
    if (!err && id && path->len > 0) /* the root is always itself */
        err = kv_txn_compare(txn, path->key, path->len, KV_COMPARE_ID, KV_EQUAL, id);
    if (!err)
        err = kv_txn_op(txn, type, path->key, path->len, ret_op);
    if (!err)
        *ret = KV_STEAL(txn);
    return err;
}

int kv_txn_require_parent(struct kv_txn *txn, uint64_t parent,
                          const struct kv_path *path)
{
    size_t skip = kv_key_name_offset(path->key, path->len);
    if (skip == 0) /* the root stays where it is */
        return 0;
    return kv_txn_compare(txn, path->key, skip - 1, KV_COMPARE_ID, KV_EQUAL, parent);
}

int kv_request_find_again(struct kv_request *request)
{
    if (++request->tries == KV_TRIES)
        return -ENOENT;
    return kv_child_path(request->mount, request->parent, request->name,
                         &request->path);
}

bool kv_request_follow(struct kv_request *request, struct kv_txn *txn,
                       kv_txn_done_fn *done)
{
    struct kv_mount *mount = request->mount;
    struct kv_txn *next;
    struct kv_op *op;
    if ((txn->error != -ECANCELED && txn->error != -ENOENT) ||
        !kv_is_there(mount, request->ino, request->ino) ||
        kv_inodes_path(&mount->inodes, request->ino, NULL, &request->path))
        return false;
    if (++request->tries == KV_TRIES) {
        txn->error = -EIO;
        return false;
    }
    if (kv_request_txn(request, txn->ops[0].type, request->ino, done, &next, &op))
        return false;
    kv_op_steal(op, &txn->ops[0]);
    kv_mount_submit(mount, next);
    kv_mount_landed(mount);
    return true;
}

void kv_mount_submit(struct kv_mount *mount, struct kv_txn *txn)
{
    kv_lock(&mount->flight_lock);
    mount->in_flight++;
    kv_unlock(&mount->flight_lock);
    kv_store_submit(mount->store, txn);
}

void kv_mount_landed(struct kv_mount *mount)
{
    KV_SCOPED_LOCK(&mount->flight_lock);
    if (--mount->in_flight == 0)
        pthread_cond_broadcast(&mount->landed);
}
