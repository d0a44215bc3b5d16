/* Watching a mounted directory with inotify(7): a watch on every directory that may
 * hold what is asked for, and on each new one as it appears.
 *
 * - One value is one line: IN_CLOSE_WRITE stands for a put. IN_MODIFY does not, for it
 *   comes with every write(2) and once more when the mount has committed.
 * - What was made in a new directory before its watch was placed is found by reading
 * the directory once; what is found so and reported by the kernel too is shown once.
 * - The kernel merges identical events that nobody has read yet, so of several puts of
 * one key in fast succession fewer may be seen; the last one always is. */
#include "mountio.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define MASK                                                                           \
    (IN_CREATE | IN_CLOSE_WRITE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |            \
     IN_ATTRIB | IN_ONLYDIR | IN_EXCL_UNLINK)
#define READ_SIZE (64 * 1024)
/* The two halves of a rename are queued one right after the other; how long to wait for
 * the second when the first was the last to be read. */
#define RENAME_WAIT_MS 50
#define TICK_MS 1000
/* How long a file that was found in a new directory is remembered. The mount tells of a
 * change that was made elsewhere a little after it can be seen; seconds would be much.
 */
#define SEEN_NS (60 * KV_NS_PER_S)

/* A file found by reading a new directory: which state of it was shown. */
struct seen {
    char *name;
    uint64_t revision;
    int64_t mtime_ns;
};

struct place {
    int wd;
    char *path; /* "": the root */
    struct seen *seen;
    size_t seen_count;
    int64_t seen_ns; /* when the last of them was added, monotonic */
};

struct watching {
    struct kv_mountio *mount;
    const struct kv_watcher *watcher;
    struct kv_fault *fault;
    int fd;
    struct place *places; /* sorted by wd */
    size_t count, cap;
    struct kv_buf events; /* read and not yet handled: from offset on */
    size_t offset;
};

/* -- The table of watches -- */

static void forget_seen(struct place *place)
{
    for (size_t i = 0; i < place->seen_count; i++)
        free(place->seen[i].name);
    free(place->seen);
    place->seen = NULL;
    place->seen_count = 0;
}

static void watching_done(struct watching *w)
{
    for (size_t i = 0; i < w->count; i++) {
        forget_seen(&w->places[i]);
        free(w->places[i].path);
    }
    free(w->places);
    kv_buf_done(&w->events);
    if (w->fd >= 0)
        (void)close(w->fd);
}

