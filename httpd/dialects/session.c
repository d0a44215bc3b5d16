/* Sessions: a table by id behind one lock, which is held for some assignments at a
 * time.
 *
 * A session is in the table until it ends. Then it is freed, unless a poll has it: that
 * one learns of the end at its next turn and frees it when it lets go. */
#include "httpd/dialects/session.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/list.h"
#include "httpd/access.h"
#include "httpd/dialects/engineio.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define BUCKETS 1024

struct kv_sessions {
    struct kv_session_waker waker;
    unsigned max;
    pthread_mutex_t lock;
    struct kv_list_node all;  /* lock */
    struct kv_list_node idle; /* lock: nothing came of them yet; the oldest first */
    struct kv_list_node buckets[BUCKETS]; /* lock: by sid */
    unsigned count;                       /* lock */
};

struct kv_session {
    struct kv_sessions *sessions;
    char sid[KV_SESSION_SID_SIZE];
    char socket_id[KV_SESSION_SID_SIZE]; /* what the client is called in "/" */
    struct kv_caller caller;
    struct kv_position position; /* the poll's */
    /* The rest: sessions->lock. */
    struct kv_list_node all, bucket, idle;
    void *poll;       /* NULL: none */
    bool polled;      /* once at least */
    int64_t heard_ns; /* when it began, or the last pong came */
    bool pinged;      /* a ping has gone out since */
    bool ended;
    bool joined, greet; /* "/" was joined; and the client is to be told so */
    struct kv_buf replies;
    unsigned reply_count;
};

/* -- The table -- */

/* So many characters that cannot be guessed: the id is all that a client has to show.
 */
static int make_sid(char out[KV_SESSION_SID_SIZE])
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char bytes[KV_SESSION_SID_SIZE - 1];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return errno ? -errno : -EIO;
    for (size_t i = 0; i < sizeof(bytes); i++)
        out[i] = letters[bytes[i] % 64];
    out[sizeof(bytes)] = '\0';
    return 0;
}

static struct kv_list_node *bucket_of(struct kv_sessions *sessions, const char *sid,
                                      size_t len)
{
    return &sessions->buckets[kv_hash(sid, len) % BUCKETS];
}

static struct kv_session *find_locked(struct kv_sessions *sessions, const char *sid,
                                      size_t len)
{
    KV_LIST_FOREACH(it, bucket_of(sessions, sid, len))
    {
        struct kv_session *session = KV_CONTAINER_OF(it, struct kv_session, bucket);
        if (len == KV_SESSION_SID_SIZE - 1 && memcmp(session->sid, sid, len) == 0)
            return session;
    }
    return NULL;
}

static void free_session(struct kv_session *session)
{
    kv_buf_done(&session->replies);
    kv_caller_done(&session->caller);
    free(session);
}

/* The poll, if it sleeps: to be woken without the lock. */
static void *rouse_locked(struct kv_session *session)
{
    const struct kv_session_waker *waker = &session->sessions->waker;
    return session->poll && waker->rouse(session->poll) ? session->poll : NULL;
}

static void wake(struct kv_sessions *sessions, void *poll)
{
    if (poll)
        sessions->waker.wake(poll);
}

/* Out of the table, with these last words; the poll to be woken. Without a poll it is
 * freed. */
static void *end_locked(struct kv_session *session, const char *words)
{
    if (session->ended)
        return NULL;
    kv_list_remove(&session->all);
    kv_list_remove(&session->bucket);
    kv_list_remove(&session->idle);
    session->sessions->count--;
    session->ended = true;
    session->joined = session->greet = false;
    kv_buf_reset(&session->replies);
    kv_buf_adds(&session->replies, words);
    session->reply_count = *words ? 1 : 0;
    if (session->poll)
        return rouse_locked(session);
    free_session(session);
    return NULL;
}

