#ifndef KV_HTTPD_TLS_H
#define KV_HTTPD_TLS_H

/* The certificate that the daemon shows to those who connect by TLS, and its key: PEM
 * files, the certificate first and then what leads from it to a root. They can be read
 * again at any time; connections that are open go on with what they began with, and
 * keep it for as long.
 *
 * The library can be given a certificate once, when it starts. So each session is given
 * ours when its connection begins, before the handshake. */

#include <gnutls/gnutls.h>
#include <stdbool.h>

/* TLS 1.2 and 1.3, nothing older (RFC 8996). */
#define KV_TLS_PRIORITIES "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct kv_tls;
struct kv_tls_pair; /* a certificate and its key, shared by reference count */

/* Read the files, whose names are kept. 0; -EINVAL: they do not fit together or are
 * none; -ENOENT, -EACCES, -ENOMEM, ...: the reason is logged. */
int kv_tls_open(const char *cert_file, const char *key_file, struct kv_tls **ret);
void kv_tls_free(struct kv_tls *tls); /* no session may be left; NULL is allowed */

/* Read the files again. When that fails, the reason is logged and what there was stays.
 * Any thread, one at a time. */
int kv_tls_reload(struct kv_tls *tls);

/* The files' texts as they were at the start, for the library. */
const char *kv_tls_cert_text(const struct kv_tls *tls);
const char *kv_tls_key_text(const struct kv_tls *tls);

/* Give a session the newest pair, with a reference for the connection, which
 * kv_tls_pair_unref ends when the session is gone. NULL: no memory, and it is left with
 * the one from the start. Any thread. */
struct kv_tls_pair *kv_tls_begin(struct kv_tls *tls, gnutls_session_t session);
void kv_tls_pair_unref(struct kv_tls_pair *pair); /* NULL is allowed */

#endif
