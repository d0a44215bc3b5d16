#!/usr/bin/env bash
# Listeners, limits and stopping of the HTTP front-end.
. "$(dirname "$0")/../lib/functions.sh"

# kvfsd with another data directory, for starts that must fail.
other()
{
    timeout 20 "$kvfsd" --data "$work/other" "$@"
}

wait_watch() # FILE COUNT: until so many streams are established in FILE.*
{
    [ "$(cat "$1".* 2>/dev/null | grep -c '^: kvfs')" = "$2" ]
}

watches()
{
    curl -sS "$url/metrics" | sed -n 's/^kvfs_http_watches //p'
}

serves()
{
    [ "$(http GET /healthz)" = 200 ]
}

watches_are()
{
    [ "$(watches)" = "$1" ]
}

# -- Addresses --

need_daemon --no-mount --allow-host kv.example
fails 'an address in use is refused' 'Address already in use' other --listen "127.0.0.1:$port"
fails '... and a socket in use' 'Address already in use' \
    other --listen none --socket "$sock"
fails 'all addresses are refused without --insecure' 'insecure' other --listen 0.0.0.0:0
fails '... also of v6' 'insecure' other --listen '[::]:0'
for address in localhost 127.0.0.1: 127.0.0.1:x 127.0.0.1:99999 ::1:80 '[::1:80' ''; do
    fails "--listen '$address' is refused" 'listen|HOST:PORT' other --listen "$address"
done
echo precious >"$work/file"
fails 'a file in the place of the socket is refused' 'Address already in use' \
    other --listen none --socket "$work/file"
is '... and kept' "$(cat "$work/file")" precious
fails 'a socket path that is too long is refused' 'too long' \
    other --listen none --socket "$work/$(printf '%0120d' 0)"
is 'the socket is for user and group' "$(stat -c %a "$sock")" 660
is 'Host may be a name that was allowed' "$(http GET /healthz -H 'Host: kv.example:80')" 200
is '... and no other' "$(http GET /healthz -H 'Host: kv2.example')" 403
is '... unless it comes by the socket' \
    "$(curl -sS -o /dev/null -w '%{http_code}' --unix-socket "$sock" http://kv2.example/healthz)" 200

# -- A dead daemon's socket --

kill_daemon
ok 'a killed daemon leaves its socket' test -S "$sock"
need_daemon --no-mount --max-watches 2
is '... which the next one replaces' \
    "$(curl -sS --unix-socket "$sock" http://localhost/healthz)" ok

# -- Watches --

for n in 1 2; do
    background curl -sS -N -o "$work/watch.$n" "$url/v1/watch"
done
ok 'as many watches as allowed' wait_for wait_watch "$work/watch" 2
is 'one more is refused' "$(http GET /v1/watch --max-time 5)" 503
is '... says why' "$(error_code)" too_many_watches
kill "${started_pids[0]}"
ok 'a watch that went away is noticed' wait_for watches_are 1
curl -sS -N -o "$work/watch.3" "$url/v1/watch" &
last=$!
ok '... and makes room' wait_for wait_watch "$work/watch" 3
put quick v >/dev/null
stop_daemon
wait "$last"
is 'stopping ends a watch in order' $? 0
like '... after what it had to tell' "$(cat "$work/watch.3")" 'event: put'
ok 'stopping removes the socket' test ! -e "$sock"

# -- Connections --

need_daemon --no-mount --max-connections 3
for n in 4 5 6; do
    background curl -sS -N -o "$work/watch.$n" "$url/v1/watch"
done
ok 'as many connections as allowed' wait_for wait_watch "$work/watch" 6
is 'one more is refused' "$(http GET /healthz)" 503
is '... says why' "$(error_code)" too_many_connections
kill "${started_pids[@]: -1}"
ok '... until there is room' wait_for serves
stop_daemon

# -- A recursive delete --

need_daemon --no-mount --sync off --data "$work/many"
awk 'BEGIN { for (i = 0; i < 100000; i++) printf "{\"key\":\"d/%d\",\"value\":\"\"}\n", i }' >"$work/lines"
is 'a directory and 100,000 keys' "$(http POST /v1/import -T "$work/lines" -H 'Expect:')" 200
is '... are too many to be deleted at once' "$(delete d recursive=1) $(error_code)" \
    '413 too_many_keys'
is '... and all of them stay' "$(http GET /v1/status >/dev/null; jq .keys "$work/body")" 100000
delete d/7 >/dev/null
is 'one less can be' "$(delete d recursive=1) $(header x-kv-deleted)" '204 100000'
stop_daemon

# -- More than one address --

need_daemon --no-mount --listen 127.0.0.1:0 --listen 127.0.0.2:0
second=$(sed -n 's/.*listening on \(127\.0\.0\.2:.*\)/\1/p' "$log" | tail -n 1)
put both v >/dev/null
is 'several addresses serve the same keys' "$(curl -sS "http://$second/v1/keys/both")" v
stop_daemon
need_daemon --no-mount --insecure --listen 0.0.0.0:0
is '--insecure allows all addresses' "$(http GET /healthz)" 200
stop_daemon
finish