/* Where wd is, or would be. */
static size_t position_of(const struct watching *w, int wd)
{
    size_t low = 0, high = w->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (w->places[middle].wd < wd)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct place *find(struct watching *w, int wd)
{
    size_t i = position_of(w, wd);
    return i < w->count && w->places[i].wd == wd ? &w->places[i] : NULL;
}

static int add(struct watching *w, int wd, const char *path)
{
    if (w->count == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 64;
        struct place *places = reallocarray(w->places, cap, sizeof(*places));
        if (!places)
            return -ENOMEM;
        w->places = places;
        w->cap = cap;
    }
    char *copy = strdup(path);
    if (!copy)
        return -ENOMEM;
    size_t i = position_of(w, wd);
    memmove(&w->places[i + 1], &w->places[i], (w->count - i) * sizeof(*w->places));
    w->places[i] = (struct place){.wd = wd, .path = copy};
    w->count++;
    return 0;
}

static void drop(struct watching *w, size_t i)
{
    forget_seen(&w->places[i]);
    free(w->places[i].path);
    memmove(&w->places[i], &w->places[i + 1], (w->count - i - 1) * sizeof(*w->places));
    w->count--;
}

static bool is_in(const char *key, const char *dir)
{
    size_t len = strlen(dir);
    return len == 0 || (strncmp(key, dir, len) == 0 && (key[len] == '/' || !key[len]));
}

/* -- The scope -- */

static bool matches(const struct watching *w, const char *key)
{
    const struct kv_scope *scope = w->watcher->scope;
    if (scope->key)
        return strcmp(key, scope->key) == 0;
    if (scope->dir)
        return is_in(key, scope->dir);
    return !scope->prefix || strncmp(key, scope->prefix, strlen(scope->prefix)) == 0;
}

/* Whether something in scope may lie in or below this directory. */
static bool is_relevant(const struct watching *w, const char *dir)
{
    const struct kv_scope *scope = w->watcher->scope;
    size_t len = strlen(dir);
    if (len == 0)
        return true;
    if (scope->key)
        return is_in(scope->key, dir) && scope->key[len] == '/';
    if (scope->dir)
        return is_in(dir, scope->dir) || is_in(scope->dir, dir);
    if (!scope->prefix)
        return true;
    size_t prefix_len = strlen(scope->prefix);
    if (len >= prefix_len)
        return strncmp(dir, scope->prefix, prefix_len) == 0;
    return strncmp(dir, scope->prefix, len) == 0 && scope->prefix[len] == '/';
}

/* -- Showing a change -- */

static void add_json(struct kv_buf *json, const struct kv_change *change,
                     const struct kv_entry *entry)
{
    kv_buf_addf(json, "{\"type\":\"%s\",", change->type);
    kv_json_bytes(json, "key", change->key, strlen(change->key));
    if (change->from) {
        kv_buf_addc(json, ',');
        kv_json_bytes(json, "from", change->from, strlen(change->from));
    }
    if (entry->mod_revision)
        kv_buf_addf(json, ",\"revision\":%" PRIu64, entry->mod_revision);
    if (entry->version)
        kv_buf_addf(json, ",\"version\":%" PRIu64, entry->version);
    if (strcmp(change->type, "put") == 0)
        kv_buf_addf(json, ",\"size\":%" PRIu64, entry->size);
    if (change->value) {
        kv_buf_addc(json, ',');
        kv_json_bytes(json, "value", change->value, change->value_len);
    }
    kv_buf_adds(json, "}");
}

/* from is NULL but for a rename. The state that is shown with the change is the newest.
 */
static int show(struct watching *w, const char *type, const char *key, const char *from)
{
    if (!matches(w, key) && !(from && matches(w, from)))
        return 0;
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0}, value = {0};
    struct kv_change change = {.type = type, .key = key, .from = from};
    struct kv_entry entry;
    if (kv_mountio_describe(w->mount, key, &entry))
        entry = (struct kv_entry){.key = key}; /* gone again, or of a delete */
    if (w->watcher->values && strcmp(type, "put") == 0 &&
        kv_mountio_read(w->mount, key, &value) == 0) {
        change.value = value.data ? value.data : "";
        change.value_len = value.len;
        entry.size = value.len;
    }
    change.revision = entry.mod_revision;
    change.size = entry.size;
    add_json(&json, &change, &entry);
    if (kv_buf_error(&json))
        return kv_fault_no_memory(w->fault);
    change.json = json.data;
    change.json_len = json.len;
    return w->watcher->change(w->watcher->ctx, &change);
}

/* -- Directories that appear -- */

static int cannot_watch(struct watching *w, const char *path, int error)
{
    if (error != ENOSPC)
        return kv_mountio_fault(w->mount, error, path, w->fault);
    kv_fault_set(w->fault, KV_EXIT_LOCAL, path,
                 "the user's inotify watches are used up");
    kv_fault_hint(w->fault, "raise fs.inotify.max_user_watches, or watch over HTTP");
    return KV_EXIT_LOCAL;
}

/* What a directory that was removed or replaced meanwhile answers. */
static bool is_gone(int error)
{
    return error == ENOENT || error == ENOTDIR || error == ESTALE || error == ELOOP;
}

/* A file in a directory that has just got its watch. One that its writer has not closed
 * yet has no revision, and IN_CLOSE_WRITE is still to come. */
