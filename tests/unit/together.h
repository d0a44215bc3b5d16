#ifndef TEST_TOGETHER_H
#define TEST_TOGETHER_H

/* Transactions that the committer takes as one batch, and waiting for many of them. */

#include "store_fixture.h"

/* Expect so many calls of many_count from done functions, and wait for them. */
void many_expect(size_t wanted);
void many_count(void);
void many_wait(void);

struct together {
    struct kv_txn *txns[64];
    size_t count;
};

/* Add a transaction; *error is set when it is done. */
struct kv_txn *add_noted(struct together *together, int *error);

/* Submit them from inside a done, so that all are one batch, and wait. */
void submit_together(struct together *together);

#endif
