/* kv rm, kv mv: keys and directories that go, and that are called otherwise. */
#include "command.h"

#include "base/cleanup.h"

#include <string.h>

static int remove_one(struct kv_cli *cli, char *key)
{
    struct kv_written written = {0};
    int status = kv_cli_check_path(cli, key);
    if (!status)
        status = cli->access->ops->remove(cli->access, key,
                                          kv_option_given(&cli->args, KV_OPT_RECURSIVE),
                                          &written, &cli->fault);
    if (status == KV_EXIT_NOT_FOUND && kv_option_given(&cli->args, KV_OPT_FORCE)) {
        kv_fault_done(&cli->fault);
        return 0;
    }
    return status ? status : kv_cli_report(cli, key, &written);
}

/* Every key is tried; the first thing that went wrong decides the exit status. */
static int run_rm(struct kv_cli *cli)
{
    int first = 0;
    for (int i = 0; i < cli->args.count; i++) {
        int status = remove_one(cli, cli->args.operands[i]);
        if (!status)
            continue;
        kv_fault_print(&cli->fault);
        if (!first)
            first = status;
        if (status == KV_EXIT_AWAY || status == KV_EXIT_LOCAL)
            break; /* it would be the same for the others */
    }
    return first;
}

/* A target that ends in a slash is the directory to move into. */
static int make_target(struct kv_cli *cli, const char *from, const char *to,
                       struct kv_buf *ret)
{
    size_t len = strlen(to);
    kv_buf_adds(ret, to);
    if (len > 0 && to[len - 1] == '/') {
        const char *slash = strrchr(from, '/');
        kv_buf_adds(ret, slash ? slash + 1 : from);
    }
    kv_buf_addc(ret, '\0');
    if (kv_buf_error(ret))
        return kv_fault_no_memory(&cli->fault);
    return kv_cli_check_key(cli, ret->data);
}

static int run_mv(struct kv_cli *cli)
{
    char *from = cli->args.operands[0];
    struct kv_written written = {0};
    KV_CLEANUP(kv_buf_done) struct kv_buf to = {0};
    int status = kv_cli_check_path(cli, from);
    if (!status)
        status = make_target(cli, from, cli->args.operands[1], &to);
    if (!status)
        status =
            cli->access->ops->rename(cli->access, from, to.data, &written, &cli->fault);
    /* A directory is in the way: the other refusals have no hint. */
    if (status == KV_EXIT_REFUSED && cli->fault.hint.len)
        kv_fault_hint(&cli->fault, "a '/' behind the target moves into that directory");
    return status ? status : kv_cli_report(cli, to.data, &written);
}

const struct kv_command kv_cmd_rm = {
    .name = "rm",
    .operands = "KEY...",
    .summary = "remove keys, or with -r directories",
    .description = "Remove each KEY. A directory goes with --recursive only, and then "
                   "with all that is in it.",
    .options = KV_OPT_BIT(KV_OPT_RECURSIVE) | KV_OPT_BIT(KV_OPT_FORCE),
    .least = 1,
    .most = -1,
    .run = run_rm,
};

const struct kv_command kv_cmd_mv = {
    .name = "mv",
    .operands = "FROM TO",
    .summary = "rename a key or a directory",
    .description =
        "Rename the key or directory FROM to TO, at once; a key that is at TO "
        "is replaced. When TO ends in a slash FROM keeps its name and moves "
        "into that directory. Directories in TO are made.",
    .least = 2,
    .most = 2,
    .run = run_mv,
};
