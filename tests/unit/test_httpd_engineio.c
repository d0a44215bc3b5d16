#include "httpd/dialects/engineio.h"

#include "base/cleanup.h"
#include "suite.h"

#include <errno.h>
#include <string.h>

/* What a payload comes to: the types of its packets, and '!' where it is malformed. */
static const char *types_of(const char *payload, size_t len)
{
    static char types[32];
    struct kv_eio_packet packet;
    size_t offset = 0, count = 0;
    int step;
    while ((step = kv_eio_next(payload, len, &offset, &packet)) == 1) {
        ck_assert_uint_lt(count, sizeof(types) - 2);
        types[count++] = (char)packet.type;
    }
    if (step < 0) {
        ck_assert_int_eq(step, -EINVAL);
        types[count++] = '!';
    }
    types[count] = '\0';
    return types;
}

START_TEST(engineio_steps_through_the_packets_of_a_payload)
{
    static const char payload[] = "40{}\x1e"
                                  "3\x1e"
                                  "b/w==";
    struct kv_eio_packet packet;
    size_t offset = 0;
    ck_assert_int_eq(kv_eio_next(KV_LIT(payload), &offset, &packet), 1);
    ck_assert_int_eq(packet.type, KV_EIO_MESSAGE);
    ck_assert_bytes(packet.data.data, packet.data.len, "0{}");
    ck_assert_int_eq(kv_eio_next(KV_LIT(payload), &offset, &packet), 1);
    ck_assert_int_eq(packet.type, KV_EIO_PONG);
    ck_assert_uint_eq(packet.data.len, 0);
    ck_assert_int_eq(kv_eio_next(KV_LIT(payload), &offset, &packet), 1);
    ck_assert_int_eq(packet.type, KV_EIO_BINARY);
    ck_assert_bytes(packet.data.data, packet.data.len, "/w==");
    ck_assert_int_eq(kv_eio_next(KV_LIT(payload), &offset, &packet), 0);
    ck_assert_int_eq(kv_eio_next(KV_LIT(payload), &offset, &packet), 0);
}
END_TEST

START_TEST(engineio_knows_each_type_and_no_other)
{
    ck_assert_str_eq(types_of(KV_LIT("0\x1e"
                                     "1\x1e"
                                     "2\x1e"
                                     "3\x1e"
                                     "4\x1e"
                                     "5\x1e"
                                     "6\x1e"
                                     "b")),
                     "0123456b");
    ck_assert_str_eq(types_of(KV_LIT("7")), "!");
    ck_assert_str_eq(types_of(KV_LIT("abc")), "!");
    ck_assert_str_eq(types_of(KV_LIT("\0")), "!");
}
END_TEST

START_TEST(engineio_refuses_payloads_with_empty_packets)
{
    ck_assert_str_eq(types_of(KV_LIT("")), "!");
    ck_assert_str_eq(types_of(NULL, 0), "!");
    ck_assert_str_eq(types_of(KV_LIT("\x1e")), "!");
    ck_assert_str_eq(types_of(KV_LIT("3\x1e")), "3!");
    ck_assert_str_eq(types_of(KV_LIT("3\x1e\x1e"
                                     "3")),
                     "3!");
}
END_TEST

START_TEST(engineio_refuses_payloads_that_are_not_utf8)
{
    ck_assert_str_eq(types_of(KV_LIT("3\x1e"
                                     "4\xff")),
                     "!");
}
END_TEST

static int read_packet(const char *text, struct kv_sio_packet *ret)
{
    return kv_sio_read((struct kv_span){text, strlen(text)}, ret);
}

static void check(const char *text, enum kv_sio_type type, const char *space,
                  const char *data)
{
    struct kv_sio_packet packet;
    ck_assert_msg(read_packet(text, &packet) == 0, "%s", text);
    ck_assert_int_eq(packet.type, type);
    ck_assert_uint_eq(packet.space.len, strlen(space));
    ck_assert_mem_eq(packet.space.data, space, strlen(space));
    ck_assert_uint_eq(packet.data.len, strlen(data));
    if (packet.data.len > 0)
        ck_assert_mem_eq(packet.data.data, data, strlen(data));
}

