/* Directories: OPENDIR, READDIR, READDIRPLUS, RELEASEDIR.
 *
 * Names are handed out in the order of their hashes, and a name's offset is its hash.
 * So an offset means the same to every handle, to a telldir of an hour ago, and to the
 * kernel, which keeps complete listings: when that is invalidated while a process reads
 * from it, the process goes on here, with a handle that was never read from. Nothing
 * comes twice, and no name that stays is left out, whatever happens in the directory
 * meanwhile.
 *
 * A handle reads all names when it is read from the beginning. With numbers of names as
 * offsets pages of the store could be handed out as they are, but what is a number to
 * another handle? */
#include "base/hash.h"
#include "fuse/control.h"
#include "fuse/mount.h"
#include "fuse/orphan.h"

#include <errno.h>
#include <string.h>

#define PAGE_NAMES 1000
#define DOTS 2 /* "." and ".." come first */
/* So often may a directory be moved while a page of it is read. */
#define TRIES 8

struct name {
    uint64_t cookie; /* offset behind it; positive as an off_t */
    uint64_t id;
    size_t offset; /* in kv_dir.names, NUL-terminated */
    uint32_t type;
};

struct kv_dir {
    struct kv_list_node node; /* in kv_mount.dirs; its lock */
    pthread_mutex_t lock;     /* guards the rest: threads may share a handle */
    fuse_ino_t ino;
    struct kv_buf names;
    struct name *list;
    size_t count, room;
    bool loaded;
};

/* Where a page ended. */
struct last_name {
    size_t len;
    char name[KV_KEY_COMPONENT_MAX];
};

static void free_dir(struct kv_mount *mount, struct kv_dir *dir)
{
    kv_lock(&mount->opened_lock);
    kv_list_remove(&dir->node);
    kv_unlock(&mount->opened_lock);
    kv_buf_done(&dir->names);
    free(dir->list);
    pthread_mutex_destroy(&dir->lock);
    free(dir);
}

void kv_op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct kv_mount *mount = kv_mount_of(req);
    ino = kv_ino_of(mount, ino);
    KV_CLEANUP(kv_subject_done) struct kv_subject subject = {0};
    int err = kv_is_control(ino) ? 0 : kv_resolve(mount, req, ino, false, &subject);
    if (err == -ESTALE && kv_orphan_dir(mount, ino, NULL))
        err = 0;
    struct kv_dir *dir = err ? NULL : calloc(1, sizeof(*dir));
    if (!err && !dir)
        err = -ENOMEM;
    if (!err && pthread_mutex_init(&dir->lock, NULL)) {
        free(dir);
        err = -ENOMEM;
    }
    if (err) {
        fuse_reply_err(req, -err);
        return;
    }
    dir->ino = ino;
    kv_lock(&mount->opened_lock);
    kv_list_push_back(&mount->dirs, &dir->node);
    kv_unlock(&mount->opened_lock);
    fi->fh = kv_mount_hand_out(mount, dir);
    fi->cache_readdir = !kv_is_control(ino);
    fi->keep_cache = 1;
    if (fuse_reply_open(req, fi) == -ENOENT) {
        atomic_fetch_sub(&mount->open_handles, 1);
        free_dir(mount, dir);
    }
}

void kv_op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct kv_mount *mount = kv_mount_of(req);
    struct kv_dir *dir = kv_mount_opened(mount, fi);
    (void)ino;
    kv_lock(&dir->lock); /* whoever used it last is done with it */
    kv_unlock(&dir->lock);
    atomic_fetch_sub(&mount->open_handles, 1);
    free_dir(mount, dir);
    fuse_reply_err(req, 0);
}

void kv_dir_free_all(struct kv_mount *mount)
{
    KV_LIST_FOREACH(node, &mount->dirs)
    free_dir(mount, KV_CONTAINER_OF(node, struct kv_dir, node));
}

/* Every change is committed already. */
void kv_op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync,
                    struct fuse_file_info *fi)
{
    (void)ino;
    (void)datasync;
    (void)fi;
    fuse_reply_err(req, 0);
}

/* -- Names -- */

