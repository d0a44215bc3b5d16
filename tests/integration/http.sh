#!/usr/bin/env bash
# The native HTTP API as a client sees it: statuses, headers, conditions, listings, errors, the
# Unix socket.
. "$(dirname "$0")/../lib/functions.sh"

need_daemon

# -- One key --

is 'PUT of a new key: 201' "$(put k v1)" 201
like '... tells revision and version' "$(body)" '"revision":[0-9]+.*"version":1'
etag=$(header etag)
is 'PUT over it: 200' "$(put k v2)" 200
is '... version 2' "$(header x-kv-version)" 2
ok '... another ETag' test "$(header etag)" != "$etag"
etag=$(header etag)
is 'GET: 200' "$(http GET /v1/keys/k)" 200
is '... the value, byte for byte' "$(body)" v2
is '... the ETag is the revision' "$(header etag)" "\"$(revision)\""
is '... the same as PUT said' "$(header etag)" "$etag"
is '... X-Kv-Version' "$(header x-kv-version)" 2
is '... Content-Length' "$(header content-length)" 2
is '... Accept-Ranges' "$(header accept-ranges)" bytes
like '... Last-Modified' "$(header last-modified)" '^[A-Z][a-z]{2}, [0-9]{2} .* GMT$'
is 'HEAD: 200' "$(http HEAD /v1/keys/k)" 200
is '... Content-Length' "$(header content-length)" 2
is '... ETag' "$(header etag)" "$etag"
exec 9<>"/dev/tcp/127.0.0.1/$port"
printf 'HEAD /v1/keys/k HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&9
is '... nothing behind the headers' "$(tr -d '\r' <&9 | sed '1,/^$/d')" ''
exec 9>&-
is 'HEAD of an absent key: 404' "$(http HEAD /v1/keys/none)" 404
is 'GET of an absent key: 404' "$(http GET /v1/keys/none)" 404
is '... code' "$(error_code)" not_found
is '... key' "$(jq -r .error.key "$work/body")" none
is 'DELETE: 204' "$(delete k)" 204
is 'DELETE again: 404' "$(delete k)" 404
is 'GET then: 404' "$(http GET /v1/keys/k)" 404
is 'PUT after DELETE: new again' "$(put k v) $(version k)" '201 1'
is 'an empty value' "$(put empty '') $(http GET /v1/keys/empty) $(header content-length)" \
    '201 200 0'
head -c 300000 /dev/urandom >"$work/random"
is 'binary bytes' "$(put_file binary "$work/random")" 201
ok '... come back' cmp <(get binary) "$work/random"
is 'HEAD of many bytes' "$(http HEAD /v1/keys/binary) $(header content-length)" '200 300000'
is 'If-None-Match on many bytes: 304' \
    "$(http GET /v1/keys/binary -H "If-None-Match: $(header etag)") $(body)" '304 '
is 'an upload without a length' \
    "$(http PUT /v1/keys/binary -T "$work/random" -H 'Transfer-Encoding: chunked')" 200
ok '... comes back' cmp <(get binary) "$work/random"

# -- Ranges --

put digits 0123456789 >/dev/null
is 'Range: 206' "$(http GET /v1/keys/digits -H 'Range: bytes=2-4')" 206
is '... those bytes' "$(body) $(header content-range)" '234 bytes 2-4/10'
is '... the last three' "$(http GET /v1/keys/digits -H 'Range: bytes=-3') $(body)" '206 789'
is '... from the eighth on' "$(http GET /v1/keys/digits -H 'Range: bytes=8-') $(body)" '206 89'
is '... past the end: 416' "$(http GET /v1/keys/digits -H 'Range: bytes=10-')" 416
is '... with the size' "$(header content-range)" 'bytes */10'

# -- Conditions --

put c v1 >/dev/null
old=$(header etag)
put c v2 >/dev/null
new=$(header etag)
is 'If-None-Match with the current tag: 304' \
    "$(http GET /v1/keys/c -H "If-None-Match: $new")" 304
is '... no body, the tag' "$(body) $(header etag)" " $new"
is 'If-None-Match with an old tag: 200' \
    "$(http GET /v1/keys/c -H "If-None-Match: $old") $(body)" '200 v2'
is '... one of several' "$(http GET /v1/keys/c -H "If-None-Match: $old, $new")" 304
is 'GET with If-Match and an old tag: 412' "$(http GET /v1/keys/c -H "If-Match: $old")" 412