struct kv_sessions *kv_sessions_new(unsigned max, const struct kv_session_waker *waker)
{
    struct kv_sessions *sessions = calloc(1, sizeof(*sessions));
    if (!sessions)
        return NULL;
    sessions->max = max;
    sessions->waker = *waker;
    kv_list_init(&sessions->all);
    kv_list_init(&sessions->idle);
    for (size_t i = 0; i < BUCKETS; i++)
        kv_list_init(&sessions->buckets[i]);
    pthread_mutex_init(&sessions->lock, NULL);
    return sessions;
}

void kv_sessions_free(struct kv_sessions *sessions)
{
    if (!sessions)
        return;
    KV_LIST_FOREACH(it, &sessions->all)
    {
        struct kv_session *session = KV_CONTAINER_OF(it, struct kv_session, all);
        assert(!session->poll);
        (void)end_locked(session, "");
    }
    pthread_mutex_destroy(&sessions->lock);
    free(sessions);
}

/* -- Time -- */

static int64_t ping_due_ns(const struct kv_session *session)
{
    return session->heard_ns + KV_SESSION_PING_INTERVAL_MS * KV_NS_PER_MS;
}

static int64_t end_due_ns(const struct kv_session *session)
{
    return ping_due_ns(session) + KV_SESSION_PING_TIMEOUT_MS * KV_NS_PER_MS;
}

/* One with a poll ends at its next turn, which is due at the same time. */
void kv_sessions_tick(struct kv_sessions *sessions, int64_t now_ns)
{
    KV_SCOPED_LOCK(&sessions->lock);
    KV_LIST_FOREACH(it, &sessions->all)
    {
        struct kv_session *session = KV_CONTAINER_OF(it, struct kv_session, all);
        if (!session->poll && end_due_ns(session) <= now_ns)
            (void)end_locked(session, "");
    }
}

unsigned kv_sessions_count(struct kv_sessions *sessions)
{
    KV_SCOPED_LOCK(&sessions->lock);
    return sessions->count;
}

unsigned kv_sessions_max(const struct kv_sessions *sessions)
{
    return sessions->max;
}

/* -- Opening -- */

/* End the oldest session that nothing came of, if there is one; its poll to be woken.
 */
static void *make_room_locked(struct kv_sessions *sessions)
{
    static const char close[] = {KV_EIO_CLOSE, '\0'};
    struct kv_list_node *oldest = sessions->idle.next;
    if (kv_list_empty(&sessions->idle))
        return NULL;
    return end_locked(KV_CONTAINER_OF(oldest, struct kv_session, idle), close);
}

static bool enter(struct kv_sessions *sessions, struct kv_session *session)
{
    void *other = NULL;
    kv_lock(&sessions->lock);
    if (sessions->count >= sessions->max)
        other = make_room_locked(sessions);
    bool fits = sessions->count < sessions->max;
    if (fits) {
        sessions->count++;
        kv_list_push_back(&sessions->all, &session->all);
        kv_list_push_back(&sessions->idle, &session->idle);
        kv_list_push_back(bucket_of(sessions, session->sid, KV_SESSION_SID_SIZE - 1),
                          &session->bucket);
    }
    kv_unlock(&sessions->lock);
    wake(sessions, other);
    return fits;
}

int kv_session_open(struct kv_sessions *sessions, int64_t now_ns,
                    const struct kv_caller *caller, char ret_sid[KV_SESSION_SID_SIZE])
{
    struct kv_session *session = calloc(1, sizeof(*session));
    if (!session)
        return -ENOMEM;
    session->sessions = sessions;
    session->heard_ns = now_ns;
    kv_caller_copy(&session->caller, caller);
    kv_list_init(&session->all);
    kv_list_init(&session->bucket);
    kv_list_init(&session->idle);
    int err = make_sid(session->sid);
    if (!err)
        err = make_sid(session->socket_id);
    char sid[KV_SESSION_SID_SIZE];
    memcpy(sid, session->sid, sizeof(sid));
    if (!err && !enter(sessions, session))
        err = -EMFILE;
    if (err)
        free_session(session);
    else
        memcpy(ret_sid, sid, sizeof(sid));
    return err;
}

