/* kv umount: have kvfsd unmount a directory. */
#include "cmd_mount.h"

#include "base/cleanup.h"

static int run_umount(struct kv_cli *cli)
{
    KV_CLEANUP(kv_free) char *dir = NULL;
    int status = kv_cli_mount_access(cli);
    if (!status)
        status = kv_cli_mount_dir(cli, cli->args.operands[0], &dir);
    return status ? status
                  : cli->access->ops->unmount(cli->access, dir,
                                              kv_option_given(&cli->args, KV_OPT_LAZY),
                                              &cli->fault);
}

const struct kv_command kv_cmd_umount = {
    .name = "umount",
    .operands = "DIR",
    .summary = "unmount a directory",
    .description = "Have kvfsd unmount DIR, as umount(8) does. For root and whom kvfsd "
                   "runs as, over the Unix socket.",
    .options = KV_OPT_BIT(KV_OPT_LAZY),
    .least = 1,
    .most = 1,
    .run = run_umount,
};
