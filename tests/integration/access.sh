#!/usr/bin/env bash
# Tokens: who gets in, what a token shows of keys, listings and changes, and how it ends.
# That every route asks is tests/unit/test_httpd_access.c.
# shellcheck disable=SC2154 # $url and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

# local_http METHOD TARGET [OPTION]...: over the Unix socket; prints the status.
local_http()
{
    local method=$1 target=$2
    shift 2
    curl -sS --max-time "$deadline" --unix-socket "$sock" -X "$method" -o "$work/body" \
        -w '%{http_code}' "$@" "http://localhost$target"
}

# create NAME RIGHT...: the token.
create()
{
    "$kv" --socket "$sock" token create "$@"
}

# as TOKEN METHOD TARGET [OPTION]...: the status.
as()
{
    local token=$1 method=$2 target=$3
    shift 3
    http "$method" "$target" -H "Authorization: Bearer $token" "$@"
}

# quiet_end NAME TARGET [OPTION]...: in the background, until the answer ends, which is then
# in $work/NAME, and its status and curl's exit status in $work/NAME.status.
quiet_end()
{
    local name=$1 target=$2
    shift 2
    curl -sS -N --max-time "$deadline" -o "$work/$name" "$@" \
        -w '%{http_code}/%{exitcode}' "$url$target" >"$work/$name.status" &
}

watches_are()
{
    local_http GET /v1/status >/dev/null
    [ "$(jq .http.watches "$work/body")" = "$1" ]
}

keys_shown()
{
    jq -r '[.keys[].key] | join(" ")' "$work/body"
}

# -- Without tokens --

need_daemon --cors-origin https://app.example
for key in app/a app/deep/b secret/c shared/d top; do
    put "$key" "of-$key" >/dev/null
done
is 'without tokens everybody gets in' "$(http GET /v1/keys/secret/c)" 200
is '... whatever they bring' "$(as nonsense GET /v1/keys/secret/c)" 200
is '... but cannot make tokens over TCP' \
    "$(http POST /v1/tokens -d '{"name":"me","admin":true}')/$(error_code)" 403/not_permitted
chmod 666 "$sock"
is '... nor as somebody else over the socket' "$(
    setpriv --reuid 65534 --regid 65534 --clear-groups \
        curl -sS --unix-socket "$sock" http://localhost/v1/tokens | jq -r .error.code
)" not_permitted
fails 'beyond loopback is refused without tokens' 'tokens' \
    "$kvfsd" --data "$work/other" --listen 0.0.0.0:0

# -- The first token --

# What is open by then.
socketio='/socket.io/?EIO=4&transport=polling'
http GET "$socketio" >/dev/null
sid=$(body | cut -c2- | jq -r .sid)
http POST "$socketio&sid=$sid" -d 40 >/dev/null
http GET "$socketio&sid=$sid" >/dev/null
background "$root/tests/lib/messages.py" "$port" none /v1/watch >"$work/messages" 2>&1
quiet_end stream /v1/watch
quiet_end poll '/v1/keys/secret/c?wait=60s'
quiet_end own /v1/watch --unix-socket "$sock"
own=$!
wait_for watches_are 4
exec {upload}<>"/dev/tcp/127.0.0.1/$port"
printf '%s\r\n' 'PUT /v1/keys/secret/late HTTP/1.1' 'Host: localhost' 'Content-Length: 1' \
    'Expect: 100-continue' '' >&"$upload"
read -r -u "$upload" line
like 'without one a value is asked for' "$line" ' 100 '

token=$(create app rw:app r:shared)
like 'a token is made over the socket' "$token" '^kv_[0-9a-f]{8}_[0-9a-f]{48}$'
local_http PUT /v1/keys/secret/c -d of-secret/c >/dev/null
wait_for test -s "$work/stream.status"
is 'a watch that was opened without one ends at the next change' \
    "$(cat "$work/stream.status")" 200/0
is '... and tells nothing of it' "$(grep -c secret "$work/stream")" 0
ok '... so does a WebSocket' wait_for grep -q 'closed 4401' "$work/messages"
is '... and tells nothing else' "$(grep -c secret "$work/messages")" 0
wait_for test -s "$work/poll.status"
is '... a poll' "$(cat "$work/poll.status")/$(jq -r .error.code "$work/poll")" \
    401/0/token_needed
