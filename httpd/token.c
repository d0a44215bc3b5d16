/* The table of tokens. It is replaced as a whole when it changes: the new one is
 * written to the file, then put in its place.
 *
 * Two locks: `changing` makes changes happen one after the other and is held while the
 * file is written, which is all that it is for; `lock` guards the table and is never
 * held for longer than it takes to look through it. */
#include "httpd/token.h"

#include "base/clock.h"
#include "base/log.h"
#include "httpd/keepsake.h"
#include "httpd/tokenfile.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define FILE_NAME "tokens"
#define FILE_MAX_BYTES ((size_t)64 << 20)
#define PREFIX "kv_"
#define SECRET_BYTES 24

struct table {
    struct kv_token **tokens; /* in the order in which they were made */
    size_t count;
};

struct kv_tokens {
    const char *dir;
    pthread_mutex_t changing;
    pthread_mutex_t lock;
    struct table table; /* lock; changed under `changing` as well */
    atomic_bool on;
};

/* -- One token -- */

struct kv_token *kv_token_ref(struct kv_token *token)
{
    atomic_fetch_add_explicit(&token->refs, 1, memory_order_relaxed);
    return token;
}

void kv_token_unref(struct kv_token *token)
{
    if (!token || atomic_fetch_sub_explicit(&token->refs, 1, memory_order_acq_rel) > 1)
        return;
    kv_rights_done(&token->rights);
    free(token);
}

bool kv_token_holds(const struct kv_token *token)
{
    return !atomic_load_explicit(&token->revoked, memory_order_acquire) &&
           (!token->expires_ns || token->expires_ns > kv_clock_realtime_ns());
}

bool kv_token_name_valid(const char *name, size_t len)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-";
    for (size_t i = 0; i < len; i++)
        if (name[i] == '\0' || !strchr(allowed, name[i]))
            return false;
    return len > 0 && len <= KV_TOKEN_NAME_MAX;
}

static int digest_of(const char *text, size_t len, unsigned char digest[32])
{
    return gnutls_hash_fast(GNUTLS_DIG_SHA256, text, len, digest) < 0 ? -EIO : 0;
}

static int random_hex(char *out, size_t bytes)
{
    unsigned char random[SECRET_BYTES];
    if (getrandom(random, bytes, 0) != (ssize_t)bytes)
        return -EIO;
    for (size_t i = 0; i < bytes; i++)
        (void)snprintf(out + 2 * i, 3, "%02x", random[i]);
    gnutls_memset(random, 0, sizeof(random));
    return 0;
}

/* A new token with its text. Takes over the rights. */
static int make(const char *name, struct kv_rights *rights, int64_t expires_ns,
                char text[KV_TOKEN_TEXT_MAX], struct kv_token **ret)
{
    char secret[2 * SECRET_BYTES + 1];
    KV_CLEANUP(kv_token_unrefp) struct kv_token *token = calloc(1, sizeof(*token));
    if (!token) {
        kv_rights_done(rights);
        return -ENOMEM;
    }
    atomic_init(&token->refs, 1);
    token->rights = *rights;
    *rights = (struct kv_rights){0};
    token->created_ns = kv_clock_realtime_ns();
    token->expires_ns = expires_ns;
    (void)snprintf(token->name, sizeof(token->name), "%s", name);
    int err = random_hex(token->id, KV_TOKEN_ID_LEN / 2);
    if (!err)
        err = random_hex(secret, SECRET_BYTES);
    if (err)
        return err;
    int len = snprintf(text, KV_TOKEN_TEXT_MAX, PREFIX "%s_%s", token->id, secret);
    gnutls_memset(secret, 0, sizeof(secret));
    err = digest_of(text, (size_t)len, token->digest);
    if (!err)
        *ret = KV_STEAL(token);
    return err;
}

/* -- The table -- */

static void table_done(struct table *table)
{
    while (table->count > 0)
        kv_token_unref(table->tokens[--table->count]);
    free(table->tokens);
    table->tokens = NULL;
}

/* A copy with room for one more. */
static int table_copy(const struct table *from, struct table *ret)
{
    ret->tokens = calloc(from->count + 1, sizeof(*ret->tokens));
    if (!ret->tokens)
        return -ENOMEM;
    for (ret->count = 0; ret->count < from->count; ret->count++)
        ret->tokens[ret->count] = kv_token_ref(from->tokens[ret->count]);
    return 0;
}

