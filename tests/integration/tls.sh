#!/usr/bin/env bash
# TLS: what is spoken, requests that sleep, and a certificate that is replaced while
# connections are open.
# shellcheck disable=SC2154 # $url and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

# make_pair NAME: NAME.cert and NAME.key in $work; a certificate that signs itself.
make_pair()
{
    certtool --generate-privkey --key-type ecdsa --curve secp256r1 \
        --outfile "$work/$1.key" 2>/dev/null &&
        printf '%s\n' "cn = $1" 'dns_name = localhost' 'ip_address = 127.0.0.1' ca \
            tls_www_server signing_key 'expiration_days = 30' >"$work/template" &&
        certtool --generate-self-signed --load-privkey "$work/$1.key" \
            --template "$work/template" --outfile "$work/$1.cert" 2>/dev/null
}

use_pair()
{
    cp "$work/$1.cert" "$work/cert.pem" && cp "$work/$1.key" "$work/key.pem"
}

# secure NAME METHOD TARGET [OPTION]...: trusting the certificate NAME.
secure()
{
    local name=$1 method=$2 target=$3
    shift 3
    http "$method" "$target" --cacert "$work/$name.cert" "$@"
}

need_secure()
{
    need_daemon --no-mount --tls-cert "$work/cert.pem" --tls-key "$work/key.pem" "$@"
    url=https://127.0.0.1:$port
}

ok 'certificates can be made' make_pair first
make_pair second
use_pair first
need_secure

# -- What is spoken --

is 'PUT, which sleeps until it is committed' "$(secure first PUT /v1/keys/a -d hello)" 201
is 'GET' "$(secure first GET /v1/keys/a)/$(body)" 200/hello
head -c $((20 << 20)) /dev/urandom >"$work/large"
is 'a large value goes in' "$(secure first PUT /v1/keys/large -T "$work/large")" 201
secure first GET /v1/keys/large >/dev/null
ok '... and comes out' cmp "$work/large" "$work/body"
is 'kv speaks it' "$("$kv" --url "$url" --cacert "$work/first.cert" get a)" hello
fails '... and trusts nobody else' '--cacert' "$kv" --url "$url" get a
is 'the Unix socket stays plain' "$("$kv" --socket "$sock" get a)" hello

is 'WebSockets are not spoken, and that is told' "$(secure first GET /v1/watch --http1.1 \
    -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
    -H 'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==')/$(error_code)" 501/no_websocket

# handshake PRIORITIES: whether there is one, with these of GnuTLS.
handshake()
{
    gnutls-cli --no-ca-verification --priority "$1" -p "$port" 127.0.0.1 </dev/null
}

ok 'TLS 1.3' handshake 'NORMAL:-VERS-ALL:+VERS-TLS1.3'
ok 'TLS 1.2' handshake 'NORMAL:-VERS-ALL:+VERS-TLS1.2'
fails 'no TLS 1.1' 'alert|unexpected|terminated' handshake \
    'NORMAL:-VERS-ALL:+VERS-TLS1.1:+SHA1:%VERIFY_ALLOW_SIGN_WITH_SHA1'
fails 'no TLS 1.0' 'alert|unexpected|terminated' handshake \
    'NORMAL:-VERS-ALL:+VERS-TLS1.0:+SHA1:%VERIFY_ALLOW_SIGN_WITH_SHA1'
fails 'nothing in plain text' 'Empty reply|reset' \
    curl -sS --max-time "$deadline" "http://127.0.0.1:$port/healthz"

# -- Another certificate --

exec {watch_fd}< <(exec curl -sS -N --max-time "$deadline" --cacert "$work/first.cert" \
    "$url/v1/watch" 2>&1)
next_frame()
{
    local line
    while IFS= read -r -t "$deadline" -u "$watch_fd" line; do
        case $line in
        "$1"*) return 0 ;;
        esac
    done
    return 1
}
ok 'a watch begins' next_frame ': kvfs'
use_pair second
kill -HUP "$daemon"
trusts_second()
{
    [ "$(secure second GET /v1/keys/a)" = 200 ]
}
ok 'SIGHUP: who connects sees the new certificate' wait_for trusts_second
fails '... and the old one no more' 'certificate' secure first GET /v1/keys/a
secure second PUT /v1/keys/b -d v >/dev/null
ok '... while the watch from before goes on' next_frame 'data:'
printf 'nonsense\n' >"$work/cert.pem"
kill -HUP "$daemon"
told()
{
    grep -q 'going on with the certificate that there was' "$log"
}
ok 'one that cannot be read is told of' wait_for told
is '... and the one before stays' "$(secure second GET /v1/keys/a)" 200
exec {watch_fd}<&-
stop_daemon

# -- Starting --

# refused NAME PATTERN CERT KEY
refused()
{
    fails "$1" "$2" "$kvfsd" --data "$work/other" --listen 127.0.0.1:0 \
        --tls-cert "$work/$3" --tls-key "$work/$4"
}

refused 'a certificate that is missing is named' "nowhere.*No such file" nowhere first.key
refused 'a key that is missing is named' "nowhere.*No such file" first.cert nowhere
refused 'a certificate that is none is named' "cannot use .*cert.pem" cert.pem first.key
refused 'a key of another certificate is refused' "second.key" first.cert second.key
fails 'a certificate alone is refused' 'go together' \
    "$kvfsd" --data "$work/other" --tls-cert "$work/first.cert"
chmod 644 "$work/first.key"
use_pair first
chmod 644 "$work/key.pem"
need_secure
is 'a key that everybody can read is warned of' "$(grep -c 'everybody.*key.pem' "$log")" 1
stop_daemon
need_daemon --no-mount
end_daemon HUP
is 'without TLS, SIGHUP stops it' "$status" 0
finish