is '... a Socket.IO session' "$(http GET "$socketio&sid=$sid")/$(grep -c secret "$work/body")" 400/0
printf v >&"$upload"
read -r -u "$upload" line # behind 100
read -r -u "$upload" line
exec {upload}>&-
like '... and a value that comes only then is refused' "$line" ' 401 '
ok '... what root has opened over the socket goes on' wait_for grep -q secret/c "$work/own"
kill "$own"
is 'from then on others need one' "$(http GET /v1/keys/app/a)/$(error_code)" 401/token_needed
is '... which is told' "$(header www-authenticate)" 'Bearer realm="kvfs"'
is '... health is for everybody' "$(http GET /healthz)" 200
is '... root over the socket needs none' "$(local_http GET /v1/keys/secret/c)" 200
is '... but if it shows one, that counts' "$(local_http GET /v1/keys/secret/c \
    -H "Authorization: Bearer $token")/$(error_code)" 403/forbidden
is '... others over the socket need one' "$(
    setpriv --reuid 65534 --regid 65534 --clear-groups \
        curl -sS --unix-socket "$sock" http://localhost/v1/status | jq -r .error.code
)" token_needed
is '... the mount asks for none' "$(cat "$mnt/secret/c")" of-secret/c
is '... a page that may use it is told that it may send one' "$(
    http OPTIONS /v1/keys/app/a -H 'Origin: https://app.example' \
        -H 'Access-Control-Request-Method: GET'
)/$(header access-control-allow-headers | grep -c Authorization)" 204/1

# -- What it shows --

is 'it reads what it grants' "$(as "$token" GET /v1/keys/app/a)/$(body)" 200/of-app/a
is '... writes it' "$(as "$token" PUT /v1/keys/app/new -d v)" 201
is '... and only that' "$(as "$token" PUT /v1/keys/shared/d -d v)/$(error_code)" 403/forbidden
is '... nor what begins like it' "$(as "$token" GET /v1/keys/app2)" 403
as "$token" GET '/v1/keys?values=1' >/dev/null
is 'a listing shows what it grants' "$(keys_shown)" 'app/a app/deep/b app/new shared/d'
as "$token" GET '/v1/keys?limit=1' >/dev/null
is '... in pages' "$(keys_shown)" app/a
as "$token" GET "/v1/keys?limit=9&after=app/new" >/dev/null
is '... that go on behind what is left out' "$(keys_shown)" shared/d
deep=$(create deep r:app/deep)
as "$deep" GET '/v1/keys?delimiter=/' >/dev/null
is 'directories on the way are shown' "$(jq -c '[.keys, .directories]' "$work/body")" \
    '[[],["app"]]'
as "$deep" GET '/v1/keys?delimiter=/&dir=app' >/dev/null
is '... one by one' "$(jq -c '[.keys, .directories]' "$work/body")" '[[],["app/deep"]]'
is '... and no more of them' "$(as "$deep" GET /v1/keys/app -H 'Accept: application/json')" 403
is 'a directory next to it is not listed' "$(as "$deep" GET '/v1/keys?dir=secret')" 403
as "$deep" GET /v1/status >/dev/null
is 'where things are mounted is for who may read everything' \
    "$(jq 'has("mounts")' "$work/body")" false
as "$(create monitor r:/)" GET /v1/status >/dev/null
is '... who is told' "$(jq 'has("mounts")' "$work/body")" true
drop=$(create drop w:app)
is 'who may only write can' "$(as "$drop" PUT /v1/keys/app/dropped -d v)" 201
is '... also if there is none yet' "$(as "$drop" PUT /v1/keys/app/dropped -d v \
    -H 'If-None-Match: *')" 412
is '... but not read' "$(as "$drop" GET /v1/keys/app/dropped)" 403
is '... nor move to where others can' \
    "$(as "$drop" POST '/v1/keys/app/dropped?op=rename&to=app/moved')" 403
