/* A mount's life: the checks before, the session with its threads, and the end.
 *
 * Taking it down is a matter of order. The notifier makes system calls on the mount, so
 * it ends while requests are still served. A request to ourselves then makes sure that
 * what closes have sent (RELEASE comes without anyone waiting for it) was read. The
 * observer goes before the session's descriptor is closed, which it writes to.
 * Unmounting is lazy: processes that are inside keep a dead filesystem. The workers
 * wait in the kernel and notice the end at their next request, so they get one more. */
#include "fuse/mountpoint.h"
#include "fuse/notify.h"
#include "fuse/observe.h"
#include "fuse/outside.h"
#include "fuse/publish.h"
#include "fuse/readonly.h"

#include "base/clock.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define MAX_WRITE (1u << 20)
#define MAX_THREADS 8
#define MIN_THREADS 2
/* RELEASE counts among the requests in the background; a low limit would hold it back.
 */
#define MAX_BACKGROUND 128
/* For the loop's thread alone. */
#define WAKE_SIGNAL SIGUSR2

/* -- What libfuse is told -- */

static void want(struct fuse_conn_info *conn, unsigned capability, bool wanted)
{
    if (wanted && (conn->capable & capability))
        conn->want |= capability;
    else
        conn->want &= ~capability;
}

static void init(void *userdata, struct fuse_conn_info *conn)
{
    (void)userdata;
    want(conn, FUSE_CAP_ATOMIC_O_TRUNC, true);
    want(conn, FUSE_CAP_ASYNC_READ, true);
    want(conn, FUSE_CAP_READDIRPLUS, true);
    want(conn, FUSE_CAP_READDIRPLUS_AUTO, true);
    want(conn, FUSE_CAP_PARALLEL_DIROPS, true);
    /* A listing is checked against the directory's mtime when it is read from the
     * kernel's cache: that catches one that was cached just after its invalidation. */
    want(conn, FUSE_CAP_AUTO_INVAL_DATA, true);
    want(conn, FUSE_CAP_EXPORT_SUPPORT, false);
    want(conn, FUSE_CAP_WRITEBACK_CACHE, false);
    want(conn, FUSE_CAP_CACHE_SYMLINKS, false);
    /* For values of a few bytes the pipe costs more than the copy. */
    want(conn, FUSE_CAP_SPLICE_READ | FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE,
         false);
    conn->max_write = MAX_WRITE;
    conn->max_background = MAX_BACKGROUND;
    conn->congestion_threshold = MAX_BACKGROUND * 3 / 4;
    conn->time_gran = 1;
}

static const struct fuse_lowlevel_ops operations = {
    .init = init,
    .lookup = kv_op_lookup,
    .forget = kv_op_forget,
    .forget_multi = kv_op_forget_multi,
    .getattr = kv_op_getattr,
    .setattr = kv_op_setattr,
    .readlink = kv_op_readlink,
    .mknod = kv_op_mknod,
    .mkdir = kv_op_mkdir,
    .unlink = kv_op_unlink,
    .rmdir = kv_op_rmdir,
    .symlink = kv_op_symlink,
    .rename = kv_op_rename,
    .link = kv_op_link,
    .open = kv_op_open,
    .read = kv_op_read,
    .write = kv_op_write,
    .fallocate = kv_op_fallocate,
    .flush = kv_op_flush,
    .release = kv_op_release,
    .fsync = kv_op_fsync,
    .opendir = kv_op_opendir,
    .readdir = kv_op_readdir,
    .readdirplus = kv_op_readdirplus,
    .releasedir = kv_op_releasedir,
    .fsyncdir = kv_op_fsyncdir,
    .statfs = kv_op_statfs,
    .setxattr = kv_op_setxattr,
    .getxattr = kv_op_getxattr,
    .listxattr = kv_op_listxattr,
    .removexattr = kv_op_removexattr,
    .create = kv_op_create,
};

