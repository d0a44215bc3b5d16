/* The pump. A socket's watcher is awake, and then the pump reads the feed for it, or
 * parked with the hub because there was nothing to send; its wake queues the socket for
 * a turn. One that ends while the wake is on its way is gone, and dropped when that has
 * come. Our Close is sent once, and then the client's is waited for.
 *
 * Each turn reads and sends a bounded amount, and a socket that takes no more is left
 * until the kernel says that it does: a stalled client costs the others nothing. The
 * descriptors are registered once, edge-triggered. Deadlines are the ticker's
 * (conn.h), which shuts a late connection down, and that is an edge as well.
 *
 * Only the pump's thread touches a socket, but for the fields that pump->lock guards.
 */
#include "httpd/pump.h"

#include "base/clock.h"
#include "base/log.h"
#include "httpd/conn.h"
#include "httpd/stream.h"
#include "httpd/websocket.h"
#include "httpd/wsframe.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define EPOLL_BATCH 256
/* What one turn may do. */
#define SEND_ROUNDS 8
#define RECEIVE_ROUNDS 4
#define RECEIVE_BYTES 4096
/* What clients say has no meaning, so it may be short. */
#define MESSAGE_MAX 4096
/* How long the client's answer to our Close is waited for; and while the daemon stops,
 * also that the client takes what comes before it. */
#define CLOSE_NS (3 * KV_NS_PER_S)

struct kv_socket {
    struct kv_watcher *watcher;
    struct MHD_UpgradeResponseHandle *handle;
    int fd;
    struct kv_list_node node;  /* pump->all */
    struct kv_list_node ready; /* pump->lock: in pump->ready, or in a turn's list */
    bool woken;                /* pump->lock: the hub gave it back */
    bool added, awake, gone, readable;
    bool close_due, close_sent, close_got;
    unsigned code;       /* of our Close */
    const char *reason;  /* static */
    int64_t asked_ns;    /* monotonic: a ping was sent, and nothing has come since; 0 */
    struct kv_buf extra; /* what the library had read */
    struct kv_ws_parser parser;
    bool pong_due; /* for the newest ping: section 5.5.3 */
    unsigned char pong_len;
    unsigned char pong[KV_WS_CONTROL_MAX];
};

struct kv_pump {
    int epoll, wakeup;
    pthread_t thread;
    bool started, stopping;
    struct kv_list_node all;
    pthread_mutex_t lock;
    struct kv_list_node ready; /* lock: those that want a turn */
    bool stop;                 /* lock: nobody comes any more */
};

static struct kv_pump *pump_of(const struct kv_socket *socket)
{
    return socket->watcher->request->http->pump;
}

static struct kv_conn *conn_of(const struct kv_socket *socket)
{
    return kv_request_conn(socket->watcher->request);
}

/* It must have sent what there is within ns; 0: there is nothing. While the daemon
 * stops each has the time that begin_stop gave it, and no more. */
static void set_deadline(struct kv_socket *socket, int64_t ns)
{
    if (!pump_of(socket)->stopping)
        kv_conn_deadline(conn_of(socket), ns);
}

/* -- Turns -- */

static void poke(struct kv_pump *pump)
{
    uint64_t one = 1;
    /* EAGAIN: the counter is full, so the thread is awake. */
    if (write(pump->wakeup, &one, sizeof(one)) < 0 && errno != EAGAIN)
        kv_error("cannot wake the thread of the WebSockets: %s", kv_strerror(-errno));
}

/* Have a turn, if it does not wait for one already. */
static void queue(struct kv_pump *pump, struct kv_socket *socket, bool woken)
{
    kv_lock(&pump->lock);
    bool first = kv_list_empty(&pump->ready);
    socket->woken |= woken;
    if (kv_list_empty(&socket->ready))
        kv_list_push_back(&pump->ready, &socket->ready);
    kv_unlock(&pump->lock);
    if (first)
        poke(pump);
}

/* kv_watcher.wake */
static void wake(struct kv_watcher *watcher)
{
    queue(pump_of(watcher->socket), watcher->socket, true);
}

/* -- The end of a socket -- */

static void free_socket(struct kv_socket *socket)
{
    kv_buf_done(&socket->extra);
    kv_ws_parser_done(&socket->parser);
    free(socket);
}

