#ifndef KV_HTTPD_WSFRAME_H
#define KV_HTTPD_WSFRAME_H

/* Frames of WebSocket (RFC 6455 section 5), the server's side: what a client sends is
 * taken apart as it comes, what it is sent is put together in a buffer. Pure: no
 * sockets, no clocks. Any thread; one parser by one thread at a time. */

#include "base/buf.h"

#include <stdint.h>

enum kv_ws_opcode {
    KV_WS_CONTINUATION = 0,
    KV_WS_TEXT = 1,
    KV_WS_BINARY = 2,
    KV_WS_CLOSE = 8,
    KV_WS_PING = 9,
    KV_WS_PONG = 10,
};

/* Why a connection ends: section 7.4.1, and 4000 to 4999 are an application's own. */
enum kv_ws_code {
    KV_WS_NORMAL = 1000,
    KV_WS_GOING_AWAY = 1001,
    KV_WS_PROTOCOL_ERROR = 1002,
    KV_WS_NO_CODE = 1005, /* never sent: a Close without a code */
    KV_WS_NOT_UTF8 = 1007,
    KV_WS_TOO_BIG = 1009,
    KV_WS_INTERNAL_ERROR = 1011,
};

/* A control frame's payload. */
#define KV_WS_CONTROL_MAX 125
/* The reason in a Close, behind its code. */
#define KV_WS_REASON_MAX (KV_WS_CONTROL_MAX - 2)
/* What stands before a payload, with the mask that only clients send. */
#define KV_WS_HEADER_MAX 14

/* -- What a client sends -- */

enum kv_ws_got {
    KV_WS_GOT_NOTHING, /* every byte was taken, and no more is complete */
    KV_WS_GOT_MESSAGE, /* whole: message, binary */
    KV_WS_GOT_PING,    /* control, control_len: the pong is to have the same */
    KV_WS_GOT_PONG,
    KV_WS_GOT_CLOSE, /* code: the client's, or KV_WS_NO_CODE; nothing may follow */
    KV_WS_GOT_ERROR, /* code, reason: to be told in a Close; nothing more can be read */
};

struct kv_ws_parser {
    size_t message_max; /* set by the owner, who starts with all else zero */
    /* What was got, until the next call. */
    struct kv_buf message;
    bool binary;
    unsigned char control[KV_WS_CONTROL_MAX];
    unsigned char control_len;
    uint16_t code;
    const char *reason; /* static, at most KV_WS_REASON_MAX bytes */
    /* The rest is the parser's. */
    unsigned char header[KV_WS_HEADER_MAX];
    unsigned char header_len;
    bool in_payload, in_message, complete, ended;
    uint64_t left; /* of the payload */
    size_t offset; /* in the payload: which byte of the mask is next */
};

/* Take bytes from *data, of which there are *len, up to the first thing that is
 * complete. Call it again until it got nothing. Frames must be masked, lengths as short
 * as they can be, messages at most message_max bytes, text and reasons UTF-8 (section
 * 8.1), extensions none. */
enum kv_ws_got kv_ws_parse(struct kv_ws_parser *parser, const char **data, size_t *len);

void kv_ws_parser_done(struct kv_ws_parser *parser);

/* -- What is sent to it -- */

/* Append a whole frame, not masked. Errors stick to the buffer. */
void kv_ws_add(struct kv_buf *out, enum kv_ws_opcode opcode, const void *data,
               size_t len);

/* A payload that is put together in place: append it after begin; end makes it a frame.
 * mark is what begin returned. */
size_t kv_ws_begin(struct kv_buf *out);
void kv_ws_end(struct kv_buf *out, size_t mark, enum kv_ws_opcode opcode);

/* A Close. KV_WS_NO_CODE: without a code. The reason may be empty, and is cut. */
void kv_ws_add_close(struct kv_buf *out, unsigned code, const char *reason);

#endif
