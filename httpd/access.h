#ifndef KV_HTTPD_ACCESS_H
#define KV_HTTPD_ACCESS_H

/* The one place that decides who may do what over HTTP.
 *
 * Every request passes kv_access_enter before its handler runs. That finds out who
 * asks:
 *
 * - while no tokens are asked for (token.h), everybody who got through the gate
 * (gate.h) may do everything but manage tokens and mounts;
 * - with tokens, who brings one (`Authorization: Bearer`) may do what it grants;
 * - root and the daemon's own user, over the Unix socket and without a token, may do
 *   everything.
 *
 * And it looks at what the route (route.h) says of itself:
 *
 *   flag                  who gets in              and the handler
 *   (none)                who may do everything    need not ask
 *   KV_ROUTE_PUBLIC       everybody                shows nothing of the store
 *   KV_ROUTE_MEMBER       every token              shows no keys
 *   KV_ROUTE_KEYS         every token              asks for each key, below
 *   KV_ROUTE_OWN_TOKEN    everybody                first calls kv_access_present
 *
 * So a route that was forgotten is closed, and a request that never passed here has no
 * rights at all.
 *
 * A handler with KV_ROUTE_KEYS calls kv_access_check for a key it is asked for by name
 * (403 tells), and kv_access_allows for keys it comes across (they are left out). The
 * connection's thread, or whoever the request belongs to while it sleeps. */

#include "httpd/request.h"
#include "httpd/rights.h"

/* Find out who asks, and whether the route is for him. False: 401, 403 or 429 is
 * prepared. After the route was found, before the body. */
bool kv_access_enter(struct kv_request *request);

/* With KV_ROUTE_OWN_TOKEN: the token was found somewhere else than in the header that
 * everybody uses. True: the request has its rights now. False: it is none, and nothing
 * is prepared; *ret_wait_s is how long the client is to wait with the next one, in
 * seconds, because there were too many (0: not at all). */
bool kv_access_present(struct kv_request *request, const char *text, size_t len,
                       unsigned *ret_wait_s);

/* With KV_ROUTE_OWN_TOKEN, when there is no other token after all: find out who asks as
 * for any other route. False: 401 or 429 is prepared. */
bool kv_access_identify(struct kv_request *request);

/* Whether the other end is root or the daemon's own user, over the Unix socket. */
bool kv_access_is_own_user(struct kv_request *request);

/* Whether who asks may manage tokens. False: 403 is prepared. */
bool kv_access_check_manager(struct kv_request *request);

/* Whether who asks has all of wanted (enum kv_right) on the key. */
bool kv_access_allows(const struct kv_request *request, const void *key, size_t len,
                      unsigned wanted);

/* The same; false: 403 forbidden is prepared, with the key. */
bool kv_access_check(struct kv_request *request, const void *key, size_t len,
                     unsigned wanted);

/* Whether who asks may read and write everything. Check: 403 is prepared. */
bool kv_access_is_full(const struct kv_request *request);
bool kv_access_check_full(struct kv_request *request);

/* Whether all that a transaction looks at and does is granted; false: 403 is prepared,
 * with the first key that is not. kv_request_submit asks it, so whatever is written was
 * asked for here. */
bool kv_access_check_txn(struct kv_request *request, const struct kv_txn *txn);

/* Whether something below dir, or with this prefix, may be read: what a listing or a
 * watch of it needs. False: 403 is prepared. */
bool kv_access_check_dir(struct kv_request *request, const void *dir, size_t len);
bool kv_access_check_prefix(struct kv_request *request, const void *prefix, size_t len);

/* The part of the keyspace that may be read, as far as dir (len 0: the root) holds
 * more: NULL when all of that may. Otherwise ret, whose paths are good as long as the
 * request is. */
const struct kv_within *kv_access_within(const struct kv_request *request,
                                         const void *dir, size_t len,
                                         struct kv_within *ret);

/* Whether what the request came with still holds: its token was neither revoked nor has
 * expired; or it needed none, and none is asked for now either. Streams ask before each
 * thing they tell, and end. */
bool kv_access_holds(const struct kv_request *request);

/* What of an event may be told: a reference to it; or, when a rename crosses the border
 * of what may be read, to the put or delete (mkdir, rmdir) that it amounts to on this
 * side. Of two that were exchanged over the border, the one that came is told: it is in
 * the place of the other. 0 and NULL: nothing. -ENOMEM. */
int kv_access_event(const struct kv_request *request, struct kv_event *event,
                    struct kv_event **ret);

/* Make a caller, which is nobody, the same as another. */
void kv_caller_copy(struct kv_caller *caller, const struct kv_caller *other);

/* Frees what it holds; it becomes nobody. */
void kv_caller_done(struct kv_caller *caller);

#endif
