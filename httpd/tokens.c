/* /v1/tokens: making, listing and revoking tokens. For root and the daemon's own user,
 * over the Unix socket, and for tokens with admin rights. */
#include "httpd/token.h"

#include "base/json.h"
#include "httpd/access.h"
#include "httpd/member.h"
#include "httpd/reply.h"
#include "httpd/route.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <string.h>

static void reply_failure(struct kv_request *request, int error)
{
    if (error == -EEXIST)
        kv_reply_error(request, 409, "exists", NULL, 0,
                       "there is a token of that name; revoke it first");
    else if (error == -E2BIG)
        kv_reply_error(request, 409, "too_many_tokens", NULL, 0,
                       "there are %d tokens, which is the limit", KV_TOKENS_MAX);
    else if (error == -ENOENT)
        kv_reply_error(request, 404, "no_such_token", NULL, 0,
                       "there is no token of that id or name");
    else
        kv_reply_errno(request, error, NULL, 0);
}

void kv_tokens_get(struct kv_request *request)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    struct kv_tokens *tokens = request->http->tokens;
    if (!kv_access_check_manager(request))
        return;
    kv_buf_addf(&json,
                "{\"on\":%s,\"tokens\":", kv_tokens_on(tokens) ? "true" : "false");
    kv_tokens_json(tokens, &json);
    kv_buf_adds(&json, "}\n");
    kv_reply_buf(request, 200, "application/json", &json);
    kv_reply_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
}

/* -- Making -- */

/* What is asked for. */
struct wish {
    char name[KV_TOKEN_NAME_MAX + 1];
    struct kv_rights rights;
    int64_t expires_ns;
};

static void wish_done(struct wish *wish)
{
    kv_rights_done(&wish->rights);
}

static int read_name(struct kv_span value, struct wish *wish, struct kv_buf *rule)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf name = {0};
    int err = value.data
                  ? kv_member_bytes("name", value, (struct kv_span){0}, &name, rule)
                  : 0;
    if (err)
        return err;
    if (kv_buf_error(&name))
        return -ENOMEM;
    if (!kv_token_name_valid(name.data ? name.data : "", name.len)) {
        kv_buf_addf(rule,
                    "'name' must be 1 to %d letters, digits, and . _ @ - characters",
                    KV_TOKEN_NAME_MAX);
        return -EINVAL;
    }
    memcpy(wish->name, name.data, name.len);
    return 0;
}

/* {"name":NAME,"rights":[{"path":DIR,"read":true,"write":true},...],"admin":false,
 * "ttl":"30d"} */
static int read_wish(const struct kv_buf *body, struct wish *wish, struct kv_buf *rule)
{
    enum { NAME, RIGHTS, ADMIN, TTL, MEMBERS };
    static const char *const names[MEMBERS + 1] = {"name", "rights", "admin", "ttl"};
    struct kv_span object, members[MEMBERS];
    if (kv_json_read(body->data ? body->data : "", body->len, &object)) {
        kv_buf_adds(rule, "the body must be JSON");
        return -EINVAL;
    }
    int err = kv_members(object, names, members, rule);
    if (!err)
        err = read_name(members[NAME], wish, rule);
    if (!err && members[RIGHTS].data)
        err = kv_rights_read(members[RIGHTS], &wish->rights, rule);
    if (!err && members[ADMIN].data)
        err = kv_member_bool("admin", members[ADMIN], &wish->rights.admin, rule);
    if (!err && members[TTL].data)
        err = kv_member_ttl("ttl", members[TTL], &wish->expires_ns, rule);
    if (!err && !wish->rights.admin && wish->rights.count == 0) {
        kv_buf_adds(rule, "'rights' or 'admin' is needed: a token without rights is of "
                          "no use");
        err = -EINVAL;
    }
    return err;
}

static void reply_made(struct kv_request *request, const struct kv_token *token,
                       const char *text)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    kv_buf_addf(&json, "{\"token\":\"%s\",", text);
    kv_token_json(&json, token);
    kv_buf_adds(&json, "}\n");
    kv_reply_buf(request, 201, "application/json", &json);
    kv_reply_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
}

void kv_tokens_post(struct kv_request *request)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf rule = {0};
    KV_CLEANUP(kv_token_unrefp) struct kv_token *token = NULL;
    KV_CLEANUP(wish_done) struct wish wish = {0};
    char text[KV_TOKEN_TEXT_MAX];
    if (!kv_access_check_manager(request))
        return;
    int err = read_wish(&request->body, &wish, &rule);
    if (err == -EINVAL) {
        kv_reply_error(request, 400, "bad_request", NULL, 0, "%.*s", (int)rule.len,
                       rule.data ? rule.data : "");
        return;
    }
    if (!err)
        err = kv_tokens_create(request->http->tokens, wish.name, &wish.rights,
                               wish.expires_ns, text, &token);
    if (err) {
        reply_failure(request, err);
        return;
    }
    reply_made(request, token, text);
    gnutls_memset(text, 0, sizeof(text));
}

void kv_tokens_delete(struct kv_request *request)
{
    if (!kv_access_check_manager(request))
        return;
    int err = kv_tokens_revoke(request->http->tokens, request->rest, request->rest_len);
    if (err)
        reply_failure(request, err);
    else
        kv_reply_empty(request, 204);
}
