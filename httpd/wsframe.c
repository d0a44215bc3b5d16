/* Frames of WebSocket. A message is gathered in memory, however many frames it comes
 * in, because nothing can be said of half of one; the bound on messages is what keeps
 * that small. */
#include "httpd/wsframe.h"

#include "base/utf8.h"

#include <string.h>

/* The first two bytes (section 5.2). */
#define FIN 0x80
#define RESERVED 0x70
#define OPCODE 0x0f
#define MASKED 0x80
#define LENGTH 0x7f
#define LENGTH_16 126
#define LENGTH_64 127
#define MASK_SIZE 4

static bool is_control(unsigned opcode)
{
    return opcode >= KV_WS_CLOSE;
}

static enum kv_ws_got broken(struct kv_ws_parser *parser, enum kv_ws_code code,
                             const char *reason)
{
    parser->ended = true;
    parser->code = (uint16_t)code;
    parser->reason = reason;
    return KV_WS_GOT_ERROR;
}

/* How long the header is, going by the bytes of it that are there. */
static size_t header_size(const struct kv_ws_parser *parser)
{
    if (parser->header_len < 2)
        return 2;
    unsigned length = parser->header[1] & LENGTH;
    size_t more = length == LENGTH_16 ? 2 : length == LENGTH_64 ? 8 : 0;
    return 2 + more + (parser->header[1] & MASKED ? MASK_SIZE : 0);
}

static uint64_t payload_size(const struct kv_ws_parser *parser, bool *ret_shortest)
{
    unsigned length = parser->header[1] & LENGTH;
    *ret_shortest = true;
    if (length < LENGTH_16)
        return length;
    uint64_t size = 0;
    size_t bytes = length == LENGTH_16 ? 2 : 8;
    for (size_t i = 0; i < bytes; i++)
        size = size << 8 | parser->header[2 + i];
    *ret_shortest = size > (length == LENGTH_16 ? LENGTH_16 - 1 : UINT16_MAX);
    return size;
}

/* What the first two bytes alone can tell, so that nobody waits for more of a frame
 * that is wrong already. NULL or the rule. */
static const char *check_start(const struct kv_ws_parser *parser)
{
    unsigned first = parser->header[0], opcode = first & OPCODE;
    if (first & RESERVED)
        return "a reserved bit is set, and no extension was agreed on";
    if (!(parser->header[1] & MASKED))
        return "frames of a client must be masked";
    switch (opcode) {
    case KV_WS_CONTINUATION:
        return parser->in_message ? NULL : "there is no message to be continued";
    case KV_WS_TEXT:
    case KV_WS_BINARY:
        return parser->in_message ? "a message began within another" : NULL;
    case KV_WS_CLOSE:
    case KV_WS_PING:
    case KV_WS_PONG:
        return !(first & FIN) ? "a control frame must not be in parts"
               : (parser->header[1] & LENGTH) > KV_WS_CONTROL_MAX
                   ? "a control frame is longer than 125 bytes"
                   : NULL;
    default:
        return "there is no such kind of frame";
    }
}

static enum kv_ws_got begin_payload(struct kv_ws_parser *parser)
{
    bool shortest;
    unsigned opcode = parser->header[0] & OPCODE;
    parser->left = payload_size(parser, &shortest);
    if (!shortest)
        return broken(parser, KV_WS_PROTOCOL_ERROR,
                      "a length is not as short as it can be");
    parser->in_payload = true;
    parser->offset = 0;
    if (is_control(opcode)) {
        parser->control_len = 0;
        return KV_WS_GOT_NOTHING;
    }
    if (parser->left > parser->message_max ||
        parser->message.len > parser->message_max - parser->left)
        return broken(parser, KV_WS_TOO_BIG, "the message is too long");
    if (!parser->in_message)
        parser->binary = opcode == KV_WS_BINARY;
    parser->in_message = true;
    return KV_WS_GOT_NOTHING;
}

static enum kv_ws_got take_header(struct kv_ws_parser *parser, const char **data,
                                  size_t *len)
{
    while (*len > 0 && parser->header_len < header_size(parser)) {
        parser->header[parser->header_len++] = (unsigned char)*(*data)++;
        (*len)--;
        const char *rule = parser->header_len == 2 ? check_start(parser) : NULL;
        if (rule)
            return broken(parser, KV_WS_PROTOCOL_ERROR, rule);
    }
    if (parser->header_len < header_size(parser))
        return KV_WS_GOT_NOTHING;
    return begin_payload(parser);
}

static void unmask(struct kv_ws_parser *parser, unsigned char *bytes, size_t len)
{
    const unsigned char *mask = parser->header + parser->header_len - MASK_SIZE;
    for (size_t i = 0; i < len; i++)
        bytes[i] ^= mask[parser->offset++ % MASK_SIZE];
}

static enum kv_ws_got take_payload(struct kv_ws_parser *parser, const char **data,
                                   size_t *len)
{
    size_t piece = *len < parser->left ? *len : (size_t)parser->left;
    if (piece == 0)
        return KV_WS_GOT_NOTHING;
    if (is_control(parser->header[0] & OPCODE)) {
        memcpy(parser->control + parser->control_len, *data, piece);
        unmask(parser, parser->control + parser->control_len, piece);
        parser->control_len += (unsigned char)piece;
    } else {
        size_t before = parser->message.len;
        kv_buf_add(&parser->message, *data, piece);
        if (parser->message.failed)
            return broken(parser, KV_WS_INTERNAL_ERROR, "out of memory");
        unmask(parser, (unsigned char *)parser->message.data + before, piece);
    }
    parser->left -= piece;
    *data += piece;
    *len -= piece;
    return KV_WS_GOT_NOTHING;
}

