/* The system calls that repeat an event, as the table of docs/fuse.md has them: each
 * raises exactly the inotify events that the same change by a process would have
 * raised.
 *
 * They go by directory descriptor and name. The directory is opened at the place it has
 * now, or had at the event, and is the right one only if it has the right inode number:
 * paths may have been reused. */
#include "fuse/replay.h"

#include "fuse/orphan.h"
#include "fuse/outside.h"
#include "fuse/readonly.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* A call is tried again when the kernel knew the name by something else; each time
 * removes one such reason. */
#define TRIES 4

static const struct timespec MTIME_NOW[2] = {{.tv_nsec = UTIME_OMIT},
                                             {.tv_nsec = UTIME_NOW}};
static const struct timespec BOTH_NOW[2] = {{.tv_nsec = UTIME_NOW},
                                            {.tv_nsec = UTIME_NOW}};

void kv_replay_init(struct kv_replay *replay, struct kv_mount *mount)
{
    *replay = (struct kv_replay){.mount = mount, .root = -1, .dir = -1};
    kv_expect_init(&replay->expect);
}

static void close_dir(struct kv_replay *replay)
{
    kv_outside_close(&replay->dir);
    replay->dir_id = 0;
}

void kv_replay_rest(struct kv_replay *replay)
{
    close_dir(replay);
    kv_outside_close(&replay->root);
}

void kv_replay_done(struct kv_replay *replay)
{
    kv_replay_rest(replay);
    kv_expect_done(&replay->expect);
}

static int negative(int result)
{
    return result < 0 ? -errno : 0;
}

/* -- Directories -- */

/* What the kernel has in its inode, without a request. */
static int identify(int fd, dev_t *ret_device, uint64_t *ret_id)
{
    struct statx sx;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &sx) < 0)
        return -errno;
    *ret_device = makedev(sx.stx_dev_major, sx.stx_dev_minor);
    *ret_id = sx.stx_ino;
    return 0;
}

