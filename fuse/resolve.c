/* From an inode number to the record it stands for, now. */
#include "fuse/mount.h"

#include "base/clock.h"
#include "fuse/handle.h"
#include "fuse/notify.h"
#include "fuse/publish.h"

#include <errno.h>
#include <string.h>

void kv_subject_done(struct kv_subject *subject)
{
    kv_record_unref(subject->record);
}

/* So often may an inode be moved while it is looked for. */
#define TRIES 64

/* What the table says of an inode. */
struct inode_state {
    bool gone;
    bool unsettled; /* the kernel may know it by a name that is not its own any more */
    bool unpublished;
    uint64_t announced; /* what the notifier has repeated */
};

static int look(struct kv_mount *mount, fuse_ino_t ino, struct kv_subject *subject,
                struct inode_state *state)
{
    uint64_t announced = kv_notifier_announced(mount->notifier);
    KV_SCOPED_LOCK(&mount->inodes.lock);
    struct kv_inode *inode = kv_inodes_find_locked(&mount->inodes, ino);
    if (!inode)
        return -ESTALE;
    inode->confirmed = true;
    state->gone = inode->gone;
    state->announced = announced;
    state->unsettled = inode->moved_revision > announced;
    state->unpublished = inode->unpublished > 0;
    subject->pending = inode->pending;
    subject->atime_set = inode->atime_set;
    subject->atime_ns = inode->atime_ns;
    subject->touched_ns = inode->touched_ns;
    if (inode->pending)
        subject->meta = inode->pending->meta;
    return kv_inode_path_locked(inode, NULL, 0, &subject->path);
}

static int stale(struct kv_mount *mount, pid_t tid, fuse_ino_t ino, int64_t now_ns)
{
    kv_retry_stale(&mount->retry, tid, ino, now_ns);
    return -ESTALE;
}

/* What the store has at the inode's place. Where it is something else, or nothing, a
 * commit may have moved the inode of which the table is just about to hear: whoever
 * holds it by a descriptor is not to notice. */
static int find(struct kv_mount *mount, fuse_ino_t ino, uint64_t id, bool want_value,
                struct kv_subject *subject, struct inode_state *state,
                struct kv_record **ret)
{
    for (int tries = 1;; tries++) {
        int err = look(mount, ino, subject, state);
        if (err)
            return err;
        err = (want_value ? kv_store_get : kv_store_stat)(
            mount->store, subject->path.key, subject->path.len, ret);
        bool found = !err && (*ret)->meta.id == id;
        if (found || (err && err != -ENOENT) || state->gone || subject->pending ||
            tries == TRIES)
            return err == -ENOENT ? 0 : err;
        kv_record_unref(*ret);
        *ret = NULL;
        err = kv_store_catch_up(mount->store);
        if (err)
            return err;
    }
}

static void take_record(struct kv_subject *subject, struct kv_record *record)
{
    kv_record_unref(subject->record);
    subject->record = record;
    subject->meta = record->meta;
    subject->pending = false;
}

int kv_resolve(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino, bool want_value,
               struct kv_subject *ret)
{
    pid_t tid = fuse_req_ctx(req)->pid;
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    KV_CLEANUP(kv_record_unrefp) struct kv_record *earlier = NULL;
    struct inode_state state = {0};
    *ret = (struct kv_subject){0};
    int err = find(mount, ino, ino, want_value, ret, &state, &record);
    if (err)
        return err;
    bool found = record && record->meta.id == ino;
    if (found && !state.unsettled) {
        take_record(ret, KV_STEAL(record));
        ret->settled =
            !state.unpublished && ret->record->meta.mod_revision <= state.announced;
        return 0;
    }
    if (!record && ret->pending)
        return 0;
    int64_t now_ns = kv_clock_monotonic_ns();
    if (!kv_retry_match(&mount->retry, tid, ino, now_ns, &earlier))
        return stale(mount, tid, ino, now_ns);
    if (found)
        take_record(ret, KV_STEAL(record));
    else if (earlier)
        take_record(ret, KV_STEAL(earlier));
    else
        return stale(mount, tid, ino, now_ns);
    return 0;
}

struct kv_record *kv_record_of(struct kv_mount *mount, fuse_ino_t ino, uint64_t id,
                               bool want_value)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    struct inode_state state;
    struct kv_subject subject;
    int err = find(mount, ino, id, want_value, &subject, &state, &record);
    return !err && record && record->meta.id == id ? KV_STEAL(record) : NULL;
}

bool kv_is_there(struct kv_mount *mount, fuse_ino_t ino, uint64_t id)
{
    struct kv_path path;
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    return kv_inodes_path(&mount->inodes, ino, NULL, &path) == 0 &&
           kv_store_stat(mount->store, path.key, path.len, &record) == 0 &&
           record->meta.id == id;
}

struct kv_record *kv_newest(struct kv_mount *mount, struct kv_handle *handle)
{
    kv_lock(&handle->lock);
    uint64_t id = kv_handle_record_id_locked(handle);
    kv_unlock(&handle->lock);
    return kv_record_of(mount, handle->ino, id, true);
}

struct kv_handle *kv_unpublished_handle(struct kv_mount *mount, pid_t tid,
                                        fuse_ino_t ino)
{
    KV_SCOPED_LOCK(&mount->inodes.lock);
    const struct kv_inode *inode = kv_inodes_find_locked(&mount->inodes, ino);
    struct kv_handle *handle = inode ? kv_handle_unpublished_locked(inode, tid) : NULL;
    return handle ? kv_handle_ref(handle) : NULL;
}

void kv_size_in_writing(struct kv_mount *mount, struct stat *st)
{
    struct kv_handle *handle =
        S_ISREG(st->st_mode) ? kv_unpublished_handle(mount, 0, st->st_ino) : NULL;
    if (!handle)
        return;
    st->st_size = (off_t)kv_handle_size(handle);
    kv_handle_drop(mount, handle);
}
