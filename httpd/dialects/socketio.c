/* /socket.io/: how a session's client opens it, polls, and brings packets.
 *
 * A poll is a watcher of everything, so the hub wakes it at each event; a request that
 * brings packets wakes it through the session (kv_socketio_waker). It reads the feed
 * from the session's place on its connection's thread and answers as soon as there is
 * anything. Nothing waits in memory between two polls. */
#include "httpd/dialects/socketio.h"

#include "base/clock.h"
#include "base/log.h"
#include "httpd/access.h"
#include "httpd/dialects/dialects.h"
#include "httpd/dialects/engineio.h"
#include "httpd/hub.h"
#include "httpd/reply.h"
#include "httpd/watch.h"

#include <errno.h>
#include <string.h>

/* python-engineio refuses a payload of more packets. */
#define PACKETS_MAX 16
/* An answer has no more events once it is so long, and none of a longer value. */
#define ANSWER_BYTES (64 * 1024)
#define VALUE_MAX (64 * 1024)
/* What one look may take before other connections have their turn. */
#define READ_BATCH 64
#define READ_ROUNDS 16

_Static_assert(KV_SESSION_REPLIES_MAX + 2 < PACKETS_MAX, "room for an event");

/* -- Waking a poll -- */

static bool rouse(void *poll)
{
    return kv_hub_rouse(poll);
}

static void wake(void *poll)
{
    struct kv_watcher *watcher = poll;
    watcher->wake(watcher);
}

const struct kv_session_waker kv_socketio_waker = {rouse, wake};

void kv_socketio_release(struct kv_request *request)
{
    if (request->session)
        kv_session_release(KV_STEAL(request->session));
}

/* -- Answers -- */

/* Engine.IO's own errors, by the numbers that its servers give them. */
enum fault { UNKNOWN_TRANSPORT, UNKNOWN_SID, BAD_METHOD, BAD_REQUEST, BAD_VERSION = 5 };

static void refuse(struct kv_request *request, enum fault fault)
{
    static const char *const texts[] = {
        [UNKNOWN_TRANSPORT] = "Transport unknown",
        [UNKNOWN_SID] = "Session ID unknown",
        [BAD_METHOD] = "Bad handshake method",
        [BAD_REQUEST] = "Bad request",
        [BAD_VERSION] = "Unsupported protocol version",
    };
    KV_CLEANUP(kv_buf_done) struct kv_buf json = {0};
    kv_buf_addf(&json, "{\"code\":%d,\"message\":\"%s\"}", (int)fault, texts[fault]);
    kv_reply_buf(request, 400, "application/json", &json);
}

static void reply_payload(struct kv_request *request, struct kv_buf *payload)
{
    kv_reply_buf(request, 200, "text/plain; charset=UTF-8", payload);
    kv_reply_header(request, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
}

/* -- Events -- */

/* Puts are what clients hear of, as far as they may read; how many packets that makes.
 */
static unsigned add_event(const struct kv_request *request, struct kv_buf *out,
                          const struct kv_event *event, unsigned packets)
{
    const struct kv_record *record = event->record;
    size_t size = (size_t)record->meta.size;
    if (event->type != KV_EVENT_PUT ||
        !kv_access_allows(request, record->key, record->key_len, KV_READ))
        return 0;
    if (packets > 0)
        kv_buf_addc(out, KV_EIO_SEPARATOR);
    bool shown = !record->bare && size <= VALUE_MAX;
    kv_sio_add_key_update(out, record->key, record->key_len,
                          !shown     ? NULL
                          : size > 0 ? record->value
                                     : "",
                          size);
    return 1;
}

enum seen { NOTHING, SOMETHING, MORE };

/* Add what fits of the events behind the session's position, which moves past them.
 * MORE: there was nothing so far, but others must have their turn. Negative: they
 * cannot be read. */
static int add_events(struct kv_request *request, struct kv_buf *out, unsigned packets)
{
    struct kv_feed *feed = kv_store_feed(request->http->store);
    struct kv_position *position = kv_session_position(request->session);
    unsigned before = packets;
    for (unsigned round = 0; round < READ_ROUNDS; round++) {
        struct kv_event *events[READ_BATCH];
        size_t count = 0;
        bool full = false;
        struct kv_cursor cursor = position->cursor;
        int err = kv_feed_read(feed, &cursor, events, READ_BATCH, &count);
        if (err && err != -EINVAL)
            return err;
        for (size_t i = 0; i < count; i++) {
            full = full || packets == PACKETS_MAX || out->len >= ANSWER_BYTES;
            if (!full) {
                packets += add_event(request, out, events[i], packets);
                *position = kv_position_of(events[i]);
            }
            kv_event_unref(events[i]);
        }
        /* -EINVAL: it begins at a revision that the feed is only just getting. */
        if (full || err || count == 0)
            return packets > before ? SOMETHING : NOTHING;
    }
    return packets > before ? SOMETHING : MORE;
}

static struct kv_position present(struct kv_request *request)
{
    uint64_t revision = kv_store_revision(request->http->store);
    return (struct kv_position){kv_cursor_after(revision), true};
}

/* -- Polling -- */

static void end_poll(struct kv_request *request)
{
    kv_socketio_release(request);
    kv_watcher_free(request->watcher);
    request->watcher = NULL;
}

/* out: what there is to say; nothing: the session has ended. It is let go before the
 * answer is sent, because the next poll may come right behind that. */
static void answer(struct kv_request *request, struct kv_buf *out)
{
    if (out->len > 0 || out->failed)
        reply_payload(request, out);
    else
        refuse(request, UNKNOWN_SID);
    if (request->status != 200) /* there was no room for it, and it is lost */
        kv_session_end(request->session);
    end_poll(request);
}

static void look(struct kv_request *request);

static void wait_for_more(struct kv_request *request, bool at_once)
{
    struct kv_watcher *watcher = request->watcher;
    if (!kv_request_sleep(request, look)) {
        end_poll(request);
        kv_reply_errno(request, -ESHUTDOWN, NULL, 0);
    } else if (at_once) {
        kv_request_wake(request); /* to the end of the queue */
    } else {
        kv_hub_park(watcher);
    }
}

static void look(struct kv_request *request)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    struct kv_watcher *watcher = request->watcher;
    struct kv_position *position = kv_session_position(request->session);
    struct kv_session_turn turn;
    int seen = NOTHING;
    *position = watcher->position; /* where the hub has moved it */
    if (!kv_access_holds(request)) /* not as he came */
        kv_session_end(request->session);
    kv_session_turn(request->session, kv_clock_monotonic_ns(), &out, &turn);
    if (turn.began || !turn.joined)
        *position = present(request);
    if (turn.joined)
        seen = add_events(request, &out, turn.packets);
    if (seen < 0) {
        if (seen != -ESTALE) /* which says that the client is too slow */
            kv_warning("cannot read the feed for a Socket.IO session: %s",
                       kv_strerror(seen));
        kv_session_end(request->session);
        turn.ended = true;
    }
    watcher->position = *position;
    watcher->until_ns = turn.until_ns;
    if (out.len == 0 && watcher->probe) /* whose client closed its side, or has gone */
        kv_buf_addc(&out, KV_EIO_NOOP);
    if (out.len > 0 || out.failed || turn.ended)
        answer(request, &out);
    else
        wait_for_more(request, seen == MORE);
}