static int open_mounted(const struct kv_mount *mount)
{
    if (mount->read_only)
        return kv_readonly_open(mount->path);
    int fd = openat(AT_FDCWD, mount->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

/* After an umount the path leads somewhere else, where nothing may be touched. */
static int open_root(struct kv_replay *replay)
{
    if (replay->root >= 0)
        return 0;
    dev_t device = 0;
    uint64_t id = 0;
    const struct kv_mount *mount = replay->mount;
    int fd = open_mounted(mount);
    if (fd < 0)
        return fd;
    int err = identify(fd, &device, &id);
    if (!err && (device != mount->device || id != mount->root_id))
        err = -ENOTCONN;
    if (err)
        kv_outside_close(&fd);
    else
        replay->root = fd;
    return err;
}

/* The path of a key from the mount's root; NULL: it is not below that. */
static const char *place_of(struct kv_replay *replay, const char *key, size_t len)
{
    struct kv_inodes *inodes = &replay->mount->inodes;
    struct kv_path root;
    if (kv_inodes_path(inodes, replay->mount->root_id, NULL, &root))
        return NULL;
    if (kv_key_equal(key, len, root.key, root.len))
        return ".";
    if (root.len == 0)
        return key;
    return kv_key_is_below(key, len, root.key, root.len) ? key + root.len + 1 : NULL;
}

/* Open the directory at that path if it is the one. */
static int open_dir_at(struct kv_replay *replay, int at, uint64_t id, const char *path,
                       int *ret_fd)
{
    dev_t device = 0;
    uint64_t found = 0;
    if (!path)
        return -ENOENT;
    int fd = openat(at, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = identify(fd, &device, &found);
    if (!err && (found != id || device != replay->mount->device))
        err = -ESTALE;
    if (err)
        kv_outside_close(&fd);
    else
        *ret_fd = fd;
    return err;
}

/* One end of an event: a name in a directory. */
struct end {
    int dir;
    uint64_t dir_id;
    const char *name;
};

/* Make the kernel look a name up again, whatever it has cached: mkdir(2) always does,
 * and goes no further, because the name is there or, when it is not, our own handler
 * refuses. fuse_lowlevel_notify_inval_entry would be the direct way, but it waits for
 * the directory's lock inside the very descriptor that has to be closed for a killed
 * daemon's mount to end (outside.h). */
static void look_again(const struct end *end)
{
    (void)mkdirat(end->dir, end->name, 0);
}

static struct kv_expect_name expected(const struct end *end, struct kv_record *shown)
{
    return (struct kv_expect_name){
        .parent = end->dir_id,
        .name = end->name,
        .name_len = strlen(end->name),
        .shown = shown,
    };
}

/* One step on the way to a directory: a name, and the directory it stood for. */
struct step {
    uint64_t parent, id;
    char name[KV_KEY_COMPONENT_MAX + 1];
};

/* Keys have fewer components, and names in the table are no longer than keys. */
#define STEPS (KV_KEY_MAX / 2 + 1)

/* The way from the root to directory id as the table remembers it, nearest the root
 * last. 0, or -ESTALE when it does not. */
static int find_way(struct kv_inodes *inodes, uint64_t id, struct step *steps,
                    size_t *ret_count)
{
    KV_SCOPED_LOCK(&inodes->lock);
    const struct kv_inode *inode = kv_inodes_find_locked(inodes, id);
    size_t count = 0;
    for (; inode && inode != inodes->root; inode = inode->parent) {
        struct step *step = &steps[count++];
        if (!inode->parent || count > STEPS || inode->name_len >= sizeof(step->name))
            return -ESTALE;
        step->parent = inode->parent->id;
        step->id = inode->id;
        memcpy(step->name, inode->name, inode->name_len);
        step->name[inode->name_len] = '\0';
    }
    *ret_count = count;
    return inode ? 0 : -ESTALE;
}

static int open_step(struct kv_replay *replay, const struct step *step, int at,
                     int *ret_fd)
{
    struct kv_record_parts parts = {
        .meta = {.id = step->id, .mode = S_IFDIR | KV_MODE_GONE},
        .key = step->name,
        .key_len = strlen(step->name),
        .bare = true,
    };
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = kv_record_new(&parts);
    if (!record)
        return -ENOMEM;
    struct end end = {at, step->parent, step->name};
    struct kv_expect_name name = expected(&end, record);
    int err = -ESTALE;
    kv_expect_set(&replay->expect, &name, 1, NULL);
    for (int i = 0; i < TRIES && (err == -ESTALE || err == -ENOTDIR); i++) {
        if (i > 0)
            look_again(&end);
        err = open_dir_at(replay, at, step->id, step->name, ret_fd);
    }
    kv_expect_clear(&replay->expect);
    return err;
}

/* Directories above id are gone or replaced, but whoever watches in there is still to
 * hear how that happened. The kernel may have forgotten their names, so they are shown
 * to this thread, one after the other. */
static int open_gone(struct kv_replay *replay, uint64_t id, int *ret_fd)
{
    struct step steps[STEPS];
    size_t count;
    int err = find_way(&replay->mount->inodes, id, steps, &count);
    KV_CLEANUP(kv_outside_close) int at = -1;
    while (!err && count > 0) {
        int fd = -1;
        err = open_step(replay, &steps[--count], at < 0 ? replay->root : at, &fd);
        kv_outside_close(&at);
        at = fd;
    }
    if (err)
        return err;
    if (at < 0)
        return -ESTALE; /* the root: the plain way would have found it */
    *ret_fd = at;
    at = -1;
    return 0;
}

/* Open directory id, which held child_key at the event. */
static int open_dir(struct kv_replay *replay, uint64_t id, const char *child_key,
                    size_t child_len, int *ret_fd)
{
    struct kv_path path;
    int err = kv_inodes_path(&replay->mount->inodes, id, NULL, &path);
    if (!err)
        err = open_dir_at(replay, replay->root, id,
                          place_of(replay, path.key, path.len), ret_fd);
    if (!err)
        return 0;
    path.len = kv_key_parent_len(child_key, child_len);
    memcpy(path.key, child_key, path.len);
    path.key[path.len] = '\0';
    err = open_dir_at(replay, replay->root, id, place_of(replay, path.key, path.len),
                      ret_fd);
    return err ? open_gone(replay, id, ret_fd) : 0;
}

/* The directory that holds key; stays open for the next event. */
static int use_dir(struct kv_replay *replay, uint64_t id, const char *key, size_t len)
{
    int err = open_root(replay);
    if (err || (replay->dir >= 0 && replay->dir_id == id))
        return err;
    close_dir(replay);
    err = open_dir(replay, id, key, len, &replay->dir);
    if (!err)
        replay->dir_id = id;
    return err;
}

/* -- The calls -- */

static int touch(const struct end *end, const struct timespec times[2])
{
    return negative(utimensat(end->dir, end->name, times, AT_SYMLINK_NOFOLLOW));
}

/* Raises MODIFY as a write does, with the open file: fanotify can tell of nothing else
 * when its events come with descriptors. The size in the kernel stays. */
static int modify(int fd)
{
    return negative(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 1));
}

/* O_NONBLOCK: a lease that somebody holds must not make the notifier wait. */
static int overwrite(const struct end *end)
{
    KV_CLEANUP(kv_outside_close)
    int fd =
        openat(end->dir, end->name, O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? touch(end, MTIME_NOW) : modify(fd);
}

static int link_to(const struct end *end, const struct kv_record *record)
{
    KV_CLEANUP(kv_free)
    char *target = strndup(record->value ? record->value : "?", record->meta.size);
    return target ? negative(symlinkat(target, end->dir, end->name)) : -ENOMEM;
}

static int make_once(const struct end *end, const struct kv_record *record)
{
    mode_t mode = record->meta.mode & 07777;
    if (kv_record_is_dir(record))
        return negative(mkdirat(end->dir, end->name, mode));
    if (kv_record_is_link(record))
        return link_to(end, record);
    KV_CLEANUP(kv_outside_close)
    int fd = openat(end->dir, end->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    return fd < 0 ? -errno : modify(fd);
}

static int make(struct kv_replay *replay, const struct end *end,
                struct kv_record *record)
{
    struct kv_expect_name name = expected(end, NULL);
    int err = -EEXIST;
    kv_expect_set(&replay->expect, &name, 1, record);
    for (int i = 0; i < TRIES && (err == -EEXIST || err == -ESTALE); i++)
        err = make_once(end, record);
    kv_expect_clear(&replay->expect);
    return err == -EEXIST ? overwrite(end) : err;
}

static int take(struct kv_replay *replay, const struct end *end,
                struct kv_record *record)
{
    struct kv_expect_name name = expected(end, record);
    int err = -ESTALE;
    int flags = kv_record_is_dir(record) ? AT_REMOVEDIR : 0;
    kv_expect_set(&replay->expect, &name, 1, NULL);
    /* EISDIR, ENOTDIR: the kernel has something newer of that name. */
    for (int i = 0; i < TRIES && (err == -ESTALE || err == -EISDIR || err == -ENOTDIR);
         i++) {
        if (i > 0)
            look_again(end);
        err = negative(unlinkat(end->dir, end->name, flags));
    }
    kv_expect_clear(&replay->expect);
    return err;
}

/* A stand-in for what a rename replaced, if the kernel knows that. */
static struct kv_record *replaced_record(struct kv_replay *replay,
                                         const struct kv_event *event)
{
    struct kv_mount *mount = replay->mount;
    struct kv_record_parts parts = {
        .meta = {.id = event->replaced_id},
        .key = event->record->key,
        .key_len = event->record->key_len,
        .bare = true,
    };
    if (event->replaced_id == 0)
        return NULL;
    kv_lock(&mount->inodes.lock);
    const struct kv_inode *inode =
        kv_inodes_find_locked(&mount->inodes, event->replaced_id);
    bool known = inode && inode->nlookup > 0;
    if (known)
        parts.meta.mode = inode->type | KV_MODE_GONE;
    kv_unlock(&mount->inodes.lock);
    if (!known)
        return NULL;
    parts.meta.size = kv_orphan_size(mount, event->replaced_id);
    return kv_record_new(&parts);
}

static int move(struct kv_replay *replay, const struct kv_event *event,
                const struct kv_event *partner, const struct end *from,
                const struct end *to)
{
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *replaced =
        partner ? kv_record_ref(partner->record) : replaced_record(replay, event);
    struct kv_expect_name names[2] = {expected(from, event->record),
                                      expected(to, replaced)};
    unsigned flags = partner ? RENAME_EXCHANGE : 0;
    int err = -ESTALE;
    kv_expect_set(&replay->expect, names, 2, NULL);
    /* ESTALE also when a directory's entry is cached at its new place already: looking
     * the old name up, without the lock of a rename, brings it back. */
    for (int i = 0; i < TRIES && err; i++) {
        if (i > 0) {
            look_again(from);
            look_again(to);
        }
        err = negative(renameat2(from->dir, from->name, to->dir, to->name, flags));
    }
    kv_expect_clear(&replay->expect);
    if (err) { /* then at least the names are to be right */
        look_again(from);
        look_again(to);
    }
    return err;
}

/* -- Events -- */

static const char *name_of(const char *key, size_t len)
{
    return key + kv_key_name_offset(key, len);
}

/* Whether a key is, or was at the event, below the mount's root: its directory is
 * known, or is where the root is now. */
static bool is_inside(struct kv_replay *replay, uint64_t dir_id, const char *key,
                      size_t len)
{
    struct kv_path path;
    return kv_inodes_path(&replay->mount->inodes, dir_id, NULL, &path) == 0 ||
           place_of(replay, key, len);
}

/* Out of the directory that is mounted: who watches there sees a key go, and another
 * one come when they were exchanged. */
static int move_out(struct kv_replay *replay, const struct kv_event *event,
                    const struct kv_event *partner, const char *old)
{
    struct end from = {-1, event->from_parent_id, name_of(old, event->from_len)};
    int err = use_dir(replay, event->from_parent_id, old, event->from_len);
    if (err)
        return err;
    from.dir = replay->dir;
    err = take(replay, &from, event->record);
    return err || !partner ? err : make(replay, &from, partner->record);
}

/* Into it: a key comes, for one that goes when there was one. */
static int move_in(struct kv_replay *replay, const struct kv_event *event)
{
    const struct kv_record *record = event->record;
    struct end to = {-1, event->parent_id, name_of(record->key, record->key_len)};
    KV_CLEANUP(kv_record_unrefp)
    struct kv_record *replaced = replaced_record(replay, event);
    int err = use_dir(replay, event->parent_id, record->key, record->key_len);
    if (err)
        return err;
    to.dir = replay->dir;
    if (replaced)
        err = take(replay, &to, replaced);
    return err ? err : make(replay, &to, event->record);
}

static int move_inside(struct kv_replay *replay, const struct kv_event *event,
                       const struct kv_event *partner, const char *old)
{
    const struct kv_record *record = event->record;
    int err = use_dir(replay, event->parent_id, record->key, record->key_len);
    if (err)
        return err;
    struct end to = {replay->dir, event->parent_id,
                     name_of(record->key, record->key_len)};
    struct end from = {-1, event->from_parent_id, name_of(old, event->from_len)};
    KV_CLEANUP(kv_outside_close) int other = -1;
    if (from.dir_id != to.dir_id) {
        err = open_dir(replay, from.dir_id, old, event->from_len, &other);
        if (err)
            return err;
    }
    from.dir = other >= 0 ? other : replay->dir;
    return move(replay, event, partner, &from, &to);
}

static int replay_rename(struct kv_replay *replay, const struct kv_event *event,
                         const struct kv_event *partner)
{
    const struct kv_record *record = event->record;
    KV_CLEANUP(kv_free) char *old = strndup(event->from, event->from_len);
    if (!old)
        return -ENOMEM;
    bool from = is_inside(replay, event->from_parent_id, old, event->from_len);
    bool to = is_inside(replay, event->parent_id, record->key, record->key_len);
    if (from && to)
        return move_inside(replay, event, partner, old);
    if (from)
        return move_out(replay, event, partner, old);
    if (!to)
        return -ENOENT;
    return partner ? replay_rename(replay, partner, event) : move_in(replay, event);
}

/* The end of an event that has one. The mount's root is "." in itself. */
static int only_end(struct kv_replay *replay, const struct kv_event *event,
                    struct end *ret)
{
    const struct kv_record *record = event->record;
    bool root = record->meta.id == replay->mount->root_id;
    uint64_t dir_id = root ? record->meta.id : event->parent_id;
    int err = use_dir(replay, dir_id, record->key, record->key_len);
    *ret = (struct end){replay->dir, dir_id,
                        root ? "." : name_of(record->key, record->key_len)};
    return err;
}

int kv_replay_event(struct kv_replay *replay, const struct kv_event *event,
                    const struct kv_event *partner)
{
    if (event->type == KV_EVENT_RENAME)
        return replay_rename(replay, event, partner);
    struct end end;
    int err = only_end(replay, event, &end);
    if (err)
        return err;
    switch (event->type) {
    case KV_EVENT_PUT:
        return event->created                     ? make(replay, &end, event->record)
               : kv_record_is_link(event->record) ? touch(&end, MTIME_NOW)
                                                  : overwrite(&end);
    case KV_EVENT_MKDIR:
        return make(replay, &end, event->record);
    case KV_EVENT_DELETE:
    case KV_EVENT_RMDIR:
        return take(replay, &end, event->record);
    case KV_EVENT_META:
        return touch(&end, BOTH_NOW);
    case KV_EVENT_RENAME:
        break;
    }
    return 0;
}

int kv_replay_modify(struct kv_replay *replay, const struct kv_event *event)
{
    struct end end;
    int err = only_end(replay, event, &end);
    return err ? err : touch(&end, MTIME_NOW);
}

/* Where an inode is now, from the root, which is open then. */
static int find_place(struct kv_replay *replay, uint64_t id, struct kv_path *path,
                      const char **ret)
{
    int err = open_root(replay);
    if (!err)
        err = kv_inodes_path(&replay->mount->inodes, id, NULL, path);
    if (err)
        return err;
    *ret = place_of(replay, path->key, path->len);
    return *ret ? 0 : -ENOENT;
}

int kv_replay_modify_inode(struct kv_replay *replay, uint64_t id)
{
    struct kv_path path;
    const char *place;
    int err = find_place(replay, id, &path, &place);
    return err ? err
               : negative(
                     utimensat(replay->root, place, MTIME_NOW, AT_SYMLINK_NOFOLLOW));
}

int kv_replay_fetch(struct kv_replay *replay, uint64_t id)
{
    struct kv_path path;
    const char *place;
    struct statx sx;
    int err = find_place(replay, id, &path, &place);
    return err ? err
               : negative(statx(replay->root, place,
                                AT_STATX_FORCE_SYNC | AT_SYMLINK_NOFOLLOW,
                                STATX_BASIC_STATS, &sx));
}
