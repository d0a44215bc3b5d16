/* KVApp: a JSON Web Token from /api/auth, and two calls that want it in a header of
 * their own. A search looks through all keys, because it asks for values, too. */
#include "base/clock.h"
#include "base/jsonread.h"
#include "base/log.h"
#include "httpd/access.h"
#include "httpd/dialects/dialect.h"
#include "httpd/dialects/pyjson.h"
#include "httpd/reply.h"
#include "httpd/route.h"
#include "httpd/token.h"
#include "httpd/webtoken.h"
#include "store/scan.h"

#include <errno.h>
#include <string.h>

#define JSON "application/json"
/* A search holds all it finds, and other connections wait while it looks. */
#define SEARCH_ROWS 50000
#define SEARCH_BYTES (8 << 20)

static void add_string(struct kv_buf *json, const void *data, size_t len)
{
    kv_pyjson_string(json, KV_PYJSON_ASCII, data, len);
}

static void refuse(struct kv_request *request, unsigned status, const char *text)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    kv_buf_adds(&json, "{\"msg\":");
    add_string(&json, text, strlen(text));
    kv_buf_addc(&json, '}');
    kv_reply_buf(request, status, JSON, &json);
}

static const struct kv_dialect dialect = {
    .refuse = refuse, .value_max = KV_DIALECT_JSON_VALUE_MAX, .failed = 500};

/* -- /api/auth -- */

static void auth(struct kv_request *request)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    const struct kv_caller *caller = &request->caller;
    if (caller->until_s || (!caller->token && kv_tokens_on(request->http->tokens))) {
        refuse(request, 403, "a token is needed that kv token create has made");
        return;
    }
    kv_buf_adds(&json, "{\"token\":\"");
    int err = kv_jwt_sign(request->http->jwt, caller->token ? caller->token->id : "",
                          kv_clock_realtime_ns() / KV_NS_PER_S, &json);
    kv_buf_adds(&json, "\"}");
    if (err) {
        kv_reply_errno(request, err, NULL, 0);
        return;
    }
    kv_reply_buf(request, 200, JSON, &json);
    kv_reply_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
}

/* -- What the others begin with -- */

/* kv_admit_fn */
static bool is_known(struct kv_request *request)
{
    const struct kv_field *field = &request->headers.x_access_tokens;
    unsigned wait_s = 0;
    if (field->len == 0)
        refuse(request, 400, "token is missing");
    else if (kv_access_present(request, field->text, field->len, &wait_s))
        return true;
    else
        refuse(request, wait_s ? 429 : 400, "token is invalid");
    if (wait_s)
        kv_reply_header_u64(request, MHD_HTTP_HEADER_RETRY_AFTER, wait_s);
    return false;
}

/* The members of the body, which must be these (NULL-terminated) and no others. False:
 * answered. */
static bool read_members(struct kv_request *request, const char *const *names,
                         struct kv_span *ret)
{
    struct kv_span object, value;
    const struct kv_buf *body = &request->body;
    size_t offset = 0, count = 0;
    bool good = body->len > 0 && kv_json_read(body->data, body->len, &object) == 0 &&
                *object.data == '{';
    for (size_t i = 0; good && names[i]; i++, count++)
        good = kv_json_member(object, names[i], &ret[i]) == 0;
    while (good && kv_json_next(object, &offset, NULL, &value))
        good = count-- > 0;
    return good;
}

/* The characters of a string; of anything else its JSON, as the value of a key. */
static bool take_text(struct kv_span value, bool strings_only, struct kv_buf *out)
{
    if (*value.data == '"')
        return kv_json_text(value, out) == 0;
    kv_buf_add(out, value.data, value.len);
    return !strings_only;
}

static void refuse_body(struct kv_request *request)
{
    refuse(request, 400, "undefined parameter settings");
}

static void too_long(struct kv_request *request)
{
    kv_dialect_too_long(&dialect, request);
}

/* Reading a body copies it; false: there is no room for that. */
static bool has_room(struct kv_request *request)
{
    if (kv_request_charge(request, request->body.len))
        return true;
    refuse(request, 503, "the daemon holds as many request bodies as it may");
    return false;
}

/* -- /api/insert -- */

/* What was no string is shown as it came, and that is how it was stored. */
static bool was_string(const struct kv_buf *body)
{
    struct kv_span object, value;
    return kv_json_read(body->data, body->len, &object) == 0 &&
           kv_json_member(object, "value", &value) == 0 && *value.data == '"';
}

static void inserted(struct kv_request *request)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    const struct kv_op *op = &request->txn->ops[0];
    if (request->error) {
        kv_dialect_refuse(&dialect, request, request->error, op->key, op->key_len);
        return;
    }
    const struct kv_record *record = op->result;
    kv_buf_adds(&json, "{\"key\":");
    add_string(&json, op->key, op->key_len);
    kv_buf_adds(&json, ",\"value\":");
    if (was_string(&request->body))
        add_string(&json, record->value, record->meta.size);
    else
        kv_buf_add(&json, record->value, record->meta.size);
    kv_buf_addc(&json, '}');
    kv_reply_buf(request, 201, JSON, &json);
}

