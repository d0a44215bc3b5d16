/* The command's reader of Server-Sent Events. However a stream is cut into pieces, it
 * means the same: the first byte says how long the pieces are. */
#include "sse.h"

#include "base/buf.h"
#include "fuzz.h"

static int keep(void *ctx, const struct kv_sse_event *event)
{
    struct kv_buf *seen = ctx;
    FUZZ_CHECK(event->data[event->data_len] == '\0');
    kv_buf_adds(seen, event->type);
    kv_buf_addc(seen, '\n');
    kv_buf_add(seen, event->data, event->data_len);
    kv_buf_addc(seen, '\n');
    return 0;
}

static void feed(const uint8_t *data, size_t size, size_t piece, struct kv_buf *seen)
{
    struct kv_sse sse;
    kv_sse_init(&sse, keep, seen);
    while (size > 0) {
        size_t len = size < piece ? size : piece;
        char *copy = fuzz_copy(data, len);
        FUZZ_CHECK(kv_sse_feed(&sse, copy, len) == 0);
        free(copy);
        data += len;
        size -= len;
    }
    kv_buf_adds(seen, kv_sse_last_id(&sse));
    kv_sse_done(&sse);
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
