#ifndef KV_HTTPD_DIALECTS_SESSION_H
#define KV_HTTPD_DIALECTS_SESSION_H

/* Sessions of Engine.IO clients that poll. A session is a place in the feed and some
 * flags; events wait for it in the feed, not here, so a client that is slow costs
 * nothing but its place. It ends, and its id is unknown from then on,
 *
 * - when its client says so, or does not answer a ping in time;
 * - when its client breaks the protocol, polls twice at once, or leaves more than
 *   KV_SESSION_REPLIES_MAX replies waiting;
 * - when it is so slow that the log no longer holds what comes next for it;
 * - when its client has neither joined "/" nor polled a second time, and another one
 *   needs the place: of these the oldest goes. So who only opens sessions keeps nobody
 *   else from one.
 *
 * A client comes in two kinds of requests. One that brings packets is over at once; one
 * that polls takes what there is for the client, and sleeps until there is something.
 * So a session has at most one poll at a time, which is whoever called
 * kv_session_poll, until it calls kv_session_release.
 *
 * Any thread. Times are monotonic nanoseconds. */

#include "httpd/request.h"
#include "httpd/sse.h"

#define KV_SESSION_PING_INTERVAL_MS 25000
#define KV_SESSION_PING_TIMEOUT_MS 20000
#define KV_SESSION_REPLIES_MAX 8
#define KV_SESSION_SID_SIZE 21 /* with the NUL */

struct kv_sessions;
struct kv_session;

/* How a poll that may be asleep is woken. */
struct kv_session_waker {
    /* True: it sleeps, and wake is owed. False: it does not, or was woken already, and
     * will not go to sleep before it has called kv_session_turn again. Called under the
     * sessions' lock. */
    bool (*rouse)(void *poll);
    void (*wake)(void *poll); /* under no lock */
};

/* At most max sessions at a time. NULL: no memory. */
struct kv_sessions *kv_sessions_new(unsigned max, const struct kv_session_waker *waker);
void kv_sessions_free(struct kv_sessions *sessions); /* no poll may be left; NULL too */

/* End the sessions whose client is gone. To be called every second or so. */
void kv_sessions_tick(struct kv_sessions *sessions, int64_t now_ns);

unsigned kv_sessions_count(struct kv_sessions *sessions);
unsigned kv_sessions_max(const struct kv_sessions *sessions);

/* A new session of whoever asks for it. 0 and its id, NUL-terminated; -EMFILE: there
 * are as many as allowed, and all are used; -ENOMEM; what getrandom(2) says. */
int kv_session_open(struct kv_sessions *sessions, int64_t now_ns,
                    const struct kv_caller *caller, char ret_sid[KV_SESSION_SID_SIZE]);

/* Whether there is such a session now. */
bool kv_session_exists(struct kv_sessions *sessions, const char *sid, size_t sid_len);

/* Take a payload of packets from the client. 0; -ENOENT: there is no such session;
 * -EINVAL, -ENOBUFS: it broke a rule of the list above, -ENOMEM; then its session has
 * ended. */
int kv_session_take(struct kv_sessions *sessions, const char *sid, size_t sid_len,
                    const char *payload, size_t len, int64_t now_ns);

/* Become the session's poll. 0; -ENOENT: there is no such session; -EBUSY: it has a
 * poll, and so it has ended. */
int kv_session_poll(struct kv_sessions *sessions, const char *sid, size_t sid_len,
                    void *poll, struct kv_session **ret);

/* -- The session's poll only -- */

struct kv_session_turn {
    bool ended;       /* the session has; what is in out are its last words */
    bool joined;      /* the client wants events */
    bool began;       /* from now on: to be told from here */
    unsigned packets; /* in out */
    int64_t until_ns; /* there will be something to say at that time */
};

/* What there is to say but events: appended to out as a payload. */
void kv_session_turn(struct kv_session *session, int64_t now_ns, struct kv_buf *out,
                     struct kv_session_turn *ret);

/* Behind the last event that the client was told of; not moved by this module. */
struct kv_position *kv_session_position(struct kv_session *session);

/* Who opened the session: its id stands for his token. */
const struct kv_caller *kv_session_caller(const struct kv_session *session);

/* End the session. */
void kv_session_end(struct kv_session *session);

/* The poll is over; the session is not its any more. */
void kv_session_release(struct kv_session *session);

#endif