bool kv_session_exists(struct kv_sessions *sessions, const char *sid, size_t sid_len)
{
    KV_SCOPED_LOCK(&sessions->lock);
    return find_locked(sessions, sid, sid_len) != NULL;
}

/* -- What a client brings -- */

/* What a payload comes to: read before the lock is taken, because it can be long. */
struct brought {
    bool pong;
    bool joins, leaves; /* the last of them */
    struct kv_buf replies;
    unsigned reply_count;
};

static void add_separator(struct kv_buf *out, unsigned packets)
{
    if (packets > 0)
        kv_buf_addc(out, KV_EIO_SEPARATOR);
}

/* There is no namespace but "/". */
static int refuse_namespace(struct brought *brought, struct kv_span space)
{
    if (brought->reply_count == KV_SESSION_REPLIES_MAX)
        return -ENOBUFS;
    add_separator(&brought->replies, brought->reply_count++);
    kv_sio_add_connect_error(&brought->replies, space);
    return kv_buf_error(&brought->replies);
}

/* Events are for the application that a server belongs to, and here there is none. */
static int read_message(struct brought *brought, struct kv_span text)
{
    struct kv_sio_packet packet;
    if (kv_sio_read(text, &packet))
        return -EINVAL;
    bool root = packet.space.len == 1;
    if (packet.type == KV_SIO_CONNECT && !root)
        return refuse_namespace(brought, packet.space);
    if (root && (packet.type == KV_SIO_CONNECT || packet.type == KV_SIO_DISCONNECT)) {
        brought->joins = packet.type == KV_SIO_CONNECT;
        brought->leaves = !brought->joins;
    }
    return 0;
}

/* 0; -ESHUTDOWN: the client ends the session; -EINVAL, -ENOBUFS, -ENOMEM. */
static int read_packet(struct brought *brought, const struct kv_eio_packet *packet)
{
    switch (packet->type) {
    case KV_EIO_PONG:
        brought->pong = true;
        return 0;
    case KV_EIO_MESSAGE:
        return read_message(brought, packet->data);
    case KV_EIO_BINARY: /* belongs to an event */
        return 0;
    case KV_EIO_CLOSE:
        return -ESHUTDOWN;
    case KV_EIO_OPEN:
    case KV_EIO_PING:
    case KV_EIO_UPGRADE:
    case KV_EIO_NOOP:
        break; /* a server's, or another transport's */
    }
    return -EINVAL;
}

static int read_payload(struct brought *brought, const char *payload, size_t len)
{
    struct kv_eio_packet packet;
    size_t offset = 0;
    int step, err = 0;
    while (!err && (step = kv_eio_next(payload, len, &offset, &packet)) != 0)
        err = step < 0 ? step : read_packet(brought, &packet);
    return err;
}

static int take_locked(struct kv_session *session, struct brought *brought,
                       int64_t now_ns)
{
    if (brought->pong) {
        session->heard_ns = now_ns;
        session->pinged = false;
    }
    if (brought->joins)
        kv_list_remove(&session->idle);
    if (brought->joins || brought->leaves)
        session->joined = session->greet = brought->joins;
    if (brought->reply_count == 0)
        return 0;
    if (session->reply_count + brought->reply_count > KV_SESSION_REPLIES_MAX)
        return -ENOBUFS;
    add_separator(&session->replies, session->reply_count);
    kv_buf_add(&session->replies, brought->replies.data, brought->replies.len);
    session->reply_count += brought->reply_count;
    return kv_buf_error(&session->replies);
}

