/* Query strings: the part of a target that has most to it. */
#include "httpd/uri.h"

#include "fuzz.h"

static void check_param(const struct kv_uri *uri, size_t i, const char *target,
                        size_t len)
{
    const struct kv_param *param = &uri->params[i];
    FUZZ_CHECK(param->name_len > 0);
    FUZZ_CHECK(fuzz_within(param->name, param->name_len, target, len));
    FUZZ_CHECK(fuzz_within(param->value, param->value_len, target, len));
    for (size_t j = 0; j < i; j++)
        FUZZ_CHECK(uri->params[j].name_len != param->name_len ||
                   memcmp(uri->params[j].name, param->name, param->name_len) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char path[] = "/v1/keys?";
    const size_t path_len = sizeof(path) - 1, len = path_len + size;
    struct kv_uri uri;
    char *target = malloc(len);
    FUZZ_CHECK(target != NULL);
    memcpy(target, path, path_len);
    if (size > 0)
        memcpy(target + path_len, data, size);
    if (!kv_uri_parse(target, len, &uri)) {
        FUZZ_CHECK(uri.path_len == path_len - 1);
        FUZZ_CHECK(uri.param_count <= KV_URI_PARAMS_MAX);
        for (size_t i = 0; i < uri.param_count; i++)
            check_param(&uri, i, target, len);
    }
    free(target);
    return 0;
}
