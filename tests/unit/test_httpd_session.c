#include "httpd/dialects/session.h"

#include "base/clock.h"
#include "suite.h"

#include <errno.h>
#include <string.h>

#define PING_NS (KV_SESSION_PING_INTERVAL_MS * KV_NS_PER_MS)
#define END_NS (PING_NS + KV_SESSION_PING_TIMEOUT_MS * KV_NS_PER_MS)
#define SESSIONS 3

/* A poll: asleep or not, and how often it was woken. */
struct poll {
    bool asleep;
    int wakes;
};

static bool rouse(void *poll)
{
    return ((struct poll *)poll)->asleep;
}

static void wake(void *poll)
{
    struct poll *sleeper = poll;
    ck_assert(sleeper->asleep);
    sleeper->asleep = false;
    sleeper->wakes++;
}

static const struct kv_caller nobody;
static struct kv_sessions *sessions;
static char sid[KV_SESSION_SID_SIZE];
static struct poll poller;
static struct kv_session *session;
static struct kv_session_turn turn;
static struct kv_buf out;

static void setup(void)
{
    static const struct kv_session_waker waker = {rouse, wake};
    sessions = kv_sessions_new(SESSIONS, &waker);
    ck_assert_ptr_nonnull(sessions);
    ck_assert_int_eq(kv_session_open(sessions, 0, &nobody, sid), 0);
    poller = (struct poll){0};
    session = NULL;
    out = (struct kv_buf){0};
}

static void teardown(void)
{
    if (session)
        kv_session_release(session);
    kv_sessions_free(sessions);
    kv_buf_done(&out);
}

static int take_at(int64_t now_ns, const char *payload)
{
    return kv_session_take(sessions, sid, strlen(sid), payload, strlen(payload),
                           now_ns);
}

static int take(const char *payload)
{
    return take_at(0, payload);
}

static void begin_poll(void)
{
    ck_assert_int_eq(kv_session_poll(sessions, sid, strlen(sid), &poller, &session), 0);
}

/* What there is to say. */
static const char *say_at(int64_t now_ns)
{
    kv_buf_reset(&out);
    kv_session_turn(session, now_ns, &out, &turn);
    kv_buf_addc(&out, '\0');
    ck_assert_int_eq(kv_buf_error(&out), 0);
    return out.data;
}

static const char *say(void)
{
    return say_at(0);
}

START_TEST(session_ids_are_long_and_differ)
{
    char other[KV_SESSION_SID_SIZE];
    ck_assert_int_eq(kv_session_open(sessions, 0, &nobody, other), 0);
    ck_assert_uint_eq(strlen(sid), KV_SESSION_SID_SIZE - 1);
    ck_assert_uint_eq(strlen(other), KV_SESSION_SID_SIZE - 1);
    ck_assert_str_ne(sid, other);
}
END_TEST

START_TEST(session_limit_is_kept_and_a_place_comes_back)
{
    char other[KV_SESSION_SID_SIZE];
    ck_assert_int_eq(take("40"), 0);
    for (int i = 1; i < SESSIONS; i++) {
        ck_assert_int_eq(kv_session_open(sessions, 0, &nobody, other), 0);
        ck_assert_int_eq(
            kv_session_take(sessions, other, strlen(other), KV_LIT("40"), 0), 0);
    }
    ck_assert_int_eq(kv_session_open(sessions, 0, &nobody, other), -EMFILE);
    ck_assert_uint_eq(kv_sessions_count(sessions), SESSIONS);
    ck_assert_int_eq(take("1"), 0);
    ck_assert_int_eq(kv_session_open(sessions, 0, &nobody, other), 0);
}
END_TEST

START_TEST(session_that_nothing_came_of_makes_room)
{
    char idle[KV_SESSION_SID_SIZE], next[KV_SESSION_SID_SIZE],
        other[KV_SESSION_SID_SIZE];
    ck_assert_int_eq(take("40"), 0);
    ck_assert_int_eq(kv_session_open(sessions, 0, &nobody, idle), 0);
    ck_assert_int_eq(kv_session_open(sessions, 0, &nobody, next), 0);
    ck_assert_int_eq(kv_session_open(sessions, 0, &nobody, other), 0);
    ck_assert(kv_session_exists(sessions, sid, strlen(sid)));
    ck_assert(!kv_session_exists(sessions, idle, strlen(idle)));
    ck_assert(kv_session_exists(sessions, next, strlen(next)));
    ck_assert_uint_eq(kv_sessions_count(sessions), SESSIONS);
}
END_TEST

