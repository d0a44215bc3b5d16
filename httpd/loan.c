/* A hash table of the versions that are lent, by id and revision, which together name
 * one. The lock guards the table and the counts; the budget's is taken under it.
 * Records are freed outside, because they are large. */
#include "httpd/loan.h"

#include "base/hash.h"

#include <assert.h>
#include <errno.h>

#define BUCKETS 512

struct kv_loans {
    pthread_mutex_t lock;
    struct kv_budget *budget;
    struct kv_list_node buckets[BUCKETS]; /* lock */
};

struct kv_loans *kv_loans_new(struct kv_budget *budget)
{
    struct kv_loans *loans = calloc(1, sizeof(*loans));
    if (!loans)
        return NULL;
    if (pthread_mutex_init(&loans->lock, NULL)) {
        free(loans);
        return NULL;
    }
    loans->budget = budget;
    for (size_t i = 0; i < BUCKETS; i++)
        kv_list_init(&loans->buckets[i]);
    return loans;
}

void kv_loans_free(struct kv_loans *loans)
{
    if (!loans)
        return;
    for (size_t i = 0; i < BUCKETS; i++)
        assert(kv_list_empty(&loans->buckets[i]));
    (void)pthread_mutex_destroy(&loans->lock);
    free(loans);
}

static struct kv_list_node *bucket_of(struct kv_loans *loans,
                                      const struct kv_meta *meta)
{
    const uint64_t version[] = {meta->id, meta->mod_revision};
    return &loans->buckets[kv_hash(version, sizeof(version)) % BUCKETS];
}

static struct kv_loan *find_locked(struct kv_loans *loans, const struct kv_meta *meta)
{
    KV_LIST_FOREACH(it, bucket_of(loans, meta))
    {
        struct kv_loan *loan = KV_CONTAINER_OF(it, struct kv_loan, node);
        const struct kv_meta *lent = &loan->record->meta;
        if (lent->id == meta->id && lent->mod_revision == meta->mod_revision)
            return loan;
    }
    return NULL;
}

int kv_loan_begin(struct kv_loans *loans, struct kv_record *record,
                  struct kv_loan **ret)
{
    KV_SCOPED_LOCK(&loans->lock);
    struct kv_loan *loan = find_locked(loans, &record->meta);
    if (!loan) {
        loan = calloc(1, sizeof(*loan));
        if (!loan)
            return -ENOMEM;
        if (!kv_budget_take(loans->budget, kv_record_footprint(record))) {
            free(loan);
            return -ENOBUFS;
        }
        loan->loans = loans;
        loan->record = kv_record_ref(record);
        kv_list_push_back(bucket_of(loans, &record->meta), &loan->node);
    }
    loan->readers++;
    *ret = loan;
    return 0;
}

void kv_loan_end(struct kv_loan *loan)
{
    struct kv_loans *loans = loan->loans;
    kv_lock(&loans->lock);
    bool last = --loan->readers == 0;
    if (last)
        kv_list_remove(&loan->node);
    kv_unlock(&loans->lock);
    if (!last)
        return;
    size_t bytes = kv_record_footprint(loan->record);
    kv_record_unref(loan->record);
    kv_budget_give(loans->budget, bytes);
    free(loan);
}

struct kv_record *kv_loans_find(struct kv_loans *loans, const struct kv_record *bare)
{
    KV_SCOPED_LOCK(&loans->lock);
    struct kv_loan *loan = find_locked(loans, &bare->meta);
    return loan ? kv_record_ref(loan->record) : NULL;
}
