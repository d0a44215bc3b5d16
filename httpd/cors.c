/* Web pages of other origins. No credentials are involved: the API knows no cookies. */
#include "httpd/cors.h"

#include "httpd/reply.h"

#include <stdio.h>

/* Browsers send no longer ones, and a configured one is as long as it is. */
#define ORIGIN_MAX 300

bool kv_cors_preflight(struct kv_request *request)
{
    if (request->method != KV_OPTIONS || !request->cors_origin ||
        !request->headers.cors_method.text)
        return false;
    kv_reply_empty(request, 204);
    kv_reply_header(request, "Access-Control-Allow-Methods",
                    "GET, HEAD, PUT, POST, DELETE");
    kv_reply_header(
        request, "Access-Control-Allow-Headers",
        "Accept, Authorization, Content-Type, If-Match, If-None-Match, If-Range, "
        "Last-Event-ID, Range, X-Access-Tokens");
    kv_reply_header(request, "Access-Control-Allow-Private-Network", "true");
    kv_reply_header(request, "Access-Control-Max-Age", "600");
    return true;
}

void kv_cors_finish(struct kv_request *request)
{
    char origin[ORIGIN_MAX];
    if (!request->cors_origin || request->cors_origin_len >= sizeof(origin))
        return;
    (void)snprintf(origin, sizeof(origin), "%.*s", (int)request->cors_origin_len,
                   request->cors_origin);
    kv_reply_header(request, "Access-Control-Allow-Origin", origin);
    kv_reply_header(request, "Access-Control-Expose-Headers",
                    "Allow, Content-Range, ETag, Retry-After, X-Kv-Deleted, "
                    "X-Kv-Expires, X-Kv-Revision, X-Kv-Type, X-Kv-Version");
    kv_reply_header(request, MHD_HTTP_HEADER_VARY, "Origin");
}
