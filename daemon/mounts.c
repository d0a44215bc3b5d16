/* A slot for each mount. `lock` guards which slots are in use: they are filled and
 * emptied by the main thread alone, under the lock, and hold a mount only while it
 * runs. */
#include "mounts.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#define MOUNTS_MAX 64

struct slot {
    struct kv_mounts *mounts;
    struct kv_mountspec spec;
    struct kv_mount *mount; /* NULL: free */
    uint64_t serial;        /* a later one has a higher one */
    atomic_bool ended;
};

struct kv_mounts {
    struct kv_mounts_config config;
    pthread_mutex_t lock;
    uint64_t last_serial;
    struct slot slots[MOUNTS_MAX];
};

struct kv_mounts *kv_mounts_new(const struct kv_mounts_config *config)
{
    struct kv_mounts *mounts = calloc(1, sizeof(*mounts));
    if (!mounts)
        return NULL;
    mounts->config = *config;
    for (size_t i = 0; i < MOUNTS_MAX; i++)
        mounts->slots[i].mounts = mounts;
    pthread_mutex_init(&mounts->lock, NULL);
    return mounts;
}

static void on_ended(void *ctx)
{
    struct slot *slot = ctx;
    atomic_store(&slot->ended, true);
    slot->mounts->config.ended(slot->mounts->config.ended_ctx);
}

/* -- Coming -- */

static struct slot *free_slot(struct kv_mounts *mounts)
{
    for (size_t i = 0; i < MOUNTS_MAX; i++)
        if (!mounts->slots[i].mount)
            return &mounts->slots[i];
    return NULL;
}

static void explain(const struct kv_mountspec *spec, int err, struct kv_buf *error)
{
    const char *path = spec->path;
    KV_CLEANUP(kv_buf_done) struct kv_buf holder = {0};
    if (err == -EBUSY || err == -EACCES)
        kv_mount_holder(path, &holder);
    if (holder.len)
        kv_buf_addf(error, "mount point '%s' is taken: %.*s is mounted there", path,
                    (int)holder.len, holder.data);
    else if (err == -ENOTEMPTY)
        kv_buf_addf(error, "mount point '%s' is not an empty directory", path);
    else if (err == -ENOTDIR)
        kv_buf_addf(error, "mount point '%s' is not a directory", path);
    else if (err == -ENOENT)
        kv_buf_addf(error, "mount point '%s' does not exist", path);
    else if (err == -EREMOTE)
        kv_buf_addf(error,
                    "cannot mount on '%s': there is no directory '%s' in the store",
                    path, spec->subdir);
    else if (err == -EROFS)
        kv_buf_addf(error, "cannot mount on '%s': only root can mount read-only", path);
    else
        kv_buf_addf(error, "cannot mount on '%s': %s", path, kv_strerror(err));
}

static int start(struct slot *slot, const struct kv_mountspec *spec,
                 struct kv_mount **ret)
{
    const struct kv_mounts_config *config = &slot->mounts->config;
    atomic_store(&slot->ended, false);
    return kv_mount_start(config->store,
                          &(struct kv_mount_config){
                              .path = spec->path,
                              .source = spec->source ? spec->source : config->source,
                              .subdir = spec->subdir,
                              .options = spec->kernel,
                              .view = spec->view,
                              .read_only = spec->read_only,
                              .index = (unsigned)(slot - slot->mounts->slots),
                              .threads = config->threads,
                              .allow_other = spec->allow_other || config->allow_other,
                              .config_text = config->config_text,
                              .version = config->version,
                              .ended = on_ended,
                              .ended_ctx = slot,
                          },
                          ret);
}

/* Name the directory once for all that is done with it. */
static int resolve(struct kv_mountspec *spec)
{
    char *path = kv_mount_resolve(spec->path);
    if (!path)
        return -errno;
    free(spec->path);
    spec->path = path;
    return 0;
}

/* Takes what spec holds when it succeeds. */
static int add(struct kv_mounts *mounts, struct kv_mountspec *spec, struct slot **ret,
               struct kv_buf *error)
{
    struct kv_mount *mount = NULL;
    struct slot *slot = free_slot(mounts);
    if (!slot) {
        kv_buf_addf(error, "cannot mount on '%s': at most %d mounts", spec->path,
                    MOUNTS_MAX);
        return -ENOSPC;
    }
    int err = resolve(spec);
    if (!err)
        err = start(slot, spec, &mount);
    if (err) {
        explain(spec, err, error);
        return err;
    }
    kv_lock(&mounts->lock);
    slot->spec = *spec;
    slot->mount = mount;
    slot->serial = ++mounts->last_serial;
    kv_unlock(&mounts->lock);
    *spec = (struct kv_mountspec){0};
    *ret = slot;
    return 0;
}

