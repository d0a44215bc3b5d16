/* What else stands in headers and parameters: entity tags, media types, weights,
 * numbers, durations, places, times. What is read is the same when it is written and
 * read again. */
#include "httpd/field.h"

#include "fuzz.h"

static void check_tags(const char *text, size_t size)
{
    struct kv_etags tags;
    if (kv_etags_parse(text, size, &tags))
        return;
    FUZZ_CHECK(tags.count + tags.weak_count <= KV_ETAGS_MAX);
    for (size_t i = 0; i < tags.count; i++)
        FUZZ_CHECK(kv_etags_match_strong(&tags, tags.strong[i]) &&
                   kv_etags_match_weak(&tags, tags.strong[i]));
    for (size_t i = 0; i < tags.weak_count; i++)
        FUZZ_CHECK(kv_etags_match_weak(&tags, tags.weak[i]));
    if (tags.count == 1)
        (void)kv_etag_is(text, size, tags.strong[0]);
}

static void check_weights(const char *text, size_t size)
{
    static const char *const names[] = {"gzip", "*", "identity", "application/json"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        int weight = kv_accept_weight(text, size, names[i]);
        int other = kv_accept_other_weight(text, size, names[i]);
        FUZZ_CHECK(weight >= -1 && weight <= 1000);
        FUZZ_CHECK(other >= -1 && other <= 1000);
    }
    if (kv_media_type_valid(text, size)) {
        FUZZ_CHECK(size > 0 && size <= KV_MEDIA_TYPE_MAX);
        for (size_t i = 0; i < size; i++)
            FUZZ_CHECK(text[i] >= ' ' && text[i] != 0x7f);
    }
}

static void check_numbers(const char *text, size_t size)
{
    uint64_t number;
    int64_t signed_number, duration_ns;
    uint32_t index;
    bool flag;
    if (kv_u64_parse(text, size, &number) == 0)
        FUZZ_CHECK(kv_etags_match_strong(
            &(struct kv_etags){.count = 1, .strong = {number}}, number));
    (void)kv_i64_parse(text, size, &signed_number);
    (void)kv_bool_parse(text, size, &flag);
    (void)kv_position_parse(text, size, &number, &index);
    if (kv_duration_parse(text, size, &duration_ns) == 0)
        FUZZ_CHECK(duration_ns > 0);
}

static void check_times(const char *text, size_t size)
{
    int64_t time_ns, again_ns;
    char written[KV_TIME_SIZE], date[KV_HTTP_DATE_SIZE];
    if (kv_time_parse(text, size, &time_ns))
        return;
    kv_http_date(date, time_ns);
    kv_time_text(written, time_ns);
    FUZZ_CHECK(kv_time_parse(written, strlen(written), &again_ns) == 0);
    FUZZ_CHECK(again_ns == time_ns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = fuzz_copy(data, size);
    check_tags(text, size);
    check_weights(text, size);
    check_numbers(text, size);
    check_times(text, size);
    free(text);
    return 0;
}
