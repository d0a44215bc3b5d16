#!/usr/bin/env bash
# The WebSocket of /v1/watch; the cases are in tests/lib/watch_websocket.py.
# timeout: 180
. "$(dirname "$0")/../lib/functions.sh"

need_daemon --no-mount --log-size 1M
complete=''
while IFS= read -r line; do
    case $line in
    1..*) complete=1 ;;
    'ok '*) pass "${line#* - }" ;;
    'not ok '*) fail "${line#* - }" ;;
    *) printf '%s\n' "$line" ;;
    esac
done < <(KVFS_URL=$url KVFS_PID=$daemon python3 "$root/tests/lib/watch_websocket.py" 2>&1)
is 'the cases ran to their end' "$complete" 1
stop_daemon 2>/dev/null # which has had the signal
finish
