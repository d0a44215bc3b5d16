#ifndef KV_FUSE_SETID_H
#define KV_FUSE_SETID_H

#include "fuse/mount.h"

/* Whether the caller, changing the bytes of this file, takes set-id bits from it;
 * *ret_mode: what is left. What concerns a name that is not published is done at once.
 */
bool kv_set_id(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
               uint32_t *ret_mode);

/* Commit that mode for request->ino. On failure the request is still the caller's; done
 * is as for kv_request_txn. */
int kv_clear_set_id(struct kv_request *request, uint32_t mode, kv_txn_done_fn *done);

/* The outcome in done: a file that is gone meanwhile has no bits to take. */
int kv_cleared_set_id(const struct kv_txn *txn);

#endif
