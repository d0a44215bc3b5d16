/* By raw system calls: younger than the C library may be, and see outside.c. */
#include "fuse/readonly.h"

#include "fuse/outside.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

static int change(int at, const char *path, unsigned flags, struct mount_attr attr)
{
    return syscall(SYS_mount_setattr, at, path, flags, &attr, sizeof(attr)) < 0 ? -errno
                                                                                : 0;
}

int kv_readonly_set(const char *path)
{
    return change(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW,
                  (struct mount_attr){.attr_set = MOUNT_ATTR_RDONLY});
}

int kv_readonly_open(const char *path)
{
    KV_CLEANUP(kv_outside_close)
    int fd = (int)syscall(SYS_open_tree, AT_FDCWD, path,
                          OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
    if (fd < 0)
        return -errno;
    int err = change(fd, "", AT_EMPTY_PATH,
                     (struct mount_attr){.attr_clr = MOUNT_ATTR_RDONLY});
    if (err)
        return err;
    int result = fd;
    fd = -1;
    return result;
}