# put_if KEY VALUE HEADER
put_if()
{
    printf '%s' "$2" | http PUT "/v1/keys/$1" --data-binary @- -H "$3"
}
is 'PUT with If-Match and an old tag: 412' "$(put_if c v3 "If-Match: $old")" 412
is '... code' "$(error_code)" precondition_failed
is '... changes nothing' "$(get c)" v2
is 'PUT with If-Match and the current tag: 200' "$(put_if c v3 "If-Match: $new")" 200
is '... once' "$(put_if c v4 "If-Match: $new")" 412
is 'PUT with If-Match: * on a key' "$(put_if c v4 'If-Match: *')" 200
is '... on none: 412' "$(put_if none v 'If-Match: *')" 412
is 'PUT with If-None-Match: * on a key: 412' "$(put_if c v5 'If-None-Match: *')" 412
is '... on none: 201' "$(put_if created v 'If-None-Match: *')" 201
is 'DELETE with If-Match and an old tag: 412' \
    "$(http DELETE /v1/keys/c -H "If-Match: $old")" 412
is 'a condition that cannot be parsed: 400' "$(put_if c v 'If-Match: 12')" 400

# Of many that create at once, one wins; of many that count, none is lost.
for ((i = 0; i < 20; i++)); do
    curl -sS -o /dev/null -w '%{http_code}\n' -X PUT -d "$i" -H 'If-None-Match: *' \
        "$url/v1/keys/race" &
    started_pids+=($!)
done >"$work/race"
wait "${started_pids[@]}"
is 'of 20 that create a key at once one wins' "$(sort "$work/race" | uniq -c | xargs)" \
    '1 201 19 412'

count_up()
{
    local i tag value
    for ((i = 0; i < 20; )); do
        value=$(curl -sS -D "$work/h.$1" "$url/v1/keys/counter")
        tag=$(sed -n 's/\r$//;s/^etag: //Ip' "$work/h.$1")
        [ "$(curl -sS -o /dev/null -w '%{http_code}' -X PUT -d $((value + 1)) \
            -H "If-Match: $tag" "$url/v1/keys/counter")" = 200 ] && i=$((i + 1))
    done
}
put counter 0 >/dev/null
counters=()
for i in 1 2 3; do
    count_up "$i" &
    counters+=($!)
done
wait "${counters[@]}"
is 'three that count with If-Match lose no step' "$(get counter)" 60

# -- Counters --

# count KEY [QUERY]: prints the status and the code or the number.
count()
{
    printf '%s ' "$(http POST "/v1/keys/$1?op=incr${2:+&$2}" -d '')"
    jq -r '.error.code // .value' "$work/body"
}
is 'incr makes a counter' "$(count n/c) $(get n/c)" '201 1 1'
is '... adds what by= says' "$(count n/c by=41) $(count n/c by=-2)" '200 42 200 40'
is '... tells revision, version and size' \
    "$(jq -c '[.key, .revision, .version, .size, .created]' "$work/body")" \
    "[\"n/c\",$(revision),3,2,false]"
is '... and the tag' "$(header etag)" "\"$(revision)\""
echo 7 >"$mnt/n/line"
is 'incr of what echo wrote' "$(count n/line) $(od -An -c "$mnt/n/line" | tr -s " ")" \
    '200 8  8 \n'
put n/text 12a >/dev/null
is 'incr of no number: 409' "$(count n/text)" '409 not_a_number'
put n/most 9223372036854775807 >/dev/null
is '... past 64 bits: 409' "$(count n/most) $(get n/most)" \
    '409 number_overflow 9223372036854775807'
is '... of a directory: 409' "$(count n)" '409 is_a_directory'
for by in '' x 1.5 9223372036854775808 -; do
    is "by=$by: 400" "$(count n/c "by=$by")" '400 invalid_parameter'
done
is 'incr with a body: 400' "$(http POST '/v1/keys/n/c?op=incr' -d 5) $(error_code)" \
    '400 bad_request'
is 'by= with another op: 400' "$(http POST '/v1/keys/n/c?op=append&by=1' -d 5)" 400
is 'incr under If-Match' "$(http POST '/v1/keys/n/c?op=incr' -d '' -H 'If-Match: "1"') $(
    http POST '/v1/keys/n/c?op=incr' -d '' -H "If-Match: $(key_header n/c etag)")" '412 200'
