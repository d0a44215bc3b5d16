#!/usr/bin/env bash
# timeout: 180
# How many connections one client may have: by its IPv4 address, by its network of IPv6. In
# a network namespace, because loopback has no limit.
if [ -z "${KV_NETWORK:-}" ]; then
    KV_NETWORK=own exec unshare --net "$0"
fi
. "$(dirname "$0")/../lib/functions.sh"

ip link set lo up &&
    ip address add 192.0.2.1/32 dev lo &&
    ip address add 192.0.2.2/32 dev lo &&
    for address in 2001:db8:0:1::1 2001:db8:0:1::2 2001:db8:0:2::1; do
        ip address add "$address/128" dev lo nodad || exit
    done || exit

# connect_from TO PORT COUNT FROM...: so many connections from each of these addresses, one
# more from the last; the status of the answer on that.
connect_from()
{
    python3 - "$@" <<'END'
import socket, sys

to, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

def connect(source):
    return socket.create_connection((to, port), timeout=30, source_address=(source, 0))

kept = [connect(source) for source in sys.argv[4:] for _ in range(count)]
# Those before have been taken: connections are accepted in order.
last = connect(sys.argv[-1])
last.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
answer = b""
while b"}" not in answer and b"ok" not in answer:
    piece = last.recv(4096)
    if not piece:
        break
    answer += piece
print(answer.split()[1].decode(), "too_many_connections" if
      b"too_many_connections" in answer else "")
END
}

need_daemon --no-mount --insecure --listen 192.0.2.1:0 --listen '[2001:db8:0:1::1]:0'
port=$(sed -n 's/.*listening on 192\.0\.2\.1:\([0-9]*\)$/\1/p' "$log")
port6=$(sed -n 's/.*listening on \[2001:db8:0:1::1\]:\([0-9]*\)$/\1/p' "$log")
is '1,024 connections of one address' "$(connect_from 192.0.2.1 "$port" 1023 192.0.2.1)" '200 '
is '... and not one more' "$(connect_from 192.0.2.1 "$port" 1024 192.0.2.1)" \
    '503 too_many_connections'
is '... but one of another address' "$(connect_from 192.0.2.1 "$port" 600 192.0.2.1 192.0.2.2)" \
    '200 '
is 'addresses of one IPv6 /64 are one client' \
    "$(connect_from 2001:db8:0:1::1 "$port6" 512 2001:db8:0:1::1 2001:db8:0:1::2)" \
    '503 too_many_connections'
is '... those of another are another' \
    "$(connect_from 2001:db8:0:1::1 "$port6" 600 2001:db8:0:1::1 2001:db8:0:2::1)" '200 '
stop_daemon
finish
