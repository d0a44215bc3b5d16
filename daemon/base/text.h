#ifndef KV_BASE_TEXT_H
#define KV_BASE_TEXT_H

/* Texts that people type and read: numbers with units, help pages, misspelt words.
 * Any thread. */

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The width that help pages keep to. */
#define KV_TEXT_COLUMNS 80

/* A decimal number without sign or blanks. 0, -EINVAL (nothing else than digits is
 * allowed) or -ERANGE (does not fit). */
int kv_text_number(const char *text, uint64_t *ret);

/* A number of bytes: digits, then nothing or one of K, M, G, T (powers of 1024; small
 * letters, and a B or iB behind, are allowed too). 0, -EINVAL or -ERANGE. */
int kv_text_size(const char *text, uint64_t *ret);

/* The shortest form that kv_text_size reads back as bytes: "64M", "1000". */
void kv_text_add_size(struct kv_buf *out, uint64_t bytes);

/* A duration: digits, then one of ms, s, m, h, d, or nothing for seconds; in
 * milliseconds. 0, -EINVAL or -ERANGE. */
int kv_text_duration(const char *text, uint64_t *ret_ms);

/* Append text broken at blanks so that no line is longer than KV_TEXT_COLUMNS; every
 * line but the first begins with indent blanks (the caller has already written that
 * many columns of the first), and the last ends with a newline. A '\n' in the text
 * starts a new line. */
void kv_text_wrap(struct kv_buf *out, const char *text, size_t indent);

/* One entry of a help page: left in the left column, text wrapped beside it, or
 * below when left is too long. */
void kv_text_entry(struct kv_buf *out, const char *left, const char *text);

/* How many single-character changes (insert, remove, replace, swap two neighbours) lead
 * from one word to the other; words longer than 63 bytes are as far as can be. */
size_t kv_text_distance(const char *a, const char *b);

/* Whether word is so near to candidate that it may be a misspelling of it. */
bool kv_text_is_near(const char *word, const char *candidate);

#endif
