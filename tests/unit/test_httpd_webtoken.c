#include "httpd/webtoken.h"

#include "base/base64.h"
#include "store_fixture.h"

#include <errno.h>
#include <gnutls/crypto.h>
#include <jwt.h>
#include <stdio.h>

#define NOW INT64_C(2000000000)
#define ID "0123abcd"

static char *dir;
static struct kv_jwt *jwt;
static char id[KV_TOKEN_ID_LEN + 1];
static int64_t end_s;

static void reopen(void)
{
    kv_jwt_free(jwt);
    jwt = NULL;
    ck_assert_int_eq(kv_jwt_open(dir, &jwt), 0);
}

static void setup(void)
{
    dir = temp_dir_make();
    reopen();
}

static void teardown(void)
{
    kv_jwt_free(jwt);
    jwt = NULL;
    temp_dir_remove(dir);
}

/* A good one, with a NUL; the test frees it. */
static char *sign(const char *for_id)
{
    struct kv_buf out = {0};
    ck_assert_int_eq(kv_jwt_sign(jwt, for_id, NOW, &out), 0);
    return kv_buf_steal(&out, NULL);
}

static int check_at(const char *text, int64_t now_s)
{
    return kv_jwt_check(jwt, text, strlen(text), now_s, id, &end_s);
}

static int check(const char *text)
{
    return check_at(text, NOW);
}

static void read_key(unsigned char key[32])
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/jwt-key", dir);
    FILE *file = fopen(path, "r");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fread(key, 1, 32, file), 32);
    ck_assert_int_eq(fclose(file), 0);
}

START_TEST(what_was_signed_is_good_for_half_an_hour)
{
    KV_CLEANUP(kv_free) char *text = sign(ID);
    ck_assert_int_eq(check(text), 0);
    ck_assert_str_eq(id, ID);
    ck_assert_int_eq(end_s, NOW + KV_JWT_SECONDS);
    ck_assert_int_eq(check_at(text, NOW + KV_JWT_SECONDS - 1), 0);
    ck_assert_int_eq(check_at(text, NOW + KV_JWT_SECONDS), -EINVAL);
}
END_TEST

START_TEST(one_for_everybody_names_no_token)
{
    KV_CLEANUP(kv_free) char *text = sign("");
    ck_assert_int_eq(check(text), 0);
    ck_assert_str_eq(id, "");
}
END_TEST

START_TEST(the_key_is_kept)
{
    KV_CLEANUP(kv_free) char *text = sign(ID);
    struct stat st;
    char path[4096];
    reopen();
    ck_assert_int_eq(check(text), 0);
    (void)snprintf(path, sizeof(path), "%s/jwt-key", dir);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_int_eq(unlink(path), 0); /* another one is drawn */
    reopen();
    ck_assert_int_eq(check(text), -EINVAL);
    KV_CLEANUP(kv_free) char *other = sign(ID);
    ck_assert_int_eq(check(text), -EINVAL);
}
END_TEST

START_TEST(there_is_no_key_before_one_is_needed)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/jwt-key", dir);
    ck_assert_int_eq(access(path, F_OK), -1);
    ck_assert_int_eq(check("a.b.c"), -EINVAL);
}
END_TEST

START_TEST(a_damaged_key_is_refused)
{
    char path[4096];
    (void)snprintf(path, sizeof(path), "%s/jwt-key", dir);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fputs("short", file) < 0, 0);
    ck_assert_int_eq(fclose(file), 0);
    struct kv_jwt *other = NULL;
    ck_assert_int_eq(kv_jwt_open(dir, &other), -EINVAL);
}
END_TEST

START_TEST(any_other_character_makes_it_bad)
{
    KV_CLEANUP(kv_free) char *text = sign(ID);
    size_t len = strlen(text);
    /* Of the last character two bits are left out, so others may mean the same bytes.
     */
    for (size_t i = 0; i + 1 < len; i++) {
        char right = text[i];
        text[i] = right == 'A' ? 'B' : 'A';
        ck_assert_msg(check(text) == -EINVAL, "%s", text);
        text[i] = right;
    }
    ck_assert_int_eq(check(text), 0);
    ck_assert_int_eq(kv_jwt_check(jwt, text, len - 1, NOW, id, &end_s), -EINVAL);
    ck_assert_int_eq(kv_jwt_check(jwt, text, 0, NOW, id, &end_s), -EINVAL);
}
END_TEST