START_TEST(session_that_polled_twice_keeps_its_place)
{
    char other[KV_SESSION_SID_SIZE];
    for (int i = 0; i < 2; i++) {
        begin_poll();
        kv_session_release(KV_STEAL(session));
    }
    for (int i = 0; i < 2 * SESSIONS; i++)
        ck_assert_int_eq(kv_session_open(sessions, 0, &nobody, other), 0);
    ck_assert(kv_session_exists(sessions, sid, strlen(sid)));
}
END_TEST

START_TEST(first_poll_of_a_session_that_makes_room_is_woken)
{
    char other[KV_SESSION_SID_SIZE];
    begin_poll();
    poller.asleep = true;
    for (int i = 0; i < SESSIONS; i++)
        ck_assert_int_eq(kv_session_open(sessions, 0, &nobody, other), 0);
    ck_assert_int_eq(poller.wakes, 1);
    ck_assert_str_eq(say(), "1");
    ck_assert(turn.ended);
    ck_assert_uint_eq(kv_sessions_count(sessions), SESSIONS);
}
END_TEST

START_TEST(session_ids_that_are_none_are_unknown)
{
    ck_assert_int_eq(kv_session_take(sessions, KV_LIT("x"), KV_LIT("3"), 0), -ENOENT);
    ck_assert_int_eq(kv_session_take(sessions, "", 0, KV_LIT("3"), 0), -ENOENT);
    ck_assert_int_eq(kv_session_poll(sessions, sid, strlen(sid) - 1, &poller, &session),
                     -ENOENT);
    ck_assert_ptr_null(session);
}
END_TEST

START_TEST(session_tells_a_client_that_it_joined_once)
{
    begin_poll();
    ck_assert_str_eq(say(), "");
    ck_assert(!turn.joined);
    ck_assert_int_eq(take("40{}"), 0);
    const char *said = say();
    ck_assert_int_eq(strncmp(said, "40{\"sid\":\"", 10), 0);
    ck_assert_ptr_null(
        strstr(said, sid)); /* whoever hears that name cannot poll by it */
    ck_assert(turn.joined && turn.began);
    ck_assert_uint_eq(turn.packets, 1);
    ck_assert_str_eq(say(), "");
    ck_assert(turn.joined && !turn.began);
    ck_assert_int_eq(take("41"), 0);
    ck_assert_str_eq(say(), "");
    ck_assert(!turn.joined);
}
END_TEST

START_TEST(session_goes_by_the_last_that_a_payload_says)
{
    begin_poll();
    ck_assert_int_eq(take("41\x1e"
                          "40"),
                     0);
    say();
    ck_assert(turn.joined && turn.began);
    ck_assert_int_eq(take("40\x1e"
                          "41"),
                     0);
    ck_assert_str_eq(say(), "");
    ck_assert(!turn.joined);
}
END_TEST

START_TEST(session_refuses_other_namespaces)
{
    begin_poll();
    ck_assert_int_eq(take("40/a,{}\x1e"
                          "40/b,"),
                     0);
    ck_assert_str_eq(say(), "44/a,{\"message\":\"Invalid namespace\"}\x1e"
                            "44/b,{\"message\":\"Invalid namespace\"}");
    ck_assert_uint_eq(turn.packets, 2);
    ck_assert(!turn.joined && !turn.ended);
}
END_TEST

START_TEST(session_ends_when_too_many_replies_wait)
{
    for (int i = 0; i < KV_SESSION_REPLIES_MAX; i++)
        ck_assert_int_eq(take("40/a"), 0);
    ck_assert_int_eq(take("40/a"), -ENOBUFS);
    ck_assert_int_eq(take("3"), -ENOENT);
    ck_assert_uint_eq(kv_sessions_count(sessions), 0);
}
END_TEST

START_TEST(session_wakes_its_poll)
{
    begin_poll();
    poller.asleep = true;
    ck_assert_int_eq(take("40"), 0);
    ck_assert_int_eq(poller.wakes, 1);
    ck_assert_int_eq(take("42[\"x\"]"), 0); /* it is awake */
    ck_assert_int_eq(poller.wakes, 1);
}
END_TEST

START_TEST(session_pings_and_a_pong_keeps_it)
{
    begin_poll();
    ck_assert_str_eq(say_at(PING_NS - 1), "");
    ck_assert_int_eq(turn.until_ns, PING_NS);
    ck_assert_str_eq(say_at(PING_NS), "2");
    ck_assert_int_eq(turn.until_ns, END_NS);
    ck_assert_str_eq(say_at(END_NS - 1), "");
    ck_assert_int_eq(take_at(END_NS - 1, "3"), 0);
    ck_assert_str_eq(say_at(END_NS), "");
    ck_assert(!turn.ended);
    ck_assert_int_eq(turn.until_ns, END_NS - 1 + PING_NS);
    ck_assert_str_eq(say_at(END_NS - 1 + PING_NS), "2");
}
END_TEST

