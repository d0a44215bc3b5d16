/* From a command line to a command that runs: its options, the way to the keys. */
#include "command.h"
#include "mountio.h"
#include "shell.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* -- The way to the keys -- */

/* The environment's word for one of the three; an empty variable says nothing. */
static const char *from_environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static const struct {
    const char *name;
    enum kv_option option;
} ways[] = {
    {"KV_URL", KV_OPT_URL}, {"KV_SOCKET", KV_OPT_SOCKET}, {"KV_MOUNT", KV_OPT_MOUNT}};

/* The options' word, or the shell's that the line was typed in, or the environment's. A
 * token on the command line could be seen by everybody, so it is wiped out there. */
static int read_trust(struct kv_cli *cli)
{
    const char **values = cli->args.values;
    char *argument = (char *)values[KV_OPT_TOKEN];
    const char *token = argument ? argument : from_environment("KV_TOKEN");
    int status = 0;
    if (cli->trust && !argument && !values[KV_OPT_CACERT])
        return 0;
    cli->own_trust.cacert =
        values[KV_OPT_CACERT] ? values[KV_OPT_CACERT] : from_environment("KV_CACERT");
    if (token)
        status = kv_trust_token(&cli->own_trust, token, &cli->fault);
    if (argument && *argument != '@')
        memset(argument, 'x', strlen(argument));
    cli->trust = &cli->own_trust;
    return status;
}

/* Which way the command line names, or the environment. */
static int choose_way(struct kv_cli *cli)
{
    int given = 0;
    cli->place = NULL;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
        const char *value = cli->args.values[ways[i].option];
        if (!value)
            continue;
        given++;
        cli->way = ways[i].option;
        cli->place = value;
    }
    if (given > 1)
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "--url, --socket and --mount exclude each other");
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]) && !cli->place; i++) {
        cli->way = ways[i].option;
        cli->place = from_environment(ways[i].name);
    }
    if (!cli->place) {
        bool socket = access(KV_CLI_DEFAULT_SOCKET, W_OK) == 0;
        cli->way = socket ? KV_OPT_SOCKET : KV_OPT_URL;
        cli->place = socket ? KV_CLI_DEFAULT_SOCKET : KV_CLI_DEFAULT_URL;
    }
    if (kv_option_given(&cli->args, KV_OPT_VERBOSE))
        kv_notice("using %s", cli->place);
    return read_trust(cli);
}

int kv_cli_open(struct kv_cli *cli, struct kv_access **ret)
{
    if (cli->way == KV_OPT_MOUNT)
        return kv_mountio_open(cli->place, ret, &cli->fault);
    if (cli->way == KV_OPT_SOCKET)
        return kv_client_open("http://localhost", cli->place, cli->trust, ret,
                              &cli->fault);
    return kv_client_open(cli->place, NULL, cli->trust, ret, &cli->fault);
}

int kv_cli_export_way(struct kv_cli *cli)
{
    int err = 0;
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]) && !err; i++)
        err = ways[i].option == cli->way ? setenv(ways[i].name, cli->place, 1)
                                         : unsetenv(ways[i].name);
    if (!err && cli->trust->token.len > 0)
        err = setenv("KV_TOKEN", cli->trust->token.data, 1);
    if (!err && cli->trust->cacert)
        err = setenv("KV_CACERT", cli->trust->cacert, 1);
    return err ? kv_fault_no_memory(&cli->fault) : 0;
}

void kv_access_freep(struct kv_access **access)
{
    if (*access)
        (*access)->ops->free(*access);
    *access = NULL;
}

/* -- Commands -- */

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

static int read_output(struct kv_cli *cli, const struct kv_command *command)
{
    static const char *const names[] = {"text", "json", "table", "value"};
    const char *text = cli->args.values[KV_OPT_OUTPUT];
    enum kv_output output = KV_OUTPUT_TEXT;
    while (text && output <= KV_OUTPUT_VALUE && strcmp(text, names[output]) != 0)
        output++;
    if (output > KV_OUTPUT_VALUE)
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "--output must be text, json, table or value, not '%s'",
                            text);
    if (output > KV_OUTPUT_JSON && !(command->outputs & KV_OUTPUT_BIT(output)))
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "'kv %s' has no --output=%s", command->name, text);
    cli->output = output;
    cli->json = output == KV_OUTPUT_JSON;
    return 0;
}

int kv_cli_need_access(struct kv_cli *cli)
{
    const char *const *values = cli->args.values;
    if (cli->access && !values[KV_OPT_URL] && !values[KV_OPT_SOCKET] &&
        !values[KV_OPT_MOUNT])
        return 0;
    int status = choose_way(cli);
    if (status)
        return status;
    if (cli->shared)
        cli->access = NULL;
    cli->shared = false;
    return kv_cli_open(cli, &cli->access);
}

static int run_command(struct kv_cli *cli, const struct kv_command *command, int argc,
                       char *argv[])
{
    char who[32];
    (void)snprintf(who, sizeof(who), "kv %s", command->name);
    int status =
        kv_options_parse(&cli->args, argc, argv, KV_OPT_COMMON | command->options,
                         command->stop_at_operand, who, &cli->fault);
    if (status)
        return status;
    if (kv_option_given(&cli->args, KV_OPT_HELP))
        return kv_help_print_command(cli, command);
    if (kv_option_given(&cli->args, KV_OPT_VERSION))
        return kv_help_print_version(cli);
    status = read_output(cli, command);
    if (!status)
        status = check_operands(cli, command);
    if (!status && !command->keyless)
        status = kv_cli_need_access(cli);
    if (!status && command->http_only && cli->way == KV_OPT_MOUNT) {
        char what[32];
        (void)snprintf(what, sizeof(what), "'kv %s'", command->name);
        status = kv_mountio_refuse(what, &cli->fault);
    }
    return status ? status : command->run(cli);
}

static int run_help(struct kv_cli *cli)
{
    if (cli->args.count < 2)
        return kv_help_print(cli);
    const struct kv_command *command =
        kv_command_find(cli->args.operands[1], &cli->fault);
    return command ? kv_help_print_command(cli, command) : (int)KV_EXIT_USAGE;
}

int kv_cli_run(struct kv_cli *cli, int argc, char *argv[])
{
    int status = kv_options_parse(&cli->args, argc, argv, KV_OPT_COMMON, true, "kv",
                                  &cli->fault);
    if (status)
        return status;
    if (kv_option_given(&cli->args, KV_OPT_VERSION))
        return kv_help_print_version(cli);
    if (cli->args.count == 0) {
        if (kv_option_given(&cli->args, KV_OPT_HELP))
            return kv_help_print(cli);
        if (!cli->shell && kv_shell_has_input())
            return kv_shell_run(cli);
        kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL, "which command?");
        kv_fault_hint(&cli->fault, "'kv --help' lists them");
        return KV_EXIT_USAGE;
    }
    const char *name = cli->args.operands[0];
    if (strcmp(name, "help") == 0)
        return run_help(cli);
    const struct kv_command *command = kv_command_find(name, &cli->fault);
    if (!command)
        return KV_EXIT_USAGE;
    return run_command(cli, command, cli->args.count, cli->args.operands);
}
