/* KV Store with a shell: keys and values as parameters, answers as text. It is sent as
 * plain text, because values are whatever somebody stored, and as a page they would run
 * in the name of this API. */
#include "httpd/dialects/dialect.h"
#include "httpd/dialects/pairs.h"
#include "httpd/reply.h"
#include "httpd/route.h"
#include "httpd/value.h"

#include <string.h>

#define TEXT "text/plain; charset=utf-8"

static void reply_text(struct kv_request *request, unsigned status, struct kv_buf *text)
{
    kv_reply_buf(request, status, TEXT, text);
    kv_reply_header(request, "X-Content-Type-Options", "nosniff");
}

static void refuse(struct kv_request *request, unsigned status, const char *text)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    kv_buf_addf(&out, "Error: %s.", text);
    reply_text(request, status, &out);
}

static const struct kv_dialect dialect = {.refuse = refuse};

static void get(struct kv_request *request)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    const struct kv_param *key = kv_uri_param(&request->uri, "key");
    if (!key)
        refuse(request, 200, "No KEY provided");
    else if (key->value_len == 0)
        refuse(request, 200, "Empty KEY provided");
    else if (!kv_dialect_get(&dialect, request, key->value, key->value_len, &record))
        return;
    else if (!record)
        refuse(request, 200, "Provided key doesn't exists in the store");
    else
        kv_value_reply_plain(request, KV_STEAL(record), TEXT);
}

static void after_add(struct kv_request *request)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf text = {0};
    const struct kv_param *key = kv_uri_param(&request->uri, "key");
    const struct kv_param *value = kv_uri_param(&request->uri, "value");
    if (request->error) {
        kv_dialect_refuse(&dialect, request, request->error, key->value,
                          key->value_len);
        return;
    }
    kv_buf_adds(&text, "Successfully added Value - ");
    kv_buf_add(&text, value->value, value->value_len);
    kv_buf_adds(&text, " for Key - ");
    kv_buf_add(&text, key->value, key->value_len);
    reply_text(request, 200, &text);
}

static void add(struct kv_request *request)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf bytes = {0};
    const struct kv_param *key = kv_uri_param(&request->uri, "key");
    const struct kv_param *value = kv_uri_param(&request->uri, "value");
    if (!key || !value) {
        refuse(request, 200, "Improper input");
        return;
    }
    if (key->value_len == 0 || value->value_len == 0) {
        refuse(request, 200, "Incomplete Input");
        return;
    }
    kv_buf_add(&bytes, value->value, value->value_len);
    if (kv_dialect_check(&dialect, request, KV_WRITE, key->value, key->value_len))
        kv_dialect_put(&dialect, request, 0, key->value, key->value_len, &bytes,
                       after_add);
}

static void get_all(struct kv_request *request)
{
    static const struct kv_pairs_form form = {"{", "", ":", "", "}"};
    kv_pairs_reply(request, &form);
}

static const struct kv_route routes[] = {
    {"/get", KV_GET, KV_ROUTE_ANY_PARAMS | KV_ROUTE_KEYS, NULL, get},
    {"/add", KV_POST, KV_ROUTE_ANY_PARAMS | KV_ROUTE_KEYS, NULL, add},
    {"/get_all", KV_GET, KV_ROUTE_ANY_PARAMS | KV_ROUTE_KEYS, NULL, get_all},
};

const struct kv_route_table kv_kvshell_routes = KV_ROUTE_TABLE(routes);
