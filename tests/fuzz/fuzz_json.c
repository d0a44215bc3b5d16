/* JSON, read to its last leaf. A text that is accepted is accepted again when its
 * strings are written anew. */
#include "base/json.h"
#include "base/jsonread.h"
#include "base/utf8.h"

#include "fuzz.h"

static void walk(struct kv_span value, struct kv_span whole)
{
    struct kv_buf text = {0};
    struct kv_span name, element, again;
    uint64_t number;
    size_t offset = 0;
    FUZZ_CHECK(value.len > 0);
    FUZZ_CHECK(fuzz_within(value.data, value.len, whole.data, whole.len));
    (void)kv_json_number(value, &number);
    (void)kv_json_member_number(value, "version", &number);
    (void)kv_json_member_bytes(value, "key", &text);
    kv_buf_reset(&text);
    if (kv_json_text(value, &text) == 0) {
        struct kv_buf written = {0};
        FUZZ_CHECK(kv_utf8_valid(text.data, text.len));
        kv_json_string(&written, text.data, text.len);
        FUZZ_CHECK(kv_json_read(written.data, written.len, &again) == 0);
        kv_buf_done(&written);
    }
    kv_buf_done(&text);
    while (kv_json_next(value, &offset, &name, &element))
        walk(element, whole);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kv_span value;
    char *text = fuzz_copy(data, size);
    if (kv_json_read(text, size, &value) == 0)
        walk(value, (struct kv_span){text, size});
    free(text);
    return 0;
}
