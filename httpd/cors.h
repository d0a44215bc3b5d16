#ifndef KV_HTTPD_CORS_H
#define KV_HTTPD_CORS_H

/* Web pages of other origins (Fetch Standard, section 3.2, "CORS protocol"). Those that
 * --cors-origin names may use the API; all others are refused by the gate. A browser
 * asks first with OPTIONS, and shows the page an answer only when its headers say so.
 * The connection's thread. */

#include "httpd/request.h"

/* Answer a browser that asks what it may. False: the request is no such question. */
bool kv_cors_preflight(struct kv_request *request);

/* Add to the answer what the browser wants to see. */
void kv_cors_finish(struct kv_request *request);

#endif
