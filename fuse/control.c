#include "fuse/control.h"

#include "base/log.h"
#include "fuse/publish.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#define CONTROL_DIR KV_CONTROL_FIRST

static void write_version(struct kv_mount *mount, struct kv_buf *out)
{
    kv_buf_addf(out, "%s\n", mount->version ? mount->version : "unknown");
}

static void write_revision(struct kv_mount *mount, struct kv_buf *out)
{
    kv_buf_addf(out, "%" PRIu64 "\n", kv_store_revision(mount->store));
}

static void write_config(struct kv_mount *mount, struct kv_buf *out)
{
    for (const char *const *line = mount->config_text; line && *line; line++)
        kv_buf_addf(out, "%s\n", *line);
}

static void line(struct kv_buf *out, const char *name, uint64_t value)
{
    kv_buf_addf(out, "%-24s %" PRIu64 "\n", name, value);
}

static void write_stats(struct kv_mount *mount, struct kv_buf *out)
{
    struct kv_store_status store;
    struct kv_mount_status status;
    kv_mount_status(mount, &status);
    int err = kv_store_status(mount->store, &store);
    if (err) {
        kv_buf_addf(out, "store: %s\n", kv_strerror(err));
        return;
    }
    line(out, "revision", store.revision);
    line(out, "oldest_revision", store.oldest_revision);
    line(out, "keys", store.keys);
    line(out, "directories", store.directories);
    line(out, "used_bytes", store.used_bytes);
    line(out, "max_bytes", store.max_bytes);
    line(out, "log_bytes", store.log_bytes);
    line(out, "log_events", store.log_events);
    line(out, "commits", store.commits);
    line(out, "transactions", store.transactions);
    line(out, "failed_transactions", store.failed_transactions);
    line(out, "expired", store.expired);
    line(out, "queued", store.queued);
    line(out, "cache_hits", store.cache.hits);
    line(out, "cache_misses", store.cache.misses);
    line(out, "cache_evictions", store.cache.evictions);
    line(out, "cache_bytes", store.cache.bytes);
    line(out, "cache_max_bytes", store.cache.max_bytes);
    line(out, "mount_inodes", status.inodes);
    line(out, "mount_open_handles", status.open_handles);
    line(out, "mount_requests", status.requests);
    line(out, "mount_notified", status.notified);
    line(out, "mount_notify_merged", status.notify_merged);
    line(out, "mount_notify_revision", status.notify_revision);
    kv_buf_addf(out, "%-24s %s\n", "writable",
                store.latched_error ? kv_strerror(-store.latched_error)
                : store.full        ? "full"
                                    : "yes");
}

static void write_client(struct kv_buf *out, const struct kv_handle *handle)
{
    struct kv_path path;
    if (kv_inode_path_locked(handle->inode, NULL, 0, &path))
        return;
    kv_buf_addf(out, "%ld %s%s ", (long)handle->process, handle->readable ? "r" : "",
                handle->writable ? "w" : "");
    kv_buf_add(out, path.key, path.len);
    kv_buf_addc(out, '\n');
}

/* Who has a file open: process, access, key. */
static void write_clients(struct kv_mount *mount, struct kv_buf *out)
{
    struct kv_inodes *inodes = &mount->inodes;
    KV_SCOPED_LOCK(&inodes->lock);
    for (size_t i = 0; i < inodes->bucket_count; i++) {
        for (struct kv_inode *inode = inodes->buckets[i]; inode;
             inode = inode->hash_next) {
            KV_LIST_FOREACH(node, &inode->handles)
            write_client(out, KV_CONTAINER_OF(node, struct kv_handle, node));
        }
    }
}

static const struct {
    const char *name;
    void (*write)(struct kv_mount *mount, struct kv_buf *out);
} files[] = {
    {"clients", write_clients},   {"config", write_config},
    {"revision", write_revision}, {"stats", write_stats},
    {"version", write_version},
};
#define FILE_COUNT (sizeof(files) / sizeof(files[0]))

