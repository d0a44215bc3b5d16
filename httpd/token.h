#ifndef KV_HTTPD_TOKEN_H
#define KV_HTTPD_TOKEN_H

/* Tokens: who may use the API, and for what. A token's text is "kv_ID_SECRET", where
 * the secret is 192 random bits. It is told once, when it is made; what is kept is its
 * SHA-256, which is enough, for what is hashed cannot be guessed.
 *
 * They live in the file `tokens` of the data directory, one JSON object a line, and in
 * memory. The file is written before a change counts. As long as there is no such file,
 * and the daemon was not told to ask for tokens, tokens are off; the first one that is
 * made switches them on, and revoking the last leaves them on.
 *
 * Any thread. A change writes and syncs the file, and so blocks for a moment; it is
 * something that an administrator does now and then. */

#include "base/cleanup.h"
#include "httpd/rights.h"

#include <stdatomic.h>

#define KV_TOKENS_MAX 1000
#define KV_TOKEN_ID_LEN 8     /* hexadecimal digits */
#define KV_TOKEN_NAME_MAX 64  /* letters, digits, and . _ @ - */
#define KV_TOKEN_TEXT_MAX 100 /* its NUL included */

/* Immutable but for revoked; shared by reference count. */
struct kv_token {
    atomic_uint refs;
    atomic_bool revoked;
    char id[KV_TOKEN_ID_LEN + 1];
    char name[KV_TOKEN_NAME_MAX + 1];
    unsigned char digest[32];
    int64_t created_ns, expires_ns; /* realtime; expires 0: never */
    struct kv_rights rights;
};

struct kv_token *kv_token_ref(struct kv_token *token);
void kv_token_unref(struct kv_token *token); /* NULL is allowed */
KV_DEFINE_CLEANUP(struct kv_token, kv_token_unref)

/* Whether it was neither revoked nor has expired. */
bool kv_token_holds(const struct kv_token *token);

bool kv_token_name_valid(const char *name, size_t len);

struct kv_tokens;

/* Read the tokens of a data directory, which is kept, like its text. required: they are
 * on although there are none. 0; -EINVAL: the file is damaged; -EACCES, -EIO, -ENOMEM,
 * ...: the reason is logged. */
int kv_tokens_open(const char *dir, bool required, struct kv_tokens **ret);
void kv_tokens_free(struct kv_tokens *tokens); /* NULL is allowed */

/* Whether a token is asked for. */
bool kv_tokens_on(struct kv_tokens *tokens);

/* The token with this text, or id, with a reference; NULL: none, or it does not hold.
 * Takes the same time however much of the secret is right. */
struct kv_token *kv_tokens_find(struct kv_tokens *tokens, const char *text, size_t len);
struct kv_token *kv_tokens_find_id(struct kv_tokens *tokens, const char *id);

/* Make one. Takes over the rights, also when it fails. text gets what is told once. 0;
 * -EEXIST: the name is taken; -E2BIG: there are KV_TOKENS_MAX; -ENOSPC, -EIO, -ENOMEM,
 * ...: the file cannot be written, and there is none. */
int kv_tokens_create(struct kv_tokens *tokens, const char *name,
                     struct kv_rights *rights, int64_t expires_ns,
                     char text[KV_TOKEN_TEXT_MAX], struct kv_token **ret);

/* Revoke the one with this id, or else this name. From now on it holds nowhere.
 * -ENOENT, or as above, and it is still there. */
int kv_tokens_revoke(struct kv_tokens *tokens, const char *which, size_t len);

/* Append a JSON array of all of them, without their digests. */
void kv_tokens_json(struct kv_tokens *tokens, struct kv_buf *out);

/* Append the members of one: "id", "name", "created", "expires", "admin", "rights". */
void kv_token_json(struct kv_buf *out, const struct kv_token *token);

#endif
