#ifndef KV_CLI_WORDS_H
#define KV_CLI_WORDS_H

/* The words of a line that was typed into the shell, quoted as in sh: '...' takes
 * everything as it is, in "..." a backslash takes " and \ as they are, elsewhere any
 * character; a # where a word would begin ends the line. Nothing is expanded. Any
 * thread. */

#include <stdbool.h>
#include <stddef.h>

struct kv_words {
    char **items; /* count of them, and a NULL */
    size_t count;
    /* Of the last word: where it begins in the line, and whether the line ends in it,
     * maybe within quotes: it may still go on. At the end of a line that ends in a
     * blank there is an empty word that goes on, when asked for. */
    size_t last_start;
    bool last_open;
};

/* partial: the line is still being typed, so open quotes are no error, and the last
 * word may be empty. 0; -EINVAL an open quote; -ENOMEM. */
int kv_words_split(const char *line, bool partial, struct kv_words *ret);

void kv_words_done(struct kv_words *words);

#endif
