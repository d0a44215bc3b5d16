/* Base64, three bytes to four characters. */
#include "base/base64.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

static const char alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void kv_base64_encode(struct kv_buf *out, const void *data, size_t len)
{
    const unsigned char *in = data;
    size_t groups = len / 3 + (len % 3 != 0);
    size_t size;
    if (__builtin_mul_overflow(groups, (size_t)4, &size))
        size = SIZE_MAX; /* which no buffer holds */
    if (size == 0 || kv_buf_reserve(out, size))
        return;
    char *to = out->data + out->len;
    for (size_t i = 0; i < len; i += 3, to += 4) {
        size_t have = len - i < 3 ? len - i : 3;
        uint32_t bits = (uint32_t)in[i] << 16;
        if (have > 1)
            bits |= (uint32_t)in[i + 1] << 8;
        if (have > 2)
            bits |= in[i + 2];
        to[0] = alphabet[bits >> 18];
        to[1] = alphabet[bits >> 12 & 63];
        to[2] = have > 1 ? alphabet[bits >> 6 & 63] : '=';
        to[3] = have > 2 ? alphabet[bits & 63] : '=';
    }
    out->len += size;
}

/* The six bits of a character, or 64 when it is none of the alphabet. */
static uint32_t bits_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (uint32_t)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (uint32_t)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (uint32_t)(c - '0') + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : 64;
}

/* Decode four characters of which the last `pad` are '='. */
static int decode_group(const char *text, size_t pad, unsigned char *to)
{
    uint32_t bits = 0;
    for (size_t i = 0; i < 4; i++) {
        uint32_t six = i < 4 - pad ? bits_of(text[i]) : 0;
        if (six > 63)
            return -EINVAL;
        bits = bits << 6 | six;
    }
    /* Bits that encode nothing are zero, so that each text has one meaning and each
     * meaning one text. */
    if (bits & ((UINT32_C(1) << 8 * pad) - 1))
        return -EINVAL;
    for (size_t i = 0; i < 3 - pad; i++)
        to[i] = (unsigned char)(bits >> (16 - 8 * i));
    return 0;
}

int kv_base64_decode(struct kv_buf *out, const char *text, size_t len)
{
    if (len == 0)
        return kv_buf_error(out);
    if (len % 4 != 0)
        return -EINVAL;
    size_t pad = 0;
    while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
        pad++;
    size_t size = len / 4 * 3 - pad;
    int err = kv_buf_reserve(out, size);
    if (err)
        return err;
    unsigned char *to = (unsigned char *)out->data + out->len;
    for (size_t i = 0; i < len; i += 4, to += 3) {
        err = decode_group(text + i, i + 4 == len ? pad : 0, to);
        if (err)
            return err;
    }
    out->len += size;
    return 0;
}
