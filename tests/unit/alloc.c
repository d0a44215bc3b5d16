/* The linker sends each allocation of the program's own objects and static libraries to
 * __wrap_NAME (ld's --wrap), and __real_NAME is the allocator's, or the sanitizer's. */
#include "alloc.h"

#include <errno.h>
#include <stddef.h>

static _Thread_local unsigned countdown; /* 0: nothing fails */
static _Thread_local bool for_ever;
static _Thread_local bool failed;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t count, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t count, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);

void kv_alloc_fail_nth(unsigned nth)
{
    countdown = nth;
    for_ever = false;
    failed = false;
}

void kv_alloc_fail_all(void)
{
    kv_alloc_fail_nth(1);
    for_ever = true;
}

bool kv_alloc_fail_stop(void)
{
    countdown = 0;
    return failed;
}

static bool fails(void)
{
    if (countdown == 0)
        return false;
    if (countdown > 1) {
        countdown--;
        return false;
    }
    if (!for_ever)
        countdown = 0;
    failed = true;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : __real_realloc(old, size);
}

void *__wrap_reallocarray(void *old, size_t count, size_t size)
{
    return fails() ? NULL : __real_reallocarray(old, count, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fails() ? NULL : __real_aligned_alloc(alignment, size);
}
