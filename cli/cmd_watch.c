/* kv watch: a line for each change, the same over HTTP and on a mount. */
#include "command.h"
#include "interrupt.h"
#include "process.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void print_text(const struct kv_change *change)
{
    const char *value = change->value;
    bool gone =
        strcmp(change->type, "delete") == 0 || strcmp(change->type, "rmdir") == 0;
    kv_cli_colour(gone ? KV_COLOUR_RED : KV_COLOUR_GREEN);
    (void)fputs(change->type, stdout);
    kv_cli_colour(KV_COLOUR_NONE);
    (void)fputc(' ', stdout);
    if (change->from) {
        kv_cli_print_key(stdout, change->from);
        (void)fputs(" -> ", stdout);
    }
    kv_cli_print_key(stdout, change->key);
    if (value) {
        (void)fputs(" = ", stdout);
        kv_cli_print_bytes(stdout, value, change->value_len);
    }
    if (change->omitted)
        printf(" (value of %" PRIu64 " bytes left out)", change->size);
    (void)fputc('\n', stdout);
}

/* -- A command for each change -- */

/* One variable; a NULL value: none. */
static int set(const char *name, const char *value)
{
    return (value ? setenv(name, value, 1) : unsetenv(name)) < 0 ? -ENOMEM : 0;
}

/* What fits into a variable of the environment. */
#define VALUE_MAX (64 * 1024)

static int set_value(const struct kv_change *change)
{
    const char *why = NULL;
    KV_CLEANUP(kv_buf_done) struct kv_buf copy = {0};
    if (change->omitted || change->value_len > VALUE_MAX)
        why = "size";
    else if (change->value && memchr(change->value, '\0', change->value_len))
        why = "binary";
    if (change->value && !why) {
        kv_buf_add(&copy, change->value, change->value_len);
        kv_buf_addc(&copy, '\0');
        if (kv_buf_error(&copy))
            return -ENOMEM;
    }
    int err = set("KV_VALUE", copy.data);
    return err ? err : set("KV_OMITTED", why);
}

static int run_hook(struct kv_cli *cli, const struct kv_change *change)
{
    char revision[24];
    char shell[] = "sh", option[] = "-c";
    KV_CLEANUP(kv_free) char *text = strdup(cli->args.values[KV_OPT_EXEC]);
    char *argv[] = {shell, option, text, NULL};
    int exit_status = 0;
    (void)snprintf(revision, sizeof(revision), "%" PRIu64, change->revision);
    if (!text || set("KV_EVENT", change->type) || set("KV_KEY", change->key) ||
        set("KV_FROM", change->from) ||
        set("KV_REVISION", change->revision ? revision : NULL) || set_value(change))
        return kv_fault_no_memory(&cli->fault);
    int status = kv_process_run(argv, &exit_status, &cli->fault);
    /* Ctrl-C went to the command, but it was meant for the watch as well. */
    if (!status && exit_status == 128 + SIGINT)
        return KV_STOP;
    if (!status && exit_status)
        kv_warning("'%s': the command ended with status %d", change->key, exit_status);
    return status;
}

static int on_change(void *ctx, const struct kv_change *change)
{
    struct kv_cli *cli = ctx;
    if (kv_option_given(&cli->args, KV_OPT_EXEC))
        return run_hook(cli, change);
    if (cli->json) {
        (void)fwrite(change->json, 1, change->json_len, stdout);
        (void)fputc('\n', stdout);
    } else {
        print_text(change);
    }
    return ferror(stdout) ? kv_cli_flush(cli) : 0;
}

static int on_pause(void *ctx)
{
    return kv_cli_flush(ctx);
}

static int on_ready(void *ctx)
{
    struct kv_cli *cli = ctx;
    if (kv_option_given(&cli->args, KV_OPT_VERBOSE))
        kv_notice("watching");
    return 0;
}

static int on_tick(void *ctx)
{
    (void)ctx;
    return kv_interrupt_state() == KV_INTERRUPT_USER ? KV_STOP : 0;
}

static void on_notice(void *ctx, const char *text)
{
    (void)ctx;
    kv_warning("%s", text);
}

