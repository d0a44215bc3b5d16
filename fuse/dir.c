/* Directories: OPENDIR, READDIR, READDIRPLUS, RELEASEDIR.
 *
 * A directory handle keeps the names it has handed out, and an offset is the number of
 * a name among them: telldir and seekdir are stable, nothing comes twice, and no name
 * that stays is left out, whatever happens in the directory meanwhile. Names are read
 * from the store a page at a time. Rewinding starts anew.
 *
 * The kernel keeps complete listings until they are invalidated, so most never come
 * here. */
#include "fuse/control.h"
#include "fuse/mount.h"

#include <errno.h>
#include <string.h>

#define PAGE_NAMES 1000
#define DOTS 2 /* "." and ".." come first */

struct name {
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
    size_t pending; /* so many of the first are not published */
    bool complete;
    struct kv_list page; /* the newest page's records */
    size_t page_first;   /* number of its first name in list */
};

static void free_dir(struct kv_mount *mount, struct kv_dir *dir)
{
    kv_lock(&mount->opened_lock);
    kv_list_remove(&dir->node);
    kv_unlock(&mount->opened_lock);
    kv_buf_done(&dir->names);
    kv_list_done(&dir->page);
    free(dir->list);
    pthread_mutex_destroy(&dir->lock);
    free(dir);
}

void kv_op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
    struct kv_mount *mount = kv_mount_of(req);
    KV_CLEANUP(kv_subject_done) struct kv_subject subject = {0};
    int err = kv_is_control(ino) ? 0 : kv_resolve(mount, req, ino, false, &subject);
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
    dir->list[dir->count++] = (struct name){id, offset, type};
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
    dir->pending = dir->count;
    return 0;
}

static int rewind_dir(struct kv_mount *mount, struct kv_dir *dir)
{
    kv_buf_reset(&dir->names);
    dir->count = 0;
    dir->pending = 0;
    dir->complete = false;
    kv_list_done(&dir->page);
    dir->page = (struct kv_list){0};
    if (!kv_is_control(dir->ino))
        return add_pending(mount, dir);
    fuse_ino_t ino;
    int err = 0;
    const char *name;
    for (size_t i = 0; (name = kv_control_name(i, &ino)) && !err; i++)
        err = add_name(dir, ino, S_IFREG, name, strlen(name));
    dir->complete = true;
    return err;
}

static bool was_pending(const struct kv_dir *dir, const char *name, size_t len)
{
    for (size_t i = 0; i < dir->pending; i++) {
        const char *other = name_at(dir, i);
        if (strlen(other) == len && memcmp(other, name, len) == 0)
            return true;
    }
    return false;
}

/* The key behind which the next page begins; empty: the first page. */
static int page_start(struct kv_mount *mount, struct kv_dir *dir, struct kv_path *after)
{
    after->len = 0;
    if (dir->page.count == 0)
        return 0;
    const struct kv_record *last = dir->page.records[dir->page.count - 1];
    size_t offset = kv_key_name_offset(last->key, last->key_len);
    return kv_inodes_path(&mount->inodes, dir->ino, last->key + offset, after);
}

static int next_page(struct kv_mount *mount, struct kv_dir *dir)
{
    struct kv_path path, after;
    int err = kv_inodes_path(&mount->inodes, dir->ino, NULL, &path);
    if (!err)
        err = page_start(mount, dir, &after);
    if (err)
        return err;
    struct kv_list page = {0};
    err = kv_store_list(mount->store,
                        &(struct kv_list_query){
                            .dir = path.key,
                            .dir_len = path.len,
                            .after = after.key,
                            .after_len = after.len,
                            .limit = PAGE_NAMES,
                            .directories = true,
                        },
                        &page);
    if (err)
        return err;
    kv_list_done(&dir->page);
    dir->page = page;
    dir->page_first = dir->count;
    dir->complete = !page.more;
    for (size_t i = 0; i < page.count && !err; i++) {
        const struct kv_record *record = page.records[i];
        size_t skip = kv_key_name_offset(record->key, record->key_len);
        if (was_pending(dir, record->key + skip, record->key_len - skip))
            skip = record->key_len; /* keeps its place in the page, without a name */
        err = add_name(dir, record->meta.id, record->meta.mode & S_IFMT,
                       record->key + skip, record->key_len - skip);
    }
    return err;
}

