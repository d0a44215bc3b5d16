/* One table of options, from which the parser and the help pages are made. */
#include "options.h"

#include "base/cleanup.h"
#include "base/text.h"

#include <getopt.h>
#include <string.h>

struct row {
    const char *name;
    int letter; /* short option, or 0 */
    const char *argument;
    const char *help;
};

static const struct row rows[KV_OPTIONS] = {
    [KV_OPT_URL] = {"url", 0, "URL", "talk to kvfsd over HTTP at URL (or KV_URL)"},
    [KV_OPT_SOCKET] = {"socket", 0, "PATH",
                       "talk to kvfsd over its Unix socket (or KV_SOCKET)"},
    [KV_OPT_MOUNT] = {"mount", 0, "DIR",
                      "work on the directory where the keys are mounted (or KV_MOUNT)"},
    [KV_OPT_TOKEN] = {"token", 0, "@FILE",
                      "show kvfsd the token in FILE (or KV_TOKEN: @FILE, or the token "
                      "itself)"},
    [KV_OPT_CACERT] =
        {"cacert", 0, "FILE",
         "trust the certificates in FILE, in PEM, instead of the system's "
         "(or KV_CACERT)"},
    [KV_OPT_OUTPUT] =
        {"output", 'o', "FORMAT",
         "\"text\", or \"json\": one object a line; where several keys are "
         "shown also \"table\" or \"value\""},
    [KV_OPT_VERBOSE] = {"verbose", 'v', NULL, "say on stderr what is being done"},
    [KV_OPT_HELP] = {"help", 'h', NULL, "print this page and exit"},
    [KV_OPT_VERSION] = {"version", 0, NULL, "print the version and exit"},
    [KV_OPT_LONG] = {"long", 'l', NULL,
                     "show size, version, revision and time of the last change too"},
    [KV_OPT_RECURSIVE] = {"recursive", 'r', NULL,
                          "everything below the directory, at any depth"},
    [KV_OPT_FORCE] = {"force", 'f', NULL, "a key that is not there is no error"},
    [KV_OPT_OPTIONS] = {"options", 'o', "OPTION,...", "how to mount"},
    [KV_OPT_LAZY] = {"lazy", 0, NULL,
                     "also while files are open in it, which get errors then"},
    [KV_OPT_DIR] = {"dir", 0, "DIR", "this directory and everything below it"},
    [KV_OPT_PREFIX] = {"prefix", 0, "TEXT", "keys that begin with TEXT"},
    [KV_OPT_SINCE] = {"since", 0, "REV", "begin with the changes after revision REV"},
    [KV_OPT_VALUES] = {"values", 0, NULL, "show the new values too"},
    [KV_OPT_TTL] = {"ttl", 0, "TIME",
                    "let the key end after TIME: a number and ms, s, m, h or d"},
    [KV_OPT_IF_ABSENT] = {"if-absent", 0, NULL, "only if there is no such key yet"},
    [KV_OPT_IF_REVISION] = {"if-revision", 0, "REV",
                            "only if the key's last change was revision REV"},
    [KV_OPT_RAW] = {"raw", 0, NULL,
                    "the bytes of the values and nothing else, on a terminal too"},
    [KV_OPT_TREE] = {"tree", 0, NULL, "draw all that is below as a tree"},
    [KV_OPT_TIMEOUT] = {"timeout", 0, "TIME", "give up after TIME, with exit status 1"},
    [KV_OPT_CHANGE] = {"change", 0, NULL, "until the next change of the key"},
    [KV_OPT_EQUALS] = {"equals", 0, "VALUE", "until the value is VALUE"},
    [KV_OPT_GONE] = {"gone", 0, NULL, "until there is no such key"},
    [KV_OPT_WAIT] = {"wait", 0, "TIME", "wait at most TIME for the lock"},
    [KV_OPT_NO_WAIT] = {"no-wait", 0, NULL, "do not wait for the lock"},
    [KV_OPT_EXEC] = {"exec", 0, "CMD", "run the shell command CMD for each change"},
    [KV_OPT_REV] = {"rev", 0, "REV", "as it was at revision REV of the store"},
    [KV_OPT_LIMIT] = {"limit", 0, "N", "at most N"},
    [KV_OPT_SKIP] = {"skip", 0, "N", "leave out the first N lines"},
    [KV_OPT_CLIENTS] = {"clients", 0, "N", "how many clients at once; 8 unless given"},
    [KV_OPT_KEYS] = {"keys", 0, "N", "how many keys; 1000 unless given"},
    [KV_OPT_SIZE] = {"size", 0, "BYTES", "how large the values are; 100 unless given"},
    [KV_OPT_SECONDS] = {"seconds", 0, "N", "how long to measure; 5 unless given"},
    [KV_OPT_BY] = {"by", 0, "N", "add N, which may be negative, instead of 1"},
};

#define LONG_BASE 256 /* codes of long options, above every letter */

static bool is_allowed(uint64_t allowed, size_t option)
{
    return (allowed & KV_OPT_BIT(option)) != 0;
}

