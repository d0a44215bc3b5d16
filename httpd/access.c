/* Who may do what. Everything here follows from three things: who asks (struct
 * kv_caller), what the route says, and the key. */
#include "httpd/access.h"

#include "base/clock.h"
#include "base/log.h"
#include "httpd/failures.h"
#include "httpd/webtoken.h"
#include "httpd/reply.h"
#include "httpd/route.h"
#include "httpd/token.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

void kv_caller_copy(struct kv_caller *caller, const struct kv_caller *other)
{
    *caller = *other;
    if (caller->token)
        kv_token_ref(caller->token);
}

void kv_caller_done(struct kv_caller *caller)
{
    kv_token_unref(caller->token);
    *caller = (struct kv_caller){0};
}

/* -- Who asks -- */

bool kv_access_is_own_user(struct kv_request *request)
{
    const struct kv_conn *conn = kv_request_conn(request);
    struct ucred peer;
    socklen_t len = sizeof(peer);
    return conn->local &&
           getsockopt(conn->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static int64_t now_s(void)
{
    return kv_clock_realtime_ns() / KV_NS_PER_S;
}

/* What a token may do, as long as nothing happens to it. One that was signed for it
 * makes no others, which would last longer. */
static bool take_token(struct kv_caller *caller, struct kv_token *token)
{
    if (!token)
        return false;
    caller->token = token;
    caller->manages = token->rights.admin && !caller->until_s;
    return true;
}

static bool take_text(struct kv_request *request, const char *text, size_t len)
{
    struct kv_http *http = request->http;
    struct kv_caller *caller = &request->caller;
    char id[KV_TOKEN_ID_LEN + 1];
    struct kv_token *token = kv_tokens_find(http->tokens, text, len);
    if (token)
        return take_token(caller, token);
    if (kv_jwt_check(http->jwt, text, len, now_s(), id, &caller->until_s))
        return false;
    if (*id)
        return take_token(caller, kv_tokens_find_id(http->tokens, id));
    caller->everything = !kv_tokens_on(http->tokens);
    return caller->everything;
}

static uint64_t address_of(const struct kv_conn *conn)
{
    uint64_t address;
    _Static_assert(sizeof(address) == sizeof(conn->network), "the same");
    memcpy(&address, conn->network, sizeof(address));
    return address;
}

/* The log has the client's address, and nothing of what was sent. */
static void log_limited(struct kv_request *request)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char text[INET6_ADDRSTRLEN] = "the Unix socket";
    const struct sockaddr *address = info ? info->client_addr : NULL;
    if (kv_request_conn(request)->local || !address)
        ;
    else if (address->sa_family == AF_INET)
        (void)inet_ntop(AF_INET,
                        &((const struct sockaddr_in *)(const void *)address)->sin_addr,
                        text, sizeof(text));
    else
        (void)inet_ntop(
            AF_INET6, &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr,
            text, sizeof(text));
    kv_warning("many wrong tokens from %s", text);
}

/* A wrong token came. How long the client is to wait with the next, in seconds. */
static unsigned count_failure(struct kv_request *request)
{
    bool begins;
    unsigned wait_s =
        kv_failures_add(request->http->failures, address_of(kv_request_conn(request)),
                        kv_clock_monotonic_ns(), &begins);
    atomic_fetch_add_explicit(&request->http->counters.wrong_tokens, 1,
                              memory_order_relaxed);
    if (begins)
        log_limited(request);
    return wait_s;
}

bool kv_access_present(struct kv_request *request, const char *text, size_t len,
                       unsigned *ret_wait_s)
{
    *ret_wait_s = 0;
    kv_caller_done(&request->caller);
    if (take_text(request, text, len))
        return true;
    *ret_wait_s = count_failure(request);
    return false;
}

/* What comes behind "Bearer ", whose case does not matter; NULL: it is something else.
 */
static const char *bearer(const struct kv_field *field, size_t *ret_len)
{
    static const char scheme[] = "Bearer ";
    const size_t len = strlen(scheme);
    if (field->len <= len || strncasecmp(field->text, scheme, len) != 0)
        return NULL;
    const char *text = field->text + len, *end = field->text + field->len;
    while (text < end && *text == ' ')
        text++;
    *ret_len = (size_t)(end - text);
    return text;
}

static void reply_unauthorized(struct kv_request *request, bool wrong)
{
    kv_reply_error(request, 401, wrong ? "wrong_token" : "token_needed", NULL, 0,
                   wrong ? "the token is unknown, revoked or expired"
                         : "a token is needed: Authorization: Bearer TOKEN");
    kv_reply_header(request, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
                    wrong ? "Bearer realm=\"kvfs\", error=\"invalid_token\""
                          : "Bearer realm=\"kvfs\"");
}

static void reply_limited(struct kv_request *request, unsigned wait_s)
{
    kv_reply_error(request, 429, "too_many_failures", NULL, 0,
                   "too many wrong tokens came from this address");
    kv_reply_header_u64(request, MHD_HTTP_HEADER_RETRY_AFTER, wait_s);
}

bool kv_access_identify(struct kv_request *request)
{
    if (!kv_tokens_on(request->http->tokens)) {
        request->caller = (struct kv_caller){.everything = true,
                                             .manages = kv_access_is_own_user(request)};
        return true;
    }
    const struct kv_field *field = &request->headers.authorization;
    size_t len = 0;
    unsigned wait_s = 0;
    const char *text = field->text ? bearer(field, &len) : NULL;
    if (!field->text && kv_access_is_own_user(request)) {
        request->caller = (struct kv_caller){.everything = true, .manages = true};
        return true;
    }
    if (text && kv_access_present(request, text, len, &wait_s))
        return true;
    if (wait_s)
        reply_limited(request, wait_s);
    else
        reply_unauthorized(request, text != NULL);
    return false;
}

static void reply_forbidden(struct kv_request *request, const void *key, size_t len)
{
    kv_reply_error(request, 403, "forbidden", key, len,
                   key ? "this token does not grant that"
                       : "this token does not grant everything, which is needed here");
}

bool kv_access_enter(struct kv_request *request)
{
    unsigned flags = request->route->flags;
    if (flags & (KV_ROUTE_PUBLIC | KV_ROUTE_OWN_TOKEN))
        return true;
    if (!kv_access_identify(request))
        return false;
    return flags & (KV_ROUTE_MEMBER | KV_ROUTE_KEYS) || kv_access_check_full(request);
}

/* -- What he may -- */

bool kv_access_holds(const struct kv_request *request)
{
    const struct kv_caller *caller = &request->caller;
    if (caller->until_s && caller->until_s <= now_s())
        return false;
    if (caller->everything)
        return caller->manages || !kv_tokens_on(request->http->tokens);
    return caller->token && kv_token_holds(caller->token);
}

bool kv_access_allows(const struct kv_request *request, const void *key, size_t len,
                      unsigned wanted)
{
    const struct kv_caller *caller = &request->caller;
    return kv_access_holds(request) &&
           (caller->everything ||
            kv_rights_allow(&caller->token->rights, key, len, wanted));
}

bool kv_access_check(struct kv_request *request, const void *key, size_t len,
                     unsigned wanted)
{
    if (kv_access_allows(request, key, len, wanted))
        return true;
    if (kv_access_holds(request))
        reply_forbidden(request, key, len);
    else
        reply_unauthorized(request, !request->caller.everything);
    return false;
}

bool kv_access_is_full(const struct kv_request *request)
{
    return kv_access_allows(request, "", 0, KV_READ | KV_WRITE);
}

bool kv_access_check_full(struct kv_request *request)
{
    if (kv_access_is_full(request))
        return true;
    reply_forbidden(request, NULL, 0);
    return false;
}

bool kv_access_check_manager(struct kv_request *request)
{
    if (request->caller.manages && kv_access_holds(request))
        return true;
    kv_reply_error(request, 403, "not_permitted", NULL, 0,
                   "tokens are a matter for root and whom the daemon runs as, over the "
                   "Unix socket, and for tokens with admin rights that kv token create "
                   "has made");
    return false;
}

bool kv_access_check_dir(struct kv_request *request, const void *dir, size_t len)
{
    const struct kv_caller *caller = &request->caller;
    return (kv_access_holds(request) &&
            (caller->everything ||
             kv_rights_reach_dir(&caller->token->rights, dir, len))) ||
           kv_access_check(request, dir, len, KV_READ);
}

bool kv_access_check_prefix(struct kv_request *request, const void *prefix, size_t len)
{
    const struct kv_caller *caller = &request->caller;
    return (kv_access_holds(request) &&
            (caller->everything ||
             kv_rights_reach_prefix(&caller->token->rights, prefix, len))) ||
           kv_access_check(request, prefix, len, KV_READ);
}

_Static_assert(KV_GRANTS_MAX <= KV_WITHIN_MAX, "all grants fit");

const struct kv_within *kv_access_within(const struct kv_request *request,
                                         const void *dir, size_t len,
                                         struct kv_within *ret)
{
    ret->count = 0;
    if (kv_access_allows(request, dir, len, KV_READ))
        return NULL;
    const struct kv_token *token = request->caller.token;
    for (size_t i = 0; token && i < token->rights.count; i++) {
        const struct kv_grant *grant = &token->rights.grants[i];
        if (!(grant->rights & KV_READ))
            continue;
        ret->paths[ret->count].text = grant->path;
        ret->paths[ret->count++].len = grant->len;
    }
    return ret;
}

/* -- Transactions -- */

/* What an operation does to its key and, of a rename, to the other. To move a value is
 * to read it, and the answer to a count is the number. */
static bool allows_op(struct kv_request *request, const struct kv_op *op)
{
    unsigned wanted = KV_WRITE, wanted_of_to = 0;
    if (op->type == KV_OP_GET)
        wanted = KV_READ;
    if (op->type == KV_OP_INCR || op->type == KV_OP_RENAME)
        wanted = KV_READ | KV_WRITE;
    if (op->type == KV_OP_RENAME)
        wanted_of_to = op->flags & KV_OP_EXCHANGE ? KV_READ | KV_WRITE : KV_WRITE;
    return kv_access_check(request, op->key, op->key_len, wanted) &&
           (!op->to || kv_access_check(request, op->to, op->to_len, wanted_of_to));
}

/* Whether a key is there, and which version, who may write learns anyway. */
static bool allows_compare(struct kv_request *request, const struct kv_compare *compare)
{
    bool may_write =
        compare->target != KV_COMPARE_VALUE &&
        kv_access_allows(request, compare->key, compare->key_len, KV_WRITE);
    return may_write ||
           kv_access_check(request, compare->key, compare->key_len, KV_READ);
}

bool kv_access_check_txn(struct kv_request *request, const struct kv_txn *txn)
{
    if (request->caller.everything && kv_access_holds(request))
        return true;
    for (size_t i = 0; i < txn->compare_count; i++)
        if (!allows_compare(request, &txn->compares[i]))
            return false;
    for (size_t i = 0; i < txn->op_count; i++)
        if (!allows_op(request, &txn->ops[i]))
            return false;
    for (size_t i = 0; i < txn->else_count; i++)
        if (!allows_op(request, &txn->else_ops[i]))
            return false;
    return true;
}

/* -- Events -- */

/* The event as it looks from the side of a rename that may be seen. */
static int one_side(const struct kv_event *event, enum kv_event_type type,
                    const void *key, size_t len, struct kv_event **ret)
{
    const struct kv_record *record = event->record;
    KV_CLEANUP(kv_record_unrefp) struct kv_record *bare = NULL, *own = NULL;
    if (key) { /* it is gone from there, and so is its value */
        bare = kv_record_bare_copy(record);
        own = bare ? kv_record_copy(bare, &record->meta, key, len) : NULL;
        if (!own)
            return -ENOMEM;
    }
    struct kv_event *side = kv_event_new(type, own ? own : event->record, NULL, 0);
    if (!side)
        return -ENOMEM;
    side->revision = event->revision;
    side->index = event->index;
    side->last = event->last;
    side->created = type == KV_EVENT_PUT && !event->replaced_id && !event->exchanged;
    side->origin = event->origin;
    side->time_ns = event->time_ns;
    *ret = side;
    return 0;
}

int kv_access_event(const struct kv_request *request, struct kv_event *event,
                    struct kv_event **ret)
{
    const struct kv_record *record = event->record;
    bool is_dir = kv_record_is_dir(record);
    bool shows = kv_access_allows(request, record->key, record->key_len, KV_READ);
    bool shows_from =
        event->from ? kv_access_allows(request, event->from, event->from_len, KV_READ)
                    : shows;
    *ret = NULL;
    if (shows && shows_from)
        *ret = kv_event_ref(event);
    else if (shows)
        return one_side(event, is_dir ? KV_EVENT_MKDIR : KV_EVENT_PUT, NULL, 0, ret);
    else if (shows_from && event->from && !event->exchanged)
        return one_side(event, is_dir ? KV_EVENT_RMDIR : KV_EVENT_DELETE, event->from,
                        event->from_len, ret);
    return 0;
}