is 'incr with ttl' "$(count n/short ttl=60s) $(jq 'has("expires")' "$work/body")" '201 1 true'
is '... and without keeps it' "$(count n/short) $(jq 'has("expires")' "$work/body")" '200 2 true'
{
    printf 'output = /dev/null\n'
    for ((i = 0; i < 20; i++)); do
        printf 'url = "%s/v1/keys/n/sum?op=incr"\nrequest = POST\n' "$url"
    done
} >"$work/counts"
counters=()
for ((i = 0; i < 5; i++)); do
    curl -sS -K "$work/counts" >/dev/null &
    counters+=($!)
done
wait "${counters[@]}"
is 'five that count at once lose no step' "$(get n/sum)" 100

# -- append, rename, directories --

is 'append makes a key' "$(printf one | http POST '/v1/keys/ap?op=append' --data-binary @-)" 201
is 'append to a key' \
    "$(printf two | http POST '/v1/keys/ap?op=append' --data-binary @-) $(get ap)" '200 onetwo'
is 'rename' "$(rename_key ap ap/../x) $(rename_key ap moved/to/there)" '400 200'
is '... makes the directories' "$(get moved/to/there) $(http GET /v1/keys/ap)" 'onetwo 404'
is 'rename of nothing' "$(rename_key none other)" 404
is 'rename of a directory' "$(rename_key moved/to moved2) $(get moved2/there)" '200 onetwo'
is 'rename into itself' "$(rename_key moved2 moved2/x)" 400
is 'an unknown op' "$(http POST '/v1/keys/c?op=turn' -d '')" 400

# A symbolic link is a key of its own; over HTTP nobody follows it.
put target t >/dev/null
ln -s target "$mnt/link"
is 'GET of a symbolic link tells where it points' "$(http GET /v1/keys/link) $(body)" '200 target'
is '... and that it is one' "$(header x-kv-type) $(key_header target x-kv-type)" 'symlink '
is 'append to a symbolic link: 409' \
    "$(http POST '/v1/keys/link?op=append' -d x) $(error_code)" '409 is_a_symlink'
is 'PUT replaces a symbolic link' "$(put link v) $(get link)" '201 v'
is '... by a file, in the mount too' "$(stat -c %F "$mnt/link") $(cat "$mnt/link")" \
    'regular file v'
is '... and leaves alone what it pointed at' "$(get target) $(cat "$mnt/target")" 't t'

put d/x 1 >/dev/null
is 'GET of a directory: 409' "$(http GET /v1/keys/d) $(error_code)" '409 is_a_directory'
is 'PUT onto a directory: 409' "$(put d v) $(error_code)" '409 is_a_directory'
is 'PUT below a key: 409' "$(put d/x/y v) $(error_code)" '409 not_a_directory'
is 'DELETE of a directory: 409' "$(delete d) $(error_code)" '409 is_a_directory'
put d/y/z 1 >/dev/null
is 'recursive DELETE under another tag: 412' \
    "$(http DELETE '/v1/keys/d?recursive=1' -H 'If-Match: "1"') $(get d/x)" '412 1'
before=$(revision)
is 'recursive DELETE' "$(http DELETE '/v1/keys/d?recursive=1' -H 'If-Match: *')" 204
is '... tells how many keys and directories went' "$(header x-kv-deleted)" 4
is '... in one revision' "$(header x-kv-revision)" $((before + 1))
is '... and they are gone' "$(http GET /v1/keys/d/x) $(http GET '/v1/keys?dir=d')" '404 404'
is '... of one key' "$(put d v) $(delete d recursive=1)" '201 204'
is '... of nothing' "$(delete d recursive=1)" 404

# -- Listing --

list()
{
    curl -sS --fail "$url/v1/keys?$1"
}
for key in l/b l/ax l/a.x l/a/1 l/a/2 l/c/d/e lz; do put "$key" "v-$key" >/dev/null; done
all=(l/a.x l/a/1 l/a/2 l/ax l/b l/c/d/e)
is 'dir= lists what is below, in byte order' "$(list dir=l | jq -r '.keys[].key')" \
    "$(lines "${all[@]}")"
is '... a directory is no prefix' "$(list dir=l/a | jq -r '.keys[].key')" \
    "$(lines l/a/1 l/a/2)"
is 'prefix= is one' "$(list prefix=l/a | jq -r '.keys[].key')" \
    "$(lines l/a.x l/a/1 l/a/2 l/ax)"
