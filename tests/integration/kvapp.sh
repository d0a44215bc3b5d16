#!/usr/bin/env bash
# The dialect of KVApp, to the byte, and the tokens that the daemon signs.
# shellcheck disable=SC2154 # $url and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

# call METHOD PATH TOKEN BODY: prints "STATUS BODY".
call()
{
    printf '%s %s' "$(http "$1" "$2" -H "x-access-tokens: $3" \
        -H 'Content-Type: application/json' -d "$4")" "$(body)"
}

insert()
{
    call POST /api/insert "$1" "$2"
}

search()
{
    call GET /api/search "$1" "$2"
}

# new_token [OPTION]...: of curl.
new_token()
{
    http GET /api/auth "$@" >/dev/null
    jq -r .token "$work/body"
}

# part N TOKEN: a part of a JSON Web Token, as JSON.
part()
{
    local text
    text=$(cut -d. -f"$1" <<<"$2" | tr -- '-_' '+/')
    while [ $((${#text} % 4)) != 0 ]; do text+='='; done
    base64 -d <<<"$text"
}

need_daemon

# -- Tokens --

is 'GET /api/auth: 200' "$(http GET /api/auth)" 200
like '... a token and nothing else' "$(body)" \
    '^\{"token":"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+"\}$'
is 'POST /api/auth: 200' "$(http POST /api/auth)" 200
token=$(new_token)
is '... signed by HS256' "$(part 1 "$token" | jq -r .alg)" HS256
is '... for half an hour' "$(part 2 "$token" | jq '.exp - .iat')" 1800
is 'without tokens it stands for everybody' "$(part 2 "$token" | jq -c 'has("sub")')" false

# -- To the byte --

is 'insert: 201' "$(insert "$token" '{"key":"app/a","value":"one"}')" \
    '201 {"key":"app/a","value":"one"}'
is '... JSON' "$(header content-type)" application/json
is '... the value is that of the key' "$(cat "$mnt/app/a")" one
is '... again' "$(insert "$token" '{"value":"two","key":"app/a"}')" \
    '201 {"key":"app/a","value":"two"}'
is '... what is no string is kept as JSON' "$(insert "$token" '{"key":"n","value":5}')/$(
    get n
)" '201 {"key":"n","value":5}/5'
is '... other characters' "$(insert "$token" '{"key":"u","value":"\u00e9\"\n"}')" \
    '201 {"key":"u","value":"\u00e9\"\n"}'
is 'search by key: 200' "$(search "$token" '{"key":"app/a"}')" '200 {"key":"app/a","value":"two"}'
is '... absent: 204' "$(search "$token" '{"key":"absent"}')" '204 '
is '... a directory is no key' "$(search "$token" '{"key":"app"}')" '204 '
put b/two x >/dev/null
put two y >/dev/null
put c 'twofold' >/dev/null
is 'search by prefix: of key or value, sorted by key' "$(search "$token" '{"prefix":"two"}')" \
    '200 {"prefix":"two","result":[{"key":"app/a","value":"two"},{"key":"c","value":"twofold"},{"key":"two","value":"y"}]}'
is '... none: 204' "$(search "$token" '{"prefix":"three"}')" '204 '
is '... empty: all' "$(search "$token" '{"prefix":""}' | tail -c +5 | jq '.result | length')" 6
undefined='400 {"msg":"undefined parameter settings"}'
for wrong in '{"key":"a"}' '{"key":"a","value":"b","more":1}' '{"value":"b"}' '[]' '' '{' \
    '{"key":1,"value":"b"}' '{"key":"a","value":"b","value":"c"}'; do
    is "insert of $wrong: 400" "$(insert "$token" "$wrong")" "$undefined"
done
for wrong in '{}' '{"key":"a","prefix":"b"}' '{"value":"a"}' '"key"' '{"prefix":1}'; do
    is "search of $wrong: 400" "$(search "$token" "$wrong")" "$undefined"
done
is 'a key that cannot be: 400 in its shape' "$(insert "$token" '{"key":"a//b","value":"v"}')" \
    "400 {\"msg\":\"a key has no empty component ('//')\"}"
is '... and one that is a directory' "$(insert "$token" '{"key":"app","value":"v"}' | head -c 11)" \
    '400 {"msg":'

# -- Tokens that are none --

missing='400 {"msg":"token is missing"}' invalid='400 {"msg":"token is invalid"}'
is 'without a token: 400' "$(http POST /api/insert -d '{"key":"a","value":"b"}') $(body)" "$missing"
is '... an empty one' "$(http GET /api/search -H 'x-access-tokens;' -d '{}') $(body)" "$missing"
is 'a wrong one: 400' "$(search nonsense '{"key":"a"}')" "$invalid"
is '... changed by a letter' "$(search "${token%?????}AAAAA" '{"key":"a"}')" "$invalid"
none=eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.$(cut -d. -f2 <<<"$token").
is '... without a signature' "$(search "$none" '{"key":"a"}')" "$invalid"

# -- With tokens --

mine=$("$kv" --socket "$sock" token create mine rw:app)
is 'what was for everybody is for nobody then' "$(search "$token" '{"key":"app/a"}')" "$invalid"
is '/api/auth asks for a token' "$(http GET /api/auth)/$(error_code)" 401/token_needed
short=$(new_token -H "Authorization: Bearer $mine")
is '... and signs for it' "$(part 2 "$short" | jq -r .sub)" "${mine:3:8}"
is 'it grants what that one does' "$(search "$short" '{"key":"app/a"}')" \
    '200 {"key":"app/a","value":"two"}'
is '... and no more' "$(search "$short" '{"key":"two"}' | head -c 3)" 403
is '... in a search, too' "$(search "$short" '{"prefix":"two"}')" \
    '200 {"prefix":"two","result":[{"key":"app/a","value":"two"}]}'
is '... nor on insert' "$(insert "$short" '{"key":"x","value":"v"}' | head -c 3)" 403
is '/v1 takes it' "$(http GET /v1/keys/app/a -H "Authorization: Bearer $short")" 200
is '... and goes by it' "$(http GET /v1/keys/two -H "Authorization: Bearer $short")" 403
boss=$("$kv" --socket "$sock" token create boss admin)
short_boss=$(new_token -H "Authorization: Bearer $boss")
is 'one for a token with admin grants everything' \
    "$(http GET /v1/keys/two -H "Authorization: Bearer $short_boss")" 200
for request in 'GET /v1/tokens' 'POST /v1/tokens' 'DELETE /v1/tokens/mine'; do
    is "... but tokens: $request" "$(http "${request% *}" "${request#* }" \
        -H "Authorization: Bearer $short_boss" -d '{"name":"more","admin":true}'
    )/$(error_code)" 403/not_permitted
done
is 'it cannot ask for another' "$(http GET /api/auth -H "Authorization: Bearer $short")" 403
stop_daemon
need_daemon
is 'it is good after a restart' "$(http GET /v1/keys/app/a -H "Authorization: Bearer $short")" 200
"$kv" --socket "$sock" token revoke mine
is 'it ends with the token it stands for' \
    "$(http GET /v1/keys/app/a -H "Authorization: Bearer $short")" 401
is 'the key is for the owner only' "$(stat -c %a/%s "$data/jwt-key")" 600/32
limited()
{
    [ "$(search nonsense '{"key":"a"}')" = '429 {"msg":"token is invalid"}' ]
}
ok 'too many wrong ones: 429' wait_for limited
stop_daemon
finish
