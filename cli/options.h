#ifndef KV_CLI_OPTIONS_H
#define KV_CLI_OPTIONS_H

/* The options of all commands, in one table; a command names those that it takes. The
 * common ones are taken by every command, before its name or behind it. */

#include "fault.h"

#include <stdbool.h>
#include <stdint.h>

enum kv_option {
    /* common */
    KV_OPT_URL,
    KV_OPT_SOCKET,
    KV_OPT_MOUNT,
    KV_OPT_TOKEN,
    KV_OPT_CACERT,
    KV_OPT_OUTPUT,
    KV_OPT_VERBOSE,
    KV_OPT_HELP,
    KV_OPT_VERSION,
    /* of some commands */
    KV_OPT_LONG,
    KV_OPT_RECURSIVE,
    KV_OPT_FORCE,
    KV_OPT_OPTIONS,
    KV_OPT_LAZY,
    KV_OPT_DIR,
    KV_OPT_PREFIX,
    KV_OPT_SINCE,
    KV_OPT_VALUES,
    KV_OPT_TTL,
    KV_OPT_IF_ABSENT,
    KV_OPT_IF_REVISION,
    KV_OPT_RAW,
    KV_OPT_TREE,
    KV_OPT_BY,
    KV_OPT_TIMEOUT,
    KV_OPT_CHANGE,
    KV_OPT_EQUALS,
    KV_OPT_GONE,
    KV_OPT_WAIT,
    KV_OPT_NO_WAIT,
    KV_OPT_EXEC,
    KV_OPT_REV,
    KV_OPT_LIMIT,
    KV_OPT_SKIP,
    KV_OPT_CLIENTS,
    KV_OPT_KEYS,
    KV_OPT_SIZE,
    KV_OPT_SECONDS,
    KV_OPTIONS,
};

#define KV_OPT_BIT(option) (UINT64_C(1) << (option))
#define KV_OPT_COMMON (KV_OPT_BIT(KV_OPT_VERSION + 1) - 1)

_Static_assert(KV_OPTIONS <= 64, "a set of options is 64 bits");

struct kv_args {
    const char *values[KV_OPTIONS]; /* NULL: not given; a flag: "" */
    char **operands;                /* into argv */
    int count;
};

/* Read the options in argv[1..]; what was there already stays unless it is given again.
 * allowed is a set of KV_OPT_BIT. With stop_at_operand the first operand ends it,
 * otherwise operands may stand anywhere and "--" ends the options. who names the
 * command in messages. 0 or KV_EXIT_USAGE. Uses getopt's global state. */
int kv_options_parse(struct kv_args *args, int argc, char *argv[], uint64_t allowed,
                     bool stop_at_operand, const char *who, struct kv_fault *fault);

static inline bool kv_option_given(const struct kv_args *args, enum kv_option option)
{
    return args->values[option] != NULL;
}

/* "url" for KV_OPT_URL. */
const char *kv_option_name(enum kv_option option);

/* Whether it is followed by a value. */
bool kv_option_takes_value(enum kv_option option);

/* The entries of a help page for these options of a command that takes all of allowed.
 */
void kv_options_help(struct kv_buf *out, uint64_t options, uint64_t allowed);

#endif
