#!/usr/bin/env bash
# Answers in another dress: compressed for who asks for it, and with what a browser wants to see
# for pages of origins that are allowed.
. "$(dirname "$0")/../lib/functions.sh"

need_daemon --no-mount --max-http-memory 32M --max-value-size 8M \
    --cors-origin https://app.example:8443 --cors-origin http://other.example

# zipped METHOD PATH [CURL-OPTION...]: the status, and "gzip" when the answer says so.
zipped()
{
    printf '%s %s' "$(http "$@")" "$(header content-encoding)"
}

# -- gzip --

for ((i = 0; i < 200; i++)); do
    printf '{"key":"l/%d","value":"value %d"}\n' "$i" "$i"
done | http POST /v1/import -T - >/dev/null
http GET '/v1/keys?dir=l&values=1' >/dev/null
cp "$work/body" "$work/plain"
is 'a listing as it is' "$(header content-encoding) $(header vary)" ' Accept-Encoding'
is 'one for who takes gzip' "$(zipped GET '/v1/keys?dir=l&values=1' -H 'Accept-Encoding: gzip')" \
    '200 gzip'
ok '... is the same' cmp "$work/plain" <(gunzip <"$work/body")
ok '... and shorter' test "$(stat -c %s "$work/body")" -lt $(($(stat -c %s "$work/plain") / 3))
while IFS='|' read -r accept want; do
    is "Accept-Encoding: $accept" "$(zipped GET '/v1/keys?dir=l' -H "Accept-Encoding: $accept")" \
        "200 $want"
done <<'END'
gzip, deflate, br|gzip
deflate, gzip;q=0.5|gzip
gzip;q=0|
gzip;q=0, *|
*|gzip
*;q=0|
identity|
gzip;q=0.5, identity|
br|
GZIP|gzip
END
is 'a short answer is not worth it' "$(zipped GET /v1/status -H 'Accept-Encoding: gzip')" '200 '
is 'metrics' "$(zipped GET /metrics -H 'Accept-Encoding: gzip')" '200 gzip'
is 'an export' "$(zipped GET /v1/export -H 'Accept-Encoding: gzip')" '200 gzip'
ok '... is the same' cmp <(curl -sS "$url/v1/export") <(gunzip <"$work/body")

text() # KEY BYTES TYPE
{
    yes 'a line of text' | head -c "$2" >"$work/text"
    http PUT "/v1/keys/$1" -T "$work/text" -H "Content-Type: $3" -H 'Expect:' >/dev/null
}
text small 5000 text/plain
is 'a text' "$(zipped GET /v1/keys/small -H 'Accept-Encoding: gzip')" '200 gzip'
ok '... is the same' cmp "$work/text" <(gunzip <"$work/body")
tag=$(header etag)
is '... under a tag of its own' "$tag" "\"$(header x-kv-revision)-gzip\""
is '... that 304 goes by' "$(http GET /v1/keys/small -H "If-None-Match: $tag")" 304
is '... that a write can be conditional on' \
    "$(http PUT /v1/keys/small -d x -H "If-Match: $tag") $(
        http PUT /v1/keys/small -d x -H "If-Match: $tag")" '200 412'
text small 5000 'application/vnd.api+json; charset=utf-8'
is 'JSON of some kind' "$(zipped GET /v1/keys/small -H 'Accept-Encoding: gzip')" '200 gzip'
is 'a range is of the bytes themselves' \
    "$(zipped GET /v1/keys/small -H 'Accept-Encoding: gzip' -H 'Range: bytes=2-5') $(body)" \
    '206  line'
is '... and not of compressed ones' "$(http GET /v1/keys/small -H 'Accept-Encoding: gzip' \
    -H 'Range: bytes=2-5' -H "If-Range: \"$(key_header small x-kv-revision)-gzip\"")" 200
