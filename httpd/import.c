/* POST /v1/import. The body is taken line by line into transactions of about a thousand
 * lines or a MiB; while one commits the connection sleeps, so a client is no faster
 * than the disk, and an import holds one transaction and one line whatever it is sent.
 *
 * At the first line that is wrong, or that the store refuses, it stops: what is before
 * that line is committed, and the answer names it, so that the rest can be sent again
 * with skip=. For that a transaction that failed at an operation is tried once more
 * without it and what follows. */
#include "httpd/import.h"

#include "base/json.h"
#include "httpd/access.h"
#include "httpd/field.h"
#include "httpd/importdirs.h"
#include "httpd/importline.h"
#include "httpd/reply.h"
#include "httpd/route.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define BATCH_LINES 1000
#define BATCH_BYTES (1 << 20)
/* Beyond twice the largest value, for what else is in a line. */
#define LINE_EXTRA (1 << 20)

struct kv_import {
    struct kv_buf line;  /* the part of a line that has come */
    struct kv_txn *next; /* being filled; NULL: none yet */
    uint64_t lines[BATCH_LINES + 2 * KV_IMPORT_DIRS_OPS]; /* of its operations */
    struct kv_import_dirs dirs;                           /* that are being filled */
    size_t bytes;                                         /* of its lines */
    uint64_t charged; /* for line and next, beyond BATCH_BYTES each */
    uint64_t skip;
    uint64_t number; /* lines that have come whole */
    uint64_t done;   /* the last line before which everything is committed or skipped */
    uint64_t keys, directories, revision;
    uint64_t wrong;     /* the line at which it stops; 0: none */
    unsigned status;    /* of the answer then */
    const char *code;   /* likewise; static */
    struct kv_buf rule; /* likewise */
};

static struct kv_import *import_new(struct kv_request *request)
{
    const struct kv_param *skip = kv_uri_param(&request->uri, "skip");
    struct kv_import *import = calloc(1, sizeof(*import));
    if (!import) {
        kv_reply_errno(request, -ENOMEM, NULL, 0);
        return NULL;
    }
    request->import = import;
    import->revision = kv_store_revision(request->http->store);
    if (skip && kv_u64_parse(skip->value, skip->value_len, &import->skip)) {
        kv_reply_invalid_param(request, "skip", "must be a number of lines");
        return NULL;
    }
    if (!kv_request_charge(request, 2 * BATCH_BYTES)) {
        kv_reply_errno(request, -EAGAIN, NULL, 0);
        return NULL;
    }
    return import;
}

void kv_import_free(struct kv_import *import)
{
    if (!import)
        return;
    kv_buf_done(&import->line);
    kv_buf_done(&import->rule);
    kv_txn_free(import->next);
    free(import);
}

/* -- Answers -- */

static void add_progress(struct kv_buf *json, const struct kv_import *import)
{
    kv_buf_addf(json,
                "\"lines_done\":%" PRIu64 ",\"keys\":%" PRIu64
                ",\"directories\":%" PRIu64 ",\"revision\":%" PRIu64,
                import->done, import->keys, import->directories, import->revision);
}

static void reply_stopped(struct kv_request *request)
{
    struct kv_import *import = request->import;
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0}, message = {0};
    kv_buf_addf(&message, "line %" PRIu64 ": %.*s", import->wrong,
                (int)import->rule.len, import->rule.data ? import->rule.data : "");
    kv_buf_addf(&json, "{\"error\":{\"code\":\"%s\",\"message\":", import->code);
    kv_json_string(&json, message.data, message.len);
    kv_buf_addf(&json, ",\"line\":%" PRIu64 "},", import->wrong);
    add_progress(&json, import);
    kv_buf_adds(&json, "}\n");
    kv_buf_done(&import->line); /* the rest of the body may take a while */
    if (message.failed)
        json.failed = true;
    kv_reply_buf(request, import->status, "application/json", &json);
}

static void reply_done(struct kv_request *request)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    kv_buf_addc(&json, '{');
    add_progress(&json, request->import);
    kv_buf_adds(&json, "}\n");
    kv_reply_buf(request, 200, "application/json", &json);
    kv_reply_header_u64(request, "X-Kv-Revision", request->import->revision);
}

/* -- Transactions -- */

static void stop_at(struct kv_import *import, uint64_t line, unsigned status,
                    const char *code, const char *text)
{
    import->wrong = line;
    import->status = status;
    import->code = code;
    kv_buf_reset(&import->rule);
    kv_buf_adds(&import->rule, text);
}

static void stop_at_errno(struct kv_import *import, uint64_t line, int error)
{
    unsigned status = 500;
    const char *code = "internal", *text = "the store cannot take it";
    (void)kv_reply_explain(error, &status, &code, &text);
    stop_at(import, line, status, code, text);
}

