#include "value.h"

#include <string.h>

enum { BLOCK = 32, NUMBER = 16 };

static const char digits[] = "0123456789abcdef";

/* The lowest digit first, so that even one byte says something about the number. */
static void spell(uint64_t number, char *out)
{
    for (int i = 0; i < NUMBER; i++, number >>= 4)
        out[i] = digits[number & 15];
}

static uint64_t mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

size_t value_length(uint64_t sequence)
{
    uint64_t random = mix(sequence) >> 8;
    switch (mix(sequence) & 15) {
    case 0:
        return 1;
    case 1:
        return VALUE_MAX;
    case 2:
    case 3:
        return 1 + random % VALUE_MAX;
    case 4:
    case 5:
    case 6:
        return 1 + random % (64 * 1024);
    case 7:
    case 8:
    case 9:
    case 10:
        return 1 + random % 4096;
    default:
        return 1 + random % 100;
    }
}

size_t value_make(uint64_t sequence, char *buf)
{
    size_t len = value_length(sequence);
    char block[BLOCK];
    spell(sequence, block);
    for (size_t at = 0; at < len; at += BLOCK) {
        spell(at / BLOCK, block + NUMBER);
        block[BLOCK - 1] = '\n';
        memcpy(buf + at, block, len - at < BLOCK ? len - at : BLOCK);
    }
    return len;
}

static int is_value_of(const char *bytes, size_t len, uint64_t sequence)
{
    static _Thread_local char expected[VALUE_MAX];
    return len == value_length(sequence) && value_make(sequence, expected) == len &&
           memcmp(bytes, expected, len) == 0;
}

int64_t value_check(const char *bytes, size_t len, uint64_t low, uint64_t high)
{
    if (len >= NUMBER) {
        uint64_t sequence = 0;
        for (int i = NUMBER - 1; i >= 0; i--) {
            const char *digit = memchr(digits, bytes[i], 16);
            if (digit == NULL)
                return -1;
            sequence = sequence << 4 | (uint64_t)(digit - digits);
        }
        low = low > sequence ? low : sequence;
        high = high < sequence ? high : sequence;
    }
    for (uint64_t sequence = low; sequence <= high; sequence++)
        if (is_value_of(bytes, len, sequence))
            return (int64_t)sequence;
    return -1;
}
