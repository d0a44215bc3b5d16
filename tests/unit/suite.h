#ifndef KV_TESTS_UNIT_SUITE_H
#define KV_TESTS_UNIT_SUITE_H

/* The frame of a unit test program:
 *
 *     START_TEST(lru_evicts_the_oldest)
 *     ...
 *     END_TEST
 *
 *     KV_SUITE("lru", lru_evicts_the_oldest, ...)
 *
 * What libcheck prints and whether it forks is up to its environment variables
 * (CK_VERBOSITY, CK_TAP_LOG_FILE_NAME, CK_FORK), which meson.build sets. */

#include <check.h>

#include <stddef.h>
#include <stdlib.h>

/* Enough for a sanitizer build on a busy machine; only a hang takes so long. */
#define KV_SUITE_TIMEOUT_S 120

/* setup and teardown run around each test; NULL: nothing does. */
static inline int kv_suite_run(const char *name, const TTest *const *tests,
                               size_t count, void (*setup)(void),
                               void (*teardown)(void))
{
    Suite *suite = suite_create(name);
    TCase *tcase = tcase_create(name);
    tcase_set_timeout(tcase, KV_SUITE_TIMEOUT_S);
    if (setup || teardown)
        tcase_add_checked_fixture(tcase, setup, teardown);
    for (size_t i = 0; i < count; i++)
        tcase_add_test(tcase, tests[i]);
    suite_add_tcase(suite, tcase);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define KV_SUITE_WITH(name, setup, teardown, ...)                                      \
    int main(void)                                                                     \
    {                                                                                  \
        const TTest *const tests[] = {__VA_ARGS__};                                    \
        return kv_suite_run(name, tests, sizeof(tests) / sizeof(*tests), setup,        \
                            teardown);                                                 \
    }

#define KV_SUITE(name, ...) KV_SUITE_WITH(name, NULL, NULL, __VA_ARGS__)

/* Fail unless the bytes are those of a string literal. */
#define ck_assert_bytes(data, len, literal)                                            \
    do {                                                                               \
        ck_assert_uint_eq((len), sizeof(literal) - 1);                                 \
        if (sizeof(literal) > 1)                                                       \
            ck_assert_mem_eq((data), literal, sizeof(literal) - 1);                    \
    } while (0)

/* A literal as (pointer, length). */
#define KV_LIT(literal) (literal), (sizeof(literal) - 1)

#endif
