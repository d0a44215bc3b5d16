#ifndef KV_TESTS_UNIT_HISTORY_H
#define KV_TESTS_UNIT_HISTORY_H

/* Commits that follow from their number alone, so that what a table must hold behind
 * the nth can be said without having watched it: each puts and deletes a few rows in
 * any of the tables, and counts itself. A table that lost or tore a commit, or holds
 * one that never was, is none of them. Keys are prefixes of one another and have bytes
 * above 127; rows whose second byte is an ASCII letter are not the history's. */

#include "store/table.h"

#include <stdint.h>

/* Put the changes of the nth commit into a write view. Negative errno. */
int history_apply(struct kv_view *view, uint64_t n);

/* The same in a view of its own, committed. */
int history_commit(struct kv_table *table, uint64_t n);

/* NULL when the view shows exactly what some commit left, by gets and by walks in both
 * directions: *ret is its number. Otherwise what is wrong. */
const char *history_check(struct kv_view *view, uint64_t *ret);

/* The same of what a new view shows. */
const char *history_check_table(struct kv_table *table, uint64_t *ret);

#endif
