/* The notifier's thread: which events are repeated, and in which form.
 *
 * Left out: what this mount did itself (the kernel has announced that, but for one more
 * MODIFY after the commit of a value), moves that a directory's rename implies, and
 * events of which the kernel knows neither the file nor its directory, because nobody
 * can watch those. So traffic that nobody looks at costs nothing here. */
#include "fuse/notify.h"

#include "base/log.h"
#include "fuse/late.h"
#include "fuse/merge.h"
#include "fuse/outside.h"
#include "fuse/replay.h"

#include <errno.h>
#include <string.h>

#define BATCH 128
#define REPAIRS 64

struct kv_notifier {
    struct kv_mount *mount;
    struct kv_replay replay; /* but for its expect: the thread's own */
    struct kv_late late;     /* the thread's own, like the cursor */
    struct kv_cursor cursor;
    pthread_t thread;
    bool started;
    atomic_bool stop, wake; /* wake: look at stop and repairs */
    atomic_uint_fast64_t announced, notified, merged;

    pthread_mutex_t lock; /* guards repairs; a leaf */
    uint64_t repairs[REPAIRS];
    size_t repair_count;
};

int kv_notifier_new(struct kv_mount *mount, struct kv_notifier **ret)
{
    struct kv_notifier *notifier = calloc(1, sizeof(*notifier));
    if (!notifier)
        return -ENOMEM;
    notifier->mount = mount;
    kv_replay_init(&notifier->replay, mount);
    int err = pthread_mutex_init(&notifier->lock, NULL);
    assert(err == 0);
    (void)err;
    *ret = notifier;
    return 0;
}

void kv_notifier_free(struct kv_notifier *notifier)
{
    if (!notifier)
        return;
    kv_replay_done(&notifier->replay);
    pthread_mutex_destroy(&notifier->lock);
    free(notifier);
}

struct kv_expect *kv_expect_of(struct kv_mount *mount)
{
    return &mount->notifier->replay.expect;
}

uint64_t kv_notifier_announced(struct kv_notifier *notifier)
{
    return atomic_load_explicit(&notifier->announced, memory_order_acquire);
}

void kv_notifier_status(struct kv_notifier *notifier, struct kv_mount_status *ret)
{
    ret->notified = atomic_load(&notifier->notified);
    ret->notify_merged = atomic_load(&notifier->merged);
    ret->notify_revision = atomic_load(&notifier->announced);
}

/* -- Who cares, and is it still true -- */

static bool known_locked(struct kv_inodes *inodes, uint64_t id)
{
    const struct kv_inode *inode = id ? kv_inodes_find_locked(inodes, id) : NULL;
    return inode && inode->nlookup > 0;
}

static bool can_be_watched(struct kv_mount *mount, const struct kv_event *event)
{
    struct kv_inodes *inodes = &mount->inodes;
    KV_SCOPED_LOCK(&inodes->lock);
    return known_locked(inodes, event->parent_id) ||
           known_locked(inodes, event->from_parent_id) ||
           known_locked(inodes, event->record->meta.id) ||
           known_locked(inodes, event->replaced_id);
}

/* The id a name has now, unpublished ones included; 0: none. */
static uint64_t present_id(struct kv_mount *mount, uint64_t parent, const char *name)
{
    struct kv_path path;
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    kv_lock(&mount->inodes.lock);
    const struct kv_inode *dir = kv_inodes_find_locked(&mount->inodes, parent);
    const struct kv_inode *pending =
        dir ? kv_inode_pending_child_locked(dir, name, strlen(name)) : NULL;
    uint64_t id = pending ? pending->id : 0;
    int err = dir ? kv_inode_path_locked(dir, name, strlen(name), &path) : -ESTALE;
    kv_unlock(&mount->inodes.lock);
    if (!err && kv_store_stat(mount->store, path.key, path.len, &record) == 0)
        id = record->meta.id;
    return id;
}

static void check_late(struct kv_notifier *notifier, uint64_t parent, const char *key,
                       size_t len, uint64_t announced_id)
{
    size_t offset = kv_key_name_offset(key, len);
    const char *name = key + offset; /* both kinds of key end with a NUL */
    kv_late_set(&notifier->late, parent, name, len - offset,
                present_id(notifier->mount, parent, name) != announced_id);
}

