#include "interrupt.h"

#include "suite.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>

static volatile sig_atomic_t before;

static void on_int(int signal)
{
    (void)signal;
    before++;
}

static void setup(void)
{
    struct sigaction action = {.sa_handler = on_int};
    before = 0;
    ck_assert_int_eq(sigaction(SIGINT, &action, NULL), 0);
}

START_TEST(a_ctrl_c_that_is_caught_is_noted_and_nothing_else)
{
    kv_interrupt_begin(true, 0);
    ck_assert_int_eq(kv_interrupt_state(), KV_INTERRUPT_NONE);
    ck_assert_int_eq(raise(SIGINT), 0);
    ck_assert_int_eq(kv_interrupt_state(), KV_INTERRUPT_USER);
    kv_interrupt_clear();
    ck_assert_int_eq(kv_interrupt_state(), KV_INTERRUPT_NONE);
    kv_interrupt_end();
    ck_assert_int_eq(before, 0);
}
END_TEST

START_TEST(one_that_is_not_caught_does_what_it_did)
{
    kv_interrupt_begin(false, 0);
    ck_assert_int_eq(raise(SIGINT), 0);
    ck_assert_int_eq(before, 1);
    ck_assert_int_eq(kv_interrupt_state(), KV_INTERRUPT_NONE);
    kv_interrupt_end();
}
END_TEST

START_TEST(at_the_end_it_does_again_what_it_did)
{
    kv_interrupt_begin(true, 0);
    kv_interrupt_end();
    ck_assert_int_eq(raise(SIGINT), 0);
    ck_assert_int_eq(before, 1);
}
END_TEST

START_TEST(the_end_of_the_time_ends_a_system_call_that_waits)
{
    kv_interrupt_begin(false, 20);
    ck_assert_int_eq(poll(NULL, 0, 60000), -1);
    ck_assert_int_eq(errno, EINTR);
    while (kv_interrupt_state() == KV_INTERRUPT_NONE) /* timers are a little apart */
        (void)poll(NULL, 0, 60000);
    ck_assert_int_eq(kv_interrupt_state(), KV_INTERRUPT_TIME);
    kv_interrupt_end();
    ck_assert_int_eq(kv_interrupt_state(), KV_INTERRUPT_NONE);
}
END_TEST

START_TEST(a_wait_within_one_that_catches_leaves_it_catching)
{
    kv_interrupt_begin(true, 0);
    kv_interrupt_begin(true, 60000);
    ck_assert_int_eq(raise(SIGINT), 0);
    ck_assert_int_eq(kv_interrupt_state(), KV_INTERRUPT_USER);
    kv_interrupt_end();
    kv_interrupt_clear();
    ck_assert_int_eq(raise(SIGINT), 0);
    ck_assert_int_eq(kv_interrupt_state(), KV_INTERRUPT_USER);
    kv_interrupt_end();
    ck_assert_int_eq(before, 0);
}
END_TEST

KV_SUITE_WITH("cli_interrupt", setup, NULL,
              a_ctrl_c_that_is_caught_is_noted_and_nothing_else,
              one_that_is_not_caught_does_what_it_did,
              at_the_end_it_does_again_what_it_did,
              the_end_of_the_time_ends_a_system_call_that_waits,
              a_wait_within_one_that_catches_leaves_it_catching)
