/* The server: listeners, the library's callbacks, and the order of starting and
 * stopping.
 *
 * Each listener is a daemon of the library with its own epoll thread or threads.
 * Nothing blocks them: reads come from memory or the page cache, a write suspends its
 * connection until the committer wakes it, a watch suspends until the hub does. The
 * sockets of WebSockets are the pump's.
 *
 * The library panics when it is stopped with a suspended connection. So stopping first
 * closes the drain (nobody goes to sleep any more), waits until everybody was woken
 * and the pump has given its sockets back, and only then stops the library. */
#include "httpd/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "httpd/auth.h"
#include "httpd/access.h"
#include "httpd/conn.h"
#include "httpd/dialects/dialects.h"
#include "httpd/failures.h"
#include "httpd/webtoken.h"
#include "httpd/listen.h"
#include "httpd/loan.h"
#include "httpd/pump.h"
#include "httpd/request.h"
#include "httpd/serve.h"
#include "httpd/tls.h"
#include "httpd/token.h"
#include "httpd/watch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>

#define LISTENERS_MAX 16
#define CONNECTIONS_DEFAULT 12000
#define PER_ADDRESS_DEFAULT 1024
#define WATCHES_DEFAULT 10000
#define HEADER_TIMEOUT_S 10
#define TRANSFER_TIMEOUT_S 60
#define IDLE_TIMEOUT_S 120
/* For one connection: request line, headers, and the buffer that bodies are read into
 * and answers sent from. More headers than fit are answered with 431, a longer request
 * line with 414. Less than half of the library's default: it clears this memory after
 * every request, and watches keep it, and touch all of it, as long as they are open:
 * it is what keeps one that waits below 16 KiB (tests/integration/watchers.sh). */
#define CONNECTION_MEMORY (12 * 1024)
#define MEMORY_DEFAULT_MIN (UINT64_C(256) << 20)
#define STOP_TIMEOUT_NS (3 * KV_NS_PER_S)
/* Descriptors that are not connections: the store's, the mount's, threads' pipes. */
#define OTHER_DESCRIPTORS 256

struct listener {
    struct kv_httpd *httpd;
    struct MHD_Daemon *daemon;
    int fd;
    bool local;
    struct stat file; /* of the Unix socket */
    char *path;
};

struct kv_httpd {
    struct kv_http http;
    struct listener listeners[LISTENERS_MAX];
    size_t listener_count;
    char *addresses[LISTENERS_MAX + 1];
    unsigned max_connections;
    unsigned idle_timeout_s;
    unsigned threads;
    struct kv_tls *tls; /* NULL: none */
    pthread_t ticker;
    bool ticking;
    pthread_mutex_t tick_lock;
    pthread_cond_t tick_changed;
    bool tick_stop; /* tick_lock */
};

/* -- The library's callbacks that know their listener -- */

static bool has_tls(const struct listener *listener)
{
    return listener->httpd->tls && !listener->local;
}

static void begin_tls(struct kv_tls *tls, struct MHD_Connection *connection,
                      struct kv_conn *conn)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    if (info && info->tls_session)
        conn->tls = kv_tls_begin(tls, (gnutls_session_t)info->tls_session);
}

static void on_connection(void *cls, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct listener *listener = cls;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = kv_conn_started(&listener->httpd->http, connection, listener->local);
        if (*context && has_tls(listener))
            begin_tls(listener->httpd->tls, connection, *context);
    } else {
        struct kv_conn *conn = *context;
        struct kv_tls_pair *pair = conn ? conn->tls : NULL;
        kv_conn_closed(conn);
        kv_tls_pair_unref(pair);
        *context = NULL;
    }
}

/* -- Starting -- */

/* Room for connections among the descriptors; raises the soft limit to the hard one. */
static unsigned fit_descriptors(unsigned wanted)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return wanted;
    rlim_t need = (rlim_t)wanted + KV_CONNS_HEADROOM + OTHER_DESCRIPTORS;
    if (limit.rlim_cur < need) {
        limit.rlim_cur = limit.rlim_max < need ? limit.rlim_max : need;
        if (setrlimit(RLIMIT_NOFILE, &limit) && getrlimit(RLIMIT_NOFILE, &limit))
            return wanted;
    }
    if (limit.rlim_cur >= need)
        return wanted;
    rlim_t spare = KV_CONNS_HEADROOM + OTHER_DESCRIPTORS;
    unsigned fits =
        limit.rlim_cur > spare + 16 ? (unsigned)(limit.rlim_cur - spare) : 16;
    kv_notice("at most %u HTTP connections, because of the limit of %llu open files",
              fits, (unsigned long long)limit.rlim_cur);
    return fits;
}

