/* The shell: each line is a command line of kv without the "kv". The way to the keys is
 * opened once, but on a mount for each command anew: an open directory would keep the
 * mount from being unmounted while nobody types. */
#include "shell.h"

#include "complete.h"
#include "interrupt.h"
#include "lineedit.h"
#include "words.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void words_done(struct kv_words *words)
{
    kv_words_done(words);
}

/* -- One line -- */

static int run_words(struct kv_cli *cli, struct kv_words *words, struct kv_cli *line)
{
    char name[] = "kv";
    size_t count = words->count + 1;
    KV_CLEANUP(kv_free) char **argv = calloc(count + 1, sizeof(*argv));
    if (!argv)
        return kv_fault_no_memory(&line->fault);
    argv[0] = name;
    memcpy(argv + 1, words->items, words->count * sizeof(*argv));
    *line = (struct kv_cli){.way = cli->way,
                            .place = cli->place,
                            .trust = cli->trust,
                            .access = cli->access,
                            .shared = cli->access != NULL,
                            .shell = cli->shell};
    if (!cli->access) { /* a mount */
        int status = kv_cli_open(line, &line->access);
        if (status)
            return status;
    }
    return kv_cli_run(line, (int)count, argv);
}

/* Run one line; number counts the lines of a script, 0 at a prompt. True in *quit when
 * it was the last. */
static int run_line(struct kv_cli *cli, const char *text, size_t number, bool *quit)
{
    KV_CLEANUP(words_done) struct kv_words words = {0};
    struct kv_cli line = {0};
    int status = 0;
    int err = kv_words_split(text, false, &words);
    if (err)
        status =
            kv_fault_set(&line.fault, KV_EXIT_USAGE, NULL,
                         err == -EINVAL ? "a quote is not closed" : "out of memory");
    else if (words.count == 0)
        return 0;
    else if (strcmp(words.items[0], "quit") == 0 || strcmp(words.items[0], "exit") == 0)
        *quit = true;
    else
        status = run_words(cli, &words, &line);
    (void)fflush(stdout);
    if (number)
        kv_fault_prefix(&line.fault, "line %zu: ", number);
    kv_fault_print(&line.fault);
    kv_fault_done(&line.fault);
    if (!line.shared)
        kv_access_freep(&line.access);
    kv_trust_done(&line.own_trust);
    clearerr(stdout);
    return status;
}

/* -- A script -- */

/* Unbuffered, so that programs that a command runs read what comes next, as in sh. */
static int run_script(struct kv_cli *cli)
{
    KV_CLEANUP(kv_free) char *text = NULL;
    size_t size = 0;
    int first = 0;
    bool quit = false;
    (void)setvbuf(stdin, NULL, _IONBF, 0); /* fails for a bad mode only */
    for (size_t number = 1; !quit && getline(&text, &size, stdin) >= 0; number++) {
        int status = run_line(cli, text, number, &quit);
        if (!first)
            first = status;
    }
    if (ferror(stdin))
        return kv_fault_set(&cli->fault, KV_EXIT_LOCAL, NULL,
                            "cannot read the script: %s", strerror(errno));
    return first;
}

/* -- A prompt -- */

/* $KV_HISTORY, or ~/.kv_history; empty: none. NULL is none, too. */
static char *history_file(void)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf path = {0};
    const char *name = getenv("KV_HISTORY");
    const char *home = getenv("HOME");
    if (name)
        return *name ? strdup(name) : NULL;
    if (!home || !*home)
        return NULL;
    kv_buf_addf(&path, "%s/.kv_history", home);
    return kv_buf_steal(&path, NULL);
}

static void run_prompt(struct kv_cli *cli, struct kv_lineedit *edit)
{
    const char *text;
    bool quit = false;
    while (!quit) {
        kv_interrupt_clear();
        switch (kv_lineedit_read(edit, &text)) {
        case KV_LINE:
            (void)run_line(cli, text, 0, &quit); /* it has told what went wrong */
            break;
        case KV_LINE_INTERRUPTED:
            (void)fputc('\n', stdout);
            break;
        case KV_LINE_END:
            (void)fputc('\n', stdout);
            return;
        }
    }
}

static int run_interactive(struct kv_cli *cli)
{
    KV_CLEANUP(kv_lineedit_freep) struct kv_lineedit *edit = NULL;
    KV_CLEANUP(kv_free) char *file = history_file();
    if (kv_lineedit_new("kv> ", file, kv_complete, cli, &edit))
        return kv_fault_no_memory(&cli->fault);
    (void)fprintf(stderr,
                  "kv at %s. 'help' lists the commands, Ctrl-D or 'quit' leaves.\n",
                  cli->place);
    kv_interrupt_begin(true, 0);
    run_prompt(cli, edit);
    kv_interrupt_end();
    return kv_cli_flush(cli);
}

int kv_shell_run(struct kv_cli *cli)
{
    if (cli->shell)
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL, "this is the shell");
    bool terminal = isatty(STDIN_FILENO);
    int status = kv_cli_need_access(cli);
    if (status)
        return status;
    if (cli->way == KV_OPT_MOUNT)
        kv_access_freep(&cli->access);
    cli->shell = terminal ? KV_SHELL_PROMPT : KV_SHELL_SCRIPT;
    return terminal ? run_interactive(cli) : run_script(cli);
}

bool kv_shell_has_input(void)
{
    struct stat st;
    if (isatty(STDIN_FILENO))
        return true;
    return fstat(STDIN_FILENO, &st) == 0 &&
           (S_ISREG(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

const struct kv_command kv_cmd_shell = {
    .name = "shell",
    .operands = "",
    .summary = "type commands at a prompt, or run a script",
    .description =
        "On a terminal give a prompt for commands without the \"kv\" before them, with "
        "history (arrows, Ctrl-R; kept in ~/.kv_history or $KV_HISTORY, nowhere when "
        "that is empty), completion of commands, options and keys (Tab), 'help' and "
        "'help COMMAND'. Ctrl-C ends what runs, such as a watch, and not the shell; "
        "'quit', 'exit' and Ctrl-D do. 'kv' alone does the same.\n"
        "\n"
        "When stdin is a file or a pipe its lines are run as commands. One that fails "
        "is told with the number of its line; the others are run all the same, and the "
        "exit status is that of the first that failed. Words are quoted as in sh, '#' "
        "begins a comment, and values stand on the line or in an @FILE.",
    .least = 0,
    .most = 0,
    .keyless = true,
    .run = kv_shell_run,
};
