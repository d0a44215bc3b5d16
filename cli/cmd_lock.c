/* kv lock: run a command while holding a lock.
 *
 * Once the lock is ours signals are not handled but taken one by one in the loop that
 * also renews, so that nothing runs beside it and nothing is missed: SIGCHLD ends it,
 * SIGTERM, SIGHUP and SIGINT go on to the command, and the time-out is the next
 * renewal. */
#include "command.h"
#include "interrupt.h"
#include "lease.h"
#include "process.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#define TTL_DEFAULT_MS 30000
#define TTL_LEAST_MS 1000
#define TTL_MOST_MS (24 * 3600 * 1000)
#define RENEW_PART 3 /* renew after this part of the time to live */
#define RETRY_MS 500 /* and so often while kvfsd does not answer */

struct locking {
    struct kv_cli *cli;
    struct kv_access *own; /* for transactions; cli->access watches */
    struct kv_lease lease;
    struct kv_buf holder;
    bool taken;
    bool again; /* the last try failed because kvfsd was away */
    sigset_t signals, before;
};

static void locking_done(struct locking *l)
{
    kv_access_freep(&l->own);
    kv_buf_done(&l->holder);
}

/* -- Getting the lock -- */

/* Signals that come now wait until it is known whether the lock is ours. KV_STOP: it
 * is, and they go on waiting. */
static int try_lock(struct locking *l)
{
    enum kv_lease_state state = KV_LEASE_NOT_MINE;
    (void)sigprocmask(SIG_BLOCK, &l->signals, &l->before);
    int status = kv_lease_take(&l->lease, kv_client_of(l->own), &state, &l->holder,
                               &l->cli->fault);
    l->taken = !status && state == KV_LEASE_MINE;
    if (l->taken)
        return KV_STOP;
    (void)sigprocmask(SIG_SETMASK, &l->before, NULL);
    l->again = status == KV_EXIT_AWAY;
    return status;
}

/* A try whose connection broke is made again at the next tick. */
static int try_again(struct locking *l)
{
    int status = try_lock(l);
    if (!l->again)
        return status;
    kv_fault_done(&l->cli->fault);
    return 0;
}

static int on_ready(void *ctx)
{
    return try_again(ctx);
}

static int on_change(void *ctx, const struct kv_change *change)
{
    return strcmp(change->type, "meta") == 0 ? 0 : try_again(ctx);
}

static int on_pause(void *ctx)
{
    (void)ctx;
    return 0;
}

static int held(struct locking *l)
{
    return kv_fault_set(&l->cli->fault, KV_EXIT_NOT_FOUND, l->lease.key,
                        "is held by %s",
                        l->holder.len > 1 ? l->holder.data : "somebody");
}

static int on_tick(void *ctx)
{
    struct locking *l = ctx;
    if (kv_interrupt_state() == KV_INTERRUPT_TIME)
        return held(l);
    if (kv_interrupt_state() == KV_INTERRUPT_USER)
        return kv_fault_set(&l->cli->fault, KV_EXIT_LOCAL, NULL, "interrupted");
    return l->again ? try_again(l) : 0;
}

static void on_notice(void *ctx, const char *text)
{
    (void)ctx;
    kv_warning("%s", text);
}

static int wait_for_lock(struct locking *l, uint64_t timeout_ms)
{
    struct kv_scope scope = {.key = l->lease.key};
    struct kv_watcher watcher = {.scope = &scope,
                                 .ready = on_ready,
                                 .change = on_change,
                                 .pause = on_pause,
                                 .tick = on_tick,
                                 .notice = on_notice,
                                 .ctx = l};
    struct kv_access *access = l->cli->access;
    kv_interrupt_begin(l->cli->shell == KV_SHELL_PROMPT, timeout_ms);
    int status = access->ops->watch(access, &watcher, &l->cli->fault);
    kv_interrupt_end();
    return status;
}

static int get_lock(struct locking *l)
{
    uint64_t timeout_ms = 0;
    int status = kv_cli_duration(l->cli, KV_OPT_WAIT, "--wait", &timeout_ms);
    if (status)
        return status;
    status = try_lock(l);
    if (status) /* taken, or trouble */
        return status == KV_STOP ? 0 : status;
    if (kv_option_given(&l->cli->args, KV_OPT_NO_WAIT))
        return held(l);
    status = wait_for_lock(l, timeout_ms);
    return status == KV_STOP ? 0 : status;
}

/* -- Keeping it -- */

static int64_t renew_after_ns(const struct locking *l)
{
    return (int64_t)(l->lease.ttl_ms / RENEW_PART) * KV_NS_PER_MS;
}

/* When to renew next; false when the lock is lost, and why is in the fault. */
static bool renew(struct locking *l, int64_t *next_ns)
{
    enum kv_lease_state state = KV_LEASE_MINE;
    int status =
        kv_lease_renew(&l->lease, kv_client_of(l->own), &state, &l->cli->fault);
    int64_t now_ns = kv_clock_monotonic_ns();
    if (!status && state == KV_LEASE_MINE) {
        *next_ns = now_ns + renew_after_ns(l);
        return true;
    }
    if (!status) {
        kv_fault_set(&l->cli->fault, KV_EXIT_NOT_FOUND, l->lease.key,
                     "the lock was lost: it ended or was taken away");
        return false;
    }
    *next_ns = now_ns + RETRY_MS * KV_NS_PER_MS;
    if (*next_ns < l->lease.valid_until_ns) {
        kv_fault_done(&l->cli->fault); /* there is time for another try */
        return true;
    }
    return false; /* the fault says why it could not be renewed */
}