/* After an event was repeated: is what it told the watchers still so? */
static void check_names(struct kv_notifier *notifier, const struct kv_event *event)
{
    const struct kv_record *record = event->record;
    bool made = event->type == KV_EVENT_MKDIR || event->type == KV_EVENT_RENAME ||
                (event->type == KV_EVENT_PUT && event->created);
    bool removed = event->type == KV_EVENT_DELETE || event->type == KV_EVENT_RMDIR;
    if (made || removed)
        check_late(notifier, event->parent_id, record->key, record->key_len,
                   made ? record->meta.id : 0);
    if (event->type == KV_EVENT_RENAME && !event->exchanged)
        check_late(notifier, event->from_parent_id, event->from, event->from_len, 0);
}

static bool is_late_name(const struct kv_notifier *notifier, uint64_t parent,
                         const char *key, size_t len)
{
    size_t offset = kv_key_name_offset(key, len);
    return kv_late_has(&notifier->late, parent, key + offset, len - offset);
}

static bool is_late(const struct kv_notifier *notifier, const struct kv_event *event)
{
    const struct kv_record *record = event->record;
    if (notifier->late.count == 0 || event->type == KV_EVENT_META ||
        (event->type == KV_EVENT_PUT && !event->created))
        return false;
    return is_late_name(notifier, event->parent_id, record->key, record->key_len) ||
           (event->from && is_late_name(notifier, event->from_parent_id, event->from,
                                        event->from_len));
}

/* -- Repeating -- */

static void report(const struct kv_event *event, int err)
{
    /* Gone again, directory and all: there is nobody to tell. */
    if (err == 0 || err == -ENOENT || err == -ESTALE || err == -ENOTCONN ||
        err == -ENOTDIR)
        return;
    kv_debug("cannot announce '%.*s' (%s): %s", (int)event->record->key_len,
             event->record->key, kv_event_type_name(event->type), kv_strerror(err));
}

static void keep_name_locked(struct kv_inodes *inodes, uint64_t id)
{
    struct kv_inode *inode = id ? kv_inodes_find_locked(inodes, id) : NULL;
    if (inode && inode->gone)
        inode->moved_revision = KV_NAME_KEPT;
}

/* An event that could not be repeated: the kernel still has the name of what it took
 * away. It may come here before the observer has heard of it and says what is gone. */
static void keep_names(struct kv_mount *mount, const struct kv_event *event)
{
    int err = kv_store_catch_up(mount->store);
    if (err)
        kv_warning("a name that is gone may be shown as a file that is open: %s",
                   kv_strerror(err));
    KV_SCOPED_LOCK(&mount->inodes.lock);
    keep_name_locked(&mount->inodes, event->record->meta.id);
    keep_name_locked(&mount->inodes, event->replaced_id);
}

static void repeat(struct kv_notifier *notifier, const struct kv_event *event,
                   const struct kv_event *partner)
{
    bool own = event->origin == notifier->mount->origin;
    int err;
    if (own && !is_late(notifier, event)) {
        if (event->type != KV_EVENT_PUT)
            return;
        err = kv_replay_modify(&notifier->replay, event);
    } else {
        err = kv_replay_event(&notifier->replay, event, partner);
        if (err)
            keep_names(notifier->mount, event);
        check_names(notifier, event);
        if (partner)
            check_names(notifier, partner);
    }
    if (!err)
        atomic_fetch_add(&notifier->notified, partner ? 2 : 1);
    report(event, err);
}

static void repeat_batch(struct kv_notifier *notifier, struct kv_event **events,
                         size_t count)
{
    struct kv_mount *mount = notifier->mount;
    bool skip[BATCH];
    size_t merged = kv_merge_puts(events, count, mount->origin, skip);
    atomic_fetch_add(&notifier->merged, merged);
    for (size_t i = 0; i < count && !atomic_load(&notifier->stop); i++) {
        const struct kv_event *event = events[i], *partner = NULL;
        if (event->exchanged && !event->implied && i + 1 < count &&
            events[i + 1]->exchanged && !events[i + 1]->implied &&
            events[i + 1]->revision == event->revision) {
            partner = events[i + 1];
            skip[i + 1] = true;
        }
        if (!skip[i] && !event->implied && can_be_watched(mount, event))
            repeat(notifier, event, partner);
        if (event->last)
            atomic_store_explicit(&notifier->announced, event->revision,
                                  memory_order_release);
    }
}

/* -- What does not come from the feed -- */

/* Every inode the kernel knows, in pieces: ids[0..ret) from bucket *at on. A bucket is
 * never split, so one of more inodes than that is cut. */
