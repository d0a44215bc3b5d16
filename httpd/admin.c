/* Health, metrics, status, and the page at /. */
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "httpd/access.h"
#include "httpd/conn.h"
#include "httpd/dialects/dialects.h"
#include "httpd/field.h"
#include "httpd/reply.h"
#include "httpd/route.h"
#include "httpd/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static void reply_text(struct kv_request *request, unsigned status, const char *text)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf buf = {0};
    kv_buf_adds(&buf, text);
    kv_reply_buf(request, status, "text/plain; charset=utf-8", &buf);
}

static const char routes[] =
    "kvfs: a key-value store that is a filesystem\n"
    "\n"
    "GET    /v1/keys/KEY                  the value (HEAD, ranges, conditions)\n"
    "GET    /v1/keys/KEY?wait=30s&since=REV   the value when it changes\n"
    "PUT    /v1/keys/KEY[?ttl=60s]        store the body\n"
    "POST   /v1/keys/KEY?op=append        append the body\n"
    "POST   /v1/keys/KEY?op=incr&by=N     add to a number\n"
    "POST   /v1/keys/KEY?op=rename&to=K   rename a key or directory\n"
    "DELETE /v1/keys/KEY[?recursive=1]    delete\n"
    "GET    /v1/keys?dir=&prefix=&delimiter=/&limit=&after=&values=1\n"
    "POST   /v1/txn                       compares and operations, as JSON\n"
    "GET    /v1/watch?key=|dir=|prefix=&since=REV&prev=1   changes, as they happen\n"
    "GET    /v1/history?key=KEY           the versions that are still held\n"
    "GET    /v1/export  POST /v1/import   all keys as lines of JSON\n"
    "GET    /v1/backup                    a copy of the store\n"
    "GET    /v1/status  /metrics  /healthz  /readyz\n"
    "GET    /docs  /openapi.json          all of this, to read and to try\n";

/* A browser gets the web page, whoever else asks the names of the routes. */
void kv_admin_root(struct kv_request *request)
{
    const struct kv_field *accept = &request->headers.accept;
    if (accept->len > 0 && kv_accept_weight(accept->text, accept->len, "text/html") > 0)
        kv_asset_get(request);
    else
        reply_text(request, 200, routes);
    kv_reply_header(request, MHD_HTTP_HEADER_VARY, "Accept");
}

void kv_admin_health(struct kv_request *request)
{
    int err = kv_store_writable(request->http->store);
    if (err == -EROFS)
        kv_reply_errno(request, err, NULL, 0);
    else
        reply_text(request, 200,
                   err == -ENOSPC ? "ok, but the store is full\n" : "ok\n");
}

void kv_admin_ready(struct kv_request *request)
{
    if (kv_drain_is_closed(&request->http->drain))
        kv_reply_errno(request, -ESHUTDOWN, NULL, 0);
    else
        reply_text(request, 200, "ready\n");
}

/* -- /metrics: Prometheus text format 0.0.4 -- */

static void metric(struct kv_buf *out, const char *name, const char *type,
                   const char *help, uint64_t value)
{
    kv_buf_addf(out, "# HELP kvfs_%s %s\n# TYPE kvfs_%s %s\nkvfs_%s %" PRIu64 "\n",
                name, help, name, type, name, value);
}

static void store_metrics(struct kv_buf *out, const struct kv_store_status *status)
{
    metric(out, "revision", "counter", "Newest revision.", status->revision);
    metric(out, "oldest_revision", "counter", "Oldest revision the log still holds.",
           status->oldest_revision);
    metric(out, "keys", "gauge", "Keys.", status->keys);
    metric(out, "directories", "gauge", "Directories.", status->directories);
    metric(out, "store_used_bytes", "gauge", "Bytes of the data file in use.",
           status->used_bytes);
    metric(out, "store_max_bytes", "gauge", "Bytes the data file may have.",
           status->max_bytes);
    metric(out, "log_bytes", "gauge", "Bytes of the change log.", status->log_bytes);
    metric(out, "log_events", "gauge", "Events in the change log.", status->log_events);
    metric(out, "commits_total", "counter", "Group commits.", status->commits);
    metric(out, "transactions_total", "counter", "Transactions.", status->transactions);
    metric(out, "failed_transactions_total", "counter", "Transactions that failed.",
           status->failed_transactions);
    metric(out, "expired_keys_total", "counter", "Keys that ended by TTL.",
           status->expired);
    metric(out, "queued_transactions", "gauge", "Transactions waiting.",
           status->queued);
    metric(out, "read_only", "gauge", "1 after a disk error.",
           status->latched_error != 0);
    metric(out, "full", "gauge", "1 while the store is full.", status->full);
    kv_buf_addf(out,
                "# HELP kvfs_commit_seconds_total Time spent in commits.\n"
                "# TYPE kvfs_commit_seconds_total counter\n"
                "kvfs_commit_seconds_total %" PRIu64 ".%09" PRIu64 "\n",
                status->commit_ns / 1000000000, status->commit_ns % 1000000000);
    const struct kv_lru_stats *cache = &status->cache;
    metric(out, "cache_hits_total", "counter", "Reads the cache answered.",
           cache->hits);
    metric(out, "cache_misses_total", "counter", "Reads it did not.", cache->misses);
    metric(out, "cache_evictions_total", "counter", "Entries pushed out.",
           cache->evictions);
    metric(out, "cache_bytes", "gauge", "Bytes in the cache.", cache->bytes);
    metric(out, "cache_max_bytes", "gauge", "Bytes the cache may hold.",
           cache->max_bytes);
    metric(out, "cache_entries", "gauge", "Entries in the cache.", cache->entries);
}