/* Codes that may stand in a Close (section 7.4; 1012 to 1014 were registered later). */
static bool is_code(unsigned code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static enum kv_ws_got end_close(struct kv_ws_parser *parser)
{
    unsigned code = KV_WS_NO_CODE;
    if (parser->control_len == 1)
        return broken(parser, KV_WS_PROTOCOL_ERROR, "half a code in a Close");
    if (parser->control_len > 0) {
        code = (unsigned)parser->control[0] << 8 | parser->control[1];
        if (!is_code(code))
            return broken(parser, KV_WS_PROTOCOL_ERROR, "no code that may be sent");
        if (!kv_utf8_valid(parser->control + 2, parser->control_len - 2u))
            return broken(parser, KV_WS_NOT_UTF8, "the reason is not UTF-8");
    }
    parser->ended = true;
    parser->code = (uint16_t)code;
    return KV_WS_GOT_CLOSE;
}

static enum kv_ws_got end_frame(struct kv_ws_parser *parser)
{
    unsigned first = parser->header[0];
    parser->in_payload = false;
    parser->header_len = 0;
    switch (first & OPCODE) {
    case KV_WS_PING:
        return KV_WS_GOT_PING;
    case KV_WS_PONG:
        return KV_WS_GOT_PONG;
    case KV_WS_CLOSE:
        return end_close(parser);
    default:
        break;
    }
    if (!(first & FIN))
        return KV_WS_GOT_NOTHING;
    if (!parser->binary && !kv_utf8_valid(parser->message.data, parser->message.len))
        return broken(parser, KV_WS_NOT_UTF8, "the text is not UTF-8");
    parser->in_message = false;
    parser->complete = true;
    return KV_WS_GOT_MESSAGE;
}

enum kv_ws_got kv_ws_parse(struct kv_ws_parser *parser, const char **data, size_t *len)
{
    if (parser->complete)
        kv_buf_done(&parser->message);
    parser->complete = false;
    while (!parser->ended) {
        enum kv_ws_got got = KV_WS_GOT_NOTHING;
        if (!parser->in_payload)
            got = take_header(parser, data, len);
        if (got == KV_WS_GOT_NOTHING && parser->in_payload)
            got = take_payload(parser, data, len);
        if (got == KV_WS_GOT_NOTHING && parser->in_payload && parser->left == 0)
            got = end_frame(parser);
        else if (got == KV_WS_GOT_NOTHING)
            return got; /* there are no more bytes */
        if (got != KV_WS_GOT_NOTHING)
            return got;
    }
    *data += *len; /* what comes behind the end does not matter */
    *len = 0;
    return KV_WS_GOT_NOTHING;
}

void kv_ws_parser_done(struct kv_ws_parser *parser)
{
    kv_buf_done(&parser->message);
}

/* -- What is sent -- */

/* Longest header of a frame that is not masked. */
#define PLAIN_HEADER_MAX (KV_WS_HEADER_MAX - MASK_SIZE)

static size_t make_header(unsigned char header[PLAIN_HEADER_MAX],
                          enum kv_ws_opcode opcode, size_t len)
{
    header[0] = (unsigned char)(FIN | opcode);
    if (len < LENGTH_16) {
        header[1] = (unsigned char)len;
        return 2;
    }
    size_t bytes = len <= UINT16_MAX ? 2 : 8;
    header[1] = bytes == 2 ? LENGTH_16 : LENGTH_64;
    for (size_t i = 0; i < bytes; i++)
        header[2 + i] = (unsigned char)((uint64_t)len >> 8 * (bytes - 1 - i));
    return 2 + bytes;
}

void kv_ws_add(struct kv_buf *out, enum kv_ws_opcode opcode, const void *data,
               size_t len)
{
    unsigned char header[PLAIN_HEADER_MAX];
    kv_buf_add(out, header, make_header(header, opcode, len));
    kv_buf_add(out, data, len);
}

size_t kv_ws_begin(struct kv_buf *out)
{
    size_t mark = out->len;
    (void)kv_buf_resize(out, mark + PLAIN_HEADER_MAX); /* an error sticks */
    return mark;
}

void kv_ws_end(struct kv_buf *out, size_t mark, enum kv_ws_opcode opcode)
{
    unsigned char header[PLAIN_HEADER_MAX];
    if (out->failed)
        return;
    size_t len = out->len - mark - PLAIN_HEADER_MAX;
    size_t header_len = make_header(header, opcode, len);
    memcpy(out->data + mark, header, header_len);
    memmove(out->data + mark + header_len, out->data + mark + PLAIN_HEADER_MAX, len);
    out->len = mark + header_len + len;
}

void kv_ws_add_close(struct kv_buf *out, unsigned code, const char *reason)
{
    char payload[KV_WS_CONTROL_MAX];
    size_t len = strlen(reason);
    if (code == KV_WS_NO_CODE) {
        kv_ws_add(out, KV_WS_CLOSE, NULL, 0);
        return;
    }
    if (len > KV_WS_REASON_MAX)
        len = KV_WS_REASON_MAX;
    payload[0] = (char)(code >> 8);
    payload[1] = (char)(code & 0xff);
    memcpy(payload + 2, reason, len);
    kv_ws_add(out, KV_WS_CLOSE, payload, len + 2);
}
