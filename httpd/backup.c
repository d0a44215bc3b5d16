/* GET /v1/backup: a consistent copy of the LMDB file, streamed while writes go on.
 *
 * LMDB writes its copy to a descriptor and blocks there, so it has a thread of its own
 * (kv-backup) and a pipe; nothing is put on the disk first, so a full one can be backed
 * up, too. The connection reads the pipe without waiting, and sleeps when it is empty;
 * a second thread (kv-backup-wake) polls the pipe then and wakes it. When the client
 * goes away the pipe is closed and LMDB gives up. The snapshot costs room like that of
 * an export, so there is one backup at a time. */
#include "base/clock.h"
#include "base/log.h"
#include "httpd/access.h"
#include "httpd/conn.h"
#include "httpd/reply.h"
#include "httpd/route.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

/* Of the pipe, if the kernel allows: so fewer sleeps. */
#define PIPE_BYTES (1 << 20)
#define PIECE_BYTES (64 * 1024)

struct kv_backup {
    struct kv_request *request;
    int read_fd, write_fd; /* of the pipe; the writing end is the copier's */
    pthread_t copier, waker;
    bool copies, wakes; /* the threads run */
    atomic_int error;   /* what the copy ended with; set before the pipe is closed */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool asleep, stop; /* lock: of the connection; of the waker */
    uint64_t total;    /* bytes handed out */
    int64_t start_ns;  /* monotonic */
};

/* -- The threads -- */

static void *copy_main(void *arg)
{
    struct kv_backup *backup = arg;
    int err = kv_store_backup(backup->request->http->store, backup->write_fd);
    if (err && err != -EPIPE)
        kv_error("a backup failed: %s", kv_strerror(err));
    atomic_store(&backup->error, err);
    (void)close(backup->write_fd);
    return NULL;
}

static bool wait_asleep(struct kv_backup *backup)
{
    KV_SCOPED_LOCK(&backup->lock);
    while (!backup->asleep && !backup->stop)
        (void)pthread_cond_wait(&backup->changed, &backup->lock);
    backup->asleep = false;
    return !backup->stop;
}

static void *wake_main(void *arg)
{
    struct kv_backup *backup = arg;
    while (wait_asleep(backup)) {
        struct pollfd in = {backup->read_fd, POLLIN, 0};
        while (poll(&in, 1, -1) < 0 && errno == EINTR)
            ;
        kv_request_wake(backup->request);
    }
    return NULL;
}

static int start_thread(pthread_t *thread, void *(*run)(void *arg), const char *name,
                        struct kv_backup *backup)
{
    int err = pthread_create(thread, NULL, run, backup);
    if (!err)
        (void)pthread_setname_np(*thread, name);
    return -err;
}

static int start(struct kv_backup *backup)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC))
        return -errno;
    backup->read_fd = fds[0];
    backup->write_fd = fds[1];
    if (fcntl(fds[0], F_SETFL, O_NONBLOCK))
        return -errno;
    (void)fcntl(fds[1], F_SETPIPE_SZ, PIPE_BYTES); /* it works with less, too */
    int err = start_thread(&backup->waker, wake_main, "kv-backup-wake", backup);
    backup->wakes = err == 0;
    if (!err)
        err = start_thread(&backup->copier, copy_main, "kv-backup", backup);
    backup->copies = err == 0;
    return err;
}

/* Not while the connection sleeps. Waits for what the copier is about to write, at most
 * a MiB, which then finds the pipe closed. */
static void free_backup(void *cls)
{
    struct kv_backup *backup = cls;
    struct kv_http *http = backup->request->http;
    kv_lock(&backup->lock);
    backup->stop = true;
    (void)pthread_cond_signal(&backup->changed);
    kv_unlock(&backup->lock);
    if (backup->wakes)
        (void)pthread_join(backup->waker, NULL);
    kv_close(&backup->read_fd);
    if (backup->copies)
        (void)pthread_join(backup->copier, NULL);
    else
        kv_close(&backup->write_fd);
    (void)pthread_cond_destroy(&backup->changed);
    (void)pthread_mutex_destroy(&backup->lock);
    atomic_store(&http->backup, false);
    free(backup);
}

/* -- The connection -- */

static ssize_t sleep_until_more(struct kv_backup *backup)
{
    kv_conn_deadline(kv_request_conn(backup->request), 0); /* not the client's fault */
    if (!kv_request_sleep(backup->request, NULL))          /* the server is stopping */
        return MHD_CONTENT_READER_END_WITH_ERROR;
    KV_SCOPED_LOCK(&backup->lock);
    backup->asleep = true;
    (void)pthread_cond_signal(&backup->changed);
    return 0;
}

/* MHD_ContentReaderCallback. A copy that failed, or is not for the client any more,
 * ends without the last chunk. */
static ssize_t read_copy(void *cls, uint64_t pos, char *buf, size_t max)
{
    struct kv_backup *backup = cls;
    (void)pos;
    if (!kv_access_holds(backup->request))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    ssize_t len = read(backup->read_fd, buf, max);
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return sleep_until_more(backup);
    if (len < 0 || (len == 0 && atomic_load(&backup->error)))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (len == 0)
        return MHD_CONTENT_READER_END_OF_STREAM;
    backup->total += (uint64_t)len;
    kv_conn_deadline_since(
        kv_request_conn(backup->request), backup->start_ns,
        kv_http_transfer_ns(backup->request->http, backup->total + PIECE_BYTES));
    return len;
}

static struct kv_backup *new_backup(struct kv_request *request)
{
    struct kv_backup *backup = calloc(1, sizeof(*backup));
    if (!backup)
        return NULL;
    backup->request = request;
    backup->read_fd = backup->write_fd = -1;
    backup->start_ns = kv_clock_monotonic_ns();
    pthread_mutex_init(&backup->lock, NULL);
    pthread_cond_init(&backup->changed, NULL);
    return backup;
}

void kv_backup_get(struct kv_request *request)
{
    if (atomic_exchange(&request->http->backup, true)) {
        kv_reply_error(request, 503, "busy", NULL, 0,
                       "a backup is under way; there is one at a time");
        kv_reply_header(request, MHD_HTTP_HEADER_RETRY_AFTER, "5");
        return;
    }
    struct kv_backup *backup = new_backup(request);
    if (!backup) {
        atomic_store(&request->http->backup, false);
        kv_reply_errno(request, -ENOMEM, NULL, 0);
        return;
    }
    struct MHD_Response *response = NULL;
    int err = start(backup);
    if (!err)
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16 * 1024,
                                                     read_copy, backup, free_backup);
    if (!response) {
        free_backup(backup);
        kv_reply_errno(request, err == -EAGAIN || !err ? -ENOMEM : err, NULL, 0);
        return;
    }
    request->streams = true;
    kv_reply(request, 200, response);
    kv_reply_header(request, MHD_HTTP_HEADER_CONTENT_TYPE, "application/octet-stream");
    kv_reply_header(request, "Content-Disposition",
                    "attachment; filename=\"data.mdb\"");
    kv_reply_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
}
