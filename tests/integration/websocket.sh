#!/usr/bin/env bash
# The WebSocket of /v1/watch, without and with TLS; the cases are in
# tests/lib/watch_websocket.py.
# timeout: 240
. "$(dirname "$0")/../lib/functions.sh"

cases_against() # URL
{
    local line complete=''
    while IFS= read -r line; do
        case $line in
        1..*) complete=1 ;;
        'ok '*) pass "${1%%:*}: ${line#* - }" ;;
        'not ok '*) fail "${1%%:*}: ${line#* - }" ;;
        *) printf '%s\n' "$line" ;;
        esac
    done < <(KVFS_URL=$1 KVFS_PID=$daemon KVFS_CA=$work/cert.pem \
        python3 "$root/tests/lib/watch_websocket.py" 2>&1)
    is "${1%%:*}: the cases ran to their end" "$complete" 1
}

need_daemon --no-mount --log-size 1M
cases_against "$url"
stop_daemon 2>/dev/null # which has had the signal

certtool --generate-privkey --key-type ecdsa --curve secp256r1 --outfile "$work/key.pem" \
    2>/dev/null
printf '%s\n' 'cn = localhost' 'dns_name = localhost' 'ip_address = 127.0.0.1' ca \
    tls_www_server signing_key 'expiration_days = 30' >"$work/template"
certtool --generate-self-signed --load-privkey "$work/key.pem" --template "$work/template" \
    --outfile "$work/cert.pem" 2>/dev/null
need_daemon --no-mount --log-size 1M --data "$work/data2" --tls-cert "$work/cert.pem" \
    --tls-key "$work/key.pem"
cases_against "https://127.0.0.1:$port"
stop_daemon 2>/dev/null # which has had the signal
finish