START_TEST(socketio_reads_what_clients_send)
{
    check("0", KV_SIO_CONNECT, "/", "");
    check("0{}", KV_SIO_CONNECT, "/", "{}");
    check("0{\"token\":\"1\"}", KV_SIO_CONNECT, "/", "{\"token\":\"1\"}");
    check("0/admin,{}", KV_SIO_CONNECT, "/admin", "{}");
    check("0/admin?a=b,", KV_SIO_CONNECT, "/admin", "");
    check("0/admin", KV_SIO_CONNECT, "/admin", "");
    check("0/,{}", KV_SIO_CONNECT, "/", "{}");
    check("1", KV_SIO_DISCONNECT, "/", "");
    check("1/admin,", KV_SIO_DISCONNECT, "/admin", "");
    check("2[\"hi\",1]", KV_SIO_EVENT, "/", "[\"hi\",1]");
    check("212[\"hi\"]", KV_SIO_EVENT, "/", "[\"hi\"]");
    check("2/admin,456[\"hi\"]", KV_SIO_EVENT, "/admin", "[\"hi\"]");
    check("3/admin,456[]", KV_SIO_ACK, "/admin", "[]");
    check("51-[\"x\",{\"_placeholder\":true,\"num\":0}]", KV_SIO_BINARY_EVENT, "/",
          "[\"x\",{\"_placeholder\":true,\"num\":0}]");
    check("61-/admin,7[]", KV_SIO_BINARY_ACK, "/admin", "[]");
}
END_TEST

START_TEST(socketio_refuses_what_is_malformed)
{
    static const char *const wrong[] = {"",
                                        "7",
                                        "abc",
                                        "-",
                                        "0[]",
                                        "0\"x\"",
                                        "0{",
                                        "0{}x",
                                        "1{}",
                                        "2",
                                        "2[]",
                                        "2[1]",
                                        "2{}",
                                        "2[\"x\"",
                                        "3",
                                        "3{}",
                                        "4",
                                        "4{}",
                                        "5[\"x\"]",
                                        "5-[\"x\"]",
                                        "51[\"x\"]",
                                        "5",
                                        "51",
                                        "6[]",
                                        "2/a[\"x\"]",
                                        "212345678901234567890[\"x\"]",
                                        "512345678901234567890-[\"x\"]"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct kv_sio_packet packet;
        ck_assert_msg(read_packet(wrong[i], &packet) == -EINVAL, "%s", wrong[i]);
    }
}
END_TEST

START_TEST(socketio_refuses_long_names_of_namespaces)
{
    char text[KV_SIO_NAMESPACE_MAX + 3];
    struct kv_sio_packet packet;
    memset(text, 'n', sizeof(text));
    memcpy(text, "0/", 2);
    ck_assert_int_eq(kv_sio_read((struct kv_span){text, sizeof(text) - 2}, &packet), 0);
    ck_assert_int_eq(kv_sio_read((struct kv_span){text, sizeof(text) - 1}, &packet),
                     -EINVAL);
}
END_TEST

START_TEST(engineio_writes_what_servers_say)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    kv_eio_add_open(&out, &(struct kv_eio_opening){"abc", 25000, 20000, 1000000});
    ck_assert_bytes(out.data, out.len,
                    "0{\"sid\":\"abc\",\"upgrades\":[],\"pingInterval\":25000,"
                    "\"pingTimeout\":20000,\"maxPayload\":1000000}");
    kv_buf_reset(&out);
    kv_sio_add_connect(&out, "xyz");
    ck_assert_bytes(out.data, out.len, "40{\"sid\":\"xyz\"}");
    kv_buf_reset(&out);
    kv_sio_add_connect_error(&out, (struct kv_span){"/admin", 6});
    ck_assert_bytes(out.data, out.len, "44/admin,{\"message\":\"Invalid namespace\"}");
}
END_TEST

START_TEST(socketio_key_update_holds_key_and_value_as_json)
{
    KV_CLEANUP(kv_buf_done) struct kv_buf out = {0};
    kv_sio_add_key_update(&out, KV_LIT("a/b"), KV_LIT("1 \"\x1e\u20ac"));
    ck_assert_bytes(out.data, out.len,
                    "42[\"key_update\",{\"data\":\"Key: a/b set with value: "
                    "1 \\\"\\u001e\\u20ac\"}]");
    kv_buf_reset(&out);
    kv_sio_add_key_update(&out, KV_LIT("k"), "", 0);
    ck_assert_bytes(out.data, out.len,
                    "42[\"key_update\",{\"data\":\"Key: k set with value: \"}]");
    kv_buf_reset(&out);
    kv_sio_add_key_update(&out, KV_LIT("k"), NULL, 70000);
    ck_assert_bytes(
        out.data, out.len,
        "42[\"key_update\",{\"data\":\"Key: k set with value: (70000 bytes)\"}]");
}
END_TEST

KV_SUITE("httpd_engineio", engineio_steps_through_the_packets_of_a_payload,
         engineio_knows_each_type_and_no_other,
         engineio_refuses_payloads_with_empty_packets,
         engineio_refuses_payloads_that_are_not_utf8, socketio_reads_what_clients_send,
         socketio_refuses_what_is_malformed, socketio_refuses_long_names_of_namespaces,
         engineio_writes_what_servers_say,
         socketio_key_update_holds_key_and_value_as_json)
