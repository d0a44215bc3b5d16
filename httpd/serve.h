#ifndef KV_HTTPD_SERVE_H
#define KV_HTTPD_SERVE_H

/* The library's callbacks for requests; see MHD_OPTION_URI_LOG_CALLBACK,
 * MHD_AccessHandlerCallback and MHD_OPTION_NOTIFY_COMPLETED. cls is not used: the
 * connection (conn.h) knows its server. */

#include "httpd/request.h"

void *kv_serve_target(void *cls, const char *target, struct MHD_Connection *connection);

enum MHD_Result kv_serve_request(void *cls, struct MHD_Connection *connection,
                                 const char *url, const char *method,
                                 const char *version, const char *upload_data,
                                 size_t *upload_size, void **context);

void kv_serve_completed(void *cls, struct MHD_Connection *connection, void **context,
                        enum MHD_RequestTerminationCode code);

#endif
