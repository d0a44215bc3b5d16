#include "config.h"

#include "base/cleanup.h"

#include "suite.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct kv_config config;
static struct kv_buf error;
static char file[] = "/tmp/kvfs-config.XXXXXX";
static bool file_made;

static void setup(void)
{
    config = (struct kv_config){0};
    error = (struct kv_buf){0};
}

static void teardown(void)
{
    kv_config_done(&config);
    kv_buf_done(&error);
    if (file_made)
        ck_assert_int_eq(unlink(file), 0);
    memcpy(file + sizeof(file) - 7, "XXXXXX", 6);
    file_made = false;
}

static void write_file(const char *text, size_t len)
{
    int fd = mkstemp(file);
    ck_assert_int_ge(fd, 0);
    file_made = true;
    ck_assert_int_eq(write(fd, text, len), (ssize_t)len);
    ck_assert_int_eq(close(fd), 0);
}

#define MAX_ARGUMENTS 16

/* kv_config_parse of these words; the name of the program is not among them. */
static int parse(const char *const *words)
{
    static char name[] = "kvfsd";
    char *argv[MAX_ARGUMENTS + 2] = {name};
    int argc = 1;
    for (; words[argc - 1]; argc++) {
        ck_assert_int_le(argc, MAX_ARGUMENTS);
        argv[argc] = strdup(words[argc - 1]);
    }
    kv_config_done(&config);
    kv_buf_reset(&error);
    int err = kv_config_parse(&config, argc, argv, &error);
    for (int i = 1; i < argc; i++)
        free(argv[i]);
    kv_buf_addc(&error, '\0');
    return err;
}

#define PARSE(...) parse((const char *const[]){__VA_ARGS__, NULL})

static void assert_refused(int err, const char *message)
{
    ck_assert_int_eq(err, -EINVAL);
    ck_assert_str_eq(error.data, message);
}

/* -- The command line -- */

START_TEST(defaults_are_those_of_the_store)
{
    struct kv_store_config store, expected;
    ck_assert_int_eq(parse((const char *const[]){NULL}), 0);
    ck_assert_str_eq(config.data, "/var/lib/kvfs");
    ck_assert_uint_eq(config.mounts.count, 0);
    ck_assert_ptr_null(config.socket);
    ck_assert_uint_eq(config.listen.count, 1);
    ck_assert_str_eq(config.listen.items[0], "127.0.0.1:5000");
    ck_assert_ptr_null(config.listen.items[1]);
    ck_assert(!config.allow_other && !config.insecure && !config.verbose);
    kv_config_store(&config, &store);
    kv_store_config_default(&expected);
    ck_assert_int_eq(store.sync, KV_SYNC_ALWAYS);
    ck_assert_uint_eq(store.cache_bytes, expected.cache_bytes);
    ck_assert_uint_eq(store.max_value_bytes, expected.max_value_bytes);
    ck_assert_uint_eq(store.max_store_bytes, expected.max_store_bytes);
    ck_assert_uint_eq(store.log_max_bytes, expected.log_max_bytes);
    ck_assert_uint_eq(store.log_max_events, expected.log_max_events);
    ck_assert_uint_eq(store.uid, getuid());
    ck_assert_str_eq(store.path, "/var/lib/kvfs");
}
END_TEST

START_TEST(every_kind_of_option_is_read)
{
    ck_assert_int_eq(PARSE("--data", "d", "--mount=m", "--socket=s", "--sync=interval",
                           "--sync-interval", "20", "--cache-size=8M", "--log-events=9",
                           "--allow-other", "-v", "--owner=65534:12"),
                     0);
    struct kv_store_config store;
    kv_config_store(&config, &store);
    ck_assert_str_eq(config.data, "d");
    ck_assert_uint_eq(config.mounts.count, 1);
    ck_assert_str_eq(config.mounts.items[0], "m");
    ck_assert_str_eq(config.socket, "s");
    ck_assert_int_eq(store.sync, KV_SYNC_INTERVAL);
    ck_assert_uint_eq(store.sync_interval_ms, 20);
    ck_assert_uint_eq(store.cache_bytes, 8 << 20);
    ck_assert_uint_eq(store.log_max_events, 9);
    ck_assert_uint_eq(store.uid, 65534);
    ck_assert_uint_eq(store.gid, 12);
    ck_assert(config.allow_other && config.verbose && !config.insecure);
}
END_TEST

