/* /v1/mounts: directories that the daemon mounts and unmounts while it runs. Only on
 * the Unix socket, and only for root and whom the daemon runs as: whoever may ask for
 * this has the daemon make system calls on paths in that user's name.
 *
 * The daemon's main thread does it (server.h); the connection sleeps meanwhile. */
#include "base/json.h"
#include "httpd/access.h"
#include "httpd/field.h"
#include "httpd/member.h"
#include "httpd/mounts.h"
#include "httpd/reply.h"
#include "httpd/route.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct kv_mounts_job {
    struct kv_mounting mounting; /* what the daemon sees */
    struct kv_request *request;
    struct kv_buf dir, options;
};

void kv_mounts_job_free(struct kv_mounts_job *job)
{
    if (!job)
        return;
    kv_buf_done(&job->dir);
    kv_buf_done(&job->options);
    kv_buf_done(&job->mounting.path);
    kv_buf_done(&job->mounting.reason);
    free(job);
}

/* -- Who may -- */

static bool is_allowed(struct kv_request *request)
{
    const struct kv_conn *conn = kv_request_conn(request);
    if (!request->http->mount)
        kv_reply_error(request, 404, "no_such_route", NULL, 0,
                       "this daemon does not mount");
    else if (!conn->local)
        kv_reply_error(request, 403, "local_only", NULL, 0,
                       "mounts are a matter for the Unix socket");
    else if (!kv_access_is_own_user(request))
        kv_reply_error(request, 403, "not_permitted", NULL, 0,
                       "mounts are a matter for root and whom the daemon runs as");
    else
        return true;
    return false;
}

/* A path means what it says in one mount namespace (mount_namespaces(7)) only. */
static bool is_same_namespace(struct kv_request *request, const char *asked, size_t len)
{
    char own[64];
    ssize_t own_len = readlink("/proc/self/ns/mnt", own, sizeof(own));
    if (own_len < 0 || ((size_t)own_len == len && memcmp(own, asked, len) == 0))
        return true;
    kv_reply_error(request, 409, "other_namespace", NULL, 0,
                   "the daemon is in another mount namespace: what it mounts would not "
                   "be seen in yours");
    return false;
}

/* -- Asking the daemon -- */

/* What the daemon's errors mean when it mounts, and when it unmounts. */
static const struct {
    int error;
    unsigned status;
    const char *mounting, *unmounting;
} table[] = {
    {-EINVAL, 400, "invalid_option", "invalid_option"},
    {-ENOENT, 404, "no_such_directory", "not_mounted"},
    {-EREMOTE, 404, "no_such_subdir", NULL},
    {-ENOTDIR, 409, "not_a_directory", NULL},
    {-ENOTEMPTY, 409, "directory_not_empty", NULL},
    {-EBUSY, 409, "already_mounted", "in_use"},
    {-ENOSPC, 409, "too_many_mounts", NULL},
    {-EPERM, 403, "not_permitted", "not_permitted"},
    {-EACCES, 403, "not_permitted", "not_permitted"},
    {-EROFS, 403, "not_permitted", NULL},
};

static void reply_failure(struct kv_request *request, const struct kv_mounting *job)
{
    int error = kv_buf_error(&job->reason) ? -ENOMEM : job->error;
    if (error == -ENOMEM || error == -ESHUTDOWN) {
        kv_reply_errno(request, error, NULL, 0);
        return;
    }
    unsigned status = 500;
    const char *code = NULL;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].error == error) {
            status = table[i].status;
            code = job->remove ? table[i].unmounting : table[i].mounting;
        }
    kv_reply_error(request, status, code ? code : "internal", NULL, 0, "%.*s",
                   (int)job->reason.len, job->reason.data);
}

static void reply_result(struct kv_request *request)
{
    const struct kv_mounting *job = &request->mounting->mounting;
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    if (job->error) {
        reply_failure(request, job);
    } else if (job->remove) {
        kv_reply_empty(request, 204);
    } else {
        kv_buf_addc(&json, '{');
        kv_json_bytes(&json, "path", job->path.data, job->path.len);
        json.failed |= kv_buf_error(&job->path) != 0;
        kv_buf_addf(&json, ",\"pid\":%ld}\n", (long)getpid());
        kv_reply_buf(request, 201, "application/json", &json);
    }
}

static void wake(struct kv_mounting *mounting)
{
    struct kv_mounts_job *job =
        KV_CONTAINER_OF(mounting, struct kv_mounts_job, mounting);
    kv_request_wake(job->request);
}

