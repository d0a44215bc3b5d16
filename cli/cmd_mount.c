/* kv mount: have kvfsd mount on a directory, or list its mounts. */
#include "cmd_mount.h"

#include "base/cleanup.h"
#include "base/jsonread.h"

#include <errno.h>
#include <string.h>

int kv_cli_mount_access(struct kv_cli *cli)
{
    if (cli->access->ops->mount)
        return 0;
    kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                 "mounts are a matter for the Unix socket of kvfsd");
    kv_fault_hint(&cli->fault, "give --socket PATH, or set KV_SOCKET");
    return KV_EXIT_USAGE;
}

int kv_cli_mount_dir(struct kv_cli *cli, const char *dir, char **ret)
{
    *ret = realpath(dir, NULL);
    /* What is mounted there may let nobody in, or be dead. */
    if (!*ret && *dir == '/' && (errno == EACCES || errno == ENOTCONN))
        *ret = strdup(dir);
    return *ret ? 0
                : kv_fault_set(&cli->fault, KV_EXIT_LOCAL, dir, "%s", strerror(errno));
}

/* "/mnt/app subdir=app,ro" */
static int print_mount(struct kv_cli *cli, struct kv_span mount)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf path = {0}, subdir = {0};
    struct kv_span value;
    bool read_only =
        !kv_json_member(mount, "read_only", &value) && kv_json_is(value, "true");
    bool part = kv_json_member_bytes(mount, "subdir", &subdir) == 0;
    (void)kv_json_member_bytes(mount, "path", &path); /* kvfsd always tells it */
    kv_buf_addc(&path, '\0');
    kv_buf_addc(&subdir, '\0');
    if (kv_buf_error(&path) || kv_buf_error(&subdir))
        return kv_fault_no_memory(&cli->fault);
    kv_cli_print_key(stdout, path.data);
    if (part) {
        (void)fputs(" subdir=", stdout);
        kv_cli_print_key(stdout, subdir.data);
    }
    if (read_only)
        (void)fputs(part ? ",ro" : " ro", stdout);
    (void)fputc('\n', stdout);
    return 0;
}

static int list_mounts(struct kv_cli *cli)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf answer = {0};
    struct kv_span json, mounts, mount;
    int status = cli->access->ops->mounts(cli->access, &answer, &cli->fault);
    if (status)
        return status;
    if (kv_json_read(answer.data, answer.len, &json) ||
        kv_json_member(json, "mounts", &mounts))
        return kv_fault_set(&cli->fault, KV_EXIT_AWAY, NULL,
                            "the answer of kvfsd cannot be understood");
    if (cli->json) {
        KV_CLEANUP(kv_buf_done) struct kv_buf line = {0};
        kv_buf_add(&line, json.data, json.len);
        return kv_cli_print_json(cli, &line);
    }
    for (size_t at = 0; !status && kv_json_next(mounts, &at, NULL, &mount);)
        status = print_mount(cli, mount);
    return status ? status : kv_cli_flush(cli);
}

static int run_mount(struct kv_cli *cli)
{
    const char *options = cli->args.values[KV_OPT_OPTIONS];
    KV_CLEANUP(kv_free) char *dir = NULL;
    int status = kv_cli_mount_access(cli);
    if (!status && cli->args.count == 0 && !options)
        return list_mounts(cli);
    if (!status && cli->args.count == 0)
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "--options is for a directory to mount on");
    if (!status)
        status = kv_cli_mount_dir(cli, cli->args.operands[0], &dir);
    return status ? status
                  : cli->access->ops->mount(cli->access, dir, options ? options : "",
                                            &cli->fault);
}

const struct kv_command kv_cmd_mount = {
    .name = "mount",
    .operands = "[DIR]",
    .summary = "mount the keys on a directory",
    .description =
        "Have kvfsd mount the keys on DIR, an empty directory; without DIR, list its "
        "mounts. For root and whom kvfsd runs as, over the Unix socket. Options are "
        "those of mount(8) and of kvfsd's --mount: ro, allow_other, subdir=KEY, uid=N, "
        "gid=N, umask=NNN, nosuid, nodev, noexec, noatime.",
    .options = KV_OPT_BIT(KV_OPT_OPTIONS),
    .least = 0,
    .most = 1,
    .run = run_mount,
};
