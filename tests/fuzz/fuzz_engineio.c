/* A payload of Engine.IO's long polling, and the packets of Socket.IO in it. */
#include "base/utf8.h"
#include "httpd/dialects/engineio.h"

#include "fuzz.h"

#include <errno.h>

static void check_message(struct kv_span text)
{
    struct kv_sio_packet packet;
    struct kv_span data;
    int err = kv_sio_read(text, &packet);
    FUZZ_CHECK(err == 0 || err == -EINVAL);
    if (err)
        return;
    FUZZ_CHECK(packet.space.len > 0 && *packet.space.data == '/');
    FUZZ_CHECK(packet.space.len <= KV_SIO_NAMESPACE_MAX);
    if (packet.data.len == 0)
        return;
    FUZZ_CHECK(fuzz_within(packet.data.data, packet.data.len, text.data, text.len));
    FUZZ_CHECK(kv_json_read(packet.data.data, packet.data.len, &data) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kv_eio_packet packet;
    size_t offset = 0;
    int got;
    char *payload = fuzz_copy(data, size);
    while ((got = kv_eio_next(payload, size, &offset, &packet)) == 1) {
        FUZZ_CHECK(offset <= size + 1);
        FUZZ_CHECK(fuzz_within(packet.data.data, packet.data.len, payload, size));
        FUZZ_CHECK(kv_utf8_valid(packet.data.data, packet.data.len));
        if (packet.type == KV_EIO_MESSAGE)
            check_message(packet.data);
    }
    FUZZ_CHECK(got == 0 || got == -EINVAL);
    free(payload);
    return 0;
}