static void insert(struct kv_request *request)
{
    static const char *const names[] = {"key", "value", NULL};
    KV_CLEANUP(kv_buf_done) struct kv_buf key = {0}, value = {0};
    struct kv_span members[2];
    if (!has_room(request))
        return;
    if (!read_members(request, names, members) || !take_text(members[0], true, &key) ||
        !take_text(members[1], false, &value))
        refuse_body(request);
    else if (kv_buf_error(&key))
        refuse(request, 503, "the daemon is out of memory");
    else if (kv_dialect_check(&dialect, request, KV_WRITE, key.data, key.len))
        kv_dialect_put(&dialect, request, 0, key.data, key.len, &value, inserted);
}

/* -- /api/search -- */

static void search_key(struct kv_request *request, const struct kv_buf *key)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    if (!kv_dialect_get(&dialect, request, key->data, key->len, &record))
        return;
    if (!record) {
        kv_reply_empty(request, 204);
        return;
    }
    kv_buf_adds(&json, "{\"key\":");
    add_string(&json, key->data, key->len);
    kv_buf_adds(&json, ",\"value\":");
    add_string(&json, record->value, record->meta.size);
    kv_buf_addc(&json, '}');
    kv_reply_buf(request, 200, JSON, &json);
}

static bool begins_with(const void *data, uint64_t len, const struct kv_buf *prefix)
{
    return len >= prefix->len &&
           (prefix->len == 0 || memcmp(data, prefix->data, prefix->len) == 0);
}

static bool is_found(struct kv_request *request, const struct kv_scan_row *row,
                     const struct kv_buf *prefix)
{
    return !S_ISDIR(row->meta.mode) &&
           kv_access_allows(request, row->key, row->key_len, KV_READ) &&
           (begins_with(row->key, row->key_len, prefix) ||
            begins_with(row->value, row->meta.size, prefix));
}

/* All pairs, in the order of their keys. 0, -E2BIG, or an error of the store. */
static int find_pairs(struct kv_request *request, const struct kv_buf *prefix,
                      struct kv_buf *out)
{
    KV_CLEANUP(kv_scan_closep) struct kv_scan *scan = NULL;
    struct kv_scan_row row;
    int err = kv_scan_open(request->http->store, "", 0, &scan);
    for (size_t rows = 0; !err && !(err = kv_scan_next(scan, &row)); rows++) {
        if (rows == SEARCH_ROWS)
            return -E2BIG;
        if (!is_found(request, &row, prefix))
            continue;
        if (row.meta.size > SEARCH_BYTES || out->len > SEARCH_BYTES - row.meta.size)
            return -E2BIG;
        kv_buf_adds(out, out->len ? ",{\"key\":" : "{\"key\":");
        add_string(out, row.key, row.key_len);
        kv_buf_adds(out, ",\"value\":");
        add_string(out, row.value, row.meta.size);
        kv_buf_addc(out, '}');
    }
    return err == -ENOENT ? kv_buf_error(out) : err;
}

static void search_prefix(struct kv_request *request, const struct kv_buf *prefix)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0}, pairs = {0};
    int err = find_pairs(request, prefix, &pairs);
    if (err == -E2BIG) {
        refuse(request, 413,
               "there is more to look through than a search may: /v1/keys?prefix= "
               "has it in pages");
        return;
    }
    if (err) {
        refuse(request, err == -ENOMEM ? 503 : 500, kv_strerror(err));
        return;
    }
    if (pairs.len == 0) {
        kv_reply_empty(request, 204);
        return;
    }
    kv_buf_adds(&json, "{\"prefix\":");
    add_string(&json, prefix->data, prefix->len);
    kv_buf_adds(&json, ",\"result\":[");
    kv_buf_add(&json, pairs.data, pairs.len);
    kv_buf_adds(&json, "]}");
    kv_reply_buf(request, 200, JSON, &json);
}

static void search(struct kv_request *request)
{
    static const char *const by_key[] = {"key", NULL}, *const by_prefix[] = {"prefix",
                                                                             NULL};
    KV_CLEANUP(kv_buf_done) struct kv_buf text = {0};
    struct kv_span member;
    if (!has_room(request))
        return;
    bool one = read_members(request, by_key, &member);
    if ((!one && !read_members(request, by_prefix, &member)) ||
        !take_text(member, true, &text))
        refuse_body(request);
    else if (kv_buf_error(&text))
        refuse(request, 503, "the daemon is out of memory");
    else if (one)
        search_key(request, &text);
    else
        search_prefix(request, &text);
}

static const struct kv_route routes[] = {
    {"/api/auth", KV_GET | KV_POST,
     KV_ROUTE_BODY | KV_ROUTE_ANY_PARAMS | KV_ROUTE_MEMBER, NULL, auth},
    {"/api/insert", KV_POST, KV_ROUTE_BODY | KV_ROUTE_ANY_PARAMS | KV_ROUTE_OWN_TOKEN,
     NULL, insert, .max_body = KV_DIALECT_JSON_VALUE_MAX, .too_long = too_long,
     .admit = is_known},
    {"/api/search", KV_GET, KV_ROUTE_BODY | KV_ROUTE_ANY_PARAMS | KV_ROUTE_OWN_TOKEN,
     NULL, search, .max_body = KV_DIALECT_JSON_VALUE_MAX, .too_long = too_long,
     .admit = is_known},
};

const struct kv_route_table kv_kvapp_routes = KV_ROUTE_TABLE(routes);
