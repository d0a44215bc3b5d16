#include "mountspec.h"

#include "suite.h"

#include <errno.h>
#include <string.h>

static struct kv_mountspec spec;
static struct kv_buf error;

static void setup(void)
{
    spec = (struct kv_mountspec){0};
    error = (struct kv_buf){0};
}

static void teardown(void)
{
    kv_mountspec_done(&spec);
    kv_buf_done(&error);
}

static void refused(const char *text, const char *reason)
{
    kv_buf_reset(&error);
    ck_assert_int_eq(kv_mountspec_parse(text, &spec, &error), -EINVAL);
    kv_buf_addc(&error, '\0');
    ck_assert_str_eq(error.data, reason);
    kv_mountspec_done(&spec);
}

START_TEST(a_directory_alone_is_the_whole_store)
{
    ck_assert_int_eq(kv_mountspec_parse("/mnt/kv", &spec, &error), 0);
    ck_assert_str_eq(spec.path, "/mnt/kv");
    ck_assert_ptr_null(spec.subdir);
    ck_assert_ptr_null(spec.kernel);
    ck_assert(!spec.read_only && !spec.allow_other);
    ck_assert(!spec.view.has_uid && !spec.view.has_gid && spec.view.umask == 0);
}
END_TEST

START_TEST(every_option_is_read)
{
    ck_assert_int_eq(
        kv_mountspec_parse("m,ro,allow_other,subdir=a/b,uid=0,gid=7,umask=027,"
                           "nosuid,noexec",
                           &spec, &error),
        0);
    ck_assert_str_eq(spec.path, "m");
    ck_assert_str_eq(spec.subdir, "a/b");
    ck_assert_str_eq(spec.kernel, "nosuid,noexec");
    ck_assert(spec.read_only && spec.allow_other);
    ck_assert(spec.view.has_uid && spec.view.uid == 0);
    ck_assert(spec.view.has_gid && spec.view.gid == 7);
    ck_assert_uint_eq(spec.view.umask, 027);
}
END_TEST

START_TEST(the_last_of_two_options_counts)
{
    ck_assert_int_eq(kv_mountspec_parse("m,ro,rw,subdir=a,subdir=b", &spec, &error), 0);
    ck_assert(!spec.read_only);
    ck_assert_str_eq(spec.subdir, "b");
}
END_TEST

START_TEST(words_of_fstab_mean_nothing)
{
    ck_assert_int_eq(
        kv_mountspec_parse("m,defaults,,noauto,_netdev,nofail,x-systemd.a=1,"
                           "comment=c,default_permissions,user,user=joe,X-a.b,"
                           "strictatime",
                           &spec, &error),
        0);
    ck_assert_ptr_null(spec.kernel);
}
END_TEST

START_TEST(a_backslash_keeps_a_comma)
{
    ck_assert_int_eq(kv_mountspec_parse("/a\\,b,subdir=c\\,d", &spec, &error), 0);
    ck_assert_str_eq(spec.path, "/a,b");
    ck_assert_str_eq(spec.subdir, "c,d");
}
END_TEST

START_TEST(a_backslash_keeps_a_backslash)
{
    ck_assert_int_eq(kv_mountspec_parse("/a\\\\,ro,subdir=b\\c\\", &spec, &error), 0);
    ck_assert_str_eq(spec.path, "/a\\");
    ck_assert_str_eq(spec.subdir, "b\\c\\");
    ck_assert(spec.read_only);
}
END_TEST

START_TEST(a_directory_apart_from_its_options_keeps_its_commas)
{
    ck_assert_int_eq(kv_mountspec_make("/a,ro", "uid=1,fsname=/b\\,c", &spec, &error),
                     0);
    ck_assert_str_eq(spec.path, "/a,ro");
    ck_assert_str_eq(spec.source, "/b,c");
    ck_assert(!spec.read_only && spec.view.has_uid);
}
END_TEST

START_TEST(sloppy_ignores_what_is_unknown_behind_it)
{
    ck_assert_int_eq(kv_mountspec_make("/a", "sloppy,what,ro", &spec, &error), 0);
    ck_assert(spec.read_only);
    kv_mountspec_done(&spec);
    refused("/a,what,sloppy", "unknown mount option 'what'");
    refused("/a,sloppy,uid=x", "uid must be a number up to 4294967294, not 'x'");
}
END_TEST

START_TEST(what_is_wrong_is_said)
{
    refused("", "a mount is DIR[,OPTION]...");
    refused(",ro", "a mount is DIR[,OPTION]...");
    refused("m,root", "unknown mount option 'root'");
    refused("m,uidd=1", "unknown mount option 'uidd=1' (did you mean 'uid'?)");
    refused("m,ro=1", "mount option 'ro' takes no value");
    refused("m,uid", "mount option 'uid' needs a value");
    refused("m,uid=", "uid must be a number up to 4294967294, not ''");
    refused("m,uid=-1", "uid must be a number up to 4294967294, not '-1'");
    refused("m,gid=4294967295",
            "gid must be a number up to 4294967294, not '4294967295'");
    refused("m,umask=1000", "umask must be an octal number up to 777, not '1000'");
    refused("m,remount,ro", "options cannot be changed while it is mounted: unmount it "
                            "and mount it again");
    refused("m,subdir=", "subdir '': a key has at least one byte");
}
END_TEST

KV_SUITE_WITH("mountspec", setup, teardown, a_directory_alone_is_the_whole_store,
              every_option_is_read, the_last_of_two_options_counts,
              words_of_fstab_mean_nothing, a_backslash_keeps_a_comma,
              a_backslash_keeps_a_backslash,
              a_directory_apart_from_its_options_keeps_its_commas,
              sloppy_ignores_what_is_unknown_behind_it, what_is_wrong_is_said)
