/* The registry of connections. Library threads add and remove, the ticker walks. */
#include "httpd/conn.h"

#include "base/clock.h"
#include "base/hash.h"
#include "httpd/auth.h"

#include <string.h>
#include <sys/socket.h>

#define BUCKETS 1024

struct kv_conns {
    struct kv_conns_limits limits;
    pthread_mutex_t lock;
    struct kv_list_node all; /* lock */
    struct kv_list_node
        buckets[BUCKETS]; /* lock: those not from loopback, by address */
    unsigned count;       /* lock */
};

/* Good to some milliseconds and without a system call. */
static int64_t coarse_now_ns(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
    return kv_timespec_ns(ts);
}

struct kv_conns *kv_conns_new(const struct kv_conns_limits *limits)
{
    struct kv_conns *conns = calloc(1, sizeof(*conns));
    if (!conns)
        return NULL;
    conns->limits = *limits;
    kv_list_init(&conns->all);
    for (size_t i = 0; i < BUCKETS; i++)
        kv_list_init(&conns->buckets[i]);
    pthread_mutex_init(&conns->lock, NULL);
    return conns;
}

void kv_conns_free(struct kv_conns *conns)
{
    if (!conns)
        return;
    assert(kv_list_empty(&conns->all));
    pthread_mutex_destroy(&conns->lock);
    free(conns);
}

static void set_address(struct kv_conn *conn)
{
    const struct sockaddr *address =
        MHD_get_connection_info(conn->request.connection,
                                MHD_CONNECTION_INFO_CLIENT_ADDRESS)
            ->client_addr;
    conn->loopback = kv_address_is_loopback(address);
    kv_address_network(address, conn->network);
}

/* Count those of the same address. Linear in one bucket, which the limit itself keeps
 * short, and done once for each connection. */
static unsigned add_to_bucket_locked(struct kv_conns *conns, struct kv_conn *conn)
{
    struct kv_list_node *bucket =
        &conns->buckets[kv_hash(conn->network, sizeof(conn->network)) % BUCKETS];
    unsigned count = 1;
    KV_LIST_FOREACH(it, bucket)
    {
        const struct kv_conn *other = KV_CONTAINER_OF(it, struct kv_conn, bucket);
        count += memcmp(other->network, conn->network, sizeof(conn->network)) == 0;
    }
    kv_list_push_back(bucket, &conn->bucket);
    return count;
}

struct kv_conn *kv_conn_started(struct kv_http *http, struct MHD_Connection *connection,
                                bool local)
{
    struct kv_conns *conns = http->conns;
    struct kv_conn *conn = calloc(1, sizeof(*conn));
    if (!conn)
        return NULL;
    conn->local = local;
    conn->fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)
                   ->connect_fd;
    conn->request.http = http;
    conn->request.connection = connection;
    if (local)
        conn->loopback = true;
    else
        set_address(conn);
    kv_list_init(&conn->bucket);
    kv_conn_deadline(conn, http->header_timeout_ns);
    KV_SCOPED_LOCK(&conns->lock);
    kv_list_push_back(&conns->all, &conn->node);
    conn->crowded = ++conns->count > conns->limits.connections;
    if (!conn->loopback &&
        add_to_bucket_locked(conns, conn) > conns->limits.per_address)
        conn->crowded = true;
    return conn;
}

void kv_conn_closed(struct kv_conn *conn)
{
    if (!conn)
        return;
    struct kv_conns *conns = conn->request.http->conns;
    kv_lock(&conns->lock);
    kv_list_remove(&conn->node);
    kv_list_remove(&conn->bucket);
    conns->count--;
    kv_unlock(&conns->lock);
    kv_request_reset(&conn->request);
    kv_buf_done(&conn->request.target);
    free(conn);
}

void kv_conn_deadline(struct kv_conn *conn, int64_t ns)
{
    atomic_store_explicit(&conn->deadline_ns, ns ? coarse_now_ns() + ns : 0,
                          memory_order_relaxed);
}

void kv_conn_deadline_since(struct kv_conn *conn, int64_t start_ns, int64_t ns)
{
    int64_t left = start_ns + ns - kv_clock_monotonic_ns();
    kv_conn_deadline(conn, left > 0 ? left : 1); /* 0 would be none */
}

unsigned kv_conns_tick(struct kv_conns *conns)
{
    int64_t now = coarse_now_ns();
    unsigned late = 0;
    KV_SCOPED_LOCK(&conns->lock);
    KV_LIST_FOREACH(it, &conns->all)
    {
        struct kv_conn *conn = KV_CONTAINER_OF(it, struct kv_conn, node);
        int64_t deadline =
            atomic_load_explicit(&conn->deadline_ns, memory_order_relaxed);
        if (deadline == 0 || deadline > now)
            continue;
        /* shutdown(2) does not block. ENOTCONN: the client was quicker. */
        (void)shutdown(conn->fd, SHUT_RDWR);
        atomic_store_explicit(&conn->deadline_ns, 0, memory_order_relaxed);
        late++;
    }
    return late;
}

unsigned kv_conns_count(struct kv_conns *conns)
{
    KV_SCOPED_LOCK(&conns->lock);
    return conns->count;
}