static struct kv_token *find_id(const struct table *table, const char *id)
{
    for (size_t i = 0; i < table->count; i++)
        if (memcmp(table->tokens[i]->id, id, KV_TOKEN_ID_LEN) == 0)
            return table->tokens[i];
    return NULL;
}

static struct kv_token *find_name(const struct table *table, const char *name,
                                  size_t len)
{
    for (size_t i = 0; i < table->count; i++) {
        struct kv_token *token = table->tokens[i];
        if (strlen(token->name) == len && memcmp(token->name, name, len) == 0)
            return token;
    }
    return NULL;
}

/* -- The file -- */

/* The table has room for KV_TOKENS_MAX. */
static int read_lines(const struct kv_buf *file, struct table *table,
                      struct kv_buf *rule)
{
    const char *line = file->data, *end = file->data + file->len;
    for (unsigned number = 1; line < end; number++) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        KV_CLEANUP(kv_buf_done) struct kv_buf reason = {0};
        int err = -EINVAL;
        if (!newline)
            kv_buf_adds(&reason, "it is cut off");
        else if (table->count == KV_TOKENS_MAX)
            kv_buf_adds(&reason, "there are too many");
        else
            err = kv_tokenfile_read(line, (size_t)(newline - line),
                                    &table->tokens[table->count], &reason);
        if (err) {
            kv_buf_addf(rule, "line %u: %.*s", number, (int)reason.len,
                        reason.data ? reason.data : "");
            return err;
        }
        table->count++;
        line = newline + 1;
    }
    return 0;
}

/* -ENOENT: there is no file. */
static int load(struct kv_tokens *tokens)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf file = {0}, rule = {0};
    int err = kv_keepsake_read(tokens->dir, FILE_NAME, FILE_MAX_BYTES, &file);
    tokens->table.tokens = calloc(KV_TOKENS_MAX, sizeof(*tokens->table.tokens));
    if (!err && !tokens->table.tokens)
        err = -ENOMEM;
    if (!err)
        err = read_lines(&file, &tokens->table, &rule);
    if (err && err != -ENOENT)
        kv_error("cannot read '" FILE_NAME "' in '%s': %.*s", tokens->dir,
                 rule.len ? (int)rule.len : (int)strlen(kv_strerror(err)),
                 rule.len ? rule.data : kv_strerror(err));
    return err;
}

static int save(const struct kv_tokens *tokens, const struct table *table)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf file = {0};
    for (size_t i = 0; i < table->count; i++)
        kv_tokenfile_add(&file, table->tokens[i]);
    if (kv_buf_error(&file))
        return -ENOMEM;
    int err =
        kv_keepsake_write(tokens->dir, FILE_NAME, file.data ? file.data : "", file.len);
    if (err)
        kv_error("cannot write '" FILE_NAME "' in '%s': %s", tokens->dir,
                 kv_strerror(err));
    return err;
}

/* -- All of them -- */

int kv_tokens_open(const char *dir, bool required, struct kv_tokens **ret)
{
    struct kv_tokens *tokens = calloc(1, sizeof(*tokens));
    if (!tokens)
        return -ENOMEM;
    tokens->dir = dir;
    pthread_mutex_init(&tokens->changing, NULL);
    pthread_mutex_init(&tokens->lock, NULL);
    int err = load(tokens);
    atomic_init(&tokens->on, required || !err);
    if (err && err != -ENOENT) {
        kv_tokens_free(tokens);
        return err;
    }
    *ret = tokens;
    return 0;
}

void kv_tokens_free(struct kv_tokens *tokens)
{
    if (!tokens)
        return;
    table_done(&tokens->table);
    pthread_mutex_destroy(&tokens->changing);
    pthread_mutex_destroy(&tokens->lock);
    free(tokens);
}

bool kv_tokens_on(struct kv_tokens *tokens)
{
    return atomic_load_explicit(&tokens->on, memory_order_acquire);
}

