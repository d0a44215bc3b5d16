/* kv get: the bytes of a value as they are, or several keys with their values. */
#include "command.h"
#include "history.h"
#include "mountio.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

/* -- One value, as it arrives -- */

struct getting {
    struct kv_cli *cli;
    struct kv_entry entry;
    struct kv_buf value;
    bool whole; /* into value; otherwise to stdout */
    char last;  /* byte that was written */
};

static void getting_done(struct getting *getting)
{
    kv_buf_done(&getting->value);
}

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
    if (getting->whole) {
        kv_buf_add(&getting->value, data, len);
        return kv_buf_error(&getting->value) ? kv_fault_no_memory(fault) : 0;
    }
    getting->last = ((const char *)data)[len - 1];
    if (fwrite(data, 1, len, stdout) == len)
        return 0;
    return kv_fault_set(fault, KV_EXIT_LOCAL, NULL, "cannot write to stdout: %s",
                        strerror(errno));
}

static int get_one(struct kv_cli *cli, const char *key, struct getting *getting)
{
    struct kv_receiver receiver = {get_begin, get_data, getting};
    return cli->access->ops->get(cli->access, key, &receiver, &cli->fault);
}

/* -- A key with its value -- */

/* What is left of its time, in seconds, rounded up; a mount tells no more. */
static void add_ttl(struct kv_buf *json, const struct kv_entry *entry)
{
    int64_t left_ns = entry->expires_ns - kv_clock_realtime_ns();
    if (entry->expires_ns)
        kv_buf_addf(json, ",\"ttl\":%" PRId64,
                    left_ns > 0 ? (left_ns + KV_NS_PER_S - 1) / KV_NS_PER_S : 0);
}

static int show_json(struct kv_cli *cli, const struct kv_entry *entry,
                     const char *value, size_t len)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    kv_buf_addc(&json, '{');
    kv_json_bytes(&json, "key", entry->key, strlen(entry->key));
    kv_buf_addf(&json, ",\"size\":%zu", len);
    if (entry->mod_revision)
        kv_buf_addf(&json, ",\"mod_revision\":%" PRIu64, entry->mod_revision);
    if (entry->version)
        kv_buf_addf(&json, ",\"version\":%" PRIu64, entry->version);
    add_ttl(&json, entry);
    kv_buf_addc(&json, ',');
    kv_json_bytes(&json, "value", value, len);
    kv_buf_addc(&json, '}');
    return kv_cli_print_json(cli, &json);
}

static void show_row(const struct kv_entry *entry, const char *value, size_t len)
{
    printf("%10zu %7" PRIu64 " %8" PRIu64 " ", len, entry->version,
           entry->mod_revision);
    kv_cli_print_key(stdout, entry->key);
    (void)fputs(" = ", stdout);
    kv_cli_print_bytes(stdout, value, len);
    (void)fputc('\n', stdout);
}

static int show(struct kv_cli *cli, const struct kv_entry *entry, const char *value,
                size_t len)
{
    if (kv_option_given(&cli->args, KV_OPT_RAW)) {
        (void)fwrite(value, 1, len, stdout);
        return ferror(stdout) ? kv_cli_flush(cli) : 0;
    }
    switch (cli->output) {
    case KV_OUTPUT_JSON:
        return show_json(cli, entry, value, len);
    case KV_OUTPUT_TABLE:
        show_row(entry, value, len);
        break;
    case KV_OUTPUT_VALUE:
        (void)fwrite(value, 1, len, stdout);
        if (len == 0 || value[len - 1] != '\n')
            (void)fputc('\n', stdout);
        break;
    case KV_OUTPUT_TEXT:
        kv_cli_print_key(stdout, entry->key);
        (void)fputs(" = ", stdout);
        kv_cli_print_bytes(stdout, value, len);
        (void)fputc('\n', stdout);
        break;
    }
    return ferror(stdout) ? kv_cli_flush(cli) : 0;
}