static unsigned good_thread_count(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (cores <= 2)
        return 1;
    return cores / 2 < 8 ? (unsigned)(cores / 2) : 8;
}

static uint64_t or_default(uint64_t value, uint64_t otherwise)
{
    return value ? value : otherwise;
}

/* How much memory all bodies may take, and all answers. */
static uint64_t memory_limit(uint64_t wanted, uint64_t max_body_bytes)
{
    if (wanted)
        return wanted > max_body_bytes ? wanted : max_body_bytes;
    uint64_t several = 4 * max_body_bytes;
    return several > MEMORY_DEFAULT_MIN ? several : MEMORY_DEFAULT_MIN;
}

static int set_up(struct kv_httpd *httpd, const struct kv_httpd_config *config)
{
    struct kv_http *http = &httpd->http;
    struct kv_store_status status;
    int err = kv_store_status(http->store, &status);
    if (err)
        return err;
    http->allowed_hosts = config->allowed_hosts;
    http->cors_origins = config->cors_origins;
    http->version = config->version ? config->version : "unknown";
    http->max_body_bytes = or_default(config->max_body_bytes, status.max_value_bytes);
    http->max_body_memory =
        memory_limit(config->max_memory_bytes, http->max_body_bytes);
    http->answers.max = http->max_body_memory;
    http->header_timeout_ns =
        (int64_t)or_default(config->header_timeout_s, HEADER_TIMEOUT_S) * KV_NS_PER_S;
    http->transfer_timeout_ns =
        (int64_t)or_default(config->transfer_timeout_s, TRANSFER_TIMEOUT_S) *
        KV_NS_PER_S;
    httpd->idle_timeout_s =
        (unsigned)or_default(config->idle_timeout_s, IDLE_TIMEOUT_S);
    http->idle_timeout_ns = httpd->idle_timeout_s * KV_NS_PER_S;
    http->more_metrics = config->more_metrics;
    http->more_status = config->more_status;
    http->mount = config->mount;
    http->more_ctx = config->more_ctx;
    http->start_ns = kv_clock_monotonic_ns();
    httpd->threads = (unsigned)or_default(config->threads, good_thread_count());
    httpd->max_connections = fit_descriptors(
        (unsigned)or_default(config->max_connections, CONNECTIONS_DEFAULT));
    struct kv_conns_limits limits = {
        .connections = httpd->max_connections,
        .per_address = (unsigned)or_default(config->max_connections_per_address,
                                            PER_ADDRESS_DEFAULT),
    };
    http->conns = kv_conns_new(&limits);
    unsigned max_watches = (unsigned)or_default(config->max_watches, WATCHES_DEFAULT);
    http->hub = kv_hub_new(http, max_watches);
    http->pump = kv_pump_new();
    http->loans = kv_loans_new(&http->answers);
    http->failures = kv_failures_new();
    http->dialects = kv_dialects_new(max_watches);
    if (!http->conns || !http->hub || !http->pump || !http->loans || !http->failures ||
        !http->dialects)
        return -ENOMEM;
    err = kv_tokens_open(config->state_dir, config->tokens, &http->tokens);
    return err ? err : kv_jwt_open(config->state_dir, &http->jwt);
}

static enum kv_guard guard_of(struct kv_httpd *httpd,
                              const struct kv_httpd_config *config)
{
    if (config->insecure)
        return KV_GUARDED;
    if (!kv_tokens_on(httpd->http.tokens))
        return KV_UNGUARDED;
    return httpd->tls ? KV_GUARDED : KV_GUARDED_IN_CLEAR;
}

