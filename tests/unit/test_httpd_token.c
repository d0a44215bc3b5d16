#include "httpd/token.h"

#include "base/clock.h"
#include "store_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

static char *dir;
static struct kv_tokens *tokens;
static char text[KV_TOKEN_TEXT_MAX];

static void reopen(void)
{
    kv_tokens_free(tokens);
    tokens = NULL;
    ck_assert_int_eq(kv_tokens_open(dir, false, &tokens), 0);
}

static void setup(void)
{
    dir = temp_dir_make();
    reopen();
}

static void teardown(void)
{
    kv_tokens_free(tokens);
    tokens = NULL;
    temp_dir_remove(dir);
}

/* A token that may read "app"; its text goes to text. */
static int create(const char *name, int64_t expires_ns)
{
    struct kv_rights rights = {0};
    KV_CLEANUP(kv_token_unrefp) struct kv_token *token = NULL;
    ck_assert_int_eq(kv_rights_add(&rights, "app", 3, KV_READ), 0);
    return kv_tokens_create(tokens, name, &rights, expires_ns, text, &token);
}

static bool is_known(const char *what)
{
    KV_CLEANUP(kv_token_unrefp)
    struct kv_token *token = kv_tokens_find(tokens, what, strlen(what));
    return token != NULL;
}

static int take_back(const char *which)
{
    return kv_tokens_revoke(tokens, which, strlen(which));
}

static const char *path_of(const char *name)
{
    static char path[4096];
    ck_assert_int_lt(snprintf(path, sizeof(path), "%s/%s", dir, name),
                     (int)sizeof(path));
    return path;
}

static void read_file(char *out, size_t max)
{
    FILE *file = fopen(path_of("tokens"), "r");
    ck_assert_ptr_nonnull(file);
    out[fread(out, 1, max - 1, file)] = '\0';
    ck_assert_int_eq(fclose(file), 0);
}

