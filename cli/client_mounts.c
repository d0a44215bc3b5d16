/* access.h's mounts: /v1/mounts over the Unix socket. */
#include "client.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <string.h>
#include <unistd.h>

/* A path means something else in another mount namespace, which kvfsd refuses. */
static void add_namespace(struct kv_buf *out, const char *before,
                          void (*add)(struct kv_buf *out, const char *text))
{
    char text[64];
    ssize_t len = readlink("/proc/self/ns/mnt", text, sizeof(text) - 1);
    if (len <= 0)
        return;
    text[len] = '\0';
    kv_buf_adds(out, before);
    add(out, text);
}

static void add_json(struct kv_buf *out, const char *text)
{
    kv_json_string(out, text, strlen(text));
}

static void write_body(struct kv_buf *body, const char *dir, const char *options)
{
    kv_buf_addc(body, '{');
    kv_json_bytes(body, "dir", dir, strlen(dir));
    kv_buf_addc(body, ',');
    kv_json_bytes(body, "options", options, strlen(options));
    add_namespace(body, ",\"namespace\":", add_json);
    kv_buf_addc(body, '}');
}

static int perform(struct kv_client *client, const struct kv_http_request *request,
                   struct kv_buf *ret_json, struct kv_fault *fault)
{
    KV_CLEANUP(kv_http_answer_done) struct kv_http_answer answer = {0};
    int status = kv_http_perform(client->http, request, &answer, fault);
    if (!status)
        status = kv_client_judge(client, &answer, NULL, fault);
    if (!status && ret_json)
        kv_buf_add(ret_json, answer.body.data, answer.body.len);
    return status;
}

int kv_client_mounts(struct kv_access *access, struct kv_buf *ret_json,
                     struct kv_fault *fault)
{
    struct kv_http_request request = {.method = "GET", .target = "/v1/mounts"};
    return perform(kv_client_of(access), &request, ret_json, fault);
}

int kv_client_mount(struct kv_access *access, const char *dir, const char *options,
                    struct kv_fault *fault)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf body = {0};
    KV_CLEANUP(kv_source_done) struct kv_source source;
    write_body(&body, dir, options);
    if (kv_buf_error(&body))
        return kv_fault_no_memory(fault);
    kv_source_bytes(&source, body.data, body.len);
    struct kv_http_request request = {
        .method = "POST", .target = "/v1/mounts", .body = &source};
    return perform(kv_client_of(access), &request, NULL, fault);
}

int kv_client_unmount(struct kv_access *access, const char *dir, bool lazy,
                      struct kv_fault *fault)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf target = {0};
    kv_buf_adds(&target, "/v1/mounts?dir=");
    kv_http_encode(&target, dir);
    if (lazy)
        kv_buf_adds(&target, "&lazy=1");
    add_namespace(&target, "&namespace=", kv_http_encode);
    kv_buf_addc(&target, '\0');
    if (kv_buf_error(&target))
        return kv_fault_no_memory(fault);
    struct kv_http_request request = {.method = "DELETE", .target = target.data};
    return perform(kv_client_of(access), &request, NULL, fault);
}
