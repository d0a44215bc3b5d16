#include "http.h"

#include "base/buf.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct http {
    CURL *curl;
    struct curl_slist *headers;
    char *url;
    struct kv_buf body;
    char error[CURL_ERROR_SIZE];
};

static size_t collect(char *data, size_t size, size_t count, void *ctx)
{
    struct kv_buf *body = ctx;
    kv_buf_add(body, data, size * count);
    return kv_buf_error(body) ? 0 : size * count;
}

struct http *http_new(const char *url)
{
    struct http *http = calloc(1, sizeof *http);
    if (http == NULL || (http->url = strdup(url)) == NULL ||
        (http->curl = curl_easy_init()) == NULL) {
        fprintf(stderr, "no memory for an HTTP client\n");
        exit(2);
    }
    /* Without this, libcurl waits for "100 Continue" before larger bodies. */
    http->headers = curl_slist_append(NULL, "Expect:");
    curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, http->headers);
    curl_easy_setopt(http->curl, CURLOPT_ERRORBUFFER, http->error);
    curl_easy_setopt(http->curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(http->curl, CURLOPT_WRITEDATA, &http->body);
    curl_easy_setopt(http->curl, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(http->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(http->curl, CURLOPT_PATH_AS_IS, 1L);
    return http;
}

void http_free(struct http *http)
{
    curl_easy_cleanup(http->curl);
    curl_slist_free_all(http->headers);
    kv_buf_done(&http->body);
    free(http->url);
    free(http);
}

int http_request(struct http *http, const char *method, const char *path,
                 const void *body, size_t len, const char **ret_body, size_t *ret_len)
{
    struct kv_buf url = {0};
    kv_buf_addf(&url, "%s%s", http->url, path);
    kv_buf_addc(&url, '\0');
    kv_buf_reset(&http->body);
    http->error[0] = '\0';
    curl_easy_setopt(http->curl, CURLOPT_URL, url.data);
    if (body != NULL) {
        curl_easy_setopt(http->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
        curl_easy_setopt(http->curl, CURLOPT_POSTFIELDS, body);
    } else {
        curl_easy_setopt(http->curl, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(http->curl, CURLOPT_CUSTOMREQUEST, method);
    CURLcode code = curl_easy_perform(http->curl);
    kv_buf_done(&url);
    if (code != CURLE_OK) {
        if (http->error[0] == '\0')
            snprintf(http->error, sizeof http->error, "%s", curl_easy_strerror(code));
        return -1;
    }
    long status = 0;
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &status);
    if (ret_body != NULL)
        *ret_body = http->body.data;
    if (ret_len != NULL)
        *ret_len = http->body.len;
    return (int)status;
}

const char *http_error(const struct http *http)
{
    return http->error;
}
