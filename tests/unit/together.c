#include "together.h"

static struct many {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    size_t done, wanted;
} many = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};

void many_expect(size_t wanted)
{
    KV_SCOPED_LOCK(&many.lock);
    many.done = 0;
    many.wanted = wanted;
}

void many_count(void)
{
    KV_SCOPED_LOCK(&many.lock);
    many.done++;
    pthread_cond_broadcast(&many.moved);
}

void many_wait(void)
{
    KV_SCOPED_LOCK(&many.lock);
    while (many.done < many.wanted)
        pthread_cond_wait(&many.moved, &many.lock);
}

static void submit_all(struct kv_txn *txn, void *ctx)
{
    (void)txn;
    struct together *together = ctx;
    for (size_t i = 0; i < together->count; i++)
        kv_store_submit(store, together->txns[i]);
}

void submit_together(struct together *together)
{
    struct kv_txn *first;
    ck_assert_int_eq(kv_txn_new(KV_ORIGIN_HTTP, submit_all, together, &first), 0);
    many_expect(together->count);
    kv_store_submit(store, first);
    many_wait();
}

static void note_error(struct kv_txn *txn, void *ctx)
{
    *(int *)ctx = txn->error;
    many_count();
}

struct kv_txn *add_noted(struct together *together, int *error)
{
    struct kv_txn *txn;
    *error = 1;
    ck_assert_int_eq(kv_txn_new(KV_ORIGIN_HTTP, note_error, error, &txn), 0);
    return together->txns[together->count++] = txn;
}
