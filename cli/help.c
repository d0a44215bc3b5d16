/* Help pages, made from the tables of commands and options. */
#include "command.h"
#include "version.h"

#include "base/cleanup.h"
#include "base/text.h"

static int print(struct kv_cli *cli, const struct kv_buf *text)
{
    if (kv_buf_error(text))
        return kv_fault_no_memory(&cli->fault);
    (void)fwrite(text->data, 1, text->len, stdout);
    return kv_cli_flush(cli);
}

static void add_commands(struct kv_buf *out)
{
    for (const struct kv_command *const *c = kv_commands; *c; c++) {
        char left[48];
        (void)snprintf(left, sizeof(left), "  %s%s%s", (*c)->name,
                       *(*c)->operands ? " " : "", (*c)->operands);
        kv_text_entry(out, left, (*c)->summary);
    }
    kv_text_entry(out, "  help [COMMAND]", "print this page, or the command's own");
}

static int print_shell_help(struct kv_cli *cli)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    kv_buf_adds(&out, "Commands:\n");
    add_commands(&out);
    kv_text_entry(&out, "  quit", "leave, as exit and Ctrl-D do");
    return print(cli, &out);
}

int kv_help_print(struct kv_cli *cli)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    if (cli->shell)
        return print_shell_help(cli);
    kv_buf_adds(&out, "Usage: kv [OPTION]... COMMAND [OPERAND]...\n"
                      "Read, write and watch the keys of kvfsd. Without a command: a "
                      "shell.\n\nCommands:\n");
    add_commands(&out);
    kv_buf_adds(&out, "\nOptions of every command:\n");
    kv_options_help(&out, KV_OPT_COMMON, KV_OPT_COMMON);
    kv_buf_adds(&out, "\n");
    kv_text_wrap(
        &out,
        "Without --url, --socket and --mount the first of KV_URL, KV_SOCKET and "
        "KV_MOUNT in the environment counts, then the socket " KV_CLI_DEFAULT_SOCKET
        " if there is one that this user may use, then " KV_CLI_DEFAULT_URL ".",
        0);
    kv_buf_adds(&out,
                "\nExit status:\n"
                "  0  done\n"
                "  1  there is no such key or directory, or a condition "
                "(--if-absent,\n"
                "     --if-revision) does not hold\n"
                "  2  wrong options, or a key that breaks a rule\n"
                "  3  kvfsd cannot be reached\n"
                "  4  kvfsd refused; nothing was changed\n"
                "  5  trouble on this side: reading the value, writing the output\n");
    return print(cli, &out);
}

int kv_help_print_command(struct kv_cli *cli, const struct kv_command *command)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    kv_buf_addf(&out, "Usage: kv %s [OPTION]...%s%s\n", command->name,
                *command->operands ? " " : "", command->operands);
    kv_text_wrap(&out, command->description, 0);
    if (command->options) {
        kv_buf_adds(&out, "\nOptions:\n");
        kv_options_help(&out, command->options, command->options);
    }
    kv_buf_adds(&out, "\nOptions of every command:\n");
    kv_options_help(&out, KV_OPT_COMMON, command->options);
    return print(cli, &out);
}

int kv_help_print_version(struct kv_cli *cli)
{
    (void)fputs("kv " KV_VERSION "\n", stdout);
    return kv_cli_flush(cli);
}