static uint64_t cookie_of(const char *name, size_t len)
{
    uint64_t cookie = kv_hash(name, len) & INT64_MAX;
    return cookie > DOTS ? cookie : cookie + DOTS + 1;
}

static int add_name(struct kv_dir *dir, uint64_t id, uint32_t type, const char *name,
                    size_t len)
{
    if (dir->count == dir->room) {
        size_t room = dir->room ? dir->room * 2 : 64;
        struct name *list = reallocarray(dir->list, room, sizeof(*list));
        if (!list)
            return -ENOMEM;
        dir->list = list;
        dir->room = room;
    }
    size_t offset = dir->names.len;
    kv_buf_add(&dir->names, name, len);
    kv_buf_addc(&dir->names, '\0');
    dir->list[dir->count++] = (struct name){cookie_of(name, len), id, offset, type};
    return kv_buf_error(&dir->names);
}

static const char *name_at(const struct kv_dir *dir, size_t number)
{
    return dir->names.data + dir->list[number].offset;
}

/* The names of this mount that are not published. */
static int add_pending(struct kv_mount *mount, struct kv_dir *dir)
{
    KV_SCOPED_LOCK(&mount->inodes.lock);
    struct kv_inode *inode = kv_inodes_find_locked(&mount->inodes, dir->ino);
    if (!inode)
        return -ESTALE;
    KV_LIST_FOREACH(node, &inode->pending_children)
    {
        struct kv_inode *child = KV_CONTAINER_OF(node, struct kv_inode, pending_node);
        int err = add_name(dir, child->id, child->type, child->name, child->name_len);
        if (err)
            return err;
    }
    return 0;
}

static int add_page(struct kv_dir *dir, const struct kv_list *page)
{
    int err = 0;
    for (size_t i = 0; i < page->count && !err; i++) {
        const struct kv_record *record = page->records[i];
        size_t skip = kv_key_name_offset(record->key, record->key_len);
        err = add_name(dir, record->meta.id, record->meta.mode & S_IFMT,
                       record->key + skip, record->key_len - skip);
    }
    return err;
}

/* The key of a name in a directory. */
static void child_key(const struct kv_path *dir, const char *name, size_t len,
                      struct kv_path *ret)
{
    *ret = *dir;
    if (ret->len > 0)
        ret->key[ret->len++] = '/';
    assert(ret->len + len <= KV_KEY_MAX);
    memcpy(ret->key + ret->len, name, len);
    ret->len += len;
}

/* The records behind a name (empty: the first), wherever the directory is. A commit may
 * move it, and the table hears of that a moment after the store shows it. */
static int list_page(struct kv_mount *mount, const struct kv_dir *dir,
                     const struct last_name *after, struct kv_list *ret)
{
    struct kv_path path, behind = {0};
    int err = -ESTALE;
    for (int tries = 0; err == -ESTALE && tries < TRIES; tries++) {
        err = kv_inodes_path(&mount->inodes, dir->ino, NULL, &path);
        if (err)
            return err;
        if (after->len > 0 && path.len + 1 + after->len > KV_KEY_MAX)
            return -ENAMETOOLONG;
        if (after->len > 0)
            child_key(&path, after->name, after->len, &behind);
        err = kv_store_list(mount->store,
                            &(struct kv_list_query){
                                .dir = path.key,
                                .dir_len = path.len,
                                .dir_id = dir->ino,
                                .after = behind.key,
                                .after_len = behind.len,
                                .limit = PAGE_NAMES,
                                .directories = true,
                            },
                            ret);
        if (err == -ENOENT || err == -ENOTDIR)
            err = -ESTALE;
        if (err == -ESTALE && kv_store_catch_up(mount->store))
            return -EIO;
    }
    return err == -ESTALE ? -ENOENT : err;
}

static int load_page(struct kv_mount *mount, struct kv_dir *dir,
                     struct last_name *after, bool *ret_more)
{
    struct kv_list page;
    int err = list_page(mount, dir, after, &page);
    if (err)
        return err;
    err = add_page(dir, &page);
    *ret_more = page.more;
    if (page.more) {
        const struct kv_record *last = page.records[page.count - 1];
        size_t skip = kv_key_name_offset(last->key, last->key_len);
        after->len = last->key_len - skip;
        memcpy(after->name, last->key + skip, after->len);
    }
    kv_list_done(&page);
    return err;
}