/* As with mount(8), -o is for the options of a mount where a command has them. */
static int letter_of(uint64_t allowed, size_t option)
{
    return option == KV_OPT_OUTPUT && is_allowed(allowed, KV_OPT_OPTIONS)
               ? 0
               : rows[option].letter;
}

/* The option behind a code of getopt_long, or KV_OPTIONS. */
static size_t option_of(uint64_t allowed, int code)
{
    if (code >= LONG_BASE && code - LONG_BASE < KV_OPTIONS)
        return (size_t)(code - LONG_BASE);
    for (size_t i = 0; i < KV_OPTIONS; i++)
        if (letter_of(allowed, i) != 0 && letter_of(allowed, i) == code)
            return i;
    return KV_OPTIONS;
}

static int refuse_unknown(const char *argument, uint64_t allowed, const char *who,
                          struct kv_fault *fault)
{
    const char *start = argument + strspn(argument, "-");
    KV_CLEANUP(kv_free) char *name = strndup(start, strcspn(start, "="));
    if (!name)
        return kv_fault_no_memory(fault);
    for (size_t i = 0; i < KV_OPTIONS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return kv_fault_set(fault, KV_EXIT_USAGE, NULL, "'%s' has no option '--%s'",
                                who, rows[i].name);
    kv_fault_set(fault, KV_EXIT_USAGE, NULL, "unknown option '%s'", argument);
    for (size_t i = 0; i < KV_OPTIONS; i++)
        if (is_allowed(allowed, i) && kv_text_is_near(name, rows[i].name)) {
            kv_fault_hint(fault, "did you mean '--%s'?", rows[i].name);
            return KV_EXIT_USAGE;
        }
    kv_fault_hint(fault, "see '%s --help'; '--' ends the options", who);
    return KV_EXIT_USAGE;
}

static int refuse(int code, const char *argument, uint64_t allowed, const char *who,
                  struct kv_fault *fault)
{
    size_t option = option_of(allowed, optopt);
    if (code == ':' && option < KV_OPTIONS)
        return kv_fault_set(fault, KV_EXIT_USAGE, NULL,
                            "option '--%s' needs a value (%s)", rows[option].name,
                            rows[option].argument);
    if (optopt >= LONG_BASE && option < KV_OPTIONS)
        return kv_fault_set(fault, KV_EXIT_USAGE, NULL, "option '--%s' takes no value",
                            rows[option].name);
    if (!optopt)
        return refuse_unknown(argument, allowed, who, fault);
    kv_fault_set(fault, KV_EXIT_USAGE, NULL, "'%s' has no option '-%c'", who, optopt);
    kv_fault_hint(fault, "see '%s --help'; '--' ends the options", who);
    return KV_EXIT_USAGE;
}

/* getopt's own description of the allowed options. */
static void describe(struct option *options, char *letters, uint64_t allowed,
                     bool stop_at_operand)
{
    size_t used = 0;
    if (stop_at_operand)
        letters[used++] = '+';
    letters[used++] = ':';
    for (size_t i = 0; i < KV_OPTIONS; i++) {
        if (!is_allowed(allowed, i))
            continue;
        options->name = rows[i].name;
        options->has_arg = rows[i].argument ? required_argument : no_argument;
        options->val = LONG_BASE + (int)i;
        options++;
        if (!letter_of(allowed, i))
            continue;
        letters[used++] = (char)letter_of(allowed, i);
        if (rows[i].argument)
            letters[used++] = ':';
    }
    letters[used] = '\0';
}

int kv_options_parse(struct kv_args *args, int argc, char *argv[], uint64_t allowed,
                     bool stop_at_operand, const char *who, struct kv_fault *fault)
{
    struct option options[KV_OPTIONS + 1] = {0};
    char letters[2 * KV_OPTIONS + 3];
    describe(options, letters, allowed, stop_at_operand);
    optind = 0; /* glibc: start afresh */
    opterr = 0;
    int code;
    while ((code = getopt_long(argc, argv, letters, options, NULL)) != -1) {
        if (code == '?' || code == ':')
            return refuse(code, argv[optind - 1], allowed, who, fault);
        args->values[option_of(allowed, code)] = optarg ? optarg : "";
    }
    args->operands = argv + optind;
    args->count = argc - optind;
    return 0;
}

const char *kv_option_name(enum kv_option option)
{
    return rows[option].name;
}

bool kv_option_takes_value(enum kv_option option)
{
    return rows[option].argument != NULL;
}

void kv_options_help(struct kv_buf *out, uint64_t options, uint64_t allowed)
{
    for (size_t i = 0; i < KV_OPTIONS; i++) {
        if (!is_allowed(options, i))
            continue;
        KV_CLEANUP(kv_buf_done) struct kv_buf left = {0};
        if (letter_of(allowed, i))
            kv_buf_addf(&left, "  -%c, ", letter_of(allowed, i));
        else
            kv_buf_adds(&left, "      ");
        kv_buf_addf(&left, "--%s", rows[i].name);
        if (rows[i].argument)
            kv_buf_addf(&left, " %s", rows[i].argument);
        kv_buf_addc(&left, '\0');
        if (!kv_buf_error(&left))
            kv_text_entry(out, left.data, rows[i].help);
    }
}