is 'delimiter=/ lists one level, directories apart' \
    "$(list 'dir=l&delimiter=/' | jq -c '[[.keys[].key], .directories]')" \
    '[["l/a.x","l/ax","l/b"],["l/a","l/c"]]'
is 'no values unless asked' "$(list dir=l | jq '[.keys[] | has("value")] | any')" false
is 'values=1' "$(list 'dir=l&values=1' | jq -r '.keys[0].value')" v-l/a.x
is 'a key in a listing' \
    "$(list prefix=l/b | jq -c '.keys[0] | [.size, .version, .mod_revision == .create_revision]')" \
    '[5,1,true]'
is 'the whole listing is one snapshot' "$(list dir=l | jq .revision)" "$(revision)"

paged=() after='' pages=0
while pages=$((pages + 1)) && [ "$pages" -lt 10 ]; do
    list "dir=l&limit=2&after=$after" >"$work/page"
    mapfile -t -O "${#paged[@]}" paged < <(jq -r '.keys[].key' "$work/page")
    [ "$(jq .more "$work/page")" = true ] || break
    after=$(jq -r .next "$work/page")
done
is 'pages of two give each key once' "$(lines "${paged[@]}")" "$(lines "${all[@]}")"
is '... in as many pages as it takes' "$pages" 3
put 'l2/na%ffme/x' v >/dev/null
is 'a directory whose name is not UTF-8 comes as base64' \
    "$(list 'dir=l2&delimiter=/' | jq -c .directories)" '[{"key":"bDIvbmH/bWU=","key_encoding":"base64"}]'
is '... and kv lists it' "$("$kv" --url "$url" ls l2 | xxd -p)" "$(printf 'l2/na\xffme/\n' | xxd -p)"
is 'with a delimiter, too' \
    "$(list 'dir=l&delimiter=/&limit=2' | jq -c '[.keys[].key, .directories[], .more]')" \
    '["l/a.x","l/a",true]'
is 'a prefix narrows what a delimiter shows' \
    "$(list 'prefix=l/a&delimiter=/' | jq -c '[[.keys[].key], .directories]') $(
        list 'prefix=l/c/d&delimiter=/' | jq -c '[[.keys[].key], .directories]')" \
    '[["l/a.x","l/ax"],["l/a"]] [[],["l/c/d"]]'
is '... to nothing where there is no such directory' \
    "$(list 'prefix=l/none/x&delimiter=/' | jq -c '[.keys, .directories, .more]')" '[[],[],false]'
printf 'k\377' | http PUT '/v1/keys/raw/%ff' --data-binary @- >/dev/null
is 'what is not UTF-8 travels as base64' \
    "$(list 'dir=raw&values=1' | jq -c '.keys[0] | [.key, .key_encoding, .value, .encoding]')" \
    '["cmF3L/8=","base64","a/8=","base64"]'
delete raw recursive=1 >/dev/null
# A page is bounded in bytes of JSON, of which escapes make six of one.
head -c 1000000 /dev/zero >"$work/zeros"
for i in 1 2 3 4; do put_file "heavy/$i" "$work/zeros" >/dev/null; done
head -c 1100000 /dev/zero | put_file heavy/5 - >/dev/null
list 'dir=heavy&values=1' >"$work/page"
ok 'a page of values is bounded as JSON' test "$(stat -c %s "$work/page")" -lt $((23 << 20))
is '... and tells where the next begins' \
    "$(jq -c '[[.keys[].key], .more, .next]' "$work/page")" \
    '[["heavy/1","heavy/2","heavy/3"],true,"heavy/3"]'
is '... which has the rest, but no value over 1 MiB' \
    "$(list 'dir=heavy&values=1&after=heavy/3' |
        jq -c '[(.keys[] | [.key, .size, .omitted, has("value")]), .more]')" \
    '[["heavy/4",1000000,null,true],["heavy/5",1100000,true,false],false]'
is 'without values nothing is omitted' \
    "$(list 'dir=heavy' | jq '[.keys[] | has("omitted")] | any')" false
is 'a key that no key can have as page mark or prefix: the answer is empty' \
    "$(list "after=$(printf '%0600d' 0)&prefix=zz" | jq -c .keys) $(
        list "prefix=$(printf '%01000d' 0)" | jq -c .keys)" '[] []'
