/* The document at /openapi.json against the table that kvfsd routes by, both ways: what
 * one has the other has. What the answers look like is tests/integration/openapi. */
#include "httpd/asset.h"
#include "httpd/route.h"

#include "suite.h"

#include <cjson/cJSON.h>
#include <string.h>

static const struct {
    enum kv_method method;
    const char *name;
} methods[] = {{KV_GET, "get"},
               {KV_HEAD, "head"},
               {KV_PUT, "put"},
               {KV_POST, "post"},
               {KV_DELETE, "delete"}};
#define METHODS (sizeof(methods) / sizeof(methods[0]))

static cJSON *document;
static const cJSON *paths;

static void setup(void)
{
    struct kv_buf text = {0};
    const struct kv_asset *asset = kv_asset_find(KV_LIT("/openapi.json"));
    ck_assert_ptr_nonnull(asset);
    ck_assert_int_eq(kv_asset_read(asset, &text), 0);
    document = cJSON_ParseWithLength(text.data, text.len);
    kv_buf_done(&text);
    ck_assert_ptr_nonnull(document);
    paths = cJSON_GetObjectItemCaseSensitive(document, "paths");
    ck_assert_ptr_nonnull(paths);
}

static void teardown(void)
{
    cJSON_Delete(document);
}

/* "#/components/parameters/Key" */
static const cJSON *follow(const cJSON *object)
{
    const cJSON *ref = cJSON_GetObjectItemCaseSensitive(object, "$ref");
    if (!ref)
        return object;
    char pointer[200], *rest = pointer, *name;
    ck_assert_uint_lt(strlen(ref->valuestring), sizeof(pointer));
    strcpy(pointer, ref->valuestring);
    ck_assert_str_eq(strsep(&rest, "/"), "#");
    const cJSON *found = document;
    while ((name = strsep(&rest, "/")))
        found = cJSON_GetObjectItemCaseSensitive(found, name);
    ck_assert_msg(found != NULL, "%s leads nowhere", ref->valuestring);
    return found;
}

static const char *text_of(const cJSON *object, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    ck_assert_msg(cJSON_IsString(item), "%s is missing", name);
    return item->valuestring;
}

/* A route that stands for all below its path is "/below/{it}" in the document. */
static bool is_path_of(const struct kv_route *route, const char *path)
{
    size_t len = strlen(route->path);
    if (strncmp(path, route->path, len) != 0)
        return false;
    const char *rest = path + len;
    return kv_route_is_below(route)
               ? *rest == '{' && strchr(rest, '}') == path + strlen(path) - 1
               : *rest == '\0';
}

static const cJSON *find_path(const struct kv_route *route)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, paths)
    {
        if (is_path_of(route, item->string))
            return item;
    }
    return NULL;
}

static bool route_exists(const char *path, enum kv_method method)
{
    const struct kv_route *route;
    size_t state = 0;
    while ((route = kv_route_next(&state)))
        if ((route->methods & method) && is_path_of(route, path))
            return true;
    return false;
}

static bool has_query(const cJSON *owner, const char *name)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(owner, "parameters"))
    {
        const cJSON *parameter = follow(item);
        if (strcmp(text_of(parameter, "in"), "query") == 0 &&
            strcmp(text_of(parameter, "name"), name) == 0)
            return true;
    }
    return false;
}

static bool route_knows(const struct kv_route *route, const char *name)
{
    for (const char *const *known = route->params; known && *known; known++)
        if (strcmp(*known, name) == 0)
            return true;
    return (route->flags & KV_ROUTE_ANY_PARAMS) != 0;
}

static void check_known(const struct kv_route *route, const cJSON *owner,
                        const char *where)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(owner, "parameters"))
    {
        const cJSON *parameter = follow(item);
        if (strcmp(text_of(parameter, "in"), "query") == 0)
            ck_assert_msg(route_knows(route, text_of(parameter, "name")),
                          "%s %s does not take '%s'", where, route->path,
                          text_of(parameter, "name"));
    }
}

START_TEST(openapi_has_every_route_and_its_parameters)
{
    const struct kv_route *route;
    size_t state = 0, count = 0;
    while ((route = kv_route_next(&state))) {
        const cJSON *path = find_path(route);
        ck_assert_msg(path != NULL, "%s is not in the document", route->path);
        for (size_t i = 0; i < METHODS; i++) {
            if (!(route->methods & methods[i].method))
                continue;
            const char *method = methods[i].name;
            const cJSON *operation = cJSON_GetObjectItemCaseSensitive(path, method);
            ck_assert_msg(operation != NULL, "%s %s is not in the document", method,
                          route->path);
            for (const char *const *name = route->params; name && *name; name++)
                ck_assert_msg(has_query(path, *name) || has_query(operation, *name),
                              "'%s' of %s %s is not in the document", *name, method,
                              route->path);
            check_known(route, path, method);
            check_known(route, operation, method);
            count++;
        }
    }
    ck_assert_uint_gt(count, 0);
}
END_TEST

START_TEST(openapi_has_no_route_that_kvfsd_does_not_have)
{
    const cJSON *path;
    size_t count = 0;
    cJSON_ArrayForEach(path, paths)
    {
        for (size_t i = 0; i < METHODS; i++) {
            if (!cJSON_HasObjectItem(path, methods[i].name))
                continue;
            ck_assert_msg(route_exists(path->string, methods[i].method),
                          "there is no %s %s", methods[i].name, path->string);
            count++;
        }
    }
    ck_assert_uint_gt(count, 0);
}
END_TEST

START_TEST(openapi_tells_the_version_of_kvfsd)
{
    const cJSON *info = cJSON_GetObjectItemCaseSensitive(document, "info");
    ck_assert_str_eq(text_of(info, "version"), VERSION);
}
END_TEST

KV_SUITE_WITH("httpd_openapi", setup, teardown,
              openapi_has_every_route_and_its_parameters,
              openapi_has_no_route_that_kvfsd_does_not_have,
              openapi_tells_the_version_of_kvfsd)