/* Give it back to the library, which closes it and ends the request. While the hub's
 * wake is on its way it has to wait for that. */
static void drop(struct kv_socket *socket)
{
    struct kv_pump *pump = pump_of(socket);
    if (socket->added && epoll_ctl(pump->epoll, EPOLL_CTL_DEL, socket->fd, NULL))
        kv_error("cannot let go of a WebSocket: %s", kv_strerror(-errno));
    socket->added = false;
    socket->gone = !socket->awake && !kv_hub_unpark(socket->watcher);
    if (socket->gone)
        return;
    kv_lock(&pump->lock);
    kv_list_remove(&socket->ready);
    kv_unlock(&pump->lock);
    kv_list_remove(&socket->node);
    struct MHD_UpgradeResponseHandle *handle = socket->handle;
    free_socket(socket);
    if (MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE) != MHD_YES)
        kv_error("the HTTP library does not take a WebSocket back");
}

/* Say Close as soon as what is in out was sent. The first reason counts. */
static void begin_close(struct kv_socket *socket, unsigned code, const char *reason)
{
    if (socket->close_due || socket->close_sent)
        return;
    socket->close_due = true;
    socket->code = code;
    socket->reason = reason;
}

/* The daemon waits for everybody, but for nobody long: not for one that does not take
 * what was begun for it, either. */
static void begin_stop(struct kv_socket *socket)
{
    begin_close(socket, KV_WS_GOING_AWAY, "the daemon is stopping");
    kv_conn_deadline(conn_of(socket), CLOSE_NS);
}

/* The stream cannot go on, which was said in it, and for programs here. */
static void end_stream(struct kv_socket *socket)
{
    switch (socket->watcher->ended) {
    case -ESTALE:
        begin_close(socket, KV_WS_COMPACTED, "compacted");
        return;
    case -EACCES:
        begin_close(socket, KV_WS_UNAUTHORIZED, "the token does not hold any more");
        return;
    default:
        begin_close(socket, KV_WS_INTERNAL_ERROR, "failed");
    }
}

/* Both sides have said it: nothing is left but to close. */
static bool is_closed(const struct kv_socket *socket)
{
    return socket->close_got && socket->close_sent && socket->watcher->out.len == 0;
}

/* -- Receiving -- */

static void take(struct kv_socket *socket, const char *bytes, size_t len)
{
    struct kv_ws_parser *parser = &socket->parser;
    enum kv_ws_got got;
    while ((got = kv_ws_parse(parser, &bytes, &len)) != KV_WS_GOT_NOTHING) {
        switch (got) {
        case KV_WS_GOT_PING:
            socket->pong_due = true;
            socket->pong_len = parser->control_len;
            memcpy(socket->pong, parser->control, parser->control_len);
            break;
        case KV_WS_GOT_CLOSE:
            socket->close_got = true;
            begin_close(socket, parser->code, "");
            break;
        case KV_WS_GOT_ERROR:
            begin_close(socket, parser->code, parser->reason);
            break;
        case KV_WS_GOT_NOTHING:
        case KV_WS_GOT_MESSAGE: /* there is nothing to be said to a stream */
        case KV_WS_GOT_PONG:
            break;
        }
    }
}

/* False: the client is gone. */
static bool receive(struct kv_socket *socket)
{
    char bytes[RECEIVE_BYTES];
    for (unsigned round = 0; round < RECEIVE_ROUNDS && socket->readable; round++) {
        ssize_t len = recv(socket->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0 && errno == EAGAIN) {
            socket->readable = false;
            return true;
        }
        if (len <= 0)
            return false;
        socket->asked_ns = 0;
        take(socket, bytes, (size_t)len);
    }
    return true;
}

/* -- Sending -- */

/* Read the feed; with nothing to send, park. */
static void read_or_park(struct kv_socket *socket)
{
    struct kv_watcher *watcher = socket->watcher;
    if (kv_stream_read(watcher) || watcher->out.len > 0 || watcher->ended)
        return;
    if (kv_stream_heartbeat(watcher)) {
        if (!socket->asked_ns)
            socket->asked_ns = kv_clock_monotonic_ns();
        return;
    }
    socket->awake = false;
    kv_hub_park(watcher);
}

