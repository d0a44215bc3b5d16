/* kv history, kv diff: what a key was before. */
#include "command.h"
#include "draft.h"
#include "history.h"
#include "process.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#define DIFF_TROUBLE 2 /* diff(1): 0 the same, 1 not the same, more: trouble */

/* -- history -- */

struct listing {
    struct kv_cli *cli;
    uint64_t left; /* versions still to show */
};

static int show(void *ctx, const struct kv_version *version)
{
    struct listing *listing = ctx;
    struct kv_cli *cli = listing->cli;
    if (listing->left-- == 0)
        return KV_STOP;
    if (cli->json) {
        (void)fwrite(version->json.data, 1, version->json.len, stdout);
        (void)fputc('\n', stdout);
        return ferror(stdout) ? kv_cli_flush(cli) : 0;
    }
    printf("%8" PRIu64 " %6" PRIu64 "  %.19sZ  %-7s %-6s", version->revision,
           version->version, version->time, version->origin, version->type);
    if (version->from) {
        (void)fputc(' ', stdout);
        kv_cli_print_key(stdout, version->from);
        (void)fputs(" -> ", stdout);
        kv_cli_print_key(stdout, version->key);
    }
    if (version->omitted)
        printf(" (value of %" PRIu64 " bytes left out)", version->size);
    else if (version->value) {
        (void)fputs(" = ", stdout);
        kv_cli_print_bytes(stdout, version->value, (size_t)version->size);
    }
    (void)fputc('\n', stdout);
    return ferror(stdout) ? kv_cli_flush(cli) : 0;
}

static int read_limit(struct kv_cli *cli, uint64_t *ret)
{
    const char *text = cli->args.values[KV_OPT_LIMIT];
    *ret = UINT64_MAX;
    if (text && (kv_text_number(text, ret) || *ret == 0))
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "--limit must be a number from 1 on, not '%s'", text);
    return 0;
}

static int run_history(struct kv_cli *cli)
{
    const char *key = cli->args.operands[0];
    struct listing listing = {.cli = cli};
    uint64_t limit, oldest;
    int status = kv_cli_check_key(cli, key);
    if (!status)
        status = read_limit(cli, &limit);
    if (status)
        return status;
    listing.left = limit;
    status = kv_history_each(kv_client_of(cli->access), key, 0,
                             kv_option_given(&cli->args, KV_OPT_VALUES), show, &listing,
                             &oldest, &cli->fault);
    if (status && status != KV_STOP)
        return status;
    if (listing.left == limit)
        return kv_fault_set(&cli->fault, KV_EXIT_NOT_FOUND, key,
                            "nothing is known of such a key since revision %" PRIu64,
                            oldest);
    return kv_cli_flush(cli);
}

const struct kv_command kv_cmd_history = {
    .name = "history",
    .operands = "KEY",
    .summary = "list the versions of a key",
    .description =
        "Print a line for each change of KEY that kvfsd's log still holds, the newest "
        "first: revision, version, time (UTC), who made it, and what it was. With "
        "--values what was stored, too. The history of a key that was renamed goes on "
        "under the name that it had before. 'kv get --rev' shows an old value.",
    .options = KV_OPT_BIT(KV_OPT_VALUES) | KV_OPT_BIT(KV_OPT_LIMIT),
    .http_only = true,
    .least = 1,
    .most = 1,
    .run = run_history,
};

/* -- diff -- */

struct side {
    char label[64];
    struct kv_buf value;
    bool exists;
    struct kv_draft draft;
};

static void side_done(struct side *side)
{
    kv_buf_done(&side->value);
    kv_draft_done(&side->draft);
}

/* A key that was not there is like an empty file, and the label says so. */
static int read_side(struct kv_cli *cli, const char *key, uint64_t revision,
                     struct side *side)
{
    int status = kv_history_value(kv_client_of(cli->access), key, revision,
                                  &side->value, &cli->fault);
    side->exists = status == 0;
    if (revision == KV_HISTORY_NOW)
        (void)snprintf(side->label, sizeof(side->label), "now%s",
                       side->exists ? "" : " (absent)");
    else
        (void)snprintf(side->label, sizeof(side->label), "revision %" PRIu64 "%s",
                       revision, side->exists ? "" : " (absent)");
    if (status == KV_EXIT_NOT_FOUND)
        return 0;
    return status;
}

static int read_revision(struct kv_cli *cli, int operand, uint64_t *ret)
{
    const char *text = cli->args.operands[operand];
    if (kv_text_number(text, ret) == 0 && *ret > 0 && *ret < KV_HISTORY_NOW)
        return 0;
    return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                        "a revision is a number from 1 on, not '%s'", text);
}

static int run_diff_program(struct kv_cli *cli, struct side *old, struct side *new)
{
    char name[] = "diff", unified[] = "-u", label[] = "--label", text[] = "-a";
    char colour[] = "--color=auto", none[] = "--color=never";
    char *argv[] = {name,
                    unified,
                    text,
                    getenv("NO_COLOR") && *getenv("NO_COLOR") ? none : colour,
                    label,
                    old->label,
                    label,
                    new->label,
                    old->draft.path,
                    new->draft.path,
                    NULL};
    int exit_status = 0;
    int status = kv_process_run(argv, &exit_status, &cli->fault);
    if (!status && exit_status >= DIFF_TROUBLE)
        return kv_fault_set(&cli->fault, KV_EXIT_LOCAL, NULL,
                            "diff ended with status %d", exit_status);
    return status ? status : exit_status;
}

static int run_diff(struct kv_cli *cli)
{
    KV_CLEANUP(side_done) struct side old = {0};
    KV_CLEANUP(side_done) struct side new = {0};
    const char *key = cli->args.operands[0];
    uint64_t from, to = KV_HISTORY_NOW;
    int status = kv_cli_check_key(cli, key);
    if (!status)
        status = read_revision(cli, 1, &from);
    if (!status && cli->args.count > 2)
        status = read_revision(cli, 2, &to);
    if (!status)
        status = read_side(cli, key, from, &old);
    if (!status && !old.exists)
        kv_fault_done(&cli->fault);
    if (!status)
        status = read_side(cli, key, to, &new);
    if (!status && !old.exists && !new.exists)
        return KV_EXIT_NOT_FOUND; /* the fault tells why */
    if (status)
        return status;
    kv_fault_done(&cli->fault);
    status =
        kv_draft_write(&old.draft, key, old.value.data, old.value.len, &cli->fault);
    if (!status)
        status =
            kv_draft_write(&new.draft, key, new.value.data, new.value.len, &cli->fault);
    return status ? status : run_diff_program(cli, &old, &new);
}

const struct kv_command kv_cmd_diff = {
    .name = "diff",
    .operands = "KEY REV [REV]",
    .summary = "compare two versions of a key",
    .description =
        "Compare what KEY was at revision REV with what it was at the second REV, or "
        "is "
        "now, as 'diff -u' does. Any revision of the store will do, not only those in "
        "which the key changed. Exit status 1 when they differ.",
    .http_only = true,
    .least = 2,
    .most = 3,
    .run = run_diff,
};
