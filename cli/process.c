#include "process.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int kv_process_start(char *const argv[], const sigset_t *mask, pid_t *ret,
                     struct kv_fault *fault)
{
    (void)fflush(stdout); /* what we wrote comes first; an error stays with it */
    pid_t pid = fork();
    if (pid < 0)
        return kv_fault_set(fault, KV_EXIT_LOCAL, NULL, "cannot start '%s': %s",
                            argv[0], strerror(errno));
    if (pid > 0) {
        *ret = pid;
        return 0;
    }
    if (mask)
        (void)sigprocmask(SIG_SETMASK, mask, NULL); /* a mask that was ours before */
    (void)execvp(argv[0], argv);
    (void)fprintf(stderr, "kv: cannot run '%s': %s\n", argv[0], strerror(errno));
    _exit(KV_PROCESS_NOT_FOUND);
}

int kv_process_status(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status)
                                    : WEXITSTATUS(wait_status);
}

int kv_process_run(char *const argv[], int *ret_status, struct kv_fault *fault)
{
    sigset_t ints, before;
    int wait_status;
    pid_t pid, ended = -1;
    sigemptyset(&ints);
    sigaddset(&ints, SIGINT);
    sigaddset(&ints, SIGQUIT);
    struct sigaction ignore = {.sa_handler = SIG_IGN}, old_int, old_quit;
    /* Blocked until the program has started, so that it does not inherit SIG_IGN. */
    (void)sigprocmask(SIG_BLOCK, &ints, &before);
    int status = kv_process_start(argv, &before, &pid, fault);
    (void)sigaction(SIGINT, &ignore, &old_int);
    (void)sigaction(SIGQUIT, &ignore, &old_quit);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    while (!status && (ended = waitpid(pid, &wait_status, 0)) < 0 && errno == EINTR)
        continue;
    (void)sigaction(SIGINT, &old_int, NULL);
    (void)sigaction(SIGQUIT, &old_quit, NULL);
    if (status)
        return status;
    if (ended < 0)
        return kv_fault_set(fault, KV_EXIT_LOCAL, NULL, "cannot wait for '%s': %s",
                            argv[0], strerror(errno));
    *ret_status = kv_process_status(wait_status);
    return 0;
}
