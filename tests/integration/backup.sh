#!/usr/bin/env bash
# Backups: one that is taken under load opens as a store of one moment; one whose client goes
# away is over.
. "$(dirname "$0")/../lib/functions.sh"

need_daemon --no-mount

# A writer that keeps two keys in step, in one transaction each time.
keep_writing()
{
    local i
    for ((i = 1; ; i++)); do
        printf '{"then":[{"op":"incr","key":"step/a"},{"op":"put","key":"fill/%d","value":"%s"},
            {"op":"incr","key":"step/b"}]}' "$i" "$filler" |
            curl -sS -o /dev/null -X POST --data-binary @- "$url/v1/txn" || break
    done
}
filler=$(printf '%05000d' 0)
head -c 30000000 /dev/urandom | put_file large - >/dev/null
http PUT '/v1/keys/later?ttl=1h' -d x >/dev/null
background keep_writing
writer=$!
running()
{
    [ "$(get step/a 2>/dev/null)" -gt 5 ]
}
ok 'somebody writes' wait_for running
first=$(get step/a)
mkdir -m 700 "$work/restored"
ok 'a backup' curl -sS --fail --max-time "$deadline" -o "$work/restored/data.mdb" \
    "$url/v1/backup"
last=$(get step/a)
ok '... while writes go on' test "$last" -ge "$first"
kill "$writer"
wait "$writer" 2>/dev/null
large=$(get large | md5sum)

# The second daemon beside the first one.
first_daemon=$daemon first_url=$url first_drain=$drain first_port=$port
need_daemon --no-mount --data "$work/restored" --socket "$work/second.sock"
is 'a new daemon opens it, as of one moment' "$(get step/a)" "$(get step/b)"
steps=$(get step/a)
ok '... during the backup' test "$steps" -ge "$first" -a "$steps" -le "$last"
is '... whole' "$(curl -sS "$url/v1/keys?dir=fill&limit=10000" | jq '.keys | length') $(
    get large | md5sum)" "$steps $large"
like '... with what expires' "$(key_header later x-kv-expires)" '^20'
is '... and the history' "$(curl -sS "$url/v1/history?key=step/a&limit=1" |
    jq -c '.versions[0].value')" "\"$steps\""
is '... and writes go on from there' \
    "$(put step/a 0) $(header x-kv-revision)" "200 $((steps + 3))"
stop_daemon
daemon=$first_daemon url=$first_url drain=$first_drain port=$first_port

# -- One at a time; clients that go away --

exec {fd}<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /v1/backup HTTP/1.1\r\nHost: localhost\r\n\r\n' >&"$fd"
read -r -u "$fd" line
like 'a backup that nobody takes' "$line" ' 200 '
is '... keeps others out' "$(http GET /v1/backup) $(error_code)" '503 busy'
is '... but not writes' "$(put k v)" 201
backups()
{
    grep -lx kv-backup "/proc/$daemon/task"/*/comm 2>/dev/null | wc -l
}
is '... in threads of its own' "$(backups)" 2 # LMDB makes the second
exec {fd}>&-
free()
{
    [ "$(curl -sS -o /dev/null -w '%{http_code}' "$url/v1/backup")" = 200 ]
}
ok 'until it goes away' wait_for free
is '... and nothing is left of it' "$(backups)" 0
is 'HEAD: 405' "$(http HEAD /v1/backup)" 405

exec {fd}<>"/dev/tcp/127.0.0.1/$port"
printf 'GET /v1/backup HTTP/1.1\r\nHost: localhost\r\n\r\n' >&"$fd"
read -r -u "$fd" line
stop_daemon 'it stops cleanly with a backup under way'
exec {fd}>&-

# -- A token that is revoked meanwhile --

need_daemon --no-mount
token=$("$kv" --socket "$sock" token create copier rw:/)
exec {fd}<>"/dev/tcp/127.0.0.1/$port"
printf '%s\r\n' 'GET /v1/backup HTTP/1.1' 'Host: localhost' 'Connection: close' \
    "Authorization: Bearer $token" '' >&"$fd"
read -r -u "$fd" line
like 'a backup with a token' "$line" ' 200 '
"$kv" --socket "$sock" token revoke copier
ok '... that is revoked ends before it is whole' \
    test "$(wc -c <&"$fd")" -lt 30000000 # and that is the least
exec {fd}>&-
stop_daemon
finish
