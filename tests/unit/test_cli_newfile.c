#include "newfile.h"

#include "base/cleanup.h"

#include "suite.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64], path[96];
static struct kv_newfile file;
static struct kv_fault fault;

static void setup(void)
{
    (void)snprintf(dir, sizeof(dir), "/tmp/kv-newfile-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/file", dir);
    file = (struct kv_newfile){.fd = -1};
    fault = (struct kv_fault){0};
}

static void teardown(void)
{
    kv_newfile_done(&file);
    kv_fault_done(&fault);
    (void)unlink(path); /* some tests make none */
    ck_assert_int_eq(rmdir(dir), 0);
}

static const char *content(void)
{
    static char text[64];
    FILE *in = fopen(path, "r");
    if (!in)
        return NULL;
    size_t len = fread(text, 1, sizeof(text) - 1, in);
    text[len] = '\0';
    ck_assert_int_eq(fclose(in), 0);
    return text;
}

static void write_file(const char *text)
{
    ck_assert_int_eq(kv_newfile_begin(&file, path, &fault), 0);
    ck_assert_int_eq(kv_newfile_write(&file, text, strlen(text), &fault), 0);
}

START_TEST(a_file_is_there_when_it_is_committed_and_not_before)
{
    write_file("new");
    ck_assert_ptr_null(content());
    ck_assert_int_eq(kv_newfile_commit(&file, &fault), 0);
    ck_assert_str_eq(content(), "new");
}
END_TEST

START_TEST(it_is_for_its_owner_only)
{
    struct stat st;
    write_file("new");
    ck_assert_int_eq(kv_newfile_commit(&file, &fault), 0);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 0777, 0600);
}
END_TEST

START_TEST(what_is_not_committed_leaves_the_old_one_and_nothing_else)
{
    write_file("old");
    ck_assert_int_eq(kv_newfile_commit(&file, &fault), 0);
    kv_newfile_done(&file);
    write_file("half");
    kv_newfile_done(&file);
    ck_assert_str_eq(content(), "old");
    /* teardown finds the directory empty but for it */
}
END_TEST

START_TEST(a_place_that_is_not_there_is_told)
{
    (void)snprintf(path, sizeof(path), "%s/none/file", dir);
    ck_assert_int_eq(kv_newfile_begin(&file, path, &fault), KV_EXIT_LOCAL);
    kv_buf_addc(&fault.message, '\0');
    ck_assert_ptr_nonnull(strstr(fault.message.data, "No such file or directory"));
}
END_TEST

KV_SUITE_WITH("cli_newfile", setup, teardown,
              a_file_is_there_when_it_is_committed_and_not_before,
              it_is_for_its_owner_only,
              what_is_not_committed_leaves_the_old_one_and_nothing_else,
              a_place_that_is_not_there_is_told)
