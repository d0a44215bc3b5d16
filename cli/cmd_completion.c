/* kv completion: what a shell needs to complete kv's command lines, made from the
 * tables of commands and options. Keys are asked for while one types, by 'kv ls', with
 * the way in that the environment names; where nobody answers there are none. */
#include "command.h"

#include "base/cleanup.h"

#include <string.h>

static void add_options(struct kv_buf *out, uint64_t options, const char *before)
{
    for (enum kv_option option = 0; option < KV_OPTIONS; option++)
        if (options & KV_OPT_BIT(option))
            kv_buf_addf(out, "%s--%s%s", before, kv_option_name(option),
                        kv_option_takes_value(option) ? "=" : "");
}

static void add_names(struct kv_buf *out)
{
    for (const struct kv_command *const *c = kv_commands; *c; c++)
        kv_buf_addf(out, "%s ", (*c)->name);
    kv_buf_adds(out, "help");
}

/* Whether operands are keys, and not files or nothing. */
static bool takes_keys(const struct kv_command *command)
{
    return strstr(command->operands, "KEY") || strstr(command->operands, "DIR]") ||
           strstr(command->operands, "FROM") || strstr(command->operands, "NAME");
}

static void add_bash(struct kv_buf *out)
{
    kv_buf_adds(out, "# bash: eval \"$(kv completion bash)\"\n"
                     "_kv()\n"
                     "{\n"
                     "    local cur=$2 command='' i dir key\n"
                     "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                     "        case ${COMP_WORDS[i]} in\n"
                     "        -*) ;;\n"
                     "        *) command=${COMP_WORDS[i]}; break ;;\n"
                     "        esac\n"
                     "    done\n"
                     "    COMPREPLY=()\n"
                     "    if [ -z \"$command\" ] && [[ $cur != -* ]]; then\n"
                     "        COMPREPLY=($(compgen -W '");
    add_names(out);
    kv_buf_adds(out, "' -- \"$cur\"))\n"
                     "        return\n"
                     "    fi\n"
                     "    local options keys=''\n"
                     "    case $command in\n");
    for (const struct kv_command *const *c = kv_commands; *c; c++) {
        kv_buf_addf(out, "    %s) options='", (*c)->name);
        add_options(out, (*c)->options, " ");
        kv_buf_addf(out, "'%s ;;\n", takes_keys(*c) ? " keys=1" : "");
    }
    kv_buf_adds(out, "    help) options=''; COMPREPLY=($(compgen -W '");
    add_names(out);
    kv_buf_adds(out, "' -- \"$cur\")); return ;;\n"
                     "    esac\n"
                     "    if [[ $cur == -* ]]; then\n"
                     "        COMPREPLY=($(compgen -W \"$options ");
    add_options(out, KV_OPT_COMMON, " ");
    kv_buf_adds(out,
                "\" -- \"$cur\"))\n"
                "    elif [ -n \"$keys\" ]; then\n"
                "        dir=''\n"
                "        [[ $cur != */* ]] || dir=${cur%/*}\n"
                /* Not compgen -W, which expands what it is given. */
                "        while IFS= read -r key; do\n"
                "            [[ $key != \"$cur\"* ]] || COMPREPLY+=(\"$key\")\n"
                "        done < <(kv ls -- \"$dir\" 2>/dev/null)\n"
                "        compopt -o filenames\n"
                "    else\n"
                "        compopt -o default\n"
                "    fi\n"
                "    [ \"${#COMPREPLY[@]}\" != 1 ] || [[ ${COMPREPLY[0]} != *[/=] ]] ||"
                " compopt -o nospace\n"
                "}\n"
                "complete -F _kv kv\n");
}