/* Takes over the job. */
static void submit(struct kv_request *request, struct kv_mounts_job *job)
{
    kv_buf_addc(&job->dir, '\0');
    kv_buf_addc(&job->options, '\0');
    request->mounting = job;
    job->request = request;
    job->mounting.dir = job->dir.data;
    job->mounting.options = job->options.data;
    job->mounting.done = wake;
    if (kv_buf_error(&job->dir) || kv_buf_error(&job->options))
        kv_reply_errno(request, -ENOMEM, NULL, 0);
    else if (strlen(job->dir.data) + 1 != job->dir.len ||
             strlen(job->options.data) + 1 != job->options.len)
        kv_reply_invalid_param(request, "dir, options", "no NUL bytes");
    else if (*job->dir.data != '/')
        kv_reply_invalid_param(request, "dir", "must be an absolute path");
    else if (!kv_request_sleep(request, reply_result))
        kv_reply_errno(request, -ESHUTDOWN, NULL, 0);
    else
        request->http->mount(request->http->more_ctx, &job->mounting);
}

static struct kv_mounts_job *new_job(struct kv_request *request, bool remove)
{
    struct kv_mounts_job *job = calloc(1, sizeof(*job));
    if (job)
        job->mounting.remove = remove;
    else
        kv_reply_errno(request, -ENOMEM, NULL, 0);
    return job;
}

/* -- The handlers -- */

/* {"dir":DIR,"options":OPTIONS,"namespace":NAMESPACE}. 0, or -EINVAL and the rule. */
static int read_body(const struct kv_buf *body, struct kv_mounts_job *job,
                     struct kv_buf *name_space, struct kv_buf *rule)
{
    enum { DIR, DIR_ENCODING, OPTIONS, OPTIONS_ENCODING, NAMESPACE, MEMBERS };
    static const char *const names[MEMBERS + 1] = {"dir", "dir_encoding", "options",
                                                   "options_encoding", "namespace"};
    static const struct kv_span plain = {0};
    struct kv_span object, members[MEMBERS];
    if (kv_json_read(body->data, body->len, &object)) {
        kv_buf_adds(rule, "the body must be JSON");
        return -EINVAL;
    }
    int err = kv_members(object, names, members, rule);
    if (!err && !members[DIR].data) {
        kv_buf_adds(rule, "dir: is needed");
        err = -EINVAL;
    }
    if (!err)
        err = kv_member_bytes("dir", members[DIR], members[DIR_ENCODING], &job->dir,
                              rule);
    if (!err && members[OPTIONS].data)
        err = kv_member_bytes("options", members[OPTIONS], members[OPTIONS_ENCODING],
                              &job->options, rule);
    if (!err && members[NAMESPACE].data)
        err = kv_member_bytes("namespace", members[NAMESPACE], plain, name_space, rule);
    return err;
}

void kv_mounts_post(struct kv_request *request)
{
    if (!is_allowed(request))
        return;
    KV_CLEANUP(kv_buf_done) struct kv_buf name_space = {0}, rule = {0};
    struct kv_mounts_job *job = new_job(request, false);
    if (!job)
        return;
    if (read_body(&request->body, job, &name_space, &rule))
        kv_reply_error(request, 400, "bad_request", NULL, 0, "%.*s", (int)rule.len,
                       rule.data);
    else if (name_space.len == 0 ||
             is_same_namespace(request, name_space.data, name_space.len)) {
        submit(request, job);
        return;
    }
    kv_mounts_job_free(job);
}

void kv_mounts_delete(struct kv_request *request)
{
    const struct kv_param *dir = kv_uri_param(&request->uri, "dir");
    const struct kv_param *lazy = kv_uri_param(&request->uri, "lazy");
    const struct kv_param *name_space = kv_uri_param(&request->uri, "namespace");
    bool is_lazy = false;
    if (!is_allowed(request))
        return;
    if (!dir) {
        kv_reply_invalid_param(request, "dir", "is needed");
    } else if (lazy && kv_bool_parse(lazy->value, lazy->value_len, &is_lazy)) {
        kv_reply_invalid_param(request, "lazy", "must be 1 or 0");
    } else if (!name_space ||
               is_same_namespace(request, name_space->value, name_space->value_len)) {
        struct kv_mounts_job *job = new_job(request, true);
        if (!job)
            return;
        job->mounting.lazy = is_lazy;
        kv_buf_add(&job->dir, dir->value, dir->value_len);
        submit(request, job);
    }
}

void kv_mounts_get(struct kv_request *request)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    if (!is_allowed(request))
        return;
    kv_buf_addf(&json, "{\"pid\":%ld", (long)getpid());
    if (request->http->more_status)
        request->http->more_status(request->http->more_ctx, &json);
    kv_buf_adds(&json, "}\n");
    kv_reply_buf(request, 200, "application/json", &json);
}
