/* The small languages inside header fields and parameters. Pure functions. */
#include "httpd/field.h"

#include "base/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* -- Entity tags -- */

static void skip_blanks(const char **p, const char *end)
{
    while (*p < end && (**p == ' ' || **p == '\t'))
        (*p)++;
}

/* One tag at *p, which moves behind it. A tag that is not ours is skipped. */
static int parse_tag(const char **p, const char *end, struct kv_etags *tags)
{
    bool weak = end - *p >= 2 && (*p)[0] == 'W' && (*p)[1] == '/';
    if (weak)
        *p += 2;
    if (*p == end || **p != '"')
        return -EINVAL;
    const char *begin = *p + 1;
    const char *close = memchr(begin, '"', (size_t)(end - begin));
    if (!close)
        return -EINVAL;
    *p = close + 1;
    uint64_t revision;
    size_t len = (size_t)(close - begin);
    if (len > 5 &&
        (memcmp(close - 5, "-json", 5) == 0 || memcmp(close - 5, "-gzip", 5) == 0))
        len -= 5;
    /* Tags are compared as text: "007" is not ours. */
    if ((*begin == '0' && len > 1) || kv_u64_parse(begin, len, &revision))
        return 0;
    if (tags->count + tags->weak_count == KV_ETAGS_MAX)
        return -E2BIG;
    size_t *count = weak ? &tags->weak_count : &tags->count;
    (weak ? tags->weak : tags->strong)[(*count)++] = revision;
    return 0;
}

int kv_etags_parse(const char *text, size_t len, struct kv_etags *ret)
{
    const char *p = text, *end = text + len;
    ret->any = false;
    ret->count = ret->weak_count = 0;
    while (end > p && (end[-1] == ' ' || end[-1] == '\t'))
        end--;
    skip_blanks(&p, end);
    if (end - p == 1 && *p == '*') {
        ret->any = true;
        return 0;
    }
    bool found = false;
    while (p < end) {
        if (*p == ',') { /* empty list elements are legal: RFC 9110 section 5.6.1 */
            p++;
        } else {
            int err = parse_tag(&p, end, ret);
            if (err)
                return err;
            found = true;
            skip_blanks(&p, end);
            if (p < end && *p != ',')
                return -EINVAL;
        }
        skip_blanks(&p, end);
    }
    return found ? 0 : -EINVAL;
}

static bool contains(const uint64_t *numbers, size_t count, uint64_t number)
{
    for (size_t i = 0; i < count; i++)
        if (numbers[i] == number)
            return true;
    return false;
}

bool kv_etags_match_strong(const struct kv_etags *tags, uint64_t revision)
{
    return tags->any || contains(tags->strong, tags->count, revision);
}

bool kv_etags_match_weak(const struct kv_etags *tags, uint64_t revision)
{
    return kv_etags_match_strong(tags, revision) ||
           contains(tags->weak, tags->weak_count, revision);
}

bool kv_etag_is(const char *text, size_t len, uint64_t revision)
{
    char tag[24];
    int tag_len = snprintf(tag, sizeof(tag), "\"%" PRIu64 "\"", revision);
    return len == (size_t)tag_len && memcmp(text, tag, len) == 0;
}

/* -- What is accepted -- */

static size_t token_len(const char *text, size_t len)
{
    size_t i = 0;
    while (i < len && text[i] > ' ' && text[i] < 0x7f &&
           !strchr("\"(),/:;<=>?@[\\]{}", text[i]))
        i++;
    return i;
}

bool kv_media_type_valid(const char *text, size_t len)
{
    size_t type = token_len(text, len);
    if (type == 0 || len > KV_MEDIA_TYPE_MAX || type == len || text[type] != '/')
        return false;
    size_t subtype = token_len(text + type + 1, len - type - 1);
    size_t end = type + 1 + subtype;
    if (subtype == 0 || (end < len && text[end] != ';' && text[end] != ' '))
        return false;
    for (; end < len; end++)
        if (text[end] < ' ' || text[end] >= 0x7f)
            return false;
    return true;
}

/* "q=0.5" among the parameters behind a name, in thousandths; 1000 without one. What
 * is malformed counts as 0: nobody wants what he cannot ask for. */
static int weight_of(const char *text, const char *end)
{
    while (text < end && (text = memchr(text, ';', (size_t)(end - text)))) {
        text++;
        skip_blanks(&text, end);
        if (end - text < 2 || (*text != 'q' && *text != 'Q') || text[1] != '=')
            continue;
        text += 2;
        if (text == end || (*text != '0' && *text != '1'))
            return 0;
        int weight = (*text++ - '0') * 1000;
        if (text < end && *text == '.')
            text++;
        for (int digit = 100; digit > 0 && text < end; digit /= 10, text++) {
            if (*text < '0' || *text > '9')
                break;
            weight += (*text - '0') * digit;
        }
        return weight < 1000 ? weight : 1000;
    }
    return 1000;
}