struct kv_token *kv_tokens_find_id(struct kv_tokens *tokens, const char *id)
{
    if (strlen(id) != KV_TOKEN_ID_LEN)
        return NULL;
    KV_SCOPED_LOCK(&tokens->lock);
    struct kv_token *token = find_id(&tokens->table, id);
    return token && kv_token_holds(token) ? kv_token_ref(token) : NULL;
}

struct kv_token *kv_tokens_find(struct kv_tokens *tokens, const char *text, size_t len)
{
    const size_t prefix = strlen(PREFIX);
    char id[KV_TOKEN_ID_LEN + 1] = "";
    unsigned char digest[32];
    if (len != prefix + KV_TOKEN_ID_LEN + 1 + 2 * SECRET_BYTES ||
        memcmp(text, PREFIX, prefix) != 0 || digest_of(text, len, digest))
        return NULL;
    memcpy(id, text + prefix, KV_TOKEN_ID_LEN);
    struct kv_token *token = kv_tokens_find_id(tokens, id);
    if (token && gnutls_memcmp(token->digest, digest, sizeof(digest)) == 0)
        return token;
    kv_token_unref(token);
    return NULL;
}

static void put_in_place(struct kv_tokens *tokens, struct table *table)
{
    kv_lock(&tokens->lock);
    struct table before = tokens->table;
    tokens->table = *table;
    kv_unlock(&tokens->lock);
    *table = before;
}

/* Takes over the reference to the token. */
static int add(struct kv_tokens *tokens, struct kv_token *token)
{
    struct table table = {0};
    /* An id of 32 bits may be taken, if hardly ever. */
    int err = find_name(&tokens->table, token->name, strlen(token->name)) ||
                      find_id(&tokens->table, token->id)
                  ? -EEXIST
                  : 0;
    if (!err && tokens->table.count == KV_TOKENS_MAX)
        err = -E2BIG;
    if (!err)
        err = table_copy(&tokens->table, &table);
    if (err) {
        kv_token_unref(token);
        return err;
    }
    table.tokens[table.count++] = token;
    err = save(tokens, &table);
    if (!err)
        put_in_place(tokens, &table);
    table_done(&table);
    return err;
}

int kv_tokens_create(struct kv_tokens *tokens, const char *name,
                     struct kv_rights *rights, int64_t expires_ns,
                     char text[KV_TOKEN_TEXT_MAX], struct kv_token **ret)
{
    struct kv_token *token;
    int err = make(name, rights, expires_ns, text, &token);
    if (err)
        return err;
    KV_SCOPED_LOCK(&tokens->changing);
    err = add(tokens, kv_token_ref(token));
    if (err) {
        gnutls_memset(text, 0, KV_TOKEN_TEXT_MAX);
        kv_token_unref(token);
        return err;
    }
    atomic_store_explicit(&tokens->on, true, memory_order_release);
    *ret = token;
    return 0;
}

int kv_tokens_revoke(struct kv_tokens *tokens, const char *which, size_t len)
{
    struct table table = {0};
    KV_SCOPED_LOCK(&tokens->changing);
    struct kv_token *token =
        len == KV_TOKEN_ID_LEN ? find_id(&tokens->table, which) : NULL;
    if (!token)
        token = find_name(&tokens->table, which, len);
    if (!token)
        return -ENOENT;
    int err = table_copy(&tokens->table, &table);
    if (err)
        return err;
    size_t i = 0;
    while (table.tokens[i] != token)
        i++;
    kv_token_unref(table.tokens[i]);
    table.count--;
    memmove(&table.tokens[i], &table.tokens[i + 1],
            (table.count - i) * sizeof(*table.tokens));
    err = save(tokens, &table);
    if (!err) {
        atomic_store_explicit(&token->revoked, true, memory_order_release);
        put_in_place(tokens, &table);
    }
    table_done(&table);
    return err;
}

void kv_tokens_json(struct kv_tokens *tokens, struct kv_buf *out)
{
    KV_SCOPED_LOCK(&tokens->lock);
    kv_buf_addc(out, '[');
    for (size_t i = 0; i < tokens->table.count; i++) {
        kv_buf_adds(out, i ? ",{" : "{");
        kv_token_json(out, tokens->table.tokens[i]);
        kv_buf_addc(out, '}');
    }
    kv_buf_addc(out, ']');
}
