/* What several commands need: keys and values from the command line, output. */
#include "command.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "store/key.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

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

int kv_cli_source(struct kv_cli *cli, const char *text, struct kv_source *ret)
{
    if (!text)
        return kv_source_fd(ret, STDIN_FILENO, &cli->fault);
    kv_source_bytes(ret, text, strlen(text));
    return 0;
}

void kv_cli_print_key(FILE *file, const char *key)
{
    for (const char *p = key; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (c == '\n')
            (void)fputs("\\n", file);
        else if (c == '\t')
            (void)fputs("\\t", file);
        else if (c < ' ' || c == 0x7f)
            (void)fprintf(file, "\\x%02x", c);
        else
            (void)fputc(c, file);
    }
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