int kv_mounts_add(struct kv_mounts *mounts, const char *text, struct kv_buf *error)
{
    KV_CLEANUP(kv_mountspec_done) struct kv_mountspec spec;
    struct slot *slot;
    int err = kv_mountspec_parse(text, &spec, error);
    return err ? err : add(mounts, &spec, &slot, error);
}

static void announce(const struct slot *slot)
{
    if (slot->spec.subdir)
        kv_info("'%s' mounted on '%s'", slot->spec.subdir, slot->spec.path);
    else
        kv_info("mounted on '%s'", slot->spec.path);
}

int kv_mounts_add_at(struct kv_mounts *mounts, const char *path, const char *options,
                     struct kv_buf *ret_path, struct kv_buf *error)
{
    KV_CLEANUP(kv_mountspec_done) struct kv_mountspec spec;
    struct slot *slot;
    int err = kv_mountspec_make(path, options, &spec, error);
    if (!err)
        err = add(mounts, &spec, &slot, error);
    if (err)
        return err;
    announce(slot);
    kv_buf_adds(ret_path, slot->spec.path);
    return 0;
}

/* -- Going -- */

static bool is_at(const struct slot *slot, const char *path)
{
    return slot->mount && strcmp(kv_mount_path(slot->mount), path) == 0;
}

/* What can be seen at the path, or else what something covers there. */
static struct slot *slot_at(struct kv_mounts *mounts, const char *path)
{
    struct slot *covered = NULL;
    for (size_t i = 0; i < MOUNTS_MAX; i++) {
        struct slot *slot = &mounts->slots[i];
        if (!is_at(slot, path))
            continue;
        enum kv_mount_place place = kv_mount_place(slot->mount);
        if (place == KV_MOUNT_ON_TOP)
            return slot;
        if (place == KV_MOUNT_COVERED)
            covered = slot;
    }
    return covered;
}

/* By its own path, which needs no look at what is there, or by another that leads to
 * it.
 */
static struct slot *find(struct kv_mounts *mounts, const char *path)
{
    struct slot *slot = slot_at(mounts, path);
    KV_CLEANUP(kv_free) char *real = slot ? NULL : kv_mount_resolve(path);
    return real ? slot_at(mounts, real) : slot;
}

static void empty(struct slot *slot)
{
    kv_lock(&slot->mounts->lock);
    struct kv_mount *mount = KV_STEAL(slot->mount);
    struct kv_mountspec spec = slot->spec;
    slot->spec = (struct kv_mountspec){0};
    kv_unlock(&slot->mounts->lock);
    kv_mount_stop(mount);
    kv_mountspec_done(&spec);
}

void kv_mounts_reap(struct kv_mounts *mounts)
{
    for (size_t i = 0; i < MOUNTS_MAX; i++) {
        struct slot *slot = &mounts->slots[i];
        if (!slot->mount || !atomic_load(&slot->ended))
            continue;
        kv_notice("'%s' was unmounted", slot->spec.path);
        empty(slot);
    }
}

int kv_mounts_remove(struct kv_mounts *mounts, const char *path, bool lazy,
                     struct kv_buf *error)
{
    struct slot *slot = find(mounts, path);
    if (!slot) {
        kv_buf_addf(error, "this kvfsd has nothing mounted on '%s'", path);
        return -ENOENT;
    }
    int err = kv_mount_detach(slot->mount, lazy);
    if (err) {
        kv_buf_addf(error, "cannot unmount '%s': %s", path,
                    err == -EBUSY ? "it is in use, or something is mounted over it"
                                  : kv_strerror(err));
        return err;
    }
    kv_notice("unmounted '%s'", slot->spec.path);
    empty(slot);
    return 0;
}

void kv_mounts_stop(struct kv_mounts *mounts)
{
    if (!mounts)
        return;
    for (size_t i = MOUNTS_MAX; i-- > 0;)
        if (mounts->slots[i].mount)
            empty(&mounts->slots[i]);
    pthread_mutex_destroy(&mounts->lock);
    free(mounts);
}

/* -- Telling -- */

size_t kv_mounts_count(struct kv_mounts *mounts)
{
    size_t count = 0;
    KV_SCOPED_LOCK(&mounts->lock);
    for (size_t i = 0; i < MOUNTS_MAX; i++)
        count += mounts->slots[i].mount != NULL;
    return count;
}