static void end_txn(struct kv_request *request)
{
    struct kv_import *import = request->import;
    kv_txn_free(request->txn);
    request->txn = NULL;
    kv_request_uncharge(request, import->charged);
    import->charged = import->bytes = 0;
}

static void count_done(struct kv_import *import, const struct kv_txn *txn)
{
    for (size_t i = 0; i < txn->op_count; i++) {
        import->directories += txn->ops[i].type == KV_OP_MKDIR;
        import->keys += txn->ops[i].type == KV_OP_PUT;
    }
    if (txn->op_count > 0)
        import->done = import->lines[txn->op_count - 1];
    import->revision = txn->revision;
}

/* Whether the error is that of one line, and not of the store altogether. */
static bool is_about_a_line(int error)
{
    return error != -ESHUTDOWN && error != -EROFS && error != -ENOMEM && error != -EIO;
}

/* The transaction has ended. True: it is tried again, without the line that failed. */
static bool try_shorter(struct kv_request *request, void (*resume)(struct kv_request *))
{
    struct kv_import *import = request->import;
    struct kv_txn *txn = request->txn;
    size_t failed = is_about_a_line(txn->error) ? txn->failed : 0;
    stop_at_errno(import, import->lines[failed], txn->error);
    if (failed == 0)
        return false;
    while (txn->op_count > failed)
        kv_txn_drop_op(txn);
    kv_request_submit_kept(request, txn, resume);
    return request->stage == KV_STAGE_ASLEEP;
}

/* False: asleep again. */
static bool settle(struct kv_request *request, void (*resume)(struct kv_request *))
{
    struct kv_import *import = request->import;
    struct kv_txn *txn = request->txn;
    if (txn->error && try_shorter(request, resume))
        return false;
    if (!request->txn) /* the server is stopping, and has said so */
        return true;
    if (!txn->error)
        count_done(import, txn);
    end_txn(request);
    if (import->wrong)
        reply_stopped(request);
    return true;
}

/* Hand over what has come together; resume is called when it has ended. False: there
 * is nothing, or the server is stopping and the answer prepared. */
static bool submit(struct kv_request *request, void (*resume)(struct kv_request *))
{
    struct kv_import *import = request->import;
    if (!import->next || import->next->op_count == 0)
        return false;
    kv_request_submit_kept(request, KV_STEAL(import->next), resume);
    return request->stage == KV_STAGE_ASLEEP;
}

/* -- Lines -- */

/* Whether the line that was added last may be written by who sends it. */
static bool may_write(struct kv_request *request)
{
    struct kv_import *import = request->import;
    const struct kv_op *op = &import->next->ops[import->next->op_count - 1];
    if (kv_access_allows(request, op->key, op->key_len, KV_WRITE))
        return true;
    kv_txn_drop_op(import->next);
    stop_at(import, import->number, 403, "forbidden",
            "this token does not grant writing that key");
    return false;
}

/* The times of directories that are complete, now that an operation was added for a
 * line (or, added false, no more lines will come). False: no memory. */
static bool set_times(struct kv_import *import, bool added)
{
    struct kv_txn *txn = import->next;
    size_t ops = txn->op_count;
    const struct kv_op *op = added ? &txn->ops[ops - 1] : NULL;
    bool opens = op && op->type == KV_OP_MKDIR && (op->set & KV_SET_MTIME);
    int64_t mtime_ns = op ? op->meta.mtime_ns : 0;
    size_t len = op ? op->key_len : 0;
    char key[KV_KEY_MAX];
    if (op)
        memcpy(key, op->key, len); /* ops may move */
    int err = kv_import_dirs_pass(&import->dirs, op ? key : NULL, len, txn);
    if (err) {
        stop_at_errno(import, import->number, err);
        return false;
    }
    if (opens)
        kv_import_dirs_open(&import->dirs, key, len, mtime_ns);
    for (size_t i = added ? ops - 1 : ops; i < txn->op_count; i++)
        import->lines[i] = import->number;
    return true;
}

/* Parse the line that has come whole. False: it is wrong. */
static bool add_line(struct kv_request *request, const char *text, size_t len)
{
    struct kv_import *import = request->import;
    int err = import->next ? 0 : kv_txn_new(KV_ORIGIN_HTTP, NULL, NULL, &import->next);
    size_t ops = import->next ? import->next->op_count : 0;
    kv_buf_reset(&import->rule);
    if (!err)
        err = kv_import_line(text, len, import->next, &import->rule);
    if (err) {
        import->wrong = import->number;
        import->status = err == -EINVAL ? 400 : 503;
        import->code = err == -EINVAL ? "invalid_line" : "no_memory";
        return false;
    }
    bool added = import->next->op_count > ops;
    if (added && !may_write(request))
        return false;
    import->bytes += len;
    if (added)
        return set_times(import, true);
    if (ops == 0) /* blank, and nothing waits before it */
        import->done = import->number;
    return true;
}