static void poll(struct kv_request *request, const struct kv_param *sid)
{
    static const struct kv_filter everything = {KV_FILTER_DIR, "", 0};
    struct kv_position now = present(request);
    if (!kv_watcher_begin(request, &everything, &now))
        return;
    if (kv_session_poll(request->http->dialects->sessions, sid->value, sid->value_len,
                        request->watcher, &request->session)) {
        end_poll(request);
        refuse(request, UNKNOWN_SID);
        return;
    }
    kv_caller_copy(&request->caller, kv_session_caller(request->session));
    request->watcher->position = *kv_session_position(request->session);
    look(request);
}

/* -- The other requests -- */

static void open_session(struct kv_request *request)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    char sid[KV_SESSION_SID_SIZE];
    struct kv_sessions *sessions = request->http->dialects->sessions;
    uint64_t max = request->http->max_body_bytes;
    if (!kv_access_identify(request))
        return;
    int err = kv_session_open(sessions, kv_clock_monotonic_ns(), &request->caller, sid);
    if (err == -EMFILE) {
        kv_reply_error(request, 503, "too_many_sessions", NULL, 0,
                       "there are %u Socket.IO sessions, which is the limit",
                       kv_sessions_max(sessions));
        return;
    }
    if (err) {
        kv_reply_errno(request, err, NULL, 0);
        return;
    }
    struct kv_eio_opening opening = {
        .sid = sid,
        .ping_interval_ms = KV_SESSION_PING_INTERVAL_MS,
        .ping_timeout_ms = KV_SESSION_PING_TIMEOUT_MS,
        .max_payload =
            max < KV_SOCKETIO_PAYLOAD_MAX ? (size_t)max : KV_SOCKETIO_PAYLOAD_MAX,
    };
    kv_eio_add_open(&out, &opening);
    reply_payload(request, &out);
}

void kv_socketio_get(struct kv_request *request)
{
    const struct kv_param *sid = kv_uri_param(&request->uri, "sid");
    if (sid)
        poll(request, sid);
    else
        open_session(request);
}

void kv_socketio_post(struct kv_request *request)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf ok = {0};
    const struct kv_param *sid = kv_uri_param(&request->uri, "sid");
    const struct kv_buf *body = &request->body;
    int err =
        kv_session_take(request->http->dialects->sessions, sid->value, sid->value_len,
                        body->data, body->len, kv_clock_monotonic_ns());
    if (err) {
        refuse(request, err == -ENOENT ? UNKNOWN_SID : BAD_REQUEST);
        return;
    }
    kv_buf_adds(&ok, "ok");
    reply_payload(request, &ok);
}

void kv_socketio_too_long(struct kv_request *request)
{
    refuse(request, BAD_REQUEST);
}

static bool param_is(const struct kv_request *request, const char *name,
                     const char *value)
{
    const struct kv_param *param = kv_uri_param(&request->uri, name);
    return param && kv_key_equal(param->value, param->value_len, value, strlen(value));
}

bool kv_socketio_admit(struct kv_request *request)
{
    const struct kv_param *sid = kv_uri_param(&request->uri, "sid");
    bool brings = request->method == KV_POST;
    if (!param_is(request, "transport", "polling"))
        refuse(request, UNKNOWN_TRANSPORT);
    else if (kv_uri_param(&request->uri, "j")) /* JSONP, of older protocols */
        refuse(request, BAD_REQUEST);
    else if (!sid && !param_is(request, "EIO", "4"))
        refuse(request, BAD_VERSION);
    else if (!sid && brings)
        refuse(request, BAD_METHOD);
    else if (brings && !kv_session_exists(request->http->dialects->sessions, sid->value,
                                          sid->value_len))
        refuse(request, UNKNOWN_SID);
    else
        return true;
    return false;
}
