/* Well-formed UTF-8, by the table of RFC 3629 section 4: what the second byte may be
 * depends on the first, the others are 80..BF. */
#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

static bool is_tail(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Whether `second` may follow `first`. */
static bool may_follow(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xe0: /* otherwise overlong */
        return second >= 0xa0 && second <= 0xbf;
    case 0xed: /* otherwise a surrogate */
        return second >= 0x80 && second <= 0x9f;
    case 0xf0: /* otherwise overlong */
        return second >= 0x90 && second <= 0xbf;
    case 0xf4: /* otherwise above U+10FFFF */
        return second >= 0x80 && second <= 0x8f;
    default:
        return is_tail(second);
    }
}

size_t kv_utf8_next(const void *data, size_t len)
{
    const unsigned char *bytes = data;
    if (len == 0)
        return 0;
    unsigned char first = bytes[0];
    if (first < 0x80)
        return 1;
    size_t size;
    if (first >= 0xc2 && first <= 0xdf)
        size = 2;
    else if (first >= 0xe0 && first <= 0xef)
        size = 3;
    else if (first >= 0xf0 && first <= 0xf4)
        size = 4;
    else
        return 0;
    if (len < size || !may_follow(first, bytes[1]))
        return 0;
    for (size_t i = 2; i < size; i++)
        if (!is_tail(bytes[i]))
            return 0;
    return size;
}

bool kv_utf8_valid(const void *data, size_t len)
{
    const unsigned char *bytes = data;
    size_t i = 0;
    while (i < len) {
        /* Most text is ASCII: eight bytes at a time while it lasts. */
        uint64_t word;
        if (len - i >= sizeof(word)) {
            memcpy(&word, bytes + i, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof(word);
                continue;
            }
        }
        size_t size = kv_utf8_next(bytes + i, len - i);
        if (size == 0)
            return false;
        i += size;
    }
    return true;
}
