/* kvfsd: put the store, the mount and the HTTP server together, wait, and take them
 * apart in the opposite order, so that each is stopped while what it stands on still
 * runs. */
#include "background.h"
#include "config.h"
#include "contact.h"
#include "mountcmd.h"
#include "mountqueue.h"
#include "mounts.h"
#include "quit.h"
#include "supervisor.h"
#include "version.h"

#include "base/log.h"
#include "httpd/server.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

enum { EXIT_STARTED = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

struct daemon {
    struct kv_config config;
    struct kv_quit quit;
    char **config_text;
    char *source; /* of the mounts: the data directory, absolute */
    struct kv_store *store;
    struct kv_mounts *mounts;
    struct kv_mountqueue asked; /* over HTTP */
    struct kv_httpd *httpd;
};

/* -- Start; each reports its own failure, once -- */

/* Connections and the mount's files share one limit, which is low for historical
 * reasons: take what may be had. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= limit.rlim_max)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        kv_warning("cannot raise the limit of open files: %s", strerror(errno));
}

/* Values from this size on go back to the system when they are freed. Left to itself
 * malloc raises this limit to the largest of them, and keeps holes of that size. */
#define GIVEN_BACK_BYTES (1 << 20)

static int start_store(struct daemon *daemon)
{
    struct kv_store_config config;
    kv_config_store(&daemon->config, &config);
    int err = kv_store_open(&config, &daemon->store);
    if (err == -EBUSY)
        kv_error("data directory '%s' is in use by another kvfsd", config.path);
    else if (err == -EPROTO)
        kv_error("data directory '%s' was written by an unknown version of kvfs",
                 config.path);
    else if (err == -ENOENT)
        kv_error("cannot make data directory '%s': its parent directory does not exist",
                 config.path);
    else if (err)
        kv_error("cannot open data directory '%s': %s", config.path, kv_strerror(err));
    return err;
}

static int start_mounts(struct daemon *daemon)
{
    const struct kv_config *config = &daemon->config;
    daemon->source = realpath(config->data, NULL);
    daemon->mounts = kv_mounts_new(&(struct kv_mounts_config){
        .store = daemon->store,
        .source = daemon->source,
        .threads = (unsigned)config->mount_threads,
        .allow_other = config->allow_other,
        .version = KV_VERSION,
        .config_text = (const char *const *)daemon->config_text,
        .ended = kv_quit_wake,
        .ended_ctx = &daemon->quit,
    });
    if (!daemon->mounts) {
        kv_error("out of memory");
        return -ENOMEM;
    }
    KV_CLEANUP(kv_buf_done) struct kv_buf error = {0};
    int err = 0;
    for (size_t i = 0; i < config->mounts.count && !err; i++)
        err = kv_mounts_add(daemon->mounts, config->mounts.items[i], &error);
    if (err)
        kv_error("%.*s", (int)error.len, error.data);
    return err;
}

static void add_metrics(void *ctx, struct kv_buf *out)
{
    kv_mounts_metrics(((struct daemon *)ctx)->mounts, out);
}

static void add_status(void *ctx, struct kv_buf *out)
{
    kv_mounts_status(((struct daemon *)ctx)->mounts, out);
}

static void ask(void *ctx, struct kv_mounting *mounting)
{
    kv_mountqueue_put(&((struct daemon *)ctx)->asked, mounting);
}

static int start_httpd(struct daemon *daemon)
{
    static const char *const nowhere[] = {NULL};
    const struct kv_config *config = &daemon->config;
    if (config->listen.count == 0 && !config->socket)
        return 0;
    struct kv_httpd_config httpd = {
        .listen =
            config->listen.count ? (const char *const *)config->listen.items : nowhere,
        .socket_path = config->socket,
        .threads = (unsigned)config->http_threads,
        .state_dir = config->data,
        .tokens = config->tokens,
        .tls_cert = config->tls_cert,
        .tls_key = config->tls_key,
        .insecure = config->insecure,
        .allowed_hosts = (const char *const *)config->allowed_hosts.items,
        .cors_origins = (const char *const *)config->cors_origins.items,
        .max_connections = (unsigned)config->max_connections,
        .max_watches = (unsigned)config->max_watches,
        .max_memory_bytes = config->max_http_memory,
        .version = KV_VERSION,
        .more_metrics = add_metrics,
        .more_status = add_status,
        .mount = ask,
        .more_ctx = daemon,
    };
    return kv_httpd_start(daemon->store, &httpd, &daemon->httpd); /* logs the reason */
}

/* With a socket the data directory leads to it, so that a mount(8) finds the way. Not
 * every file system has symbolic links. */
static void publish_contact(struct daemon *daemon)
{
    const struct kv_config *config = &daemon->config;
    int err = config->socket ? kv_contact_publish(config->data, config->socket) : 0;
    if (err)
        kv_warning("cannot make 'kvfs.sock' in '%s', so mount(8) will not find the way "
                   "to this kvfsd: %s",
                   config->data, kv_strerror(err));
}

static int clear_contact(struct daemon *daemon)
{
    const char *data = daemon->config.data;
    int err = kv_contact_clear(data);
    if (err)
        kv_error("cannot remove 'kvfs.sock' in '%s': %s", data,
                 err == -EEXIST ? "it is not a socket" : kv_strerror(err));
    return err;
}

static void tell_supervisor(const char *state)
{
    int err = kv_supervisor_tell(state);
    if (err)
        kv_warning("cannot tell the service manager '%s': %s", state, kv_strerror(err));
}

static void announce(struct daemon *daemon)
{
    kv_info("version %s, data in '%s'", KV_VERSION, daemon->config.data);
    kv_mounts_announce(daemon->mounts);
    const char *const *addresses =
        daemon->httpd ? kv_httpd_addresses(daemon->httpd) : NULL;
    for (; addresses && *addresses; addresses++)
        kv_info("listening on %s", *addresses);
    if (daemon->config.socket)
        kv_info("listening on '%s'", daemon->config.socket);
    kv_notice("ready");
    tell_supervisor("READY=1");
}

static int start(struct daemon *daemon)
{
    daemon->config_text = kv_config_text(&daemon->config);
    if (!daemon->config_text) {
        kv_error("out of memory");
        return -ENOMEM;
    }
    int err = start_store(daemon);
    if (!err)
        err = clear_contact(daemon);
    if (!err)
        err = start_mounts(daemon);
    if (!err)
        err = start_httpd(daemon);
    if (err)
        return err;
    publish_contact(daemon);
    announce(daemon);
    err = kv_background_ready();
    if (err)
        kv_error("cannot go into the background: %s", kv_strerror(err));
    else
        kv_log_settled();
    return err;
}

/* -- Until the end -- */

static void do_asked(struct daemon *daemon)
{
    struct kv_mounting *asked;
    while ((asked = kv_mountqueue_take(&daemon->asked))) {
        asked->error =
            asked->remove ? kv_mounts_remove(daemon->mounts, asked->dir, asked->lazy,
                                             &asked->reason)
                          : kv_mounts_add_at(daemon->mounts, asked->dir, asked->options,
                                             &asked->path, &asked->reason);
        asked->done(asked);
    }
}

/* Mounts came or went. False: nothing is left to serve. */
static bool look_after_mounts(struct daemon *daemon)
{
    size_t before = kv_mounts_count(daemon->mounts);
    kv_mounts_reap(daemon->mounts);
    do_asked(daemon);
    if (before == 0 || kv_mounts_count(daemon->mounts) > 0)
        return true;
    bool go_on = daemon->httpd && !daemon->config.until_unmounted;
    kv_notice("no mount is left: %s", go_on ? "serving HTTP only" : "stopping");
    return go_on;
}

/* False: there is nothing to read again, so SIGHUP means what it meant to those who
 * named it. A certificate that cannot be read was told of, and the old one stays. */
static bool reload(struct daemon *daemon)
{
    int err = daemon->httpd ? kv_httpd_reload(daemon->httpd) : -ENOSYS;
    if (err && err != -ENOSYS)
        kv_warning("going on with the certificate that there was");
    return err != -ENOSYS;
}

static int serve(struct daemon *daemon)
{
    for (;;) {
        enum kv_quit_reason reason;
        int signal_number = 0;
        int err = kv_quit_wait(&daemon->quit, &reason, &signal_number);
        if (err) {
            kv_error("cannot wait for signals: %s", kv_strerror(err));
            return err;
        }
        if (reason == KV_QUIT_SIGNAL && signal_number == SIGHUP && reload(daemon))
            continue;
        if (reason == KV_QUIT_SIGNAL) {
            kv_info("stopping on SIG%s", sigabbrev_np(signal_number));
            return 0;
        }
        if (!look_after_mounts(daemon))
            return 0;
    }
}

static void stop(struct daemon *daemon)
{
    kv_mountqueue_close(&daemon->asked);
    kv_httpd_stop(daemon->httpd);
    kv_mounts_stop(daemon->mounts);
    if (daemon->store)
        kv_contact_withdraw(daemon->config.data);
    kv_store_close(daemon->store);
    kv_config_text_free(daemon->config_text);
    free(daemon->source);
}

static int divert_log(const struct kv_config *config)
{
    if (!config->log && !config->background)
        return 0;
    const char *file =
        config->log && strcmp(config->log, "syslog") != 0 ? config->log : NULL;
    int err = kv_log_divert(file);
    if (err)
        kv_error("cannot write the log to '%s': %s", file, kv_strerror(err));
    return err;
}

static int run(struct daemon *daemon)
{
    int err = divert_log(&daemon->config);
    raise_file_limit();
    /* The allocator of a sanitizer has no such threshold. */
    if (!mallopt(M_MMAP_THRESHOLD, GIVEN_BACK_BYTES))
        kv_debug("large values that are freed stay in the daemon's memory");
    if (!err) {
        err = kv_quit_init(&daemon->quit);
        if (err)
            kv_error("cannot set up signals: %s", kv_strerror(err));
    }
    if (err)
        return EXIT_FAILED;
    kv_mountqueue_init(&daemon->asked, kv_quit_wake, &daemon->quit);
    err = start(daemon);
    if (!err) {
        err = serve(daemon);
        tell_supervisor("STOPPING=1");
    }
    kv_quit_release();
    stop(daemon);
    kv_quit_done(&daemon->quit);
    return err ? EXIT_FAILED : EXIT_STARTED;
}

static int run_somewhere(struct daemon *daemon)
{
    bool parent = false;
    int status = EXIT_STARTED;
    umask(
        077); /* the keys' own modes say who may read; the files behind them, nobody */
    int err = daemon->config.background ? kv_background_fork(&parent, &status) : 0;
    if (err)
        kv_error("cannot go into the background: %s", kv_strerror(err));
    return err ? EXIT_FAILED : parent ? status : run(daemon);
}

/* One that lives for its mounts is found by its data directory, so that others can join
 * them. */
static int choose_socket(struct kv_config *config)
{
    if (!config->until_unmounted || config->socket)
        return 0;
    config->socket = kv_contact_path(config->data);
    return config->socket ? 0 : -ENOMEM;
}

/* -- The command line -- */

static int print(const char *text, size_t len)
{
    if (fwrite(text, 1, len, stdout) != len || fflush(stdout) != 0) {
        kv_error("cannot write to stdout: %s", strerror(errno));
        return EXIT_FAILED;
    }
    return EXIT_STARTED;
}

static int print_help(void)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf help = {0};
    kv_config_help(&help);
    if (kv_buf_error(&help)) {
        kv_error("out of memory");
        return EXIT_FAILED;
    }
    return print(help.data, help.len);
}

