/* kv: find the command in the table, read its options, open the way to the keys, run
 * it. */
#include "command.h"
#include "version.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/text.h"

#include <string.h>
#include <unistd.h>

#define DEFAULT_SOCKET "/run/kvfs/kvfs.sock"
#define DEFAULT_URL "http://127.0.0.1:5000"

static const struct kv_command *const commands[] = {
    &kv_cmd_get, &kv_cmd_put, &kv_cmd_append, &kv_cmd_rm,
    &kv_cmd_mv,  &kv_cmd_ls,  &kv_cmd_watch,  &kv_cmd_status,
};

#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* -- Help -- */

static int print(struct kv_cli *cli, const struct kv_buf *text)
{
    if (kv_buf_error(text))
        return kv_fault_no_memory(&cli->fault);
    (void)fwrite(text->data, 1, text->len, stdout);
    return kv_cli_flush(cli);
}

static void add_usage(struct kv_buf *out)
{
    kv_buf_adds(out, "Usage: kv [OPTION]... COMMAND [OPERAND]...\n"
                     "Read, write and watch the keys of kvfsd.\n\nCommands:\n");
    for (size_t i = 0; i < COMMANDS; i++) {
        char left[32];
        (void)snprintf(left, sizeof(left), "  %s %s", commands[i]->name,
                       commands[i]->operands);
        kv_text_entry(out, left, commands[i]->summary);
    }
    kv_text_entry(out, "  help [COMMAND]", "print this page, or the command's own");
}

static int print_help(struct kv_cli *cli)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    add_usage(&out);
    kv_buf_adds(&out, "\nOptions of every command:\n");
    kv_options_help(&out, KV_OPT_COMMON);
    kv_buf_adds(&out, "\n");
    kv_text_wrap(
        &out,
        "Without --url, --socket and --mount the first of KV_URL, KV_SOCKET and "
        "KV_MOUNT in the environment counts, then the socket " DEFAULT_SOCKET
        " if there is one that this user may use, then " DEFAULT_URL ".",
        0);
    kv_buf_adds(&out,
                "\nExit status:\n"
                "  0  done\n"
                "  1  there is no such key or directory\n"
                "  2  wrong options, or a key that breaks a rule\n"
                "  3  kvfsd cannot be reached\n"
                "  4  kvfsd refused; nothing was changed\n"
                "  5  trouble on this side: reading the value, writing the output\n");
    return print(cli, &out);
}

static int print_command_help(struct kv_cli *cli, const struct kv_command *command)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    kv_buf_addf(&out, "Usage: kv %s [OPTION]...%s%s\n", command->name,
                *command->operands ? " " : "", command->operands);
    kv_text_wrap(&out, command->description, 0);
    if (command->options) {
        kv_buf_adds(&out, "\nOptions:\n");
        kv_options_help(&out, command->options);
    }
    kv_buf_adds(&out, "\nOptions of every command:\n");
    kv_options_help(&out, KV_OPT_COMMON);
    return print(cli, &out);
}

static int print_version(struct kv_cli *cli)
{
    (void)fputs("kv " KV_VERSION "\n", stdout);
    return kv_cli_flush(cli);
}

/* -- The way to the keys -- */

/* The environment's word for one of the three; an empty variable says nothing. */
static const char *from_environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static void choose_default(struct kv_cli *cli)
{
    static const struct {
        const char *name;
        enum kv_option option;
    } variables[] = {{"KV_URL", KV_OPT_URL},
                     {"KV_SOCKET", KV_OPT_SOCKET},
                     {"KV_MOUNT", KV_OPT_MOUNT}};
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        const char *value = from_environment(variables[i].name);
        if (value) {
            cli->args.values[variables[i].option] = value;
            return;
        }
    }
    if (access(DEFAULT_SOCKET, W_OK) == 0)
        cli->args.values[KV_OPT_SOCKET] = DEFAULT_SOCKET;
    else
        cli->args.values[KV_OPT_URL] = DEFAULT_URL;
}

static int open_access(struct kv_cli *cli)
{
    const char **values = cli->args.values;
    int given = !!values[KV_OPT_URL] + !!values[KV_OPT_SOCKET] + !!values[KV_OPT_MOUNT];
    if (given > 1)
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "--url, --socket and --mount exclude each other");
    if (!given)
        choose_default(cli);
    if (kv_option_given(&cli->args, KV_OPT_VERBOSE))
        kv_notice("using %s", values[KV_OPT_MOUNT]    ? values[KV_OPT_MOUNT]
                              : values[KV_OPT_SOCKET] ? values[KV_OPT_SOCKET]
                                                      : values[KV_OPT_URL]);
    if (values[KV_OPT_MOUNT])
        return kv_mountio_open(values[KV_OPT_MOUNT], &cli->access, &cli->fault);
    if (values[KV_OPT_SOCKET])
        return kv_client_open("http://localhost", values[KV_OPT_SOCKET], &cli->access,
                              &cli->fault);
    return kv_client_open(values[KV_OPT_URL], NULL, &cli->access, &cli->fault);
}

