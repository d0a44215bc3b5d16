/* Listing directories of the mount: what readdir gives, sorted as the store sorts keys.
 */
#include "mountio.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void kv_mountio_close_dir(DIR **dir)
{
    if (*dir)
        (void)closedir(*dir);
}

const char *kv_mountio_next_name(DIR *dir)
{
    for (;;) {
        errno = 0;
        struct dirent *entry = readdir(dir);
        if (!entry)
            return NULL;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return entry->d_name;
    }
}

DIR *kv_mountio_open_dir(int at, const char *name)
{
    int fd =
        openat(at, *name ? name : ".", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    if (!dir && fd >= 0)
        (void)close(fd);
    return dir;
}

struct name {
    char *text; /* for a directory in a recursive listing with a '/' behind it */
    bool directory;
};

struct names {
    struct name *items;
    size_t count, cap;
};

static void names_done(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i].text);
    free(names->items);
}

static int names_add(struct names *names, const char *text, bool directory, bool slash)
{
    if (names->count == names->cap) {
        size_t cap = names->cap ? names->cap * 2 : 64;
        struct name *items = reallocarray(names->items, cap, sizeof(*items));
        if (!items)
            return -ENOMEM;
        names->items = items;
        names->cap = cap;
    }
    KV_CLEANUP(kv_buf_done) struct kv_buf whole = {0};
    kv_buf_adds(&whole, text);
    if (directory && slash)
        kv_buf_addc(&whole, '/');
    char *stolen = kv_buf_steal(&whole, NULL);
    if (!stolen)
        return -ENOMEM;
    names->items[names->count++] = (struct name){stolen, directory};
    return 0;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct name *)a)->text, ((const struct name *)b)->text);
}

/* The sorted names of a directory. In a recursive listing a directory sorts by the keys
 * in it, which begin with its name and a slash. 0 or a negative errno. */
static int read_names(struct kv_mountio *mount, const char *path, bool slash,
                      struct names *names)
{
    KV_CLEANUP(kv_mountio_close_dir)
    DIR *dir = kv_mountio_open_dir(kv_mountio_root(mount), path);
    if (!dir)
        return -errno;
    const char *name;
    while ((name = kv_mountio_next_name(dir))) {
        struct stat st;
        if (fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
            if (errno == ENOENT) /* removed meanwhile */
                continue;
            return -errno;
        }
        int err = names_add(names, name, S_ISDIR(st.st_mode), slash);
        if (err)
            return err;
    }
    if (errno)
        return -errno;
    if (names->count)
        qsort(names->items, names->count, sizeof(*names->items), compare_names);
    return 0;
}

struct walk {
    struct kv_mountio *mount;
    const struct kv_listing *listing;
    kv_entry_fn *each;
    void *ctx;
    struct kv_fault *fault;
};

/* Whether a key that begins with path may begin with the prefix too. */
static bool may_match(const struct walk *walk, const char *path, bool as_directory)
{
    const char *prefix = walk->listing->prefix;
    size_t path_len = strlen(path), prefix_len = strlen(prefix);
    if (path_len >= prefix_len || !as_directory)
        return strncmp(path, prefix, prefix_len) == 0;
    return strncmp(path, prefix, path_len) == 0;
}

static int list_dir(const struct walk *walk, const char *path, bool top);

static int list_one(const struct walk *walk, const char *key, bool directory)
{
    bool descend = directory && walk->listing->recursive;
    if (!may_match(walk, key, descend))
        return 0;
    if (descend)
        return list_dir(walk, key, false);
    struct kv_entry entry = {.key = key, .directory = directory};
    if (walk->listing->details) {
        int err = kv_mountio_describe(walk->mount, key, &entry);
        if (err == -ENOENT)
            return 0;
        if (err)
            return kv_mountio_fault(walk->mount, -err, key, walk->fault);
    }
    return walk->each(walk->ctx, &entry);
}

static int list_dir(const struct walk *walk, const char *path, bool top)
{
    KV_CLEANUP(names_done) struct names names = {0};
    int err = read_names(walk->mount, path, walk->listing->recursive, &names);
    if (err == -ENOENT && !top)
        return 0;
    if (err)
        return err == -ENOMEM ? kv_fault_no_memory(walk->fault)
                              : kv_mountio_fault(walk->mount, -err, path, walk->fault);
    for (size_t i = 0; i < names.count; i++) {
        KV_CLEANUP(kv_buf_done) struct kv_buf key = {0};
        struct name *name = &names.items[i];
        if (name->directory && walk->listing->recursive)
            name->text[strlen(name->text) - 1] = '\0';
        kv_buf_addf(&key, "%s%s%s", path, *path ? "/" : "", name->text);
        kv_buf_addc(&key, '\0');
        int status = kv_buf_error(&key) ? kv_fault_no_memory(walk->fault)
                                        : list_one(walk, key.data, name->directory);
        if (status)
            return status;
    }
    return 0;
}

int kv_mountio_list(struct kv_access *access, const struct kv_listing *listing,
                    kv_entry_fn *each, void *ctx, struct kv_fault *fault)
{
    struct walk walk = {kv_mountio_of(access), listing, each, ctx, fault};
    return list_dir(&walk, listing->dir, true);
}