is '... nor count, which tells the number' "$(as "$drop" POST '/v1/keys/app/n?op=incr')" 403
is '... nor compare values' "$(as "$drop" POST /v1/txn \
    -d '{"compare":[{"key":"app/dropped","value":"v"}]}')" 403

# -- Changes --

# What of a change is compared.
change='[.type, .key, .from // empty, if .created then "new" else empty end] | join(" ")'

# seen SINCE TOKEN: the changes after SINCE, up to one of the key app/end.
ends=0
seen()
{
    local line fd watcher
    ends=$((ends + 1))
    local_http PUT "/v1/keys/app/end$ends" -d v >/dev/null
    exec {fd}< <(exec curl -sS -N --max-time "$deadline" \
        -H "Authorization: Bearer $2" "$url/v1/watch?since=$1")
    watcher=$!
    while IFS= read -r -t "$deadline" -u "$fd" line; do
        [[ $line == data:* ]] || continue
        [[ $line == *"\"app/end$ends\""* ]] && break
        jq -r "$change" <<<"${line#data: }"
    done
    kill "$watcher"
    exec {fd}<&-
}

revision_now()
{
    local_http GET /v1/status >/dev/null
    jq .revision "$work/body"
}

start=$(revision_now)
local_http PUT /v1/keys/secret/x -d v >/dev/null
local_http PUT /v1/keys/app/y -d v >/dev/null
local_http POST '/v1/keys/app/y?op=rename&to=app/z' >/dev/null
local_http POST '/v1/keys/app/z?op=rename&to=secret/z' >/dev/null
local_http POST '/v1/keys/secret/x?op=rename&to=app/x' >/dev/null
local_http POST '/v1/keys/app/deep?op=rename&to=secret/deep' >/dev/null
local_http POST '/v1/keys/secret/deep?op=rename&to=app/deep' >/dev/null
granted='put app/y new
rename app/z app/y
delete app/z
put app/x new
rmdir app/deep
delete app/deep/b
mkdir app/deep
put app/deep/b new'
is 'a watch tells what is granted; over its border, what a rename comes to' \
    "$(seen "$start" "$token")" "$granted"
as "$token" GET '/v1/history?key=app/x' >/dev/null
is '... and so does history' "$(jq -c '[.versions[] | [.type, .key, .from]]' "$work/body")" \
    '[["put","app/x",null]]'
# The same over a WebSocket; seen has made the end.
messages() # SINCE TOKEN
{
    local line fd watcher
    exec {fd}< <(exec "$root/tests/lib/messages.py" "$port" "$2" "/v1/watch?since=$1" 2>&1)
    watcher=$!
    while IFS= read -r -t "$deadline" -u "$fd" line; do
        [[ $line == *'"app/end'* ]] && break
        jq -r "select(.type != \"open\") | $change" <<<"$line"
    done
    kill "$watcher"
    exec {fd}<&-
}
is '... over a WebSocket as well' "$(messages "$start" "$token")" "$granted"
# exchange KEY OTHER
exchange()
{
    local_http POST /v1/txn \
        -d "{\"then\":[{\"op\":\"rename\",\"key\":\"$1\",\"to\":\"$2\",\"exchange\":true}]}"
}
start=$(revision_now)
is 'keys are exchanged over the border' "$(exchange app/x secret/c)$(exchange secret/c app/x)" 200200
local_http POST '/v1/keys/secret/z?op=rename&to=app/x' >/dev/null
is '... of which the key that came is told, and that it is not new' "$(seen "$start" "$token")" \
    'put app/x
put app/x
put app/x'
is 'a watch of something else is refused' "$(as "$token" GET '/v1/watch?dir=secret')" 403
is '... and a WebSocket of it' "$("$root/tests/lib/messages.py" "$port" "$token" \
    '/v1/watch?dir=secret' 2>&1)" 'HTTP/1.1 403 Forbidden'
is 'an import stops at the first line that is not granted' "$(
    printf '{"key":"app/i","value":"1"}\n{"key":"secret/i","value":"1"}\n' |
        as "$token" POST /v1/import -T -
)/$(error_code)/$(jq .lines_done "$work/body")" 403/forbidden/1
is 'an export needs all of what it exports' "$(as "$token" GET /v1/export)" 403
is '... and has it then' "$(as "$token" GET '/v1/export?dir=shared') $(
    jq -r .key "$work/body" | paste -sd ' '
)" '200 shared shared/d'
is 'a backup needs everything' "$(as "$token" GET /v1/backup)" 403
is '... which a token can grant' "$(as "$(create all rw:/)" GET /v1/backup)" 200

