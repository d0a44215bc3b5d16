/* kv edit: a value in the user's editor, stored only over what was read. */
#include "command.h"
#include "draft.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#include <string.h>

struct editing {
    struct kv_cli *cli;
    const char *key;
    bool exists;
    struct kv_entry entry;
    struct kv_buf before, after;
    struct kv_draft draft;
};

static void editing_done(struct editing *e)
{
    kv_buf_done(&e->before);
    kv_buf_done(&e->after);
    kv_draft_done(&e->draft);
}

static int get_begin(void *ctx, const struct kv_entry *entry)
{
    struct editing *e = ctx;
    e->entry = *entry;
    return 0;
}

static int get_data(void *ctx, const void *data, size_t len)
{
    struct editing *e = ctx;
    kv_buf_add(&e->before, data, len);
    return kv_buf_error(&e->before) ? kv_fault_no_memory(&e->cli->fault) : 0;
}

static int read_key(struct editing *e)
{
    struct kv_cli *cli = e->cli;
    struct kv_receiver receiver = {get_begin, get_data, e};
    int status = cli->access->ops->get(cli->access, e->key, &receiver, &cli->fault);
    e->exists = status == 0;
    if (status != KV_EXIT_NOT_FOUND)
        return status;
    kv_fault_done(&cli->fault); /* a new key */
    return 0;
}

/* Editors end the last line; a value that had no newline shall not get one by that. */
static void take_back_newline(struct editing *e)
{
    bool had = e->before.len == 0 || e->before.data[e->before.len - 1] == '\n';
    if (e->exists && !had && e->after.len > 0 &&
        e->after.data[e->after.len - 1] == '\n')
        e->after.len--;
}

static bool is_unchanged(const struct editing *e)
{
    return e->after.len == e->before.len &&
           (e->after.len == 0 ||
            memcmp(e->after.data, e->before.data, e->after.len) == 0);
}

static int store(struct editing *e)
{
    struct kv_cli *cli = e->cli;
    struct kv_written written = {0};
    struct kv_source source;
    struct kv_put_options options = {
        .if_absent = !e->exists,
        .check_revision = e->exists,
        .if_revision = e->entry.mod_revision,
    };
    /* A put clears the time to live; what is left of it is given again. */
    if (e->entry.expires_ns) {
        int64_t left_ns = e->entry.expires_ns - kv_clock_realtime_ns();
        options.ttl_ms =
            left_ns > KV_NS_PER_MS ? (uint64_t)(left_ns / KV_NS_PER_MS) : 1;
    }
    kv_source_bytes(&source, e->after.data ? e->after.data : "", e->after.len);
    int status = cli->access->ops->put(cli->access, e->key, &source, &options, &written,
                                       &cli->fault);
    if (status && cli->fault.conflict)
        kv_fault_set(&cli->fault, (enum kv_exit)status, e->key,
                     "somebody else changed it meanwhile; nothing was stored");
    return status ? status : kv_cli_report(cli, e->key, &written);
}

/* Nothing that was typed is lost, whatever went wrong. */
static int edit(struct editing *e)
{
    struct kv_fault *fault = &e->cli->fault;
    int edited = kv_draft_edit(&e->draft, fault);
    if (edited)
        kv_fault_print(fault);
    int status = kv_draft_read(&e->draft, &e->after, fault);
    if (status)
        return status;
    take_back_newline(e);
    if (is_unchanged(e)) {
        kv_notice("'%s': not changed", e->key);
        return edited;
    }
    status = edited ? edited : store(e);
    if (!status)
        return 0;
    e->draft.keep = true;
    kv_fault_hint(fault, "your text is in %s; 'kv put %s @%s' stores it", e->draft.path,
                  e->key, e->draft.path);
    return status;
}

static int run_edit(struct kv_cli *cli)
{
    KV_CLEANUP(editing_done)
    struct editing e = {.cli = cli, .key = cli->args.operands[0]};
    int status = kv_cli_check_key(cli, e.key);
    if (!status)
        status = read_key(&e);
    if (!status)
        status =
            kv_draft_write(&e.draft, e.key, e.before.data, e.before.len, &cli->fault);
    return status ? status : edit(&e);
}

const struct kv_command kv_cmd_edit = {
    .name = "edit",
    .operands = "KEY",
    .summary = "change a value in an editor",
    .description =
        "Open the value of KEY, which may be a new key, in $VISUAL, $EDITOR or vi, and "
        "store it when the editor ends with status 0 and something was changed. When "
        "somebody else changed the key meanwhile nothing is stored, the exit status is "
        "1, and the text stays in a file that the message names; so it does whenever "
        "it cannot be stored. Editors end the last line: a value that had no newline "
        "at "
        "its end gets none. A time to live goes on. On a mount edit the file itself.",
    .http_only = true,
    .least = 1,
    .most = 1,
    .run = run_edit,
};
