/* kv wait: until a key is as it is wanted.
 *
 * A watch tells that something happened, and then the key itself is read, over a second
 * way: so what is looked at is always the newest state, and what happened between two
 * events needs no thought. The first look is taken when the watch stands. */
#include "command.h"
#include "interrupt.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <string.h>

enum want { WANT_EXISTS, WANT_CHANGE, WANT_EQUALS, WANT_GONE };

struct waiting {
    struct kv_cli *cli;
    struct kv_access *reader;
    const char *key;
    enum want want;
    const char *value; /* WANT_EQUALS */
    bool again;        /* the last look failed because kvfsd was away */
    bool known;        /* the state at the beginning: */
    bool existed;
    uint64_t revision;
    /* one look */
    struct kv_entry entry;
    struct kv_buf content;
};

static void waiting_done(struct waiting *w)
{
    kv_access_freep(&w->reader);
    kv_buf_done(&w->content);
}

static int look_begin(void *ctx, const struct kv_entry *entry)
{
    struct waiting *w = ctx;
    w->entry = *entry;
    return 0;
}

static int look_data(void *ctx, const void *data, size_t len)
{
    struct waiting *w = ctx;
    kv_buf_add(&w->content, data, len);
    return kv_buf_error(&w->content) ? kv_fault_no_memory(&w->cli->fault) : 0;
}

static bool is_equal(const struct waiting *w)
{
    size_t len = strlen(w->value);
    return w->content.len == len &&
           (len == 0 || memcmp(w->content.data, w->value, len) == 0);
}

static bool has_changed(struct waiting *w, bool exists)
{
    uint64_t revision = exists ? w->entry.mod_revision : 0;
    if (w->known)
        return exists != w->existed || revision != w->revision;
    w->known = true;
    w->existed = exists;
    w->revision = revision;
    return false;
}

static bool is_wanted(struct waiting *w, bool exists)
{
    switch (w->want) {
    case WANT_EXISTS:
        return exists;
    case WANT_CHANGE:
        return has_changed(w, exists);
    case WANT_EQUALS:
        return exists && is_equal(w);
    case WANT_GONE:
        return !exists;
    }
    return false;
}

/* 0: not yet. KV_STOP: it is so. Or the fault. */
static int look(struct waiting *w)
{
    struct kv_fault *fault = &w->cli->fault;
    struct kv_receiver receiver = {look_begin, look_data, w};
    kv_buf_reset(&w->content);
    int status = w->reader->ops->get(w->reader, w->key, &receiver, fault);
    /* The watch is made again when kvfsd is back. */
    w->again = status == KV_EXIT_AWAY;
    if (status == KV_EXIT_NOT_FOUND || w->again)
        kv_fault_done(fault);
    if (w->again)
        return 0;
    if (status && status != KV_EXIT_NOT_FOUND)
        return status;
    return is_wanted(w, status == 0) ? KV_STOP : 0;
}

static int on_ready(void *ctx)
{
    return look(ctx);
}

static int on_change(void *ctx, const struct kv_change *change)
{
    (void)change;
    return look(ctx);
}

static int on_pause(void *ctx)
{
    (void)ctx;
    return 0;
}

static int on_tick(void *ctx)
{
    struct waiting *w = ctx;
    if (kv_interrupt_state() == KV_INTERRUPT_TIME)
        return kv_fault_set(&w->cli->fault, KV_EXIT_NOT_FOUND, w->key,
                            w->want == WANT_EXISTS   ? "is not there yet"
                            : w->want == WANT_GONE   ? "is still there"
                            : w->want == WANT_CHANGE ? "has not changed"
                                                     : "has another value");
    if (kv_interrupt_state() == KV_INTERRUPT_USER)
        return KV_STOP;
    return w->again ? look(w) : 0;
}

static void on_notice(void *ctx, const char *text)
{
    (void)ctx, (void)text; /* it goes on; only the result counts */
}

static int read_want(struct kv_cli *cli, struct waiting *w)
{
    bool change = kv_option_given(&cli->args, KV_OPT_CHANGE);
    bool gone = kv_option_given(&cli->args, KV_OPT_GONE);
    w->value = cli->args.values[KV_OPT_EQUALS];
    if (change + gone + !!w->value > 1)
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "--change, --equals and --gone exclude each other");
    w->want = change     ? WANT_CHANGE
              : gone     ? WANT_GONE
              : w->value ? WANT_EQUALS
                         : WANT_EXISTS;
    return 0;
}

static int run_wait(struct kv_cli *cli)
{
    KV_CLEANUP(waiting_done)
    struct waiting w = {.cli = cli, .key = cli->args.operands[0]};
    struct kv_scope scope = {.key = w.key};
    struct kv_watcher watcher = {.scope = &scope,
                                 .ready = on_ready,
                                 .change = on_change,
                                 .pause = on_pause,
                                 .tick = on_tick,
                                 .notice = on_notice,
                                 .ctx = &w};
    uint64_t timeout_ms = 0;
    int status = kv_cli_check_key(cli, w.key);
    if (!status)
        status = read_want(cli, &w);
    if (!status)
        status = kv_cli_duration(cli, KV_OPT_TIMEOUT, "--timeout", &timeout_ms);
    if (!status)
        status = kv_cli_open(cli, &w.reader);
    if (status)
        return status;
    kv_interrupt_begin(cli->shell == KV_SHELL_PROMPT, timeout_ms);
    status = cli->access->ops->watch(cli->access, &watcher, &cli->fault);
    kv_interrupt_end();
    return status == KV_STOP ? 0 : status;
}

const struct kv_command kv_cmd_wait = {
    .name = "wait",
    .operands = "KEY",
    .summary = "wait until a key is there, changes, or has a value",
    .description =
        "Wait until there is a key KEY, which may be so already, or with --change "
        "until "
        "it changes, with --equals until it has that value, with --gone until it is "
        "removed. Prints nothing. When --timeout passes first the exit status is 1.",
    .options = KV_OPT_BIT(KV_OPT_CHANGE) | KV_OPT_BIT(KV_OPT_EQUALS) |
               KV_OPT_BIT(KV_OPT_GONE) | KV_OPT_BIT(KV_OPT_TIMEOUT),
    .least = 1,
    .most = 1,
    .run = run_wait,
};
