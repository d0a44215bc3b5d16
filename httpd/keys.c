/* /v1/keys/KEY: write, append, count, rename, delete.
 *
 * Conditions of writes are compares in the transaction, so nothing can come between the
 * check and the change. A list of entity tags is an "or", which a transaction has not:
 * then the tag that the key has now is the one compared, and when that fails because
 * the key moved on, it is looked at again. The answer is right at some moment during
 * the request either way. */
#include "httpd/keys.h"

#include "base/clock.h"
#include "base/json.h"
#include "httpd/access.h"
#include "httpd/describe.h"
#include "httpd/reply.h"
#include "store/xattr.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

bool kv_keys_check(struct kv_request *request)
{
    if (kv_key_check(request->rest, request->rest_len) == KV_KEY_VALID)
        return true;
    kv_reply_invalid_key(request, request->rest, request->rest_len);
    return false;
}

void kv_keys_reply_errno(struct kv_request *request, int error)
{
    kv_reply_errno(request, error, request->rest, request->rest_len);
}

bool kv_keys_parse_tags(struct kv_request *request, const char *name,
                        const struct kv_field *field, struct kv_etags *ret)
{
    int err = kv_etags_parse(field->text, field->len, ret);
    if (!err)
        return true;
    kv_reply_error(request, 400, "bad_request", NULL, 0,
                   err == -E2BIG ? "%s: at most 32 entity tags"
                                 : "%s must be * or a list of entity tags, which are "
                                   "quoted: \"12\"",
                   name);
    return false;
}

/* -- Conditions of writes -- */

static int compare(struct kv_request *request, struct kv_txn *txn,
                   enum kv_compare_target target, enum kv_compare_relation relation,
                   uint64_t number)
{
    return kv_txn_compare(txn, request->rest, request->rest_len, target, relation,
                          number);
}

/* The tag of a list that the key has now; -ECANCELED when it has none of them. */
static int pick_tag(struct kv_request *request, const struct kv_etags *tags,
                    uint64_t *ret)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    int err =
        kv_store_stat(request->http->store, request->rest, request->rest_len, &record);
    if (err && err != -ENOENT)
        return err;
    if (err || !kv_etags_match_strong(tags, record->meta.mod_revision))
        return -ECANCELED;
    *ret = record->meta.mod_revision;
    return 0;
}

static int add_if_match(struct kv_request *request, struct kv_txn *txn,
                        const struct kv_etags *tags)
{
    uint64_t revision;
    if (tags->any)
        return compare(request, txn, KV_COMPARE_EXISTS, KV_EQUAL, 1);
    if (tags->count == 0)
        return -ECANCELED; /* weak or foreign tags: nothing matches */
    request->several_tags = tags->count > 1;
    revision = tags->strong[0];
    if (request->several_tags) {
        int err = pick_tag(request, tags, &revision);
        if (err)
            return err;
    }
    if (revision == 0)
        return -ECANCELED; /* what absent keys compare as is nobody's tag */
    return compare(request, txn, KV_COMPARE_MOD_REVISION, KV_EQUAL, revision);
}

static int add_if_none_match(struct kv_request *request, struct kv_txn *txn,
                             const struct kv_etags *tags)
{
    int err = 0;
    if (tags->any)
        return compare(request, txn, KV_COMPARE_EXISTS, KV_EQUAL, 0);
    for (size_t i = 0; i < tags->count + tags->weak_count && !err; i++) {
        uint64_t revision =
            i < tags->count ? tags->strong[i] : tags->weak[i - tags->count];
        if (revision != 0) /* what absent keys compare as is nobody's tag */
            err =
                compare(request, txn, KV_COMPARE_MOD_REVISION, KV_NOT_EQUAL, revision);
    }
    return err;
}

