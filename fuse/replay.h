#ifndef KV_FUSE_REPLAY_H
#define KV_FUSE_REPLAY_H

/* One event, made once more by system calls on the mount. Notifier thread only. */

#include "fuse/expect.h"

struct kv_replay {
    struct kv_mount *mount;
    struct kv_expect expect;
    int root;        /* the mount's root, while something is repeated; or -1 */
    uint64_t dir_id; /* the directory that was used last, and its descriptor */
    int dir;
};

void kv_replay_init(struct kv_replay *replay, struct kv_mount *mount);
void kv_replay_done(struct kv_replay *replay);

/* Repeat an event in full. partner: the second half of an exchange, or NULL. 0, or why
 * it could not be; the kernel then at least does not keep the names. */
int kv_replay_event(struct kv_replay *replay, const struct kv_event *event,
                    const struct kv_event *partner);

/* Only say that the value is new: one MODIFY. */
int kv_replay_modify(struct kv_replay *replay, const struct kv_event *event);

/* One MODIFY on an inode at the key it has now. */
int kv_replay_modify_inode(struct kv_replay *replay, uint64_t id);

/* Have the kernel fetch the attributes of an inode anew, behind any lookup under way.
 */
int kv_replay_fetch(struct kv_replay *replay, uint64_t id);

/* Close what was kept open between events. A descriptor in the mount keeps umount(8)
 * from working, so that is done whenever the feed is empty. */
void kv_replay_rest(struct kv_replay *replay);

#endif