__attribute__((format(printf, 2, 0))) static void
log_libfuse(enum fuse_log_level level, const char *format, va_list args)
{
    char text[512];
    int len = vsnprintf(text, sizeof(text), format, args);
    if (len < 0)
        return;
    text[strcspn(text, "\n")] = '\0';
    kv_log(level <= FUSE_LOG_ERR       ? KV_LOG_ERROR
           : level == FUSE_LOG_WARNING ? KV_LOG_WARNING
                                       : KV_LOG_DEBUG,
           "%s", text);
}

/* -- Start -- */

static unsigned thread_count(unsigned wanted)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned count = wanted ? wanted : cores > 0 ? (unsigned)cores : MIN_THREADS;
    return count < MIN_THREADS   ? MIN_THREADS
           : count > MAX_THREADS ? MAX_THREADS
                                 : count;
}

/* libfuse takes options apart at commas. */
static void add_source(struct kv_buf *out, const char *source)
{
    kv_buf_adds(out, "-ofsname=");
    for (; *source; source++) {
        if (*source == ',' || *source == '\\')
            kv_buf_addc(out, '\\');
        kv_buf_addc(out, *source);
    }
    kv_buf_addc(out, '\0');
}

static int add_options(struct fuse_args *args, const struct kv_mount_config *config)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf source = {0};
    add_source(&source, config->source ? config->source : "kvfs");
    if (kv_buf_error(&source) || fuse_opt_add_arg(args, "kvfs") ||
        fuse_opt_add_arg(args, "-osubtype=kvfs,default_permissions") ||
        fuse_opt_add_arg(args, source.data) ||
        (config->allow_other && fuse_opt_add_arg(args, "-oallow_other")) ||
        (config->options &&
         (fuse_opt_add_arg(args, "-o") || fuse_opt_add_arg(args, config->options))))
        return -ENOMEM;
    return 0;
}

static int new_session(struct kv_mount *mount, const struct kv_mount_config *config)
{
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    int err = add_options(&args, config);
    if (!err) {
        fuse_set_log_func(log_libfuse);
        mount->session =
            fuse_session_new(&args, &operations, sizeof(operations), mount);
        err = mount->session ? 0 : -ENOMEM;
    }
    fuse_opt_free_args(&args);
    return err;
}

/* -- Unmounting -- */

/* Whether the kernel still has the mount, for whomever. Its device may be another's
 * otherwise. */
static bool is_alive(const struct kv_mount *mount)
{
    struct pollfd session = {.fd = fuse_session_fd(mount->session)};
    return poll(&session, 1, 0) != 1 || !(session.revents & POLLERR);
}

/* Have libfuse let go of the mount. By itself it would unmount what is at the path by
 * then, whatever that is, unless the descriptor says that the kernel has let go first:
 * the end of a pipe that nobody reads says the same. */
static int leave_session(struct kv_mount *mount)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return -errno;
    (void)close(ends[0]);
    int err =
        dup3(ends[1], fuse_session_fd(mount->session), O_CLOEXEC) < 0 ? -errno : 0;
    (void)close(ends[1]);
    if (!err)
        fuse_session_unmount(mount->session);
    return err;
}

/* Closes the descriptor that notifications are written to: its number may then be
 * somebody else's. */
static void close_session(struct kv_mount *mount)
{
    bool alive = is_alive(mount);
    pthread_rwlock_wrlock(&mount->session_lock);
    mount->session_closed = true;
    pthread_rwlock_unlock(&mount->session_lock);
    int err = leave_session(mount);
    if (err)
        kv_error("the descriptor of the mount on '%s' stays open for now: %s",
                 mount->path, kv_strerror(err));
    err = alive ? kv_mountpoint_unmount(mount->path, mount->device, true) : 0;
    if (err && err != -EBUSY) /* that it is hidden was said */
        kv_error("cannot unmount '%s': %s", mount->path, kv_strerror(err));
}

/* -- The loop -- */

struct loop_start {
    struct kv_mount *mount;
    struct fuse_loop_config *config;
};