static int open_listeners(struct kv_httpd *httpd, const struct kv_httpd_config *config)
{
    for (const char *const *address = config->listen; address && *address; address++) {
        int fds[LISTENERS_MAX];
        size_t room = LISTENERS_MAX - 1 - httpd->listener_count, count;
        if (room == 0) {
            kv_error("cannot listen on '%s': at most %d addresses", *address,
                     LISTENERS_MAX - 1);
            return -EINVAL;
        }
        int err = kv_listen_tcp(*address, guard_of(httpd, config), fds, room, &count);
        if (err)
            return err;
        for (size_t i = 0; i < count; i++)
            httpd->listeners[httpd->listener_count++] =
                (struct listener){.httpd = httpd, .fd = fds[i]};
    }
    for (size_t i = 0; i < httpd->listener_count; i++) {
        httpd->addresses[i] = kv_listen_name(httpd->listeners[i].fd);
        if (!httpd->addresses[i])
            return -ENOMEM;
    }
    if (!config->socket_path)
        return 0;
    struct listener *listener = &httpd->listeners[httpd->listener_count];
    *listener = (struct listener){.httpd = httpd, .fd = -1, .local = true};
    listener->path = strdup(config->socket_path);
    if (!listener->path)
        return -ENOMEM;
    int err = kv_listen_unix(config->socket_path, &listener->fd, &listener->file);
    if (err) {
        free(listener->path);
        return err;
    }
    httpd->listener_count++;
    return 0;
}

static int start_listener(struct kv_httpd *httpd, struct listener *listener)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
                     MHD_ALLOW_UPGRADE | MHD_USE_ITC;
    unsigned threads = listener->local ? 1 : httpd->threads;
    bool tls = has_tls(listener);
    if (tls)
        flags |= MHD_USE_TLS;
    struct MHD_OptionItem encryption[] = {
        {tls ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0,
         tls ? (void *)kv_tls_cert_text(listener->httpd->tls) : NULL},
        {MHD_OPTION_HTTPS_MEM_KEY, 0,
         tls ? (void *)kv_tls_key_text(listener->httpd->tls) : NULL},
        {MHD_OPTION_HTTPS_PRIORITIES, 0, (void *)KV_TLS_PRIORITIES},
        {MHD_OPTION_END, 0, NULL},
    };
    struct MHD_OptionItem pool[] = {
        {threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, threads, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    listener->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, kv_serve_request, NULL, MHD_OPTION_LISTEN_SOCKET,
        listener->fd, MHD_OPTION_CONNECTION_LIMIT,
        httpd->max_connections + KV_CONNS_HEADROOM, MHD_OPTION_CONNECTION_TIMEOUT,
        httpd->idle_timeout_s, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_URI_LOG_CALLBACK, kv_serve_target, NULL,
        MHD_OPTION_NOTIFY_COMPLETED, kv_serve_completed, NULL,
        MHD_OPTION_NOTIFY_CONNECTION, on_connection, listener, MHD_OPTION_ARRAY, pool,
        MHD_OPTION_ARRAY, encryption, MHD_OPTION_END);
    if (listener->daemon)
        return 0;
    int err = errno ? -errno : -EIO;
    kv_error("cannot start the HTTP server: %s", kv_strerror(err));
    return err;
}

/* Deadlines and heartbeats, twice a second. */
static void *tick_main(void *arg)
{
    struct kv_httpd *httpd = arg;
    struct kv_http *http = &httpd->http;
    kv_lock(&httpd->tick_lock);
    while (!httpd->tick_stop) {
        struct timespec next =
            kv_ns_timespec(kv_clock_monotonic_ns() + 500 * KV_NS_PER_MS);
        (void)pthread_cond_timedwait(&httpd->tick_changed, &httpd->tick_lock, &next);
        kv_unlock(&httpd->tick_lock);
        atomic_fetch_add_explicit(&http->counters.timeouts, kv_conns_tick(http->conns),
                                  memory_order_relaxed);
        kv_hub_tick(http->hub);
        kv_dialects_tick(http->dialects);
        kv_lock(&httpd->tick_lock);
    }
    kv_unlock(&httpd->tick_lock);
    return NULL;
}

static int start_ticker(struct kv_httpd *httpd)
{
    int err = pthread_create(&httpd->ticker, NULL, tick_main, httpd);
    if (err)
        return -err;
    httpd->ticking = true;
    (void)pthread_setname_np(httpd->ticker, "kv-http-tick");
    return 0;
}

static void stop_ticker(struct kv_httpd *httpd)
{
    if (!httpd->ticking)
        return;
    kv_lock(&httpd->tick_lock);
    httpd->tick_stop = true;
    (void)pthread_cond_signal(&httpd->tick_changed);
    kv_unlock(&httpd->tick_lock);
    (void)pthread_join(httpd->ticker, NULL);
    httpd->ticking = false;
}

