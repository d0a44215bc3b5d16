#!/usr/bin/env bash
# timeout: 240
# kv lock: one command at a time, a lock that lives as long as its command and no longer
# than its holder, and what happens when it is lost.
# shellcheck disable=SC2154 # $status and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"
. "$(dirname "$0")/../lib/commands.sh"

need_daemon
export KV_URL=$url

absent()
{
    [ "$(http HEAD "/v1/keys/$1")" = 404 ]
}

# Whether somebody waits for a lock.
waits()
{
    [ "$(curl -sS "$url/v1/status" | jq .http.watches)" = 1 ]
}

# locked NAME [OPTION...]: kv lock NAME in the background, held until $work/go is written to.
locked()
{
    local name=$1
    shift
    rm -f "$work/go"
    mkfifo "$work/go"
    # shellcheck disable=SC2016 # for the inner shell
    "$kv" lock "$@" "$name" bash -c 'trap "echo term; exit 7" TERM; echo "has $KV_LOCK $$"
        while ! read -r -t 1 x <>"$1"; do :; done; echo done' bash "$work/go" \
        >"$work/locked" 2>"$work/locked.err" &
    holder=$!
    started_pids+=("$holder")
    wait_for grep -q "has $name" "$work/locked" || note "no lock: $(cat "$work/locked.err")"
}


says 'the exit status is that of the command' 7 '' "$kv" lock l bash -c 'exit 7'
ok '... and the lock is gone' absent l
says 'options behind the name are for the command' 0 -l "$kv" lock l printf '%s' -l
says 'a command that cannot be run: 127' 127 "kv: cannot run '/none/such': No such file or directory" \
    "$kv" lock l /none/such
ok '... and the lock is gone' absent l
# shellcheck disable=SC2016
says 'a command that dies of a signal: 128 and its number' 137 '' "$kv" lock l bash -c 'kill -9 $$'
ok '... and the lock is gone' absent l
# shellcheck disable=SC2016
says 'the command knows the lock' 0 a/l "$kv" lock a/l bash -c 'echo $KV_LOCK'
"$kv" put here 1
# shellcheck disable=SC2016
is 'a kv below the lock goes the same way in' \
    "$(env KV_URL=127.0.0.1:1 "$kv" --url "$url" lock l bash -c '"$1" get here' bash "$kv")" 1
printf in >"$work/in"
is 'the command has our stdin' "$("$kv" lock l cat <"$work/in")" in

locked m
like 'the value tells who has it' "$(get m)" "^$(hostname) pid $holder [0-9a-f]{32}\$"
ok '... and it expires' test -n "$(key_header m x-kv-expires)"
says 'another is refused with --no-wait: 1' 1 "kv: 'm': is held by $(hostname) pid $holder .*" \
    "$kv" lock --no-wait m true
says '... or after --wait: 1' 1 "kv: 'm': is held by .*" "$kv" lock --wait 200ms m true
"$kv" lock m echo second >"$work/second" 2>&1 &
second=$!
wait_for waits
is 'or waits' "$(cat "$work/second")" ''
echo >"$work/go"
wait_pid "$holder"
is 'the first ends' "$status $(tail -n 1 "$work/locked")" '0 done'
wait_pid "$second"
is '... and the second goes on' "$status $(cat "$work/second")" '0 second'
ok '... and the lock is gone' absent m

# Each of many adds to a file that only one may write at a time.
echo 0 >"$work/count"
for i in {1..8}; do
    # shellcheck disable=SC2016
    "$kv" lock crowd bash -c 'n=$(cat "$1"); echo $((n + 1)) >"$1"' bash "$work/count" &
    crowd[i]=$!
done
wait "${crowd[@]}"
is 'of many each gets its turn, one at a time' "$(cat "$work/count")" 8

# It is renewed: it lives longer than its ttl.
locked r --ttl 1s
first=$(key_header r x-kv-expires)
renewed() { local now; now=$(key_header r x-kv-expires); [ -n "$now" ] && [ "$now" != "$first" ]; }
ok 'the lock is renewed' wait_for renewed
first=$(key_header r x-kv-expires)
ok '... again and again' wait_for renewed
kill -TERM "$holder"
wait_pid "$holder"
is 'SIGTERM goes on to the command, and its status back' "$status $(tail -n 1 "$work/locked")" '7 term'
ok '... and the lock is gone' absent r

# A holder that is killed releases nothing; the ttl does.
locked k --ttl 1s
child=$(sed -n 's/^has k //p' "$work/locked")
kill -KILL "$holder"
wait_pid "$holder"
says 'a lock of a dead holder is got when it ends' 0 got "$kv" lock k echo got
kill -KILL "$child"

# A lock that was taken away: the command is ended, and somebody else's lock stays.
locked t --ttl 1s
delete t >/dev/null
put t 'somebody else' >/dev/null
wait_pid "$holder"
is 'a lock that was lost: SIGTERM, and status 1' "$status $(tail -n 1 "$work/locked")" '1 term'
is '... which is told' "$(cat "$work/locked.err")" "kv: 't': the lock was lost: it ended or was taken away
kv: 't': the lock is not held any more: ending 'bash'"
is '... and the lock of somebody else stays' "$(get t)" 'somebody else'

# kvfsd goes: the lock is held no longer than its ttl.
locked u --ttl 1s
stop_daemon
wait_pid "$holder"
is 'a lock that cannot be renewed is lost' "$status $(tail -n 1 "$work/locked")" '1 term'
like '... which is told' "$(cat "$work/locked.err")" "cannot reach kvfsd.*ending 'bash'"
need_daemon --listen "127.0.0.1:$port"

# A restart that is quicker than the ttl does no harm.
locked q --ttl 20s
stop_daemon
need_daemon --listen "127.0.0.1:$port"
echo >"$work/go"
wait_pid "$holder"
is 'a restart does not take the lock' "$status $(tail -n 1 "$work/locked")" '0 done'
ok '... and it is released' absent q

says 'a lock on a mount: 2' 2 "kv: 'kv lock' cannot be had on a mount
kv: hint: use --url or --socket" "$kv" --mount "$mnt" lock x true
says 'a time to live that is too short: 2' 2 'kv: --ttl of a lock must be 1s to 24h' \
    "$kv" lock --ttl 10ms x true
says 'a lock without a command: 2' 2 "kv: 'kv lock' needs more operands
kv: hint: .*" "$kv" lock x
put dir/key 1 >/dev/null
says 'a directory is no lock, and not waited for: 4' 4 "kv: 'dir': the key is a directory" \
    timeout "$deadline" "$kv" lock dir true
says 'nobody there: 3' 3 "kv: cannot reach kvfsd at .*" "$kv" --url 127.0.0.1:1 lock x true

stop_daemon
finish