void kv_mounts_announce(struct kv_mounts *mounts)
{
    KV_SCOPED_LOCK(&mounts->lock);
    for (size_t i = 0; i < MOUNTS_MAX; i++)
        if (mounts->slots[i].mount)
            announce(&mounts->slots[i]);
}

static void add_status(struct kv_buf *out, const struct slot *slot)
{
    struct kv_mount_status s;
    const struct kv_mountspec *spec = &slot->spec;
    kv_mount_status(slot->mount, &s);
    kv_buf_adds(out, "{\"path\":");
    const char *path = kv_mount_path(slot->mount);
    kv_json_string(out, path, strlen(path));
    if (spec->subdir) {
        kv_buf_adds(out, ",\"subdir\":");
        kv_json_string(out, spec->subdir, strlen(spec->subdir));
    }
    kv_buf_addf(out,
                ",\"read_only\":%s,\"inodes\":%llu,\"open_handles\":%llu,"
                "\"requests\":%llu,\"notified\":%llu,\"notify_merged\":%llu,"
                "\"notify_revision\":%llu}",
                spec->read_only ? "true" : "false", (unsigned long long)s.inodes,
                (unsigned long long)s.open_handles, (unsigned long long)s.requests,
                (unsigned long long)s.notified, (unsigned long long)s.notify_merged,
                (unsigned long long)s.notify_revision);
}

void kv_mounts_status(void *ctx, struct kv_buf *out)
{
    struct kv_mounts *mounts = ctx;
    const char *comma = "";
    KV_SCOPED_LOCK(&mounts->lock);
    kv_buf_adds(out, ",\"mounts\":[");
    for (size_t i = 0; i < MOUNTS_MAX; i++) {
        if (!mounts->slots[i].mount)
            continue;
        kv_buf_adds(out, comma);
        add_status(out, &mounts->slots[i]);
        comma = ",";
    }
    kv_buf_addc(out, ']');
}

static const struct sample {
    const char *name, *type, *help;
    size_t offset;
} samples[] = {
#define FIELD(field) offsetof(struct kv_mount_status, field)
    {"inodes", "gauge", "Inodes the kernel knows.", FIELD(inodes)},
    {"open_handles", "gauge", "Open file handles.", FIELD(open_handles)},
    {"requests_total", "counter", "Requests of the kernel.", FIELD(requests)},
    {"notified_total", "counter", "Changes repeated for inotify.", FIELD(notified)},
    {"notify_merged_total", "counter",
     "Changes merged into a later one of the same key.", FIELD(notify_merged)},
    {"notify_revision", "gauge", "Every change up to this revision is announced.",
     FIELD(notify_revision)},
#undef FIELD
};

/* Whether a later mount has the same path, this one being detached or covered: two
 * samples of one name and path are none. */
static bool is_replaced(const struct slot *slot)
{
    const struct kv_mounts *mounts = slot->mounts;
    for (size_t i = 0; i < MOUNTS_MAX; i++)
        if (mounts->slots[i].serial > slot->serial &&
            is_at(&mounts->slots[i], kv_mount_path(slot->mount)))
            return true;
    return false;
}

/* Prometheus escapes backslash, quote and newline in labels. */
static void add_sample(struct kv_buf *out, const struct sample *sample,
                       const struct slot *slot)
{
    struct kv_mount_status s;
    uint64_t value;
    kv_mount_status(slot->mount, &s);
    memcpy(&value, (const char *)&s + sample->offset, sizeof(value));
    kv_buf_addf(out, "kvfs_mount_%s{path=\"", sample->name);
    for (const char *c = kv_mount_path(slot->mount); *c; c++) {
        if (*c == '"' || *c == '\\')
            kv_buf_addc(out, '\\');
        if (*c == '\n')
            kv_buf_adds(out, "\\n");
        else
            kv_buf_addc(out, *c);
    }
    kv_buf_addf(out, "\"} %llu\n", (unsigned long long)value);
}

void kv_mounts_metrics(void *ctx, struct kv_buf *out)
{
    struct kv_mounts *mounts = ctx;
    KV_SCOPED_LOCK(&mounts->lock);
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        kv_buf_addf(out, "# HELP kvfs_mount_%s %s\n# TYPE kvfs_mount_%s %s\n",
                    samples[i].name, samples[i].help, samples[i].name, samples[i].type);
        for (size_t j = 0; j < MOUNTS_MAX; j++)
            if (mounts->slots[j].mount && !is_replaced(&mounts->slots[j]))
                add_sample(out, &samples[i], &mounts->slots[j]);
    }
}
