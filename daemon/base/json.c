/* JSON text, written by hand. */
#include "base/json.h"

#include "base/base64.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* What must not stand in a literal as it is: RFC 8259 section 7. */
static bool needs_escape(unsigned char c)
{
    return c < ' ' || c == '"' || c == '\\';
}

/* By hand, because a value of control characters calls this for every byte. */
static void add_hex(struct kv_buf *out, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    const char text[] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15]};
    kv_buf_add(out, text, sizeof(text));
}

static void add_escaped(struct kv_buf *out, unsigned char c)
{
    switch (c) {
    case '"':
        kv_buf_adds(out, "\\\"");
        break;
    case '\\':
        kv_buf_adds(out, "\\\\");
        break;
    case '\n':
        kv_buf_adds(out, "\\n");
        break;
    case '\r':
        kv_buf_adds(out, "\\r");
        break;
    case '\t':
        kv_buf_adds(out, "\\t");
        break;
    default:
        add_hex(out, c);
        break;
    }
}

void kv_json_string(struct kv_buf *out, const void *data, size_t len)
{
    const unsigned char *in = data;
    size_t start = 0; /* of what stands for itself and is not written yet */
    kv_buf_addc(out, '"');
    for (size_t i = 0; i < len;) {
        size_t size = in[i] < 0x80 ? 1 : kv_utf8_next(in + i, len - i);
        if (size > 0 && !needs_escape(in[i])) {
            i += size;
            continue;
        }
        kv_buf_add(out, in + start, i - start);
        if (size == 0)
            kv_buf_adds(out, REPLACEMENT);
        else
            add_escaped(out, in[i]);
        start = ++i;
    }
    if (len > start)
        kv_buf_add(out, in + start, len - start);
    kv_buf_addc(out, '"');
}

void kv_json_bytes(struct kv_buf *out, const char *name, const void *data, size_t len)
{
    kv_json_string(out, name, strlen(name));
    kv_buf_addc(out, ':');
    if (kv_utf8_valid(data, len)) {
        kv_json_string(out, data, len);
        return;
    }
    kv_buf_addc(out, '"');
    kv_base64_encode(out, data, len);
    kv_buf_adds(out, "\",\"");
    if (strcmp(name, "value") != 0)
        kv_buf_addf(out, "%s_", name);
    kv_buf_adds(out, "encoding\":\"base64\"");
}

void kv_json_u64(struct kv_buf *out, uint64_t number)
{
    kv_buf_addf(out, "%" PRIu64, number);
}
