#ifndef KV_HTTPD_LOAN_H
#define KV_HTTPD_LOAN_H

/* Large records that answers are sent from. Each version is lent once, however many
 * answers read it and whether or not the cache has room for it, and counts in the
 * budget from its first reader to its last. Any thread. */

#include "base/list.h"
#include "httpd/budget.h"
#include "store/record.h"

struct kv_loans;

struct kv_loans *kv_loans_new(struct kv_budget *budget); /* NULL: no memory */
void kv_loans_free(struct kv_loans *loans); /* all must have ended; NULL is allowed */

struct kv_loan {
    struct kv_record *record; /* good until the loan ends */
    /* The rest is loan.c's. */
    struct kv_loans *loans;
    struct kv_list_node node;
    unsigned readers;
};

/* Borrow a version for one answer: the record given, or one of the same version that is
 * lent already. Each begin wants an end. 0, -ENOBUFS: the budget has no room; -ENOMEM.
 */
int kv_loan_begin(struct kv_loans *loans, struct kv_record *record,
                  struct kv_loan **ret);
void kv_loan_end(struct kv_loan *loan);

/* The version that a bare record tells of, if it is lent: a reference, or NULL. */
struct kv_record *kv_loans_find(struct kv_loans *loans, const struct kv_record *bare);

#endif
