/* libjwt does the signing and the checking. What it would do with a header that is not
 * ours (another algorithm, none at all, a key that is to be read as something else) is
 * never tried: a token of ours begins with the header that we write, byte for byte. */
#include "httpd/webtoken.h"

#include "base/log.h"
#include "httpd/keepsake.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <jwt.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/random.h>

#define FILE_NAME "jwt-key"
#define KEY_BYTES 32
#define ISSUER "kvfs"

struct kv_jwt {
    const char *dir;
    pthread_mutex_t making;
    atomic_bool ready; /* what follows is there, and does not change any more */
    unsigned char key[KEY_BYTES];
    char *header; /* base64url, with the point behind it */
};

static void jwt_freep(jwt_t **jwt)
{
    jwt_free(*jwt);
}

/* -- Signing -- */

/* libjwt gives a positive errno. */
static int fill(jwt_t *token, const char *id, int64_t now_s)
{
    int err = jwt_add_grant(token, "iss", ISSUER);
    if (!err && *id)
        err = jwt_add_grant(token, "sub", id);
    if (!err)
        err = jwt_add_grant_int(token, "iat", now_s);
    return err ? err : jwt_add_grant_int(token, "exp", now_s + KV_JWT_SECONDS);
}

static int sign(const struct kv_jwt *jwt, const char *id, int64_t now_s,
                struct kv_buf *out)
{
    KV_CLEANUP(jwt_freep) jwt_t *token = NULL;
    int err = jwt_new(&token);
    if (!err)
        err = fill(token, id, now_s);
    if (!err)
        err = jwt_set_alg(token, JWT_ALG_HS256, jwt->key, KEY_BYTES);
    if (err)
        return err == ENOMEM ? -ENOMEM : -EIO;
    char *text = jwt_encode_str(token);
    if (!text)
        return -ENOMEM;
    kv_buf_adds(out, text);
    free(text);
    return kv_buf_error(out);
}

/* -- The key -- */

/* What all of ours begin with. */
static int learn_header(struct kv_jwt *jwt)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf sample = {0};
    int err = sign(jwt, "", 0, &sample);
    if (err)
        return err;
    const char *point = memchr(sample.data, '.', sample.len);
    jwt->header =
        point ? strndup(sample.data, (size_t)(point + 1 - sample.data)) : NULL;
    if (!jwt->header)
        return -ENOMEM;
    atomic_store_explicit(&jwt->ready, true, memory_order_release);
    return 0;
}

/* The first to ask for a token waits until the key is on the disk. */
static int make_key(struct kv_jwt *jwt)
{
    KV_SCOPED_LOCK(&jwt->making);
    if (atomic_load_explicit(&jwt->ready, memory_order_acquire))
        return 0;
    if (getrandom(jwt->key, KEY_BYTES, 0) != KEY_BYTES)
        return -EIO;
    int err = kv_keepsake_write(jwt->dir, FILE_NAME, jwt->key, KEY_BYTES);
    if (err)
        kv_error("cannot write '" FILE_NAME "' in '%s': %s", jwt->dir,
                 kv_strerror(err));
    return err ? err : learn_header(jwt);
}

static int load_key(struct kv_jwt *jwt)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf file = {0};
    int err = kv_keepsake_read(jwt->dir, FILE_NAME, KEY_BYTES, &file);
    if (!err && file.len != KEY_BYTES)
        err = -EFBIG;
    if (err)
        return err;
    memcpy(jwt->key, file.data, KEY_BYTES);
    gnutls_memset(file.data, 0, file.len);
    return learn_header(jwt);
}

int kv_jwt_open(const char *dir, struct kv_jwt **ret)
{
    struct kv_jwt *jwt = calloc(1, sizeof(*jwt));
    if (!jwt)
        return -ENOMEM;
    jwt->dir = dir;
    pthread_mutex_init(&jwt->making, NULL);
    int err = load_key(jwt);
    if (err && err != -ENOENT) {
        kv_error("cannot read '" FILE_NAME "' in '%s': %s", dir,
                 err == -EFBIG ? "it is damaged; without it a new one is made"
                               : kv_strerror(err));
        kv_jwt_free(jwt);
        return err == -EFBIG ? -EINVAL : err;
    }
    *ret = jwt;
    return 0;
}

void kv_jwt_free(struct kv_jwt *jwt)
{
    if (!jwt)
        return;
    gnutls_memset(jwt->key, 0, sizeof(jwt->key));
    free(jwt->header);
    pthread_mutex_destroy(&jwt->making);
    free(jwt);
}

int kv_jwt_sign(struct kv_jwt *jwt, const char *id, int64_t now_s, struct kv_buf *out)
{
    int err = 0;
    if (!atomic_load_explicit(&jwt->ready, memory_order_acquire))
        err = make_key(jwt);
    return err ? err : sign(jwt, id, now_s, out);
}

/* -- Checking -- */

/* A member that is not there reads as 0 and NULL. */
static int check_claims(jwt_t *token, int64_t now_s, char ret_id[KV_TOKEN_ID_LEN + 1],
                        int64_t *ret_end_s)
{
    int64_t end_s = jwt_get_grant_int(token, "exp");
    const char *issuer = jwt_get_grant(token, "iss"), *id = jwt_get_grant(token, "sub");
    if (jwt_get_alg(token) != JWT_ALG_HS256 || !issuer || strcmp(issuer, ISSUER) != 0 ||
        end_s <= now_s || (id && strlen(id) != KV_TOKEN_ID_LEN))
        return -EINVAL;
    memset(ret_id, 0, KV_TOKEN_ID_LEN + 1);
    if (id)
        memcpy(ret_id, id, KV_TOKEN_ID_LEN);
    *ret_end_s = end_s;
    return 0;
}

int kv_jwt_check(const struct kv_jwt *jwt, const char *text, size_t len, int64_t now_s,
                 char ret_id[KV_TOKEN_ID_LEN + 1], int64_t *ret_end_s)
{
    KV_CLEANUP(jwt_freep) jwt_t *token = NULL;
    char copy[KV_JWT_TEXT_MAX];
    if (!atomic_load_explicit(&jwt->ready, memory_order_acquire))
        return -EINVAL; /* none was signed yet */
    size_t header = strlen(jwt->header);
    if (len >= sizeof(copy) || len <= header ||
        memcmp(text, jwt->header, header) != 0 || memchr(text, '\0', len))
        return -EINVAL;
    memcpy(copy, text, len);
    copy[len] = '\0';
    if (jwt_decode(&token, copy, jwt->key, KEY_BYTES))
        return -EINVAL;
    return check_claims(token, now_s, ret_id, ret_end_s);
}
