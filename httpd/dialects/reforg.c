/* reforg: keys as parameters of /api/v1/keys, answers in the JSON of FastAPI (no
 * blanks, characters as they are). Its documentation at /docs and /openapi.json is the
 * whole daemon's. */
#include "httpd/dialects/dialect.h"
#include "httpd/dialects/pyjson.h"
#include "httpd/reply.h"
#include "httpd/route.h"

#include <string.h>

#define JSON "application/json"

static void add_string(struct kv_buf *json, const void *data, size_t len)
{
    kv_pyjson_string(json, KV_PYJSON_UTF8, data, len);
}

/* One entry of "detail": what is wrong with a parameter; NULL: with the whole. */
static void add_detail(struct kv_buf *json, const char *type, const char *param,
                       const char *text)
{
    kv_buf_addf(json, "{\"type\":\"%s\",\"loc\":[\"query\"", type);
    if (param)
        kv_buf_addf(json, ",\"%s\"", param);
    kv_buf_adds(json, "],\"msg\":");
    add_string(json, text, strlen(text));
    kv_buf_adds(json, ",\"input\":null}");
}

static void refuse(struct kv_request *request, unsigned status, const char *text)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    kv_buf_adds(&json, "{\"detail\":[");
    add_detail(&json, "value_error", status == 400 ? "key" : NULL, text);
    kv_buf_adds(&json, "]}");
    kv_reply_buf(request, status, JSON, &json);
}

static const struct kv_dialect dialect = {
    .refuse = refuse, .value_max = KV_DIALECT_JSON_VALUE_MAX, .failed = 500};

static void reply_null(struct kv_request *request, unsigned status)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    kv_buf_adds(&json, "null");
    kv_reply_buf(request, status, JSON, &json);
}

/* Whether all the parameters (NULL-terminated) are there; otherwise 422 names those
 * that are not. */
static bool has_params(struct kv_request *request, const char *const *names)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    for (; *names; names++) {
        if (kv_uri_param(&request->uri, *names))
            continue;
        kv_buf_adds(&json, json.len ? "," : "{\"detail\":[");
        add_detail(&json, "missing", *names, "Field required");
    }
    if (json.len == 0)
        return true;
    kv_buf_adds(&json, "]}");
    kv_reply_buf(request, 422, JSON, &json);
    return false;
}

static void get(struct kv_request *request)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    if (!has_params(request, (const char *const[]){"key", NULL}))
        return;
    const struct kv_param *key = kv_uri_param(&request->uri, "key");
    if (!kv_dialect_get(&dialect, request, key->value, key->value_len, &record))
        return;
    if (!record) {
        reply_null(request, 404);
        return;
    }
    kv_buf_adds(&json, "{\"key\":");
    add_string(&json, record->key, record->key_len);
    kv_buf_adds(&json, ",\"value\":");
    add_string(&json, record->value, (size_t)record->meta.size);
    kv_buf_addc(&json, '}');
    kv_reply_buf(request, 200, JSON, &json);
}

static void after_put(struct kv_request *request)
{
    const struct kv_param *key = kv_uri_param(&request->uri, "key");
    if (request->error)
        kv_dialect_refuse(&dialect, request, request->error, key->value,
                          key->value_len);
    else
        reply_null(request, 200);
}

static void put(struct kv_request *request)
{
    if (!has_params(request, (const char *const[]){"key", "value", NULL}))
        return;
    const struct kv_param *key = kv_uri_param(&request->uri, "key");
    const struct kv_param *value = kv_uri_param(&request->uri, "value");
    KV_CLEANUP(kv_buf_done) struct kv_buf bytes = {0};
    kv_buf_add(&bytes, value->value, value->value_len);
    if (kv_dialect_check(&dialect, request, KV_WRITE, key->value, key->value_len))
        kv_dialect_put(&dialect, request, 0, key->value, key->value_len, &bytes,
                       after_put);
}

static const struct kv_route routes[] = {
    {"/api/v1/keys", KV_GET, KV_ROUTE_ANY_PARAMS | KV_ROUTE_KEYS, NULL, get},
    {"/api/v1/keys", KV_PUT, KV_ROUTE_ANY_PARAMS | KV_ROUTE_KEYS, NULL, put},
};

const struct kv_route_table kv_reforg_routes = KV_ROUTE_TABLE(routes);
