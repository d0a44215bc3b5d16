#!/usr/bin/env bash
# timeout: 240
# kv wait on all three ways in; kv watch with commands, sizes and values left out.
# shellcheck disable=SC2154 # $status and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"
. "$(dirname "$0")/../lib/commands.sh"

need_daemon
set_ways

# watches N: whether the daemon has that many watches over HTTP.
watches()
{
    [ "$(curl -sS "$url/v1/status" | jq .http.watches)" = "$1" ]
}

# watching NAME: whether the waiter stands. On a mount its inotify instance tells.
watching()
{
    case $1 in
    mount) grep -qs '^inotify wd' /proc/"$waiter"/fdinfo/* ;;
    *) watches 1 ;;
    esac
}

# waiting NAME OPTION...: kv wait in the background; returns when it waits.
waiting()
{
    local name=$1
    shift
    # shellcheck disable=SC2086 # two words
    "$kv" ${way[$name]} wait "$@" >"$work/waited" 2>&1 &
    waiter=$!
    started_pids+=("$waiter")
    wait_for watching "$name" || note "kv wait does not wait: $(cat "$work/waited")"
}

# waited NAME STATUS [TEXT]
waited()
{
    wait_pid "$waiter"
    is "$1" "$status $(cat "$work/waited")" "$2 ${3:-}"
}

still_waiting()
{
    kill -0 "$waiter" 2>/dev/null
}

for name in "${ways[@]}"; do
    # shellcheck disable=SC2206 # two words each
    kvw=("$kv" ${way[$name]})
    d=$name
    "${kvw[@]}" put "$d/there" 1
    says "$name: wait for a key that is there" 0 '' "${kvw[@]}" wait "$d/there"
    says "$name: ... and has the value" 0 '' "${kvw[@]}" wait --equals 1 "$d/there"
    says "$name: wait --gone for a key that is not there" 0 '' "${kvw[@]}" wait --gone "$d/none"
    says "$name: a time that passes: 1" 1 "kv: '$d/none': is not there yet" \
        "${kvw[@]}" wait --timeout 200ms "$d/none"
    says "$name: ... for a change" 1 "kv: '$d/there': has not changed" \
        "${kvw[@]}" wait --timeout 200ms --change "$d/there"
    says "$name: ... for a value" 1 "kv: '$d/there': has another value" \
        "${kvw[@]}" wait --timeout 200ms --equals 2 "$d/there"
    says "$name: ... for its end" 1 "kv: '$d/there': is still there" \
        "${kvw[@]}" wait --timeout 200ms --gone "$d/there"
    says "$name: two wishes at once: 2" 2 \
        "kv: --change, --equals and --gone exclude each other" \
        "${kvw[@]}" wait --gone --change "$d/there"

    waiting "$name" "$d/deep/new"
    put "$d/deep/other" x >/dev/null
    ok "$name: wait goes on while another key comes" still_waiting
    put "$d/deep/new" x >/dev/null
    waited "$name: ... and ends when the key comes" 0

    waiting "$name" --equals yes "$d/deep/new"
    put "$d/deep/new" no >/dev/null
    ok "$name: wait --equals goes on with another value" still_waiting
    echo -n yes >"$mnt/$d/deep/new"
    waited "$name: ... and ends with the right one" 0

    waiting "$name" --change "$d/deep/new"
    put "$d/deep/new" yes >/dev/null
    waited "$name: wait --change ends with any write" 0

    waiting "$name" --gone "$d/deep/new"
    rm "$mnt/$d/deep/new"
    waited "$name: wait --gone ends when the key goes" 0
done

# What comes while the daemon is away is seen when it is back.
waiting tcp late
stop_daemon
need_daemon --listen "127.0.0.1:$port"
put late 1 >/dev/null
waited 'wait goes on after a restart' 0

waiting tcp later
kill_daemon
need_daemon --listen "127.0.0.1:$port"
put later 1 >/dev/null
waited 'wait goes on after a crash, and has nothing to say of it' 0

# -- watch -----------------------------------------------------------------------------

hooks=()
head -c 70000 /dev/zero | tr '\0' x >"$work/large"
printf 'a\0b' >"$work/binary"
for name in tcp mount; do
    # shellcheck disable=SC2086 # two words
    "$kv" ${way[$name]} -v watch --prefix "$name/" \
        --exec 'echo "$KV_EVENT|$KV_KEY|$KV_FROM|$KV_OMITTED|${#KV_VALUE}|$(expr "${KV_REVISION:-0}" : "[1-9]")|$(printf %.3s "$KV_VALUE")"' \
        >"$work/$name.hook" 2>"$work/$name.err" &
    hooks+=($!)
    started_pids+=($!)
    ok "$name: watch --exec watches" wait_for grep -q watching "$work/$name.err"
    "$kv" --url "$url" put "$name/k" one
    ok '... runs the command' wait_for grep -q "put|$name/k|||3|1|one" "$work/$name.hook"
    "$kv" --url "$url" mv "$name/k" "$name/l"
    ok '... a rename has both names' wait_for grep -q "rename|$name/l|$name/k||0|.|" "$work/$name.hook"
    "$kv" --url "$url" put "$name/large" "@$work/large"
    ok '... a large value is left out, and it says so' \
        wait_for grep -q "put|$name/large||size|0|1|" "$work/$name.hook"
    "$kv" --url "$url" put "$name/binary" "@$work/binary"
    ok '... so is one with a zero byte' \
        wait_for grep -q "put|$name/binary||binary|0|1|" "$work/$name.hook"
    "$kv" --url "$url" rm "$name/binary"
    ok '... a delete has no value' \
        wait_for grep -qE "delete\|$name/binary\|\|\|0\|.\|" "$work/$name.hook"
done
kill "${hooks[@]}"

"$kv" --url "$url" -v watch --exec 'exit 3' w >/dev/null 2>"$work/err" &
started_pids+=($!)
wait_for grep -q watching "$work/err"
"$kv" --url "$url" put w 1
ok 'a command that fails is told' wait_for grep -q "kv: 'w': the command ended with status 3" "$work/err"
"$kv" --url "$url" put w 2
twice() { [ "$(grep -c 'ended with status 3' "$work/err")" = 2 ]; }
ok '... and the watch goes on' wait_for twice
kill "${started_pids[-1]}"

ok 'Ctrl-C while a command runs ends the watch, too' \
    python3 "$root/tests/lib/terminal.py" "$kv" --url "$url" -v watch w --exec 'echo runs; sleep 60' <<END
see watching
do $kv --url $url put w 3
see runs
type \x03
end 0
END

"$kv" --url "$url" -v watch --values big >"$work/out" 2>"$work/err" &
started_pids+=($!)
wait_for grep -q watching "$work/err"
"$kv" --url "$url" put big "@$work/large"
ok 'watch --values says when a value was left out' \
    wait_for grep -qx 'put big (value of 70000 bytes left out)' "$work/out"
kill "${started_pids[-1]}"
says '--exec and -o json: 2' 2 'kv: --exec and -o json exclude each other' \
    "$kv" --url "$url" watch -o json --exec true

stop_daemon
finish
