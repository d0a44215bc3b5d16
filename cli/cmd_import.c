/* kv import: the lines that kv export writes, back into a store. */
#include "client.h"
#include "command.h"
#include "progress.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

struct importing {
    struct kv_source source;
    struct kv_progress progress;
};

static void importing_done(struct importing *i)
{
    kv_source_done(&i->source);
}

/* A pipe is passed on as it comes, a file from where it lies. */
static int open_source(struct kv_cli *cli, struct kv_source *source)
{
    const char *name = cli->args.count ? cli->args.operands[0] : "-";
    if (strcmp(name, "-") == 0)
        return kv_source_stream(source, STDIN_FILENO, &cli->fault);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return kv_fault_set(&cli->fault, KV_EXIT_LOCAL, NULL, "cannot open '%s': %s",
                            name, strerror(errno));
    int status = kv_source_stream(source, fd, &cli->fault);
    source->owned = true;
    return status;
}

static void on_sent(void *ctx, size_t len)
{
    struct importing *i = ctx;
    kv_progress_add(&i->progress, len);
}

static int report(struct kv_cli *cli, struct kv_span json)
{
    uint64_t keys = 0, directories = 0, revision = 0;
    if (cli->json) {
        (void)fwrite(json.data, 1, json.len, stdout);
        (void)fputc('\n', stdout);
        return kv_cli_flush(cli);
    }
    (void)kv_json_member_number(json, "keys", &keys);
    (void)kv_json_member_number(json, "directories", &directories);
    (void)kv_json_member_number(json, "revision", &revision);
    printf("%" PRIu64 " key%s, %" PRIu64 " director%s, revision %" PRIu64 "\n", keys,
           keys == 1 ? "" : "s", directories, directories == 1 ? "y" : "ies", revision);
    return kv_cli_flush(cli);
}

/* What stands before the line that was refused is stored. */
static void tell_how_far(struct kv_cli *cli, const struct kv_http_answer *answer)
{
    struct kv_span json;
    uint64_t lines;
    if (kv_json_read(answer->body.data, answer->body.len, &json) ||
        kv_json_member_number(json, "lines_done", &lines) || lines == 0)
        return;
    kv_fault_hint(&cli->fault,
                  "the %" PRIu64 " before it %s stored; 'kv import --skip=%" PRIu64
                  "' goes on behind",
                  lines, lines == 1 ? "is" : "are", lines);
}

static int import(struct kv_cli *cli, struct importing *i, uint64_t skip)
{
    struct kv_client *client = kv_client_of(cli->access);
    KV_CLEANUP(kv_http_answer_done) struct kv_http_answer answer = {0};
    char target[48] = "/v1/import";
    struct kv_span json;
    if (skip)
        (void)snprintf(target, sizeof(target), "/v1/import?skip=%" PRIu64, skip);
    struct kv_http_request request = {.method = "POST",
                                      .target = target,
                                      .body = &i->source,
                                      .sent = on_sent,
                                      .sent_ctx = i};
    kv_progress_begin(&i->progress, "import", i->source.size);
    int status = kv_http_perform(client->http, &request, &answer, &cli->fault);
    kv_progress_end(&i->progress);
    if (status)
        return status;
    status = kv_client_judge(client, &answer, NULL, &cli->fault);
    if (status) {
        tell_how_far(cli, &answer);
        return status;
    }
    if (kv_json_read(answer.body.data, answer.body.len, &json))
        return kv_fault_set(&cli->fault, KV_EXIT_AWAY, NULL,
                            "the answer of %s cannot be understood",
                            kv_http_place(client->http));
    return report(cli, json);
}

static int run_import(struct kv_cli *cli)
{
    KV_CLEANUP(importing_done) struct importing i = {.source = {.fd = -1}};
    const char *text = cli->args.values[KV_OPT_SKIP];
    uint64_t skip = 0;
    if (text && kv_text_number(text, &skip))
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "--skip must be a number, not '%s'", text);
    int status = open_source(cli, &i.source);
    return status ? status : import(cli, &i, skip);
}

const struct kv_command kv_cmd_import = {
    .name = "import",
    .operands = "[FILE]",
    .summary = "store the keys of an export",
    .description =
        "Store what 'kv export' wrote, from FILE or stdin. Keys that are there are "
        "replaced, others stay. An import is not one transaction: the first line that "
        "is wrong or refused ends it, what is before it is stored, and the message "
        "tells with which --skip to go on when the file is mended.",
    .options = KV_OPT_BIT(KV_OPT_SKIP),
    .http_only = true,
    .least = 0,
    .most = 1,
    .run = run_import,
};