/* Turn the conditional headers into compares. False: the answer is prepared. */
static bool add_conditions(struct kv_request *request, struct kv_txn *txn)
{
    const struct kv_headers *headers = &request->headers;
    struct kv_etags tags;
    int err = 0;
    if (headers->if_unmodified_since.text) {
        /* Ignoring it would overwrite what the client wants to keep. */
        kv_reply_error(request, 400, "bad_request", NULL, 0,
                       "If-Unmodified-Since is not supported: a second is too coarse; "
                       "use If-Match");
        return false;
    }
    if (headers->if_match.text) {
        if (!kv_keys_parse_tags(request, "If-Match", &headers->if_match, &tags))
            return false;
        err = add_if_match(request, txn, &tags);
    }
    if (!err && headers->if_none_match.text) {
        if (!kv_keys_parse_tags(request, "If-None-Match", &headers->if_none_match,
                                &tags))
            return false;
        err = add_if_none_match(request, txn, &tags);
    }
    if (err)
        kv_keys_reply_errno(request, err);
    return !err;
}

/* -- Writing -- */

/* Whether a failed compare is worth another look: only with a list of tags, and for
 * every try another writer must have moved the key from one of them to the next. */
static bool should_retry(struct kv_request *request)
{
    return request->error == -ECANCELED && request->several_tags;
}

/* A transaction with one operation on the key, conditions included. NULL: the answer
 * is prepared. */
static struct kv_txn *begin_write(struct kv_request *request, enum kv_op_type type,
                                  struct kv_op **ret)
{
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = NULL;
    if (!kv_keys_check(request) ||
        !kv_access_check(request, request->rest, request->rest_len, KV_WRITE))
        return NULL;
    int err = kv_txn_new(KV_ORIGIN_HTTP, NULL, NULL, &txn);
    if (!err && !add_conditions(request, txn))
        return NULL;
    if (!err)
        err = kv_txn_op(txn, type, request->rest, request->rest_len, ret);
    if (err) {
        kv_keys_reply_errno(request, err);
        return NULL;
    }
    return KV_STEAL(txn);
}

/* ?ttl=60s as an expiry; *ret untouched without it. False: the answer is prepared. */
static bool parse_ttl(struct kv_request *request, int64_t *ret, bool *ret_given)
{
    const struct kv_param *param = kv_uri_param(&request->uri, "ttl");
    int64_t ttl_ns;
    *ret_given = param != NULL;
    if (!param)
        return true;
    int err = kv_duration_parse(param->value, param->value_len, &ttl_ns);
    if (!err) {
        *ret = kv_clock_realtime_ns() + ttl_ns;
        return true;
    }
    kv_reply_invalid_param(
        request, "ttl",
        err == -ERANGE ? "must be longer than nothing and at most 100 years"
                       : "must be a number with a unit: 500ms, 60s, 5m, 2h, 7d");
    return false;
}

/* The body into the operation; kept when it may be needed for another try. */
static int set_value(struct kv_request *request, struct kv_op *op)
{
    if (request->several_tags) {
        bool copied = request->charged > request->body.len; /* by the try before */
        if (!copied && !kv_request_charge(request, request->body.len))
            return -EAGAIN;
        return kv_op_set_value(op, request->body.data, request->body.len);
    }
    kv_op_take_value(op, &request->body);
    return 0;
}

/* The operation's expiry: a PUT without ttl clears it, the others leave it alone. */
static bool set_ttl(struct kv_request *request, struct kv_op *op)
{
    bool given;
    op->meta.expiry_ns = 0;
    if (!parse_ttl(request, &op->meta.expiry_ns, &given))
        return false;
    if (op->type == KV_OP_PUT || given)
        op->set |= KV_SET_EXPIRY;
    return true;
}

static void add_number(struct kv_buf *json, const char *name, uint64_t number)
{
    kv_buf_adds(json, name);
    kv_json_u64(json, number);
}

