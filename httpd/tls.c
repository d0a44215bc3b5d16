/* Certificates, and how they are replaced while they are in use. */
#include "httpd/tls.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/x509.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_MAX_BYTES (1 << 20)

struct kv_tls_pair {
    atomic_uint refs;
    gnutls_certificate_credentials_t credentials;
    struct kv_buf cert, key; /* the texts, with a NUL */
};

struct kv_tls {
    const char *cert_file, *key_file;
    struct kv_tls_pair *first; /* what the library was started with */
    pthread_mutex_t lock;
    struct kv_tls_pair *newest; /* lock */
};

static struct kv_tls_pair *pair_ref(struct kv_tls_pair *pair)
{
    atomic_fetch_add_explicit(&pair->refs, 1, memory_order_relaxed);
    return pair;
}

void kv_tls_pair_unref(struct kv_tls_pair *pair)
{
    if (!pair || atomic_fetch_sub_explicit(&pair->refs, 1, memory_order_acq_rel) > 1)
        return;
    if (pair->credentials)
        gnutls_certificate_free_credentials(pair->credentials);
    if (pair->key.data)
        gnutls_memset(pair->key.data, 0, pair->key.len);
    kv_buf_done(&pair->cert);
    kv_buf_done(&pair->key);
    free(pair);
}

static void pair_unrefp(struct kv_tls_pair **pair)
{
    kv_tls_pair_unref(*pair);
}

/* -- Reading -- */

static int read_open(int fd, struct kv_buf *out)
{
    for (;;) {
        if (out->len > FILE_MAX_BYTES)
            return -EFBIG;
        if (kv_buf_reserve(out, 4096))
            return -ENOMEM;
        ssize_t n = read(fd, out->data + out->len, 4096);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        out->len += (size_t)n;
    }
    kv_buf_addc(out, '\0');
    return kv_buf_error(out);
}

static int read_file(const char *file, bool secret, struct kv_buf *out)
{
    struct stat st;
    KV_CLEANUP(kv_close) int fd = open(file, O_RDONLY | O_CLOEXEC);
    int err = fd < 0 || fstat(fd, &st) ? -errno : read_open(fd, out);
    if (err)
        kv_error("cannot read '%s': %s", file, kv_strerror(err));
    else if (secret && st.st_mode & S_IROTH)
        kv_warning("everybody on this machine can read the key in '%s'", file);
    return err;
}

static gnutls_datum_t datum_of(struct kv_buf *text)
{
    return (gnutls_datum_t){(unsigned char *)text->data, (unsigned)(text->len - 1)};
}

static int set_pair(const struct kv_tls *tls, struct kv_tls_pair *pair)
{
    gnutls_datum_t cert = datum_of(&pair->cert), key = datum_of(&pair->key);
    int code = gnutls_certificate_allocate_credentials(&pair->credentials);
    if (code >= 0)
        code = gnutls_certificate_set_x509_key_mem(pair->credentials, &cert, &key,
                                                   GNUTLS_X509_FMT_PEM);
    if (code >= 0)
        return 0;
    kv_error("cannot use the certificate '%s' with the key '%s': %s", tls->cert_file,
             tls->key_file, gnutls_strerror(code));
    return code == GNUTLS_E_MEMORY_ERROR ? -ENOMEM : -EINVAL;
}

/* A daemon that nobody can talk to any more should say so. */
static void tell_end(const struct kv_tls *tls, struct kv_tls_pair *pair)
{
    gnutls_x509_crt_t *list = NULL;
    unsigned count = 0;
    if (gnutls_certificate_get_x509_crt(pair->credentials, 0, &list, &count) < 0)
        return;
    time_t end = count > 0 ? gnutls_x509_crt_get_expiration_time(list[0]) : -1;
    struct tm tm;
    char text[32];
    if (end != (time_t)-1 && gmtime_r(&end, &tm) &&
        strftime(text, sizeof(text), "%Y-%m-%d", &tm) > 0) {
        if (end < time(NULL))
            kv_warning("the certificate '%s' ended on %s", tls->cert_file, text);
        else
            kv_info("certificate '%s', good until %s", tls->cert_file, text);
    }
    for (unsigned i = 0; i < count; i++)
        gnutls_x509_crt_deinit(list[i]);
    gnutls_free(list);
}

static int load(const struct kv_tls *tls, struct kv_tls_pair **ret)
{
    KV_CLEANUP(pair_unrefp) struct kv_tls_pair *pair = calloc(1, sizeof(*pair));
    if (!pair)
        return -ENOMEM;
    atomic_init(&pair->refs, 1);
    int err = read_file(tls->cert_file, false, &pair->cert);
    if (!err)
        err = read_file(tls->key_file, true, &pair->key);
    if (!err)
        err = set_pair(tls, pair);
    if (err)
        return err;
    tell_end(tls, pair);
    *ret = KV_STEAL(pair);
    return 0;
}

/* -- All of it -- */

int kv_tls_open(const char *cert_file, const char *key_file, struct kv_tls **ret)
{
    struct kv_tls *tls = calloc(1, sizeof(*tls));
    if (!tls)
        return -ENOMEM;
    tls->cert_file = cert_file;
    tls->key_file = key_file;
    pthread_mutex_init(&tls->lock, NULL);
    int err = load(tls, &tls->first);
    if (err) {
        kv_tls_free(tls);
        return err;
    }
    tls->newest = pair_ref(tls->first);
    *ret = tls;
    return 0;
}

void kv_tls_free(struct kv_tls *tls)
{
    if (!tls)
        return;
    kv_tls_pair_unref(tls->first);
    kv_tls_pair_unref(tls->newest);
    pthread_mutex_destroy(&tls->lock);
    free(tls);
}

int kv_tls_reload(struct kv_tls *tls)
{
    struct kv_tls_pair *pair;
    int err = load(tls, &pair);
    if (err)
        return err;
    kv_lock(&tls->lock);
    struct kv_tls_pair *before = tls->newest;
    tls->newest = pair;
    kv_unlock(&tls->lock);
    kv_tls_pair_unref(before);
    return 0;
}

const char *kv_tls_cert_text(const struct kv_tls *tls)
{
    return tls->first->cert.data;
}

const char *kv_tls_key_text(const struct kv_tls *tls)
{
    return tls->first->key.data;
}

struct kv_tls_pair *kv_tls_begin(struct kv_tls *tls, gnutls_session_t session)
{
    kv_lock(&tls->lock);
    struct kv_tls_pair *pair = pair_ref(tls->newest);
    kv_unlock(&tls->lock);
    if (gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, pair->credentials) >= 0)
        return pair;
    kv_tls_pair_unref(pair);
    return NULL;
}