/* The largest weight of the elements that are the name, or of those that are not. */
static int largest_weight(const char *text, size_t len, const char *name, bool others)
{
    const char *p = text, *end = text + len;
    int largest = -1;
    while (p < end) {
        const char *comma = memchr(p, ',', (size_t)(end - p));
        const char *stop = comma ? comma : end;
        skip_blanks(&p, stop);
        size_t name_len = 0;
        while (p + name_len < stop && !strchr("; \t", p[name_len]))
            name_len++;
        bool same = name_len == strlen(name) && strncasecmp(p, name, name_len) == 0;
        int weight = name_len > 0 && same != others ? weight_of(p, stop) : -1;
        if (weight > largest)
            largest = weight;
        p = stop + 1;
    }
    return largest;
}

int kv_accept_weight(const char *text, size_t len, const char *name)
{
    return largest_weight(text, len, name, false);
}

int kv_accept_other_weight(const char *text, size_t len, const char *name)
{
    return largest_weight(text, len, name, true);
}

/* -- Byte ranges -- */

enum kv_range_kind kv_range_parse(const char *text, size_t len, uint64_t size,
                                  uint64_t *ret_first, uint64_t *ret_last)
{
    if (len < 6 || strncasecmp(text, "bytes=", 6) != 0)
        return KV_RANGE_NONE;
    text += 6;
    len -= 6;
    const char *dash = memchr(text, '-', len);
    if (!dash || memchr(text, ',', len))
        return KV_RANGE_NONE;
    size_t first_len = (size_t)(dash - text), last_len = len - first_len - 1;
    uint64_t first = 0, last = UINT64_MAX;
    if (first_len == 0) { /* the last so many bytes */
        uint64_t suffix;
        int err = kv_u64_parse(dash + 1, last_len, &suffix);
        if (err)
            return KV_RANGE_NONE;
        if (suffix == 0 || size == 0)
            return KV_RANGE_OUTSIDE;
        first = suffix < size ? size - suffix : 0;
    } else {
        if (kv_u64_parse(text, first_len, &first) ||
            (last_len > 0 && kv_u64_parse(dash + 1, last_len, &last)) || last < first)
            return KV_RANGE_NONE;
        if (first >= size)
            return KV_RANGE_OUTSIDE;
    }
    *ret_first = first;
    *ret_last = last < size ? last : size - 1;
    return KV_RANGE_PART;
}

/* -- Numbers and durations -- */

int kv_u64_parse(const char *text, size_t len, uint64_t *ret)
{
    uint64_t number = 0;
    if (len == 0)
        return -EINVAL;
    for (size_t i = 0; i < len; i++)
        if (text[i] < '0' || text[i] > '9')
            return -EINVAL;
    for (size_t i = 0; i < len; i++)
        if (__builtin_mul_overflow(number, UINT64_C(10), &number) ||
            __builtin_add_overflow(number, (uint64_t)(text[i] - '0'), &number))
            return -ERANGE;
    *ret = number;
    return 0;
}

int kv_i64_parse(const char *text, size_t len, int64_t *ret)
{
    bool negative = len > 0 && text[0] == '-';
    uint64_t number;
    int err = kv_u64_parse(text + negative, len - negative, &number);
    if (err)
        return err;
    if (number > (uint64_t)INT64_MAX + negative)
        return -ERANGE;
    *ret = negative ? (int64_t)(0 - number) : (int64_t)number;
    return 0;
}

int kv_duration_parse(const char *text, size_t len, int64_t *ret_ns)
{
    static const struct {
        const char *name;
        int64_t ns;
    } units[] = {
        {"", KV_NS_PER_S},         {"ms", KV_NS_PER_MS},
        {"s", KV_NS_PER_S},        {"m", 60 * KV_NS_PER_S},
        {"h", 3600 * KV_NS_PER_S}, {"d", 24 * 3600 * KV_NS_PER_S},
    };
    const int64_t longest = KV_NS_PER_S * 3600 * 24 * 365 * 100;
    size_t digits = 0;
    while (digits < len && text[digits] >= '0' && text[digits] <= '9')
        digits++;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        size_t name_len = strlen(units[i].name);
        if (name_len != len - digits ||
            memcmp(text + digits, units[i].name, name_len) != 0)
            continue;
        uint64_t number;
        int err = kv_u64_parse(text, digits, &number);
        if (err)
            return err;
        if (number == 0 || number > (uint64_t)(longest / units[i].ns))
            return -ERANGE;
        *ret_ns = (int64_t)number * units[i].ns;
        return 0;
    }
    return -EINVAL;
}