is 'an absent directory: 404' "$(http GET '/v1/keys?dir=none')" 404
is 'a key as directory: 409' "$(http GET '/v1/keys?dir=lz') $(error_code)" '409 not_a_directory'
for query in limit=0 limit=x limit=99999999 delimiter=: values=perhaps nonsense=1 dir=a//b; do
    is "?$query: 400" "$(http GET "/v1/keys?$query")" 400
done

# -- Large values in the stream --

start=$(revision)
head -c 65536 /dev/zero | put_file stream/fits - >/dev/null
head -c 65537 /dev/zero | put_file stream/long - >/dev/null
for ((i = 0; i < 70; i++)); do # more than the log holds, were they in it
    head -c 1100000 /dev/zero | put_file stream/large - >/dev/null
done
events "$start" "$(revision)" dir=stream | grep put >"$work/events"
is 'a value over 64 KiB is left out of the stream, which says so' \
    "$(jq -c '[.key, .size, .omitted, has("value")]' "$work/events" | head -n 2)" \
    "$(lines '["stream/fits",65536,null,true]' '["stream/long",65537,true,false]')"
is '... and large ones push no event out of the log' \
    "$(jq -c '[.key, .size, .omitted, has("value")]' "$work/events" | tail -n +3 | uniq -c |
        sed 's/^ *//')" '70 ["stream/large",1100000,true,false]'

# -- What is not there, and what nobody may send --

is 'an unknown path: 404' "$(http GET /v2/keys)" 404
like '... as JSON' "$(header content-type)" '^application/json'
is 'an unknown method: 405' "$(http PATCH /v1/keys/k -d x)" 405
is '... with Allow' "$(header allow)" 'GET, HEAD, PUT, POST, DELETE'
is 'an unknown parameter: 400' "$(http PUT '/v1/keys/k?tll=5s' -d x) $(error_code)" \
    '400 invalid_parameter'
is 'a foreign Host: refused' "$(http GET /v1/keys/k -H 'Host: evil.example')" 403
is 'a foreign Origin: refused' \
    "$(http PUT /v1/keys/k -d x -H 'Origin: http://evil.example')" 403
is '... and nothing changed' "$(get k)" v

# -- Watching over it --

is '/healthz' "$(http GET /healthz) $(body)" '200 ok'
is '/readyz' "$(http GET /readyz)" 200
is '/metrics' "$(http GET /metrics)" 200
is '... has the revision' "$(sed -n 's/^kvfs_revision //p' "$work/body")" "$(revision)"
is '... and is well formed' "$(http GET /metrics >/dev/null
    grep -vcE '^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[^}]*\})? [0-9.e+-]+)$' "$work/body")" 0
is '/v1/status counts the keys' "$(curl -sS "$url/v1/status" | jq .keys)" \
    "$(list limit=10000 | jq '.keys | length')"

# -- Connections --

is 'one connection serves many requests' \
    "$(curl -sS -w '%{num_connects}\n' -o /dev/null "$url/healthz" -o /dev/null "$url/v1/keys/k" \
        -o /dev/null "$url/v1/keys/none" -o /dev/null "$url/healthz" | xargs)" '1 0 0 0'
is 'the Unix socket serves the same' \
    "$(curl -sS --unix-socket "$sock" http://localhost/v1/keys/k)" v
is '... for writes, too' \
    "$(curl -sS -o /dev/null -w '%{http_code}' --unix-socket "$sock" -X PUT -d s \
        http://localhost/v1/keys/by-socket) $(get by-socket)" '201 s'

# Watches hold no thread: many of them, and the daemon still answers.
threads=$(grep Threads "/proc/$daemon/status")
for ((i = 0; i < 100; i++)); do
    printf 'url = "%s/v1/watch?dir=l"\noutput = "%s/watch.%d"\n' "$url" "$work" "$i"
done >"$work/watches"
curl -sS -N --parallel --parallel-immediate --parallel-max 100 -K "$work/watches" \
    2>/dev/null &
watches=$!
started_pids+=("$watches")
hundred_watch()
{
    [ "$(curl -sS "$url/v1/status" | jq .http.watches)" = 100 ]
}
ok '100 watches are open' wait_for hundred_watch
is '... and no thread more' "$(grep Threads "/proc/$daemon/status")" "$threads"
put l/told 1 >/dev/null
all_told()
{
    [ "$(grep -l '"key":"l/told"' "$work"/watch.* | wc -l)" = 100 ]
}
ok '... and all are told of a change' wait_for all_told
stop_daemon 'it stops cleanly with watches open'
wait_pid "$watches"
is '... which ends them' $? 0

finish