static int show_found(struct watching *w, int wd, const char *key, const char *name)
{
    struct kv_entry entry;
    if (kv_mountio_describe(w->mount, key, &entry) || entry.mod_revision == 0)
        return 0;
    struct place *place = find(w, wd);
    struct seen *seen =
        place ? reallocarray(place->seen, place->seen_count + 1, sizeof(*seen)) : NULL;
    if (!seen)
        return place ? kv_fault_no_memory(w->fault) : 0;
    place->seen = seen;
    place->seen_ns = kv_clock_monotonic_ns();
    char *copy = strdup(name);
    if (!copy)
        return kv_fault_no_memory(w->fault);
    seen[place->seen_count++] = (struct seen){copy, entry.mod_revision, entry.mtime_ns};
    return show(w, "put", key, NULL);
}

static int appear(struct watching *w, const char *path, bool announce);

/* What is in a directory already. */
static int look_into(struct watching *w, int wd, const char *path, bool announce)
{
    KV_CLEANUP(kv_mountio_close_dir)
    DIR *dir = kv_mountio_open_dir(kv_mountio_root(w->mount), path);
    if (!dir)
        return is_gone(errno) ? 0 : cannot_watch(w, path, errno);
    const char *name;
    while ((name = kv_mountio_next_name(dir))) {
        KV_CLEANUP(kv_buf_done) struct kv_buf key = {0};
        struct stat st;
        kv_buf_addf(&key, "%s%s%s", path, *path ? "/" : "", name);
        kv_buf_addc(&key, '\0');
        if (kv_buf_error(&key))
            return kv_fault_no_memory(w->fault);
        if (fstatat(kv_mountio_root(w->mount), key.data, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue; /* gone again */
        int status = 0;
        if (S_ISDIR(st.st_mode))
            status = appear(w, key.data, announce);
        else if (announce)
            status = show_found(w, wd, key.data, name);
        if (status)
            return status;
    }
    return errno && !is_gone(errno) ? cannot_watch(w, path, errno) : 0;
}

/* A directory is there: watch it and everything below it. announce: it is new, so show
 * what is found. Doing it twice does no harm. */
static int appear(struct watching *w, const char *path, bool announce)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf full = {0};
    if (!is_relevant(w, path))
        return announce ? show(w, "mkdir", path, NULL) : 0;
    kv_buf_addf(&full, "%s/%s", w->mount->path, path);
    kv_buf_addc(&full, '\0');
    if (kv_buf_error(&full))
        return kv_fault_no_memory(w->fault);
    int wd = inotify_add_watch(w->fd, full.data, MASK);
    if (wd < 0 && !is_gone(errno))
        return cannot_watch(w, path, errno);
    struct place *known = wd < 0 ? NULL : find(w, wd);
    if (known && strcmp(known->path, path) == 0)
        return 0;
    int status = announce ? show(w, "mkdir", path, NULL) : 0;
    if (status || wd < 0) /* gone again: its end is in the queue */
        return status;
    if (known)
        drop(w, (size_t)(known - w->places));
    if (add(w, wd, path))
        return kv_fault_no_memory(w->fault);
    return look_into(w, wd, path, announce);
}

/* A directory left the mount's watched part. */
static void disappear(struct watching *w, const char *path)
{
    for (size_t i = w->count; i-- > 0;)
        if (is_in(w->places[i].path, path)) {
            (void)inotify_rm_watch(w->fd, w->places[i].wd); /* may be gone by itself */
            drop(w, i);
        }
}

/* A directory is called otherwise now, and so is everything below it. */
static int move_places(struct watching *w, const char *from, const char *to)
{
    size_t from_len = strlen(from);
    for (size_t i = 0; i < w->count; i++) {
        struct place *place = &w->places[i];
        KV_CLEANUP(kv_buf_done) struct kv_buf path = {0};
        if (!is_in(place->path, from))
            continue;
        kv_buf_addf(&path, "%s%s", to, place->path + from_len);
        char *stolen = kv_buf_steal(&path, NULL);
        if (!stolen)
            return kv_fault_no_memory(w->fault);
        free(place->path);
        place->path = stolen;
    }
    if (is_relevant(w, to))
        return appear(w, to, false); /* what was out of scope before */
    disappear(w, to);
    return 0;
}

/* -- Events -- */

/* Whether the state of the file that this IN_CLOSE_WRITE is about has been shown, when
 * its directory was read or later. */
static bool was_seen(struct watching *w, struct place *place, const char *name,
                     const char *key)
{
    for (size_t i = 0; i < place->seen_count; i++) {
        struct seen *seen = &place->seen[i];
        struct kv_entry entry;
        if (strcmp(seen->name, name) != 0)
            continue;
        if (kv_mountio_describe(w->mount, key, &entry))
            return false;
        bool same =
            entry.mod_revision == seen->revision && entry.mtime_ns == seen->mtime_ns;
        seen->revision = entry.mod_revision;
        seen->mtime_ns = entry.mtime_ns;
        return same;
    }
    return false;
}

static bool is_link(struct watching *w, const char *key)
{
    struct stat st;
    return fstatat(kv_mountio_root(w->mount), key, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISLNK(st.st_mode);
}

static int read_events(struct watching *w, int timeout_ms, bool *ret_more);

static struct inotify_event *event_at(struct watching *w, size_t offset)
{
    return (struct inotify_event *)(void *)(w->events.data + offset);
}

/* The other half of the rename that begins at w->offset, waiting for it a little; 0
 * when the key was moved out of sight. */
static int find_other_half(struct watching *w, size_t *ret_offset)
{
    uint32_t cookie = event_at(w, w->offset)->cookie;
    bool more = true;
    *ret_offset = 0;
    for (size_t offset = w->offset;;) {
        for (; offset < w->events.len;
             offset += sizeof(struct inotify_event) + event_at(w, offset)->len) {
            const struct inotify_event *event = event_at(w, offset);
            if ((event->mask & IN_MOVED_TO) && event->cookie == cookie) {
                *ret_offset = offset;
                return 0;
            }
        }
        if (!more)
            return 0;
        int status = read_events(w, RENAME_WAIT_MS, &more);
        if (status)
            return status;
        more = more && offset < w->events.len;
    }
}

/* The key that an event names; empty when its directory is not watched any more. */
static void event_key(struct watching *w, const struct inotify_event *event,
                      struct kv_buf *out)
{
    const struct place *place = find(w, event->wd);
    if (place)
        kv_buf_addf(out, "%s%s%s", place->path, *place->path ? "/" : "", event->name);
    kv_buf_addc(out, '\0');
}

static int on_moved_from(struct watching *w, const char *from, bool directory)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf to = {0};
    size_t offset;
    int status = find_other_half(w, &offset);
    if (status)
        return status;
    if (offset) {
        event_key(w, event_at(w, offset), &to);
        event_at(w, offset)->mask = 0; /* done with here */
    }
    if (kv_buf_error(&to))
        return kv_fault_no_memory(w->fault);
    if (to.len == 0 || *to.data == '\0') {
        if (directory)
            disappear(w, from);
        return show(w, directory ? "rmdir" : "delete", from, NULL);
    }
    status = show(w, "rename", to.data, from);
    return status || !directory ? status : move_places(w, from, to.data);
}

static int on_named(struct watching *w, struct place *place, uint32_t mask,
                    const char *name, const char *key)
{
    if (mask & IN_MOVED_FROM)
        return on_moved_from(w, key, mask & IN_ISDIR);
    if (mask & IN_ISDIR) {
        if (mask & (IN_CREATE | IN_MOVED_TO))
            return appear(w, key, true);
        if (mask & IN_DELETE)
            return show(w, "rmdir", key, NULL);
    } else {
        if (mask & IN_DELETE)
            return show(w, "delete", key, NULL);
        if (mask & IN_CLOSE_WRITE)
            return was_seen(w, place, name, key) ? 0 : show(w, "put", key, NULL);
        /* A symbolic link is made whole, without a close. */
        if ((mask & IN_MOVED_TO) || ((mask & IN_CREATE) && is_link(w, key)))
            return show(w, "put", key, NULL);
    }
    return mask & IN_ATTRIB ? show(w, "meta", key, NULL) : 0;
}

static int on_event(struct watching *w)
{
    struct inotify_event *event = event_at(w, w->offset);
    KV_CLEANUP(kv_buf_done) struct kv_buf key = {0};
    if (event->mask & IN_Q_OVERFLOW) {
        w->watcher->notice(w->watcher->ctx,
                           "too much changed at once: some changes are not shown");
        while (w->count > 0)
            drop(w, w->count - 1);
        return appear(w, "", false); /* placing a watch again changes nothing */
    }
    struct place *place = find(w, event->wd);
    if (!place)
        return 0;
    if (event->mask & IN_UNMOUNT)
        return kv_fault_set(w->fault, KV_EXIT_AWAY, NULL, "'%s' was unmounted",
                            w->mount->path);
    if (event->mask & IN_IGNORED) {
        drop(w, (size_t)(place - w->places));
        return 0;
    }
    if (event->len == 0) /* about the directory itself: its parent's watch tells */
        return 0;
    event_key(w, event, &key);
    if (kv_buf_error(&key))
        return kv_fault_no_memory(w->fault);
    /* The buffer may move while a rename looks for its other half. */
    KV_CLEANUP(kv_free) char *name = strdup(event->name);
    if (!name)
        return kv_fault_no_memory(w->fault);
    return on_named(w, place, event->mask, name, key.data);
}

/* Append what the kernel has queued; waits for it at most timeout_ms (-1: for ever). */
static int read_events(struct watching *w, int timeout_ms, bool *ret_more)
{
    struct pollfd poll_fd = {.fd = w->fd, .events = POLLIN};
    *ret_more = false;
    int n = poll(&poll_fd, 1, timeout_ms);
    if (n == 0 || (n < 0 && errno == EINTR))
        return 0;
    if (kv_buf_reserve(&w->events, READ_SIZE))
        return kv_fault_no_memory(w->fault);
    ssize_t len = n < 0 ? -1 : read(w->fd, w->events.data + w->events.len, READ_SIZE);
    if (len < 0)
        return kv_fault_set(w->fault, KV_EXIT_LOCAL, NULL, "inotify: %s",
                            strerror(errno));
    w->events.len += (size_t)len;
    *ret_more = len > 0;
    return 0;
}

static int handle_events(struct watching *w)
{
    while (w->offset < w->events.len) {
        int status = on_event(w);
        if (status)
            return status;
        w->offset += sizeof(struct inotify_event) + event_at(w, w->offset)->len;
    }
    kv_buf_reset(&w->events);
    w->offset = 0;
    return 0;
}

/* Nothing is queued: time for what need not be done at once. */
static int settle(struct watching *w)
{
    int64_t now_ns = kv_clock_monotonic_ns();
    for (size_t i = 0; i < w->count; i++)
        if (w->places[i].seen_count && now_ns - w->places[i].seen_ns > SEEN_NS)
            forget_seen(&w->places[i]);
    /* A descriptor would keep the mount from being unmounted, and us from hearing of
     * it. */
    kv_mountio_let_go(w->mount);
    return w->watcher->pause(w->watcher->ctx);
}

static int run(struct watching *w)
{
    for (;;) {
        bool more;
        int status = read_events(w, 0, &more);
        if (!status && !more) {
            status = settle(w);
            if (!status)
                status = read_events(w, w->watcher->tick ? TICK_MS : -1, &more);
            if (!status && w->watcher->tick)
                status = w->watcher->tick(w->watcher->ctx);
        }
        if (!status)
            status = handle_events(w);
        if (status)
            return status;
    }
}

int kv_mountio_watch(struct kv_access *access, const struct kv_watcher *watcher,
                     struct kv_fault *fault)
{
    KV_CLEANUP(watching_done)
    struct watching w = {
        .mount = kv_mountio_of(access),
        .watcher = watcher,
        .fault = fault,
        .fd = -1,
    };
    if (watcher->resume)
        return kv_mountio_refuse("--since", fault);
    w.fd = inotify_init1(IN_CLOEXEC);
    if (w.fd < 0)
        return kv_fault_set(fault, KV_EXIT_LOCAL, NULL, "inotify: %s", strerror(errno));
    int status = appear(&w, "", false);
    if (status)
        return status;
    status = watcher->ready(watcher->ctx);
    return status ? status : run(&w);
}
