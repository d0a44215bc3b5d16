/* kv status: how the daemon is. */
#include "command.h"

#include "base/cleanup.h"

static int run_status(struct kv_cli *cli)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf text = {0};
    int status = cli->access->ops->status(cli->access, cli->json, &text, &cli->fault);
    if (status)
        return status;
    (void)fwrite(text.data, 1, text.len, stdout);
    return kv_cli_flush(cli);
}

const struct kv_command kv_cmd_status = {
    .name = "status",
    .operands = "",
    .summary = "show how kvfsd is",
    .description =
        "Show what kvfsd tells about itself: revision, keys, sizes, counters.",
    .least = 0,
    .most = 0,
    .run = run_status,
};