static void write_file(const char *content)
{
    FILE *file = fopen(path_of("tokens"), "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(content, 1, strlen(content), file), strlen(content));
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(tokens_are_off_until_the_first_is_made)
{
    ck_assert(!kv_tokens_on(tokens));
    ck_assert_int_eq(create("ci", 0), 0);
    ck_assert(kv_tokens_on(tokens));
    reopen();
    ck_assert(kv_tokens_on(tokens));
}
END_TEST

START_TEST(revoking_the_last_leaves_tokens_on)
{
    ck_assert_int_eq(create("ci", 0), 0);
    ck_assert_int_eq(take_back("ci"), 0);
    ck_assert(kv_tokens_on(tokens));
    reopen();
    ck_assert(kv_tokens_on(tokens));
}
END_TEST

START_TEST(tokens_can_be_asked_for_before_there_is_one)
{
    kv_tokens_free(tokens);
    ck_assert_int_eq(kv_tokens_open(dir, true, &tokens), 0);
    ck_assert(kv_tokens_on(tokens));
}
END_TEST

START_TEST(a_token_is_known_by_its_text_alone)
{
    ck_assert_int_eq(create("ci", 0), 0);
    ck_assert(is_known(text));
    reopen();
    ck_assert(is_known(text));
    ck_assert(!is_known("ci"));
    ck_assert(!is_known(""));
    for (size_t i = 0; text[i]; i++) { /* any other character makes it another one */
        char right = text[i];
        text[i] = right == '0' ? '1' : '0';
        ck_assert_msg(!is_known(text), "%s", text);
        text[i] = right;
    }
    ck_assert(is_known(text));
    text[strlen(text) - 1] = '\0';
    ck_assert(!is_known(text));
}
END_TEST

START_TEST(two_tokens_differ)
{
    char first[KV_TOKEN_TEXT_MAX];
    ck_assert_int_eq(create("a", 0), 0);
    memcpy(first, text, sizeof(first));
    ck_assert_int_eq(create("b", 0), 0);
    ck_assert_str_ne(first, text);
    ck_assert(is_known(first));
    ck_assert(is_known(text));
}
END_TEST

START_TEST(the_file_is_for_its_owner_and_holds_no_secret)
{
    struct stat st;
    char content[4096];
    ck_assert_int_eq(create("ci", 0), 0);
    ck_assert_int_eq(stat(path_of("tokens"), &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    read_file(content, sizeof(content));
    ck_assert_ptr_nonnull(strstr(content, "\"sha256\":\""));
    ck_assert_ptr_null(strstr(content, strrchr(text, '_') + 1));
}
END_TEST

START_TEST(a_revoked_token_holds_nowhere)
{
    ck_assert_int_eq(create("ci", 0), 0);
    struct kv_token *held = kv_tokens_find(tokens, text, strlen(text));
    ck_assert_ptr_nonnull(held);
    ck_assert(kv_token_holds(held));
    ck_assert_int_eq(take_back(held->id), 0);
    ck_assert(!kv_token_holds(held));
    kv_token_unref(held);
    ck_assert(!is_known(text));
    ck_assert_int_eq(take_back("ci"), -ENOENT);
    reopen();
    ck_assert(!is_known(text));
}
END_TEST

START_TEST(an_expired_token_does_not_hold)
{
    ck_assert_int_eq(create("past", kv_clock_realtime_ns() - 1), 0);
    ck_assert(!is_known(text));
    ck_assert_int_eq(create("future", kv_clock_realtime_ns() + 3600 * KV_NS_PER_S), 0);
    ck_assert(is_known(text));
    reopen();
    ck_assert(is_known(text));
}
END_TEST

START_TEST(a_name_is_taken_until_it_is_revoked)
{
    ck_assert_int_eq(create("ci", 0), 0);
    ck_assert_int_eq(create("ci", 0), -EEXIST);
    ck_assert_int_eq(take_back("ci"), 0);
    ck_assert_int_eq(create("ci", 0), 0);
}
END_TEST

START_TEST(a_name_is_plain)
{
    ck_assert(kv_token_name_valid("Ci_1.2@host-3", 13));
    ck_assert(!kv_token_name_valid("", 0));
    ck_assert(!kv_token_name_valid("a b", 3));
    ck_assert(!kv_token_name_valid("a\nb", 3));
    ck_assert(!kv_token_name_valid("a\"b", 3));
    ck_assert(!kv_token_name_valid("a\0b", 3));
}
END_TEST

START_TEST(a_token_that_cannot_be_written_is_none)
{
    ck_assert_int_eq(create("a", 0), 0);
    ck_assert_int_eq(mkdir(path_of("tokens.new"), 0700), 0); /* where it is written */
    char before[KV_TOKEN_TEXT_MAX];
    memcpy(before, text, sizeof(before));
    ck_assert_int_eq(create("b", 0), -EISDIR);
    ck_assert_str_eq(text, "");
    ck_assert_int_eq(take_back("a"), -EISDIR);
    ck_assert(is_known(before));
    ck_assert_int_eq(rmdir(path_of("tokens.new")), 0);
    ck_assert_int_eq(create("b", 0), 0);
}
END_TEST

START_TEST(a_damaged_file_is_refused)
{
    char content[4096], broken[4096];
    ck_assert_int_eq(create("ci", 0), 0);
    read_file(content, sizeof(content));
    static const char *const changes[][2] = {
        {"\n", ""},
        {"\"admin\":false,", ""},
        {"\"id\":\"", "\"id\":\"x"},
        {"sha256", "md5"},
        {"\"created\":\"2", "\"created\":\"x"},
        {"}]", "}"},
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
        const char *at = strstr(content, changes[i][0]);
        ck_assert_ptr_nonnull(at);
        (void)snprintf(broken, sizeof(broken), "%.*s%s%s", (int)(at - content), content,
                       changes[i][1], at + strlen(changes[i][0]));
        write_file(broken);
        struct kv_tokens *other = NULL;
        ck_assert_msg(kv_tokens_open(dir, false, &other) == -EINVAL, "%s", broken);
        ck_assert_ptr_null(other);
    }
    write_file(content);
    reopen();
    ck_assert(is_known(text));
}
END_TEST

KV_SUITE_WITH("httpd_token", setup, teardown, tokens_are_off_until_the_first_is_made,
              revoking_the_last_leaves_tokens_on,
              tokens_can_be_asked_for_before_there_is_one,
              a_token_is_known_by_its_text_alone, two_tokens_differ,
              the_file_is_for_its_owner_and_holds_no_secret,
              a_revoked_token_holds_nowhere, an_expired_token_does_not_hold,
              a_name_is_taken_until_it_is_revoked, a_name_is_plain,
              a_token_that_cannot_be_written_is_none, a_damaged_file_is_refused)
