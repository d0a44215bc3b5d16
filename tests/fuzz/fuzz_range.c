/* The Range header, of a value of any size: eight bytes of size, then the header. */
#include "httpd/field.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint64_t first = 0, last = 0, value_size = fuzz_u64(&data, &size);
    char *text = fuzz_copy(data, size);
    if (kv_range_parse(text, size, value_size, &first, &last) == KV_RANGE_PART) {
        FUZZ_CHECK(first <= last);
        FUZZ_CHECK(last < value_size);
    }
    free(text);
    return 0;
}
