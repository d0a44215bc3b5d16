#ifndef KV_TESTS_HTTP_H
#define KV_TESTS_HTTP_H

/* One keep-alive HTTP connection to the daemon, for the test programs in which a curl
 * for each request would be too slow. Not thread-safe, not shared across fork. */

#include <stddef.h>

struct http;

/* url: http://HOST:PORT. Exits the program when it cannot be made. */
struct http *http_new(const char *url);
void http_free(struct http *http);

/* Send a request (body may be NULL) and return the status, or -1 when there was no
 * answer (http_error says why). The answer's body is in *ret_body until the next call;
 * both pointers may be NULL. */
int http_request(struct http *http, const char *method, const char *path,
                 const void *body, size_t len, const char **ret_body, size_t *ret_len);
const char *http_error(const struct http *http);

#endif