int kv_session_take(struct kv_sessions *sessions, const char *sid, size_t sid_len,
                    const char *payload, size_t len, int64_t now_ns)
{
    static const char noop[] = {KV_EIO_NOOP, '\0'}, close[] = {KV_EIO_CLOSE, '\0'};
    struct brought brought = {0};
    void *poll = NULL;
    int err = read_payload(&brought, payload, len);
    kv_lock(&sessions->lock);
    struct kv_session *session = find_locked(sessions, sid, sid_len);
    if (session && !err)
        err = take_locked(session, &brought, now_ns);
    if (session)
        poll = err ? end_locked(session, err == -ESHUTDOWN ? noop : close)
                   : rouse_locked(session);
    kv_unlock(&sessions->lock);
    wake(sessions, poll);
    kv_buf_done(&brought.replies);
    if (!session)
        return -ENOENT;
    return err == -ESHUTDOWN ? 0 : err;
}

/* -- Polling -- */

int kv_session_poll(struct kv_sessions *sessions, const char *sid, size_t sid_len,
                    void *poll, struct kv_session **ret)
{
    static const char close[] = {KV_EIO_CLOSE, '\0'};
    kv_lock(&sessions->lock);
    struct kv_session *session = find_locked(sessions, sid, sid_len);
    bool busy = session && session->poll;
    void *other = busy ? end_locked(session, close) : NULL;
    if (session && !busy) {
        if (session->polled)
            kv_list_remove(&session->idle);
        session->polled = true;
        session->poll = poll;
    }
    kv_unlock(&sessions->lock);
    wake(sessions, other);
    if (!session || busy)
        return busy ? -EBUSY : -ENOENT;
    *ret = session;
    return 0;
}

/* Replies that wait; what they were kept in is free then. */
static void add_replies_locked(struct kv_session *session, struct kv_buf *out,
                               struct kv_session_turn *turn)
{
    if (session->reply_count == 0)
        return;
    add_separator(out, turn->packets);
    kv_buf_add(out, session->replies.data, session->replies.len);
    if (kv_buf_error(&session->replies))
        out->failed = true;
    turn->packets += session->reply_count;
    session->reply_count = 0;
    kv_buf_done(&session->replies);
}

static void greet_locked(struct kv_session *session, struct kv_buf *out,
                         struct kv_session_turn *turn)
{
    add_separator(out, turn->packets++);
    kv_sio_add_connect(out, session->socket_id);
    session->greet = false;
    turn->began = true;
}

static void ping_locked(struct kv_session *session, struct kv_buf *out,
                        struct kv_session_turn *turn)
{
    add_separator(out, turn->packets++);
    kv_buf_addc(out, KV_EIO_PING);
    session->pinged = true;
}

void kv_session_turn(struct kv_session *session, int64_t now_ns, struct kv_buf *out,
                     struct kv_session_turn *ret)
{
    *ret = (struct kv_session_turn){0};
    KV_SCOPED_LOCK(&session->sessions->lock);
    if (end_due_ns(session) <= now_ns)
        (void)end_locked(session, ""); /* its own poll is awake */
    add_replies_locked(session, out, ret);
    if (session->greet)
        greet_locked(session, out, ret);
    if (!session->ended && !session->pinged && ping_due_ns(session) <= now_ns)
        ping_locked(session, out, ret);
    ret->ended = session->ended;
    ret->joined = session->joined;
    ret->until_ns = session->pinged ? end_due_ns(session) : ping_due_ns(session);
}

struct kv_position *kv_session_position(struct kv_session *session)
{
    return &session->position;
}

const struct kv_caller *kv_session_caller(const struct kv_session *session)
{
    return &session->caller;
}

void kv_session_end(struct kv_session *session)
{
    KV_SCOPED_LOCK(&session->sessions->lock);
    (void)end_locked(session, ""); /* its own poll is awake */
}

void kv_session_release(struct kv_session *session)
{
    KV_SCOPED_LOCK(&session->sessions->lock);
    session->poll = NULL;
    if (session->ended)
        free_session(session);
}
