#ifndef KV_CLI_COMMAND_H
#define KV_CLI_COMMAND_H

/* A command of kv: an entry of the table in main.c. */

#include "access.h"
#include "options.h"

#include <stdio.h>

/* What a command works with. */
struct kv_cli {
    struct kv_args args;
    struct kv_access *access;
    bool json; /* --output=json */
    struct kv_fault fault;
};

struct kv_command {
    const char *name;
    const char *operands; /* for the help page: "KEY [VALUE]" */
    const char *summary;  /* one line */
    const char *description;
    uint32_t options;               /* KV_OPT_BIT; the common ones are taken anyway */
    int least, most;                /* operands; most -1: any number */
    int (*run)(struct kv_cli *cli); /* returns an enum kv_exit and leaves the fault */
};

extern const struct kv_command kv_cmd_get, kv_cmd_put, kv_cmd_append, kv_cmd_rm,
    kv_cmd_mv, kv_cmd_ls, kv_cmd_watch, kv_cmd_status;

/* -- What several commands need -- */

/* 0 when text is a key, else KV_EXIT_USAGE and the rule that it breaks. */
int kv_cli_check_key(struct kv_cli *cli, const char *text);

/* The same for what may be a directory: one slash at its end is cut off, in place. */
int kv_cli_check_path(struct kv_cli *cli, char *text);

/* The value of an operand, or of stdin when text is NULL. */
int kv_cli_source(struct kv_cli *cli, const char *text, struct kv_source *ret);

/* Write a key for people: control characters as \n, \t, \xNN. */
void kv_cli_print_key(FILE *file, const char *key);

/* Write out what is buffered for stdout. 0 or KV_EXIT_LOCAL. */
int kv_cli_flush(struct kv_cli *cli);

/* Write json to stdout. It must hold one object and no newline. */
int kv_cli_print_json(struct kv_cli *cli, const struct kv_buf *json);

/* With --output=json: what a write did. Nothing otherwise. */
int kv_cli_report(struct kv_cli *cli, const char *key,
                  const struct kv_written *written);

#endif