START_TEST(a_list_grows_and_replaces_its_default)
{
    ck_assert_int_eq(PARSE("--listen", "[::1]:1", "--listen=127.0.0.1:2"), 0);
    ck_assert_uint_eq(config.listen.count, 2);
    ck_assert_str_eq(config.listen.items[0], "[::1]:1");
    ck_assert_str_eq(config.listen.items[1], "127.0.0.1:2");
    ck_assert_ptr_null(config.listen.items[2]);
}
END_TEST

START_TEST(none_is_an_empty_list_and_stands_alone)
{
    ck_assert_int_eq(PARSE("--listen=none"), 0);
    ck_assert_uint_eq(config.listen.count, 0);
    assert_refused(PARSE("--listen=none", "--listen=127.0.0.1:2"),
                   "--listen 'none' stands alone");
    assert_refused(PARSE("--listen=127.0.0.1:2", "--listen=none"),
                   "--listen 'none' stands alone");
}
END_TEST

START_TEST(mistakes_on_the_command_line_are_named)
{
    assert_refused(PARSE("--no-such"),
                   "unknown option '--no-such' (kvfsd --help lists what there is)");
    assert_refused(PARSE("--cach-size=1M"),
                   "unknown option '--cach-size=1M' (did you mean '--cache-size'?)");
    assert_refused(PARSE("-x"),
                   "unknown option '-x' (kvfsd --help lists what there is)");
    assert_refused(PARSE("--data"), "option '--data' needs a value (DIR)");
    assert_refused(PARSE("--verbose=1"), "option '--verbose' takes no value");
    assert_refused(PARSE("--data="), "--data must not be empty");
    assert_refused(PARSE("here"),
                   "unexpected argument 'here' (kvfsd --help lists what there is)");
    assert_refused(PARSE("--sync=sometimes"),
                   "--sync must be always, interval or off, not 'sometimes'");
    assert_refused(PARSE("--http-threads=0"),
                   "--http-threads must be a number from 1 to 1024, not '0'");
    assert_refused(PARSE("--http-threads=1025"),
                   "--http-threads must be a number from 1 to 1024, not '1025'");
    assert_refused(PARSE("--cache-size=1X"),
                   "--cache-size must be a size from 1M to 1T, not '1X'");
    assert_refused(PARSE("--cache-size=1023K"),
                   "--cache-size must be a size from 1M to 1T, not '1023K'");
    assert_refused(PARSE("--owner=no-such-user"),
                   "--owner there is no user 'no-such-user'");
    assert_refused(PARSE("--owner=0:no-such-group"),
                   "--owner there is no group 'no-such-group'");
}
END_TEST

START_TEST(limits_are_included)
{
    ck_assert_int_eq(PARSE("--cache-size=1M", "--http-threads=1024"), 0);
    ck_assert_uint_eq(config.cache_bytes, 1 << 20);
    ck_assert_uint_eq(config.http_threads, 1024);
    ck_assert_int_eq(PARSE("--max-store-size=64T"), 0);
    /* More than that cannot be mapped, which is said here and not by mmap. */
    ck_assert_int_eq(PARSE("--max-store-size=65T"), -EINVAL);
}
END_TEST

/* -- The file -- */

#define WRITE_FILE(text) write_file(KV_LIT(text))

START_TEST(a_file_sets_what_the_command_line_does_not)
{
    WRITE_FILE("# a comment\n"
               "\n"
               "data = /srv/kvfs data  \r\n"
               "  cache-size=16M\n"
               "allow-other = yes\n"
               "insecure = no\n"
               "listen = 127.0.0.1:1\n"
               "listen = 127.0.0.1:2\n"
               "log-events = 5"); /* no newline at the end */
    ck_assert_int_eq(PARSE("--config", file, "--cache-size=32M"), 0);
    ck_assert_str_eq(config.data, "/srv/kvfs data");
    ck_assert_uint_eq(config.cache_bytes, 32 << 20);
    ck_assert_uint_eq(config.log_max_events, 5);
    ck_assert(config.allow_other && !config.insecure);
    ck_assert_uint_eq(config.listen.count, 2);
    ck_assert_str_eq(config.listen.items[1], "127.0.0.1:2");
}
END_TEST

START_TEST(a_list_on_the_command_line_replaces_the_files)
{
    WRITE_FILE("listen = 127.0.0.1:1\nallow-host = a\n");
    ck_assert_int_eq(PARSE("--listen=127.0.0.1:3", "--config", file), 0);
    ck_assert_uint_eq(config.listen.count, 1);
    ck_assert_str_eq(config.listen.items[0], "127.0.0.1:3");
    ck_assert_uint_eq(config.allowed_hosts.count, 1);
    ck_assert_int_eq(PARSE("--config", file, "--listen=none"), 0);
    ck_assert_uint_eq(config.listen.count, 0);
}
END_TEST