/* A token of somebody who has the key, but not our word on what it is. */
static char *forge(jwt_alg_t alg, const char *issuer, const char *for_id, long exp)
{
    jwt_t *token;
    unsigned char key[32];
    read_key(key);
    ck_assert_int_eq(jwt_new(&token), 0);
    if (issuer)
        ck_assert_int_eq(jwt_add_grant(token, "iss", issuer), 0);
    if (for_id)
        ck_assert_int_eq(jwt_add_grant(token, "sub", for_id), 0);
    if (exp)
        ck_assert_int_eq(jwt_add_grant_int(token, "exp", exp), 0);
    ck_assert_int_eq(alg == JWT_ALG_NONE ? jwt_set_alg(token, alg, NULL, 0)
                                         : jwt_set_alg(token, alg, key, sizeof(key)),
                     0);
    char *text = jwt_encode_str(token);
    ck_assert_ptr_nonnull(text);
    jwt_free(token);
    return text;
}

START_TEST(no_algorithm_but_hs256_will_do)
{
    KV_CLEANUP(kv_free) char *ours = sign(ID); /* draws the key */
    KV_CLEANUP(kv_free) char *same = forge(JWT_ALG_HS256, "kvfs", ID, NOW + 1);
    KV_CLEANUP(kv_free) char *none = forge(JWT_ALG_NONE, "kvfs", ID, NOW + 1);
    KV_CLEANUP(kv_free) char *longer = forge(JWT_ALG_HS512, "kvfs", ID, NOW + 1);
    ck_assert_int_eq(check(same), 0);
    ck_assert_int_eq(check(none), -EINVAL);
    ck_assert_int_eq(check(longer), -EINVAL);
}
END_TEST

/* The header says RS256, and the signature is HMAC with our key. */
START_TEST(a_header_cannot_turn_the_key_into_another_kind)
{
    KV_CLEANUP(kv_free) char *ours = sign(ID);
    KV_CLEANUP(kv_buf_done) struct kv_buf text = {0};
    unsigned char key[32], mac[32];
    const char *payload = strchr(ours, '.');
    read_key(key);
    kv_buf_adds(&text, "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9");
    kv_buf_add(&text, payload, (size_t)(strrchr(ours, '.') - payload));
    ck_assert_int_eq(
        gnutls_hmac_fast(GNUTLS_MAC_SHA256, key, sizeof(key), text.data, text.len, mac),
        0);
    kv_buf_addc(&text, '.');
    kv_base64_encode(&text, mac, sizeof(mac));
    while (text.data[text.len - 1] == '=')
        text.len--;
    kv_buf_addc(&text, '\0');
    for (char *p = text.data; *p; p++)
        *p = *p == '+' ? '-' : *p == '/' ? '_' : *p;
    ck_assert_int_eq(check(text.data), -EINVAL);
}
END_TEST

START_TEST(what_we_would_not_say_is_not_believed)
{
    KV_CLEANUP(kv_free) char *ours = sign(ID);
    KV_CLEANUP(kv_free) char *foreign = forge(JWT_ALG_HS256, "other", ID, NOW + 1);
    KV_CLEANUP(kv_free) char *nobody = forge(JWT_ALG_HS256, NULL, ID, NOW + 1);
    KV_CLEANUP(kv_free) char *endless = forge(JWT_ALG_HS256, "kvfs", ID, 0);
    KV_CLEANUP(kv_free)
    char *long_id = forge(JWT_ALG_HS256, "kvfs", "0123abcd0", NOW + 1);
    ck_assert_int_eq(check(foreign), -EINVAL);
    ck_assert_int_eq(check(nobody), -EINVAL);
    ck_assert_int_eq(check(endless), -EINVAL);
    ck_assert_int_eq(check(long_id), -EINVAL);
}
END_TEST

KV_SUITE_WITH("httpd_webtoken", setup, teardown,
              what_was_signed_is_good_for_half_an_hour,
              one_for_everybody_names_no_token, the_key_is_kept,
              there_is_no_key_before_one_is_needed, a_damaged_key_is_refused,
              any_other_character_makes_it_bad, no_algorithm_but_hs256_will_do,
              a_header_cannot_turn_the_key_into_another_kind,
              what_we_would_not_say_is_not_believed)
