/* POST /v1/txn: a transaction as JSON, and what its operations came to.
 *
 * Its memory is bounded before it is submitted: the copies of keys and values are
 * charged like the body they come from, and what its gets may return is taken from the
 * budget of answers, so that a queue of transactions holds no more than that. */
#include "httpd/describe.h"
#include "httpd/reply.h"
#include "httpd/route.h"
#include "httpd/txnread.h"

#include "base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* A value that is got may be as long as one in a watch. */
#define GET_BYTES (64 * 1024)

static void add_written(struct kv_buf *json, const struct kv_op *op)
{
    const struct kv_meta *meta = &op->result->meta;
    kv_buf_addf(json,
                ",\"created\":%s,\"version\":%" PRIu64 ",\"mod_revision\":%" PRIu64
                ",\"size\":%" PRIu64,
                op->created ? "true" : "false", meta->version, meta->mod_revision,
                meta->size);
    if (op->type == KV_OP_INCR)
        kv_buf_addf(json, ",\"value\":\"%" PRId64 "\"", op->number);
}

static void add_got(struct kv_buf *json, const struct kv_op *op)
{
    kv_buf_addf(json, "\"op\":\"get\",\"exists\":%s,", op->result ? "true" : "false");
    if (op->result)
        kv_describe(json, op->result, true);
    else
        kv_json_bytes(json, "key", op->key, op->key_len);
}

static void add_result(struct kv_buf *json, const struct kv_op *op)
{
    if (op->type == KV_OP_GET) {
        add_got(json, op);
        return;
    }
    kv_buf_addf(json, "\"op\":\"%s\",", kv_txn_op_name(op));
    kv_json_bytes(json, "key", op->key, op->key_len);
    if (op->to) {
        kv_buf_addc(json, ',');
        kv_json_bytes(json, "to", op->to, op->to_len);
    }
    if (op->type == KV_OP_DELETE || op->type == KV_OP_DELETE_TREE)
        kv_buf_addf(json, ",\"deleted\":%" PRIu64,
                    op->type == KV_OP_DELETE ? op->result != NULL : op->count);
    else if (op->type == KV_OP_MKDIR)
        kv_buf_addf(json, ",\"created\":%s", op->created ? "true" : "false");
    else if (op->type != KV_OP_RENAME && op->type != KV_OP_RMDIR && op->result)
        add_written(json, op);
}

static void reply_results(struct kv_request *request, const struct kv_txn *txn)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    const struct kv_op *ops = txn->succeeded ? txn->ops : txn->else_ops;
    size_t count = txn->succeeded ? txn->op_count : txn->else_count;
    kv_buf_addf(&json, "{\"succeeded\":%s,\"changed\":%s,\"revision\":%" PRIu64,
                txn->succeeded ? "true" : "false", txn->changed ? "true" : "false",
                txn->revision);
    if (!txn->succeeded)
        kv_buf_addf(&json, ",\"failed_compare\":%zu", txn->failed);
    kv_buf_adds(&json, ",\"results\":[");
    for (size_t i = 0; i < count; i++) {
        kv_buf_adds(&json, i ? ",{" : "{");
        add_result(&json, &ops[i]);
        kv_buf_addc(&json, '}');
    }
    kv_buf_adds(&json, "]}\n");
    kv_reply_buf(request, 200, "application/json", &json);
    kv_reply_header_u64(request, "X-Kv-Revision", txn->revision);
}

/* What an operation that failed was about: of a rename the new name is in the way. */
static void reply_failed(struct kv_request *request, const struct kv_txn *txn)
{
    const struct kv_op *ops = txn->succeeded ? txn->ops : txn->else_ops;
    size_t count = txn->succeeded ? txn->op_count : txn->else_count;
    bool general = txn->error == -ESHUTDOWN || txn->error == -EROFS ||
                   txn->error == -ENOMEM || txn->failed >= count;
    if (general) {
        kv_reply_errno(request, txn->error, NULL, 0);
        return;
    }
    const struct kv_op *op = &ops[txn->failed];
    char place[32];
    (void)snprintf(place, sizeof(place), "%s[%zu]", txn->succeeded ? "then" : "else",
                   txn->failed);
    bool to = op->to && (txn->error == -EISDIR || txn->error == -ENOTEMPTY ||
                         txn->error == -EEXIST);
    kv_reply_errno_at(request, txn->error, place, to ? op->to : op->key,
                      to ? op->to_len : op->key_len);
}

static void resume(struct kv_request *request)
{
    if (request->txn->error)
        reply_failed(request, request->txn);
    else
        reply_results(request, request->txn);
}

/* Take room for what the gets of the larger branch may return. */
static bool reserve_gets(struct kv_request *request, struct kv_txn *txn)
{
    size_t then = 0, otherwise = 0;
    for (size_t i = 0; i < txn->op_count; i++)
        then += txn->ops[i].type == KV_OP_GET;
    for (size_t i = 0; i < txn->else_count; i++)
        otherwise += txn->else_ops[i].type == KV_OP_GET;
    size_t gets = then > otherwise ? then : otherwise;
    size_t bytes =
        gets < KV_TXN_GET_BYTES / GET_BYTES ? gets * GET_BYTES : KV_TXN_GET_BYTES;
    txn->get_max_bytes = bytes;
    txn->get_value_max = GET_BYTES;
    if (bytes == 0)
        return true;
    if (!kv_budget_take(&request->http->answers, bytes))
        return false;
    request->answer_taken += bytes;
    return true;
}

void kv_txn_too_long(struct kv_request *request)
{
    kv_reply_error(request, 413, "too_large", NULL, 0,
                   "a transaction is at most %d bytes of JSON", KV_TXN_BODY_MAX);
}

void kv_txn_post(struct kv_request *request)
{
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = NULL;
    struct kv_txn_fault fault = {0};
    if (!kv_request_charge(request, request->body.len)) {
        kv_reply_errno(request, -EAGAIN, NULL, 0);
        return;
    }
    int err = kv_txn_read(request->body.data ? request->body.data : "",
                          request->body.len, &txn, &fault);
    if (err == -EINVAL)
        kv_reply_error(request, fault.status, fault.code, NULL, 0, "%.*s",
                       (int)fault.rule.len, fault.rule.data ? fault.rule.data : "");
    else if (!err && !reserve_gets(request, txn))
        kv_reply_errno(request, -ENOBUFS, NULL, 0);
    else if (err)
        kv_reply_errno(request, err, NULL, 0);
    else
        kv_request_submit_kept(request, KV_STEAL(txn), resume);
    kv_buf_done(&fault.rule);
}