static bool is_full(const struct kv_import *import)
{
    return import->next &&
           (import->next->op_count >= BATCH_LINES || import->bytes >= BATCH_BYTES);
}

/* Count memory beyond what an import has anyway. */
static bool charge(struct kv_request *request, size_t bytes)
{
    request->import->charged += bytes;
    return kv_request_charge(request, bytes);
}

/* Add to the line; false: it is too long, or there is no room. */
static bool extend_line(struct kv_request *request, const char *data, size_t len)
{
    struct kv_import *import = request->import;
    uint64_t max = 2 * request->http->max_body_bytes + LINE_EXTRA;
    if (import->line.len + len > max) {
        stop_at(import, import->number + 1, 413, "too_large",
                "is longer than a value of the largest size can make it");
        return false;
    }
    /* Twice: once as the line, once as the value in it. */
    if (import->line.len + len > BATCH_BYTES && !charge(request, 2 * len)) {
        stop_at_errno(import, import->number + 1, -EAGAIN);
        return false;
    }
    kv_buf_add(&import->line, data, len);
    if (!kv_buf_error(&import->line))
        return true;
    stop_at_errno(import, import->number + 1, -ENOMEM);
    return false;
}

/* A line is complete: text, or what was gathered. False: it is wrong. */
static bool end_line(struct kv_request *request, const char *text, size_t len)
{
    struct kv_import *import = request->import;
    bool gathered = import->line.len > 0;
    import->number++;
    bool good = true;
    if (import->number <= import->skip)
        import->done = import->number;
    else
        good = add_line(request, gathered ? import->line.data : text,
                        gathered ? import->line.len : len);
    if (import->line.cap > BATCH_BYTES)
        kv_buf_done(&import->line);
    else
        kv_buf_reset(&import->line);
    if (!import->next || import->next->op_count == 0) { /* nothing was kept of it */
        kv_request_uncharge(request, import->charged);
        import->charged = import->bytes = 0;
    }
    return good;
}

/* Take one line, or the beginning of one, off the front; how many bytes. *ret_good
 * false: it is wrong. */
static size_t take_line(struct kv_request *request, const char *data, size_t len,
                        bool *ret_good)
{
    struct kv_import *import = request->import;
    const char *end = memchr(data, '\n', len);
    size_t part = end ? (size_t)(end - data) : len;
    bool gathers = !end || import->line.len > 0;
    *ret_good = !gathers || extend_line(request, data, part);
    if (*ret_good && end)
        *ret_good = end_line(request, data, part);
    return part + (end != NULL);
}

/* -- The body -- */

static void resume_take(struct kv_request *request)
{
    (void)settle(request, resume_take);
}

size_t kv_import_take(struct kv_request *request, const char *data, size_t len)
{
    size_t taken = 0;
    bool good = true;
    if (!request->import && !import_new(request))
        return len;
    while (taken < len && good) {
        taken += take_line(request, data + taken, len - taken, &good);
        if ((!good || is_full(request->import)) && submit(request, resume_take))
            return taken;
        if (request->response)
            return len;
    }
    if (!good)
        reply_stopped(request);
    return len;
}

static void finish(struct kv_request *request)
{
    if (!request->response && request->import->wrong)
        reply_stopped(request);
    else if (!request->response)
        reply_done(request);
}

static void resume_finish(struct kv_request *request)
{
    struct kv_import *import = request->import;
    if (!settle(request, resume_finish))
        return;
    if (!import->wrong && !request->response)
        import->done = import->number; /* blank lines behind the last */
    finish(request);
}

/* Nothing more comes into any of them. */
static void end_directories(struct kv_import *import)
{
    if (import->wrong || import->dirs.count == 0)
        return;
    int err = import->next ? 0 : kv_txn_new(KV_ORIGIN_HTTP, NULL, NULL, &import->next);
    if (err)
        stop_at_errno(import, import->number, err);
    else
        (void)set_times(import, false);
}

/* The body has ended. */
void kv_import_post(struct kv_request *request)
{
    struct kv_import *import = request->import;
    if (!import)
        import = import_new(request);
    if (!import)
        return;
    if (import->line.len > 0)
        (void)end_line(request, NULL, 0);
    end_directories(import);
    if (submit(request, resume_finish) || request->response)
        return;
    if (!import->wrong)
        import->done = import->number;
    finish(request);
}
