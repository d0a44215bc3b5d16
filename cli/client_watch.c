/* Watching over HTTP: kvfsd's change stream, taken up again where it stopped whenever
 * the connection drops.
 *
 * The place to go on from is known from the first moment: without --since the revision
 * is asked for before the stream is opened, so a connection that drops before the first
 * event loses nothing either. */
#include "client.h"
#include "sse.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define RETRY_FIRST_MS 100
#define RETRY_MOST_MS 5000

struct watching {
    const struct kv_watcher *watcher;
    struct kv_client *client;
    struct kv_fault *fault;
    struct kv_sse sse;
    bool announced;   /* ready was called */
    bool lost;        /* the loss of the connection was told */
    unsigned wait_ms; /* before the next attempt */
    /* The directory rename that was shown last: what moved along is not shown. */
    struct kv_buf from, to;
    uint64_t revision;
};

static void watching_done(struct watching *w)
{
    kv_sse_done(&w->sse);
    kv_buf_done(&w->from);
    kv_buf_done(&w->to);
}

static const char *const types[] = {"put",   "delete", "rename",
                                    "mkdir", "rmdir",  "meta"};

static bool is_change(const char *type)
{
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

static bool is_below(const char *key, const struct kv_buf *dir)
{
    return dir->len > 0 && strncmp(key, dir->data, dir->len) == 0 &&
           key[dir->len] == '/';
}

/* A key that moved because its directory did; that rename has just been shown. */
static bool moved_along(struct watching *w, const struct kv_change *change,
                        uint64_t revision)
{
    if (w->revision == revision && is_below(change->from, &w->from) &&
        is_below(change->key, &w->to))
        return true;
    w->revision = revision;
    kv_buf_reset(&w->from);
    kv_buf_reset(&w->to);
    kv_buf_adds(&w->from, change->from);
    kv_buf_adds(&w->to, change->key);
    return false;
}

/* A member's bytes with a NUL behind them; NULL when there is no such member. */
static const char *member_text(struct kv_span json, const char *name,
                               struct kv_buf *out)
{
    if (kv_json_member_bytes(json, name, out))
        return NULL;
    kv_buf_addc(out, '\0');
    return out->data;
}

static int on_event(void *ctx, const struct kv_sse_event *event)
{
    struct watching *w = ctx;
    KV_CLEANUP(kv_buf_done) struct kv_buf key = {0}, from = {0}, value = {0};
    struct kv_span json, omitted;
    uint64_t revision = 0;
    w->wait_ms = RETRY_FIRST_MS;
    if (strcmp(event->type, "compacted") == 0)
        return kv_fault_set(w->fault, KV_EXIT_REFUSED, NULL,
                            "more changed than could be read in time, and what comes "
                            "next is not held any more: some changes are lost");
    if (!is_change(event->type))
        return 0;
    if (kv_json_read(event->data, event->data_len, &json) ||
        kv_json_member_number(json, "revision", &revision))
        return kv_fault_set(w->fault, KV_EXIT_LOCAL, NULL,
                            "a change that %s sends cannot be understood",
                            kv_http_place(w->client->http));
    struct kv_change change = {
        .type = event->type,
        .key = member_text(json, "key", &key),
        .from = member_text(json, "from", &from),
        .json = event->data,
        .json_len = event->data_len,
        .revision = revision,
        .omitted = kv_json_member(json, "omitted", &omitted) == 0,
    };
    (void)kv_json_member_number(json, "size", &change.size); /* 0 where it has none */
    if (kv_json_member_bytes(json, "value", &value) == 0) {
        change.value = value.data ? value.data : "";
        change.value_len = value.len;
    }
    if (kv_buf_error(&key) || kv_buf_error(&from) || kv_buf_error(&value))
        return -ENOMEM;
    if (!change.key || (!change.from && strcmp(change.type, "rename") == 0))
        return kv_fault_set(w->fault, KV_EXIT_LOCAL, NULL,
                            "a change that %s sends names no key",
                            kv_http_place(w->client->http));
    if (change.from && moved_along(w, &change, revision))
        return 0;
    return w->watcher->change(w->watcher->ctx, &change);
}

static int stream_begin(void *ctx, const struct kv_http_answer *answer)
{
    struct watching *w = ctx;
    (void)answer;
    bool again = w->announced;
    w->announced = true;
    w->lost = false;
    return again ? 0 : w->watcher->ready(w->watcher->ctx);
}

static int stream_data(void *ctx, const void *data, size_t len)
{
    struct watching *w = ctx;
    int status = kv_sse_feed(&w->sse, data, len);
    if (status == -ENOMEM)
        return kv_fault_no_memory(w->fault);
    return status ? status : w->watcher->pause(w->watcher->ctx);
}

static int on_tick(void *ctx)
{
    struct watching *w = ctx;
    return w->watcher->tick ? w->watcher->tick(w->watcher->ctx) : 0;
}

static void add_parameter(struct kv_buf *target, const char *name, const char *value)
{
    if (!value)
        return;
    kv_buf_addf(target, "&%s=", name);
    kv_http_encode(target, value);
}

/* One connection, from where the last one ended. 0: it ended, and may be tried again.
 */
static int stream(struct watching *w, uint64_t since)
{
    const struct kv_scope *scope = w->watcher->scope;
    KV_CLEANUP(kv_http_answer_done) struct kv_http_answer answer = {0};
    KV_CLEANUP(kv_buf_done) struct kv_buf target = {0}, resume = {0};
    struct kv_http_sink sink = {stream_begin, stream_data, w};
    kv_buf_addf(&target, "/v1/watch?since=%" PRIu64, since);
    add_parameter(&target, "key", scope->key);
    add_parameter(&target, "dir", scope->dir);
    add_parameter(&target, "prefix", scope->prefix);
    kv_buf_adds(&target, w->watcher->values ? "&values=1" : "&values=0");
    kv_buf_addc(&target, '\0');
    const char *id = kv_sse_last_id(&w->sse);
    if (id && *id)
        kv_buf_addf(&resume, "Last-Event-ID: %s", id);
    kv_buf_addc(&resume, '\0');
    if (!id || kv_buf_error(&target) || kv_buf_error(&resume))
        return kv_fault_no_memory(w->fault);
    struct kv_http_request request = {
        .method = "GET",
        .target = target.data,
        .headers = {"Accept: text/event-stream", *id ? resume.data : NULL},
        .sink = &sink,
        .tick = on_tick,
        .tick_ctx = w,
    };
    kv_sse_restart(&w->sse);
    int status = kv_http_perform(w->client->http, &request, &answer, w->fault);
    if (!status)
        status = kv_client_judge(w->client, &answer, NULL, w->fault);
    /* A daemon that is stopping, or has no room just now, is worth another try. */
    return status == KV_EXIT_REFUSED && answer.status == 503 ? KV_EXIT_AWAY : status;
}

static int ask_revision(struct kv_client *client, uint64_t *ret, struct kv_fault *fault)
{
    KV_CLEANUP(kv_http_answer_done) struct kv_http_answer answer = {0};
    struct kv_span json;
    int status = kv_client_ask(client, "/v1/status", &answer, &json, fault);
    if (!status && kv_json_member_number(json, "revision", ret))
        return kv_fault_set(fault, KV_EXIT_AWAY, NULL, "%s does not tell its revision",
                            kv_http_place(client->http));
    return status;
}

static void wait_a_little(struct watching *w)
{
    struct timespec pause = kv_ns_timespec((int64_t)w->wait_ms * KV_NS_PER_MS);
    (void)nanosleep(&pause, NULL); /* a signal may shorten it */
    w->wait_ms = w->wait_ms * 2 > RETRY_MOST_MS ? RETRY_MOST_MS : w->wait_ms * 2;
}

int kv_client_watch(struct kv_access *access, const struct kv_watcher *watcher,
                    struct kv_fault *fault)
{
    KV_CLEANUP(watching_done)
    struct watching w = {
        .watcher = watcher,
        .client = kv_client_of(access),
        .fault = fault,
        .wait_ms = RETRY_FIRST_MS,
    };
    kv_sse_init(&w.sse, on_event, &w);
    uint64_t since = watcher->since;
    int status = watcher->resume ? 0 : ask_revision(w.client, &since, fault);
    if (status)
        return status;
    for (;;) {
        status = stream(&w, since);
        if (!w.announced || (status != 0 && status != KV_EXIT_AWAY))
            return status;
        if (!w.lost)
            watcher->notice(watcher->ctx, "the connection was lost: trying again");
        w.lost = true;
        kv_fault_done(fault); /* it was told, and it goes on */
        wait_a_little(&w);
        status = on_tick(&w);
        if (status)
            return status;
    }
}
