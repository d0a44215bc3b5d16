#include "fuse/outside.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <sys/stat.h>

static int close_others(DIR *dir)
{
    for (;;) {
        char *end;
        struct stat st;
        errno = 0; /* readdir(3) tells an error from the end by this alone */
        const struct dirent *entry = readdir(dir);
        if (!entry)
            return -errno;
        long fd = strtol(entry->d_name, &end, 10);
        if (end == entry->d_name || fd <= STDERR_FILENO || fd == dirfd(dir))
            continue;
        if (fstat((int)fd, &st) < 0 || !S_ISREG(st.st_mode))
            (void)close((int)fd);
    }
}

int kv_outside_enter(void)
{
    if (unshare(CLONE_FILES) < 0)
        return -errno;
    DIR *dir = opendir("/proc/thread-self/fd");
    if (!dir)
        return -errno;
    int err = close_others(dir);
    (void)closedir(dir);
    return err;
}
