/* kv get: the bytes of a value, as they are. */
#include "command.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

struct getting {
    struct kv_cli *cli;
    struct kv_entry entry;
    struct kv_buf value; /* for JSON, which needs it whole */
    char last;           /* byte that was written */
};

static int get_begin(void *ctx, const struct kv_entry *entry)
{
    struct getting *getting = ctx;
    getting->entry = *entry;
    return 0;
}

static int get_data(void *ctx, const void *data, size_t len)
{
    struct getting *getting = ctx;
    struct kv_fault *fault = &getting->cli->fault;
    if (getting->cli->json) {
        kv_buf_add(&getting->value, data, len);
        return kv_buf_error(&getting->value) ? kv_fault_no_memory(fault) : 0;
    }
    getting->last = ((const char *)data)[len - 1];
    if (fwrite(data, 1, len, stdout) == len)
        return 0;
    return kv_fault_set(fault, KV_EXIT_LOCAL, NULL, "cannot write to stdout: %s",
                        strerror(errno));
}

static int print_json(struct kv_cli *cli, const char *key,
                      const struct getting *getting)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    kv_buf_addc(&json, '{');
    kv_json_bytes(&json, "key", key, strlen(key));
    kv_buf_addf(&json, ",\"size\":%zu", getting->value.len);
    if (getting->entry.mod_revision)
        kv_buf_addf(&json, ",\"mod_revision\":%" PRIu64, getting->entry.mod_revision);
    if (getting->entry.version)
        kv_buf_addf(&json, ",\"version\":%" PRIu64, getting->entry.version);
    kv_buf_addc(&json, ',');
    kv_json_bytes(&json, "value", getting->value.data, getting->value.len);
    kv_buf_addc(&json, '}');
    return kv_cli_print_json(cli, &json);
}

static void getting_done(struct getting *getting)
{
    kv_buf_done(&getting->value);
}

static int run_get(struct kv_cli *cli)
{
    const char *key = cli->args.operands[0];
    KV_CLEANUP(getting_done) struct getting getting = {.cli = cli};
    struct kv_receiver receiver = {get_begin, get_data, &getting};
    int status = kv_cli_check_key(cli, key);
    if (!status)
        status = cli->access->ops->get(cli->access, key, &receiver, &cli->fault);
    if (status)
        return status;
    if (cli->json)
        return print_json(cli, key, &getting);
    /* So that the prompt does not stick to the value; a program gets what is stored. */
    if (getting.last != '\n' && isatty(STDOUT_FILENO))
        (void)fputc('\n', stdout);
    return kv_cli_flush(cli);
}

const struct kv_command kv_cmd_get = {
    .name = "get",
    .operands = "KEY",
    .summary = "write the value of a key to stdout",
    .description =
        "Write the value of KEY to stdout, byte by byte as it is stored. Only "
        "on a terminal a newline is added, when the value has none at its "
        "end. In JSON a value that is not UTF-8 is base64, and \"encoding\" "
        "says so.",
    .least = 1,
    .most = 1,
    .run = run_get,
};
