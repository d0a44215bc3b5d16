/* KV-Store: keys in the path, items as JSON bodies, and one list of subscribed keys. A
 * subscription is good for one PUT over a key that is there, which is answered with the
 * old value. */
#include "httpd/access.h"
#include "httpd/dialects/dialect.h"
#include "httpd/dialects/dialects.h"
#include "httpd/dialects/pairs.h"
#include "httpd/dialects/pyjson.h"
#include "httpd/reply.h"
#include "httpd/route.h"

#include <errno.h>
#include <string.h>

#define JSON "application/json"

static void add_string(struct kv_buf *json, const void *data, size_t len)
{
    kv_pyjson_string(json, KV_PYJSON_ASCII, data, len);
}

static void reply_message(struct kv_request *request, unsigned status, const char *text)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    kv_buf_adds(&json, "{\"message\":");
    add_string(&json, text, strlen(text));
    kv_buf_addc(&json, '}');
    kv_reply_buf(request, status, JSON, &json);
}

static const struct kv_dialect dialect = {.refuse = reply_message,
                                          .value_max = KV_DIALECT_JSON_VALUE_MAX};

static void reply_text(struct kv_request *request, unsigned status, const char *text)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    kv_buf_adds(&json, text);
    kv_reply_buf(request, status, JSON, &json);
}

static void reply_item(struct kv_request *request, unsigned status,
                       const struct kv_record *record)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    kv_buf_adds(&json, "{\"key\":");
    add_string(&json, record->key, record->key_len);
    kv_buf_adds(&json, ",\"value\":");
    add_string(&json, record->value, (size_t)record->meta.size);
    kv_buf_addc(&json, '}');
    kv_reply_buf(request, status, JSON, &json);
}

/* -- Reading -- */

static void get(struct kv_request *request)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    if (!kv_dialect_get(&dialect, request, request->rest, request->rest_len, &record))
        return;
    if (record)
        reply_item(request, 200, record);
    else
        reply_text(request, 404, "{\"key\":null}");
}

static void get_all(struct kv_request *request)
{
    static const struct kv_pairs_form form = {"{\"items\":[",
                                              "{\"key\":", ",\"value\":", "}", "]}"};
    kv_pairs_reply(request, &form);
}

/* -- Writing -- */

/* A message with the key in the middle; the object is left open. */
static void add_message(struct kv_buf *json, const char *before, const struct kv_op *op,
                        const char *behind)
{
    kv_buf_addf(json, "{\"message\":\"%s ", before);
    (void)kv_pyjson_slice(json, KV_PYJSON_ASCII, op->key, op->key_len, false);
    kv_buf_addf(json, " %s\"", behind);
}

static void reply_exists(struct kv_request *request, const struct kv_op *op)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    add_message(&json, "set command can set unique key and values", op,
                "already exists");
    kv_buf_addc(&json, '}');
    kv_reply_buf(request, 200, JSON, &json);
}

static void after_insert(struct kv_request *request)
{
    const struct kv_op *op = &request->txn->ops[0];
    if (request->error == -EEXIST)
        reply_exists(request, op);
    else if (request->error)
        kv_dialect_refuse(&dialect, request, request->error, op->key, op->key_len);
    else
        reply_item(request, 201, op->result);
}

/* before: the record that was overwritten; bare when its value is too long to be told.
 */
static void reply_updated(struct kv_request *request, const struct kv_op *op,
                          const struct kv_record *before)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    add_message(&json, "subscription key", op, "has been updated");
    kv_buf_adds(&json, ",\"key\":");
    add_string(&json, op->key, op->key_len);
    kv_buf_adds(&json, ",\"oldvalue\":");
    if (before->bare)
        kv_buf_adds(&json, "null");
    else
        add_string(&json, before->value, (size_t)before->meta.size);
    kv_buf_adds(&json, ",\"newvalue\":");
    add_string(&json, op->result->value, (size_t)op->result->meta.size);
    kv_buf_addc(&json, '}');
    kv_reply_buf(request, 200, JSON, &json);
}

static void after_update(struct kv_request *request)
{
    const struct kv_txn *txn = request->txn;
    const struct kv_op *op = &txn->ops[txn->op_count - 1];
    const struct kv_record *before = txn->op_count > 1 ? txn->ops[0].result : NULL;
    if (request->error)
        kv_dialect_refuse(&dialect, request, request->error, op->key, op->key_len);
    else if (before && kv_subscriptions_take(request->http->dialects->subscriptions,
                                             op->key, op->key_len))
        reply_updated(request, op, before);
    else
        reply_item(request, op->created ? 201 : 200, op->result);
}

/* What a GET of the transaction may return is an answer that waits. */
static int add_get(struct kv_request *request, struct kv_txn *txn,
                   const struct kv_buf *key)
{
    struct kv_op *op;
    txn->get_max_bytes = KV_TXN_GET_BYTES;
    if (!kv_budget_take(&request->http->answers, txn->get_max_bytes))
        return -ENOBUFS;
    request->answer_taken += txn->get_max_bytes;
    return kv_txn_op(txn, KV_OP_GET, key->data, key->len, &op);
}

