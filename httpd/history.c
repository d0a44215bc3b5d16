/* GET /v1/history: what happened to a key, in pages, newest first. A page is bounded
 * like those of listings (list.c): the log is not indexed by key, so what is looked at
 * counts, too. */
#include "base/json.h"
#include "httpd/access.h"
#include "httpd/field.h"
#include "httpd/reply.h"
#include "httpd/route.h"
#include "httpd/sse.h"

#include <inttypes.h>

#define LIMIT_DEFAULT 100
#define LIMIT_MAX 1000
#define PAGE_BYTES (4 << 20)
#define SCAN_MAX 50000
#define VALUE_MAX (1 << 20)

static bool parse_key(struct kv_request *request, struct kv_history_query *query)
{
    const struct kv_param *key = kv_uri_param(&request->uri, "key");
    if (!key) {
        kv_reply_invalid_param(request, "key", "is missing");
        return false;
    }
    query->key = key->value;
    query->key_len = key->value_len;
    if (kv_key_check(key->value, key->value_len) == KV_KEY_VALID)
        return kv_access_check(request, query->key, query->key_len, KV_READ);
    kv_reply_invalid_key(request, key->value, key->value_len);
    return false;
}

static bool parse_bounds(struct kv_request *request, struct kv_history_query *query)
{
    const struct kv_param *limit = kv_uri_param(&request->uri, "limit");
    const struct kv_param *before = kv_uri_param(&request->uri, "before");
    uint64_t number = LIMIT_DEFAULT;
    if (limit && (kv_u64_parse(limit->value, limit->value_len, &number) || number < 1 ||
                  number > LIMIT_MAX)) {
        kv_reply_invalid_param(request, "limit", "must be a number from 1 to 1000");
        return false;
    }
    query->limit = (size_t)number;
    if (!before)
        return true;
    if (kv_position_parse(before->value, before->value_len, &query->before.revision,
                          &query->before.index) ||
        query->before.revision == 0) {
        kv_reply_invalid_param(request, "before",
                               "must be a revision from 1 on, or the next of a page");
        return false;
    }
    if (query->before.index == UINT32_MAX) /* a revision: before all of it */
        query->before.index = 0;
    return true;
}

static void reply_history(struct kv_request *request, const struct kv_history *history,
                          bool values)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    kv_buf_addf(&json,
                "{\"revision\":%" PRIu64 ",\"oldest_revision\":%" PRIu64
                ",\"versions\":[",
                history->revision, history->oldest);
    for (size_t i = 0; i < history->count; i++) {
        /* The key may be told of, so something of each event may. */
        KV_CLEANUP(kv_event_unrefp) struct kv_event *event = NULL;
        if (kv_access_event(request, history->events[i], &event))
            json.failed = true;
        if (!event)
            continue;
        if (i > 0)
            kv_buf_addc(&json, ',');
        kv_event_json(&json, event, NULL,
                      values ? KV_SSE_WITH_VALUES : KV_SSE_WITHOUT_VALUES, VALUE_MAX);
    }
    kv_buf_addf(&json, "],\"more\":%s", history->more ? "true" : "false");
    if (history->more)
        kv_buf_addf(&json, ",\"next\":\"%" PRIu64 ".%" PRIu32 "\"",
                    history->next.revision, history->next.index);
    kv_buf_adds(&json, "}\n");
    kv_reply_buf(request, 200, "application/json", &json);
    kv_reply_header_u64(request, "X-Kv-Revision", history->revision);
}

void kv_history_get(struct kv_request *request)
{
    const struct kv_param *param = kv_uri_param(&request->uri, "values");
    struct kv_history_query query = {.max_bytes = PAGE_BYTES, .scan_max = SCAN_MAX};
    struct kv_history history;
    bool values = true;
    if (!parse_key(request, &query) || !parse_bounds(request, &query))
        return;
    if (param && kv_bool_parse(param->value, param->value_len, &values)) {
        kv_reply_invalid_param(request, "values", "must be 0 or 1");
        return;
    }
    int err = kv_store_history(request->http->store, &query, &history);
    if (err) {
        kv_reply_errno(request, err, query.key, query.key_len);
        return;
    }
    reply_history(request, &history, values);
    kv_history_done(&history);
}