# -- Admin --

admin=$(create boss admin)
is 'a token with admin makes others' \
    "$(as "$admin" POST /v1/tokens -d '{"name":"x","rights":[{"path":"","read":true}]}')" 201
is '... and others do not' "$(as "$token" GET /v1/tokens)" 403
is 'a token without rights is refused' "$(as "$admin" POST /v1/tokens -d '{"name":"y"}')" 400
is 'secrets are not listed' "$(
    as "$admin" GET /v1/tokens >/dev/null
    grep -c "${token##*_}" "$work/body"
)" 0

# -- Its end --

background "$root/tests/lib/messages.py" "$port" "$token" /v1/watch >"$work/messages" 2>&1
quiet_end last /v1/watch -H "Authorization: Bearer $token"
wait_for watches_are 2
is 'revoking is done at once' "$(as "$admin" DELETE /v1/tokens/app)" 204
local_http PUT /v1/keys/app/after -d 'not for them' >/dev/null
wait_for test -s "$work/last.status"
is 'a watch of a revoked token ends at the next change' "$(cat "$work/last.status")" 200/0
is '... and tells nothing of it' "$(grep -c after "$work/last")" 0
ok '... so does a WebSocket, which says why' wait_for grep -q 'closed 4401' "$work/messages"
is '... and nothing else' "$(grep -c after "$work/messages")" 0
is 'the token holds nowhere' "$(as "$token" GET /v1/keys/app/a)/$(error_code)" 401/wrong_token
brief=$(create brief r:app --ttl 1s)
quiet_end last '/v1/keys/app/a?wait=60s' -H "Authorization: Bearer $brief"
wait_for watches_are 1
expired()
{
    [ "$(as "$brief" GET /v1/keys/app/a)" = 401 ]
}
ok 'a token expires' wait_for expired
local_http PUT /v1/keys/app/a -d 'not for them' >/dev/null
wait_for test -s "$work/last.status"
is '... a poll that began before learns nothing' \
    "$(cat "$work/last.status")/$(grep -c 'not for them' "$work/last")" 401/0/0

# -- Wrong ones --

stop_daemon
need_daemon --no-mount
is 'tokens are there after a restart' "$(as "$admin" GET /v1/status)" 200
is 'a wrong token is refused' "$(as kv_00000000_guess GET /v1/status)" 401
limited()
{
    [ "$(as kv_00000000_guess GET /v1/status)" = 429 ]
}
ok 'many of them are limited' wait_for limited
is '... and told so' "$(error_code)" too_many_failures
like '... and for how long' "$(header retry-after)" '^[1-5]$'
is '... a right one is not' "$(as "$admin" GET /v1/status)" 200
is '... nor is one that is missing' "$(http GET /v1/status)" 401
is 'no token is in the log' "$(grep -c -e kv_0 -e "${admin##*_}" "$log")" 0
is '... but the address that tried' "$(grep -c 'many wrong tokens from 127.0.0.1' "$log")" 1
like 'they are counted' "$(as "$admin" GET /metrics >/dev/null && body)" \
    'kvfs_http_wrong_tokens_total [1-9][0-9]'
stop_daemon

# -- Starting --

need_daemon --no-mount --listen 0.0.0.0:0
is 'with tokens it may listen beyond loopback' "$(http GET /v1/status)" 401
is '... which without TLS is warned of' "$(grep -c 'can be overheard' "$log")" 1
stop_daemon
data=$work/fresh
need_daemon --no-mount --tokens --listen 0.0.0.0:0
is '--tokens asks before there is one' "$(http GET /v1/status)" 401
stop_daemon
printf 'damaged\n' >"$data/tokens"
fails 'tokens that cannot be read keep it from starting' 'tokens.*line 1' \
    "$kvfsd" --data "$data" --listen 127.0.0.1:0
finish
