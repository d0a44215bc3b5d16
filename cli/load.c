/* A value begins with the number of its key and of the put that wrote it, and goes on
 * with bytes that follow from these two: so any mixture of two values, or a value cut
 * short, is found out. What was acknowledged is written down for each key before the
 * next operation begins; who gets a key looks there first, and must not find anything
 * older. */
#include "load.h"

#include "interrupt.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* Keys in one directory of the load: fewer than what a recursive removal takes at once.
 */
#define KEYS_IN_DIR 10000
#define GETS_FOR_A_PUT 9
#define LOOK_MS 100 /* how often the main process looks */

/* What a client is told to do. */
struct order {
    enum kv_load_kind kind;
    int64_t until_ns; /* monotonic */
};

/* What the main process sees of a client. */
struct seen {
    atomic_uint_fast64_t operations;
    /* Valid when it has answered the order: */
    struct kv_latency latency;
    int status;
    char message[512], hint[256];
};

/* Memory of all processes. */
struct shared {
    atomic_bool stop;
    atomic_uint_fast64_t *acknowledged; /* of each key, the number of its last put */
    struct seen clients[];
};

/* A client, in its process. */
struct client {
    const struct kv_load_config *config;
    struct shared *shared;
    struct seen *seen;
    struct kv_access *access;
    uint64_t number;
    uint64_t random; /* state of its generator */
    char *value;     /* to put, or what a get should have brought */
    struct kv_buf got;
    struct kv_fault fault;
};

struct kv_load {
    struct kv_load_config config;
    struct shared *shared;
    size_t shared_bytes;
    struct pollfd *sockets; /* to each client; -1: there is none */
    pid_t *pids;
};

/* -- Values -- */

/* One step of splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number
 * generators, 2014). */
