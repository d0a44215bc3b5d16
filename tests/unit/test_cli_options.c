#include "options.h"

#include "base/cleanup.h"

#include "suite.h"

#include <string.h>

static struct kv_args args;
static struct kv_fault fault;
static char *argv[16];

static void setup(void)
{
    args = (struct kv_args){0};
    fault = (struct kv_fault){0};
}

static void forget_words(void)
{
    for (size_t i = 0; i < sizeof(argv) / sizeof(argv[0]); i++) {
        free(argv[i]);
        argv[i] = NULL;
    }
}

static void teardown(void)
{
    kv_fault_done(&fault);
    forget_words();
}

#define SOME (KV_OPT_COMMON | KV_OPT_BIT(KV_OPT_LONG) | KV_OPT_BIT(KV_OPT_PREFIX))

static int parse(bool stop_at_operand, const char *const *words)
{
    int argc = 0;
    forget_words();
    for (; words[argc]; argc++)
        argv[argc] = strdup(words[argc]);
    return kv_options_parse(&args, argc, argv, SOME, stop_at_operand, "kv ls", &fault);
}

#define PARSE(...) parse(false, (const char *const[]){"ls", __VA_ARGS__, NULL})

static void assert_fault(int status, const char *message, const char *hint)
{
    ck_assert_int_eq(status, KV_EXIT_USAGE);
    kv_buf_addc(&fault.message, '\0');
    kv_buf_addc(&fault.hint, '\0');
    ck_assert_str_eq(fault.message.data, message);
    ck_assert_str_eq(fault.hint.data, hint);
}

START_TEST(options_and_operands_may_be_mixed)
{
    ck_assert_int_eq(PARSE("a", "-l", "b", "--prefix", "p", "-ojson", "c"), 0);
    ck_assert(kv_option_given(&args, KV_OPT_LONG));
    ck_assert_str_eq(args.values[KV_OPT_PREFIX], "p");
    ck_assert_str_eq(args.values[KV_OPT_OUTPUT], "json");
    ck_assert(!kv_option_given(&args, KV_OPT_URL));
    ck_assert_int_eq(args.count, 3);
    ck_assert_str_eq(args.operands[0], "a");
    ck_assert_str_eq(args.operands[2], "c");
}
END_TEST

START_TEST(two_dashes_end_the_options)
{
    ck_assert_int_eq(PARSE("k", "--", "-v"), 0);
    ck_assert_int_eq(args.count, 2);
    ck_assert_str_eq(args.operands[1], "-v");
    ck_assert(!kv_option_given(&args, KV_OPT_VERBOSE));
}
END_TEST

START_TEST(an_empty_operand_is_one)
{
    ck_assert_int_eq(PARSE("k", ""), 0);
    ck_assert_int_eq(args.count, 2);
    ck_assert_str_eq(args.operands[1], "");
}
END_TEST

START_TEST(the_first_operand_ends_the_options_before_a_command)
{
    const char *const words[] = {"kv", "--url", "u", "ls", "-l", NULL};
    ck_assert_int_eq(parse(true, words), 0);
    ck_assert_str_eq(args.values[KV_OPT_URL], "u");
    ck_assert(!kv_option_given(&args, KV_OPT_LONG));
    ck_assert_int_eq(args.count, 2);
    ck_assert_str_eq(args.operands[0], "ls");
}
END_TEST

START_TEST(what_was_given_before_stays)
{
    args.values[KV_OPT_URL] = "first";
    ck_assert_int_eq(PARSE("-l"), 0);
    ck_assert_str_eq(args.values[KV_OPT_URL], "first");
    ck_assert_int_eq(PARSE("--url=second"), 0);
    ck_assert_str_eq(args.values[KV_OPT_URL], "second");
}
END_TEST

START_TEST(mistakes_are_named_and_hinted_at)
{
    assert_fault(PARSE("--lnog"), "unknown option '--lnog'", "did you mean '--long'?");
    assert_fault(PARSE("--prefx=a"), "unknown option '--prefx=a'",
                 "did you mean '--prefix'?");
    assert_fault(PARSE("--nonsense"), "unknown option '--nonsense'",
                 "see 'kv ls --help'; '--' ends the options");
    assert_fault(PARSE("-5"), "'kv ls' has no option '-5'",
                 "see 'kv ls --help'; '--' ends the options");
    assert_fault(PARSE("--ttl=5"), "'kv ls' has no option '--ttl'", "");
    assert_fault(PARSE("--prefix"), "option '--prefix' needs a value (TEXT)", "");
    assert_fault(PARSE("-o"), "option '--output' needs a value (FORMAT)", "");
    assert_fault(PARSE("--long=yes"), "option '--long' takes no value", "");
}
END_TEST

START_TEST(a_command_that_mounts_has_o_for_its_own_options)
{
    char *words[] = {(char[]){"mount"}, (char[]){"-oro"}, NULL};
    ck_assert_int_eq(kv_options_parse(&args, 2, words,
                                      KV_OPT_COMMON | KV_OPT_BIT(KV_OPT_OPTIONS), false,
                                      "kv mount", &fault),
                     0);
    ck_assert_str_eq(args.values[KV_OPT_OPTIONS], "ro");
    ck_assert_ptr_null(args.values[KV_OPT_OUTPUT]);
}
END_TEST

START_TEST(the_help_page_names_the_options_asked_for)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    kv_options_help(&out, KV_OPT_BIT(KV_OPT_LONG) | KV_OPT_BIT(KV_OPT_PREFIX), 0);
    kv_buf_addc(&out, '\0');
    ck_assert_ptr_nonnull(strstr(out.data, "  -l, --long "));
    ck_assert_ptr_nonnull(strstr(out.data, "      --prefix TEXT "));
    ck_assert_ptr_null(strstr(out.data, "--url"));
}
END_TEST

KV_SUITE_WITH("cli_options", setup, teardown, options_and_operands_may_be_mixed,
              two_dashes_end_the_options, an_empty_operand_is_one,
              the_first_operand_ends_the_options_before_a_command,
              what_was_given_before_stays, mistakes_are_named_and_hinted_at,
              a_command_that_mounts_has_o_for_its_own_options,
              the_help_page_names_the_options_asked_for)