static void *run_loop(void *arg)
{
    struct loop_start start = *(struct loop_start *)arg;
    struct kv_mount *mount = start.mount;
    free(arg);
    sigset_t wake;
    sigemptyset(&wake);
    sigaddset(&wake, WAKE_SIGNAL);
    pthread_sigmask(SIG_UNBLOCK, &wake, NULL);
    (void)pthread_setname_np(pthread_self(), "kvfs-mount");
    int err = fuse_session_loop_mt(mount->session, start.config);
    fuse_loop_cfg_destroy(start.config);
    if (atomic_load(&mount->stopping))
        return NULL;
    if (err)
        kv_error("the mount on '%s' failed: %s", mount->path, kv_strerror(err));
    if (mount->ended)
        mount->ended(mount->ended_ctx);
    return NULL;
}

/* The loop's threads inherit the signal mask: signals are for the daemon's main thread.
 */
static int create_masked(pthread_t *thread, void *(*fn)(void *), void *arg)
{
    sigset_t all, old;
    sigfillset(&all);
    int err = pthread_sigmask(SIG_SETMASK, &all, &old);
    if (err)
        return -err;
    err = pthread_create(thread, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return -err;
}

static int start_loop(struct kv_mount *mount, unsigned threads)
{
    struct loop_start *start = malloc(sizeof(*start));
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    if (!start || !config) {
        free(start);
        if (config)
            fuse_loop_cfg_destroy(config);
        return -ENOMEM;
    }
    fuse_loop_cfg_set_clone_fd(config, 1);
    fuse_loop_cfg_set_max_threads(config, thread_count(threads));
    fuse_loop_cfg_set_idle_threads(config, thread_count(threads));
    *start = (struct loop_start){mount, config};
    int err = create_masked(&mount->loop, run_loop, start);
    if (err) {
        fuse_loop_cfg_destroy(config);
        free(start);
    }
    return err;
}

static void free_mount(struct kv_mount *mount)
{
    if (mount->session)
        fuse_session_destroy(mount->session);
    kv_notifier_free(mount->notifier);
    kv_retry_done(&mount->retry);
    kv_inodes_done(&mount->inodes);
    pthread_mutex_destroy(&mount->opened_lock);
    pthread_mutex_destroy(&mount->flight_lock);
    pthread_cond_destroy(&mount->landed);
    pthread_rwlock_destroy(&mount->session_lock);
    free(mount->path);
    free(mount);
}

/* The table of inodes, with the directory that is mounted as its root. */
static int init_inodes(struct kv_mount *mount, const char *subdir)
{
    const char *key = subdir ? subdir : "";
    KV_CLEANUP(kv_record_unrefp) struct kv_record *root = NULL;
    int err = kv_store_stat(mount->store, key, strlen(key), &root);
    if (!err && !kv_record_is_dir(root))
        err = -ENOTDIR;
    if (err)
        return subdir ? -EREMOTE : err;
    mount->root_id = root->meta.id;
    return kv_inodes_init(&mount->inodes, mount->root_id, key, strlen(key));
}

static int new_mount(struct kv_store *store, const struct kv_mount_config *config,
                     struct kv_mount **ret)
{
    struct kv_store_status status;
    struct kv_mount *mount = calloc(1, sizeof(*mount));
    if (!mount)
        return -ENOMEM;
    mount->store = store;
    int err = init_inodes(mount, config->subdir);
    if (err) {
        free(mount);
        return err;
    }
    kv_retry_init(&mount->retry);
    kv_list_init(&mount->dirs);
    kv_list_init(&mount->texts);
    pthread_mutex_init(&mount->opened_lock, NULL);
    pthread_mutex_init(&mount->flight_lock, NULL);
    pthread_cond_init(&mount->landed, NULL);
    pthread_rwlock_init(&mount->session_lock, NULL);
    mount->origin = KV_ORIGIN_MOUNT + config->index;
    mount->read_only = config->read_only;
    mount->view = config->view;
    mount->version = config->version;
    mount->config_text = config->config_text;
    mount->ended = config->ended;
    mount->ended_ctx = config->ended_ctx;
    mount->observer = (struct kv_observer){.fn = kv_observe, .ctx = mount};
    mount->path = strdup(config->path);
    err = mount->path ? kv_store_status(store, &status) : -ENOMEM;
    if (!err) {
        mount->max_value_bytes = status.max_value_bytes;
        err = kv_notifier_new(mount, &mount->notifier);
    }
    if (!err)
        err = new_session(mount, config);
    if (err)
        free_mount(mount);
    else
        *ret = mount;
    return err;
}

/* The errno of a mount that failed; libfuse has said why, not how. */
static int mount_error(void)
{
    if (access("/dev/fuse", F_OK) < 0)
        return -ENODEV;
    return -EPERM;
}

/* On a thread of its own (outside.h): waits until the session has answered the kernel's
 * first request. */
static void *first_request(void *arg)
{
    struct kv_mount *mount = arg;
    struct stat st;
    (void)kv_outside_enter(); /* the notifier reports that */
    int err = stat(mount->path, &st) < 0 ? -errno : 0;
    return (void *)(intptr_t)err;
}

static int wait_ready(struct kv_mount *mount)
{
    pthread_t thread;
    void *result;
    int err = create_masked(&thread, first_request, mount);
    if (err)
        return err;
    pthread_join(thread, &result);
    return (int)(intptr_t)result;
}

int kv_mount_start(struct kv_store *store, const struct kv_mount_config *config,
                   struct kv_mount **ret)
{
    struct kv_mount *mount;
    int err = kv_mountpoint_prepare(config->path);
    if (!err)
        err = new_mount(store, config, &mount);
    if (err)
        return err;
    if (fuse_session_mount(mount->session, mount->path)) {
        free_mount(mount);
        return mount_error();
    }
    uint64_t revision = kv_store_revision(store);
    kv_store_add_observer(store, &mount->observer);
    err = kv_mountpoint_device(mount->path, &mount->device);
    if (!err)
        err = start_loop(mount, config->threads);
    if (err) {
        kv_store_remove_observer(store, &mount->observer);
        close_session(mount);
        free_mount(mount);
        return err;
    }
    err = wait_ready(mount);
    if (!err && mount->read_only && kv_readonly_set(mount->path))
        err = -EROFS;
    if (!err)
        err = kv_notifier_start(mount->notifier, revision);
    if (err)
        kv_mount_stop(mount);
    else
        *ret = mount;
    return err;
}

/* -- Stop -- */

/* The last two requests, from a thread of their own (outside.h). */
struct farewell {
    const struct kv_mount *mount;
    pthread_t thread;
    bool started;
    bool arrived; /* the first was answered: the path leads to the mount */
    sem_t read;   /* everything sent before the first was read */
    sem_t detach; /* the second may go: it ends a worker's wait */
};

static bool request(int root)
{
    struct statx sx;
    return root >= 0 &&
           statx(root, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_INO, &sx) == 0;
}

/* The mount's root, if the path still leads there. */
static int open_root(const struct kv_mount *mount)
{
    struct stat st;
    int fd = openat(AT_FDCWD, mount->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 &&
        (fstatat(fd, "", &st, AT_EMPTY_PATH) < 0 || st.st_dev != mount->device))
        kv_outside_close(&fd);
    return fd;
}

static void wait_for(sem_t *sem)
{
    while (sem_wait(sem) < 0)
        assert(errno == EINTR);
}

static void *say_farewell(void *arg)
{
    struct farewell *farewell = arg;
    (void)kv_outside_enter();
    KV_CLEANUP(kv_outside_close) int root = open_root(farewell->mount);
    farewell->arrived = request(root);
    sem_post(&farewell->read);
    wait_for(&farewell->detach);
    (void)request(root); /* an error is an answer too */
    return NULL;
}

static void begin_farewell(struct farewell *farewell, const struct kv_mount *mount)
{
    *farewell = (struct farewell){.mount = mount};
    sem_init(&farewell->read, 0, 0);
    sem_init(&farewell->detach, 0, 0);
    farewell->started = create_masked(&farewell->thread, say_farewell, farewell) == 0;
    if (farewell->started)
        wait_for(&farewell->read);
    else
        kv_error("cannot make a thread: '%s' is unmounted when it is next used",
                 mount->path);
}

static void end_farewell(struct farewell *farewell)
{
    sem_post(&farewell->detach);
    if (farewell->started)
        pthread_join(farewell->thread, NULL);
    sem_destroy(&farewell->read);
    sem_destroy(&farewell->detach);
}

static void do_nothing(int signal_number)
{
    (void)signal_number;
}

/* Where no farewell could be said, because something hides the mount that cannot be
 * taken away, no request comes any more to end the workers' wait. A signal ends that of
 * libfuse's loop, which then cancels the workers; it is repeated because it may come
 * just before the wait. */
static void join_loop(struct kv_mount *mount, bool arrived)
{
    struct sigaction action = {.sa_handler = do_nothing};
    (void)sigaction(WAKE_SIGNAL, &action, NULL); /* cannot fail for this one */
    int err = arrived ? pthread_join(mount->loop, NULL) : ETIMEDOUT;
    while (err == ETIMEDOUT) {
        struct timespec end =
            kv_ns_timespec(kv_clock_realtime_ns() + 10 * KV_NS_PER_MS);
        (void)pthread_kill(mount->loop, WAKE_SIGNAL); /* ESRCH: it has ended */
        err = pthread_timedjoin_np(mount->loop, NULL, &end);
    }
    assert(err == 0);
}

void kv_mount_drop_attr(struct kv_mount *mount, fuse_ino_t ino)
{
    pthread_rwlock_rdlock(&mount->session_lock);
    if (!mount->session_closed)
        (void)fuse_lowlevel_notify_inval_inode(mount->session, kv_nodeid_of(mount, ino),
                                               -1, 0);
    pthread_rwlock_unlock(&mount->session_lock);
}

static void wait_landed(struct kv_mount *mount)
{
    KV_SCOPED_LOCK(&mount->flight_lock);
    while (mount->in_flight > 0)
        pthread_cond_wait(&mount->landed, &mount->flight_lock);
}

/* What processes still have open. What they have not closed is not published. */
static void free_handles(struct kv_mount *mount)
{
    struct kv_inodes *inodes = &mount->inodes;
    for (size_t i = 0; i < inodes->bucket_count; i++) {
        struct kv_inode *inode = inodes->buckets[i];
        while (inode) {
            if (kv_list_empty(&inode->handles)) {
                inode = inode->hash_next;
                continue;
            }
            struct kv_list_node *node = inode->handles.next;
            kv_list_remove(node);
            kv_handle_drop(mount, KV_CONTAINER_OF(node, struct kv_handle, node));
            inode = inodes->buckets[i]; /* it may be gone now */
        }
    }
}

void kv_mount_stop(struct kv_mount *mount)
{
    if (!mount)
        return;
    atomic_store(&mount->stopping, true);
    kv_notifier_stop(mount->notifier);
    if (is_alive(mount))
        kv_mountpoint_uncover(mount->path, mount->device);
    struct farewell farewell;
    begin_farewell(&farewell, mount);
    kv_store_remove_observer(mount->store, &mount->observer);
    fuse_session_exit(mount->session);
    close_session(mount);
    end_farewell(&farewell);
    join_loop(mount, farewell.arrived);
    wait_landed(mount);
    free_handles(mount);
    kv_control_free_all(mount);
    kv_dir_free_all(mount);
    free_mount(mount);
}

int kv_mount_detach(struct kv_mount *mount, bool lazy)
{
    if (lazy)
        kv_mountpoint_uncover(mount->path, mount->device);
    return kv_mountpoint_unmount(mount->path, mount->device, lazy);
}

enum kv_mount_place kv_mount_place(const struct kv_mount *mount)
{
    return kv_mountpoint_place(mount->path, mount->device);
}

const char *kv_mount_path(const struct kv_mount *mount)
{
    return mount->path;
}

void kv_mount_status(struct kv_mount *mount, struct kv_mount_status *ret)
{
    *ret = (struct kv_mount_status){
        .open_handles = atomic_load(&mount->open_handles),
        .requests = atomic_load(&mount->requests),
    };
    kv_notifier_status(mount->notifier, ret);
    KV_SCOPED_LOCK(&mount->inodes.lock);
    ret->inodes = mount->inodes.count;
}