static int compare_names(const void *left, const void *right, void *ctx)
{
    const struct name *a = left, *b = right;
    const struct kv_dir *dir = ctx;
    if (a->cookie != b->cookie)
        return a->cookie < b->cookie ? -1 : 1;
    return strcmp(dir->names.data + a->offset, dir->names.data + b->offset);
}

/* A name that was published while we read comes from both places, and different names
 * may have one hash. */
static void make_unique(struct kv_dir *dir)
{
    size_t kept = 0;
    for (size_t i = 0; i < dir->count; i++) {
        struct name *name = &dir->list[i];
        if (kept > 0 && strcmp(name_at(dir, kept - 1), name_at(dir, i)) == 0)
            continue;
        if (kept > 0 && name->cookie <= dir->list[kept - 1].cookie)
            name->cookie = dir->list[kept - 1].cookie + 1;
        dir->list[kept++] = *name;
    }
    dir->count = kept;
}

static int load_control(struct kv_dir *dir)
{
    fuse_ino_t ino;
    int err = 0;
    const char *name;
    for (size_t i = 0; (name = kv_control_name(i, &ino)) && !err; i++)
        err = add_name(dir, ino, S_IFREG, name, strlen(name));
    return err;
}

static int load_names(struct kv_mount *mount, struct kv_dir *dir)
{
    struct last_name after = {0};
    bool more = true;
    int err = add_pending(mount, dir);
    while (!err && more)
        err = load_page(mount, dir, &after, &more);
    return err;
}

static int load(struct kv_mount *mount, struct kv_dir *dir)
{
    kv_buf_reset(&dir->names);
    dir->count = 0;
    dir->loaded = false;
    int err = kv_is_control(dir->ino) ? load_control(dir) : load_names(mount, dir);
    if (err)
        return err;
    if (dir->count > 0)
        qsort_r(dir->list, dir->count, sizeof(*dir->list), compare_names, dir);
    make_unique(dir);
    dir->loaded = true;
    return 0;
}