static size_t some_inodes(struct kv_inodes *inodes, size_t *at, uint64_t *ids,
                          size_t max)
{
    size_t count = 0;
    KV_SCOPED_LOCK(&inodes->lock);
    for (; *at < inodes->bucket_count && count == 0; ++*at) {
        for (struct kv_inode *inode = inodes->buckets[*at]; inode && count < max;
             inode = inode->hash_next) {
            if (inode->nlookup == 0)
                continue;
            ids[count++] = inode->id;
            if (inode->gone) /* nobody takes its name from the kernel any more */
                inode->moved_revision = KV_NAME_KEPT;
        }
    }
    return count;
}

/* The feed has gone on without us for longer than the log reaches back: what happened
 * cannot be told, so everything the kernel knows may have changed. Only inotify has to
 * hear of it; what the kernel caches was invalidated at each commit. */
static void resynchronise(struct kv_notifier *notifier)
{
    struct kv_mount *mount = notifier->mount;
    uint64_t revision = kv_store_revision(mount->store), ids[BATCH];
    size_t at = 0, count;
    kv_warning(
        "the mount fell behind the log: changes up to revision %llu are announced "
        "as changes of every file that is known",
        (unsigned long long)revision);
    while ((count = some_inodes(&mount->inodes, &at, ids, BATCH)) > 0) {
        for (size_t i = 0; i < count && !atomic_load(&notifier->stop); i++)
            (void)kv_replay_modify_inode(&notifier->replay, ids[i]);
    }
    notifier->cursor = kv_cursor_after(revision);
    atomic_store(&notifier->announced, revision);
}

void kv_notifier_repair(struct kv_notifier *notifier, uint64_t id)
{
    kv_lock(&notifier->lock);
    bool kept = notifier->repair_count < REPAIRS;
    if (kept)
        notifier->repairs[notifier->repair_count++] = id;
    kv_unlock(&notifier->lock);
    if (!kept)
        kv_warning(
            "too many inodes to invalidate once more; some attributes may be old");
    atomic_store(&notifier->wake, true);
    kv_feed_kick(kv_store_feed(notifier->mount->store));
}

static void repair(struct kv_notifier *notifier)
{
    uint64_t ids[REPAIRS];
    kv_lock(&notifier->lock);
    size_t count = notifier->repair_count;
    memcpy(ids, notifier->repairs, count * sizeof(ids[0]));
    notifier->repair_count = 0;
    kv_unlock(&notifier->lock);
    for (size_t i = 0; i < count; i++)
        (void)kv_replay_fetch(&notifier->replay, ids[i]);
}

/* -- The thread -- */

static void read_feed(struct kv_notifier *notifier, struct kv_feed *feed)
{
    struct kv_event *events[BATCH];
    size_t count = 0;
    int err = kv_feed_read(feed, &notifier->cursor, events, BATCH, &count);
    if (err == -ESTALE) {
        resynchronise(notifier);
    } else if (err) {
        kv_error("cannot read the feed for the mount: %s", kv_strerror(err));
        notifier->cursor = kv_cursor_after(kv_store_revision(notifier->mount->store));
    }
    repeat_batch(notifier, events, count);
    for (size_t i = 0; i < count; i++)
        kv_event_unref(events[i]);
}

static void *run(void *arg)
{
    struct kv_notifier *notifier = arg;
    struct kv_feed *feed = kv_store_feed(notifier->mount->store);
    (void)pthread_setname_np(pthread_self(), "kvfs-notify");
    int err = kv_outside_enter();
    if (err)
        kv_warning("a killed kvfsd may leave '%s' hanging: %s", notifier->mount->path,
                   kv_strerror(err));
    atomic_store(&notifier->replay.expect.tid, gettid());
    while (!atomic_load(&notifier->stop)) {
        bool more = kv_feed_wait(feed, &notifier->cursor, &notifier->wake);
        atomic_store(&notifier->wake, false);
        repair(notifier);
        if (more && !atomic_load(&notifier->stop))
            read_feed(notifier, feed);
        if (kv_feed_revision(feed) <= notifier->cursor.revision)
            kv_replay_rest(&notifier->replay);
    }
    kv_replay_rest(&notifier->replay);
    return NULL;
}

int kv_notifier_start(struct kv_notifier *notifier, uint64_t revision)
{
    notifier->cursor = kv_cursor_after(revision);
    atomic_store(&notifier->announced, revision);
    int err = pthread_create(&notifier->thread, NULL, run, notifier);
    notifier->started = err == 0;
    return -err;
}

void kv_notifier_stop(struct kv_notifier *notifier)
{
    if (!notifier || !notifier->started)
        return;
    atomic_store(&notifier->stop, true);
    atomic_store(&notifier->wake, true);
    kv_feed_kick(kv_store_feed(notifier->mount->store));
    pthread_join(notifier->thread, NULL);
    notifier->started = false;
}
