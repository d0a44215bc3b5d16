/* Counters: a value that is a decimal number of 64 bits with a sign, as people write it
 * into a file: digits, perhaps a '-' before them and one line end behind, which stays.
 * Anything else is not a number, so that nobody counts in what is none by mistake. */
#include "store/apply.h"

#include <errno.h>
#include <inttypes.h>

/* Digits with a sign. -EDOM: something else; -ERANGE: more than 64 bits. */
static int parse(const char *text, size_t len, int64_t *ret)
{
    bool negative = len > 0 && text[0] == '-';
    int64_t number = 0;
    if (len == negative)
        return -EDOM;
    for (size_t i = negative; i < len; i++)
        if (text[i] < '0' || text[i] > '9')
            return -EDOM;
    for (size_t i = negative; i < len; i++) {
        int digit = text[i] - '0';
        if (__builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, negative ? -digit : digit, &number))
            return -ERANGE;
    }
    *ret = number;
    return 0;
}

int kv_apply_incr(struct kv_batch *batch, uint32_t origin, struct kv_op *op)
{
    struct kv_found found;
    int64_t number = 0;
    bool line = false;
    int err = kv_apply_find(batch, op->key, op->key_len, &found);
    if (err)
        return err;
    if (found.exists && !S_ISREG(found.row.meta.mode))
        return S_ISDIR(found.row.meta.mode) ? -EISDIR : -ELOOP;
    if (found.exists) {
        const char *text = found.row.value;
        size_t len = found.row.meta.size;
        line = len > 0 && text[len - 1] == '\n';
        err = parse(text, len - line, &number);
    }
    if (!err && __builtin_add_overflow(number, op->by, &number))
        err = -ERANGE;
    if (err)
        return err;
    kv_buf_reset(&op->value);
    kv_buf_addf(&op->value, "%" PRId64 "%s", number, line ? "\n" : "");
    op->number = number;
    err = kv_buf_error(&op->value);
    return err ? err : kv_apply_put(batch, origin, op);
}
