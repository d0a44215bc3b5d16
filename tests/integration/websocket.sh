#!/usr/bin/env bash
# The WebSocket of /v1/watch; the cases are in tests/lib/watch_websocket.py.
# timeout: 180
. "$(dirname "$0")/../lib/functions.sh"

need_daemon --no-mount --log-size 1M
while IFS= read -r line; do
    case $line in
    'ok '*) pass "${line#* - }" ;;
    'not ok '*) fail "${line#* - }" ;;
    *) printf '%s\n' "$line" ;;
    esac
done < <(KVFS_URL=$url KVFS_PID=$daemon python3 "$root/tests/lib/watch_websocket.py" |
    sed '/^1\.\./d'
    echo "not ok 0 - the cases ran to their end" | sed "s/^not ok/$([ "${PIPESTATUS[0]}" -le 1 ] && echo ok || echo not ok)/")
stop_daemon
finish
