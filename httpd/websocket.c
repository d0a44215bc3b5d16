/* The WebSocket's handshake and messages. */
#include "httpd/websocket.h"

#include "base/base64.h"
#include "httpd/field.h"
#include "httpd/pump.h"
#include "httpd/reply.h"
#include "httpd/wsframe.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <inttypes.h>
#include <string.h>

#define KEY_BYTES 16
#define SHA1_BYTES 20
/* What RFC 6455 has for every server. */
static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/* -- Messages -- */

static void ws_opened(struct kv_buf *out, uint64_t revision)
{
    size_t mark = kv_ws_begin(out);
    kv_buf_addf(out, "{\"type\":\"open\",\"revision\":%" PRIu64 "}", revision);
    kv_ws_end(out, mark, KV_WS_TEXT);
}

static void ws_event(struct kv_buf *out, const struct kv_event *event,
                     const struct kv_event *previous, enum kv_sse_values values)
{
    struct kv_position position = kv_position_of(event);
    size_t mark = kv_ws_begin(out);
    kv_buf_adds(out, "{\"id\":\"");
    kv_position_text(out, &position);
    kv_buf_adds(out, "\",");
    kv_event_members(out, event, previous, values, KV_SSE_VALUE_MAX);
    kv_buf_addc(out, '}');
    kv_ws_end(out, mark, KV_WS_TEXT);
}

static void ws_heartbeat(struct kv_buf *out, const struct kv_position *progress)
{
    if (progress) {
        size_t mark = kv_ws_begin(out);
        kv_buf_adds(out, "{\"id\":\"");
        kv_position_text(out, progress);
        kv_buf_adds(out, "\",\"type\":\"progress\"}");
        kv_ws_end(out, mark, KV_WS_TEXT);
    }
    kv_ws_add(out, KV_WS_PING, NULL, 0);
}

static void ws_compacted(struct kv_buf *out, uint64_t oldest_revision)
{
    size_t mark = kv_ws_begin(out);
    kv_buf_adds(out, "{\"type\":\"compacted\",");
    kv_json_compacted(out, oldest_revision);
    kv_buf_addc(out, '}');
    kv_ws_end(out, mark, KV_WS_TEXT);
}

static void ws_failed(struct kv_buf *out, const char *message)
{
    size_t mark = kv_ws_begin(out);
    kv_buf_addf(out, "{\"type\":\"failed\",\"message\":\"%s\"}", message);
    kv_ws_end(out, mark, KV_WS_TEXT);
}

const struct kv_framing kv_websocket_framing = {ws_opened, ws_event, ws_heartbeat,
                                                ws_compacted, ws_failed};

/* -- Handshake -- */

int kv_websocket_accept(const char *key, size_t len, char ret[KV_WS_ACCEPT_SIZE])
{
    KV_CLEANUP(kv_buf_done) struct kv_buf bytes = {0}, text = {0};
    int err = kv_base64_decode(&bytes, key, len);
    if (err || bytes.len != KEY_BYTES)
        return err ? err : -EINVAL;
    unsigned char digest[SHA1_BYTES];
    kv_buf_add(&text, key, len);
    kv_buf_adds(&text, guid);
    err = kv_buf_error(&text);
    if (!err && gnutls_hash_fast(GNUTLS_DIG_SHA1, text.data, text.len, digest))
        err = -EIO;
    if (err)
        return err;
    kv_buf_reset(&text);
    kv_base64_encode(&text, digest, sizeof(digest));
    kv_buf_addc(&text, '\0');
    memcpy(ret, text.data, KV_WS_ACCEPT_SIZE);
    return 0;
}

bool kv_websocket_check(struct kv_request *request, char ret_accept[KV_WS_ACCEPT_SIZE])
{
    const struct kv_headers *headers = &request->headers;
    const struct kv_field *version = &headers->ws_version, *key = &headers->ws_key;
    if (!headers->connection_upgrade) {
        kv_reply_error(request, 400, "bad_request", NULL, 0,
                       "Upgrade without 'Connection: Upgrade', which a proxy on the "
                       "way may have taken out");
        return false;
    }
    /* Of a TLS connection that was upgraded the library hands on four bytes at a time,
     * and may forget to hand on its end. */
    if (kv_request_conn(request)->tls) {
        kv_reply_error(
            request, 501, "no_websocket", NULL, 0,
            "over TLS there are no WebSockets here: the same address without "
            "Upgrade is an event stream");
        return false;
    }
    if (version->len != 2 || memcmp(version->text, "13", 2) != 0) {
        kv_reply_error(request, 426, "upgrade_required", NULL, 0,
                       "Sec-WebSocket-Version must be 13");
        kv_reply_header(request, "Sec-WebSocket-Version", "13");
        kv_reply_header(request, MHD_HTTP_HEADER_UPGRADE, "websocket");
        return false;
    }
    int err = kv_websocket_accept(key->text ? key->text : "", key->len, ret_accept);
    if (err == -EINVAL)
        kv_reply_error(request, 400, "bad_request", NULL, 0,
                       "Sec-WebSocket-Key must be 16 bytes in base64");
    else if (err)
        kv_reply_errno(request, err, NULL, 0);
    return err == 0;
}

/* MHD_UpgradeHandler. */
static void on_upgraded(void *cls, struct MHD_Connection *connection, void *context,
                        const char *extra, size_t extra_len, MHD_socket fd,
                        struct MHD_UpgradeResponseHandle *handle)
{
    (void)connection;
    (void)context;
    kv_pump_add(cls, fd, handle, extra, extra_len);
}

void kv_websocket_reply(struct kv_request *request, const char *accept)
{
    kv_reply(request, 101,
             MHD_create_response_for_upgrade(on_upgraded, request->watcher));
    kv_reply_header(request, MHD_HTTP_HEADER_UPGRADE, "websocket");
    kv_reply_header(request, "Sec-WebSocket-Accept", accept);
}
