#!/usr/bin/env bash
# reforg's /api/v1/keys, byte for byte.
. "$(dirname "$0")/../lib/functions.sh"
. "$(dirname "$0")/../lib/dialects.sh"

need_daemon
api=/api/v1/keys
j=application/json

is 'PUT' "$(answer PUT "$api?key=colour&value=red")" "200 $j null"
is 'GET' "$(answer GET "$api?key=colour")" "200 $j {\"key\":\"colour\",\"value\":\"red\"}"
is '... it is a file' "$(cat "$mnt/colour")" red
printf 'blue\n' >"$mnt/colour"
is '... and the file is the value' "$(answer GET "$api?key=colour")" \
    "200 $j {\"key\":\"colour\",\"value\":\"blue\\n\"}"
is 'PUT over it' "$(answer PUT "$api?key=colour&value=green")" "200 $j null"
is '... has its value' "$(get colour)" green
is 'an empty value' "$(answer PUT "$api?key=empty&value=")" "200 $j null"
is '... is one' "$(answer GET "$api?key=empty")" "200 $j {\"key\":\"empty\",\"value\":\"\"}"
is 'a key below a directory' "$(answer PUT "$api?key=a/b&value=1") $(get a/b)" "200 $j null 1"
is 'GET of an absent key' "$(answer GET "$api?key=none")" "404 $j null"
is 'GET of a directory' "$(answer GET "$api?key=a")" "404 $j null"
is 'GET below a key' "$(answer GET "$api?key=colour/x")" "404 $j null"

# -- Characters --

answer PUT "$api?key=signs&value=a%22b%5Cc%2F%09%08%0C%7F%01caf%C3%A9+%F0%9F%98%80" >/dev/null
is 'JSON as FastAPI writes it' "$(answer GET "$api?key=signs")" \
    "200 $j $(printf '{"key":"signs","value":"a\\"b\\\\c/\\t\\b\\f\x7f\\u0001café 😀"}')"
is 'a key beyond ASCII' "$(answer PUT "$api?key=caf%C3%A9&value=1") $(answer GET "$api?key=caf%C3%A9")" \
    "200 $j null 200 $j {\"key\":\"café\",\"value\":\"1\"}"
is 'bytes that are not UTF-8 are stored' \
    "$(answer PUT "$api?key=bytes&value=%FF%00z") $(get bytes | xxd -p)" "200 $j null ff007a"
is '... and shown as replacements' "$(answer GET "$api?key=bytes")" \
    "200 $j {\"key\":\"bytes\",\"value\":\"�\\u0000z\"}"

# -- What is wrong --

missing()
{
    printf '{"type":"missing","loc":["query","%s"],"msg":"Field required","input":null}' "$1"
}
is 'GET without a key: 422' "$(answer GET "$api")" "422 $j {\"detail\":[$(missing key)]}"
is 'PUT without a value: 422' "$(answer PUT "$api?key=a")" "422 $j {\"detail\":[$(missing value)]}"
is 'PUT without either: 422' "$(answer PUT "$api")" \
    "422 $j {\"detail\":[$(missing key),$(missing value)]}"
wrong()
{
    printf '{"detail":[{"type":"value_error","loc":["query"%s],"msg":"%s","input":null}]}' "$@"
}
rule="a key has no empty component ('//')"
for method in GET PUT; do
    is "$method of no key: 400" "$(answer "$method" "$api?key=a//b&value=1")" \
        "400 $j $(wrong ',"key"' "$rule")"
    like "$method of an empty key: 400" "$(answer "$method" "$api?key=&value=1")" '^400 .*"detail":\['
done
is 'PUT onto a directory: 400' "$(answer PUT "$api?key=a&value=1")" \
    "400 $j $(wrong ',"key"' 'the key is a directory')"
is 'PUT below a key: 400' "$(answer PUT "$api?key=colour/x&value=1")" \
    "400 $j $(wrong ',"key"' 'a part of the path is a key, not a directory')"
head -c 9000000 /dev/zero | put_file large - >/dev/null
like 'a value too long for JSON: 413' "$(answer GET "$api?key=large")" '^413 .*"detail":\['
like 'POST: 405' "$(answer POST "$api?key=a")" '^405 '
is 'a foreign web page: 403' "$(http GET "$api?key=colour" -H 'Origin: http://evil.example')" 403
is 'a host that is not ours: 403' "$(http GET "$api?key=colour" -H 'Host: evil.example')" 403

# -- A store that fails --

stop_daemon
need_daemon --max-value-size 10
is 'PUT that fails: 500' "$(answer PUT "$api?key=k&value=12345678901")" \
    "500 $j $(wrong '' 'the value is larger than the store allows')"
stop_daemon
finish