/* Wait for the command and renew meanwhile. Its exit status. */
static int hold(struct locking *l, pid_t child, bool *ret_lost)
{
    int64_t next_ns = kv_clock_monotonic_ns() + renew_after_ns(l);
    for (;;) {
        int64_t wait_ns = next_ns - kv_clock_monotonic_ns();
        struct timespec timeout = kv_ns_timespec(*ret_lost     ? 3600 * KV_NS_PER_S
                                                 : wait_ns > 0 ? wait_ns
                                                               : 0);
        siginfo_t info;
        int signal = sigtimedwait(&l->signals, &info, &timeout);
        int wait_status;
        if (signal == SIGCHLD && waitpid(child, &wait_status, WNOHANG) == child)
            return kv_process_status(wait_status);
        /* From the terminal the command has it already. */
        if (signal > 0 && signal != SIGCHLD && info.si_code != SI_KERNEL)
            (void)kill(child, signal); /* it may have ended just now */
        if (signal > 0 || *ret_lost || kv_clock_monotonic_ns() < next_ns)
            continue;
        if (renew(l, &next_ns))
            continue;
        *ret_lost = true;
        kv_fault_print(&l->cli->fault);
        kv_warning("'%s': the lock is not held any more: ending '%s'", l->lease.key,
                   l->cli->args.operands[1]);
        (void)kill(child, SIGTERM);
    }
}

static int release(struct locking *l)
{
    enum kv_lease_state state = KV_LEASE_MINE;
    int status =
        kv_lease_release(&l->lease, kv_client_of(l->own), &state, &l->cli->fault);
    if (!status && state != KV_LEASE_MINE)
        return kv_fault_set(&l->cli->fault, KV_EXIT_NOT_FOUND, l->lease.key,
                            "the lock was lost before the command ended");
    return status;
}

static int run_below_lock(struct locking *l, char *const argv[])
{
    struct timespec none = {0};
    bool lost = false;
    pid_t child;
    int asked = sigtimedwait(&l->signals, NULL, &none);
    if (asked > 0) {      /* to end, before anything was started */
        (void)release(l); /* it ends by itself anyway */
        return 128 + asked;
    }
    int status = kv_process_start(argv, &l->before, &child, &l->cli->fault);
    if (!status)
        status = hold(l, child, &lost);
    if (lost)
        return KV_EXIT_NOT_FOUND;
    int released = release(l);
    return status ? status : released;
}

static int read_ttl(struct kv_cli *cli, uint64_t *ret)
{
    *ret = TTL_DEFAULT_MS;
    int status = kv_cli_duration(cli, KV_OPT_TTL, "--ttl", ret);
    if (!status && (*ret < TTL_LEAST_MS || *ret > TTL_MOST_MS))
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "--ttl of a lock must be 1s to 24h");
    return status;
}

static int run_lock(struct kv_cli *cli)
{
    KV_CLEANUP(locking_done) struct locking l = {.cli = cli};
    char **argv = cli->args.operands + 1;
    uint64_t ttl_ms;
    sigset_t before;
    int status = kv_cli_check_key(cli, cli->args.operands[0]);
    if (!status)
        status = read_ttl(cli, &ttl_ms);
    if (!status)
        status = kv_lease_init(&l.lease, cli->args.operands[0], ttl_ms, &cli->fault);
    if (!status)
        status = kv_cli_open(cli, &l.own);
    if (status)
        return status;
    sigemptyset(&l.signals);
    sigaddset(&l.signals, SIGCHLD);
    sigaddset(&l.signals, SIGTERM);
    sigaddset(&l.signals, SIGHUP);
    sigaddset(&l.signals, SIGINT);
    (void)sigprocmask(SIG_SETMASK, NULL, &before);
    status = get_lock(&l);
    if (!status)
        status = kv_cli_export_way(cli);
    if (!status && setenv("KV_LOCK", l.lease.key, 1) < 0)
        status = kv_fault_no_memory(&cli->fault);
    if (!status)
        status = run_below_lock(&l, argv);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return status;
}

const struct kv_command kv_cmd_lock = {
    .name = "lock",
    .operands = "NAME CMD [ARG]...",
    .summary = "run a command while holding a lock",
    .description =
        "Make the key NAME, which must not be there, run CMD, and remove the key when "
        "CMD has ended. While somebody else has the lock wait for it, with --no-wait "
        "or "
        "after --wait give up with exit status 1. Options go before NAME.\n"
        "\n"
        "The key ends by itself after --ttl (30s unless given) when this process or "
        "its "
        "machine dies; until then it is renewed every third of that time. Its value "
        "tells host and process and holds a random number, so that nobody removes "
        "another's lock. The exit status is that of CMD (128 and the number when a "
        "signal ended it, 127 when it cannot be run). CMD has NAME in KV_LOCK.\n"
        "\n"
        "When the lock is lost, because somebody removed the key or kvfsd could not be "
        "reached for the whole --ttl, a message says so, CMD is sent SIGTERM, kv waits "
        "until it has ended, and the exit status is 1 whatever CMD returns. A loss is "
        "noticed at the next renewal. SIGTERM, SIGHUP and SIGINT to kv go on to CMD.",
    .options =
        KV_OPT_BIT(KV_OPT_TTL) | KV_OPT_BIT(KV_OPT_WAIT) | KV_OPT_BIT(KV_OPT_NO_WAIT),
    .http_only = true,
    .stop_at_operand = true,
    .least = 2,
    .most = -1,
    .run = run_lock,
};
