/* Request targets, as they come from the wire. */
#include "httpd/uri.h"

#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct kv_uri uri;
    char *target = fuzz_copy(data, size);
    if (!kv_uri_parse(target, size, &uri)) {
        FUZZ_CHECK(uri.path_len > 0 && *uri.path == '/');
        FUZZ_CHECK(uri.path_len <= size || uri.path_len == 1);
        FUZZ_CHECK(uri.param_count <= KV_URI_PARAMS_MAX);
        if (uri.authority)
            FUZZ_CHECK(fuzz_within(uri.authority, uri.authority_len, target, size));
        else
            FUZZ_CHECK(fuzz_within(uri.path, uri.path_len, target, size));
    }
    free(target);
    return 0;
}
