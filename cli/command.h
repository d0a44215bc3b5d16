#ifndef KV_CLI_COMMAND_H
#define KV_CLI_COMMAND_H

/* A command of kv: an entry of the table in commands.c. */

#include "access.h"
#include "options.h"

#include <stdio.h>

enum kv_output { KV_OUTPUT_TEXT, KV_OUTPUT_JSON, KV_OUTPUT_TABLE, KV_OUTPUT_VALUE };

#define KV_OUTPUT_BIT(output) (1U << (output))

/* Where a command line came from. */
enum kv_in_shell { KV_SHELL_NONE, KV_SHELL_PROMPT, KV_SHELL_SCRIPT };

/* What a command works with. */
struct kv_cli {
    struct kv_args args;
    enum kv_option way;           /* KV_OPT_URL, _SOCKET or _MOUNT */
    const char *place;            /* its URL, path or directory */
    struct kv_trust own_trust;    /* from this command line */
    const struct kv_trust *trust; /* or a shell's */
    struct kv_access *access;
    bool shared; /* access belongs to somebody else: a shell */
    enum kv_in_shell shell;
    enum kv_output output;
    bool json; /* output is KV_OUTPUT_JSON */
    struct kv_fault fault;
};

struct kv_command {
    const char *name;
    const char *operands; /* for the help page: "KEY [VALUE]" */
    const char *summary;  /* one line */
    const char *description;
    uint64_t options;     /* KV_OPT_BIT; the common ones are taken anyway */
    unsigned outputs;     /* KV_OUTPUT_BIT beside text and json */
    bool http_only;       /* refused on a mount: access is that of client.h */
    bool keyless;         /* does not need the way to the keys: access is NULL */
    bool stop_at_operand; /* what follows the first operand is not for kv */
    int least, most;      /* operands; most -1: any number */
    int (*run)(struct kv_cli *cli); /* returns an enum kv_exit and leaves the fault */
};

extern const struct kv_command kv_cmd_get, kv_cmd_put, kv_cmd_append, kv_cmd_incr,
    kv_cmd_getall, kv_cmd_rm, kv_cmd_mv, kv_cmd_ls, kv_cmd_watch, kv_cmd_wait,
    kv_cmd_lock, kv_cmd_edit, kv_cmd_history, kv_cmd_diff, kv_cmd_export, kv_cmd_import,
    kv_cmd_backup, kv_cmd_restore, kv_cmd_shell, kv_cmd_completion, kv_cmd_status,
    kv_cmd_token, kv_cmd_bench;

/* -- commands.c: the table -- */

extern const struct kv_command kv_cmd_mount, kv_cmd_umount;

/* All commands, in the order of the help page; ends with NULL. */
extern const struct kv_command *const kv_commands[];

/* The command of that name. NULL, and a fault that tells what may be meant. */
const struct kv_command *kv_command_find(const char *name, struct kv_fault *fault);

/* -- help.c -- */

/* Write the help page of kv, or of a command, or the version to stdout. 0 or
 * KV_EXIT_LOCAL. In a shell the first is a list of what can be typed there. */
int kv_help_print(struct kv_cli *cli);
int kv_help_print_command(struct kv_cli *cli, const struct kv_command *command);
int kv_help_print_version(struct kv_cli *cli);

/* -- run.c -- */

#define KV_CLI_DEFAULT_SOCKET "/run/kvfs/kvfs.sock"
#define KV_CLI_DEFAULT_URL "http://127.0.0.1:5000"

/* Run one command line: argv[0] is "kv", options and a command follow. Returns its exit
 * status and leaves the fault, to be printed. cli->access, when it is set, is used
 * unless the command line names a way of its own; afterwards it is the caller's to free
 * unless it is shared. */
int kv_cli_run(struct kv_cli *cli, int argc, char *argv[]);

/* Open cli->access, unless it is open and the command line names no other. */
int kv_cli_need_access(struct kv_cli *cli);

/* Another way to the keys, beside cli->access and to the same place, for use while that
 * one is busy. The caller's to free. */
int kv_cli_open(struct kv_cli *cli, struct kv_access **ret);
/* Tell the programs that are started from now on which way that is: a kv among them
 * goes it, too. */
int kv_cli_export_way(struct kv_cli *cli);

void kv_access_freep(struct kv_access **access);

/* -- What several commands need -- */

/* 0 when text is a key, else KV_EXIT_USAGE and the rule that it breaks. */
int kv_cli_check_key(struct kv_cli *cli, const char *text);

/* The same for what may be a directory: one slash at its end is cut off, in place. */
int kv_cli_check_path(struct kv_cli *cli, char *text);

/* The same in a copy, for the text of an option; "" and "/" are the root, which is "".
 */
int kv_cli_check_dir(struct kv_cli *cli, const char *text, struct kv_buf *ret);

/* The value of an operand: the text itself, or "@FILE", "@-" for stdin and "@@..." for
 * a text that begins with one @; stdin when text is NULL. */
int kv_cli_source(struct kv_cli *cli, const char *text, struct kv_source *ret);

/* The duration of an option in milliseconds, at least 1; *ret as it was when it is not
 * given. name is for the message. 0 or KV_EXIT_USAGE. */
int kv_cli_duration(struct kv_cli *cli, enum kv_option option, const char *name,
                    uint64_t *ret_ms);

/* Write a key for people: control characters as \n, \t, \xNN. */
void kv_cli_print_key(FILE *file, const char *key);

/* Write bytes on one line, with the same escapes, and NUL too. */
void kv_cli_print_bytes(FILE *file, const char *data, size_t len);

enum kv_colour { KV_COLOUR_NONE, KV_COLOUR_RED, KV_COLOUR_GREEN, KV_COLOUR_BLUE };

/* Begin or (NONE) end a colour on stdout. Does nothing unless stdout is a terminal that
 * has colours and NO_COLOR is unset or empty. */
void kv_cli_colour(enum kv_colour colour);

/* Write out what is buffered for stdout. 0 or KV_EXIT_LOCAL. */
int kv_cli_flush(struct kv_cli *cli);

/* Write json to stdout. It must hold one object and no newline. */
int kv_cli_print_json(struct kv_cli *cli, const struct kv_buf *json);

/* With --output=json: what a write did. Nothing otherwise. */
int kv_cli_report(struct kv_cli *cli, const char *key,
                  const struct kv_written *written);

#endif
