#!/usr/bin/env bash
# timeout: 180
# kv bench, all three ways in: it measures what it was asked for, finds a store that does
# not give back what was put, and leaves nothing behind.
# shellcheck disable=SC2154 # $status and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"
. "$(dirname "$0")/../lib/commands.sh"

need_daemon
set_ways

leaves_nothing()
{
    is "$1: nothing is left" "$("$kv" --url "$url" ls)" ''
}

for name in "${ways[@]}"; do
    # shellcheck disable=SC2206 # two words each
    kvw=("$kv" ${way[$name]})
    "${kvw[@]}" bench --clients 3 --keys 50 --size 1000 --seconds 1 >"$work/table" 2>"$work/said"
    is "$name: three workloads" "$?, $(sed 1,2d "$work/table" | awk '{ print $1, NF }' | paste -sd,)" \
        '0, put 6,get 6,mixed 6'
    is "$name: no progress bar in a pipe" "$(cat "$work/said")" ''
    is "$name: the times are in order" \
        "$(sed 1,2d "$work/table" | awk '$4 > $5 || $5 > $6 || $2 < 1 || $3 < 1')" ''
    leaves_nothing "$name"

    "${kvw[@]}" bench mixed -o json --clients 2 --keys 20 --size 16 --seconds 1 >"$work/json"
    is "$name: JSON" "$(jq -c '[.workload, .clients, .keys, .size, .seconds >= 1,
        (.operations / .seconds / .operations_per_second - 1 | fabs) < 0.01,
        .p50_ms <= .p99_ms and .p99_ms <= .max_ms]' "$work/json")" \
        '["mixed",2,20,16,true,true,true]'
done

# One version for each put: what it says it did, it did.
before=$(revision)
"$kv" --url "$url" bench put -o json --clients 2 --keys 10 --seconds 1 >"$work/json"
committed=$(curl -sS "$url/v1/status" | jq .transactions)
is 'as many operations as the store has seen' \
    "$(($(revision) - before - $(jq .operations "$work/json")))" 12
ok 'and transactions' test "$committed" -ge "$(jq .operations "$work/json")"

says 'a workload that is none: 2' 2 \
    "kv: what to measure is put, get or mixed, not 'all'" "$kv" --url "$url" bench all
says 'too many clients: 2' 2 "kv: --clients must be a number from 1 to 1000, not '1001'" \
    "$kv" --url "$url" bench --clients 1001
says 'a value too small to check: 2' 2 \
    "kv: --size must be a number from 16 to 67108864, not '8'" "$kv" --url "$url" bench --size 8
says 'more clients than keys: 2' 2 \
    'kv: there must be as many keys as clients, which write keys of their own' \
    "$kv" --url "$url" bench --keys 7
says 'nobody there: 3' 3 'kv: cannot reach kvfsd at .*' "$kv" --url 127.0.0.1:1 bench

# On a terminal it shows how far it is, and Ctrl-C leaves nothing.
is 'a progress bar on a terminal' \
    "$(script -qec "$kv --url $url bench get --seconds 1 --keys 20" /dev/null </dev/null |
        grep -qF 'get [###' && echo shown)" shown
"$kv" --url "$url" bench put --seconds 600 >/dev/null 2>"$work/said" &
bench=$!
started_pids+=("$bench")
filled()
{
    [ "$("$kv" --url "$url" ls -r | wc -l)" = 1000 ]
}
ok 'it goes on' wait_for filled
kill -INT "$bench"
wait_pid "$bench"
is 'Ctrl-C ends it' "$status, $(cat "$work/said")" '5, kv: interrupted'
leaves_nothing 'Ctrl-C'

# Somebody who changes the keys meanwhile is found out.
"$kv" --url "$url" bench mixed --keys 10 --seconds 600 >/dev/null 2>"$work/said" &
bench=$!
started_pids+=("$bench")
any_key()
{
    key=$("$kv" --url "$url" ls -r | tail -n 1)
    [ -n "$key" ]
}
key=''
wait_for any_key
like 'there are keys' "$key" '^kv-bench-.*/000/0'
change_it()
{
    ! kill -0 "$bench" || { printf 'not what was put' | "$kv" --url "$url" put "$key" && false; }
}
wait_for change_it
is 'its end comes' $? 0
wait "$bench"
status=$?
is 'a wrong value ends it with a fault' "$status" 5
like '... which names the key' "$(cat "$work/said")" "^kv: 'kv-bench-.*what was got is not what was put"

stop_daemon
finish
