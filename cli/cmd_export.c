/* kv export, kv backup: all of the store, into a file or to stdout. */
#include "client.h"
#include "command.h"
#include "newfile.h"
#include "progress.h"

#include "base/cleanup.h"

#include <string.h>
#include <unistd.h>

struct saving {
    struct kv_cli *cli;
    bool to_stdout;
    struct kv_newfile file;
    struct kv_progress progress;
};

static void saving_done(struct saving *saving)
{
    kv_newfile_done(&saving->file);
}

static int on_data(void *ctx, const void *data, size_t len)
{
    struct saving *saving = ctx;
    kv_progress_add(&saving->progress, len);
    if (!saving->to_stdout)
        return kv_newfile_write(&saving->file, data, len, &saving->cli->fault);
    (void)fwrite(data, 1, len, stdout);
    return ferror(stdout) ? kv_cli_flush(saving->cli) : 0;
}

/* An answer that breaks off is a fault of kv_http_perform: half a file is never kept.
 */
static int save(struct saving *saving, const char *target)
{
    struct kv_cli *cli = saving->cli;
    struct kv_client *client = kv_client_of(cli->access);
    KV_CLEANUP(kv_http_answer_done) struct kv_http_answer answer = {0};
    struct kv_http_sink sink = {.data = on_data, .ctx = saving};
    struct kv_http_request request = {.method = "GET", .target = target, .sink = &sink};
    int status = kv_http_perform(client->http, &request, &answer, &cli->fault);
    kv_progress_end(&saving->progress);
    if (!status)
        status = kv_client_judge(client, &answer, NULL, &cli->fault);
    if (status)
        return status;
    return saving->to_stdout ? kv_cli_flush(cli)
                             : kv_newfile_commit(&saving->file, &cli->fault);
}

/* name NULL or "-": stdout. */
static int save_as(struct kv_cli *cli, const char *what, const char *target,
                   const char *name)
{
    KV_CLEANUP(saving_done)
    struct saving saving = {.cli = cli, .to_stdout = !name || strcmp(name, "-") == 0};
    if (!saving.to_stdout) {
        int status = kv_newfile_begin(&saving.file, name, &cli->fault);
        if (status)
            return status;
    }
    kv_progress_begin(&saving.progress, what, 0);
    if (saving.to_stdout && isatty(STDOUT_FILENO))
        saving.progress.shown = false; /* they would write into one another */
    return save(&saving, target);
}

static int run_export(struct kv_cli *cli)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf dir = {0}, target = {0};
    const char *given = cli->args.values[KV_OPT_DIR];
    int status = given ? kv_cli_check_dir(cli, given, &dir) : 0;
    if (status)
        return status;
    kv_buf_adds(&target, "/v1/export");
    if (dir.data && *dir.data) {
        kv_buf_adds(&target, "?dir=");
        kv_http_encode(&target, dir.data);
    }
    kv_buf_addc(&target, '\0');
    if (kv_buf_error(&target))
        return kv_fault_no_memory(&cli->fault);
    status = save_as(cli, "export", target.data,
                     cli->args.count ? cli->args.operands[0] : NULL);
    if (status == KV_EXIT_NOT_FOUND)
        kv_fault_set(&cli->fault, KV_EXIT_NOT_FOUND, dir.data,
                     "there is no such directory");
    return status;
}

static int run_backup(struct kv_cli *cli)
{
    const char *name = cli->args.operands[0];
    if (strcmp(name, "-") == 0 && isatty(STDOUT_FILENO)) {
        kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                     "a backup is not for a terminal");
        kv_fault_hint(&cli->fault, "kv backup FILE");
        return KV_EXIT_USAGE;
    }
    return save_as(cli, "backup", "/v1/backup", name);
}

const struct kv_command kv_cmd_export = {
    .name = "export",
    .operands = "[FILE]",
    .summary = "write all keys as lines of JSON",
    .description =
        "Write every key and directory, or with --dir those below it, as a line of "
        "JSON "
        "each, to FILE or stdout: keys, values, times, modes, owners, attributes, all "
        "of one moment. 'kv import' reads it. FILE is replaced when all of it has "
        "come, "
        "and not before.",
    .options = KV_OPT_BIT(KV_OPT_DIR),
    .http_only = true,
    .least = 0,
    .most = 1,
    .run = run_export,
};

const struct kv_command kv_cmd_backup = {
    .name = "backup",
    .operands = "FILE",
    .summary = "copy the whole store into a file",
    .description =
        "Write a copy of the store as it is now, with its history, to FILE (\"-\": "
        "stdout), while everything goes on. FILE is replaced when all of it has come "
        "and is on the disk, and not before. 'kv restore' makes a data directory of "
        "it.",
    .http_only = true,
    .least = 1,
    .most = 1,
    .run = run_backup,
};