static void reply_written(struct kv_request *request)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    kv_buf_addc(&json, '{');
    kv_json_bytes(&json, "key", request->rest, request->rest_len);
    add_number(&json, ",\"revision\":", request->revision);
    add_number(&json, ",\"version\":", request->version);
    add_number(&json, ",\"size\":", request->size);
    if (request->counter)
        kv_buf_addf(&json, ",\"value\":\"%" PRId64 "\"", request->number);
    kv_buf_adds(&json, request->created ? ",\"created\":true" : ",\"created\":false");
    if (request->expiry_ns) {
        kv_buf_adds(&json, ",\"expires\":");
        kv_json_time(&json, request->expiry_ns);
    }
    kv_buf_adds(&json, "}\n");
    kv_reply_buf(request, request->created ? 201 : 200, "application/json", &json);
    kv_reply_etag(request, request->mod_revision);
    kv_reply_header_u64(request, "X-Kv-Version", request->version);
    kv_reply_header_u64(request, "X-Kv-Revision", request->revision);
}

static void resume_write(struct kv_request *request)
{
    if (should_retry(request))
        request->route->handler(request);
    else if (request->error)
        kv_keys_reply_errno(request, request->error);
    else
        reply_written(request);
}

/* The media type is kept with the value, and goes with it. What curl -d and HTML forms
 * say of whatever they send is no type. */
static bool set_content_type(struct kv_request *request, struct kv_op *op)
{
    static const char *const none[] = {"application/x-www-form-urlencoded",
                                       "application/octet-stream"};
    const struct kv_field *type = &request->headers.content_type;
    bool given = type->len > 0;
    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
        if (type->len == strlen(none[i]) &&
            strncasecmp(type->text, none[i], type->len) == 0)
            given = false;
    if (given && !kv_media_type_valid(type->text, type->len)) {
        kv_reply_error(request, 400, "bad_request", NULL, 0,
                       "Content-Type must be a media type, such as text/plain, of at "
                       "most 255 characters");
        return false;
    }
    int err = kv_op_set_xattr(op, KV_CONTENT_TYPE_XATTR, strlen(KV_CONTENT_TYPE_XATTR),
                              given ? type->text : NULL, type->len, KV_XATTR_ANY);
    if (err)
        kv_keys_reply_errno(request, err);
    return !err;
}

static void submit_value(struct kv_request *request, enum kv_op_type type)
{
    struct kv_op *op;
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = begin_write(request, type, &op);
    if (!txn || !set_ttl(request, op) ||
        (type == KV_OP_PUT && !set_content_type(request, op)))
        return;
    op->flags = KV_OP_PARENTS;
    int err = set_value(request, op);
    if (err)
        kv_keys_reply_errno(request, err);
    else
        kv_request_submit(request, KV_STEAL(txn), resume_write);
}

void kv_keys_put(struct kv_request *request)
{
    submit_value(request, KV_OP_PUT);
}

/* -- Deleting -- */

static void resume_delete(struct kv_request *request)
{
    if (should_retry(request)) {
        kv_keys_delete(request);
    } else if (request->error == -E2BIG) {
        kv_reply_error(request, 413, "too_many_keys", request->rest, request->rest_len,
                       "there are more than %d keys and directories below: too many "
                       "for one revision; delete parts of it first",
                       KV_TXN_TREE_MAX);
    } else if (request->error) {
        kv_keys_reply_errno(request, request->error);
    } else {
        kv_reply_empty(request, 204);
        kv_reply_header_u64(request, "X-Kv-Revision", request->revision);
        if (request->count > 0)
            kv_reply_header_u64(request, "X-Kv-Deleted", request->count);
    }
}

void kv_keys_delete(struct kv_request *request)
{
    const struct kv_param *param = kv_uri_param(&request->uri, "recursive");
    bool recursive = false;
    struct kv_op *op;
    if (param && kv_bool_parse(param->value, param->value_len, &recursive)) {
        kv_reply_invalid_param(request, "recursive", "must be 0 or 1");
        return;
    }
    struct kv_txn *txn =
        begin_write(request, recursive ? KV_OP_DELETE_TREE : KV_OP_DELETE, &op);
    if (txn)
        kv_request_submit(request, txn, resume_delete);
}

/* -- POST: append, incr and rename -- */

