/* Tokens, from where others do not see them. */
#include "trust.h"

#include "base/cleanup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define TOKEN_MAX 4096

static void close_file(FILE **file)
{
    if (*file)
        (void)fclose(*file); /* read only: nothing can be lost */
}

static int read_file(const char *name, struct kv_buf *out, struct kv_fault *fault)
{
    char text[TOKEN_MAX + 1];
    KV_CLEANUP(close_file) FILE *file = fopen(name, "re");
    size_t len = file ? fread(text, 1, sizeof(text), file) : 0;
    if (!file || ferror(file))
        return kv_fault_set(fault, KV_EXIT_LOCAL, NULL,
                            "cannot read the token in '%s': %s", name, strerror(errno));
    while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
        len--;
    kv_buf_add(out, text, len);
    explicit_bzero(text, sizeof(text));
    return 0;
}

/* What may stand in a header, and nothing that would end it. */
static bool is_plain(const struct kv_buf *token)
{
    for (size_t i = 0; i < token->len; i++)
        if (token->data[i] <= ' ' || token->data[i] > '~')
            return false;
    return token->len > 0 && token->len <= TOKEN_MAX;
}

int kv_trust_token(struct kv_trust *trust, const char *text, struct kv_fault *fault)
{
    int status = 0;
    kv_buf_reset(&trust->token);
    if (*text == '@')
        status = read_file(text + 1, &trust->token, fault);
    else
        kv_buf_adds(&trust->token, text);
    if (status)
        return status;
    if (!is_plain(&trust->token)) {
        kv_buf_reset(&trust->token);
        return kv_fault_set(fault, KV_EXIT_USAGE, NULL,
                            "what is given as a token cannot be one");
    }
    kv_buf_addc(&trust->token, '\0');
    return kv_buf_error(&trust->token) ? kv_fault_no_memory(fault) : 0;
}

void kv_trust_done(struct kv_trust *trust)
{
    if (trust->token.data)
        explicit_bzero(trust->token.data, trust->token.cap);
    kv_buf_done(&trust->token);
}
