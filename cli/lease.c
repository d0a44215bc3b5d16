/* Validity is counted here from before the request that set it was sent, by the
 * monotonic clock: so it ends here before it ends in the store, whatever the network
 * does. */
#include "lease.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

int kv_lease_init(struct kv_lease *lease, const char *key, uint64_t ttl_ms,
                  struct kv_fault *fault)
{
    uint64_t random[2];
    char host[65] = "";
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random))
        return kv_fault_set(fault, KV_EXIT_LOCAL, NULL, "cannot get random bytes: %s",
                            strerror(errno));
    if (gethostname(host, sizeof(host) - 1) < 0)
        *host = '\0'; /* a longer name: it is for people only */
    *lease = (struct kv_lease){.key = key, .ttl_ms = ttl_ms};
    (void)snprintf(lease->owner, sizeof(lease->owner),
                   "%s pid %ld %016" PRIx64 "%016" PRIx64, host, (long)getpid(),
                   random[0], random[1]);
    return 0;
}

static void add_key(struct kv_buf *json, const struct kv_lease *lease)
{
    kv_json_bytes(json, "key", lease->key, strlen(lease->key));
}

static void add_owner(struct kv_buf *json, const struct kv_lease *lease)
{
    kv_buf_addc(json, ',');
    kv_json_bytes(json, "value", lease->owner, strlen(lease->owner));
}

/* Send txn; true in *ret_succeeded when its compare held. No longer than the lock can
 * last: a late answer is worth nothing. */
static int ask(struct kv_lease *lease, struct kv_client *client,
               const struct kv_buf *txn, struct kv_http_answer *answer,
               struct kv_span *json, bool *ret_succeeded, struct kv_fault *fault)
{
    struct kv_span succeeded;
    unsigned timeout_ms =
        lease->ttl_ms > 60000 ? 60000 : (unsigned)(lease->ttl_ms ? lease->ttl_ms : 1);
    int status = kv_client_txn(client, txn, timeout_ms, answer, json, fault);
    if (status)
        return status;
    *ret_succeeded = kv_json_member(*json, "succeeded", &succeeded) == 0 &&
                     kv_json_is(succeeded, "true");
    return 0;
}

/* The value that the "get" of the else branch found; empty when it is a large one. */
static int read_holder(const struct kv_lease *lease, struct kv_span json,
                       struct kv_buf *ret, struct kv_fault *fault)
{
    struct kv_span results, first, type;
    size_t offset = 0;
    if (kv_json_member(json, "results", &results) == 0 &&
        kv_json_next(results, &offset, NULL, &first)) {
        if (kv_json_member(first, "type", &type) == 0 &&
            kv_json_is(type, "\"directory\""))
            return kv_fault_set(fault, KV_EXIT_REFUSED, lease->key,
                                "the key is a directory");
        (void)kv_json_member_bytes(first, "value", ret); /* it may have none */
    }
    kv_buf_addc(ret, '\0');
    return kv_buf_error(ret) ? kv_fault_no_memory(fault) : 0;
}

int kv_lease_take(struct kv_lease *lease, struct kv_client *client,
                  enum kv_lease_state *ret, struct kv_buf *ret_holder,
                  struct kv_fault *fault)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf txn = {0};
    KV_CLEANUP(kv_http_answer_done) struct kv_http_answer answer = {0};
    struct kv_span json;
    bool taken;
    int64_t now_ns = kv_clock_monotonic_ns();
    kv_buf_adds(&txn, "{\"compare\":[{");
    add_key(&txn, lease);
    kv_buf_adds(&txn, ",\"exists\":false}],\"then\":[{\"op\":\"put\",");
    add_key(&txn, lease);
    add_owner(&txn, lease);
    kv_buf_addf(&txn, ",\"ttl\":\"%" PRIu64 "ms\"}],\"else\":[{\"op\":\"get\",",
                lease->ttl_ms);
    add_key(&txn, lease);
    kv_buf_adds(&txn, "}]}");
    int status = ask(lease, client, &txn, &answer, &json, &taken, fault);
    if (status)
        return status;
    lease->valid_until_ns = now_ns + (int64_t)lease->ttl_ms * KV_NS_PER_MS;
    *ret = KV_LEASE_MINE;
    if (taken)
        return 0;
    kv_buf_reset(ret_holder);
    status = read_holder(lease, json, ret_holder, fault);
    if (!status && strcmp(ret_holder->data, lease->owner) == 0)
        return kv_lease_renew(lease, client, ret, fault);
    *ret = KV_LEASE_NOT_MINE;
    return status;
}

/* One operation on the key, if its value is ours. */
static int ask_if_mine(struct kv_lease *lease, struct kv_client *client,
                       const char *operation, enum kv_lease_state *ret,
                       struct kv_fault *fault)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf txn = {0};
    KV_CLEANUP(kv_http_answer_done) struct kv_http_answer answer = {0};
    struct kv_span json;
    bool mine;
    kv_buf_adds(&txn, "{\"compare\":[{");
    add_key(&txn, lease);
    add_owner(&txn, lease);
    kv_buf_addf(&txn, "}],\"then\":[{%s,", operation);
    add_key(&txn, lease);
    kv_buf_adds(&txn, "}]}");
    int status = ask(lease, client, &txn, &answer, &json, &mine, fault);
    if (!status)
        *ret = mine ? KV_LEASE_MINE : KV_LEASE_NOT_MINE;
    return status;
}

int kv_lease_renew(struct kv_lease *lease, struct kv_client *client,
                   enum kv_lease_state *ret, struct kv_fault *fault)
{
    char operation[64];
    int64_t now_ns = kv_clock_monotonic_ns();
    (void)snprintf(operation, sizeof(operation),
                   "\"op\":\"expire\",\"ttl\":\"%" PRIu64 "ms\"", lease->ttl_ms);
    int status = ask_if_mine(lease, client, operation, ret, fault);
    if (!status && *ret == KV_LEASE_MINE)
        lease->valid_until_ns = now_ns + (int64_t)lease->ttl_ms * KV_NS_PER_MS;
    return status;
}

int kv_lease_release(struct kv_lease *lease, struct kv_client *client,
                     enum kv_lease_state *ret, struct kv_fault *fault)
{
    return ask_if_mine(lease, client, "\"op\":\"delete\"", ret, fault);
}