static void add_zsh(struct kv_buf *out)
{
    kv_buf_adds(out, "#compdef kv\n"
                     "# zsh: eval \"$(kv completion zsh)\", or as _kv in $fpath\n"
                     "_kv()\n"
                     "{\n"
                     "    local -a commands options entries\n"
                     "    local command='' word keys=''\n"
                     "    for word in ${words[2,CURRENT-1]}; do\n"
                     "        [[ $word == -* ]] || { command=$word; break; }\n"
                     "    done\n"
                     "    commands=(\n");
    for (const struct kv_command *const *c = kv_commands; *c; c++)
        kv_buf_addf(out, "        '%s:%s'\n", (*c)->name, (*c)->summary);
    kv_buf_adds(out,
                "        'help:print a help page'\n"
                "    )\n"
                "    if [[ -z $command && $PREFIX != -* || $command == help ]]; then\n"
                "        _describe command commands\n"
                "        return\n"
                "    fi\n"
                "    case $command in\n");
    for (const struct kv_command *const *c = kv_commands; *c; c++) {
        kv_buf_addf(out, "    %s) options=(", (*c)->name);
        add_options(out, (*c)->options, " ");
        kv_buf_addf(out, ")%s ;;\n", takes_keys(*c) ? " keys=1" : "");
    }
    kv_buf_adds(out, "    esac\n"
                     "    if [[ $PREFIX == -* ]]; then\n"
                     "        options+=(");
    add_options(out, KV_OPT_COMMON, " ");
    kv_buf_adds(
        out,
        ")\n"
        "        compadd -S '' -- $options\n"
        "    elif [[ -n $keys ]]; then\n"
        "        word=''\n"
        "        [[ $PREFIX != */* ]] || word=${PREFIX%/*}\n"
        "        entries=(${(f)\"$(kv ls -- \"$word\" 2>/dev/null)\"})\n"
        "        compadd -S '' -- $entries\n"
        "    else\n"
        "        _files\n"
        "    fi\n"
        "}\n"
        "if [[ $funcstack[1] == _kv ]]; then _kv \"$@\"; else compdef _kv kv; fi\n");
}

static void add_fish(struct kv_buf *out)
{
    kv_buf_adds(
        out, "# fish: kv completion fish | source\n"
             "function __kv_keys\n"
             "    kv ls -- (string replace -rf '/[^/]*$' '' -- (commandline -ct); or "
             "echo '') 2>/dev/null\n"
             "end\n"
             "complete -c kv -f\n");
    for (const struct kv_command *const *c = kv_commands; *c; c++) {
        kv_buf_addf(out, "complete -c kv -n __fish_use_subcommand -a %s -d '%s'\n",
                    (*c)->name, (*c)->summary);
        if (takes_keys(*c))
            kv_buf_addf(out,
                        "complete -c kv -n '__fish_seen_subcommand_from %s' -a "
                        "'(__kv_keys)'\n",
                        (*c)->name);
        for (enum kv_option option = 0; option < KV_OPTIONS; option++)
            if ((*c)->options & KV_OPT_BIT(option))
                kv_buf_addf(
                    out, "complete -c kv -n '__fish_seen_subcommand_from %s' -l %s%s\n",
                    (*c)->name, kv_option_name(option),
                    kv_option_takes_value(option) ? " -r" : "");
    }
    for (enum kv_option option = 0; option < KV_OPTIONS; option++)
        if (KV_OPT_COMMON & KV_OPT_BIT(option))
            kv_buf_addf(out, "complete -c kv -l %s%s\n", kv_option_name(option),
                        kv_option_takes_value(option) ? " -r" : "");
}

static int run_completion(struct kv_cli *cli)
{
    static const struct {
        const char *name;
        void (*add)(struct kv_buf *out);
    } shells[] = {{"bash", add_bash}, {"zsh", add_zsh}, {"fish", add_fish}};
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    const char *name = cli->args.operands[0];
    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
        if (strcmp(shells[i].name, name) != 0)
            continue;
        shells[i].add(&out);
        if (kv_buf_error(&out))
            return kv_fault_no_memory(&cli->fault);
        (void)fwrite(out.data, 1, out.len, stdout);
        return kv_cli_flush(cli);
    }
    return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                        "there is completion for bash, zsh and fish, not for '%s'",
                        name);
}

const struct kv_command kv_cmd_completion = {
    .name = "completion",
    .operands = "SHELL",
    .summary = "print the completion for bash, zsh or fish",
    .description =
        "Print what SHELL (bash, zsh or fish) needs to complete commands, options and "
        "keys of kv:\n"
        "\n"
        "  eval \"$(kv completion bash)\"\n"
        "  eval \"$(kv completion zsh)\"\n"
        "  kv completion fish | source",
    .keyless = true,
    .least = 1,
    .most = 1,
    .run = run_completion,
};
