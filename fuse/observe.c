/* The observer. Only fuse_lowlevel_notify_inval_inode serves here, because it takes no
 * directory's lock: a process holds that while its own create, unlink or rename waits
 * for this very commit. Names are not invalidated; whoever uses one that is no longer
 * true is answered ESTALE.
 *
 * Handlers raise nlookup before they read the store. So either the observer finds the
 * inode, or the handler reads the new state. Where the kernel says that it does not
 * know the inode although it was handed out, it is just about to make it: its
 * attributes were for one use only then (kv_inode.confirmed), except in the moment
 * after it forgot the inode and asked for it anew, which the notifier repairs. */
#include "fuse/observe.h"

#include "fuse/notify.h"

#include <errno.h>

#define CHUNK 256

struct stale {
    uint64_t id;
    bool listing; /* a directory, whose pages go too */
    bool confirmed;
};

struct observation {
    struct kv_mount *mount;
    struct stale stale[CHUNK];
    size_t count;
};

static void tell_kernel(struct observation *observation)
{
    struct kv_mount *mount = observation->mount;
    for (size_t i = 0; i < observation->count; i++) {
        const struct stale *stale = &observation->stale[i];
        int err = fuse_lowlevel_notify_inval_inode(
            mount->session, kv_nodeid_of(mount, stale->id), stale->listing ? 0 : -1, 0);
        if (err == -ENOENT && stale->confirmed)
            kv_notifier_repair(mount->notifier, stale->id);
    }
    observation->count = 0;
}

static void add_locked(struct observation *observation, const struct kv_inode *inode,
                       bool listing)
{
    if (!inode || inode->nlookup == 0)
        return;
    observation->stale[observation->count++] =
        (struct stale){inode->id, listing, inode->confirmed};
}

static void remove_locked(struct kv_mount *mount, struct kv_inode *inode,
                          const struct kv_event *event)
{
    if (!inode)
        return;
    inode->gone = true;
    if (event->type == KV_EVENT_RMDIR) /* without memory it is stale */
        (void)kv_inode_orphan_locked(inode, &event->record->meta);
    if (event->origin != mount->origin)
        inode->moved_revision = event->revision;
}

/* When memory runs out the inode stays at its old place, where the store has nothing or
 * something else, so the next request about it answers ESTALE and puts it right. */
static void move_locked(struct kv_mount *mount, struct kv_inode *inode,
                        const struct kv_event *event)
{
    const struct kv_record *record = event->record;
    struct kv_inode *parent = kv_inodes_find_locked(&mount->inodes, event->parent_id);
    (void)kv_inode_move_locked(&mount->inodes, inode, parent, record->key,
                               record->key_len, event->revision);
    if (event->origin != mount->origin && !event->implied)
        inode->moved_revision = event->revision;
}

static void see_locked(struct observation *observation, const struct kv_event *event)
{
    struct kv_mount *mount = observation->mount;
    struct kv_inodes *inodes = &mount->inodes;
    struct kv_inode *inode = kv_inodes_find_locked(inodes, event->record->meta.id);
    struct kv_inode *replaced = NULL;
    switch (event->type) {
    case KV_EVENT_DELETE:
    case KV_EVENT_RMDIR:
        remove_locked(mount, inode, event);
        break;
    case KV_EVENT_RENAME:
        if (event->replaced_id)
            replaced = kv_inodes_find_locked(inodes, event->replaced_id);
        remove_locked(mount, replaced, event);
        if (inode)
            move_locked(mount, inode, event);
        break;
    case KV_EVENT_PUT:
        if (inode && inode->pending)
            kv_inode_clear_pending_locked(inode);
        break;
    case KV_EVENT_MKDIR:
    case KV_EVENT_META:
        break;
    }
    add_locked(observation, inode, false);
    add_locked(observation, replaced, false);
}

void kv_observe(void *ctx, struct kv_event *const *events, size_t count,
                const uint64_t *touched_ids, size_t touched_count)
{
    struct observation observation = {.mount = ctx};
    struct kv_inodes *inodes = &observation.mount->inodes;
    size_t event = 0, touched = 0;
    while (event < count || touched < touched_count) {
        kv_lock(&inodes->lock);
        while (event < count && observation.count + 2 <= CHUNK)
            see_locked(&observation, events[event++]);
        while (event == count && touched < touched_count && observation.count < CHUNK)
            add_locked(&observation,
                       kv_inodes_find_locked(inodes, touched_ids[touched++]), true);
        kv_unlock(&inodes->lock);
        tell_kernel(&observation);
    }
}
