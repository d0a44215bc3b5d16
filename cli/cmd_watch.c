/* kv watch: a line for each change, the same over HTTP and on a mount. */
#include "command.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"

#include <string.h>

static void print_text(const struct kv_change *change)
{
    const char *value = change->value;
    printf("%s ", change->type);
    if (change->from) {
        kv_cli_print_key(stdout, change->from);
        (void)fputs(" -> ", stdout);
    }
    kv_cli_print_key(stdout, change->key);
    if (value) {
        (void)fputs(" = ", stdout);
        kv_cli_print_bytes(stdout, value, change->value_len);
    }
    (void)fputc('\n', stdout);
}

static int on_change(void *ctx, const struct kv_change *change)
{
    struct kv_cli *cli = ctx;
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

static void on_ready(void *ctx)
{
    struct kv_cli *cli = ctx;
    if (kv_option_given(&cli->args, KV_OPT_VERBOSE))
        kv_notice("watching");
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
        .values = kv_option_given(&cli->args, KV_OPT_VALUES),
        .resume = since != NULL,
        .ready = on_ready,
        .change = on_change,
        .pause = on_pause,
        .notice = on_notice,
        .ctx = cli,
    };
    int status = read_scope(cli, &scope);
    if (!status)
        status = read_dir(cli, &scope, &dir);
    if (!status && since && kv_text_number(since, &watcher.since))
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "--since must be a number, not '%s'", since);
    return status ? status
                  : cli->access->ops->watch(cli->access, &watcher, &cli->fault);
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
        "one; "
        "a program that opens a key for writing and closes it unchanged looks like a "
        "put; what moves in from or out to a place that is not watched looks new or "
        "deleted; and values (--values) and revisions are those at the time of "
        "printing. With --verbose \"watching\" on stderr says when nothing is missed "
        "any "
        "more.",
    .options = KV_OPT_BIT(KV_OPT_DIR) | KV_OPT_BIT(KV_OPT_PREFIX) |
               KV_OPT_BIT(KV_OPT_SINCE) | KV_OPT_BIT(KV_OPT_VALUES),
    .least = 0,
    .most = 1,
    .run = run_watch,
};
