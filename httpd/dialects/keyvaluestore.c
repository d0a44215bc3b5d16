/* key-value-store: keys in the JSON bodies of GET and PUT /kv, answers as Flask-RESTful
 * writes them (a blank behind each colon and comma, all ASCII, a newline at the end).
 * Its clients hear of changes by Socket.IO (socketio.h). */
#include "httpd/dialects/dialect.h"
#include "httpd/dialects/pyjson.h"
#include "httpd/dialects/socketio.h"
#include "httpd/reply.h"
#include "httpd/route.h"

#include <string.h>

static void add_string(struct kv_buf *json, const void *data, size_t len)
{
    kv_pyjson_string(json, KV_PYJSON_ASCII, data, len);
}

static void refuse(struct kv_request *request, unsigned status, const char *text)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    kv_buf_addf(&json, "{\"status_code\": %u, \"error\": ", status);
    add_string(&json, text, strlen(text));
    kv_buf_adds(&json, "}\n");
    kv_reply_buf(request, status, "application/json", &json);
}

static const struct kv_dialect dialect = {.refuse = refuse,
                                          .value_max = KV_DIALECT_JSON_VALUE_MAX};

/* {NAME: VALUE} */
static void reply_pair(struct kv_request *request, const void *name, size_t name_len,
                       const struct kv_record *record)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    kv_buf_addc(&json, '{');
    add_string(&json, name, name_len);
    kv_buf_adds(&json, ": ");
    add_string(&json, record->value, (size_t)record->meta.size);
    kv_buf_adds(&json, "}\n");
    kv_reply_buf(request, 200, "application/json", &json);
}

static void get(struct kv_request *request)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf key = {0};
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    if (!kv_dialect_item(&dialect, request, &key, NULL) ||
        !kv_dialect_get(&dialect, request, key.data, key.len, &record))
        return;
    if (record)
        reply_pair(request, "value", strlen("value"), record);
    else
        refuse(request, 404, "Key Doesn't exist");
}

static void after_put(struct kv_request *request)
{
    const struct kv_op *op = &request->txn->ops[0];
    if (request->error)
        kv_dialect_refuse(&dialect, request, request->error, op->key, op->key_len);
    else
        reply_pair(request, op->key, op->key_len, op->result);
}

static void put(struct kv_request *request)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf key = {0}, value = {0};
    if (kv_dialect_item(&dialect, request, &key, &value) &&
        kv_dialect_check(&dialect, request, KV_WRITE, key.data, key.len))
        kv_dialect_put(&dialect, request, 0, key.data, key.len, &value, after_put);
}

static void too_long(struct kv_request *request)
{
    kv_dialect_too_long(&dialect, request);
}

static const struct kv_route routes[] = {
    {"/kv", KV_GET, KV_ROUTE_BODY | KV_ROUTE_ANY_PARAMS | KV_ROUTE_KEYS, NULL, get,
     .max_body = KV_DIALECT_JSON_VALUE_MAX, .too_long = too_long},
    {"/kv", KV_PUT, KV_ROUTE_BODY | KV_ROUTE_ANY_PARAMS | KV_ROUTE_KEYS, NULL, put,
     .max_body = KV_DIALECT_JSON_VALUE_MAX, .too_long = too_long},
    {"/socket.io/", KV_GET, KV_ROUTE_ANY_PARAMS | KV_ROUTE_OWN_TOKEN | KV_ROUTE_EXACT,
     NULL, kv_socketio_get, .admit = kv_socketio_admit},
    {"/socket.io/", KV_POST,
     KV_ROUTE_BODY | KV_ROUTE_ANY_PARAMS | KV_ROUTE_OWN_TOKEN | KV_ROUTE_EXACT, NULL,
     kv_socketio_post, .max_body = KV_SOCKETIO_PAYLOAD_MAX,
     .too_long = kv_socketio_too_long, .admit = kv_socketio_admit},
};

const struct kv_route_table kv_keyvaluestore_routes = KV_ROUTE_TABLE(routes);