static uint64_t next_random(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void make_value(char *value, uint64_t size, uint64_t key, uint64_t put)
{
    uint64_t head[2] = {key, put}, state = key ^ (put << 32), word = 0;
    memcpy(value, head, sizeof(head));
    for (uint64_t at = sizeof(head); at < size; at += sizeof(word)) {
        word = next_random(&state);
        memcpy(value + at, &word, size - at < sizeof(word) ? size - at : sizeof(word));
    }
}

static void name_key(const struct client *client, uint64_t key, struct kv_buf *ret)
{
    kv_buf_addf(ret, "%s/%03" PRIu64 "/%08" PRIu64, client->config->dir,
                key / KEYS_IN_DIR, key);
    kv_buf_addc(ret, '\0');
}

/* -- One operation -- */

static int put(struct client *client, uint64_t key)
{
    uint64_t size = client->config->size;
    KV_CLEANUP(kv_buf_done) struct kv_buf name = {0};
    struct kv_source source;
    const struct kv_put_options options = {0};
    struct kv_written written = {0};
    uint64_t number = atomic_load(&client->shared->acknowledged[key]) + 1;
    name_key(client, key, &name);
    if (kv_buf_error(&name))
        return kv_fault_no_memory(&client->fault);
    make_value(client->value, size, key, number);
    kv_source_bytes(&source, client->value, size);
    int status = client->access->ops->put(client->access, name.data, &source, &options,
                                          &written, &client->fault);
    if (!status)
        atomic_store(&client->shared->acknowledged[key], number);
    return status;
}

static int on_data(void *ctx, const void *data, size_t len)
{
    struct client *client = ctx;
    if (client->got.len + len <= client->config->size + 1)
        kv_buf_add(&client->got, data, len);
    else /* too long, which one byte more shows as well */
        kv_buf_addc(&client->got, '\0');
    return kv_buf_error(&client->got) ? kv_fault_no_memory(&client->fault) : 0;
}

/* Whether what was got is a value of the key, put as number `from` or later. */
static bool is_right(struct client *client, uint64_t key, uint64_t from)
{
    uint64_t size = client->config->size, head[2];
    if (client->got.len != size)
        return false;
    memcpy(head, client->got.data, sizeof(head));
    if (head[0] != key || head[1] < from)
        return false;
    make_value(client->value, size, key, head[1]);
    return memcmp(client->got.data, client->value, size) == 0;
}

static int get(struct client *client, uint64_t key)
{
    const struct kv_receiver receiver = {NULL, on_data, client, NULL};
    KV_CLEANUP(kv_buf_done) struct kv_buf name = {0};
    uint64_t from = atomic_load(&client->shared->acknowledged[key]);
    name_key(client, key, &name);
    if (kv_buf_error(&name))
        return kv_fault_no_memory(&client->fault);
    client->got.len = 0;
    int status =
        client->access->ops->get(client->access, name.data, &receiver, &client->fault);
    if (status || is_right(client, key, from))
        return status;
    return kv_fault_set(&client->fault, KV_EXIT_LOCAL, name.data,
                        "what was got is not what was put");
}

/* -- A client -- */

static bool is_pass(enum kv_load_kind kind)
{
    return kind == KV_LOAD_FILL || kind == KV_LOAD_CHECK;
}

/* One of the keys that this client writes: those that leave its number when they are
 * divided by the number of clients. */
static uint64_t own_key(const struct client *client, uint64_t nth)
{
    return nth * client->config->clients + client->number;
}

static uint64_t count_own(const struct client *client)
{
    const struct kv_load_config *config = client->config;
    return (config->keys - client->number + config->clients - 1) / config->clients;
}

static bool goes_on(const struct client *client, const struct order *order,
                    uint64_t nth)
{
    if (atomic_load(&client->shared->stop))
        return false;
    return is_pass(order->kind) ? nth < count_own(client)
                                : kv_clock_monotonic_ns() < order->until_ns;
}

static int operate(struct client *client, enum kv_load_kind kind, uint64_t nth)
{
    if (kind == KV_LOAD_FILL)
        return put(client, own_key(client, nth));
    if (kind == KV_LOAD_CHECK)
        return get(client, own_key(client, nth));
    bool puts = kind == KV_LOAD_PUT ||
                (kind == KV_LOAD_MIXED && nth % (GETS_FOR_A_PUT + 1) == 0);
    uint64_t random = next_random(&client->random);
    return puts ? put(client, own_key(client, random % count_own(client)))
                : get(client, random % client->config->keys);
}

static void carry_out(struct client *client, const struct order *order)
{
    struct seen *seen = client->seen;
    seen->latency = (struct kv_latency){0};
    seen->status = 0;
    for (uint64_t nth = 0; goes_on(client, order, nth); nth++) {
        int64_t began_ns = kv_clock_monotonic_ns();
        seen->status = operate(client, order->kind, nth);
        if (seen->status)
            break;
        kv_latency_add(&seen->latency, (uint64_t)(kv_clock_monotonic_ns() - began_ns));
        atomic_fetch_add(&seen->operations, 1);
    }
}

/* The fault, where the main process finds it; the others end, too. */
static void tell_fault(struct client *client)
{
    const struct kv_fault *fault = &client->fault;
    (void)snprintf(client->seen->message, sizeof(client->seen->message), "%.*s",
                   (int)fault->message.len, fault->message.data);
    (void)snprintf(client->seen->hint, sizeof(client->seen->hint), "%.*s",
                   (int)fault->hint.len, fault->hint.len ? fault->hint.data : "");
    atomic_store(&client->shared->stop, true);
}

/* Orders come and are answered, until there is nobody who gives them. */
static void serve(struct client *client, int socket)
{
    struct order order;
    int opened =
        client->config->open(client->config->open_ctx, &client->access, &client->fault);
    client->value = malloc(client->config->size);
    if (!client->value)
        opened = kv_fault_no_memory(&client->fault);
    while (recv(socket, &order, sizeof(order), 0) == (ssize_t)sizeof(order)) {
        if (opened)
            client->seen->status = opened;
        else
            carry_out(client, &order);
        if (client->seen->status)
            tell_fault(client);
        if (send(socket, "", 1, MSG_NOSIGNAL) < 0)
            return;
    }
}

/* Ctrl-C is for the main process, without which there is no client. */
static void be_client(struct kv_load *load, unsigned number, int socket, pid_t parent)
{
    struct client client = {
        .config = &load->config,
        .shared = load->shared,
        .seen = &load->shared->clients[number],
        .number = number,
        .random = number,
    };
    for (unsigned i = 0; i < number; i++) /* nor would the others */
        kv_close(&load->sockets[i].fd);
    (void)signal(SIGINT, SIG_IGN);
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && getppid() == parent)
        serve(&client, socket);
    _exit(0);
}

