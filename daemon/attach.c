/* One POST /v1/mounts (docs/http.md), written by hand: the daemon has no other use for
 * an HTTP client. */
#include "attach.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/jsonread.h"
#include "base/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define ANSWER_MAX (1 << 20)

static int open_socket(const char *path, int *ret)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    KV_CLEANUP(kv_close) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
        return -errno;
    *ret = fd;
    fd = -1;
    return 0;
}

static void write_request(struct kv_buf *out, const char *dir, const char *options)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf body = {0};
    char name_space[64];
    ssize_t len = readlink("/proc/self/ns/mnt", name_space, sizeof(name_space));
    kv_buf_addc(&body, '{');
    kv_json_bytes(&body, "dir", dir, strlen(dir));
    kv_buf_addc(&body, ',');
    kv_json_bytes(&body, "options", options, strlen(options));
    if (len > 0) {
        kv_buf_adds(&body, ",\"namespace\":");
        kv_json_string(&body, name_space, (size_t)len);
    }
    kv_buf_addc(&body, '}');
    kv_buf_addf(out,
                "POST /v1/mounts HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                body.len);
    kv_buf_add(out, body.data, body.len);
    if (kv_buf_error(&body))
        out->failed = true;
}

static int send_all(int fd, const struct kv_buf *text)
{
    for (size_t sent = 0; sent < text->len;) {
        ssize_t n = send(fd, text->data + sent, text->len - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EINTR)
            return -errno;
        sent += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Up to the end; NUL-terminated. */
static int receive_all(int fd, struct kv_buf *out)
{
    char piece[4096];
    ssize_t n;
    while ((n = recv(fd, piece, sizeof(piece), 0)) != 0 && out->len < ANSWER_MAX) {
        if (n < 0 && errno != EINTR)
            return -errno;
        kv_buf_add(out, piece, n > 0 ? (size_t)n : 0);
    }
    kv_buf_addc(out, '\0');
    return kv_buf_error(out);
}

/* The error's code and message. */
static int read_error(const char *body, struct kv_buf *code, struct kv_buf *message)
{
    struct kv_span json, error;
    int err = kv_json_read(body, strlen(body), &json);
    if (!err)
        err = kv_json_member(json, "error", &error);
    if (!err)
        err = kv_json_member_bytes(error, "code", code);
    if (!err)
        err = kv_json_member_bytes(error, "message", message);
    kv_buf_addc(code, '\0');
    return err ? err : kv_buf_error(code);
}

static enum kv_attached judge(const struct kv_buf *answer, struct kv_buf *error)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf code = {0}, message = {0};
    int status;
    if (answer->len <= 1)
        return KV_ATTACH_NOBODY; /* it ended before it could answer */
    const char *body = strstr(answer->data, "\r\n\r\n");
    if (sscanf(answer->data, "HTTP/1.1 %d", &status) != 1 || !body) {
        kv_buf_adds(error, "it is not kvfsd that answers there");
        return KV_ATTACH_REFUSED;
    }
    if (status / 100 == 2)
        return KV_ATTACHED;
    if (read_error(body, &code, &message)) {
        kv_buf_addf(error, "HTTP status %d", status);
        return KV_ATTACH_REFUSED;
    }
    if (strcmp(code.data, "stopping") == 0)
        return KV_ATTACH_NOBODY;
    kv_buf_add(error, message.data, message.len);
    return KV_ATTACH_REFUSED;
}

enum kv_attached kv_attach(const char *socket_path, const char *dir,
                           const char *options, struct kv_buf *error)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf request = {0}, answer = {0};
    KV_CLEANUP(kv_close) int fd = -1;
    int err = open_socket(socket_path, &fd);
    if (err == -ENOENT || err == -ECONNREFUSED)
        return KV_ATTACH_NOBODY;
    write_request(&request, dir, options);
    if (!err)
        err = kv_buf_error(&request);
    if (!err)
        err = send_all(fd, &request);
    if (!err)
        err = receive_all(fd, &answer);
    if (err == -EPIPE || err == -ECONNRESET)
        return KV_ATTACH_NOBODY;
    if (!err)
        return judge(&answer, error);
    kv_buf_addf(error, "cannot ask kvfsd at '%s': %s", socket_path, kv_strerror(err));
    return KV_ATTACH_REFUSED;
}
