#ifndef KV_TESTS_UNIT_TABLE_FIXTURE_H
#define KV_TESTS_UNIT_TABLE_FIXTURE_H

/* A table in a temporary directory with one write view, for tests of what lies on it.
 */

#include "store_fixture.h"

#include "store/table.h"

static char *table_dir;
static struct kv_table *table;
static struct kv_view *view;

static inline void table_setup(void)
{
    table_dir = temp_dir_make();
    ck_assert_int_eq(kv_table_open(table_dir, 64u << 20, KV_SYNC_OFF, &table), 0);
    ck_assert_int_eq(kv_view_write(table, &view), 0);
}

static inline void table_teardown(void)
{
    kv_view_end(view);
    kv_table_close(table);
    temp_dir_remove(table_dir);
}

/* Commit what the view holds and go on with a new one. */
static inline void table_commit(void)
{
    ck_assert_int_eq(kv_view_commit(view), 0);
    ck_assert_int_eq(kv_view_write(table, &view), 0);
}

/* Put bytes that no function of the store would write. */
static inline void table_put_raw(enum kv_db db, struct kv_slice key,
                                 struct kv_slice value)
{
    void *place;
    ck_assert_int_eq(kv_view_put(view, db, key, value.len, &place), 0);
    if (value.len > 0)
        memcpy(place, value.data, value.len);
}

#endif
