#!/usr/bin/env bash
# Long polls on a key: every kind of change ends one, none is missed between two, and time
# does, too.
. "$(dirname "$0")/../lib/functions.sh"

need_daemon

# poll KEY SINCE: in the background; polled tells what came.
poll()
{
    rm -f "$work/poll.status"
    curl -sS --max-time "$deadline" -D "$work/poll.headers" -o "$work/poll.body" \
        -w '%{http_code}' "$url/v1/keys/$1?wait=$deadline&since=$2" >"$work/poll.status" &
    poller=$!
    started_pids+=("$poller")
}

watches_are()
{
    [ "$(curl -sS "$url/v1/status" | jq .http.watches)" = "$1" ]
}

# polled: status and body of the poll, when it has ended.
polled()
{
    wait_for test -s "$work/poll.status"
    printf '%s %s' "$(cat "$work/poll.status")" "$(cat "$work/poll.body")"
}

poll_header()
{
    tr -d '\r' <"$work/poll.headers" | sed -n "s/^$1: //Ip"
}

put d/k v1 >/dev/null
first=$(revision)
is 'a change that was before the poll is answered at once' \
    "$(http GET "/v1/keys/d/k?wait=1m&since=$((first - 1))") $(body)" '200 v1'

# -- Changes end a poll --

poll d/k "$first"
ok 'a poll waits' wait_for watches_are 1
put other v >/dev/null
put d/k2 v >/dev/null
watches_are 1
is '... whatever else changes' $? 0
put d/k v2 >/dev/null
is '... until the key does' "$(polled)" '200 v2'
is '... and tells from where to go on' "$(poll_header x-kv-revision)" "$(revision)"
ok '... and watches no more' wait_for watches_are 0

poll d/k "$(revision)"
wait_for watches_are 1
echo v3 >"$mnt/d/k"
is 'a write in the mount ends one' "$(polled)" '200 v3'
poll d/k "$(revision)"
wait_for watches_are 1
chmod 600 "$mnt/d/k"
is 'a chmod, too' "$(polled)" '200 v3'
poll d/k "$(revision)"
wait_for watches_are 1
rename_key d/k d/moved >/dev/null
is 'and a rename: the key is not there' "$(polled | cut -c1-4)" '404 '
since=$(poll_header x-kv-revision)
is '... and the answer tells from where to go on' "$since" "$(revision)"
poll d/k "$since"
wait_for watches_are 1
rename_key d/moved d/k >/dev/null
is 'a rename to it' "$(polled)" '200 v3'
since=$(revision)
delete d recursive=1 >/dev/null
is 'a delete between two polls is not missed' "$(http GET "/v1/keys/d/k?wait=1m&since=$since")" 404
put d/k v4 >/dev/null
delete d/k >/dev/null
is '... nor a key that came and went' "$(http GET "/v1/keys/d/k?wait=1m&since=$since")" 404
put short v >/dev/null
since=$(revision)
http PUT '/v1/keys/short?ttl=300ms' -d v >/dev/null
poll short "$(revision)"
is 'the end of its time ends a poll' "$(polled | cut -c1-4)" '404 '

# -- Without since; HEAD; many --

poll new "$(revision)"
wait_for watches_are 1
put new v >/dev/null
is 'a key that is made' "$(polled)" '200 v'
curl -sS --max-time "$deadline" -I "$url/v1/keys/new?wait=$deadline" >"$work/head" &
poller=$!
wait_for watches_are 1
put new v2 >/dev/null
wait "$poller"
like 'HEAD without since waits for the next change' "$(head -n 1 "$work/head")" ' 200 '
since=$(revision)
for ((i = 0; i < 50; i++)); do
    printf 'url = "%s/v1/keys/new?wait=%d&since=%d"\noutput = "%s/many.%d"\n' "$url" \
        "$deadline" "$since" "$work" "$i"
done >"$work/many"
curl -sS --parallel --parallel-immediate --parallel-max 50 -K "$work/many" 2>/dev/null &
poller=$!
ok '50 polls wait' wait_for watches_are 50
put new v3 >/dev/null
wait "$poller"
is '... and all are told' "$(cat "$work"/many.* | grep -o v3 | wc -l)" 50

# -- The end of the time --

since=$(revision)
is 'nothing happened: 304' "$(http GET "/v1/keys/new?wait=100ms&since=$since") $(body)" '304 '
is '... with the tag of the key' "$(header etag)" "\"$(key_header new x-kv-revision)\""
is 'of an absent key, too' "$(http GET "/v1/keys/none?wait=100ms&since=$since")" 304
is '... with the revision up to which nothing happened' "$(header x-kv-revision)" "$since"
exec 9<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /v1/keys/new?wait=5m HTTP/1.1\r\nHost: localhost\r\n\r\n' >&9
wait_for watches_are 1
exec 9>&-
ok 'a client that went away is noticed' wait_for watches_are 0

# -- What nobody may ask --

for query in wait= wait=x wait=0 wait=11m since=1 'wait=1s&since=x' \
    "wait=1s&since=$((since + 1))"; do
    is "?$query: 400" "$(http GET "/v1/keys/new?$query") $(error_code)" '400 invalid_parameter'
done
for query in 'wait=1m&since=0' "wait=1m&since=$since" wait=1m; do
    is "?$query of a directory: 409" "$(http GET "/v1/keys/d?$query") $(error_code)" \
        '409 is_a_directory'
done

poll new "$since"
wait_for watches_are 1
stop_daemon 'it stops with a poll open'
is '... which is told so' "$(polled | head -c 3)" 503
finish
