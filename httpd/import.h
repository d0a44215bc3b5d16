#ifndef KV_HTTPD_IMPORT_H
#define KV_HTTPD_IMPORT_H

/* POST /v1/import: lines of JSON, each a key, written as they come. Handlers: route.h.
 */

struct kv_import;

void kv_import_free(struct kv_import *import); /* NULL is allowed */

#endif
