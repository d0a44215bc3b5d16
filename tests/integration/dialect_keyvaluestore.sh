#!/usr/bin/env bash
# timeout: 240
# key-value-store's /kv, byte for byte, and its broadcast by Socket.IO: with the client that
# the service's own command uses, and packet by packet.
. "$(dirname "$0")/../lib/functions.sh"
. "$(dirname "$0")/../lib/dialects.sh"

need_daemon
j=application/json

# kv METHOD JSON
kv()
{
    json "$2"
    answer "$1" /kv "${body[@]}"
}

is 'PUT' "$(kv PUT '{"key":"colour","value":"red"}')" "200 $j {\"colour\": \"red\"}\\n"
is 'GET, with a body' "$(kv GET '{"key":"colour"}')" "200 $j {\"value\": \"red\"}\\n"
is '... it is a file' "$(cat "$mnt/colour")" red
is 'GET of an absent key' "$(kv GET '{"key":"none"}')" \
    "404 $j {\"status_code\": 404, \"error\": \"Key Doesn't exist\"}\\n"
is 'a key below a directory' "$(kv PUT '{"key": "a/b", "value": "1"}') $(get a/b)" \
    "200 $j {\"a/b\": \"1\"}\\n 1"
is 'GET of a directory' "$(kv GET '{"key":"a"}')" \
    "404 $j {\"status_code\": 404, \"error\": \"Key Doesn't exist\"}\\n"
is 'JSON as Python writes it' "$(kv PUT '{"key":"caf\u00e9","value":"\ud83d\ude00\u007f\b\f\u0001\""}')" \
    "200 $j {\"caf\\u00e9\": \"\\ud83d\\ude00\\u007f\\b\\f\\u0001\\\"\"}\\n"
is '... and back' "$(kv GET '{"key":"café"}')" \
    "200 $j {\"value\": \"\\ud83d\\ude00\\u007f\\b\\f\\u0001\\\"\"}\\n"
is 'a value that is no string is kept as its JSON' "$(kv PUT '{"key":"n","value":[1, 2]}')" \
    "200 $j {\"n\": \"[1, 2]\"}\\n"
printf '\377' | put_file bytes - >/dev/null
is 'bytes that are not UTF-8 are shown as replacements' "$(kv GET '{"key":"bytes"}')" \
    "200 $j {\"value\": \"\\ufffd\"}\\n"

refused()
{
    is "$1: 400" "$(kv "$2" "$3")" "400 $j {\"status_code\": 400, \"error\": \"$4\"}\\n"
}
refused 'PUT of no key' PUT '{"key":"a//b","value":"1"}' "a key has no empty component ('//')"
refused 'GET of no key' GET '{"key":""}' 'a key has at least one byte'
refused 'PUT onto a directory' PUT '{"key":"a","value":"1"}' 'the key is a directory'
refused 'PUT without a value' PUT '{"key":"a/b"}' "'value' is missing"
refused 'PUT of no JSON' PUT 'key=a' 'the request body must be a JSON object'
refused 'GET without a body' GET '' 'the request body must be a JSON object'
head -c 9000000 /dev/zero | put_file large - >/dev/null
is 'a value too long for JSON: 413' "$(kv GET '{"key":"large"}')" \
    "413 $j {\"status_code\": 413, \"error\": \"the value is longer than 8 MiB: GET /v1/keys/KEY has it\"}\\n"
python3 -c 'print("{\"key\":\"k\",\"value\":\"" + "x" * 9000000 + "\"}", end="")' >"$work/large"
like 'a body too long: 413' "$(answer PUT /kv --data-binary "@$work/large")" '^413 '
delete large >/dev/null

# -- The service's own client --

