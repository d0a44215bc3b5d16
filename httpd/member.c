/* The members of JSON objects that clients send. */
#include "httpd/member.h"

#include "base/base64.h"
#include "base/clock.h"
#include "httpd/field.h"

#include <errno.h>
#include <string.h>

/* Names are compared as written: no client escapes letters. */
static bool is_named(struct kv_span name, const char *text)
{
    size_t len = strlen(text);
    return name.len == len + 2 && memcmp(name.data + 1, text, len) == 0;
}

static int put_member(const char *const *names, struct kv_span name,
                      struct kv_span value, struct kv_span *ret, struct kv_buf *rule)
{
    for (size_t i = 0; names[i]; i++) {
        if (!is_named(name, names[i]))
            continue;
        if (ret[i].data) {
            kv_buf_addf(rule, "'%s' is given twice", names[i]);
            return -EINVAL;
        }
        ret[i] = value;
        return 0;
    }
    int shown = name.len < 66 ? (int)name.len - 2 : 64;
    kv_buf_addf(rule, "'%.*s': there is no such member here", shown, name.data + 1);
    return -EINVAL;
}

int kv_members(struct kv_span object, const char *const *names, struct kv_span *ret,
               struct kv_buf *rule)
{
    if (object.len == 0 || *object.data != '{') {
        kv_buf_adds(rule, "must be a JSON object");
        return -EINVAL;
    }
    for (size_t i = 0; names[i]; i++)
        ret[i] = (struct kv_span){0};
    struct kv_span name, value;
    size_t offset = 0;
    while (kv_json_next(object, &offset, &name, &value)) {
        int err = put_member(names, name, value, ret, rule);
        if (err)
            return err;
    }
    return 0;
}

static bool is_string(struct kv_span value)
{
    return value.len >= 2 && *value.data == '"';
}

/* Half of a surrogate pair alone stands for no character, and would be lost. */
static bool has_lone_surrogate(struct kv_span string)
{
    const char *p = string.data, *end = p + string.len;
    while ((p = memchr(p, '\\', (size_t)(end - p)))) {
        if (p[1] != 'u') {
            p += 2;
            continue;
        }
        bool half = (p[2] == 'd' || p[2] == 'D') && strchr("89abAB", p[3]);
        bool second = (p[2] == 'd' || p[2] == 'D') && strchr("cdefCDEF", p[3]);
        bool pair = half && end - p > 12 && p[6] == '\\' && p[7] == 'u' &&
                    (p[8] == 'd' || p[8] == 'D') && strchr("cdefCDEF", p[9]);
        if (second || (half && !pair))
            return true;
        p += pair ? 12 : 6;
    }
    return false;
}

int kv_member_bytes(const char *name, struct kv_span value, struct kv_span encoding,
                    struct kv_buf *out, struct kv_buf *rule)
{
    bool base64 = kv_json_is(encoding, "\"base64\"");
    if (!is_string(value)) {
        kv_buf_addf(rule, "'%s' must be a string", name);
    } else if (encoding.data && !base64 && !kv_json_is(encoding, "\"utf-8\"")) {
        kv_buf_addf(rule, "the encoding of '%s' must be \"base64\" or \"utf-8\"", name);
    } else if (base64) {
        if (kv_base64_decode(out, value.data + 1, value.len - 2) != -EINVAL)
            return 0;
        kv_buf_addf(rule, "'%s' is not base64", name);
    } else if (has_lone_surrogate(value)) {
        kv_buf_addf(rule,
                    "'%s' holds half of a surrogate pair; bytes that are not UTF-8 "
                    "travel as base64",
                    name);
    } else {
        return kv_json_text(value, out);
    }
    return -EINVAL;
}

/* The digits of a number or of a string. */
static struct kv_span digits_of(struct kv_span value)
{
    if (is_string(value))
        return (struct kv_span){value.data + 1, value.len - 2};
    return value;
}

int kv_member_u64(const char *name, struct kv_span value, uint64_t *ret,
                  struct kv_buf *rule)
{
    struct kv_span digits = digits_of(value);
    if (kv_u64_parse(digits.data, digits.len, ret) == 0)
        return 0;
    kv_buf_addf(rule, "'%s' must be a whole number of at most 64 bits", name);
    return -EINVAL;
}

int kv_member_i64(const char *name, struct kv_span value, int64_t *ret,
                  struct kv_buf *rule)
{
    struct kv_span digits = digits_of(value);
    if (kv_i64_parse(digits.data, digits.len, ret) == 0)
        return 0;
    kv_buf_addf(rule, "'%s' must be a whole number that fits 64 bits with its sign",
                name);
    return -EINVAL;
}

int kv_member_bool(const char *name, struct kv_span value, bool *ret,
                   struct kv_buf *rule)
{
    *ret = kv_json_is(value, "true");
    if (*ret || kv_json_is(value, "false"))
        return 0;
    kv_buf_addf(rule, "'%s' must be true or false", name);
    return -EINVAL;
}

int kv_member_ttl(const char *name, struct kv_span value, int64_t *ret_expiry_ns,
                  struct kv_buf *rule)
{
    struct kv_span text = digits_of(value);
    int64_t ttl_ns;
    if (kv_duration_parse(text.data, text.len, &ttl_ns)) {
        kv_buf_addf(rule,
                    "'%s' must be a number with a unit, \"500ms\", \"60s\", \"5m\", "
                    "\"2h\", \"7d\", of at most 100 years",
                    name);
        return -EINVAL;
    }
    *ret_expiry_ns = kv_clock_realtime_ns() + ttl_ns;
    return 0;
}
