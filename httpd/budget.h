#ifndef KV_HTTPD_BUDGET_H
#define KV_HTTPD_BUDGET_H

/* How much memory all answers under way may hold together. A slow reader keeps its
 * answer in memory until the last byte is with the kernel, so without a bound as many
 * of them as there are connections could hold any amount.
 *
 * What counts: values over KV_BUDGET_FREE_BYTES, each version once however many read
 * it; other answers over that size, each for itself; and the frames that wait for slow
 * watchers. Smaller answers are bounded by the number of connections, as is the
 * library's own memory for each. Any thread. */

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* Answers up to this size are not counted. */
#define KV_BUDGET_FREE_BYTES (16 * 1024)

struct kv_budget {
    pthread_mutex_t lock;
    uint64_t used, refused; /* lock */
    uint64_t max;           /* set before the first take */
};

/* 0 or a negative errno. */
int kv_budget_init(struct kv_budget *budget);
void kv_budget_done(
    struct kv_budget *budget); /* everything must have been given back */

/* Take bytes; false: they do not fit, and the refusal is counted. */
bool kv_budget_take(struct kv_budget *budget, uint64_t bytes);
void kv_budget_give(struct kv_budget *budget, uint64_t bytes);

struct kv_budget_figures {
    uint64_t used, max, refused;
};

struct kv_budget_figures kv_budget_figures(struct kv_budget *budget);

#endif