/* A client that is there answers pings. */
static bool is_silent(const struct kv_socket *socket)
{
    return socket->asked_ns && kv_clock_monotonic_ns() - socket->asked_ns >
                                   socket->watcher->request->http->idle_timeout_ns;
}

/* Put the next frames into out, which is empty. False: there is nothing to do. */
static bool next_frames(struct kv_socket *socket)
{
    struct kv_watcher *watcher = socket->watcher;
    struct kv_http *http = watcher->request->http;
    if (socket->close_sent)
        return false;
    if (socket->pong_due) {
        socket->pong_due = false;
        kv_ws_add(&watcher->out, KV_WS_PONG, socket->pong, socket->pong_len);
    } else if (socket->close_due) {
        socket->close_sent = true;
        kv_ws_add_close(&watcher->out, socket->code, socket->reason);
        set_deadline(socket, CLOSE_NS);
        return true;
    } else if (watcher->ended) {
        end_stream(socket);
    } else if (socket->awake) {
        read_or_park(socket);
    } else {
        return false;
    }
    /* Who does not take what is there is cut, and resumes from its last id. */
    if (watcher->out.len > 0)
        set_deadline(socket, kv_http_transfer_ns(http, watcher->out.len));
    return true;
}

/* Send what is in out. 0: all of it; -EAGAIN: the client takes no more now; or an
 * error. */
static int send_out(struct kv_socket *socket)
{
    struct kv_watcher *watcher = socket->watcher;
    while (watcher->sent < watcher->out.len) {
        ssize_t len =
            send(socket->fd, watcher->out.data + watcher->sent,
                 watcher->out.len - watcher->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (len >= 0)
            watcher->sent += (size_t)len;
        else if (errno != EINTR)
            return -errno;
    }
    kv_stream_sent(watcher);
    if (!socket->close_sent)
        set_deadline(socket, 0);
    return 0;
}

/* True: there may be more to send. False: not now; or *ret_end. */
static bool send_some(struct kv_socket *socket, bool *ret_end)
{
    struct kv_watcher *watcher = socket->watcher;
    *ret_end = false;
    for (unsigned round = 0; round < SEND_ROUNDS; round++) {
        if (watcher->out.len == 0 && !next_frames(socket))
            return false;
        int err = watcher->out.failed ? -ENOMEM : send_out(socket);
        *ret_end = (err && err != -EAGAIN) || is_closed(socket);
        if (err || *ret_end)
            return false;
    }
    return true;
}

/* -- The thread -- */

static bool add(struct kv_socket *socket)
{
    struct kv_pump *pump = pump_of(socket);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = socket};
    kv_list_push_back(&pump->all, &socket->node);
    if (epoll_ctl(pump->epoll, EPOLL_CTL_ADD, socket->fd, &event)) {
        kv_error("cannot watch over a WebSocket: %s", kv_strerror(-errno));
        return false;
    }
    socket->added = socket->readable = true;
    take(socket, socket->extra.data, socket->extra.len);
    kv_buf_done(&socket->extra);
    if (pump->stopping)
        begin_stop(socket);
    return true;
}

/* One turn. */
static void serve(struct kv_socket *socket)
{
    bool end = false, again = false;
    if (socket->gone) {
        if (socket->awake)
            drop(socket);
        return;
    }
    if (!socket->added)
        end = !add(socket);
    end = end || !receive(socket) || is_closed(socket) || is_silent(socket);
    if (!end)
        again = send_some(socket, &end);
    if (end)
        drop(socket);
    else if (again || socket->readable)
        queue(pump_of(socket), socket, false);
}

static void serve_ready(struct kv_pump *pump)
{
    struct kv_list_node turns;
    kv_list_init(&turns);
    kv_lock(&pump->lock);
    kv_list_splice_back(&turns, &pump->ready);
    kv_unlock(&pump->lock);
    while (!kv_list_empty(&turns)) {
        struct kv_socket *socket = KV_CONTAINER_OF(turns.next, struct kv_socket, ready);
        kv_lock(&pump->lock);
        kv_list_remove(&socket->ready);
        socket->awake |= socket->woken;
        socket->woken = false;
        kv_unlock(&pump->lock);
        serve(socket);
    }
}