real_client()
{
    mkfifo "$work/in"
    "$root/tests/lib/socketio_watch.py" "$url" <"$work/in" >"$work/heard" 2>"$work/client.log" &
    client=$!
    started_pids+=("$client")
    exec 9>"$work/in"
    heard()
    {
        grep -qxF "$1" "$work/heard"
    }
    ok 'the client of python-socketio connects' wait_for heard 'transport polling'
    kv PUT '{"key":"k","value":"v 1"}' >/dev/null
    ok 'it hears of a put by its API' wait_for heard 'key_update Key: k set with value: v 1'
    put k 'v 2' >/dev/null
    ok '... by /v1' wait_for heard 'key_update Key: k set with value: v 2'
    printf 'v 3' >"$mnt/k"
    ok '... in the mount' wait_for heard 'key_update Key: k set with value: v 3'
    put 'caf%C3%A9' '€ "😀"' >/dev/null
    ok '... with characters of all kinds' wait_for heard 'key_update Key: café set with value: € "😀"'
    for ((i = 0; i < 500; i++)); do
        printf '{"key":"many/%d","value":"%d"}\n' "$i" "$i"
    done | http POST /v1/import --data-binary @- >/dev/null
    last_of_many()
    {
        [ "$(grep -c '^key_update Key: many/' "$work/heard")" = 500 ]
    }
    ok '... and of each of 500 at once' wait_for last_of_many
    is '... once' "$(grep '^key_update Key: many/' "$work/heard" | sort -u | wc -l)" 500
    delete k >/dev/null
    put mark 1 >/dev/null
    wait_for heard 'key_update Key: mark set with value: 1'
    is 'of a delete it hears nothing' "$(grep -c 'Key: k ' "$work/heard")" 3
    old_port=$port
    stop_daemon 'the daemon stops with a client connected'
    ok '... which notices' wait_for heard disconnected
    need_daemon --listen "127.0.0.1:$old_port" 9>&-
    connected_twice()
    {
        [ "$(grep -cx connected "$work/heard")" = 2 ]
    }
    ok '... and connects again' wait_for connected_twice
    put again 1 >/dev/null
    ok '... and hears on' wait_for heard 'key_update Key: again set with value: 1'
    exec 9>&-
    wait_pid "$client"
    is 'it disconnects' "$status" 0
    sessions_are()
    {
        [ "$(curl -sS "$url/v1/status" | jq .http.sessions)" = "$1" ]
    }
    ok '... and its session is gone' sessions_are 0
}
if /usr/bin/python3 -c 'import socketio, requests' 2>/dev/null; then
    real_client
else
    skip "the client of python-socketio is told of puts" 'python3-socketio and python3-requests are not installed'
fi

# -- Packet by packet --

io='/socket.io/?EIO=4&transport=polling' s=$'\x1e'
text='text/plain; charset=UTF-8'

# open: a session, in $sid.
open()
{
    http GET "$io" >/dev/null
    sid=$(body | cut -c2- | jq -r .sid)
}

send()
{
    answer POST "$io&sid=$sid" --data-binary "$1"
}

# polls NAME: in the background; polled NAME is what came.
polls()
{
    rm -f "$work/$1.status"
    curl -sS --max-time 60 -o "$work/$1.body" -w '%{http_code} ' "$url$io&sid=$sid" \
        >"$work/$1.status" &
    started_pids+=($!)
}

polled()
{
    wait_for test -s "$work/$1.status"
    cat "$work/$1.status" "$work/$1.body"
}

watches_are()
{
    [ "$(curl -sS "$url/v1/status" | jq .http.watches)" = "$1" ]
}

