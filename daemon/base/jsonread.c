/* A recursive descent over JSON text that keeps nothing: values are found again each
 * time by skipping what is before them, which is cheap for answers of a few members. */
#include "base/jsonread.h"

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEPTH_MAX 32

/* Where a scan stands. */
struct scan {
    const char *p, *end;
};

static void skip_blanks(struct scan *s)
{
    while (s->p < s->end && memchr(" \t\r\n", *s->p, 4))
        s->p++;
}

static bool skip_char(struct scan *s, char c)
{
    if (s->p == s->end || *s->p != c)
        return false;
    s->p++;
    return true;
}

static bool skip_literal(struct scan *s, const char *literal)
{
    size_t len = strlen(literal);
    if ((size_t)(s->end - s->p) < len || memcmp(s->p, literal, len) != 0)
        return false;
    s->p += len;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool skip_hex4(struct scan *s)
{
    for (int i = 0; i < 4; i++, s->p++)
        if (s->p == s->end || hex_digit(*s->p) < 0)
            return false;
    return true;
}

static bool skip_string(struct scan *s)
{
    if (!skip_char(s, '"'))
        return false;
    while (s->p < s->end) {
        char c = *s->p++;
        if (c == '"')
            return true;
        if ((unsigned char)c < ' ')
            return false;
        if (c != '\\')
            continue;
        if (s->p == s->end || !memchr("\"\\/bfnrtu", *s->p, 9))
            return false;
        if (*s->p++ == 'u' && !skip_hex4(s))
            return false;
    }
    return false;
}

static bool skip_digits(struct scan *s)
{
    const char *start = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > start;
}

static bool skip_number(struct scan *s)
{
    skip_char(s, '-');
    if (!skip_char(s, '0') && !skip_digits(s))
        return false;
    if (skip_char(s, '.') && !skip_digits(s))
        return false;
    if (skip_char(s, 'e') || skip_char(s, 'E')) {
        if (!skip_char(s, '+'))
            skip_char(s, '-');
        return skip_digits(s);
    }
    return true;
}

static bool skip_value(struct scan *s, unsigned depth);

/* What is between the brackets of an array or an object, and the closing one. */
static bool skip_elements(struct scan *s, char close, unsigned depth)
{
    skip_blanks(s);
    if (skip_char(s, close))
        return true;
    do {
        skip_blanks(s);
        if (close == '}') {
            if (!skip_string(s))
                return false;
            skip_blanks(s);
            if (!skip_char(s, ':'))
                return false;
        }
        if (!skip_value(s, depth + 1))
            return false;
        skip_blanks(s);
    } while (skip_char(s, ','));
    return skip_char(s, close);
}

static bool skip_value(struct scan *s, unsigned depth)
{
    skip_blanks(s);
    if (s->p == s->end || depth > DEPTH_MAX)
        return false;
    switch (*s->p) {
    case '{':
        s->p++;
        return skip_elements(s, '}', depth);
    case '[':
        s->p++;
        return skip_elements(s, ']', depth);
    case '"':
        return skip_string(s);
    case 't':
        return skip_literal(s, "true");
    case 'f':
        return skip_literal(s, "false");
    case 'n':
        return skip_literal(s, "null");
    default:
        return skip_number(s);
    }
}

/* The value that begins at s, which moves behind it. */
static bool take_value(struct scan *s, struct kv_span *ret)
{
    skip_blanks(s);
    const char *start = s->p;
    if (!skip_value(s, 0))
        return false;
    *ret = (struct kv_span){start, (size_t)(s->p - start)};
    return true;
}

int kv_json_read(const void *text, size_t len, struct kv_span *ret)
{
    struct scan s = {text, (const char *)text + len};
    struct kv_span value;
    if (!kv_utf8_valid(text, len) || !take_value(&s, &value))
        return -EINVAL;
    skip_blanks(&s);
    if (s.p != s.end)
        return -EINVAL;
    *ret = value;
    return 0;
}

bool kv_json_next(struct kv_span container, size_t *offset, struct kv_span *ret_name,
                  struct kv_span *ret_value)
{
    if (container.len < 2 || (*container.data != '{' && *container.data != '['))
        return false;
    struct scan s = {container.data + (*offset ? *offset : 1),
                     container.data + container.len - 1};
    struct kv_span name = {NULL, 0};
    skip_blanks(&s);
    skip_char(&s, ',');
    skip_blanks(&s);
    if (s.p == s.end)
        return false;
    if (*container.data == '{') {
        if (!take_value(&s, &name))
            return false;
        skip_blanks(&s);
        skip_char(&s, ':');
    }
    if (!take_value(&s, ret_value))
        return false;
    if (ret_name)
        *ret_name = name;
    *offset = (size_t)(s.p - container.data);
    return true;
}

/* Member names that kvfsd writes need no escapes. */
static bool name_is(struct kv_span string, const char *name)
{
    size_t len = strlen(name);
    return string.len == len + 2 && memcmp(string.data + 1, name, len) == 0;
}

int kv_json_member(struct kv_span object, const char *name, struct kv_span *ret)
{
    struct kv_span member, value;
    if (object.len == 0 || *object.data != '{')
        return -ENOENT;
    for (size_t offset = 0; kv_json_next(object, &offset, &member, &value);)
        if (name_is(member, name)) {
            *ret = value;
            return 0;
        }
    return -ENOENT;
}

static uint32_t hex4(const char *p)
{
    uint32_t code = 0;
    for (int i = 0; i < 4; i++)
        code = code << 4 | (uint32_t)hex_digit(p[i]);
    return code;
}

static void add_utf8(struct kv_buf *out, uint32_t code)
{
    if (code < 0x80) {
        kv_buf_addc(out, (char)code);
        return;
    }
    if (code < 0x800) {
        kv_buf_addc(out, (char)(0xc0 | code >> 6));
    } else {
        if (code < 0x10000) {
            kv_buf_addc(out, (char)(0xe0 | code >> 12));
        } else {
            kv_buf_addc(out, (char)(0xf0 | code >> 18));
            kv_buf_addc(out, (char)(0x80 | (code >> 12 & 0x3f)));
        }
        kv_buf_addc(out, (char)(0x80 | (code >> 6 & 0x3f)));
    }
    kv_buf_addc(out, (char)(0x80 | (code & 0x3f)));
}

/* What is behind "\u" at p; returns how many bytes of it were used. */
static size_t add_escaped(struct kv_buf *out, const char *p, const char *end)
{
    uint32_t code = hex4(p);
    size_t used = 4;
    if (code >= 0xd800 && code < 0xdc00 && end - p >= 10 && p[4] == '\\' &&
        p[5] == 'u') {
        uint32_t low = hex4(p + 6);
        if (low >= 0xdc00 && low < 0xe000) {
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
            used = 10;
        }
    }
    add_utf8(out, code >= 0xd800 && code < 0xe000 ? 0xfffd : code);
    return used;
}

int kv_json_text(struct kv_span value, struct kv_buf *out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (value.len < 2 || *value.data != '"')
        return -EINVAL;
    const char *p = value.data + 1, *end = value.data + value.len - 1;
    while (p < end) {
        const char *escape = memchr(p, '\\', (size_t)(end - p));
        const char *stop = escape ? escape : end;
        kv_buf_add(out, p, (size_t)(stop - p));
        p = stop;
        if (!escape)
            break;
        const char *simple = strchr(from, p[1]);
        p += 2;
        if (simple)
            kv_buf_addc(out, to[simple - from]);
        else
            p += add_escaped(out, p, end);
    }
    return 0;
}

int kv_json_number(struct kv_span value, uint64_t *ret)
{
    uint64_t number = 0;
    for (size_t i = 0; i < value.len; i++) {
        char c = value.data[i];
        if (c < '0' || c > '9')
            return -EINVAL;
        if (__builtin_mul_overflow(number, (uint64_t)10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(c - '0'), &number))
            return -ERANGE;
    }
    if (value.len == 0)
        return -EINVAL;
    *ret = number;
    return 0;
}

bool kv_json_is(struct kv_span value, const char *literal)
{
    return value.len == strlen(literal) && memcmp(value.data, literal, value.len) == 0;
}

int kv_json_member_number(struct kv_span object, const char *name, uint64_t *ret)
{
    struct kv_span value;
    int err = kv_json_member(object, name, &value);
    return err ? err : kv_json_number(value, ret);
}

int kv_json_member_bytes(struct kv_span object, const char *name, struct kv_buf *out)
{
    struct kv_span value, encoding;
    int err = kv_json_member(object, name, &value);
    if (err)
        return err;
    char encoding_name[64] = "encoding";
    if (strcmp(name, "value") != 0)
        (void)snprintf(encoding_name, sizeof(encoding_name), "%s_encoding", name);
    if (kv_json_member(object, encoding_name, &encoding) != 0)
        return kv_json_text(value, out);
    if (!kv_json_is(encoding, "\"base64\"") || value.len < 2 || *value.data != '"')
        return -EINVAL;
    return kv_base64_decode(out, value.data + 1, value.len - 2);
}