/* -- All of them -- */

static int start_client(struct kv_load *load, unsigned number)
{
    int pair[2];
    pid_t parent = getpid();
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(pair[0]); /* or it would never see its end */
        be_client(load, number, pair[1], parent);
    }
    int err = pid < 0 ? -errno : 0;
    (void)close(pair[1]);
    if (err) {
        (void)close(pair[0]);
        return err;
    }
    load->pids[number] = pid;
    load->sockets[number] = (struct pollfd){.fd = pair[0], .events = POLLIN};
    return 0;
}

static uint64_t count_operations(const struct kv_load *load)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < load->config.clients; i++)
        count += atomic_load(&load->shared->clients[i].operations);
    return count;
}

static void show(const struct kv_load *load, const struct order *order,
                 int64_t began_ns, struct kv_progress *progress)
{
    char text[48];
    double operations = (double)count_operations(load);
    double passed_ns = (double)(kv_clock_monotonic_ns() - began_ns);
    double part = is_pass(order->kind)
                      ? operations / (double)load->config.keys
                      : passed_ns / (double)(order->until_ns - began_ns);
    (void)snprintf(text, sizeof(text), "%.0f a second",
                   operations * (double)KV_NS_PER_S / passed_ns);
    kv_progress_show(progress, part, text);
}

/* Take the answers that have come; how many. One that is gone has failed. */
static unsigned take_answers(struct kv_load *load, struct pollfd *waiting)
{
    unsigned count = 0;
    for (unsigned i = 0; i < load->config.clients; i++) {
        char answer;
        if (waiting[i].fd < 0 || !waiting[i].revents)
            continue;
        if (recv(waiting[i].fd, &answer, 1, 0) != 1) {
            struct seen *seen = &load->shared->clients[i];
            seen->status = KV_EXIT_LOCAL;
            (void)snprintf(seen->message, sizeof(seen->message),
                           "a client was ended by somebody");
            atomic_store(&load->shared->stop, true);
        }
        waiting[i].fd = -1; /* poll(2) leaves it out */
        count++;
    }
    return count;
}

/* Until all have answered; true when Ctrl-C ended them. */
static int await(struct kv_load *load, const struct order *order, int64_t began_ns,
                 struct kv_progress *progress, bool *ret_interrupted)
{
    size_t bytes = load->config.clients * sizeof(struct pollfd);
    KV_CLEANUP(kv_free) struct pollfd *waiting = malloc(bytes);
    if (!waiting)
        return -ENOMEM;
    memcpy(waiting, load->sockets, bytes);
    for (unsigned left = load->config.clients; left;) {
        int count = poll(waiting, load->config.clients, LOOK_MS);
        if (count > 0)
            left -= take_answers(load, waiting);
        if (count < 0 && errno != EINTR)
            return -errno;
        if (kv_interrupt_state() == KV_INTERRUPT_USER) {
            *ret_interrupted = true;
            atomic_store(&load->shared->stop, true);
        }
        show(load, order, began_ns, progress);
    }
    return 0;
}

static int give(struct kv_load *load, const struct order *order)
{
    atomic_store(&load->shared->stop, false);
    for (unsigned i = 0; i < load->config.clients; i++) {
        atomic_store(&load->shared->clients[i].operations, 0);
        if (send(load->sockets[i].fd, order, sizeof(*order), MSG_NOSIGNAL) < 0)
            return -errno;
    }
    return 0;
}

/* What they did; the fault of the first of them that failed. */
static int collect(struct kv_load *load, struct kv_load_result *ret,
                   struct kv_fault *fault)
{
    int status = 0;
    for (unsigned i = 0; i < load->config.clients; i++) {
        const struct seen *seen = &load->shared->clients[i];
        kv_latency_merge(&ret->latency, &seen->latency);
        if (!seen->status || status)
            continue;
        status = seen->status;
        kv_fault_set(fault, (enum kv_exit)status, NULL, "%s", seen->message);
        if (*seen->hint)
            kv_fault_hint(fault, "%s", seen->hint);
    }
    return status;
}