/* --rev: what it was, which only HTTP knows. */
static int get_old(struct kv_cli *cli, const char *key, struct getting *getting)
{
    const char *text = cli->args.values[KV_OPT_REV];
    uint64_t revision;
    if (cli->way == KV_OPT_MOUNT)
        return kv_mountio_refuse("--rev", &cli->fault);
    if (kv_text_number(text, &revision) || revision == 0 || revision >= KV_HISTORY_NOW)
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "--rev must be a number from 1 on, not '%s'", text);
    int status = kv_history_value(kv_client_of(cli->access), key, revision,
                                  &getting->value, &cli->fault);
    if (status || getting->whole || getting->value.len == 0)
        return status;
    getting->last = getting->value.data[getting->value.len - 1];
    (void)fwrite(getting->value.data, 1, getting->value.len, stdout);
    return ferror(stdout) ? kv_cli_flush(cli) : 0;
}

static int get_any(struct kv_cli *cli, const char *key, struct getting *getting)
{
    return kv_option_given(&cli->args, KV_OPT_REV) ? get_old(cli, key, getting)
                                                   : get_one(cli, key, getting);
}

static int fetch_and_show(struct kv_cli *cli, const char *key)
{
    KV_CLEANUP(getting_done) struct getting getting = {.cli = cli, .whole = true};
    int status = get_any(cli, key, &getting);
    const char *value = getting.value.data ? getting.value.data : "";
    getting.entry.key = key;
    return status ? status : show(cli, &getting.entry, value, getting.value.len);
}

/* -- Which keys -- */

static void show_header(const struct kv_cli *cli)
{
    if (cli->output == KV_OUTPUT_TABLE && !kv_option_given(&cli->args, KV_OPT_RAW))
        printf("%10s %7s %8s %s\n", "SIZE", "VERSION", "REVISION", "KEY = VALUE");
}

/* Every key is tried; the first thing that went wrong decides the exit status. */
static int get_operands(struct kv_cli *cli)
{
    int first = 0;
    show_header(cli);
    for (int i = 0; i < cli->args.count; i++) {
        const char *key = cli->args.operands[i];
        int status = kv_cli_check_key(cli, key);
        if (!status)
            status = fetch_and_show(cli, key);
        if (!status)
            continue;
        if (!first)
            first = status;
        if (cli->args.count > 1) {
            (void)fflush(stdout); /* so that both stand in order; its error stays */
            kv_fault_print(&cli->fault);
        }
        if (status == KV_EXIT_AWAY || status == KV_EXIT_LOCAL)
            break; /* it would be the same for the others */
    }
    int status = first == KV_EXIT_LOCAL ? 0 : kv_cli_flush(cli);
    return first ? first : status;
}

static int on_entry(void *ctx, const struct kv_entry *entry)
{
    struct kv_cli *cli = ctx;
    if (entry->value)
        return show(cli, entry, entry->value, (size_t)entry->size);
    int status = fetch_and_show(cli, entry->key);
    if (status != KV_EXIT_NOT_FOUND)
        return status;
    kv_fault_done(&cli->fault); /* removed since it was listed */
    return 0;
}

static int get_listed(struct kv_cli *cli)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf dir = {0};
    const char *const *values = cli->args.values;
    struct kv_listing listing = {
        .dir = "",
        .prefix = values[KV_OPT_PREFIX] ? values[KV_OPT_PREFIX] : "",
        .recursive = true,
        .values = true,
    };
    int status =
        values[KV_OPT_DIR] ? kv_cli_check_dir(cli, values[KV_OPT_DIR], &dir) : 0;
    if (status)
        return status;
    if (dir.data)
        listing.dir = dir.data;
    show_header(cli);
    status = cli->access->ops->list(cli->access, &listing, on_entry, cli, &cli->fault);
    if (status == KV_EXIT_NOT_FOUND)
        kv_fault_set(&cli->fault, KV_EXIT_NOT_FOUND, listing.dir,
                     "there is no such directory");
    if (status && status != KV_EXIT_LOCAL)
        (void)fflush(stdout); /* what came before it broke off */
    return status ? status : kv_cli_flush(cli);
}

