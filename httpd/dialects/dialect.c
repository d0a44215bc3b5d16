/* What the dialects share. */
#include "httpd/dialects/dialect.h"

#include "base/jsonread.h"
#include "base/log.h"
#include "httpd/access.h"
#include "httpd/describe.h"
#include "httpd/member.h"
#include "httpd/reply.h"
#include "httpd/value.h"
#include "store/xattr.h"

#include <errno.h>
#include <string.h>

bool kv_dialect_check(const struct kv_dialect *dialect, struct kv_request *request,
                      enum kv_right right, const void *key, size_t len)
{
    enum kv_key_rule rule = kv_key_check(key, len);
    if (rule != KV_KEY_VALID)
        dialect->refuse(request, 400, kv_key_rule_text(rule));
    else if (!kv_access_allows(request, key, len, right))
        dialect->refuse(request, 403, "this token does not grant that");
    else
        return true;
    return false;
}

/* The key cannot be what it is asked to be. */
static bool is_about_the_key(int error)
{
    return error == -EINVAL || error == -ENAMETOOLONG || error == -EISDIR ||
           error == -ENOTDIR;
}

void kv_dialect_refuse(const struct kv_dialect *dialect, struct kv_request *request,
                       int error, const void *key, size_t len)
{
    unsigned status = 500;
    const char *code, *text = kv_strerror(error);
    enum kv_key_rule rule = kv_key_check(key, len);
    if (rule != KV_KEY_VALID) {
        dialect->refuse(request, 400, kv_key_rule_text(rule));
        return;
    }
    if (!kv_reply_explain(error, &status, &code, &text))
        kv_error("cannot serve '%.*s': %s", (int)len, (const char *)key, text);
    if (is_about_the_key(error))
        status = 400;
    else if (dialect->failed)
        status = dialect->failed;
    dialect->refuse(request, status, text);
}

/* -- Bodies -- */

/* Append a member's text; a string's characters, or what else it is. False: answered.
 */
static bool take_text(const struct kv_dialect *dialect, struct kv_request *request,
                      struct kv_span object, const char *name, bool strings_only,
                      struct kv_buf *out)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf rule = {0};
    struct kv_span member;
    int err = 0;
    if (kv_json_member(object, name, &member) || kv_json_is(member, "null"))
        kv_buf_addf(&rule, "'%s' is missing", name);
    else if (strings_only || *member.data == '"')
        err = kv_member_bytes(name, member, (struct kv_span){0}, out, &rule);
    else
        kv_buf_add(out, member.data, member.len);
    kv_buf_addc(&rule, '\0');
    if (rule.failed || kv_buf_error(out))
        dialect->refuse(request, 503, "the daemon is out of memory");
    else if (err || rule.len > 1)
        dialect->refuse(request, 400, rule.data);
    else
        return true;
    return false;
}

void kv_dialect_too_long(const struct kv_dialect *dialect, struct kv_request *request)
{
    dialect->refuse(request, 413, "the request body is longer than 8 MiB");
}

bool kv_dialect_item(const struct kv_dialect *dialect, struct kv_request *request,
                     struct kv_buf *key, struct kv_buf *value)
{
    const struct kv_buf *body = &request->body;
    struct kv_span object;
    if (!kv_request_charge(request, body->len)) /* for what is copied of it */
        dialect->refuse(request, 503,
                        "the daemon holds as many request bodies as it may; try again");
    else if (body->len == 0 || kv_json_read(body->data, body->len, &object) ||
             *object.data != '{')
        dialect->refuse(request, 400, "the request body must be a JSON object");
    else
        return take_text(dialect, request, object, "key", true, key) &&
               (!value || take_text(dialect, request, object, "value", false, value));
    return false;
}

/* -- Keys -- */

bool kv_dialect_stat(const struct kv_dialect *dialect, struct kv_request *request,
                     const void *key, size_t len, struct kv_record **ret)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    if (!kv_dialect_check(dialect, request, KV_READ, key, len))
        return false;
    int err = kv_store_stat(request->http->store, key, len, &record);
    bool absent = err == -ENOENT || (!err && kv_record_is_dir(record));
    if (err && !absent) {
        kv_dialect_refuse(dialect, request, err, key, len);
        return false;
    }
    *ret = absent ? NULL : KV_STEAL(record);
    return true;
}

bool kv_dialect_get(const struct kv_dialect *dialect, struct kv_request *request,
                    const void *key, size_t len, struct kv_record **ret)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    if (!kv_dialect_stat(dialect, request, key, len, &record))
        return false;
    if (record && dialect->value_max && record->meta.size > dialect->value_max) {
        dialect->refuse(request, 413,
                        "the value is longer than 8 MiB: GET /v1/keys/KEY has it");
        return false;
    }
    int err = record && record->bare ? kv_value_load(request, key, len, &record) : 0;
    if (err && err != -ENOENT) {
        kv_dialect_refuse(dialect, request, err, key, len);
        return false;
    }
    *ret = err ? NULL : KV_STEAL(record);
    return true;
}

int kv_dialect_add_put(struct kv_txn *txn, unsigned flags, const void *key, size_t len,
                       struct kv_buf *value)
{
    struct kv_op *op;
    int err = kv_txn_op(txn, KV_OP_PUT, key, len, &op);
    if (err)
        return err;
    op->flags = flags | KV_OP_PARENTS;
    op->set |= KV_SET_EXPIRY; /* to none */
    kv_op_take_value(op, value);
    return kv_op_set_xattr(op, KV_CONTENT_TYPE_XATTR, strlen(KV_CONTENT_TYPE_XATTR),
                           NULL, 0, KV_XATTR_ANY);
}

void kv_dialect_put(const struct kv_dialect *dialect, struct kv_request *request,
                    unsigned flags, const void *key, size_t len, struct kv_buf *value,
                    void (*after)(struct kv_request *request))
{
    KV_CLEANUP(kv_txn_freep) struct kv_txn *txn = NULL;
    int err = kv_buf_error(value);
    if (!err)
        err = kv_txn_new(KV_ORIGIN_HTTP, NULL, NULL, &txn);
    if (!err)
        err = kv_dialect_add_put(txn, flags, key, len, value);
    if (err)
        kv_dialect_refuse(dialect, request, err, key, len);
    else
        kv_request_submit_kept(request, KV_STEAL(txn), after);
}
