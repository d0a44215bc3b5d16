/* tgkill(2) with signal 0 answers "is this thread in that group" in a fraction of a
 * microsecond, where /proc/TID/status takes ten; so /proc is read only for a file
 * that is opened by another thread than a process's first. */
#include "fuse/process.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

static bool in_group(pid_t process, pid_t tid)
{
    /* EPERM: it is in there, but belongs to someone else. */
    return syscall(SYS_tgkill, process, tid, 0) == 0 || errno == EPERM;
}

static pid_t group_from_proc(pid_t tid)
{
    char path[64], text[1024];
    (void)snprintf(path, sizeof(path), "/proc/%ld/status", (long)tid);
    KV_CLEANUP(kv_close) int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return tid;
    ssize_t got = read(fd, text, sizeof(text) - 1);
    if (got <= 0)
        return tid;
    text[got] = '\0';
    const char *line = strstr(text, "\nTgid:");
    long group = line ? strtol(line + strlen("\nTgid:"), NULL, 10) : 0;
    return group > 0 ? (pid_t)group : tid;
}

pid_t kv_process_of(pid_t tid)
{
    if (tid <= 0 || in_group(tid, tid))
        return tid;
    return group_from_proc(tid);
}

bool kv_process_has(pid_t process, pid_t tid)
{
    if (process == tid)
        return true;
    return process > 0 && tid > 0 && in_group(process, tid);
}

bool kv_process_ended(pid_t process)
{
    return process > 0 && kill(process, 0) < 0 && errno == ESRCH;
}
