/* Long polls. What is asked is "tell me when the key differs from what I know", so it
 * is the state that decides, and the feed only tells when to look: a key whose revision
 * is newer is answered at once, and so is an absent one when the log no longer tells
 * whether it went since then. Nothing is missed between two polls, and an answer too
 * many does no harm. */
#include "httpd/longpoll.h"

#include "base/clock.h"
#include "httpd/access.h"
#include "httpd/field.h"
#include "httpd/hub.h"
#include "httpd/reply.h"
#include "httpd/value.h"
#include "httpd/watch.h"

#include <errno.h>
#include <inttypes.h>

#define WAIT_MAX_NS (600 * KV_NS_PER_S)
/* What one look may take before other connections have their turn. */
#define READ_BATCH 64
#define READ_ROUNDS 16

/* The watcher has done its duty; what follows is an ordinary answer. */
static void end_watch(struct kv_request *request)
{
    kv_watcher_free(request->watcher);
    request->watcher = NULL;
}

/* A key that is not there: from where the next poll may go on. */
static void add_revision(struct kv_request *request, uint64_t revision)
{
    if (request->status == 404 || request->status == 304)
        kv_reply_header_u64(request, "X-Kv-Revision", revision);
}

static void answer_state(struct kv_request *request, kv_handler_fn *answer)
{
    uint64_t revision = kv_store_revision(request->http->store); /* before the read */
    end_watch(request);
    answer(request);
    if (request->status == 404)
        add_revision(request, revision);
}

static void answer_unchanged(struct kv_request *request)
{
    struct kv_record *record = NULL;
    uint64_t revision = request->watcher->position.cursor.revision;
    kv_handler_fn *answer = request->watcher->answer;
    int err =
        kv_store_stat(request->http->store, request->rest, request->rest_len, &record);
    if (!err && record->meta.mod_revision > revision) { /* changed only just now */
        kv_record_unref(record);
        answer_state(request, answer);
        return;
    }
    end_watch(request);
    if (!err) {
        kv_value_reply(request, 304, record);
        return;
    }
    if (err != -ENOENT) {
        kv_reply_errno(request, err, request->rest, request->rest_len);
        return;
    }
    kv_reply_empty(request, 304);
    add_revision(request, revision);
}

enum seen { NOTHING, CHANGE, MORE };

/* Read on from where the watcher stands, until an event is about the key. */
static enum seen read_feed(struct kv_watcher *watcher)
{
    struct kv_feed *feed = kv_store_feed(watcher->request->http->store);
    for (unsigned round = 0; round < READ_ROUNDS; round++) {
        struct kv_event *events[READ_BATCH];
        size_t count = 0;
        bool found = false;
        struct kv_cursor cursor = watcher->position.cursor;
        int err = kv_feed_read(feed, &cursor, events, READ_BATCH, &count);
        if (err == -EINVAL) /* the feed is only just getting that revision */
            return NOTHING;
        if (err) /* compacted, or unreadable: the state is the better witness */
            return CHANGE;
        for (size_t i = 0; i < count; i++) {
            found = found || kv_watcher_sees(watcher, events[i]);
            kv_event_unref(events[i]);
        }
        watcher->position = (struct kv_position){cursor, cursor.index == UINT32_MAX};
        if (found || count == 0)
            return found ? CHANGE : NOTHING;
    }
    return MORE;
}

static void look(struct kv_request *request)
{
    struct kv_watcher *watcher = request->watcher;
    /* The token may have been revoked since, or tokens switched on. */
    if (!kv_access_check(request, request->rest, request->rest_len, KV_READ)) {
        end_watch(request);
        return;
    }
    enum seen seen = read_feed(watcher);
    if (seen == CHANGE) {
        answer_state(request, watcher->answer);
        return;
    }
    /* A client that closed its side has gone, or will not mind to be told early. */
    if (watcher->probe ||
        (seen == NOTHING && kv_clock_monotonic_ns() >= watcher->until_ns)) {
        answer_unchanged(request);
        return;
    }
    if (!kv_request_sleep(request, look)) {
        end_watch(request);
        kv_reply_errno(request, -ESHUTDOWN, NULL, 0);
    } else if (seen == MORE) {
        kv_request_wake(request); /* to the end of the queue */
    } else {
        kv_hub_park(watcher);
    }
}

static bool parse_wait(struct kv_request *request, int64_t *ret_ns)
{
    const struct kv_param *wait = kv_uri_param(&request->uri, "wait");
    if (!wait) {
        kv_reply_invalid_param(request, "since", "goes with wait=");
        return false;
    }
    if (kv_duration_parse(wait->value, wait->value_len, ret_ns) ||
        *ret_ns > WAIT_MAX_NS) {
        kv_reply_invalid_param(request, "wait",
                               "must be a number with a unit, 500ms, 30s, 5m, of at "
                               "most 10 minutes");
        return false;
    }
    return true;
}

/* Where to begin to read: behind since=, or now. */
static bool parse_since(struct kv_request *request, uint64_t now, uint64_t *ret)
{
    const struct kv_param *since = kv_uri_param(&request->uri, "since");
    *ret = now;
    if (!since)
        return true;
    if (kv_u64_parse(since->value, since->value_len, ret)) {
        kv_reply_invalid_param(request, "since", "must be a revision");
        return false;
    }
    if (*ret <= now)
        return true;
    kv_reply_error(request, 400, "invalid_parameter", NULL, 0,
                   "since: lies in the future; the revision is %" PRIu64, now);
    return false;
}

/* What the state alone can tell. 1: the key has changed since; 0: read the feed behind
 * *since, which moves on to now when the key is there and has not; or an error. */
static int check_state(struct kv_request *request, uint64_t now, uint64_t *since)
{
    KV_CLEANUP(kv_record_unrefp) struct kv_record *record = NULL;
    struct kv_store *store = request->http->store;
    int err = kv_store_stat(store, request->rest, request->rest_len, &record);
    if (err == -ENOENT)
        return *since + 1 < kv_store_oldest_revision(store);
    if (!err && kv_record_is_dir(record))
        err = -EISDIR; /* what changes is below it: that is for a watch */
    if (err)
        return err;
    if (record->meta.mod_revision > *since)
        return 1;
    *since = now;
    return 0;
}

void kv_poll_get(struct kv_request *request, kv_handler_fn *answer)
{
    uint64_t now = kv_store_revision(request->http->store), since;
    int64_t wait_ns;
    if (!parse_wait(request, &wait_ns) || !parse_since(request, now, &since))
        return;
    int changed = check_state(request, now, &since);
    if (changed < 0) {
        kv_reply_errno(request, changed, request->rest, request->rest_len);
        return;
    }
    if (changed) {
        answer_state(request, answer);
        return;
    }
    struct kv_filter filter = {KV_FILTER_KEY, request->rest, request->rest_len};
    struct kv_position position = {kv_cursor_after(since), true};
    if (!kv_watcher_begin(request, &filter, &position))
        return;
    request->watcher->until_ns = kv_clock_monotonic_ns() + wait_ns;
    request->watcher->answer = answer;
    look(request);
}