int kv_load_run(struct kv_load *load, enum kv_load_kind kind, int64_t duration_ns,
                struct kv_progress *progress, struct kv_load_result *ret,
                struct kv_fault *fault)
{
    int64_t began_ns = kv_clock_monotonic_ns();
    struct order order = {kind, began_ns + duration_ns};
    *ret = (struct kv_load_result){0};
    int err = give(load, &order);
    if (!err)
        err = await(load, &order, began_ns, progress, &ret->interrupted);
    ret->elapsed_ns = kv_clock_monotonic_ns() - began_ns;
    kv_progress_end(progress);
    if (err)
        return kv_fault_set(fault, KV_EXIT_LOCAL, NULL, "cannot run the clients: %s",
                            strerror(-err));
    return collect(load, ret, fault);
}

/* In parts, because there is a limit to what goes at once. */
int kv_load_clear(const struct kv_load *load, struct kv_access *access,
                  struct kv_fault *fault)
{
    struct kv_written written;
    uint64_t dirs = (load->config.keys + KEYS_IN_DIR - 1) / KEYS_IN_DIR;
    int status = 0;
    for (uint64_t i = 0; i <= dirs && !status; i++) {
        KV_CLEANUP(kv_buf_done) struct kv_buf name = {0};
        kv_buf_adds(&name, load->config.dir);
        if (i < dirs)
            kv_buf_addf(&name, "/%03" PRIu64, i);
        kv_buf_addc(&name, '\0');
        if (kv_buf_error(&name))
            return kv_fault_no_memory(fault);
        status = access->ops->remove(access, name.data, true, &written, fault);
        if (status == KV_EXIT_NOT_FOUND) {
            kv_fault_done(fault);
            *fault = (struct kv_fault){0};
            status = 0;
        }
    }
    return status;
}

/* -- From beginning to end -- */

/* One mapping: the clients, and behind them a number for each key. */
static int share(struct kv_load *load)
{
    size_t head = sizeof(struct shared) + load->config.clients * sizeof(struct seen);
    load->shared_bytes =
        head + (size_t)load->config.keys * sizeof(*load->shared->acknowledged);
    void *memory = mmap(NULL, load->shared_bytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return -errno;
    load->shared = memory;
    load->shared->acknowledged = (void *)((char *)memory + head);
    return 0;
}

KV_DEFINE_CLEANUP(struct kv_load, kv_load_free)

int kv_load_new(const struct kv_load_config *config, struct kv_load **ret,
                struct kv_fault *fault)
{
    KV_CLEANUP(kv_load_freep) struct kv_load *load = calloc(1, sizeof(*load));
    if (!load)
        return kv_fault_no_memory(fault);
    load->config = *config;
    load->pids = calloc(config->clients, sizeof(*load->pids));
    load->sockets = calloc(config->clients, sizeof(*load->sockets));
    if (!load->pids || !load->sockets)
        return kv_fault_no_memory(fault);
    for (unsigned i = 0; i < config->clients; i++)
        load->sockets[i].fd = -1;
    int err = share(load);
    for (unsigned i = 0; i < config->clients && !err; i++)
        err = start_client(load, i);
    if (err)
        return kv_fault_set(fault, KV_EXIT_LOCAL, NULL, "cannot start the clients: %s",
                            strerror(-err));
    *ret = KV_STEAL(load);
    return 0;
}

/* A client ends when its socket does. */
void kv_load_free(struct kv_load *load)
{
    if (!load)
        return;
    for (unsigned i = 0; load->sockets && i < load->config.clients; i++)
        kv_close(&load->sockets[i].fd);
    for (unsigned i = 0; load->pids && i < load->config.clients; i++)
        while (load->pids[i] && waitpid(load->pids[i], NULL, 0) < 0 && errno == EINTR)
            continue;
    if (load->shared)
        (void)munmap(load->shared, load->shared_bytes); /* ours */
    free(load->sockets);
    free(load->pids);
    free(load);
}