int kv_bool_parse(const char *text, size_t len, bool *ret)
{
    if (len == 0 || (len == 1 && *text == '1') ||
        (len == 4 && memcmp(text, "true", 4) == 0))
        *ret = true;
    else if ((len == 1 && *text == '0') || (len == 5 && memcmp(text, "false", 5) == 0))
        *ret = false;
    else
        return -EINVAL;
    return 0;
}

int kv_position_parse(const char *text, size_t len, uint64_t *ret_revision,
                      uint32_t *ret_index)
{
    const char *dot = memchr(text, '.', len);
    size_t revision_len = dot ? (size_t)(dot - text) : len;
    uint64_t revision, index = UINT32_MAX;
    int err = kv_u64_parse(text, revision_len, &revision);
    if (!err && dot)
        err = kv_u64_parse(dot + 1, len - revision_len - 1, &index);
    if (err)
        return err;
    if (index > UINT32_MAX)
        return -ERANGE;
    *ret_revision = revision;
    *ret_index = (uint32_t)index;
    return 0;
}

/* -- Dates -- */

/* By hand, because strftime's names follow the locale. */
void kv_http_date(char out[KV_HTTP_DATE_SIZE], int64_t realtime_ns)
{
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct timespec ts = kv_ns_timespec(realtime_ns);
    struct tm tm;
    if (!gmtime_r(&ts.tv_sec, &tm))
        memset(&tm, 0, sizeof(tm));
    char text[96];
    (void)snprintf(text, sizeof(text), "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
                   days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon,
                   tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
    memcpy(out, text, KV_HTTP_DATE_SIZE - 1);
    out[KV_HTTP_DATE_SIZE - 1] = '\0';
}

void kv_time_text(char out[KV_TIME_SIZE], int64_t realtime_ns)
{
    struct timespec ts = kv_ns_timespec(realtime_ns);
    struct tm tm;
    if (!gmtime_r(&ts.tv_sec, &tm))
        memset(&tm, 0, sizeof(tm));
    char text[96];
    (void)snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ",
                   tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                   tm.tm_sec, ts.tv_nsec);
    memcpy(out, text, KV_TIME_SIZE - 1);
    out[KV_TIME_SIZE - 1] = '\0';
}

void kv_json_time(struct kv_buf *out, int64_t realtime_ns)
{
    char text[KV_TIME_SIZE];
    kv_time_text(text, realtime_ns);
    kv_buf_addf(out, "\"%s\"", text);
}

/* So many digits at *p, which moves behind them; -1: there are others. */
static int take_digits(const char **p, const char *end, int count)
{
    int number = 0;
    for (; count > 0; count--, (*p)++) {
        if (*p == end || **p < '0' || **p > '9')
            return -1;
        number = number * 10 + (**p - '0');
    }
    return number;
}

int kv_time_parse(const char *text, size_t len, int64_t *ret_ns)
{
    static const char separators[] = "--T::";
    static const int least[] = {0, 1, 1, 0, 0, 0}, most[] = {9999, 12, 31, 23, 59, 60};
    const char *p = text, *end = text + len;
    int numbers[6], ns = 0;
    for (int i = 0; i < 6; i++) {
        numbers[i] = take_digits(&p, end, i == 0 ? 4 : 2);
        if (numbers[i] < least[i] || numbers[i] > most[i])
            return -EINVAL;
        if (i < 5 && (p == end || *p++ != separators[i]))
            return -EINVAL;
    }
    if (p < end && *p == '.') {
        int digits = 0;
        for (p++; p < end && *p >= '0' && *p <= '9' && digits < 9; p++, digits++)
            ns = ns * 10 + (*p - '0');
        if (digits == 0)
            return -EINVAL;
        for (; digits < 9; digits++)
            ns *= 10;
    }
    if (end - p != 1 || *p != 'Z')
        return -EINVAL;
    struct tm tm = {.tm_year = numbers[0] - 1900,
                    .tm_mon = numbers[1] - 1,
                    .tm_mday = numbers[2],
                    .tm_hour = numbers[3],
                    .tm_min = numbers[4],
                    .tm_sec = numbers[5]};
    *ret_ns = kv_timespec_ns((struct timespec){timegm(&tm), ns});
    return *ret_ns == INT64_MIN || *ret_ns == INT64_MAX ? -ERANGE : 0;
}
