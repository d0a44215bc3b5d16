/* A file in the data directory, and not one in /run whose name would be made from that
 * directory's: it goes where the directory goes. */
#include "contact.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

char *kv_contact_path(const char *data)
{
    char *path;
    return asprintf(&path, "%s/kvfs.sock", data) < 0 ? NULL : path;
}

int kv_contact_clear(const char *data)
{
    struct stat st;
    KV_CLEANUP(kv_free) char *path = kv_contact_path(data);
    if (!path)
        return -ENOMEM;
    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISLNK(st.st_mode) && !S_ISSOCK(st.st_mode))
        return -EEXIST;
    return unlink(path) < 0 ? -errno : 0;
}

int kv_contact_publish(const char *data, const char *socket)
{
    struct stat listening, here;
    KV_CLEANUP(kv_free) char *path = kv_contact_path(data);
    KV_CLEANUP(kv_free) char *real = realpath(socket, NULL);
    if (!path || !real || stat(real, &listening) < 0)
        return -errno;
    if (stat(path, &here) == 0 && here.st_dev == listening.st_dev &&
        here.st_ino == listening.st_ino)
        return 0;
    return symlink(real, path) < 0 ? -errno : 0;
}

void kv_contact_withdraw(const char *data)
{
    struct stat st;
    KV_CLEANUP(kv_free) char *path = kv_contact_path(data);
    if (path && lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
        (void)unlink(path); /* the next start removes it otherwise */
}
