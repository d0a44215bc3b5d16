/* Strings of JSON, as the json module of Python's standard library escapes them. */
#include "httpd/dialects/pyjson.h"

#include "base/utf8.h"

#include <stdint.h>

#define CHARACTER_MAX 4 /* bytes of UTF-8 */

static void add_hex4(struct kv_buf *out, uint32_t unit)
{
    static const char digits[] = "0123456789abcdef";
    const char text[] = {'\\',
                         'u',
                         digits[unit >> 12 & 15],
                         digits[unit >> 8 & 15],
                         digits[unit >> 4 & 15],
                         digits[unit & 15]};
    kv_buf_add(out, text, sizeof(text));
}

/* The character of a well-formed sequence: RFC 3629 section 3. */
static uint32_t decode(const unsigned char *bytes, size_t size)
{
    static const unsigned char first_bits[CHARACTER_MAX + 1] = {0, 0x7f, 0x1f, 0x0f,
                                                                0x07};
    uint32_t code = bytes[0] & first_bits[size];
    for (size_t i = 1; i < size; i++)
        code = code << 6 | (bytes[i] & 0x3f);
    return code;
}

static void add_utf16(struct kv_buf *out, uint32_t code)
{
    if (code < 0x10000) {
        add_hex4(out, code);
        return;
    }
    code -= 0x10000;
    add_hex4(out, 0xd800 | code >> 10);
    add_hex4(out, 0xdc00 | (code & 0x3ff));
}

static bool stands_for_itself(enum kv_pyjson mode, unsigned char c)
{
    return c >= ' ' && c != '"' && c != '\\' && (mode == KV_PYJSON_UTF8 || c < 0x7f);
}

/* size 0: a byte that is no character. */
static void add_escaped(struct kv_buf *out, enum kv_pyjson mode,
                        const unsigned char *bytes, size_t size)
{
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    uint32_t code = size > 0 ? decode(bytes, size) : 0xfffd;
    for (size_t i = 0; i < sizeof(from) - 1; i++)
        if (code == (unsigned char)from[i]) {
            const char text[] = {'\\', to[i]};
            kv_buf_add(out, text, sizeof(text));
            return;
        }
    if (size == 0 && mode == KV_PYJSON_UTF8)
        kv_buf_adds(out, "\xef\xbf\xbd");
    else
        add_utf16(out, code);
}

size_t kv_pyjson_slice(struct kv_buf *out, enum kv_pyjson mode, const void *data,
                       size_t len, bool more)
{
    const unsigned char *in = data;
    size_t start = 0, i = 0; /* start: of what stands for itself and is not out yet */
    while (i < len) {
        size_t size = in[i] < 0x80 ? 1 : kv_utf8_next(in + i, len - i);
        if (size > 0 && stands_for_itself(mode, in[i])) {
            i += size;
            continue;
        }
        if (size == 0 && more && len - i < CHARACTER_MAX)
            break; /* it may be whole with the next slice */
        kv_buf_add(out, in + start, i - start);
        add_escaped(out, mode, in + i, size);
        i += size > 0 ? size : 1;
        start = i;
    }
    if (i > start)
        kv_buf_add(out, in + start, i - start);
    return i;
}

void kv_pyjson_string(struct kv_buf *out, enum kv_pyjson mode, const void *data,
                      size_t len)
{
    kv_buf_addc(out, '"');
    (void)kv_pyjson_slice(out, mode, data, len, false);
    kv_buf_addc(out, '"');
}