text small 5000 image/png
is 'a picture is left as it is' "$(zipped GET /v1/keys/small -H 'Accept-Encoding: gzip')" '200 '
text large 8000000 text/html
is 'a large text' "$(zipped GET /v1/keys/large -H 'Accept-Encoding: gzip')" '200 gzip'
ok '... is the same' cmp "$work/text" <(gunzip <"$work/body")
is 'HEAD tells of the bytes themselves' \
    "$(zipped HEAD /v1/keys/large -H 'Accept-Encoding: gzip') $(header content-length)" \
    '200  8000000'
exec {fd}<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /v1/keys/large HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip\r\n\r\n' >&"$fd"
read -r -u "$fd" _
exec {fd}>&-
no_memory_held()
{
    [ "$(curl -sS "$url/metrics" | sed -n 's/^kvfs_http_answer_bytes //p')" = 0 ]
}
ok 'a client that goes away leaves no memory behind' wait_for no_memory_held

# -- Pages of other origins --

origin='Origin: https://app.example:8443'
is 'a page of an allowed origin reads' "$(http GET /v1/keys/large -H "$origin")" 200
is '... and may see it' "$(header access-control-allow-origin)" https://app.example:8443
like '... with its headers' "$(header access-control-expose-headers)" 'ETag.*X-Kv-Revision'
for name in Allow Content-Range Retry-After; do
    like "... and $name" "$(header access-control-expose-headers)" "(^|, )$name(,|\$)"
done
like '... and caches are told' "$(header vary | xargs)" 'Origin'
is 'it writes' "$(http PUT /v1/keys/page -d v -H "$origin") $(
    header access-control-allow-origin)" '201 https://app.example:8443'
is 'it sees errors, too' "$(http GET /v1/keys/none -H "$origin") $(
    header access-control-allow-origin)" '404 https://app.example:8443'
is 'another origin that is allowed' "$(http GET /v1/keys/page -H 'Origin: http://OTHER.example') $(
    header access-control-allow-origin)" '200 http://OTHER.example'
for other in https://app.example https://app.example:8444 http://app.example:8443 null \
    https://app.example:8443.evil.example http://evil.example; do
    is "no other: $other" "$(http GET /v1/keys/page -H "Origin: $other") $(error_code) $(
        header access-control-allow-origin)" '403 origin_not_allowed '
done
for i in {1..20}; do http GET /v1/keys/page >/dev/null; done # it has a ready answer by now
is 'who is no page gets none of it' "$(http GET /v1/keys/page) $(
    header access-control-allow-origin)" '200 '
preflight()
{
    http OPTIONS /v1/keys/page -H "Origin: $1" -H 'Access-Control-Request-Method: PUT' \
        -H 'Access-Control-Request-Headers: if-match'
}
is 'a browser that asks first is told' "$(preflight https://app.example:8443) $(
    header access-control-allow-origin)" '204 https://app.example:8443'
like '... the methods' "$(header access-control-allow-methods)" 'PUT'
like '... and the headers' "$(header access-control-allow-headers)" 'If-Match'
is '... one of another origin is not' "$(preflight http://evil.example)" 403
is 'OPTIONS without a page: 405' "$(http OPTIONS /v1/keys/page)" 405
watch_headers()
{
    curl -sS -N -m 1 -D - -o /dev/null -H "$origin" "$url/v1/watch" 2>/dev/null | tr -d '\r'
}
like 'a stream of events' "$(watch_headers)" 'Access-Control-Allow-Origin: https://app.example:8443'
stop_daemon
for bad in '*' https://app.example/ app.example https:// 'https://a b'; do
    fails "--cors-origin '$bad' is refused" 'no origin of web pages' \
        timeout 20 "$kvfsd" --data "$work/other" --listen 127.0.0.1:0 --cors-origin "$bad"
done
need_daemon --no-mount
is 'without --cors-origin nobody may' "$(http GET /v1/keys/page -H "$origin")" 403
stop_daemon
finish