/* The old value is asked for only where somebody wants to hear of it. */
static void update(struct kv_request *request, const struct kv_buf *key,
                   struct kv_buf *value)
{
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = NULL;
    int err = kv_txn_new(KV_ORIGIN_HTTP, NULL, NULL, &txn);
    if (!err && kv_access_allows(request, key->data, key->len, KV_READ) &&
        kv_subscriptions_has(request->http->dialects->subscriptions, key->data,
                             key->len))
        err = add_get(request, txn, key);
    if (!err)
        err = kv_dialect_add_put(txn, 0, key->data, key->len, value);
    if (err)
        kv_dialect_refuse(&dialect, request, err, key->data, key->len);
    else
        kv_request_submit_kept(request, KV_STEAL(txn), after_update);
}

static void insert(struct kv_request *request)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf key = {0}, value = {0};
    if (!kv_dialect_item(&dialect, request, &key, &value) ||
        !kv_dialect_check(&dialect, request, KV_WRITE, key.data, key.len))
        return;
    if (request->method == KV_PUT)
        update(request, &key, &value);
    else
        kv_dialect_put(&dialect, request, KV_OP_EXCL, key.data, key.len, &value,
                       after_insert);
}

static void after_delete(struct kv_request *request)
{
    if (request->error) {
        kv_dialect_refuse(&dialect, request, request->error, request->rest,
                          request->rest_len);
        return;
    }
    (void)kv_subscriptions_take(request->http->dialects->subscriptions, request->rest,
                                request->rest_len);
    reply_text(request, 200, "{\"status\":\"success\"}");
}

static void delete (struct kv_request *request)
{
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = NULL;
    struct kv_op *op;
    if (!kv_dialect_check(&dialect, request, KV_WRITE, request->rest,
                          request->rest_len))
        return;
    int err = kv_txn_new(KV_ORIGIN_HTTP, NULL, NULL, &txn);
    if (!err)
        err = kv_txn_op(txn, KV_OP_DELETE, request->rest, request->rest_len, &op);
    if (err) {
        kv_dialect_refuse(&dialect, request, err, request->rest, request->rest_len);
        return;
    }
    op->flags = KV_OP_IF_EXISTS;
    kv_request_submit_kept(request, KV_STEAL(txn), after_delete);
}

/* -- Subscriptions -- */

static void reply_subscribed(struct kv_request *request)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    kv_buf_adds(&json, "{\"item\":");
    add_string(&json, request->rest, request->rest_len);
    kv_buf_adds(&json, ",\"message\":\"");
    (void)kv_pyjson_slice(&json, KV_PYJSON_ASCII, request->rest, request->rest_len,
                          false);
    kv_buf_adds(&json,
                " has been Successfully added to subscription list\",\"status\":200}");
    kv_reply_buf(request, 200, JSON, &json);
}

static void subscribe(struct kv_request *request)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    if (!kv_dialect_stat(&dialect, request, request->rest, request->rest_len, &record))
        return;
    if (!record) {
        reply_text(request, 200, "{\"message\":\"not found\",\"status\":404}");
        return;
    }
    int err = kv_subscriptions_add(request->http->dialects->subscriptions,
                                   request->rest, request->rest_len);
    if (err == -ENOSPC)
        reply_text(request, 503,
                   "{\"message\":\"there are 1000 subscriptions, which is the "
                   "limit\",\"status\":503}");
    else if (err)
        kv_dialect_refuse(&dialect, request, err, request->rest, request->rest_len);
    else
        reply_subscribed(request);
}

static void list_subscriptions(struct kv_request *request)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf keys = {0}, json = {0};
    kv_subscriptions_list(request->http->dialects->subscriptions, &keys);
    kv_buf_adds(&json, "{\"subscription_list\":[");
    const char *comma = "";
    size_t len;
    for (const char *key = keys.data; key < keys.data + keys.len; key += len + 1) {
        len = strlen(key);
        if (!kv_access_allows(request, key, len, KV_READ))
            continue;
        kv_buf_adds(&json, comma);
        add_string(&json, key, len);
        comma = ",";
    }
    kv_buf_adds(&json, "]}");
    json.failed = json.failed || keys.failed;
    kv_reply_buf(request, 200, JSON, &json);
}

static void too_long(struct kv_request *request)
{
    kv_dialect_too_long(&dialect, request);
}

static const struct kv_route routes[] = {
    {"/key/insert", KV_POST | KV_PUT,
     KV_ROUTE_BODY | KV_ROUTE_ANY_PARAMS | KV_ROUTE_KEYS, NULL, insert,
     .max_body = KV_DIALECT_JSON_VALUE_MAX, .too_long = too_long},
    {"/key/", KV_GET, KV_ROUTE_ANY_PARAMS | KV_ROUTE_KEYS, NULL, get},
    {"/key/", KV_DELETE, KV_ROUTE_ANY_PARAMS | KV_ROUTE_KEYS, NULL, delete},
    {"/alllist", KV_GET, KV_ROUTE_ANY_PARAMS | KV_ROUTE_KEYS, NULL, get_all},
    {"/subscribe/list", KV_GET, KV_ROUTE_ANY_PARAMS | KV_ROUTE_KEYS, NULL,
     list_subscriptions},
    {"/subscribe/", KV_POST, KV_ROUTE_ANY_PARAMS | KV_ROUTE_KEYS, NULL, subscribe},
};

const struct kv_route_table kv_kvstore_routes = KV_ROUTE_TABLE(routes);
