#ifndef KV_HTTPD_ROUTE_H
#define KV_HTTPD_ROUTE_H

/* The route table. A route is a path, the methods it answers, the query parameters it
 * knows, and a handler. A dialect is a table of its own that is added in route.c.
 *
 * Paths are compared after decoding. One that ends in '/' stands for all below it, and
 * the rest of the path is request->rest. */

#include "httpd/request.h"

enum kv_route_flags {
    KV_ROUTE_BODY = 1 << 0,       /* the handler wants request->body */
    KV_ROUTE_ANY_PARAMS = 1 << 1, /* the handler looks at the parameters itself */
    KV_ROUTE_EXACT = 1 << 2,      /* the path ends in '/' and has nothing below it */

    /* Whom it is for: one of these, or none, which is who may do everything (access.h).
     */
    KV_ROUTE_PUBLIC = 1 << 8,     /* everybody */
    KV_ROUTE_MEMBER = 1 << 9,     /* every token; the answer tells of no keys */
    KV_ROUTE_KEYS = 1 << 10,      /* every token; the handler asks for each key */
    KV_ROUTE_OWN_TOKEN = 1 << 11, /* admit or the handler finds the token */
};

typedef void kv_handler_fn(struct kv_request *request);

/* Take the next bytes of the body: all of them, unless the request went to sleep, and
 * then it is called again with the rest. Called before the handler, and not any more
 * once there is an answer. The bytes taken; see serve.c. */
typedef size_t kv_take_fn(struct kv_request *request, const char *data, size_t len);

/* Look at the headers before the body comes, which nobody holds for a stranger. False:
 * the answer is prepared. */
typedef bool kv_admit_fn(struct kv_request *request);

struct kv_route {
    const char *path;
    unsigned methods; /* enum kv_method */
    unsigned flags;
    const char *const *params; /* NULL-terminated; NULL: none */
    kv_handler_fn *handler;
    kv_take_fn *take;        /* NULL: with KV_ROUTE_BODY it comes whole */
    uint64_t max_body;       /* of one that comes whole; 0: what a value may have */
    kv_handler_fn *too_long; /* with max_body: answers instead of the handler */
    kv_admit_fn *admit;      /* NULL: everybody whom kv_access_enter lets in */
};

struct kv_route_table {
    const struct kv_route *routes;
    size_t count;
};

#define KV_ROUTE_TABLE(array)                                                          \
    {                                                                                  \
        (array), sizeof(array) / sizeof((array)[0])                                    \
    }

/* The dialects, httpd/dialects/NAME.c. */
extern const struct kv_route_table kv_reforg_routes, kv_keyvaluestore_routes,
    kv_kvstore_routes, kv_kvshell_routes, kv_kvapp_routes;

/* Find the route of request->uri and method and set route and rest. When there is none,
 * prepares 404 not_found, 405 method_not_allowed with Allow, or 400
 * invalid_parameter for a parameter that it does not know, and returns false. */
bool kv_route_find(struct kv_request *request);

/* Whether the route stands for all below its path. */
bool kv_route_is_below(const struct kv_route *route);

/* Prepare 404 no_such_route. */
void kv_route_reply_nothing(struct kv_request *request);

/* The routes, one after the other: *state starts at 0; NULL after the last. */
const struct kv_route *kv_route_next(size_t *state);

/* The handlers. get.c, keys.c: */
kv_handler_fn kv_keys_get, kv_keys_put, kv_keys_post, kv_keys_delete;
/* list.c, watch.c: */
kv_handler_fn kv_list_get, kv_watch_get;
/* asset.c: */
kv_handler_fn kv_asset_get;
/* backup.c: */
kv_handler_fn kv_backup_get;
/* export.c, import.c: */
kv_handler_fn kv_export_get, kv_import_post;
kv_take_fn kv_import_take;
/* history.c: */
kv_handler_fn kv_history_get;
/* txn.c: */
/* Parsing takes some 20 ms for each MiB, and other connections wait for it. */
#define KV_TXN_BODY_MAX (8 << 20)
kv_handler_fn kv_txn_post, kv_txn_too_long;
/* mounts.c: */
kv_handler_fn kv_mounts_get, kv_mounts_post, kv_mounts_delete;
/* tokens.c: */
kv_handler_fn kv_tokens_get, kv_tokens_post, kv_tokens_delete;
/* admin.c: */
kv_handler_fn kv_admin_root, kv_admin_health, kv_admin_ready, kv_admin_metrics,
    kv_admin_status;

#endif
