/* kv incr: count in a value. */
#include "client.h"
#include "command.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A decimal number with or without a sign that fits in 64 bits. */
static int read_by(struct kv_cli *cli, int64_t *ret)
{
    const char *text = cli->args.values[KV_OPT_BY];
    *ret = 1;
    if (!text)
        return 0;
    const char *digits = text + (*text == '-' || *text == '+');
    bool decimal = *digits && strspn(digits, "0123456789") == strlen(digits);
    errno = 0;
    long long number = strtoll(text, NULL, 10);
    if (!decimal || errno)
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "--by must be a whole number of 64 bits, not '%s'", text);
    *ret = number;
    return 0;
}

static int show(struct kv_cli *cli, const char *key, const struct kv_buf *sum,
                const struct kv_written *written)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    if (!cli->json) {
        (void)fwrite(sum->data, 1, sum->len, stdout);
        (void)fputc('\n', stdout);
        return kv_cli_flush(cli);
    }
    kv_buf_addc(&out, '{');
    kv_json_bytes(&out, "key", key, strlen(key));
    kv_buf_addc(&out, ',');
    kv_json_bytes(&out, "value", sum->data, sum->len);
    kv_buf_addf(&out, ",\"revision\":%" PRIu64 ",\"version\":%" PRIu64 "}",
                written->revision, written->version);
    return kv_cli_print_json(cli, &out);
}

static int run_incr(struct kv_cli *cli)
{
    const char *key = cli->args.operands[0];
    KV_CLEANUP(kv_buf_done) struct kv_buf sum = {0};
    struct kv_written written = {0};
    int64_t by;
    int status = kv_cli_check_key(cli, key);
    if (!status)
        status = read_by(cli, &by);
    if (!status)
        status = kv_client_incr(kv_client_of(cli->access), key, by, &sum, &written,
                                &cli->fault);
    return status ? status : show(cli, key, &sum, &written);
}

const struct kv_command kv_cmd_incr = {
    .name = "incr",
    .operands = "KEY",
    .summary = "add to a number, and print the sum",
    .description =
        "Add 1, or with --by another number, to the decimal number that is the value "
        "of KEY, at once: of any number of callers none is lost. Prints the sum. A key "
        "that is not there counts as 0. Not on a mount.",
    .options = KV_OPT_BIT(KV_OPT_BY),
    .http_only = true,
    .least = 1,
    .most = 1,
    .run = run_incr,
};