static bool refuse_body(struct kv_request *request, const char *op)
{
    if (request->body.len == 0)
        return false;
    kv_reply_error(request, 400, "bad_request", NULL, 0, "op=%s takes no body", op);
    return true;
}

static void resume_rename(struct kv_request *request)
{
    const struct kv_param *to = kv_uri_param(&request->uri, "to");
    if (should_retry(request)) {
        kv_keys_post(request);
        return;
    }
    switch (request->error) {
    case 0:
        break;
    case -EINVAL:
        kv_reply_invalid_param(
            request, "to",
            "a directory cannot be moved into itself, nor a key over "
            "a directory");
        return;
    case -EISDIR:
    case -ENOTDIR:
    case -ENOTEMPTY:
    case -EEXIST: /* what is at the new name is in the way */
        kv_reply_errno(request, request->error, to->value, to->value_len);
        return;
    default:
        kv_keys_reply_errno(request, request->error);
        return;
    }
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    kv_buf_addc(&json, '{');
    kv_json_bytes(&json, "key", to->value, to->value_len);
    kv_buf_addc(&json, ',');
    kv_json_bytes(&json, "from", request->rest, request->rest_len);
    kv_buf_addf(&json, ",\"revision\":%" PRIu64 "}\n", request->revision);
    kv_reply_buf(request, 200, "application/json", &json);
    kv_reply_header_u64(request, "X-Kv-Revision", request->revision);
}

static void count(struct kv_request *request)
{
    const struct kv_param *by = kv_uri_param(&request->uri, "by");
    int64_t number = 1;
    struct kv_op *op;
    if (by && kv_i64_parse(by->value, by->value_len, &number)) {
        kv_reply_invalid_param(request, "by",
                               "must be a decimal number that fits 64 bits, with a '-' "
                               "before it to count down");
        return;
    }
    if (refuse_body(request, "incr"))
        return;
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = begin_write(request, KV_OP_INCR, &op);
    if (!txn || !set_ttl(request, op))
        return;
    op->flags = KV_OP_PARENTS;
    op->by = number;
    request->counter = true;
    kv_request_submit(request, KV_STEAL(txn), resume_write);
}

static void rename_key(struct kv_request *request)
{
    const struct kv_param *to = kv_uri_param(&request->uri, "to");
    struct kv_op *op;
    if (!to) {
        kv_reply_invalid_param(request, "to", "is missing: the new key");
        return;
    }
    if (refuse_body(request, "rename"))
        return;
    if (kv_key_check(to->value, to->value_len) != KV_KEY_VALID) {
        kv_reply_invalid_key(request, to->value, to->value_len);
        return;
    }
    struct kv_txn *txn = begin_write(request, KV_OP_RENAME, &op);
    if (!txn)
        return;
    op->flags = KV_OP_PARENTS;
    int err = kv_op_set_to(op, to->value, to->value_len);
    if (err) {
        kv_txn_free(txn);
        kv_reply_errno(request, err, to->value, to->value_len);
        return;
    }
    kv_request_submit(request, txn, resume_rename);
}

/* A parameter of one operation given to the other is a mistake worth telling. */
static bool refuse_param(struct kv_request *request, const char *name)
{
    if (!kv_uri_param(&request->uri, name))
        return false;
    kv_reply_invalid_param(request, name, "does not go with this op");
    return true;
}

static bool param_is(const struct kv_param *param, const char *text)
{
    return param && kv_key_equal(param->value, param->value_len, text, strlen(text));
}

void kv_keys_post(struct kv_request *request)
{
    const struct kv_param *op = kv_uri_param(&request->uri, "op");
    if (param_is(op, "append")) {
        if (!refuse_param(request, "to") && !refuse_param(request, "by"))
            submit_value(request, KV_OP_APPEND);
    } else if (param_is(op, "incr")) {
        if (!refuse_param(request, "to"))
            count(request);
    } else if (param_is(op, "rename")) {
        if (!refuse_param(request, "ttl") && !refuse_param(request, "by"))
            rename_key(request);
    } else {
        kv_reply_invalid_param(request, "op", "must be append, incr or rename");
    }
}
