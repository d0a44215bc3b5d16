#ifndef KV_HTTPD_ASSET_H
#define KV_HTTPD_ASSET_H

/* Files that are part of the program: the web page, the API browser, the document of
 * the API. httpd/meson.build says which file is served at which path, and httpd/embed
 * makes a table of them when the program is built. A new set of them wants: its name
 * and files there, its kv_NAME_assets declared here and listed in asset.c, and routes
 * with the handler kv_asset_get (one that ends in '/' does for a folder).
 *
 * The pages may load nothing that the daemon does not serve itself, and run no script
 * or style that stands in the page: KV_ASSET_POLICY goes with every file. A browser
 * asks again each time (If-None-Match), so after an update nobody sees a mixture of
 * versions. Any thread. */

#include "httpd/route.h"

/* Content-Security-Policy. Swagger UI has its pictures as data: in its style sheet. */
#define KV_ASSET_POLICY                                                                \
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "  \
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

struct kv_asset {
    const char *path; /* where it is served: "/docs/start.js" */
    const char *content_type;
    const char *tag; /* of the content: hexadecimal, without quotes */
    const unsigned char *data;
    size_t data_len;
    size_t len; /* of the content */
    bool gzip;  /* data is the content compressed; it is from KV_GZIP_MIN_BYTES on */
};

/* The tables, each ended by a row without path. */
extern const struct kv_asset kv_docs_assets[]; /* /openapi.json, /docs */
extern const struct kv_asset kv_ui_assets[];   /* /, /ui */

/* The asset that is served at a path, or NULL. */
const struct kv_asset *kv_asset_find(const char *path, size_t len);

/* Append the content as it was before the program was built. 0, -ENOMEM. */
int kv_asset_read(const struct kv_asset *asset, struct kv_buf *out);

/* Answer with it: 200, or 304 when the client has it. The connection's thread. */
void kv_asset_reply(struct kv_request *request, const struct kv_asset *asset);

#endif
