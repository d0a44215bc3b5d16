/* The generic cell rate algorithm: of each address there is the moment at which all its
 * failures will be forgotten; each failure moves it on by one interval. */
#include "httpd/failures.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/hash.h"

/* An address can be in any row of its set; within a set the oldest makes way. */
#define SETS 256
#define ROWS 4
/* From when on being refused again is news. */
#define NEWS_NS (60 * KV_NS_PER_S)

struct row {
    uint64_t address;
    int64_t clean_ns;   /* when all is forgotten; long ago: a free row */
    int64_t refused_ns; /* the last one that was not forgiven */
};

struct kv_failures {
    pthread_mutex_t lock;
    struct row rows[SETS][ROWS]; /* lock */
};

struct kv_failures *kv_failures_new(void)
{
    struct kv_failures *failures = calloc(1, sizeof(*failures));
    if (failures)
        pthread_mutex_init(&failures->lock, NULL);
    return failures;
}

void kv_failures_free(struct kv_failures *failures)
{
    if (!failures)
        return;
    pthread_mutex_destroy(&failures->lock);
    free(failures);
}

static struct row *find_locked(struct kv_failures *failures, uint64_t address,
                               int64_t now_ns)
{
    struct row *set = failures->rows[kv_hash(&address, sizeof(address)) % SETS];
    struct row *oldest = set;
    for (size_t i = 0; i < ROWS; i++) {
        if (set[i].address == address && set[i].clean_ns > 0)
            return &set[i];
        if (set[i].clean_ns < oldest->clean_ns)
            oldest = &set[i];
    }
    *oldest = (struct row){.address = address, .clean_ns = now_ns};
    return oldest;
}

unsigned kv_failures_add(struct kv_failures *failures, uint64_t address, int64_t now_ns,
                         bool *ret_begins)
{
    const int64_t most_ns = KV_FAILURES_FREE * KV_FAILURES_INTERVAL_NS;
    KV_SCOPED_LOCK(&failures->lock);
    struct row *row = find_locked(failures, address, now_ns);
    if (row->clean_ns < now_ns)
        row->clean_ns = now_ns;
    int64_t over_ns = row->clean_ns + KV_FAILURES_INTERVAL_NS - now_ns - most_ns;
    *ret_begins = false;
    if (over_ns <= 0) {
        row->clean_ns += KV_FAILURES_INTERVAL_NS;
        return 0;
    }
    *ret_begins = row->refused_ns == 0 || now_ns - row->refused_ns > NEWS_NS;
    row->refused_ns = now_ns;
    return (unsigned)((over_ns + KV_NS_PER_S - 1) / KV_NS_PER_S);
}
