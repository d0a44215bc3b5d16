#include "source.h"

#include "base/cleanup.h"
#include "http.h"

#include "suite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct kv_fault fault;

static void setup(void)
{
    fault = (struct kv_fault){0};
}

static void teardown(void)
{
    kv_fault_done(&fault);
}

/* The whole value, in pieces of at most step bytes. */
static void read_all(const struct kv_source *source, size_t step, struct kv_buf *out)
{
    for (;;) {
        ck_assert_int_eq(kv_buf_reserve(out, step), 0);
        ssize_t n = kv_source_read(source, out->len, out->data + out->len, step);
        ck_assert_int_ge(n, 0);
        if (n == 0)
            return;
        out->len += (size_t)n;
    }
}

START_TEST(bytes_are_read_where_they_lie)
{
    KV_CLEANUP(kv_source_done) struct kv_source source;
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    kv_source_bytes(&source, KV_LIT("a\0bcdefg"));
    ck_assert_uint_eq(source.size, 8);
    read_all(&source, 3, &out);
    ck_assert_bytes(out.data, out.len, "a\0bcdefg");
}
END_TEST

START_TEST(a_file_is_read_from_where_its_descriptor_stands)
{
    KV_CLEANUP(kv_close) int fd = memfd_create("test", MFD_CLOEXEC);
    KV_CLEANUP(kv_source_done) struct kv_source source = {.fd = -1};
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    ck_assert_int_eq(write(fd, "0123456789", 10), 10);
    ck_assert_int_eq(lseek(fd, 4, SEEK_SET), 4);
    ck_assert_int_eq(kv_source_fd(&source, fd, &fault), 0);
    ck_assert_uint_eq(source.size, 6);
    read_all(&source, 4, &out);
    ck_assert_bytes(out.data, out.len, "456789");
}
END_TEST

START_TEST(a_file_that_shrinks_is_an_error_not_a_short_value)
{
    KV_CLEANUP(kv_close) int fd = memfd_create("test", MFD_CLOEXEC);
    KV_CLEANUP(kv_source_done) struct kv_source source = {.fd = -1};
    char buffer[16];
    ck_assert_int_eq(write(fd, "0123456789", 10), 10);
    ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
    ck_assert_int_eq(kv_source_fd(&source, fd, &fault), 0);
    ck_assert_int_eq(ftruncate(fd, 3), 0);
    ck_assert_int_eq(kv_source_read(&source, 0, buffer, sizeof(buffer)), 3);
    ck_assert_int_eq(kv_source_read(&source, 3, buffer, sizeof(buffer)), -EIO);
}
END_TEST

START_TEST(a_pipe_is_read_to_its_end_first)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    KV_CLEANUP(kv_close) int from = ends[0];
    KV_CLEANUP(kv_source_done) struct kv_source source = {.fd = -1};
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    ck_assert_int_eq(write(ends[1], "x\0y", 3), 3);
    ck_assert_int_eq(close(ends[1]), 0);
    ck_assert_int_eq(kv_source_fd(&source, from, &fault), 0);
    ck_assert_uint_eq(source.size, 3);
    read_all(&source, 100, &out);
    ck_assert_bytes(out.data, out.len, "x\0y");
    out.len = 0;
    read_all(&source, 1, &out); /* once more, as when a request is repeated */
    ck_assert_bytes(out.data, out.len, "x\0y");
}
END_TEST

START_TEST(a_stream_is_read_as_it_comes)
{
    int ends[2];
    char buffer[16];
    ck_assert_int_eq(pipe(ends), 0);
    KV_CLEANUP(kv_close) int from = ends[0];
    KV_CLEANUP(kv_close) int to = ends[1];
    KV_CLEANUP(kv_source_done) struct kv_source source = {.fd = -1};
    ck_assert_int_eq(kv_source_stream(&source, from, &fault), 0);
    ck_assert_uint_eq(source.size, 0);
    ck_assert_int_eq(write(to, "ab", 2), 2);
    ck_assert_int_eq(kv_source_read(&source, 0, buffer, sizeof(buffer)), 2);
    ck_assert_int_eq(write(to, "c", 1), 1); /* it was not asked for before */
    ck_assert_int_eq(kv_source_read(&source, 2, buffer, sizeof(buffer)), 1);
    ck_assert_int_eq(buffer[0], 'c');
    ck_assert_int_eq(close(to), 0);
    to = -1;
    ck_assert_int_eq(kv_source_read(&source, 3, buffer, sizeof(buffer)), 0);
}
END_TEST

START_TEST(a_file_as_a_stream_tells_its_size)
{
    KV_CLEANUP(kv_close) int fd = memfd_create("test", MFD_CLOEXEC);
    KV_CLEANUP(kv_source_done) struct kv_source source = {.fd = -1};
    ck_assert_int_eq(write(fd, "0123456789", 10), 10);
    ck_assert_int_eq(lseek(fd, 4, SEEK_SET), 4);
    ck_assert_int_eq(kv_source_stream(&source, fd, &fault), 0);
    ck_assert_uint_eq(source.size, 6);
}
END_TEST

START_TEST(what_cannot_be_read_is_told)
{
    KV_CLEANUP(kv_source_done) struct kv_source source = {.fd = -1};
    KV_CLEANUP(kv_close) int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(kv_source_fd(&source, fd, &fault), KV_EXIT_LOCAL);
    kv_buf_addc(&fault.message, '\0');
    ck_assert_str_eq(fault.message.data, "cannot read the value: Is a directory");
}
END_TEST

START_TEST(keys_in_addresses_are_encoded_byte_by_byte)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    kv_http_encode(&out, "a/B-9_.~ %?#+&=\xc3\xa9\x01");
    ck_assert_bytes(out.data, out.len, "a/B-9_.~%20%25%3F%23%2B%26%3D%C3%A9%01");
}
END_TEST

KV_SUITE_WITH("cli_source", setup, teardown, bytes_are_read_where_they_lie,
              a_file_is_read_from_where_its_descriptor_stands,
              a_file_that_shrinks_is_an_error_not_a_short_value,
              a_pipe_is_read_to_its_end_first, a_stream_is_read_as_it_comes,
              a_file_as_a_stream_tells_its_size, what_cannot_be_read_is_told,
              keys_in_addresses_are_encoded_byte_by_byte)
