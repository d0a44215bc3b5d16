#include "words.h"

#include "suite.h"

#include <errno.h>
#include <string.h>

static struct kv_words words;

static void setup(void)
{
    words = (struct kv_words){0};
}

static void teardown(void)
{
    kv_words_done(&words);
}

/* The words of a line, each in brackets. */
static const char *split(const char *line, bool partial)
{
    static char text[256];
    kv_words_done(&words);
    ck_assert_int_eq(kv_words_split(line, partial, &words), 0);
    *text = '\0';
    for (size_t i = 0; i < words.count; i++) {
        strcat(text, "[");
        strcat(text, words.items[i]);
        strcat(text, "]");
    }
    return text;
}

START_TEST(blanks_part_words)
{
    ck_assert_str_eq(split("put  key\tvalue \n", false), "[put][key][value]");
    ck_assert_str_eq(split("", false), "");
    ck_assert_str_eq(split("  \n", false), "");
}
END_TEST

START_TEST(the_items_end_with_null)
{
    split("a b", false);
    ck_assert_ptr_null(words.items[2]);
}
END_TEST

START_TEST(quotes_keep_blanks)
{
    ck_assert_str_eq(split("put k 'a  b'", false), "[put][k][a  b]");
    ck_assert_str_eq(split("put k \"a 'b'\"", false), "[put][k][a 'b']");
    ck_assert_str_eq(split("a'b 'c\" d\"", false), "[ab c d]");
    ck_assert_str_eq(split("put k ''", false), "[put][k][]");
}
END_TEST

START_TEST(a_backslash_takes_the_next_character_as_it_is)
{
    ck_assert_str_eq(split("a\\ b \\'c \\\\", false), "[a b]['c][\\]");
    ck_assert_str_eq(split("\"a\\\"b\\\\c\\n\"", false), "[a\"b\\c\\n]");
    ck_assert_str_eq(split("'a\\b'", false), "[a\\b]");
    ck_assert_str_eq(split("a\\", false), "[a\\]");
}
END_TEST

START_TEST(a_comment_ends_the_line)
{
    ck_assert_str_eq(split("# all of it", false), "");
    ck_assert_str_eq(split("get k # why", false), "[get][k]");
    ck_assert_str_eq(split("get k#1 '#2'", false), "[get][k#1][#2]");
}
END_TEST

START_TEST(an_open_quote_is_an_error_once_the_line_is_done)
{
    ck_assert_int_eq(kv_words_split("put k 'a", false, &words), -EINVAL);
    ck_assert_int_eq(kv_words_split("put k \"a'", false, &words), -EINVAL);
    ck_assert_uint_eq(words.count, 0);
    ck_assert_str_eq(split("put k 'a b", true), "[put][k][a b]");
}
END_TEST

START_TEST(the_last_word_of_a_line_that_is_typed_may_go_on)
{
    ck_assert_str_eq(split("get app/h", true), "[get][app/h]");
    ck_assert(words.last_open);
    ck_assert_uint_eq(words.last_start, 4);
    ck_assert_str_eq(split("get ", true), "[get][]");
    ck_assert(words.last_open);
    ck_assert_uint_eq(words.last_start, 4);
    ck_assert_str_eq(split("", true), "[]");
    ck_assert_uint_eq(words.last_start, 0);
    ck_assert_str_eq(split("get 'a b", true), "[get][a b]");
    ck_assert_uint_eq(words.last_start, 4);
    split("get # a", true);
    ck_assert(!words.last_open);
}
END_TEST

KV_SUITE_WITH("cli_words", setup, teardown, blanks_part_words, the_items_end_with_null,
              quotes_keep_blanks, a_backslash_takes_the_next_character_as_it_is,
              a_comment_ends_the_line, an_open_quote_is_an_error_once_the_line_is_done,
              the_last_word_of_a_line_that_is_typed_may_go_on)
