/* A request's sleep and waking. The connection is suspended before the transaction is
 * submitted (or the watcher parked), so the waking can only come after it. */
#include "httpd/request.h"

#include "base/clock.h"
#include "httpd/access.h"
#include "httpd/dialects/socketio.h"
#include "httpd/import.h"
#include "httpd/mounts.h"
#include "httpd/reply.h"
#include "httpd/watch.h"

#include <errno.h>

/* A connection keeps its target buffer from request to request, up to this size. */
#define TARGET_KEEP_BYTES 4096

int kv_drain_init(struct kv_drain *drain)
{
    pthread_condattr_t attr;
    int err = pthread_condattr_init(&attr);
    if (!err)
        err = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (!err)
        err = pthread_cond_init(&drain->changed, &attr);
    if (!err)
        err = pthread_mutex_init(&drain->lock, NULL);
    (void)pthread_condattr_destroy(&attr);
    return -err;
}

void kv_drain_done(struct kv_drain *drain)
{
    (void)pthread_cond_destroy(&drain->changed);
    (void)pthread_mutex_destroy(&drain->lock);
}

void kv_drain_close(struct kv_drain *drain)
{
    KV_SCOPED_LOCK(&drain->lock);
    drain->closed = true;
}

bool kv_drain_is_closed(struct kv_drain *drain)
{
    KV_SCOPED_LOCK(&drain->lock);
    return drain->closed;
}

void kv_drain_wait(struct kv_drain *drain, int64_t timeout_ns)
{
    KV_SCOPED_LOCK(&drain->lock);
    while (drain->sleeping > 0)
        (void)pthread_cond_wait(&drain->changed, &drain->lock);
    struct timespec end = kv_ns_timespec(kv_clock_monotonic_ns() + timeout_ns);
    int err = 0;
    while (drain->unanswered > 0 && err == 0)
        err = pthread_cond_timedwait(&drain->changed, &drain->lock, &end);
}

bool kv_request_sleep(struct kv_request *request,
                      void (*resume)(struct kv_request *request))
{
    struct kv_drain *drain = &request->http->drain;
    kv_lock(&drain->lock);
    bool closed = drain->closed;
    if (!closed) {
        drain->sleeping++;
        drain->unanswered += !request->entered;
        request->entered = true;
    }
    kv_unlock(&drain->lock);
    if (closed)
        return false;
    request->resume = resume;
    request->stage = KV_STAGE_ASLEEP;
    MHD_suspend_connection(request->connection);
    return true;
}

void kv_request_wake(struct kv_request *request)
{
    struct kv_drain *drain = &request->http->drain;
    MHD_resume_connection(request->connection);
    /* Only now, so that whoever waits for "nobody sleeps" can stop the library. */
    KV_SCOPED_LOCK(&drain->lock);
    drain->sleeping--;
    if (drain->closed)
        (void)pthread_cond_broadcast(&drain->changed);
}

static void leave_drain(struct kv_request *request)
{
    struct kv_drain *drain = &request->http->drain;
    KV_SCOPED_LOCK(&drain->lock);
    drain->unanswered--;
    if (drain->closed)
        (void)pthread_cond_broadcast(&drain->changed);
}

/* On the committer thread: note the result and wake; the answer is made by the
 * connection's own thread. */
static void committed(struct kv_txn *txn, void *ctx)
{
    struct kv_request *request = ctx;
    request->error = txn->error;
    request->revision = txn->revision;
    if (!txn->error && txn->op_count > 0) {
        const struct kv_op *op = &txn->ops[0];
        request->created = op->created;
        request->number = op->number;
        request->count = op->count;
        request->mod_revision = op->result ? op->result->meta.mod_revision : 0;
        request->version = op->result ? op->result->meta.version : 0;
        request->size = op->result ? op->result->meta.size : 0;
        request->expiry_ns = op->result ? op->result->meta.expiry_ns : 0;
    }
    kv_request_wake(request);
}

void kv_request_submit(struct kv_request *request, struct kv_txn *txn,
                       void (*resume)(struct kv_request *request))
{
    txn->done = committed;
    txn->ctx = request;
    bool allowed = kv_access_check_txn(request, txn);
    if (!allowed || !kv_request_sleep(request, resume)) {
        request->txn = NULL;
        kv_txn_free(txn);
        if (allowed)
            kv_reply_errno(request, -ESHUTDOWN, NULL, 0);
        return;
    }
    kv_store_submit(request->http->store, txn);
}

void kv_request_submit_kept(struct kv_request *request, struct kv_txn *txn,
                            void (*resume)(struct kv_request *request))
{
    txn->kept = true;
    request->txn = txn;
    kv_request_submit(request, txn, resume);
}

bool kv_request_charge(struct kv_request *request, uint64_t bytes)
{
    struct kv_http *http = request->http;
    request->charged += bytes;
    return atomic_fetch_add(&http->body_memory, bytes) + bytes <= http->max_body_memory;
}

void kv_request_uncharge(struct kv_request *request, uint64_t bytes)
{
    request->charged -= bytes;
    atomic_fetch_sub(&request->http->body_memory, bytes);
}

void kv_request_reset(struct kv_request *request)
{
    if (request->entered)
        leave_drain(request);
    if (request->response && !request->borrowed)
        MHD_destroy_response(request->response);
    kv_record_unref(request->record);
    kv_socketio_release(request); /* which knows the watcher */
    kv_watcher_free(request->watcher);
    kv_txn_free(request->txn);
    kv_import_free(request->import);
    kv_mounts_job_free(request->mounting);
    kv_caller_done(&request->caller);
    if (request->answer_taken)
        kv_budget_give(&request->http->answers, request->answer_taken);
    if (request->charged)
        atomic_fetch_sub(&request->http->body_memory, request->charged);
    kv_buf_done(&request->body);
    struct kv_buf target = request->target;
    if (target.cap > TARGET_KEEP_BYTES)
        kv_buf_done(&target);
    kv_buf_reset(&target);
    *request = (struct kv_request){
        .http = request->http, .connection = request->connection, .target = target};
}