static int read_scope(struct kv_cli *cli, struct kv_scope *ret)
{
    const char *const *values = cli->args.values;
    *ret = (struct kv_scope){.key = cli->args.count ? cli->args.operands[0] : NULL,
                             .dir = values[KV_OPT_DIR],
                             .prefix = values[KV_OPT_PREFIX]};
    if (!!ret->key + !!ret->dir + !!ret->prefix > 1)
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "KEY, --dir and --prefix exclude each other");
    return ret->key ? kv_cli_check_key(cli, ret->key) : 0;
}

/* The directory may be written with a slash at its end; the root is everything. */
static int read_dir(struct kv_cli *cli, struct kv_scope *scope, struct kv_buf *copy)
{
    if (!scope->dir)
        return 0;
    int status = kv_cli_check_dir(cli, scope->dir, copy);
    scope->dir = !status && *copy->data ? copy->data : NULL;
    return status;
}

static int run_watch(struct kv_cli *cli)
{
    struct kv_scope scope;
    KV_CLEANUP(kv_buf_done) struct kv_buf dir = {0};
    const char *since = cli->args.values[KV_OPT_SINCE];
    struct kv_watcher watcher = {
        .scope = &scope,
        .values = kv_option_given(&cli->args, KV_OPT_VALUES) ||
                  kv_option_given(&cli->args, KV_OPT_EXEC),
        .resume = since != NULL,
        .ready = on_ready,
        .change = on_change,
        .pause = on_pause,
        .tick = on_tick,
        .notice = on_notice,
        .ctx = cli,
    };
    int status = read_scope(cli, &scope);
    if (!status)
        status = read_dir(cli, &scope, &dir);
    if (!status && since && kv_text_number(since, &watcher.since))
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "--since must be a number, not '%s'", since);
    if (!status && cli->json && kv_option_given(&cli->args, KV_OPT_EXEC))
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "--exec and -o json exclude each other");
    if (!status && kv_option_given(&cli->args, KV_OPT_EXEC))
        status = kv_cli_export_way(cli);
    if (status)
        return status;
    kv_interrupt_begin(cli->shell == KV_SHELL_PROMPT,
                       0); /* Ctrl-C in a shell ends only this */
    status = cli->access->ops->watch(cli->access, &watcher, &cli->fault);
    kv_interrupt_end();
    return status == KV_STOP ? kv_cli_flush(cli) : status;
}

const struct kv_command kv_cmd_watch = {
    .name = "watch",
    .operands = "[KEY]",
    .summary = "print changes as they happen",
    .description =
        "Print a line for each change of KEY, of what is in a directory, of keys with "
        "a "
        "prefix, or of everything, whoever made it, until interrupted:\n"
        "\n"
        "  put KEY\n"
        "  delete KEY\n"
        "  rename FROM -> TO\n"
        "  mkdir KEY\n"
        "  rmdir KEY\n"
        "  meta KEY\n"
        "\n"
        "Over HTTP it reads the change stream: every change, once, in order; when the "
        "connection drops it goes on where it stopped. On a mount it uses inotify and "
        "prints the same lines, but: puts of one key in fast succession may come as "
        "one; a program that opens a key for writing and closes it unchanged looks "
        "like "
        "a put; what moves in from or out to a place that is not watched looks new or "
        "deleted; and values (--values) and revisions are those at the time of "
        "printing. With --verbose \"watching\" on stderr says when nothing is missed "
        "any more.\n"
        "\n"
        "--values puts \" = VALUE\" behind a put; the stream leaves out values over 64 "
        "KiB, and then the line says how large it is.\n"
        "\n"
        "--exec runs CMD for each change instead of printing, one after the other, "
        "with "
        "KV_EVENT, KV_KEY, KV_REVISION, for a rename KV_FROM, and for a put KV_VALUE "
        "in "
        "its environment. A value that is too large or holds a zero byte is not there; "
        "KV_OMITTED is \"size\" or \"binary\" then: get it by 'kv get --raw "
        "\"$KV_KEY\"'. A CMD that fails is told, and the watch goes on.",
    .options = KV_OPT_BIT(KV_OPT_DIR) | KV_OPT_BIT(KV_OPT_PREFIX) |
               KV_OPT_BIT(KV_OPT_SINCE) | KV_OPT_BIT(KV_OPT_VALUES) |
               KV_OPT_BIT(KV_OPT_EXEC),
    .least = 0,
    .most = 1,
    .run = run_watch,
};
