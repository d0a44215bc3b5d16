/* The state is of the process because signals are. */
#include "interrupt.h"

#include "base/clock.h"

#include <signal.h>
#include <sys/time.h>

/* The timer goes off again and again, for the first time may come just before the
 * system call that it is to end. */
#define AGAIN_US 50000

static volatile sig_atomic_t user_asked;
static int64_t deadline_ns;      /* monotonic; 0: none */
static unsigned depth, catching; /* begun, and the depth at which Ctrl-C is caught */
static struct sigaction old_int, old_alarm;

static void on_int(int signal)
{
    (void)signal;
    user_asked = 1;
}

static void on_alarm(int signal)
{
    (void)signal; /* that it came is all: a wait returned */
}

void kv_interrupt_begin(bool catch_user, uint64_t timeout_ms)
{
    /* No SA_RESTART: what waits shall return. */
    struct sigaction note_int = {.sa_handler = on_int};
    struct sigaction note_alarm = {.sa_handler = on_alarm};
    depth++;
    user_asked = 0;
    /* sigaction fails for no such signal only */
    if (catch_user && !catching) {
        (void)sigaction(SIGINT, &note_int, &old_int);
        catching = depth;
    }
    if (depth == 1)
        (void)sigaction(SIGALRM, &note_alarm, &old_alarm);
    deadline_ns = 0;
    if (!timeout_ms)
        return;
    if (timeout_ms > (uint64_t)(INT64_MAX / KV_NS_PER_MS / 2))
        timeout_ms = (uint64_t)(INT64_MAX / KV_NS_PER_MS / 2);
    deadline_ns = kv_clock_monotonic_ns() + (int64_t)timeout_ms * KV_NS_PER_MS;
    struct itimerval timer = {
        .it_value = {.tv_sec = (time_t)(timeout_ms / 1000),
                     .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000)},
        .it_interval = {.tv_usec = AGAIN_US},
    };
    (void)setitimer(ITIMER_REAL, &timer, NULL); /* fails for a bad time only */
}

enum kv_interrupt kv_interrupt_state(void)
{
    if (user_asked)
        return KV_INTERRUPT_USER;
    if (deadline_ns && kv_clock_monotonic_ns() >= deadline_ns)
        return KV_INTERRUPT_TIME;
    return KV_INTERRUPT_NONE;
}

void kv_interrupt_end(void)
{
    struct itimerval off = {0};
    (void)setitimer(ITIMER_REAL, &off, NULL);
    deadline_ns = 0;
    if (depth == 1)
        (void)sigaction(SIGALRM, &old_alarm, NULL);
    if (catching == depth) {
        (void)sigaction(SIGINT, &old_int, NULL);
        catching = 0;
    }
    depth--;
}

void kv_interrupt_clear(void)
{
    user_asked = 0;
}