/* Whether there is a name of that number; reads pages until there is. */
static int reach(struct kv_mount *mount, struct kv_dir *dir, size_t number, bool *ret)
{
    while (number >= dir->count && !dir->complete) {
        int err = next_page(mount, dir);
        if (err)
            return err;
    }
    *ret = number < dir->count;
    return 0;
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
                        uint32_t type, size_t number)
{
    char *at = filling->buf + filling->used;
    size_t room = filling->size - filling->used;
    off_t next = (off_t)number + 1;
    if (filling->plus) {
        struct fuse_entry_param entry = {.attr = {.st_ino = id, .st_mode = type}};
        return fuse_add_direntry_plus(filling->req, at, room, name, &entry, next);
    }
    struct stat st = {.st_ino = id, .st_mode = type};
    return fuse_add_direntry(filling->req, at, room, name, &st, next);
}

/* The page's record of a name, while the page is the newest that was read. */
static const struct kv_record *record_of(const struct kv_dir *dir, size_t number)
{
    if (number < dir->page_first || number - dir->page_first >= dir->page.count)
        return NULL;
    return dir->page.records[number - dir->page_first];
}

/* With attributes. They may be cached when nothing was committed since the page was
 * read, which has to be asked after the inode was entered: from then on the observer
 * knows that it matters. */
static int add_entered(struct filling *filling, const struct kv_record *record,
                       size_t number, size_t *ret_len)
{
    struct kv_mount *mount = filling->mount;
    struct kv_dir *dir = filling->dir;
    const char *name = name_at(dir, number - DOTS);
    size_t room = filling->size - filling->used;
    size_t len = fuse_add_direntry_plus(filling->req, NULL, 0, name, NULL, 0);
    *ret_len = len;
    if (len > room)
        return 0;
    if (kv_buf_reserve(&filling->entered, sizeof(uint64_t)))
        return -ENOMEM;
    struct fuse_entry_param entry;
    bool settled;
    int err = kv_enter(mount, dir->ino, name, record, &settled);
    if (err)
        return err;
    kv_buf_add(&filling->entered, &record->meta.id, sizeof(uint64_t));
    if (kv_store_revision(mount->store) != dir->page.revision)
        settled = false;
    kv_entry_fill(&entry, &record->meta, settled);
    fuse_add_direntry_plus(filling->req, filling->buf + filling->used, room, name,
                           &entry, (off_t)number + 1);
    return 0;
}

/* One entry; *ret_more: it fitted and there may be others. */
static int add_entry(struct filling *filling, size_t number, bool *ret_more)
{
    struct kv_dir *dir = filling->dir;
    size_t len = 0;
    *ret_more = false;
    if (number < DOTS) {
        len = add_plain(filling, number == 0 ? "." : "..",
                        number == 0 ? dir->ino : KV_ROOT_ID, S_IFDIR, number);
    } else {
        bool exists;
        int err = reach(filling->mount, dir, number - DOTS, &exists);
        if (err || !exists)
            return err;
        const struct name *name = &dir->list[number - DOTS];
        const struct kv_record *record = record_of(dir, number - DOTS);
        if (*name_at(dir, number - DOTS) == '\0') {
            *ret_more = true;
            return 0;
        }
        if (filling->plus && record)
            err = add_entered(filling, record, number, &len);
        else
            len = add_plain(filling, name_at(dir, number - DOTS), name->id, name->type,
                            number);
        if (err)
            return err;
    }
    if (len > filling->size - filling->used)
        return 0;
    filling->used += len;
    *ret_more = true;
    return 0;
}

static int fill(struct filling *filling, off_t offset)
{
    KV_SCOPED_LOCK(&filling->dir->lock);
    int err = offset == 0 ? rewind_dir(filling->mount, filling->dir) : 0;
    bool more = true;
    for (size_t number = (size_t)offset; more && !err; number++)
        err = add_entry(filling, number, &more);
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
    int err = buf ? fill(&filling, offset) : -ENOMEM;
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
