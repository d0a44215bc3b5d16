/* The table of commands, and finding one in it by what a person typed. */
#include "command.h"

#include "base/text.h"

#include <string.h>

const struct kv_command *const kv_commands[] = {
    &kv_cmd_get,    &kv_cmd_getall, &kv_cmd_put,     &kv_cmd_append, &kv_cmd_incr,
    &kv_cmd_edit,   &kv_cmd_rm,     &kv_cmd_mv,      &kv_cmd_ls,     &kv_cmd_history,
    &kv_cmd_diff,   &kv_cmd_watch,  &kv_cmd_wait,    &kv_cmd_lock,   &kv_cmd_export,
    &kv_cmd_import, &kv_cmd_backup, &kv_cmd_restore, &kv_cmd_mount,  &kv_cmd_umount,
    &kv_cmd_token,  &kv_cmd_status, &kv_cmd_bench,   &kv_cmd_shell,  &kv_cmd_completion,
    NULL,
};

/* What may be meant by the word: another tool's name of a command, or a slip. */
static const char *guess(const char *word)
{
    static const char *const elsewhere[][2] = {
        {"set", "put"},          {"write", "put"},       {"add", "put"},
        {"insert", "put"},       {"cat", "get"},         {"read", "get"},
        {"get_all", "getall"},   {"all", "getall"},      {"increment", "incr"},
        {"inc", "incr"},         {"del", "rm"},          {"delete", "rm"},
        {"remove", "rm"},        {"rename", "mv"},       {"move", "mv"},
        {"list", "ls"},          {"keys", "ls"},         {"tree", "ls"},
        {"subscribe", "watch"},  {"log", "history"},     {"dump", "export"},
        {"snapshot", "backup"},  {"load", "import"},     {"info", "status"},
        {"expire", "put --ttl"}, {"ttl", "get -o json"}, {"exists", "get"},
        {"benchmark", "bench"},  {"perf", "bench"},
    };
    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
        if (strcmp(elsewhere[i][0], word) == 0)
            return elsewhere[i][1];
    for (const struct kv_command *const *c = kv_commands; *c; c++)
        if (kv_text_is_near(word, (*c)->name))
            return (*c)->name;
    return NULL;
}

const struct kv_command *kv_command_find(const char *name, struct kv_fault *fault)
{
    for (const struct kv_command *const *c = kv_commands; *c; c++)
        if (strcmp((*c)->name, name) == 0)
            return *c;
    kv_fault_set(fault, KV_EXIT_USAGE, NULL, "there is no command '%s'", name);
    const char *meant = guess(name);
    if (meant)
        kv_fault_hint(fault, "did you mean 'kv %s'?", meant);
    else
        kv_fault_hint(fault, "'kv --help' lists them");
    return NULL;
}
