#include "mountcmd.h"

#include "base/cleanup.h"

#include "suite.h"

#include <errno.h>
#include <string.h>

static struct kv_mountcmd cmd;
static struct kv_buf error;

static void setup(void)
{
    cmd = (struct kv_mountcmd){0};
    error = (struct kv_buf){0};
}

static void teardown(void)
{
    kv_mountcmd_done(&cmd);
    kv_buf_done(&error);
}

#define MAX_ARGUMENTS 16

/* The words lie here: cmd points into them. */
static char words[MAX_ARGUMENTS][256];

static int parse(const char *const *given)
{
    char *argv[MAX_ARGUMENTS + 1] = {0};
    int argc = 0;
    for (; given[argc]; argc++) {
        ck_assert_int_lt(argc, MAX_ARGUMENTS);
        ck_assert_uint_lt(strlen(given[argc]), sizeof(words[argc]));
        strcpy(words[argc], given[argc]);
        argv[argc] = words[argc];
    }
    kv_mountcmd_done(&cmd);
    kv_buf_reset(&error);
    return kv_mountcmd_parse(&cmd, argc, argv, &error);
}

#define PARSE(...) parse((const char *const[]){"mount.fuse.kvfs", __VA_ARGS__, NULL})

static void refused(int err, const char *reason)
{
    ck_assert_int_eq(err, -EINVAL);
    kv_buf_addc(&error, '\0');
    ck_assert_str_eq(error.data, reason);
}

#define USAGE                                                                          \
    "usage: SOURCE DIR [-sfnv] [-N NAMESPACE] [-t TYPE] [-o OPTION[,OPTION]...]"

START_TEST(the_helper_is_known_by_its_name)
{
    ck_assert(kv_mountcmd_is_name("/sbin/mount.fuse.kvfs"));
    ck_assert(kv_mountcmd_is_name("mount.kvfs"));
    ck_assert(!kv_mountcmd_is_name("/usr/bin/kvfsd"));
    ck_assert(!kv_mountcmd_is_name("/mount.kvfs/kvfsd"));
}
END_TEST

START_TEST(mount_8_passes_source_directory_and_options)
{
    ck_assert_int_eq(PARSE("/data", "/mnt", "-v", "-n", "-o", "rw,subdir=a", "-t",
                           "fuse.kvfs", "-N", "/proc/1/ns/mnt"),
                     0);
    ck_assert_str_eq(cmd.source, "/data");
    ck_assert_str_eq(cmd.dir, "/mnt");
    ck_assert_str_eq(cmd.options.data, "fsname=/data,rw,subdir=a");
    ck_assert_str_eq(cmd.name_space, "/proc/1/ns/mnt");
    ck_assert(!cmd.fake);
}
END_TEST

START_TEST(options_of_the_daemon_are_kept_apart)
{
    ck_assert_int_eq(PARSE("/data", "/mnt", "-o", "ro,log=/a\\,b,socket=/s", "-o",
                           "config=/c,listen=[::1]:1,uid=1"),
                     0);
    ck_assert_str_eq(cmd.options.data, "fsname=/data,ro,uid=1");
    ck_assert_str_eq(cmd.log, "/a,b");
    ck_assert_str_eq(cmd.socket, "/s");
    ck_assert_str_eq(cmd.config, "/c");
    ck_assert_str_eq(cmd.listen, "[::1]:1");
    ck_assert_int_eq(PARSE("/data", "/mnt", "-o", "log=syslog"), 0);
    ck_assert_str_eq(cmd.log, "syslog");
}
END_TEST

START_TEST(commas_in_the_source_are_kept)
{
    ck_assert_int_eq(PARSE("/a,b", "/c,d", "-o", "fsname=x\\,y"), 0);
    ck_assert_str_eq(cmd.options.data, "fsname=/a\\,b,fsname=x\\,y");
}
END_TEST

START_TEST(backslashes_in_the_source_are_kept)
{
    ck_assert_int_eq(PARSE("/a\\", "/c", "-o", "ro,log=/b\\\\,uid=1"), 0);
    ck_assert_str_eq(cmd.options.data, "fsname=/a\\\\,ro,uid=1");
    ck_assert_str_eq(cmd.log, "/b\\");
}
END_TEST

START_TEST(sloppy_and_fake_are_understood)
{
    ck_assert_int_eq(PARSE("/data", "/mnt", "-s", "-f", "-o", "what"), 0);
    ck_assert_str_eq(cmd.options.data, "fsname=/data,sloppy,what");
    ck_assert(cmd.fake);
}
END_TEST

START_TEST(what_is_wrong_is_said)
{
    refused(PARSE("/data"), USAGE);
    refused(PARSE("/data", "/mnt", "/more"), USAGE);
    refused(PARSE("/data", "/mnt", "-x"), USAGE);
    refused(PARSE("/data", "/mnt", "-o"), USAGE);
    refused(PARSE("/data", "/mnt", "-o", "what"), "unknown mount option 'what'");
    refused(PARSE("/data", "/mnt", "-o", "log=x"),
            "mount option 'log' must be an absolute path, not 'x'");
    refused(PARSE("/data", "/mnt", "-o", "config=syslog"),
            "mount option 'config' must be an absolute path, not 'syslog'");
}
END_TEST

KV_SUITE_WITH("mountcmd", setup, teardown, the_helper_is_known_by_its_name,
              mount_8_passes_source_directory_and_options,
              options_of_the_daemon_are_kept_apart, commas_in_the_source_are_kept,
              backslashes_in_the_source_are_kept, sloppy_and_fake_are_understood,
              what_is_wrong_is_said)
