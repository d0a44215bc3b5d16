#include "complete.h"

#include "words.h"

#include "base/cleanup.h"

#include <errno.h>
#include <string.h>

/* More are not shown: type another letter. */
#define CANDIDATES_MAX 200

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static int add_commands(const char *word, struct kv_candidates *ret)
{
    static const char *const own[] = {"help", "quit", "exit"};
    int err = 0;
    for (const struct kv_command *const *c = kv_commands; *c && !err; c++)
        if (begins_with((*c)->name, word))
            err = kv_candidates_add(ret, (*c)->name);
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]) && !err; i++)
        if (begins_with(own[i], word))
            err = kv_candidates_add(ret, own[i]);
    return err;
}

static int add_options(const char *command, const char *word, struct kv_candidates *ret)
{
    const struct kv_command *const *c = kv_commands;
    while (*c && strcmp((*c)->name, command) != 0)
        c++;
    uint64_t options = KV_OPT_COMMON | (*c ? (*c)->options : 0);
    int err = 0;
    for (enum kv_option option = 0; option < KV_OPTIONS && !err; option++) {
        KV_CLEANUP(kv_buf_done) struct kv_buf text = {0};
        kv_buf_addf(&text, "--%s", kv_option_name(option));
        kv_buf_addc(&text, '\0');
        if (kv_buf_error(&text))
            return -ENOMEM;
        if ((options & KV_OPT_BIT(option)) && begins_with(text.data, word))
            err = kv_candidates_add(ret, text.data);
    }
    return err;
}

static int add_key(void *ctx, const struct kv_entry *entry)
{
    struct kv_candidates *ret = ctx;
    KV_CLEANUP(kv_buf_done) struct kv_buf text = {0};
    if (ret->count >= CANDIDATES_MAX)
        return KV_STOP;
    kv_buf_adds(&text, entry->key);
    if (entry->directory)
        kv_buf_addc(&text, '/');
    kv_buf_addc(&text, '\0');
    return kv_buf_error(&text) ? -ENOMEM : kv_candidates_add(ret, text.data);
}

/* The children of the directory that word names, as far as it is typed. What cannot be
 * listed has no candidates. */
static int add_keys(struct kv_cli *cli, const char *word, struct kv_candidates *ret)
{
    KV_CLEANUP(kv_free) char *dir = strdup(word);
    KV_CLEANUP(kv_access_freep) struct kv_access *own = NULL;
    KV_CLEANUP(kv_fault_done) struct kv_fault fault = {0};
    struct kv_access *access = cli->access;
    if (!dir)
        return -ENOMEM;
    char *slash = strrchr(dir, '/');
    *(slash ? slash : dir) = '\0';
    if (!access && kv_cli_open(cli, &own)) {
        kv_fault_done(&cli->fault);
        return -EIO;
    }
    if (!access)
        access = own;
    struct kv_listing listing = {.dir = dir, .prefix = word};
    int status = access->ops->list(access, &listing, add_key, ret, &fault);
    return status == 0 || status == KV_STOP ? 0 : -EIO;
}

static void words_done(struct kv_words *words)
{
    kv_words_done(words);
}

int kv_complete(void *ctx, const char *line, struct kv_candidates *ret)
{
    struct kv_cli *cli = ctx;
    KV_CLEANUP(words_done) struct kv_words words = {0};
    int err = kv_words_split(line, true, &words);
    if (err || words.count == 0 || !words.last_open)
        return err;
    const char *word = words.items[words.count - 1];
    ret->start = words.last_start;
    if (words.count == 1 || (words.count == 2 && strcmp(words.items[0], "help") == 0))
        return add_commands(word, ret);
    if (*word == '-')
        return add_options(words.items[0], word, ret);
    return add_keys(cli, word, ret);
}