static bool serves_nothing(const struct kv_config *config)
{
    return config->listen.count == 0 && !config->socket && config->mounts.count == 0;
}

static int parsed(struct daemon *daemon, int err, const struct kv_buf *error)
{
    struct kv_config *config = &daemon->config;
    if (!err)
        err = choose_socket(config);
    if (err == -ENOMEM) {
        kv_error("out of memory");
        return EXIT_FAILED;
    }
    if (err) {
        kv_error("%.*s", (int)error->len, error->data);
        return EXIT_USAGE;
    }
    if (config->help)
        return print_help();
    if (config->version)
        return print("kvfsd " KV_VERSION "\n", strlen("kvfsd " KV_VERSION "\n"));
    if (!config->tls_cert != !config->tls_key) {
        kv_error("--tls-cert and --tls-key go together");
        return EXIT_USAGE;
    }
    if (serves_nothing(config)) {
        kv_error("nothing to serve: give --mount, --listen or --socket");
        return EXIT_USAGE;
    }
    kv_log_init("kvfsd", config->verbose ? KV_LOG_DEBUG : KV_LOG_INFO);
    return run_somewhere(daemon);
}

static int kvfsd(int argc, char *argv[])
{
    struct daemon daemon = {0};
    KV_CLEANUP(kv_buf_done) struct kv_buf error = {0};
    int err = kv_config_parse(&daemon.config, argc, argv, &error);
    int status = parsed(&daemon, err, &error);
    kv_config_done(&daemon.config);
    return status;
}

