#ifndef KV_HTTPD_DIALECTS_ENGINEIO_H
#define KV_HTTPD_DIALECTS_ENGINEIO_H

/* Packets of Engine.IO (protocol 4, as its long-polling transport frames them) and of
 * Socket.IO (protocol 5), which travel inside Engine.IO's messages. What comes from a
 * client is read where it lies. Pure functions. Any thread. */

#include "base/buf.h"
#include "base/jsonread.h"

#include <stdbool.h>
#include <stddef.h>

/* What joins the packets of a payload. */
#define KV_EIO_SEPARATOR '\x1e'

/* -- Engine.IO -- */

enum kv_eio_type {
    KV_EIO_OPEN = '0',
    KV_EIO_CLOSE = '1',
    KV_EIO_PING = '2',
    KV_EIO_PONG = '3',
    KV_EIO_MESSAGE = '4',
    KV_EIO_UPGRADE = '5',
    KV_EIO_NOOP = '6',
    KV_EIO_BINARY = 'b', /* a message of bytes, as base64 */
};

struct kv_eio_packet {
    enum kv_eio_type type;
    struct kv_span data;
};

/* Step through a payload: *offset starts at 0. 1: a packet; 0: there are no more;
 * -EINVAL: it is no payload (it is empty or not UTF-8, or a packet is empty or of an
 * unknown type). */
int kv_eio_next(const char *payload, size_t len, size_t *offset,
                struct kv_eio_packet *ret);

/* -- Socket.IO -- */

enum kv_sio_type {
    KV_SIO_CONNECT = '0',
    KV_SIO_DISCONNECT = '1',
    KV_SIO_EVENT = '2',
    KV_SIO_ACK = '3',
    KV_SIO_CONNECT_ERROR = '4',
    KV_SIO_BINARY_EVENT = '5',
    KV_SIO_BINARY_ACK = '6',
};

/* Longer names of namespaces are malformed. */
#define KV_SIO_NAMESPACE_MAX 255

struct kv_sio_packet {
    enum kv_sio_type type;
    struct kv_span
        space; /* the namespace, without a query behind it; "/" when left out */
    struct kv_span data; /* one JSON value; empty: none */
};

/* Read a packet that a client sent. 0; -EINVAL: it is malformed, or of a kind that no
 * client may send, or its data is not what its type wants: an object or nothing to
 * connect, nothing to disconnect, a list that begins with the event's name. */
int kv_sio_read(struct kv_span text, struct kv_sio_packet *ret);

/* -- What a server says; appended, each a packet of Engine.IO without a separator -- */

struct kv_eio_opening {
    const char *sid;
    unsigned ping_interval_ms, ping_timeout_ms;
    size_t max_payload;
};

/* OPEN: no upgrades are offered. */
void kv_eio_add_open(struct kv_buf *out, const struct kv_eio_opening *opening);

/* The namespace "/" was joined. */
void kv_sio_add_connect(struct kv_buf *out, const char *sid);

/* Another cannot be: there is none of that name. */
void kv_sio_add_connect_error(struct kv_buf *out, struct kv_span space);

/* The event `key_update`: {"data":"Key: K set with value: V"}. value NULL: it is too
 * long to be sent, and its size stands there in words. */
void kv_sio_add_key_update(struct kv_buf *out, const void *key, size_t key_len,
                           const void *value, size_t value_len);

#endif
