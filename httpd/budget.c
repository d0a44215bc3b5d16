/* The budget of memory for answers: a sum behind a lock, which no other is taken
 * under. */
#include "httpd/budget.h"

#include "base/cleanup.h"

#include <assert.h>

int kv_budget_init(struct kv_budget *budget)
{
    return -pthread_mutex_init(&budget->lock, NULL);
}

void kv_budget_done(struct kv_budget *budget)
{
    assert(budget->used == 0);
    (void)pthread_mutex_destroy(&budget->lock);
}

bool kv_budget_take(struct kv_budget *budget, uint64_t bytes)
{
    KV_SCOPED_LOCK(&budget->lock);
    if (bytes > budget->max - budget->used) {
        budget->refused++;
        return false;
    }
    budget->used += bytes;
    return true;
}

void kv_budget_give(struct kv_budget *budget, uint64_t bytes)
{
    KV_SCOPED_LOCK(&budget->lock);
    assert(budget->used >= bytes);
    budget->used -= bytes;
}

struct kv_budget_figures kv_budget_figures(struct kv_budget *budget)
{
    KV_SCOPED_LOCK(&budget->lock);
    return (struct kv_budget_figures){budget->used, budget->max, budget->refused};
}
