#!/usr/bin/env bash
# Tokens in the dialects: without one nobody gets in, and one shows and changes what it grants
# and nothing else.
. "$(dirname "$0")/../lib/functions.sh"
. "$(dirname "$0")/../lib/dialects.sh"

need_daemon
for key in app/a secret/c; do
    put "$key" "of-$key" >/dev/null
done
token=$("$kv" --socket "$sock" token create app rw:app)
reader=$("$kv" --socket "$sock" token create reader r:app)
io='/socket.io/?EIO=4&transport=polling'

# as TOKEN METHOD TARGET [OPTION]...: the answer, without its media type.
as()
{
    local bearer=$1
    shift
    answer "$@" -H "Authorization: Bearer $bearer" | sed -E 's/ [a-z]+\/[a-z]+(; [^ ]*)?//'
}

# -- Without a token --

while read -r method target; do
    is "$method $target needs a token" "$(http "$method" "$target" -d '{"key":"app/a","value":"1"}')" 401
done <<END
GET /api/v1/keys?key=app/a
PUT /api/v1/keys?key=app/a&value=1
GET /kv
PUT /kv
GET $io
GET /key/app/a
DELETE /key/app/a
POST /key/insert
PUT /key/insert
GET /alllist
POST /subscribe/app/a
GET /subscribe/list
GET /get?key=app/a
POST /add?key=app/a&value=1
GET /get_all
END
is 'a session that is none needs no token to be unknown' "$(http GET "$io&sid=none")" 400

# -- What is granted --

is 'reforg reads' "$(as "$reader" GET '/api/v1/keys?key=app/a')" \
    '200 {"key":"app/a","value":"of-app/a"}'
is 'key-value-store writes' "$(as "$token" PUT /kv -d '{"key":"app/b","value":"1"}')" \
    '200 {"app/b": "1"}\n'
is 'KV-Store lists what it may' "$(as "$reader" GET /alllist)" \
    '200 {"items":[{"key":"app/a","value":"of-app/a"},{"key":"app/b","value":"1"}]}'
is 'KV Store, too' "$(as "$reader" GET /get_all)" '200 {"app/a":"of-app/a","app/b":"1"}'

# -- What is not --

no='this token does not grant that'
is 'reforg: read' "$(as "$token" GET '/api/v1/keys?key=secret/c')" \
    "403 {\"detail\":[{\"type\":\"value_error\",\"loc\":[\"query\"],\"msg\":\"$no\",\"input\":null}]}"
is 'reforg: write' "$(as "$reader" PUT '/api/v1/keys?key=app/a&value=1' | cut -c1-3)" 403
is 'key-value-store: read' "$(as "$token" GET /kv -d '{"key":"secret/c"}')" \
    "403 {\"status_code\": 403, \"error\": \"$no\"}\\n"
is 'key-value-store: write' "$(as "$reader" PUT /kv -d '{"key":"app/a","value":"1"}')" \
    "403 {\"status_code\": 403, \"error\": \"$no\"}\\n"
for target in '/key/insert' '/key/secret/c' '/subscribe/secret/c'; do
    method=POST
    [ "$target" != /key/secret/c ] || method=DELETE
    is "KV-Store: $method $target" \
        "$(as "$token" "$method" "$target" -d '{"key":"secret/c","value":"1"}')" \
        "403 {\"message\":\"$no\"}"
done
is 'KV-Store: read' "$(as "$token" GET /key/secret/c)" "403 {\"message\":\"$no\"}"
is 'KV Store: read' "$(as "$token" GET '/get?key=secret/c')" "403 Error: $no."
is 'KV Store: write' "$(as "$reader" POST '/add?key=app/a&value=1')" "403 Error: $no."
is '... nothing was changed' "$(cat "$mnt/app/a" "$mnt/secret/c")" of-app/aof-secret/c

for key in secret/c app/a; do
    curl -sS --unix-socket "$sock" -X POST -o "$work/body" "http://localhost/subscribe/$key"
done
is 'subscriptions of others are not shown' "$(as "$reader" GET /subscribe/list)" \
    '200 {"subscription_list":["app/a"]}'
writer=$("$kv" --socket "$sock" token create writer w:app)
is 'nor is an old value to who may only write' \
    "$(as "$writer" PUT /key/insert -d '{"key":"app/a","value":"2"}')" \
    '200 {"key":"app/a","value":"2"}'

# -- Socket.IO: the session stands for the token it was opened with --

as "$reader" GET "$io" >/dev/null
sid=$(body | cut -c2- | jq -r .sid)
http POST "$io&sid=$sid" -d 40 >/dev/null
http GET "$io&sid=$sid" >/dev/null
printf 1 >"$mnt/secret/c"
printf 2 >"$mnt/app/c"
is 'a session is told of what its token may read' "$(http GET "$io&sid=$sid" && body)" \
    '20042["key_update",{"data":"Key: app/c set with value: 2"}]'
id=${reader#kv_}
"$kv" --socket "$sock" token revoke "${id%_*}" >/dev/null
is '... and ends when that is revoked' "$(http GET "$io&sid=$sid" && body)" \
    '400{"code":1,"message":"Session ID unknown"}'

stop_daemon
finish
