#!/usr/bin/env bash
# What goes with a value: its media type, its description as JSON, and the tags of both.
. "$(dirname "$0")/../lib/functions.sh"

need_daemon

typed() # KEY TYPE
{
    http PUT "/v1/keys/$1" --data-binary v -H "Content-Type: $2"
}

type_of() # KEY
{
    http GET "/v1/keys/$1" >"$work/status"
    header content-type
}

# -- Media types --

is 'a PUT with a media type' "$(typed page 'text/html; charset=utf-8')" 201
is '... which GET answers with' "$(type_of page)" 'text/html; charset=utf-8'
is '... as a page that may do nothing' "$(header content-security-policy)" sandbox
is '... and whose type nobody guesses' "$(header x-content-type-options)" nosniff
is '... in one revision' "$(revision) $(version page)" '1 1'
is 'other programs see it in the mount' \
    "$(getfattr --absolute-names --only-values -n user.mime_type "$mnt/page")" 'text/html; charset=utf-8'
setfattr -n user.mime_type -v image/png "$mnt/page"
is '... and set it there' "$(type_of page)" image/png
echo x >"$mnt/page"
is 'a write in the mount keeps it' "$(type_of page)" image/png
setfattr -n user.mime_type -v $'text/plain\r\nX-Evil: 1' "$mnt/page"
is 'one that cannot be sent is not' "$(type_of page) $(header x-evil)" \
    'application/octet-stream '
is 'a PUT without a type clears it' "$(typed page text/plain) $(
    http PUT /v1/keys/page --data-binary v -H 'Content-Type:') $(type_of page)" \
    '200 200 application/octet-stream'
is '... and so does what curl says of everything' "$(typed page text/plain) $(put page v) $(
    type_of page)" '200 200 application/octet-stream'
is '... from the key as well' "$(getfattr --absolute-names -d "$mnt/page")" ''
is 'append keeps it' "$(typed log text/plain) $(http POST '/v1/keys/log?op=append' -d x) $(
    type_of log)" '201 200 text/plain'
for type in text '/plain' 'a b/c' "text/$(printf '%0300d' 0)"; do
    is "no media type: $(head -c 20 <<<"$type")" "$(typed bad "$type") $(error_code)" \
        '400 bad_request'
done
is 'a transaction sets one' "$(http POST /v1/txn -d '{"then":[{"op":"put","key":"t",
    "value":"1","content_type":"text/css"}]}') $(type_of t)" '200 text/css'
is '... or says why not' "$(http POST /v1/txn -d '{"then":[{"op":"put","key":"t",
    "value":"1","content_type":"css"}]}') $(error_code)" '400 bad_request'

# -- JSON --

describe() # KEY [CURL-OPTION...]
{
    local key=$1
    shift
    http GET "/v1/keys/$key" -H 'Accept: application/json' "$@"
}

typed d/k text/plain >/dev/null
chmod 640 "$mnt/d/k"
setfattr -n user.colour -v red "$mnt/d/k"
is 'a key as JSON' "$(describe d/k) $(header content-type)" '200 application/json'
is '... with all there is to know' \
    "$(jq -c '[.key, .value, .size, .version, .mode, .content_type, (.attributes | map(.name + "=" + .value))]' "$work/body")" \
    '["d/k","v",1,1,"0640","text/plain",["user.colour=red","user.mime_type=text/plain"]]'
is '... the same inode' "$(jq .id "$work/body")" "$(stat -c %i "$mnt/d/k")"
tag=$(header etag)
is '... under a tag of its own' "$tag" "\"$(key_header d/k x-kv-revision)-json\""
is '... that 304 goes by' "$(describe d/k -H "If-None-Match: $tag") $(body)" '304 '
is '... and that a write can be conditional on' \
    "$(http PUT /v1/keys/d/k -d w -H "If-Match: $tag") $(
        http PUT /v1/keys/d/k -d w -H "If-Match: $tag")" '200 412'
http PUT '/v1/keys/d/t?ttl=60s' -d v >/dev/null
like 'a time to live' "$(describe d/t >/dev/null; jq -r .expires "$work/body")" '^20.*Z$'
is 'bytes that are no text' "$(printf '\377' | http PUT /v1/keys/d/b --data-binary @- &&
    describe d/b && jq -c '[.value, .encoding]' "$work/body")" '201200["/w==","base64"]'
is 'a directory' "$(describe d) $(jq -c '[.key, .type, has("value")]' "$work/body")" \
    '200 ["d","directory",false]'
is 'nothing: 404' "$(describe none) $(error_code)" '404 not_found'
head -c 1048577 /dev/zero | put_file d/large - >/dev/null
is 'a large value is left out' "$(describe d/large) $(
    jq -c '[.size, .omitted, has("value")]' "$work/body")" '200 [1048577,true,false]'
is 'HEAD' "$(http HEAD /v1/keys/d/t -H 'Accept: application/json') $(header content-type)" \
    '200 application/json'
ok '... tells the length of the JSON' test "$(header content-length)" -gt 100
for accept in '*/*' 'application/json, text/plain, */*' 'text/html, application/json;q=0.9' \
    'application/json;q=0' 'application/*'; do
    is "Accept: $accept gives the value" \
        "$(http GET /v1/keys/d/t -H "Accept: $accept") $(body)" '200 v'
done
is 'Accept: application/json, */*;q=0.1 gives JSON' \
    "$(http GET /v1/keys/d/t -H 'Accept: application/json, */*;q=0.1') $(
        jq -r .key "$work/body")" '200 d/t'
is 'Accept may come twice' \
    "$(http GET /v1/keys/d/t -H 'Accept: application/json' -H 'Accept: text/plain')" 200
http GET /v1/keys/d/t >/dev/null
is 'caches are told' "$(header vary)" 'Accept, Accept-Encoding'

# -- Ranges of what may change its dress --

put digits 0123456789 >/dev/null
tag=$(header etag)
is 'If-Range with the tag: the range' \
    "$(http GET /v1/keys/digits -H 'Range: bytes=2-4' -H "If-Range: $tag") $(body)" '206 234'
is '... with that of the JSON: the whole' \
    "$(http GET /v1/keys/digits -H 'Range: bytes=2-4' -H "If-Range: ${tag%\"}-json\"") $(body)" \
    '200 0123456789'
is '... with a date: the whole' "$(http GET /v1/keys/digits -H 'Range: bytes=2-4' \
    -H 'If-Range: Sat, 21 Nov 2026 10:01:04 GMT')" 200
is 'several ranges: the whole' "$(http GET /v1/keys/digits -H 'Range: bytes=0-1,4-5')" 200
stop_daemon
finish
