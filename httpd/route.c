/* The route table: what answers which path. The paths of /v1/keys come first because
 * they are the ones asked for most. */
#include "httpd/route.h"

#include "httpd/reply.h"

#include <string.h>

#define PARAMS(...) ((const char *const[]){__VA_ARGS__, NULL})

static const struct kv_route native_routes[] = {
    {"/v1/keys/", KV_GET | KV_HEAD, KV_ROUTE_KEYS, PARAMS("wait", "since"),
     kv_keys_get},
    {"/v1/keys/", KV_PUT, KV_ROUTE_BODY | KV_ROUTE_KEYS, PARAMS("ttl"), kv_keys_put},
    {"/v1/keys/", KV_DELETE, KV_ROUTE_KEYS, PARAMS("recursive"), kv_keys_delete},
    {"/v1/keys/", KV_POST, KV_ROUTE_BODY | KV_ROUTE_KEYS,
     PARAMS("op", "to", "ttl", "by"), kv_keys_post},
    {"/v1/keys", KV_GET | KV_HEAD, KV_ROUTE_KEYS,
     PARAMS("dir", "prefix", "delimiter", "limit", "after", "values"), kv_list_get},
    {"/v1/backup", KV_GET, 0, NULL, kv_backup_get},
    {"/v1/export", KV_GET, KV_ROUTE_KEYS, PARAMS("dir"), kv_export_get},
    {"/v1/import", KV_POST, KV_ROUTE_BODY | KV_ROUTE_KEYS, PARAMS("skip"),
     kv_import_post, kv_import_take},
    {"/v1/history", KV_GET | KV_HEAD, KV_ROUTE_KEYS,
     PARAMS("key", "before", "limit", "values"), kv_history_get},
    {"/v1/txn", KV_POST, KV_ROUTE_BODY | KV_ROUTE_KEYS, NULL, kv_txn_post,
     .max_body = KV_TXN_BODY_MAX, .too_long = kv_txn_too_long},
    {"/v1/watch", KV_GET, KV_ROUTE_KEYS,
     PARAMS("key", "dir", "prefix", "since", "values", "prev"), kv_watch_get},
    {"/v1/mounts", KV_GET | KV_HEAD, 0, NULL, kv_mounts_get},
    {"/v1/mounts", KV_POST, KV_ROUTE_BODY, NULL, kv_mounts_post},
    {"/v1/mounts", KV_DELETE, 0, PARAMS("dir", "lazy", "namespace"), kv_mounts_delete},
    {"/v1/tokens", KV_GET | KV_HEAD, KV_ROUTE_MEMBER, NULL, kv_tokens_get},
    {"/v1/tokens", KV_POST, KV_ROUTE_BODY | KV_ROUTE_MEMBER, NULL, kv_tokens_post},
    {"/v1/tokens/", KV_DELETE, KV_ROUTE_MEMBER, NULL, kv_tokens_delete},
    {"/v1/status", KV_GET | KV_HEAD, KV_ROUTE_MEMBER, NULL, kv_admin_status},
    {"/healthz", KV_GET | KV_HEAD, KV_ROUTE_PUBLIC, NULL, kv_admin_health},
    {"/readyz", KV_GET | KV_HEAD, KV_ROUTE_PUBLIC, NULL, kv_admin_ready},
    {"/metrics", KV_GET | KV_HEAD, KV_ROUTE_MEMBER, NULL, kv_admin_metrics},
    {"/openapi.json", KV_GET | KV_HEAD, KV_ROUTE_PUBLIC, NULL, kv_asset_get},
    {"/docs", KV_GET | KV_HEAD, KV_ROUTE_PUBLIC, NULL, kv_asset_get},
    {"/docs/", KV_GET | KV_HEAD, KV_ROUTE_PUBLIC, NULL, kv_asset_get},
    {"/ui/", KV_GET | KV_HEAD, KV_ROUTE_PUBLIC, NULL, kv_asset_get},
    {"/", KV_GET | KV_HEAD, KV_ROUTE_PUBLIC, NULL, kv_admin_root},
};

static const struct kv_route_table native = KV_ROUTE_TABLE(native_routes);

/* Searched in this order. */
static const struct kv_route_table *const tables[] = {
    &native,
    &kv_reforg_routes,
    &kv_keyvaluestore_routes,
    &kv_kvstore_routes,
    &kv_kvshell_routes,
    &kv_kvapp_routes,
};

bool kv_route_is_below(const struct kv_route *route)
{
    size_t len = strlen(route->path);
    return len > 1 && route->path[len - 1] == '/' && !(route->flags & KV_ROUTE_EXACT);
}

static bool path_matches(const struct kv_route *route, const char *path, size_t len)
{
    size_t route_len = strlen(route->path);
    return (kv_route_is_below(route) ? len >= route_len : len == route_len) &&
           memcmp(route->path, path, route_len) == 0;
}

static void reply_method_not_allowed(struct kv_request *request, unsigned methods)
{
    static const struct {
        enum kv_method method;
        const char *name;
    } names[] = {{KV_GET, "GET"},
                 {KV_HEAD, "HEAD"},
                 {KV_PUT, "PUT"},
                 {KV_POST, "POST"},
                 {KV_DELETE, "DELETE"}};
    char allow[64] = "";
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (!(methods & names[i].method))
            continue;
        if (*allow)
            strcat(allow, ", ");
        strcat(allow, names[i].name);
    }
    kv_reply_error(request, 405, "method_not_allowed", NULL, 0, "this path answers %s",
                   allow);
    kv_reply_header(request, MHD_HTTP_HEADER_ALLOW, allow);
}

static bool knows_param(const struct kv_route *route, const struct kv_param *param)
{
    for (const char *const *name = route->params; name && *name; name++)
        if (strlen(*name) == param->name_len &&
            memcmp(*name, param->name, param->name_len) == 0)
            return true;
    return false;
}

/* A misspelt parameter must not be ignored: "?tll=60s" would store a key for ever. */
static bool check_params(struct kv_request *request)
{
    if (request->route->flags & KV_ROUTE_ANY_PARAMS)
        return true;
    for (size_t i = 0; i < request->uri.param_count; i++) {
        const struct kv_param *param = &request->uri.params[i];
        if (knows_param(request->route, param))
            continue;
        kv_reply_error(request, 400, "invalid_parameter", NULL, 0,
                       "%.*s: there is no such parameter here", (int)param->name_len,
                       param->name);
        return false;
    }
    return true;
}

bool kv_route_find(struct kv_request *request)
{
    const char *path = request->uri.path;
    size_t len = request->uri.path_len;
    unsigned methods = 0;
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct kv_route *route = &tables[t]->routes[i];
            if (!path_matches(route, path, len))
                continue;
            methods |= route->methods;
            if (!(route->methods & request->method))
                continue;
            request->route = route;
            request->rest = path + strlen(route->path);
            request->rest_len = len - strlen(route->path);
            return check_params(request);
        }
    }
    if (methods)
        reply_method_not_allowed(request, methods);
    else
        kv_route_reply_nothing(request);
    return false;
}

void kv_route_reply_nothing(struct kv_request *request)
{
    kv_reply_error(request, 404, "no_such_route", NULL, 0,
                   "there is nothing at this path; / names what there is");
}

const struct kv_route *kv_route_next(size_t *state)
{
    size_t i = (*state)++;
    for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++) {
        if (i < tables[t]->count)
            return &tables[t]->routes[i];
        i -= tables[t]->count;
    }
    return NULL;
}
