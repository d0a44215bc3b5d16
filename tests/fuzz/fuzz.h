#ifndef KV_TESTS_FUZZ_FUZZ_H
#define KV_TESTS_FUZZ_FUZZ_H

/* A fuzz target feeds whatever bytes it is given to a function that reads bytes of
 * strangers, and checks what its header promises. The sanitizers see the rest: reads
 * and writes outside, leaks, undefined arithmetic, endless loops. See tests/fuzz/run.
 */

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libFuzzer calls it for each input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(condition)                                                          \
    do {                                                                               \
        if (!(condition)) {                                                            \
            (void)fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__,     \
                          #condition);                                                 \
            abort();                                                                   \
        }                                                                              \
    } while (0)

/* Whether some bytes lie within others: nothing is handed out that was not given. */
static inline int fuzz_within(const void *inner, size_t inner_len, const void *outer,
                              size_t outer_len)
{
    uintptr_t from = (uintptr_t)inner, start = (uintptr_t)outer;
    return from >= start && inner_len <= outer_len &&
           from - start <= outer_len - inner_len;
}

/* A copy that ends where its memory ends, so that a byte too far is noticed. Freed by
 * the caller. */
static inline char *fuzz_copy(const void *data, size_t size)
{
    char *copy = malloc(size ? size : 1);
    FUZZ_CHECK(copy != NULL);
    if (size > 0)
        memcpy(copy, data, size);
    return copy;
}

/* Numbers from the front of the input; zeros when it is short. */
static inline uint64_t fuzz_u64(const uint8_t **data, size_t *size)
{
    uint64_t number = 0;
    size_t len = *size < sizeof(number) ? *size : sizeof(number);
    if (len > 0)
        memcpy(&number, *data, len);
    *data += len;
    *size -= len;
    return number;
}

#endif
