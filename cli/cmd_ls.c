/* kv ls: the keys of a directory, or all keys with a prefix, in byte order. */
#include "command.h"
#include "tree.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

static void add_local_time(struct kv_buf *out, int64_t ns)
{
    char text[32];
    struct timespec ts = kv_ns_timespec(ns);
    struct tm tm;
    if (ns == 0 || !localtime_r(&ts.tv_sec, &tm) ||
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm) == 0)
        kv_buf_adds(out, "-");
    else
        kv_buf_adds(out, text);
}

/* RFC 3339. */
static void add_utc_time(struct kv_buf *out, int64_t ns)
{
    char text[32];
    struct timespec ts = kv_ns_timespec(ns);
    struct tm tm;
    if (gmtime_r(&ts.tv_sec, &tm) &&
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm) != 0)
        kv_buf_addf(out, ",\"mtime\":\"%s.%09ldZ\"", text, ts.tv_nsec);
}

static void print_long(const struct kv_entry *entry)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf line = {0};
    if (entry->directory) {
        kv_buf_addf(&line, "%10s %6s %8s %-19s ", "-", "-", "-", "-");
    } else {
        kv_buf_addf(&line, "%10" PRIu64 " %6" PRIu64 " %8" PRIu64 " ", entry->size,
                    entry->version, entry->mod_revision);
        add_local_time(&line, entry->mtime_ns);
        kv_buf_addc(&line, ' ');
    }
    if (!kv_buf_error(&line))
        (void)fwrite(line.data, 1, line.len, stdout);
}

static void add_json(struct kv_buf *json, const struct kv_entry *entry)
{
    kv_buf_addc(json, '{');
    kv_json_bytes(json, "key", entry->key, strlen(entry->key));
    if (entry->directory) {
        kv_buf_adds(json, ",\"directory\":true}");
        return;
    }
    kv_buf_addf(json, ",\"size\":%" PRIu64, entry->size);
    if (entry->version)
        kv_buf_addf(json, ",\"version\":%" PRIu64, entry->version);
    if (entry->create_revision)
        kv_buf_addf(json, ",\"create_revision\":%" PRIu64, entry->create_revision);
    if (entry->mod_revision)
        kv_buf_addf(json, ",\"mod_revision\":%" PRIu64, entry->mod_revision);
    if (entry->mtime_ns)
        add_utc_time(json, entry->mtime_ns);
    kv_buf_addc(json, '}');
}

static int print_entry(void *ctx, const struct kv_entry *entry)
{
    struct kv_cli *cli = ctx;
    if (cli->json) {
        KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
        add_json(&json, entry);
        kv_buf_addc(&json, '\n');
        if (kv_buf_error(&json))
            return kv_fault_no_memory(&cli->fault);
        (void)fwrite(json.data, 1, json.len, stdout);
    } else {
        if (kv_option_given(&cli->args, KV_OPT_LONG))
            print_long(entry);
        if (entry->directory)
            kv_cli_colour(KV_COLOUR_BLUE);
        kv_cli_print_key(stdout, entry->key);
        if (entry->directory)
            kv_cli_colour(KV_COLOUR_NONE);
        (void)fputs(entry->directory ? "/\n" : "\n", stdout);
    }
    return ferror(stdout) ? kv_cli_flush(cli) : 0;
}

static int list(struct kv_cli *cli, const char *dir)
{
    const char *prefix = cli->args.values[KV_OPT_PREFIX];
    struct kv_listing listing = {
        .dir = dir,
        .prefix = prefix ? prefix : "",
        .recursive = prefix || kv_option_given(&cli->args, KV_OPT_RECURSIVE),
        .details = cli->json || kv_option_given(&cli->args, KV_OPT_LONG),
    };
    return cli->access->ops->list(cli->access, &listing, print_entry, cli, &cli->fault);
}

static int run_ls(struct kv_cli *cli)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf dir = {0};
    bool tree = kv_option_given(&cli->args, KV_OPT_TREE);
    if (tree && (cli->json || kv_option_given(&cli->args, KV_OPT_LONG) ||
                 kv_option_given(&cli->args, KV_OPT_PREFIX)))
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "--tree excludes --long, --prefix and -o json");
    int status =
        kv_cli_check_dir(cli, cli->args.count ? cli->args.operands[0] : "", &dir);
    if (status)
        return status;
    status = tree ? kv_tree_draw(cli, dir.data) : list(cli, dir.data);
    if (status == KV_EXIT_NOT_FOUND)
        kv_fault_set(&cli->fault, KV_EXIT_NOT_FOUND, dir.data,
                     "there is no such directory");
    if (status && status != KV_EXIT_LOCAL) {
        /* What was listed before it broke off is still worth seeing. */
        (void)fflush(stdout);
        return status;
    }
    return status ? status : kv_cli_flush(cli);
}

const struct kv_command kv_cmd_ls = {
    .name = "ls",
    .operands = "[DIR]",
    .summary = "list keys",
    .description =
        "List what is in the directory DIR, or in the root: keys, and directories with "
        "a "
        "slash behind them. With --recursive or --prefix all keys at any depth, and no "
        "directories. Keys are written whole, in byte order; control characters in "
        "them as \\n, \\t or \\xNN. --long puts before each key the bytes of its "
        "value, its "
        "version (writes since it was made), the revision and the local time of its "
        "last change. --tree draws all that is below, empty directories too.",
    .options = KV_OPT_BIT(KV_OPT_LONG) | KV_OPT_BIT(KV_OPT_RECURSIVE) |
               KV_OPT_BIT(KV_OPT_PREFIX) | KV_OPT_BIT(KV_OPT_TREE),
    .least = 0,
    .most = 1,
    .run = run_ls,
};