/* The number of the first name behind an offset. */
static size_t first_behind(const struct kv_dir *dir, uint64_t offset)
{
    size_t low = 0, high = dir->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (dir->list[middle].cookie > offset)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* -- Replies -- */

struct filling {
    struct kv_mount *mount;
    fuse_req_t req;
    struct kv_dir *dir;
    char *buf;
    size_t size, used;
    bool plus;
    struct kv_buf entered; /* ids whose nlookup was raised */
};

static size_t add_plain(struct filling *filling, const char *name, uint64_t id,
                        uint32_t type, uint64_t cookie)
{
    char *at = filling->buf + filling->used;
    size_t room = filling->size - filling->used;
    if (filling->plus) {
        struct fuse_entry_param entry = {.attr = {.st_ino = id, .st_mode = type}};
        return fuse_add_direntry_plus(filling->req, at, room, name, &entry,
                                      (off_t)cookie);
    }
    struct stat st = {.st_ino = id, .st_mode = type};
    return fuse_add_direntry(filling->req, at, room, name, &st, (off_t)cookie);
}

/* Enter a name's inode. Attributes may be cached when nothing was committed since its
 * record was read, which has to be asked after the inode was entered: from then on the
 * observer knows that it matters. -ENOENT: there is no record. */
static int enter(struct filling *filling, const char *name,
                 struct fuse_entry_param *ret)
{
    struct kv_mount *mount = filling->mount;
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    struct kv_path path;
    bool settled;
    uint64_t revision = kv_store_revision(mount->store);
    int err = kv_inodes_path(&mount->inodes, filling->dir->ino, name, &path);
    if (!err)
        err = kv_store_stat(mount->store, path.key, path.len, &record);
    if (!err)
        err = kv_buf_reserve(&filling->entered, sizeof(uint64_t));
    if (!err)
        err = kv_enter(mount, filling->dir->ino, name, record, &settled);
    if (err)
        return err;
    kv_buf_add(&filling->entered, &record->meta.id, sizeof(uint64_t));
    if (kv_store_revision(mount->store) != revision)
        settled = false;
    kv_entry_fill(mount, ret, &record->meta, settled);
    return 0;
}

/* One name; *ret_len over the room that is left: nothing was done. */
static int add_entry(struct filling *filling, const struct name *name, size_t *ret_len)
{
    const char *text = filling->dir->names.data + name->offset;
    char *at = filling->buf + filling->used;
    size_t room = filling->size - filling->used;
    struct fuse_entry_param entry;
    if (filling->plus && !kv_is_control(filling->dir->ino)) {
        *ret_len = fuse_add_direntry_plus(filling->req, NULL, 0, text, NULL, 0);
        if (*ret_len > room)
            return 0;
        int err = enter(filling, text, &entry);
        if (!err)
            fuse_add_direntry_plus(filling->req, at, room, text, &entry,
                                   (off_t)name->cookie);
        if (err != -ENOENT)
            return err;
    }
    *ret_len = add_plain(filling, text, name->id, name->type, name->cookie);
    return 0;
}

static uint64_t parent_id(struct kv_mount *mount, fuse_ino_t ino)
{
    KV_SCOPED_LOCK(&mount->inodes.lock);
    const struct kv_inode *inode = kv_inodes_find_locked(&mount->inodes, ino);
    return inode && inode->parent ? inode->parent->id : mount->root_id;
}

/* "." and ".."; false when there is no room. */
static bool add_dots(struct filling *filling, uint64_t offset)
{
    fuse_ino_t ino = filling->dir->ino;
    for (uint64_t dot = offset; dot < DOTS; dot++) {
        size_t len = add_plain(filling, dot == 0 ? "." : "..",
                               dot == 0 ? ino : parent_id(filling->mount, ino), S_IFDIR,
                               dot + 1);
        if (len > filling->size - filling->used)
            return false;
        filling->used += len;
    }
    return true;
}

static int fill(struct filling *filling, uint64_t offset)
{
    struct kv_dir *dir = filling->dir;
    KV_SCOPED_LOCK(&dir->lock);
    int err = offset == 0 || !dir->loaded ? load(filling->mount, dir) : 0;
    if (err || !add_dots(filling, offset))
        return err;
    for (size_t i = first_behind(dir, offset); i < dir->count && !err; i++) {
        size_t len = 0;
        err = add_entry(filling, &dir->list[i], &len);
        if (len > filling->size - filling->used)
            break;
        filling->used += err ? 0 : len;
    }
    return err;
}

static void forget_entered(struct filling *filling)
{
    const char *ids = filling->entered.data;
    for (size_t i = 0; i + sizeof(uint64_t) <= filling->entered.len;
         i += sizeof(uint64_t)) {
        uint64_t id;
        memcpy(&id, ids + i, sizeof(id));
        kv_inodes_forget(&filling->mount->inodes, id, 1);
    }
}

static void read_dir(fuse_req_t req, size_t size, off_t offset,
                     const struct fuse_file_info *fi, bool plus)
{
    struct kv_mount *mount = kv_mount_of(req);
    KV_CLEANUP(kv_free) char *buf = malloc(size);
    struct filling filling = {
        .mount = mount,
        .req = req,
        .dir = kv_mount_opened(mount, fi),
        .buf = buf,
        .size = size,
        .plus = plus,
    };
    int err = buf ? fill(&filling, (uint64_t)offset) : -ENOMEM;
    if (err && filling.used == 0) {
        forget_entered(&filling);
        fuse_reply_err(req, -err);
    } else if (fuse_reply_buf(req, buf, filling.used) == -ENOENT) {
        forget_entered(&filling);
    }
    kv_buf_done(&filling.entered);
}

void kv_op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                   struct fuse_file_info *fi)
{
    (void)ino;
    read_dir(req, size, offset, fi, false);
}

void kv_op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
                       struct fuse_file_info *fi)
{
    (void)ino;
    read_dir(req, size, offset, fi, true);
}