static void http_metrics(struct kv_buf *out, struct kv_http *http)
{
    struct kv_http_counters *counters = &http->counters;
    kv_buf_adds(out, "# HELP kvfs_http_responses_total Responses by class of status.\n"
                     "# TYPE kvfs_http_responses_total counter\n");
    for (unsigned class = 2; class < 6; class ++)
        kv_buf_addf(out, "kvfs_http_responses_total{code=\"%uxx\"} %lu\n", class,
                    atomic_load(&counters->responses[class]));
    metric(out, "http_refused_total", "counter", "Requests that the gate refused.",
           atomic_load(&counters->refused));
    metric(out, "http_wrong_tokens_total", "counter", "Tokens that were refused.",
           atomic_load(&counters->wrong_tokens));
    metric(out, "http_timeouts_total", "counter", "Connections cut by a deadline.",
           atomic_load(&counters->timeouts));
    metric(out, "http_connections", "gauge", "Open connections.",
           kv_conns_count(http->conns));
    struct kv_budget_figures answers = kv_budget_figures(&http->answers);
    metric(out, "http_answer_bytes", "gauge", "Memory that answers under way hold.",
           answers.used);
    metric(out, "http_answer_max_bytes", "gauge", "Memory that they may hold.",
           answers.max);
    metric(out, "http_answers_refused_total", "counter",
           "Answers that had no room there.", answers.refused);
    metric(out, "http_body_bytes", "gauge", "Memory that request bodies hold.",
           atomic_load(&http->body_memory));
    metric(out, "http_watches", "gauge", "Open watches.", kv_hub_watchers(http->hub));
    metric(out, "http_sessions", "gauge", "Sessions of Socket.IO.",
           kv_sessions_count(http->dialects->sessions));
    metric(out, "http_watch_events_total", "counter", "Events sent to watches.",
           atomic_load(&counters->events_sent));
}

void kv_admin_metrics(struct kv_request *request)
{
    struct kv_http *http = request->http;
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    struct kv_store_status status;
    int err = kv_store_status(http->store, &status);
    if (err) {
        kv_reply_errno(request, err, NULL, 0);
        return;
    }
    store_metrics(&out, &status);
    http_metrics(&out, http);
    if (http->more_metrics && kv_access_allows(request, "", 0, KV_READ))
        http->more_metrics(http->more_ctx, &out);
    kv_reply_buf(request, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
}

/* -- /v1/status -- */

static const char *sync_name(enum kv_sync sync)
{
    switch (sync) {
    case KV_SYNC_ALWAYS:
        return "always";
    case KV_SYNC_INTERVAL:
        return "interval";
    case KV_SYNC_OFF:
        break;
    }
    return "off";
}

static void add_store(struct kv_buf *json, const struct kv_store_status *status)
{
    kv_buf_addf(
        json,
        ",\"revision\":%" PRIu64 ",\"oldest_revision\":%" PRIu64 ",\"keys\":%" PRIu64
        ",\"directories\":%" PRIu64 ",\"used_bytes\":%" PRIu64 ",\"max_bytes\":%" PRIu64
        ",\"log_bytes\":%" PRIu64 ",\"log_events\":%" PRIu64 ",\"commits\":%" PRIu64
        ",\"transactions\":%" PRIu64 ",\"failed_transactions\":%" PRIu64
        ",\"expired\":%" PRIu64 ",\"queued\":%" PRIu64 ",\"max_value_bytes\":%" PRIu64
        ",\"sync\":\"%s\",\"full\":%s,\"read_only\":%s",
        status->revision, status->oldest_revision, status->keys, status->directories,
        status->used_bytes, status->max_bytes, status->log_bytes, status->log_events,
        status->commits, status->transactions, status->failed_transactions,
        status->expired, status->queued, status->max_value_bytes,
        sync_name(status->sync), status->full ? "true" : "false",
        status->latched_error ? "true" : "false");
    if (status->latched_error)
        kv_buf_addf(json, ",\"read_only_reason\":\"%s\"",
                    kv_strerror(-status->latched_error));
    const struct kv_lru_stats *cache = &status->cache;
    kv_buf_addf(json,
                ",\"cache\":{\"hits\":%" PRIu64 ",\"misses\":%" PRIu64
                ",\"evictions\":%" PRIu64 ",\"bytes\":%" PRIu64
                ",\"max_bytes\":%" PRIu64 ",\"entries\":%" PRIu64 "}",
                cache->hits, cache->misses, cache->evictions, cache->bytes,
                cache->max_bytes, cache->entries);
}

void kv_admin_status(struct kv_request *request)
{
    struct kv_http *http = request->http;
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    struct kv_store_status status;
    int err = kv_store_status(http->store, &status);
    if (err) {
        kv_reply_errno(request, err, NULL, 0);
        return;
    }
    kv_buf_adds(&json, "{\"version\":");
    kv_json_string(&json, http->version, strlen(http->version));
    kv_buf_addf(&json, ",\"uptime_seconds\":%" PRId64,
                (kv_clock_monotonic_ns() - http->start_ns) / KV_NS_PER_S);
    add_store(&json, &status);
    struct kv_budget_figures answers = kv_budget_figures(&http->answers);
    kv_buf_addf(&json,
                ",\"http\":{\"connections\":%u,\"watches\":%u,\"sessions\":%u,"
                "\"answer_bytes\":%" PRIu64 ",\"max_answer_bytes\":%" PRIu64 "}",
                kv_conns_count(http->conns), kv_hub_watchers(http->hub),
                kv_sessions_count(http->dialects->sessions), answers.used, answers.max);
    /* It names directories. */
    if (http->more_status && kv_access_allows(request, "", 0, KV_READ))
        http->more_status(http->more_ctx, &json);
    kv_buf_adds(&json, "}\n");
    kv_reply_buf(request, 200, "application/json", &json);
}
