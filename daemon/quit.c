/* The end of the daemon, awaited on two descriptors. Signals are blocked everywhere and
 * read from a signalfd, so no code of the daemon ever runs inside a handler (but for
 * the few lines that let an impatient second signal through while stopping). */
#include "quit.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define SAME_REQUEST_NS (KV_NS_PER_S / 2)

static const int quit_signals[] = {SIGINT, SIGTERM, SIGHUP};

#define QUIT_SIGNALS (sizeof(quit_signals) / sizeof(quit_signals[0]))

/* When the first signal was answered. A handler cannot be given a context. */
static int64_t released_ns;

static void make_set(sigset_t *set)
{
    sigemptyset(set);
    for (size_t i = 0; i < QUIT_SIGNALS; i++)
        sigaddset(set, quit_signals[i]);
}

int kv_quit_init(struct kv_quit *quit)
{
    *quit = (struct kv_quit){.signal_fd = -1, .wake_fd = -1};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    if (sigaction(SIGPIPE, &ignore, NULL) < 0)
        return -errno;
    sigset_t set;
    make_set(&set);
    int err = pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (err)
        return -err;
    quit->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (quit->signal_fd < 0)
        return -errno;
    quit->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return quit->wake_fd < 0 ? -errno : 0;
}

int kv_quit_wait(struct kv_quit *quit, enum kv_quit_reason *ret_reason, int *ret_signal)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = quit->signal_fd, .events = POLLIN},
                               {.fd = quit->wake_fd, .events = POLLIN}};
        if (poll(fds, 2, -1) < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        struct signalfd_siginfo info;
        if (read(quit->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
            *ret_reason = KV_QUIT_SIGNAL;
            *ret_signal = (int)info.ssi_signo;
            return 0;
        }
        uint64_t count;
        if (read(quit->wake_fd, &count, sizeof(count)) == (ssize_t)sizeof(count)) {
            *ret_reason = KV_QUIT_WOKEN;
            return 0;
        }
    }
}

void kv_quit_wake(void *quit)
{
    uint64_t one = 1;
    ssize_t n = write(((struct kv_quit *)quit)->wake_fd, &one, sizeof(one));
    assert(n == (ssize_t)sizeof(one)); /* an eventfd refuses at 2^64 - 1 only */
    (void)n;
}

/* Only async-signal-safe calls (signal-safety(7)). */
static void impatient(int signal_number)
{
    if (kv_clock_monotonic_ns() - released_ns < SAME_REQUEST_NS)
        return;
    struct sigaction default_action = {.sa_handler = SIG_DFL};
    (void)sigaction(signal_number, &default_action, NULL);
    (void)raise(signal_number); /* delivered when this handler returns */
}

void kv_quit_release(void)
{
    released_ns = kv_clock_monotonic_ns();
    struct sigaction action = {.sa_handler = impatient, .sa_flags = SA_RESTART};
    sigset_t set;
    make_set(&set);
    for (size_t i = 0; i < QUIT_SIGNALS; i++)
        (void)sigaction(quit_signals[i], &action, NULL); /* cannot fail for these */
    int err = pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    assert(err == 0);
    (void)err;
}

void kv_quit_done(struct kv_quit *quit)
{
    if (quit->signal_fd >= 0)
        (void)close(quit->signal_fd);
    if (quit->wake_fd >= 0)
        (void)close(quit->wake_fd);
    quit->signal_fd = quit->wake_fd = -1;
}
