/* Numbers with units, wrapped help texts, and the distance between two words. */
#include "base/text.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

/* The column in which the explanations of a help page begin. */
#define ENTRY_INDENT 26
#define WORD_MAX 63

/* The digits at the start of text; *ret_rest is what follows. */
static int leading_number(const char *text, uint64_t *ret, const char **ret_rest)
{
    const char *p = text;
    uint64_t number = 0;
    for (; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(number, (uint64_t)10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(*p - '0'), &number))
            return -ERANGE;
    if (p == text)
        return -EINVAL;
    *ret = number;
    *ret_rest = p;
    return 0;
}

int kv_text_number(const char *text, uint64_t *ret)
{
    uint64_t number;
    const char *rest;
    int err = leading_number(text, &number, &rest);
    if (err)
        return err;
    if (*rest)
        return -EINVAL;
    *ret = number;
    return 0;
}

int kv_text_size(const char *text, uint64_t *ret)
{
    static const char units[] = "KMGT";
    uint64_t number;
    const char *rest;
    int err = leading_number(text, &number, &rest);
    if (err)
        return err;
    unsigned shift = 0;
    if (*rest) {
        const char *unit = strchr(units, *rest >= 'a' ? *rest - 'a' + 'A' : *rest);
        if (unit) {
            shift = (unsigned)(unit - units + 1) * 10;
            rest++;
        }
        if (*rest && strcasecmp(rest, "B") != 0 &&
            !(unit && strcasecmp(rest, "iB") == 0))
            return -EINVAL;
    }
    return __builtin_mul_overflow(number, UINT64_C(1) << shift, ret) ? -ERANGE : 0;
}

void kv_text_add_size(struct kv_buf *out, uint64_t bytes)
{
    static const char *const units[] = {"", "K", "M", "G", "T"};
    size_t unit = 0;
    for (; bytes > 0 && bytes % 1024 == 0 && unit < 4; unit++)
        bytes /= 1024;
    kv_buf_addf(out, "%llu%s", (unsigned long long)bytes, units[unit]);
}

int kv_text_duration(const char *text, uint64_t *ret_ms)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"", 1000},   {"ms", 1},      {"s", 1000},
                 {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
    uint64_t number;
    const char *rest;
    int err = leading_number(text, &number, &rest);
    if (err)
        return err;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (strcmp(rest, units[i].name) == 0)
            return __builtin_mul_overflow(number, units[i].ms, ret_ms) ? -ERANGE : 0;
    return -EINVAL;
}

static void add_blanks(struct kv_buf *out, size_t count)
{
    kv_buf_addf(out, "%*s", (int)count, "");
}

void kv_text_wrap(struct kv_buf *out, const char *text, size_t indent)
{
    size_t column = indent;
    bool line_empty = true;
    while (*text) {
        size_t word = strcspn(text, " \n");
        if (!line_empty && column + 1 + word > KV_TEXT_COLUMNS) {
            kv_buf_addc(out, '\n');
            add_blanks(out, indent);
            column = indent;
            line_empty = true;
        }
        if (!line_empty) {
            kv_buf_addc(out, ' ');
            column++;
        }
        kv_buf_add(out, text, word);
        column += word;
        line_empty = false;
        text += word;
        if (*text == '\n') {
            kv_buf_addc(out, '\n');
            if (text[1] && text[1] != '\n')
                add_blanks(out, indent);
            column = indent;
            line_empty = true;
        }
        if (*text)
            text++;
    }
    kv_buf_addc(out, '\n');
}

void kv_text_entry(struct kv_buf *out, const char *left, const char *text)
{
    size_t len = strlen(left);
    kv_buf_adds(out, left);
    if (len + 2 > ENTRY_INDENT) {
        kv_buf_addc(out, '\n');
        len = 0;
    }
    add_blanks(out, ENTRY_INDENT - len);
    kv_text_wrap(out, text, ENTRY_INDENT);
}

static size_t min(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment: Levenshtein's distance with swapped neighbours as one
 * change, three rows of the table at a time. */
size_t kv_text_distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    if (a_len > WORD_MAX || b_len > WORD_MAX)
        return SIZE_MAX;
    size_t rows[3][WORD_MAX + 1];
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *top = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            row[j] = min(above[j - 1] + (a[i - 1] != b[j - 1]),
                         min(above[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = min(row[j], top[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

bool kv_text_is_near(const char *word, const char *candidate)
{
    size_t distance = kv_text_distance(word, candidate);
    return distance <= 1 || (distance == 2 && strlen(word) > 4);
}
