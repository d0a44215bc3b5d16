#!/usr/bin/env bash
# timeout: 240
# The documentation that kvfsd serves: /openapi.json and the API browser at /docs, in
# a real browser.
# shellcheck disable=SC2154 # $url and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"
. "$root/tests/lib/browser.sh"

need_daemon --no-mount

# -- As files --

is 'GET /docs: 200' "$(http GET /docs)" 200
is '... a page' "$(header content-type)" 'text/html; charset=utf-8'
like '... that may load nothing from elsewhere' "$(header content-security-policy)" \
    "^default-src 'none'; script-src 'self'; style-src 'self';"
fails '... and run nothing that stands in it' '' grep unsafe "$work/headers"
tag=$(header etag)
is '... that is not sent twice' "$(http GET /docs -H "If-None-Match: \"x\", $tag")" 304
is '... but when it is another' "$(http GET /docs -H 'If-None-Match: "x"')" 200
is 'GET /docs/: the same' "$(http GET /docs/)/$(header etag)" "200/$tag"
is 'GET of what is none: 404' "$(http GET /docs/absent)/$(error_code)" 404/no_such_route
is 'GET /openapi.json: 200' "$(http GET /openapi.json)" 200
is '... JSON' "$(header content-type)" application/json
cp "$work/body" "$work/plain"
http GET /openapi.json --compressed >/dev/null
is '... compressed when asked for' "$(header content-encoding)" gzip
ok '... the same' cmp "$work/plain" "$work/body"
is 'HEAD of it: 200' "$(http HEAD /openapi.json)" 200
is '... its length' "$(header content-length)" "$(wc -c <"$work/plain")"

# -- Built without the browser --

page_without_browser()
{
    local other=$work/build tag
    tag=$(sha256sum <"$root/httpd/docs/missing.html")
    meson setup "$other" "$root" -Dapi_browser=disabled &&
        ninja -C "$other" httpd/docs_assets.c &&
        grep -q "{\"/docs\", \"text/html; charset=utf-8\", \"${tag:0:16}\"" \
            "$other/httpd/docs_assets.c" &&
        ! grep -q swagger "$other/httpd/docs_assets.c"
}

ok 'built without the API browser, /docs is a page that says so' page_without_browser

# -- In a browser --

if ! grep -q swagger "$build/httpd/docs_assets.c"; then
    skip 'the API browser works' 'built without it: packaging/bundles swagger-ui'
    stop_daemon
    finish
fi
need_browser
start_browser
put app/host db.example >/dev/null
http GET /v1/keys/app/host >/dev/null
is 'the API browser opens' "$(page open "$url/docs")" ok
operations=$(jq '[.paths[] | keys[]] | length' "$work/plain")
ok '... and has all operations' \
    page until "document.querySelectorAll('.opblock').length == $operations"

# try_out OPERATION: as its example says; prints the status.
try_out()
{
    local block="#operations-$1" answer
    answer="$block .live-responses-table .response-col_status"
    page click "$block .opblock-summary-control" >/dev/null &&
        page click "$block .execute" >/dev/null &&
        page until "document.querySelector('$answer')" >/dev/null
    page eval "document.querySelector('$block .live-responses-table tbody').innerText"
}

like 'GET of a key is tried out' "$(try_out keys-getKey)" '^200.*x-kv-version: 1'
is '... and leaves it' "$(version app/host)" 1
like 'PUT is tried out' "$(try_out keys-putKey)" '^200.*"version": 2'
is '... and writes' "$(version app/host)" 2
like 'a transaction is tried out' "$(try_out changes-transact)" '^200.*"succeeded": true'
is '... and writes' "$(get app/leader)" node-1
is 'nothing was refused by the policy, and nothing asked of others' "$(page complaints)" none
end_browser
stop_daemon
finish
