#ifndef KV_TESTS_UNIT_ALLOC_H
#define KV_TESTS_UNIT_ALLOC_H

/* Allocations that fail on demand, in what a test program links (alloc_dep in
 * meson.build). To walk through every allocation of an operation:
 *
 *     for (unsigned nth = 1;; nth++) {
 *         kv_alloc_fail_nth(nth);
 *         int err = operation();
 *         if (!kv_alloc_fail_stop())
 *             break;                          // it made fewer: this time it succeeded
 *         ck_assert_int_eq(err, -ENOMEM);
 *     }
 *
 * Each thread has its own state. */

#include <stdbool.h>

/* Let this thread's nth allocation from now on fail (1: the next one), once. */
void kv_alloc_fail_nth(unsigned nth);

/* Let this thread's allocations fail from the next one on. */
void kv_alloc_fail_all(void);

/* Back to normal; whether one failed since. */
bool kv_alloc_fail_stop(void);

#endif