static void serve_event(struct kv_pump *pump, const struct epoll_event *event)
{
    if (event->data.ptr == pump) {
        uint64_t count;
        if (read(pump->wakeup, &count, sizeof(count)) < 0 && errno != EAGAIN)
            kv_error("cannot read an eventfd: %s", kv_strerror(-errno));
        return;
    }
    struct kv_socket *socket = event->data.ptr;
    socket->readable |= event->events != EPOLLOUT;
    serve(socket);
}

/* Whether the thread may end; the first time it is asked to, it says so to all. */
static bool may_end(struct kv_pump *pump)
{
    kv_lock(&pump->lock);
    bool stop = pump->stop, idle = kv_list_empty(&pump->ready);
    kv_unlock(&pump->lock);
    if (stop && !pump->stopping) {
        pump->stopping = true;
        KV_LIST_FOREACH(it, &pump->all)
        {
            struct kv_socket *socket = KV_CONTAINER_OF(it, struct kv_socket, node);
            begin_stop(socket);
            serve(socket);
        }
    }
    return stop && idle && kv_list_empty(&pump->all);
}

static void *pump_main(void *arg)
{
    struct kv_pump *pump = arg;
    while (!may_end(pump)) {
        struct epoll_event events[EPOLL_BATCH];
        int count = epoll_wait(pump->epoll, events, EPOLL_BATCH, -1);
        for (int i = 0; i < count; i++)
            serve_event(pump, &events[i]);
        serve_ready(pump);
    }
    return NULL;
}

/* -- From outside -- */

void kv_pump_add(struct kv_watcher *watcher, int fd,
                 struct MHD_UpgradeResponseHandle *handle, const char *extra,
                 size_t extra_len)
{
    struct kv_pump *pump = watcher->request->http->pump;
    struct kv_socket *socket = calloc(1, sizeof(*socket));
    bool taken = false;
    if (socket) {
        *socket = (struct kv_socket){.watcher = watcher, .handle = handle, .fd = fd};
        socket->parser.message_max = MESSAGE_MAX;
        socket->woken = true;
        kv_list_init(&socket->node);
        kv_list_init(&socket->ready);
        kv_buf_add(&socket->extra, extra, extra_len);
        watcher->socket = socket;
        watcher->wake = wake;
        kv_lock(&pump->lock);
        taken = !pump->stop && !socket->extra.failed;
        if (taken)
            kv_list_push_back(&pump->ready, &socket->ready);
        kv_unlock(&pump->lock);
    }
    if (taken) {
        poke(pump);
        return;
    }
    if (socket)
        free_socket(socket);
    (void)MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
}

struct kv_pump *kv_pump_new(void)
{
    struct kv_pump *pump = calloc(1, sizeof(*pump));
    if (!pump)
        return NULL;
    pump->epoll = pump->wakeup = -1;
    kv_list_init(&pump->all);
    kv_list_init(&pump->ready);
    pthread_mutex_init(&pump->lock, NULL);
    return pump;
}

int kv_pump_start(struct kv_pump *pump)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = pump};
    pump->epoll = epoll_create1(EPOLL_CLOEXEC);
    pump->wakeup = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (pump->epoll < 0 || pump->wakeup < 0 ||
        epoll_ctl(pump->epoll, EPOLL_CTL_ADD, pump->wakeup, &event))
        return -errno;
    int err = pthread_create(&pump->thread, NULL, pump_main, pump);
    if (err)
        return -err;
    pump->started = true;
    (void)pthread_setname_np(pump->thread, "kv-http-socket");
    return 0;
}

void kv_pump_stop(struct kv_pump *pump)
{
    kv_lock(&pump->lock);
    pump->stop = true;
    kv_unlock(&pump->lock);
    if (!pump->started)
        return;
    poke(pump);
    (void)pthread_join(pump->thread, NULL);
    pump->started = false;
}

void kv_pump_free(struct kv_pump *pump)
{
    if (!pump)
        return;
    assert(!pump->started && kv_list_empty(&pump->all));
    if (pump->epoll >= 0)
        (void)close(pump->epoll);
    if (pump->wakeup >= 0)
        (void)close(pump->wakeup);
    (void)pthread_mutex_destroy(&pump->lock);
    free(pump);
}