const char *kv_control_name(size_t index, fuse_ino_t *ret_ino)
{
    if (index >= FILE_COUNT)
        return NULL;
    *ret_ino = CONTROL_DIR + 1 + index;
    return files[index].name;
}

/* They belong to whoever the root directory belongs to. */
static int fill_stat(struct kv_mount *mount, fuse_ino_t ino, struct stat *st)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *root = NULL;
    int err = kv_store_stat(mount->store, "", 0, &root);
    if (err)
        return err;
    struct kv_meta meta = root->meta;
    meta.id = ino;
    meta.size = 0; /* as in /proc: known when it is read */
    meta.mode = ino == CONTROL_DIR ? S_IFDIR | 0555 : S_IFREG | 0444;
    kv_stat_fill(mount, st, &meta);
    return 0;
}

bool kv_control_lookup(struct kv_mount *mount, fuse_req_t req, fuse_ino_t parent,
                       const char *name)
{
    fuse_ino_t ino = 0;
    if (parent == KV_ROOT_ID && strcmp(name, KV_KEY_CONTROL) == 0) {
        ino = CONTROL_DIR;
    } else if (!kv_is_control(parent)) {
        return false;
    } else {
        for (size_t i = 0; i < FILE_COUNT && !ino; i++) {
            if (strcmp(name, files[i].name) == 0)
                ino = CONTROL_DIR + 1 + i;
        }
    }
    struct fuse_entry_param entry = {.ino = ino, .entry_timeout = KV_FOREVER};
    int err = ino ? fill_stat(mount, ino, &entry.attr) : -ENOENT;
    if (err)
        fuse_reply_err(req, -err);
    else
        fuse_reply_entry(req, &entry);
    return true;
}

void kv_control_getattr(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino)
{
    struct stat st;
    int err = fill_stat(mount, ino, &st);
    if (err)
        fuse_reply_err(req, -err);
    else
        fuse_reply_attr(req, &st, 0);
}

void kv_control_open(struct kv_mount *mount, fuse_req_t req, fuse_ino_t ino,
                     struct fuse_file_info *fi)
{
    size_t index = (size_t)(ino - CONTROL_DIR - 1);
    if ((fi->flags & O_ACCMODE) != O_RDONLY || index >= FILE_COUNT) {
        fuse_reply_err(req, EACCES);
        return;
    }
    struct kv_buf text = {0};
    files[index].write(mount, &text);
    struct kv_handle *handle = NULL;
    if (!kv_buf_error(&text))
        handle = kv_handle_new(ino, O_RDONLY, fuse_req_ctx(req)->pid, false, NULL);
    if (!handle) {
        kv_buf_done(&text);
        fuse_reply_err(req, ENOMEM);
        return;
    }
    kv_lock(&handle->lock);
    handle->bytes = text;
    handle->whole = true;
    kv_unlock(&handle->lock);
    kv_lock(&mount->opened_lock);
    kv_list_push_back(&mount->texts, &handle->node);
    kv_unlock(&mount->opened_lock);
    fi->fh = kv_mount_hand_out(mount, handle);
    fi->direct_io = 1;
    fi->noflush = 1;
    if (fuse_reply_open(req, fi) == -ENOENT) {
        atomic_fetch_sub(&mount->open_handles, 1);
        kv_control_release(mount, handle);
    }
}

void kv_control_release(struct kv_mount *mount, struct kv_handle *text)
{
    kv_lock(&mount->opened_lock);
    kv_list_remove(&text->node);
    kv_unlock(&mount->opened_lock);
    kv_handle_drop(mount, text);
}

void kv_control_free_all(struct kv_mount *mount)
{
    KV_LIST_FOREACH(node, &mount->texts)
    kv_control_release(mount, KV_CONTAINER_OF(node, struct kv_handle, node));
}