static int init_locks(struct kv_httpd *httpd)
{
    pthread_condattr_t attr;
    int err = pthread_condattr_init(&attr);
    if (!err)
        err = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (!err)
        err = pthread_cond_init(&httpd->tick_changed, &attr);
    (void)pthread_condattr_destroy(&attr);
    if (!err)
        err = pthread_mutex_init(&httpd->tick_lock, NULL);
    err = err ? -err : kv_budget_init(&httpd->http.answers);
    return err ? err : kv_drain_init(&httpd->http.drain);
}

static int check_origins(const struct kv_httpd_config *config)
{
    for (const char *const *o = config->cors_origins; o && *o; o++) {
        if (kv_origin_valid(*o))
            continue;
        kv_error("'%s' is no origin of web pages: https://HOST or http://HOST:PORT, "
                 "and nothing behind it",
                 *o);
        return -EINVAL;
    }
    return 0;
}

static int start_all(struct kv_httpd *httpd, const struct kv_httpd_config *config)
{
    int err = check_origins(config);
    if (!err && config->tls_cert)
        err = kv_tls_open(config->tls_cert, config->tls_key, &httpd->tls);
    if (!err)
        err = set_up(httpd, config);
    if (!err)
        err = open_listeners(httpd, config);
    if (!err)
        err = kv_hub_start(httpd->http.hub);
    if (!err)
        err = kv_pump_start(httpd->http.pump);
    if (!err)
        err = start_ticker(httpd);
    for (size_t i = 0; !err && i < httpd->listener_count; i++)
        err = start_listener(httpd, &httpd->listeners[i]);
    return err;
}

int kv_httpd_start(struct kv_store *store, const struct kv_httpd_config *config,
                   struct kv_httpd **ret)
{
    struct kv_httpd *httpd = calloc(1, sizeof(*httpd));
    if (!httpd)
        return -ENOMEM;
    httpd->http.store = store;
    int err = init_locks(httpd);
    if (err) {
        free(httpd);
        return err;
    }
    /* Signals are for main: our threads inherit this mask. */
    sigset_t all, before;
    sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    err = start_all(httpd, config);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (err) {
        kv_httpd_stop(httpd);
        return err;
    }
    *ret = httpd;
    return 0;
}

/* -- Stopping -- */

static void close_listener(struct listener *listener)
{
    if (listener->daemon)
        MHD_stop_daemon(listener->daemon);
    struct stat now;
    if (listener->path && lstat(listener->path, &now) == 0 &&
        now.st_dev == listener->file.st_dev && now.st_ino == listener->file.st_ino)
        (void)unlink(listener->path);
    free(listener->path);
    if (listener->fd >= 0)
        (void)close(listener->fd);
}

void kv_httpd_stop(struct kv_httpd *httpd)
{
    if (!httpd)
        return;
    struct kv_http *http = &httpd->http;
    /* Nobody new comes in; the descriptor is ours again. */
    for (size_t i = 0; i < httpd->listener_count; i++)
        if (httpd->listeners[i].daemon)
            (void)MHD_quiesce_daemon(httpd->listeners[i].daemon);
    kv_drain_close(&http->drain);
    if (http->hub)
        kv_hub_stop(http->hub);
    if (http->pump)
        kv_pump_stop(http->pump);
    kv_drain_wait(&http->drain, STOP_TIMEOUT_NS);
    stop_ticker(httpd);
    for (size_t i = 0; i < httpd->listener_count; i++)
        close_listener(&httpd->listeners[i]);
    kv_hub_free(http->hub);
    kv_pump_free(http->pump);
    kv_conns_free(http->conns);
    kv_drain_done(&http->drain);
    kv_loans_free(http->loans);
    kv_dialects_free(http->dialects);
    kv_failures_free(http->failures);
    kv_jwt_free(http->jwt);
    kv_tokens_free(http->tokens);
    kv_tls_free(httpd->tls);
    kv_budget_done(&http->answers);
    (void)pthread_cond_destroy(&httpd->tick_changed);
    (void)pthread_mutex_destroy(&httpd->tick_lock);
    for (size_t i = 0; i < LISTENERS_MAX; i++)
        free(httpd->addresses[i]);
    free(httpd);
}

int kv_httpd_reload(struct kv_httpd *httpd)
{
    return httpd->tls ? kv_tls_reload(httpd->tls) : -ENOSYS;
}

const char *const *kv_httpd_addresses(struct kv_httpd *httpd)
{
    return (const char *const *)httpd->addresses;
}
