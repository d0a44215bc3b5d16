/* GET /v1/keys: listings, sorted by byte order, in pages, each one snapshot.
 *
 * A page is bounded four times: in rows, which the client may choose; in rows that are
 * looked at; in bytes of values read from the store; and in bytes of JSON, because
 * escapes make up to six bytes of one. */
#include "base/json.h"
#include "base/utf8.h"
#include "httpd/access.h"
#include "httpd/describe.h"
#include "httpd/field.h"
#include "httpd/reply.h"
#include "httpd/route.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define LIMIT_DEFAULT 1000
#define LIMIT_MAX 10000
/* Of JSON in one page, and of values; past it the page ends and `more` says so. */
#define PAGE_BYTES (16 << 20)
/* Rows that one page looks at: with directories that are not listed, say, or keys that
 * are due, it could walk far for nothing, and other connections wait meanwhile. */
#define SCAN_MAX 20000
/* A value longer than this is left out, with "omitted":true; GET has it. */
#define VALUE_MAX (1 << 20)

static void set_bytes(struct kv_request *request, const char *name, const void **ret,
                      size_t *ret_len)
{
    const struct kv_param *param = kv_uri_param(&request->uri, name);
    *ret = param ? param->value : "";
    *ret_len = param ? param->value_len : 0;
}

static bool parse_limit(struct kv_request *request, struct kv_list_query *query)
{
    const struct kv_param *param = kv_uri_param(&request->uri, "limit");
    uint64_t limit = LIMIT_DEFAULT;
    if (param && (kv_u64_parse(param->value, param->value_len, &limit) || limit < 1 ||
                  limit > LIMIT_MAX)) {
        kv_reply_invalid_param(request, "limit", "must be a number from 1 to 10000");
        return false;
    }
    query->limit = (size_t)limit;
    return true;
}

static bool parse_flags(struct kv_request *request, struct kv_list_query *query)
{
    const struct kv_param *delimiter = kv_uri_param(&request->uri, "delimiter");
    const struct kv_param *values = kv_uri_param(&request->uri, "values");
    if (delimiter && !kv_key_equal(delimiter->value, delimiter->value_len, "/", 1)) {
        kv_reply_invalid_param(request, "delimiter", "can only be /");
        return false;
    }
    if (values && kv_bool_parse(values->value, values->value_len, &query->values)) {
        kv_reply_invalid_param(request, "values", "must be 0 or 1");
        return false;
    }
    query->recursive = delimiter == NULL;
    query->directories = !query->recursive;
    return true;
}

/* dir may be written with the slash that directories are shown with. */
static bool parse_dir(struct kv_request *request, struct kv_list_query *query)
{
    const char *dir;
    set_bytes(request, "dir", &query->dir, &query->dir_len);
    dir = query->dir;
    if (query->dir_len > 1 && dir[query->dir_len - 1] == '/')
        query->dir_len--;
    if (query->dir_len == 0 || kv_key_check(dir, query->dir_len) == KV_KEY_VALID)
        return kv_access_check_dir(request, dir, query->dir_len);
    kv_reply_invalid_key(request, dir, query->dir_len);
    return false;
}

/* With a delimiter, a prefix such as "a/b/c" asks for children of a/b: list there.
 * True: the directory came out of the prefix, so its absence is an empty listing. */
static bool narrow_to_prefix(struct kv_list_query *query)
{
    if (query->recursive || query->prefix_len == 0)
        return false;
    const char *slash = memrchr(query->prefix, '/', query->prefix_len);
    size_t len = slash ? (size_t)(slash - (const char *)query->prefix) : 0;
    if (len == 0 || kv_key_check(query->prefix, len) != KV_KEY_VALID ||
        !kv_key_is_below(query->prefix, len, query->dir, query->dir_len))
        return false;
    query->dir = query->prefix;
    query->dir_len = len;
    return true;
}

static void add_key(struct kv_buf *json, const struct kv_record *record, bool values)
{
    kv_buf_addc(json, '{');
    kv_describe(json, record, values);
    kv_buf_addc(json, '}');
}

/* A string; an object, as keys are, when that could not hold it. */
static void add_directory(struct kv_buf *json, const struct kv_record *record)
{
    if (kv_utf8_valid(record->key, record->key_len)) {
        kv_json_string(json, record->key, record->key_len);
        return;
    }
    kv_buf_addc(json, '{');
    kv_json_bytes(json, "key", record->key, record->key_len);
    kv_buf_addc(json, '}');
}

/* Keys and directories apart, as many of both as fit a page; how many. */
static size_t add_rows(struct kv_buf *keys, struct kv_buf *directories,
                       const struct kv_list *list, bool values)
{
    const size_t keys_start = keys->len;
    size_t i;
    for (i = 0; i < list->count && keys->len + directories->len < PAGE_BYTES; i++) {
        const struct kv_record *record = list->records[i];
        struct kv_buf *out = kv_record_is_dir(record) ? directories : keys;
        if (out->len > (out == keys ? keys_start : 0))
            kv_buf_addc(out, ',');
        if (out == directories)
            add_directory(out, record);
        else
            add_key(out, record, values);
    }
    return i;
}

static void add_next(struct kv_buf *json, const void *key, size_t len)
{
    kv_buf_addc(json, ',');
    kv_json_bytes(json, "next", key, len);
}

static void reply_list(struct kv_request *request, const struct kv_list *list,
                       const struct kv_list_query *query)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0}, directories = {0};
    kv_buf_addf(&json, "{\"revision\":%" PRIu64 ",\"keys\":[", list->revision);
    size_t count = add_rows(&json, &directories, list, query->values);
    bool more = list->more || count < list->count;
    if (query->directories) {
        kv_buf_adds(&json, "],\"directories\":[");
        kv_buf_add(&json, directories.data, directories.len);
    }
    kv_buf_addf(&json, "],\"more\":%s", more ? "true" : "false");
    if (count < list->count) {
        const struct kv_record *last = list->records[count - 1];
        add_next(&json, last->key, last->key_len);
    } else if (list->more) {
        add_next(&json, list->next.data, list->next.len);
    }
    if (directories.failed)
        json.failed = true;
    kv_buf_adds(&json, "}\n");
    kv_reply_buf(request, 200, "application/json", &json);
    kv_reply_header_u64(request, "X-Kv-Revision", list->revision);
}

void kv_list_get(struct kv_request *request)
{
    struct kv_list_query query = {
        .max_bytes = PAGE_BYTES, .value_max = VALUE_MAX, .scan_max = SCAN_MAX};
    struct kv_list list = {0};
    struct kv_within within;
    if (!parse_dir(request, &query) || !parse_limit(request, &query) ||
        !parse_flags(request, &query))
        return;
    set_bytes(request, "prefix", &query.prefix, &query.prefix_len);
    set_bytes(request, "after", &query.after, &query.after_len);
    if (!kv_access_check_prefix(request, query.prefix, query.prefix_len))
        return;
    bool narrowed = narrow_to_prefix(&query);
    query.within = kv_access_within(request, query.dir, query.dir_len, &within);
    int err = kv_store_list(request->http->store, &query, &list);
    if (narrowed && (err == -ENOENT || err == -ENOTDIR)) {
        list.revision = kv_store_revision(request->http->store);
        err = 0;
    }
    if (err)
        kv_reply_errno(request, err, query.dir, query.dir_len);
    else
        reply_list(request, &list, &query);
    kv_list_done(&list);
}
