#include "words.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void kv_words_done(struct kv_words *words)
{
    for (size_t i = 0; i < words->count; i++)
        free(words->items[i]);
    free(words->items);
    *words = (struct kv_words){0};
}

static int add_word(struct kv_words *words, struct kv_buf *word)
{
    char **items = reallocarray(words->items, words->count + 2, sizeof(*items));
    if (!items)
        return -ENOMEM;
    words->items = items;
    char *text = kv_buf_steal(word, NULL);
    if (!text)
        return -ENOMEM;
    items[words->count++] = text;
    items[words->count] = NULL;
    return 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* One word from *at on. False: the line ended within quotes. */
static bool read_word(const char **at, struct kv_buf *word)
{
    const char *p = *at;
    char quote = '\0';
    for (; *p && (quote || !is_blank(*p)); p++) {
        if (*p == quote)
            quote = '\0';
        else if (!quote && (*p == '\'' || *p == '"'))
            quote = *p;
        else if (*p == '\\' && p[1] && quote != '\'' &&
                 (!quote || p[1] == '"' || p[1] == '\\'))
            kv_buf_addc(word, *++p);
        else
            kv_buf_addc(word, *p);
    }
    *at = p;
    return !quote;
}

static int split(const char *line, bool partial, struct kv_words *words)
{
    const char *p = line;
    for (;;) {
        KV_CLEANUP(kv_buf_done) struct kv_buf word = {0};
        while (is_blank(*p))
            p++;
        bool end = *p == '\0' || *p == '#';
        words->last_open = *p == '\0' && (p == line || is_blank(p[-1]));
        if (end && !(partial && words->last_open))
            return 0;
        words->last_start = (size_t)(p - line);
        if (!read_word(&p, &word) && !partial)
            return -EINVAL;
        words->last_open = *p == '\0';
        int err = add_word(words, &word);
        if (err || words->last_open)
            return err;
    }
}

int kv_words_split(const char *line, bool partial, struct kv_words *ret)
{
    *ret = (struct kv_words){0};
    int err = split(line, partial, ret);
    if (err)
        kv_words_done(ret);
    return err;
}
