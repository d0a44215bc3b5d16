/* kv put, kv append: a value from the command line or from stdin. */
#include "command.h"

#include "base/cleanup.h"
#include "base/text.h"

/* The options of put, checked. */
static int read_options(struct kv_cli *cli, struct kv_put_options *ret)
{
    const char *revision = cli->args.values[KV_OPT_IF_REVISION];
    ret->if_absent = kv_option_given(&cli->args, KV_OPT_IF_ABSENT);
    ret->check_revision = revision != NULL;
    int status = kv_cli_duration(cli, KV_OPT_TTL, "--ttl", &ret->ttl_ms);
    if (status)
        return status;
    if (revision && kv_text_number(revision, &ret->if_revision))
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "--if-revision must be a number, not '%s'", revision);
    if (ret->if_absent && revision)
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "--if-absent and --if-revision exclude each other");
    return 0;
}

static int run_put(struct kv_cli *cli)
{
    const char *key = cli->args.operands[0];
    const char *value = cli->args.count > 1 ? cli->args.operands[1] : NULL;
    KV_CLEANUP(kv_source_done) struct kv_source source = {.fd = -1};
    struct kv_put_options options = {0};
    struct kv_written written = {0};
    int status = kv_cli_check_key(cli, key);
    if (!status)
        status = read_options(cli, &options);
    if (!status)
        status = kv_cli_source(cli, value, &source);
    if (!status)
        status = cli->access->ops->put(cli->access, key, &source, &options, &written,
                                       &cli->fault);
    return status ? status : kv_cli_report(cli, key, &written);
}

static int run_append(struct kv_cli *cli)
{
    const char *key = cli->args.operands[0];
    const char *value = cli->args.count > 1 ? cli->args.operands[1] : NULL;
    KV_CLEANUP(kv_source_done) struct kv_source source = {.fd = -1};
    struct kv_written written = {0};
    int status = kv_cli_check_key(cli, key);
    if (!status)
        status = kv_cli_source(cli, value, &source);
    if (!status)
        status =
            cli->access->ops->append(cli->access, key, &source, &written, &cli->fault);
    return status ? status : kv_cli_report(cli, key, &written);
}

const struct kv_command kv_cmd_put = {
    .name = "put",
    .operands = "KEY [VALUE]",
    .summary = "store a value, from the command line or stdin",
    .description =
        "Store VALUE under KEY, byte by byte, or without VALUE what comes from stdin, "
        "to its end. \"@FILE\" stores what is in a file, \"@-\" what comes from stdin, "
        "and \"@@TEXT\" the text \"@TEXT\". A VALUE that begins with a dash goes "
        "behind "
        "\"--\": kv put key -- -v. Directories in KEY are made. When --if-absent or "
        "--if-revision does not hold nothing is stored, and the exit status is 1. "
        "These "
        "and --ttl cannot be had on a mount.",
    .options = KV_OPT_BIT(KV_OPT_TTL) | KV_OPT_BIT(KV_OPT_IF_ABSENT) |
               KV_OPT_BIT(KV_OPT_IF_REVISION),
    .least = 1,
    .most = 2,
    .run = run_put,
};

const struct kv_command kv_cmd_append = {
    .name = "append",
    .operands = "KEY [VALUE]",
    .summary = "add to the end of a value",
    .description =
        "Add VALUE, or without VALUE what comes from stdin, to the end of the "
        "value of KEY, at once and whole; a key that is not there is made. \"@FILE\" "
        "is "
        "what is in a file, as for 'kv put'.",
    .least = 1,
    .most = 2,
    .run = run_append,
};