/* -- Commands -- */

/* What may be meant by the word: another tool's name of a command, or a slip. */
static const char *guess(const char *word)
{
    static const char *const elsewhere[][2] = {
        {"set", "put"}, {"write", "put"}, {"cat", "get"},     {"read", "get"},
        {"del", "rm"},  {"delete", "rm"}, {"remove", "rm"},   {"rename", "mv"},
        {"move", "mv"}, {"list", "ls"},   {"info", "status"},
    };
    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++)
        if (strcmp(elsewhere[i][0], word) == 0)
            return elsewhere[i][1];
    for (size_t i = 0; i < COMMANDS; i++)
        if (kv_text_is_near(word, commands[i]->name))
            return commands[i]->name;
    return NULL;
}

static const struct kv_command *find_command(struct kv_cli *cli, const char *name)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i]->name, name) == 0)
            return commands[i];
    kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL, "there is no command '%s'", name);
    const char *meant = guess(name);
    if (meant)
        kv_fault_hint(&cli->fault, "did you mean 'kv %s'?", meant);
    else
        kv_fault_hint(&cli->fault, "'kv --help' lists them");
    return NULL;
}

static int check_operands(struct kv_cli *cli, const struct kv_command *command)
{
    const char *problem = NULL;
    if (cli->args.count < command->least)
        problem = "needs more operands";
    else if (command->most >= 0 && cli->args.count > command->most)
        problem = "takes fewer operands";
    if (!problem)
        return 0;
    kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL, "'kv %s' %s", command->name,
                 problem);
    kv_fault_hint(&cli->fault, "kv %s [OPTION]...%s%s", command->name,
                  *command->operands ? " " : "", command->operands);
    return KV_EXIT_USAGE;
}

static int run_command(struct kv_cli *cli, const struct kv_command *command, int argc,
                       char *argv[])
{
    char who[32];
    (void)snprintf(who, sizeof(who), "kv %s", command->name);
    int status =
        kv_options_parse(&cli->args, argc, argv, KV_OPT_COMMON | command->options,
                         false, who, &cli->fault);
    if (status)
        return status;
    if (kv_option_given(&cli->args, KV_OPT_HELP))
        return print_command_help(cli, command);
    if (kv_option_given(&cli->args, KV_OPT_VERSION))
        return print_version(cli);
    const char *output = cli->args.values[KV_OPT_OUTPUT];
    cli->json = output && strcmp(output, "json") == 0;
    status = check_operands(cli, command);
    if (!status)
        status = open_access(cli);
    return status ? status : command->run(cli);
}

static int run_help(struct kv_cli *cli)
{
    if (cli->args.count < 2)
        return print_help(cli);
    const struct kv_command *command = find_command(cli, cli->args.operands[1]);
    return command ? print_command_help(cli, command) : (int)KV_EXIT_USAGE;
}

static int run(struct kv_cli *cli, int argc, char *argv[])
{
    int status = kv_options_parse(&cli->args, argc, argv, KV_OPT_COMMON, true, "kv",
                                  &cli->fault);
    if (status)
        return status;
    if (kv_option_given(&cli->args, KV_OPT_VERSION))
        return print_version(cli);
    if (cli->args.count == 0) {
        if (kv_option_given(&cli->args, KV_OPT_HELP))
            return print_help(cli);
        kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL, "which command?");
        kv_fault_hint(&cli->fault, "'kv --help' lists them");
        return KV_EXIT_USAGE;
    }
    const char *name = cli->args.operands[0];
    if (strcmp(name, "help") == 0)
        return run_help(cli);
    const struct kv_command *command = find_command(cli, name);
    if (!command)
        return KV_EXIT_USAGE;
    return run_command(cli, command, cli->args.count, cli->args.operands);
}

int main(int argc, char *argv[])
{
    kv_log_init("kv", KV_LOG_INFO);
    struct kv_cli cli = {0};
    int status = run(&cli, argc, argv);
    kv_fault_print(&cli.fault);
    if (cli.access)
        cli.access->ops->free(cli.access);
    kv_fault_done(&cli.fault);
    return status;
}
