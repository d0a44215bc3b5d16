#ifndef KV_HTTPD_WEBTOKEN_H
#define KV_HTTPD_WEBTOKEN_H

/* Short-lived tokens that the daemon signs itself: JSON Web Tokens (RFC 7519) with HMAC
 * SHA-256, and with nothing else. One says for which token (token.h) it stands, as
 * "sub", and ends after half an hour; it may do what that token may but manage tokens,
 * as long as that one holds. Without "sub" it stands for everybody, as long as no
 * tokens are asked for.
 *
 * The key is drawn when the first is signed, and kept in the file `jwt-key` of the data
 * directory. Any thread. */

#include "base/buf.h"
#include "httpd/token.h"

#define KV_JWT_SECONDS 1800
/* A longer one is not ours. */
#define KV_JWT_TEXT_MAX 1024

struct kv_jwt;

/* 0; or a negative errno, and the reason is logged. */
int kv_jwt_open(const char *dir, struct kv_jwt **ret);
void kv_jwt_free(struct kv_jwt *jwt); /* NULL is allowed */

/* Append one that begins at now_s; id "": for everybody. The first time it blocks until
 * the key is on the disk. 0, -ENOMEM, -EIO, -ENOSPC, ... */
int kv_jwt_sign(struct kv_jwt *jwt, const char *id, int64_t now_s, struct kv_buf *out);

/* Whether it was signed with our key, by HS256, and has not ended. 0, for whom, and the
 * second at which it ends (both times realtime, never 0); -EINVAL. */
int kv_jwt_check(const struct kv_jwt *jwt, const char *text, size_t len, int64_t now_s,
                 char ret_id[KV_TOKEN_ID_LEN + 1], int64_t *ret_end_s);

#endif
