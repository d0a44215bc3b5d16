/* What a client sends over a WebSocket. However it is cut into pieces, it means the
 * same: the first byte says how long the pieces are. */
#include "base/utf8.h"
#include "httpd/wsframe.h"

#include "fuzz.h"

#define MESSAGE_MAX 1000

static void check(const struct kv_ws_parser *parser, enum kv_ws_got got)
{
    if (got == KV_WS_GOT_MESSAGE) {
        FUZZ_CHECK(parser->message.len <= MESSAGE_MAX);
        FUZZ_CHECK(parser->binary ||
                   kv_utf8_valid(parser->message.data, parser->message.len));
    }
    if (got == KV_WS_GOT_PING || got == KV_WS_GOT_PONG)
        FUZZ_CHECK(parser->control_len <= KV_WS_CONTROL_MAX);
    if (got == KV_WS_GOT_CLOSE)
        FUZZ_CHECK(parser->code >= KV_WS_NORMAL && parser->code < 5000);
    if (got == KV_WS_GOT_ERROR)
        FUZZ_CHECK(strlen(parser->reason) <= KV_WS_REASON_MAX);
}

static void note(const struct kv_ws_parser *parser, enum kv_ws_got got,
                 struct kv_buf *seen)
{
    kv_buf_addf(seen, "%d ", got);
    if (got == KV_WS_GOT_MESSAGE)
        kv_buf_add(seen, parser->message.data, parser->message.len);
    if (got == KV_WS_GOT_PING || got == KV_WS_GOT_PONG)
        kv_buf_add(seen, parser->control, parser->control_len);
    if (got == KV_WS_GOT_CLOSE || got == KV_WS_GOT_ERROR)
        kv_buf_addf(seen, "%u", parser->code);
}

/* False: nothing may follow. */
static bool take(struct kv_ws_parser *parser, const char *data, size_t len,
                 struct kv_buf *seen)
{
    enum kv_ws_got got;
    const char *at = data;
    size_t left = len;
    while ((got = kv_ws_parse(parser, &at, &left)) != KV_WS_GOT_NOTHING) {
        FUZZ_CHECK(fuzz_within(at, left, data, len));
        check(parser, got);
        note(parser, got, seen);
        if (got == KV_WS_GOT_CLOSE || got == KV_WS_GOT_ERROR)
            return false;
    }
    FUZZ_CHECK(left == 0);
    return true;
}

static void feed(const uint8_t *data, size_t size, size_t piece, struct kv_buf *seen)
{
    struct kv_ws_parser parser = {.message_max = MESSAGE_MAX};
    bool goes_on = true;
    while (goes_on && size > 0) {
        size_t len = size < piece ? size : piece;
        char *copy = fuzz_copy(data, len);
        goes_on = take(&parser, copy, len, seen);
        free(copy);
        data += len;
        size -= len;
    }
    kv_ws_parser_done(&parser);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kv_buf whole = {0}, pieces = {0};
    if (size == 0)
        return 0;
    feed(data + 1, size - 1, size, &whole);
    feed(data + 1, size - 1, data[0] ? data[0] : 1, &pieces);
    FUZZ_CHECK(whole.len == pieces.len);
    FUZZ_CHECK(whole.len == 0 || memcmp(whole.data, pieces.data, whole.len) == 0);
    kv_buf_done(&whole);
    kv_buf_done(&pieces);
    return 0;
}
