/* The child tells the parent through a pipe: a byte when it serves, and nothing when it
 * ends before. */
#include "background.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/types.h>
#include <sys/wait.h>

/* The child's end of the pipe; -1 in a process without a parent that waits. */
static int parent_fd = -1;

static int await(pid_t child, int fd, int *ret_status)
{
    char byte;
    ssize_t got;
    int status;
    do
        got = read(fd, &byte, sizeof(byte));
    while (got < 0 && errno == EINTR);
    *ret_status = 0;
    if (got == (ssize_t)sizeof(byte))
        return 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    if (WIFSIGNALED(status))
        kv_error("ended by signal %d", WTERMSIG(status));
    *ret_status = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
    return 0;
}

/* Whatever the parent had open, locks and other people's pipes, is not the daemon's. */
static int begin_child(int fd)
{
    enum { LOWEST = STDERR_FILENO + 1 };
    if (setsid() < 0)
        return -errno;
    if (fd != LOWEST && dup3(fd, LOWEST, O_CLOEXEC) < 0)
        return -errno;
    parent_fd = LOWEST;
    return close_range(LOWEST + 1, ~0u, 0) < 0 ? -errno : 0;
}

int kv_background_fork(bool *ret_parent, int *ret_status)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    pid_t child = fork();
    int err = child < 0 ? -errno : 0;
    *ret_parent = child != 0;
    if (child == 0)
        return begin_child(ends[1]);
    (void)close(ends[1]);
    if (!err)
        err = await(child, ends[0], ret_status);
    (void)close(ends[0]);
    return err;
}

int kv_background_ready(void)
{
    const char byte = 0;
    if (parent_fd < 0)
        return 0;
    KV_CLEANUP(kv_close) int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    int log = kv_log_descriptor();
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 ||
        dup2(nothing, STDOUT_FILENO) < 0 ||
        dup2(log > STDERR_FILENO ? log : nothing, STDERR_FILENO) < 0)
        return -errno;
    /* The parent may have been killed meanwhile: SIGPIPE is ignored, and the mount is
     * there all the same. */
    ssize_t written = write(parent_fd, &byte, sizeof(byte));
    (void)close(parent_fd);
    parent_fd = -1;
    return written == (ssize_t)sizeof(byte) || errno == EPIPE ? 0 : -errno;
}