static void assert_file_refused(const char *text, size_t len, const char *reason)
{
    char message[256];
    write_file(text, len);
    (void)snprintf(message, sizeof(message), "%s:%s", file, reason);
    assert_refused(PARSE("--config", file), message);
    ck_assert_int_eq(unlink(file), 0);
    memcpy(file + sizeof(file) - 7, "XXXXXX", 6);
    file_made = false;
}

START_TEST(mistakes_in_a_file_are_named_with_their_line)
{
    assert_file_refused(KV_LIT("data = x\n\nmonut = y\n"),
                        "3: unknown name 'monut' (did you mean 'mount'?)");
    assert_file_refused(KV_LIT("data\n"), "1: a line is \"name = value\"");
    assert_file_refused(KV_LIT("data =\n"), "1: data must not be empty");
    assert_file_refused(KV_LIT("sync = never\n"),
                        "1: sync must be always, interval or off, not 'never'");
    assert_file_refused(KV_LIT("insecure = 1\n"),
                        "1: insecure must be yes or no, not '1'");
    assert_file_refused(KV_LIT("config = other\n"),
                        "1: 'config' is for the command line only");
    assert_file_refused(KV_LIT("help = yes\n"),
                        "1: 'help' is for the command line only");
    assert_file_refused(KV_LIT("data = a\0b\n"), "1: the line holds a NUL byte");
}
END_TEST

START_TEST(a_file_that_is_not_there_is_an_error)
{
    assert_refused(PARSE("--config=/nonexistent/file"),
                   "/nonexistent/file: No such file or directory");
}
END_TEST

START_TEST(help_needs_nothing_else_to_be_in_order)
{
    ck_assert_int_eq(PARSE("--help", "--config=/nonexistent/file"), 0);
    ck_assert(config.help);
    ck_assert_int_eq(PARSE("--version"), 0);
    ck_assert(config.version);
}
END_TEST

/* -- Texts made from the table -- */

START_TEST(help_fits_80_columns_and_names_what_a_power_cut_costs)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf help = {0};
    kv_config_help(&help);
    kv_buf_addc(&help, '\0');
    ck_assert_int_eq(kv_buf_error(&help), 0);
    ck_assert_ptr_nonnull(strstr(help.data, "power cut"));
    ck_assert_ptr_nonnull(strstr(help.data, "(default 127.0.0.1:5000)"));
    for (const char *p = help.data; *p; p += strcspn(p, "\n") + 1)
        ck_assert_uint_le(strcspn(p, "\n"), 80);
}
END_TEST

START_TEST(the_settings_in_effect_can_be_read_back_as_a_file)
{
    ck_assert_int_eq(PARSE("--mount=m", "--listen=127.0.0.1:1", "--listen=[::1]:1",
                           "--cache-size=3M", "--sync=off", "--max-watches=5"),
                     0);
    char **text = kv_config_text(&config);
    ck_assert_ptr_nonnull(text);
    KV_CLEANUP(kv_buf_done) struct kv_buf whole = {0};
    for (char **line = text; *line; line++)
        kv_buf_addf(&whole, "%s\n", *line);
    kv_config_text_free(text);
    ck_assert_int_eq(kv_buf_error(&whole), 0);
    write_file(whole.data, whole.len);
    ck_assert_int_eq(PARSE("--config", file), 0);
    ck_assert_uint_eq(config.mounts.count, 1);
    ck_assert_str_eq(config.mounts.items[0], "m");
    ck_assert_uint_eq(config.listen.count, 2);
    ck_assert_uint_eq(config.cache_bytes, 3 << 20);
    ck_assert_uint_eq(config.max_watches, 5);
    ck_assert_int_eq(config.sync, KV_SYNC_OFF);
    ck_assert_ptr_null(config.socket);
}
END_TEST

KV_SUITE_WITH("config", setup, teardown, defaults_are_those_of_the_store,
              every_kind_of_option_is_read, a_list_grows_and_replaces_its_default,
              none_is_an_empty_list_and_stands_alone,
              mistakes_on_the_command_line_are_named, limits_are_included,
              a_file_sets_what_the_command_line_does_not,
              a_list_on_the_command_line_replaces_the_files,
              mistakes_in_a_file_are_named_with_their_line,
              a_file_that_is_not_there_is_an_error,
              help_needs_nothing_else_to_be_in_order,
              help_fits_80_columns_and_names_what_a_power_cut_costs,
              the_settings_in_effect_can_be_read_back_as_a_file)
