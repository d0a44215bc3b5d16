/* What several commands need: keys and values from the command line, output. */
#include "command.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/text.h"
#include "store/key.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int kv_cli_check_key(struct kv_cli *cli, const char *text)
{
    enum kv_key_rule rule = kv_key_check(text, strlen(text));
    if (rule == KV_KEY_VALID)
        return 0;
    return kv_fault_set(&cli->fault, KV_EXIT_USAGE, text, "%s", kv_key_rule_text(rule));
}

int kv_cli_check_path(struct kv_cli *cli, char *text)
{
    size_t len = strlen(text);
    if (len > 1 && text[len - 1] == '/')
        text[len - 1] = '\0';
    return kv_cli_check_key(cli, text);
}

int kv_cli_check_dir(struct kv_cli *cli, const char *text, struct kv_buf *ret)
{
    kv_buf_adds(ret, strcmp(text, "/") == 0 ? "" : text);
    kv_buf_addc(ret, '\0');
    if (kv_buf_error(ret))
        return kv_fault_no_memory(&cli->fault);
    return *ret->data ? kv_cli_check_path(cli, ret->data) : 0;
}

static int open_file(struct kv_cli *cli, const char *name, struct kv_source *ret)
{
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        kv_fault_set(&cli->fault, KV_EXIT_LOCAL, NULL, "cannot open '%s': %s", name,
                     strerror(errno));
        kv_fault_hint(&cli->fault, "'@@%s' stores the text '@%s' itself", name, name);
        return KV_EXIT_LOCAL;
    }
    int status = kv_source_fd(ret, fd, &cli->fault);
    if (!status && !ret->owned) { /* it is read where it lies */
        ret->owned = true;
        return 0;
    }
    (void)close(fd); /* only read */
    return status;
}

int kv_cli_source(struct kv_cli *cli, const char *text, struct kv_source *ret)
{
    bool in = !text || strcmp(text, "@-") == 0;
    if (in && cli->shell == KV_SHELL_SCRIPT)
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "in a script the value stands on the line, or in an @FILE");
    if (in)
        return kv_source_fd(ret, STDIN_FILENO, &cli->fault);
    if (text[0] == '@' && text[1] != '@')
        return open_file(cli, text + 1, ret);
    text += text[0] == '@';
    kv_source_bytes(ret, text, strlen(text));
    return 0;
}

int kv_cli_duration(struct kv_cli *cli, enum kv_option option, const char *name,
                    uint64_t *ret_ms)
{
    const char *text = cli->args.values[option];
    uint64_t ms;
    if (!text)
        return 0;
    if (kv_text_duration(text, &ms) || ms == 0)
        return kv_fault_set(&cli->fault, KV_EXIT_USAGE, NULL,
                            "%s must be a time such as 500ms, 60s, 5m, 2h or 7d, "
                            "not '%s'",
                            name, text);
    *ret_ms = ms;
    return 0;
}

static void print_byte(FILE *file, unsigned char c)
{
    if (c == '\n')
        (void)fputs("\\n", file);
    else if (c == '\t')
        (void)fputs("\\t", file);
    else if (c < ' ' || c == 0x7f)
        (void)fprintf(file, "\\x%02x", c);
    else
        (void)fputc(c, file);
}

void kv_cli_print_key(FILE *file, const char *key)
{
    for (; *key; key++)
        print_byte(file, (unsigned char)*key);
}

void kv_cli_print_bytes(FILE *file, const char *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        print_byte(file, (unsigned char)data[i]);
}

void kv_cli_colour(enum kv_colour colour)
{
    static const char *const codes[] = {
        [KV_COLOUR_NONE] = "\033[0m",
        [KV_COLOUR_RED] = "\033[31m",
        [KV_COLOUR_GREEN] = "\033[32m",
        [KV_COLOUR_BLUE] = "\033[1;34m",
    };
    const char *none = getenv("NO_COLOR"), *terminal = getenv("TERM");
    bool wanted = !(none && *none) && terminal && *terminal &&
                  strcmp(terminal, "dumb") != 0 && isatty(STDOUT_FILENO);
    if (wanted)
        (void)fputs(codes[colour], stdout);
}

/* Errors of stdout stay with it, so looking once, here, is enough. */
int kv_cli_flush(struct kv_cli *cli)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    return kv_fault_set(&cli->fault, KV_EXIT_LOCAL, NULL, "cannot write to stdout: %s",
                        strerror(errno ? errno : EIO));
}

int kv_cli_print_json(struct kv_cli *cli, const struct kv_buf *json)
{
    if (kv_buf_error(json))
        return kv_fault_no_memory(&cli->fault);
    (void)fwrite(json->data, 1, json->len, stdout);
    (void)fputc('\n', stdout);
    return kv_cli_flush(cli);
}

int kv_cli_report(struct kv_cli *cli, const char *key, const struct kv_written *written)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    if (!cli->json)
        return 0;
    kv_buf_addc(&json, '{');
    kv_json_bytes(&json, "key", key, strlen(key));
    if (written->known) {
        kv_buf_addf(&json, ",\"revision\":%" PRIu64, written->revision);
        if (written->version)
            kv_buf_addf(&json, ",\"version\":%" PRIu64 ",\"created\":%s",
                        written->version, written->created ? "true" : "false");
    }
    kv_buf_addc(&json, '}');
    return kv_cli_print_json(cli, &json);
}