/* As mount(8) calls it. */
static int mount_command(int argc, char *argv[])
{
    KV_CLEANUP(kv_mountcmd_done) struct kv_mountcmd cmd;
    KV_CLEANUP(kv_buf_done) struct kv_buf error = {0};
    char **args = NULL;
    int err = kv_mountcmd_parse(&cmd, argc, argv, &error);
    if (err) {
        kv_error("%.*s", error.len ? (int)error.len : 13,
                 error.len ? error.data : "out of memory");
        return KV_MOUNT_USAGE;
    }
    int status = kv_mountcmd_run(&cmd, &args);
    if (status >= 0)
        return status;
    int count = 0;
    while (args[count])
        count++;
    (void)pthread_setname_np(pthread_self(), "kvfsd");
    status = kvfsd(count, args);
    kv_mountcmd_free_args(args);
    return status == EXIT_STARTED ? KV_MOUNT_DONE : KV_MOUNT_FAILED;
}

/* Who starts us may have closed what the log goes to. What is opened next would get
 * that number, and the log with it. */
static int fill_standard(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    return fd < 0 || close(fd) < 0 ? -errno : 0;
}

int main(int argc, char *argv[])
{
    int err = fill_standard();
    bool helper = argc > 0 && kv_mountcmd_is_name(argv[0]);
    kv_log_init(helper ? "mount.fuse.kvfs" : "kvfsd", KV_LOG_INFO);
    if (err) {
        kv_error("cannot open '/dev/null': %s", kv_strerror(err));
        return helper ? KV_MOUNT_FAILED : EXIT_FAILED;
    }
    return helper ? mount_command(argc, argv) : kvfsd(argc, argv);
}
