/* Packets of Engine.IO and Socket.IO. The grammars are those of the protocols' own
 * documents (engine.io-protocol 4, socket.io-protocol 5); the JSON of the answers is
 * what python-socketio writes. */
#include "httpd/dialects/engineio.h"

#include "base/utf8.h"
#include "httpd/dialects/pyjson.h"

#include <errno.h>
#include <string.h>

/* The digits of an acknowledgement's number and of a count of attachments. */
#define NUMBER_MAX 19

/* -- Engine.IO -- */

int kv_eio_next(const char *payload, size_t len, size_t *offset,
                struct kv_eio_packet *ret)
{
    if (*offset == 0 && (len == 0 || !kv_utf8_valid(payload, len)))
        return -EINVAL;
    if (*offset > len)
        return 0;
    const char *start = payload + *offset;
    const char *end = memchr(start, KV_EIO_SEPARATOR, len - *offset);
    size_t size = end ? (size_t)(end - start) : len - *offset;
    if (size == 0 || !memchr("0123456b", *start, 8))
        return -EINVAL;
    *ret = (struct kv_eio_packet){(enum kv_eio_type) * start, {start + 1, size - 1}};
    *offset += size + 1; /* past the end, when it was the last */
    return 1;
}

/* -- Socket.IO: TYPE [ATTACHMENTS "-"] [NAMESPACE ","] [ID] [JSON] -- */

/* How many digits rest begins with. */
static size_t count_digits(struct kv_span rest)
{
    size_t count = 0;
    while (count < rest.len && rest.data[count] >= '0' && rest.data[count] <= '9')
        count++;
    return count;
}

static void skip(struct kv_span *rest, size_t count)
{
    rest->data += count;
    rest->len -= count;
}

static int read_attachments(struct kv_span *rest)
{
    size_t digits = count_digits(*rest);
    if (digits == 0 || digits > NUMBER_MAX || digits == rest->len ||
        rest->data[digits] != '-')
        return -EINVAL;
    skip(rest, digits + 1);
    return 0;
}

static int read_namespace(struct kv_span *rest, struct kv_span *ret)
{
    *ret = (struct kv_span){"/", 1};
    if (rest->len == 0 || *rest->data != '/')
        return 0;
    const char *comma = memchr(rest->data, ',', rest->len);
    *ret =
        (struct kv_span){rest->data, comma ? (size_t)(comma - rest->data) : rest->len};
    skip(rest, comma ? ret->len + 1 : ret->len);
    const char *query = memchr(ret->data, '?', ret->len);
    if (query)
        ret->len = (size_t)(query - ret->data);
    return ret->len <= KV_SIO_NAMESPACE_MAX ? 0 : -EINVAL;
}

static bool begins_with_name(struct kv_span list)
{
    struct kv_span first;
    size_t offset = 0;
    return *list.data == '[' && kv_json_next(list, &offset, NULL, &first) &&
           *first.data == '"';
}

static bool data_fits(const struct kv_sio_packet *packet)
{
    struct kv_span data = packet->data;
    switch (packet->type) {
    case KV_SIO_CONNECT:
        return data.len == 0 || *data.data == '{';
    case KV_SIO_DISCONNECT:
        return data.len == 0;
    case KV_SIO_EVENT:
    case KV_SIO_BINARY_EVENT:
        return data.len > 0 && begins_with_name(data);
    case KV_SIO_ACK:
    case KV_SIO_BINARY_ACK:
        return data.len > 0 && *data.data == '[';
    case KV_SIO_CONNECT_ERROR:
        break; /* a server's */
    }
    return false;
}

int kv_sio_read(struct kv_span text, struct kv_sio_packet *ret)
{
    struct kv_span rest = text;
    if (rest.len == 0 || *rest.data < KV_SIO_CONNECT || *rest.data > KV_SIO_BINARY_ACK)
        return -EINVAL;
    *ret = (struct kv_sio_packet){.type = (enum kv_sio_type) * rest.data};
    skip(&rest, 1);
    bool binary = ret->type == KV_SIO_BINARY_EVENT || ret->type == KV_SIO_BINARY_ACK;
    if (binary && read_attachments(&rest))
        return -EINVAL;
    if (read_namespace(&rest, &ret->space))
        return -EINVAL;
    size_t digits = count_digits(rest); /* the number of an acknowledgement */
    if (digits > NUMBER_MAX)
        return -EINVAL;
    skip(&rest, digits);
    if (rest.len > 0 && kv_json_read(rest.data, rest.len, &ret->data))
        return -EINVAL;
    return data_fits(ret) ? 0 : -EINVAL;
}

/* -- What a server says -- */

void kv_eio_add_open(struct kv_buf *out, const struct kv_eio_opening *opening)
{
    kv_buf_addf(out,
                "0{\"sid\":\"%s\",\"upgrades\":[],\"pingInterval\":%u,"
                "\"pingTimeout\":%u,\"maxPayload\":%zu}",
                opening->sid, opening->ping_interval_ms, opening->ping_timeout_ms,
                opening->max_payload);
}

void kv_sio_add_connect(struct kv_buf *out, const char *sid)
{
    kv_buf_addf(out, "40{\"sid\":\"%s\"}", sid);
}

void kv_sio_add_connect_error(struct kv_buf *out, struct kv_span space)
{
    kv_buf_adds(out, "44");
    kv_buf_add(out, space.data, space.len);
    kv_buf_adds(out, ",{\"message\":\"Invalid namespace\"}");
}

void kv_sio_add_key_update(struct kv_buf *out, const void *key, size_t key_len,
                           const void *value, size_t value_len)
{
    kv_buf_adds(out, "42[\"key_update\",{\"data\":\"Key: ");
    (void)kv_pyjson_slice(out, KV_PYJSON_ASCII, key, key_len, false);
    kv_buf_adds(out, " set with value: ");
    if (value)
        (void)kv_pyjson_slice(out, KV_PYJSON_ASCII, value, value_len, false);
    else
        kv_buf_addf(out, "(%zu bytes)", value_len);
    kv_buf_adds(out, "\"}]");
}