is 'a session is opened' "$(answer GET "$io" | sed 's/"sid":"[^"]*"/SID/')" \
    "200 $text 0{SID,\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000,\"maxPayload\":1000000}"
open
first=$sid
open
ok 'each has its own id' test "${#sid}" = 20 -a "$sid" != "$first"
polls early
ok 'a poll waits' wait_for watches_are 1
is 'a client joins' "$(send 40)" "200 $text ok"
like '... and its poll ends with that' "$(polled early)" '^200 40\{"sid":"[^"]+"\}$'
polls event
wait_for watches_are 1
put k 'v' >/dev/null
is 'a put ends a poll' "$(polled event)" \
    '200 42["key_update",{"data":"Key: k set with value: v"}]'
put k1 v >/dev/null
put k2 v >/dev/null
is 'puts between two polls are not lost' "$(answer GET "$io&sid=$sid")" \
    "200 $text 42[\"key_update\",{\"data\":\"Key: k1 set with value: v\"}]${s}42[\"key_update\",{\"data\":\"Key: k2 set with value: v\"}]"
for ((i = 0; i < 20; i++)); do
    put "k$i" "$i" >/dev/null
done
http GET "$io&sid=$sid" >/dev/null
is 'an answer has at most 16 packets, which is what python-engineio takes' \
    "$(tr "$s" '\n' <"$work/body" | grep -c .)" 16
http GET "$io&sid=$sid" >/dev/null
is '... and the next has the rest' "$(tr "$s" '\n' <"$work/body" | grep -c .)" 4
head -c 70000 /dev/zero | tr '\0' x | put_file long - >/dev/null
is 'of a long value its size is told' "$(answer GET "$io&sid=$sid")" \
    "200 $text 42[\"key_update\",{\"data\":\"Key: long set with value: (70000 bytes)\"}]"
is 'other namespaces are refused' "$(send '40/admin,{}') $(answer GET "$io&sid=$sid")" \
    "200 $text ok 200 $text 44/admin,{\"message\":\"Invalid namespace\"}"
is 'several packets in one request' "$(send "42[\"hello\"]${s}3${s}451-[\"x\",{}]${s}b/w==")" \
    "200 $text ok"
polls leaving
wait_for watches_are 1
is 'a client that leaves' "$(send "41${s}1")" "200 $text ok"
is '... has its poll ended' "$(polled leaving)" '200 6'
unknown='{"code":1,"message":"Session ID unknown"}'
is '... and its session is unknown' "$(answer GET "$io&sid=$sid")" "400 $j $unknown"

open
polls one
wait_for watches_are 1
is 'a second poll at the same time: 400' "$(answer GET "$io&sid=$sid")" "400 $j $unknown"
is '... and both end' "$(polled one)" '200 1'
open
bad='{"code":3,"message":"Bad request"}'
is 'packets that are none: 400' "$(send abc)" "400 $j $bad"
is '... and the session ends' "$(send 3)" "400 $j $unknown"
is 'another transport: 400' "$(answer GET '/socket.io/?EIO=4&transport=websocket')" \
    "400 $j {\"code\":0,\"message\":\"Transport unknown\"}"
is 'no transport: 400' "$(answer GET '/socket.io/?EIO=4')" \
    "400 $j {\"code\":0,\"message\":\"Transport unknown\"}"
is 'another version: 400' "$(answer GET '/socket.io/?EIO=3&transport=polling')" \
    "400 $j {\"code\":5,\"message\":\"Unsupported protocol version\"}"
is 'no session to send to: 400' "$(answer POST "$io" --data-binary 40)" \
    "400 $j {\"code\":2,\"message\":\"Bad handshake method\"}"
is 'JSONP: 400' "$(answer GET "$io&j=0")" "400 $j $bad"
open
head -c 1000001 /dev/zero | tr '\0' 3 >"$work/large"
is 'a payload beyond maxPayload: 400' \
    "$(answer POST "$io&sid=$sid" --data-binary "@$work/large")" "400 $j $bad"
is 'a foreign web page: 403' "$(http GET "$io" -H 'Origin: http://evil.example')" 403

# -- Many --

# With few processes: who takes longer than a ping has no poll that waits.
for sid in $(curl -sS "$url$io&t=[1-50]" | grep -o '"sid":"[^"]*' | cut -d '"' -f 4); do
    printf 'url = "%s%s&sid=%s"\n' "$url" "$io" "$sid"
done >"$work/sessions"
curl -sS --data-binary 40 -K "$work/sessions" >/dev/null
curl -sS -K "$work/sessions" >/dev/null
awk -v work="$work" '{ print; printf "output = \"%s/many.%d\"\n", work, NR }' "$work/sessions" \
    >"$work/many"
curl -sS --parallel --parallel-immediate --parallel-max 50 -K "$work/many" 2>/dev/null &
pollers=$!
started_pids+=("$pollers")
ok '50 clients poll' wait_for watches_are 50
put k 'for all' >/dev/null
wait "$pollers"
is '... and each is told' "$(cat "$work"/many.* | grep -o 'for all' | wc -l)" 50

# -- Pings --

open
send 40 >/dev/null
http GET "$io&sid=$sid" >/dev/null
deadline=60
is 'an idle poll ends with a ping' "$(answer GET "$io&sid=$sid")" "200 $text 2"
is '... which a pong answers' "$(send 3)" "200 $text ok"

# -- A client that is slow --

stop_daemon
need_daemon --log-size 1M --max-watches 3
open
send 40 >/dev/null
http GET "$io&sid=$sid" >/dev/null
# More than the log holds, and than the newest events that are kept in memory.
large=$(repeat 16000 x)
for ((i = 0; i < 700; i++)); do
    printf '{"key":"big/%d","value":"%s"}\n' "$i" "$large"
done | http POST /v1/import -T - >/dev/null
is 'who comes when the log has moved on has lost his session' \
    "$(answer GET "$io&sid=$sid")" "400 $j $unknown"
for ((i = 0; i < 3; i++)); do
    open
    send 40 >/dev/null
done
is 'there are as many sessions as watches' "$(http GET "$io") $(error_code)" \
    '503 too_many_sessions'
send 1 >/dev/null
is '... and a place comes back' "$(http GET "$io")" 200

exec 8<>"/dev/tcp/127.0.0.1/$port"
sid=$(body | cut -c2- | jq -r .sid)
printf 'GET %s&sid=%s HTTP/1.1\r\nHost: localhost\r\n\r\n' "$io" "$sid" >&8
wait_for watches_are 1
exec 8>&-
ok 'a client that went away is noticed' wait_for watches_are 0
polls last
wait_for watches_are 1
stop_daemon 'it stops with a poll open'
is '... which is told so' "$(polled last | head -c 3)" 503
finish