START_TEST(session_ends_without_a_pong)
{
    begin_poll();
    ck_assert_str_eq(say_at(PING_NS), "2");
    kv_sessions_tick(sessions, END_NS);
    ck_assert_uint_eq(kv_sessions_count(sessions), 1); /* its poll sees to it */
    ck_assert_str_eq(say_at(END_NS), "");
    ck_assert(turn.ended);
    ck_assert_uint_eq(kv_sessions_count(sessions), 0);
    ck_assert_int_eq(take("3"), -ENOENT);
}
END_TEST

START_TEST(session_ends_when_nobody_polls)
{
    kv_sessions_tick(sessions, END_NS - 1);
    ck_assert_uint_eq(kv_sessions_count(sessions), 1);
    kv_sessions_tick(sessions, END_NS);
    ck_assert_uint_eq(kv_sessions_count(sessions), 0);
}
END_TEST

START_TEST(session_ends_when_its_client_closes_it)
{
    begin_poll();
    poller.asleep = true;
    ck_assert_int_eq(take("41\x1e"
                          "1"),
                     0);
    ck_assert_int_eq(poller.wakes, 1);
    ck_assert_int_eq(take("3"), -ENOENT);
    ck_assert_str_eq(say(), "6");
    ck_assert(turn.ended);
    ck_assert_str_eq(say(), ""); /* once */
}
END_TEST

START_TEST(session_ends_with_a_second_poll)
{
    struct poll other = {0};
    struct kv_session *mine = NULL;
    begin_poll();
    poller.asleep = true;
    ck_assert_int_eq(kv_session_poll(sessions, sid, strlen(sid), &other, &mine),
                     -EBUSY);
    ck_assert_ptr_null(mine);
    ck_assert_int_eq(poller.wakes, 1);
    ck_assert_str_eq(say(), "1");
    ck_assert(turn.ended);
}
END_TEST

START_TEST(session_can_be_polled_again)
{
    begin_poll();
    kv_session_position(session)->cursor.revision = 7;
    kv_session_release(session);
    ck_assert_int_eq(take("40"), 0);
    begin_poll();
    ck_assert_uint_eq(kv_session_position(session)->cursor.revision, 7);
    say();
    ck_assert(turn.began);
}
END_TEST

START_TEST(session_ends_when_its_client_breaks_the_protocol)
{
    static const char *const wrong[] = {"abc", "",     "2",    "0",    "5",
                                        "6",   "4abc", "44{}", "3\x1e"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        ck_assert_msg(take(wrong[i]) == -EINVAL, "%s", wrong[i]);
        ck_assert_int_eq(take("3"), -ENOENT);
        ck_assert_int_eq(kv_session_open(sessions, 0, &nobody, sid), 0);
    }
}
END_TEST

START_TEST(session_ignores_events_and_bytes)
{
    ck_assert_int_eq(take("42[\"hi\"]\x1e"
                          "451-[\"x\",{\"_placeholder\":true,\"num\":0}]\x1e"
                          "b/w==\x1e"
                          "430[]"),
                     0);
    begin_poll();
    ck_assert_str_eq(say(), "");
}
END_TEST

START_TEST(session_that_its_poll_ends_is_gone)
{
    begin_poll();
    kv_session_end(session);
    kv_session_end(session);
    ck_assert_int_eq(take("3"), -ENOENT);
    ck_assert_str_eq(say(), "");
    ck_assert(turn.ended);
}
END_TEST

KV_SUITE_WITH("httpd_session", setup, teardown, session_ids_are_long_and_differ,
              session_limit_is_kept_and_a_place_comes_back,
              session_that_nothing_came_of_makes_room,
              session_that_polled_twice_keeps_its_place,
              first_poll_of_a_session_that_makes_room_is_woken,
              session_ids_that_are_none_are_unknown,
              session_tells_a_client_that_it_joined_once,
              session_goes_by_the_last_that_a_payload_says,
              session_refuses_other_namespaces, session_ends_when_too_many_replies_wait,
              session_wakes_its_poll, session_pings_and_a_pong_keeps_it,
              session_ends_without_a_pong, session_ends_when_nobody_polls,
              session_ends_when_its_client_closes_it, session_ends_with_a_second_poll,
              session_can_be_polled_again,
              session_ends_when_its_client_breaks_the_protocol,
              session_ignores_events_and_bytes, session_that_its_poll_ends_is_gone)