/* The bytes go through as they come, so a value may be larger than memory. */
static int get_bytes(struct kv_cli *cli, const char *key)
{
    KV_CLEANUP(getting_done) struct getting getting = {.cli = cli};
    int status = kv_cli_check_key(cli, key);
    if (!status)
        status = get_any(cli, key, &getting);
    if (status)
        return status;
    /* So that the prompt does not stick to the value; a program gets what is stored. */
    if (getting.last != '\n' && (cli->shell || isatty(STDOUT_FILENO)) &&
        !kv_option_given(&cli->args, KV_OPT_RAW))
        (void)fputc('\n', stdout);
    return kv_cli_flush(cli);
}

static int run_get(struct kv_cli *cli)
{
    bool dir = kv_option_given(&cli->args, KV_OPT_DIR);
    bool prefix = kv_option_given(&cli->args, KV_OPT_PREFIX);
    if (cli->args.count == 0 && !dir && !prefix) {
        kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL, "'kv get' needs a key");
        kv_fault_hint(&cli->fault, "kv get KEY..., or --dir=DIR, or --prefix=TEXT");
        return KV_EXIT_USAGE;
    }
    if (cli->args.count > 0 && (dir || prefix))
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "KEY excludes --dir and --prefix");
    if ((dir || prefix) && kv_option_given(&cli->args, KV_OPT_REV))
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "--rev excludes --dir and --prefix");
    if (dir || prefix)
        return get_listed(cli);
    bool plain = cli->output == KV_OUTPUT_TEXT || cli->output == KV_OUTPUT_VALUE;
    if (cli->args.count == 1 && plain)
        return get_bytes(cli, cli->args.operands[0]);
    return get_operands(cli);
}

static int run_getall(struct kv_cli *cli)
{
    cli->args.values[KV_OPT_DIR] = "";
    return get_listed(cli);
}

const struct kv_command kv_cmd_get = {
    .name = "get",
    .operands = "KEY...",
    .summary = "write values to stdout",
    .description =
        "Write the value of KEY to stdout, byte by byte as it is stored. Only "
        "on a terminal and in a shell a newline is added, when the value has none at "
        "its end.\n"
        "\n"
        "Of several keys, those below --dir, or those that begin with --prefix, a line "
        "\"KEY = VALUE\" each is written, with control characters as \\n, \\t or "
        "\\xNN. "
        "--raw writes the values alone, one behind the other, -o value each with a "
        "newline at its end, -o table sizes, versions and revisions too. In JSON a "
        "value that is not UTF-8 is base64, and \"encoding\" says so; \"ttl\" are the "
        "seconds that are left to a key that ends.\n"
        "\n"
        "--rev shows what a key was at any revision of the store, as far back as the "
        "log "
        "goes ('kv history'), also under the name that it had then; not on a mount.",
    .options = KV_OPT_BIT(KV_OPT_DIR) | KV_OPT_BIT(KV_OPT_PREFIX) |
               KV_OPT_BIT(KV_OPT_RAW) | KV_OPT_BIT(KV_OPT_REV),
    .outputs = KV_OUTPUT_BIT(KV_OUTPUT_TABLE) | KV_OUTPUT_BIT(KV_OUTPUT_VALUE),
    .least = 0,
    .most = -1,
    .run = run_get,
};

const struct kv_command kv_cmd_getall = {
    .name = "getall",
    .operands = "",
    .summary = "write all keys with their values",
    .description = "Write a line \"KEY = VALUE\" for every key, as 'kv get' does of "
                   "several keys.",
    .outputs = KV_OUTPUT_BIT(KV_OUTPUT_TABLE) | KV_OUTPUT_BIT(KV_OUTPUT_VALUE),
    .least = 0,
    .most = 0,
    .run = run_getall,
};
