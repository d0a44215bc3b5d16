#!/usr/bin/env bash
# timeout: 400
# kill -9 under mixed writes over HTTP and on the mount, again and again: whatever was
# acknowledged is there afterwards, and revisions never go back. The store is so small that
# checkpoints of the write-ahead log are made all the time.
. "$(dirname "$0")/../lib/functions.sh"

rounds=$(quick_or 5 50)
options=(--max-store-size 8M --log-size 1M)
acknowledged=0 newest=0 wrong='' backwards='' stale='' missed='' begun=0 checkpointed=0

# read_acks COUNT: wait until the writers had so many acknowledgements, copying their lines.
read_acks()
{
    local line acks=0
    while [ "$acks" -lt "$1" ]; do
        IFS= read -r -t "$deadline" -u "$writers_fd" line || return 1
        printf '%s\n' "$line" >>"$work/acks"
        [[ $line == [!?!]*' '* ]] && acks=$((acks + 1))
    done
}

# The log goes on in its second file when a checkpoint begins, and after a start in its
# first: has the second one another first commit than before?
count_checkpointed()
{
    local first
    first=$(od -An -t u8 -j 16 -N 8 "$data/wal.1") # of the record's header: the number
    [ "${first:-0}" -eq "$begun" ] || checkpointed=$((checkpointed + 1))
    begun=${first:-0}
}

one_round()
{
    local round=$1 fd count errors
    : >"$work/acks"
    exec {fd}< <(exec python3 "$root/tests/lib/writers.py" "$url" "$mnt" "$round" 2>&1)
    writers_fd=$fd writers=$!
    # A different moment of a different batch each time.
    read_acks $((20 + RANDOM % 200)) || missed+=" $round"
    kill_daemon || wrong+="round $round: the daemon had died by itself; "
    cat <&"$fd" >>"$work/acks"
    exec {fd}<&-
    wait "$writers" 2>/dev/null
    mounted || stale+=" $round"
    count_checkpointed

    need_daemon "${options[@]}"
    errors=$(python3 "$root/tests/lib/crash_check.py" "$url" "$mnt" "$work/states" \
        "$work/acks" 2>&1 >"$work/count") || wrong+="round $round: $errors"$'\n'
    count=$(<"$work/count")
    acknowledged=$((acknowledged + count))
    count=$(revision)
    [ "$count" -gt "$newest" ] || backwards+=" $round: $newest -> $count;"
    newest=$count
}

need_daemon "${options[@]}"
mkdir "$mnt/crash"
for ((round = 1; round <= rounds && ${#wrong} == 0; round++)); do
    one_round "$round"
done

is "$rounds rounds of kill -9 lost no acknowledged write" "$wrong" ''
is '... in each of them writes were under way' "$missed" ''
is '... each left a stale mount, which the next start cleared' "$stale" ''
is '... and revisions never went back' "$backwards" ''
ok "... with checkpoints under way ($checkpointed rounds)" \
    test "$checkpointed" -gt $((rounds / 10))
ok "... with many writes ($acknowledged)" test "$acknowledged" -gt $((rounds * 20))

# The log, too, is whole: every revision from its oldest on has its events, in order.
last=$(revision)
oldest=$(curl -sS "$url/v1/status" | jq .oldest_revision)
revisions=$(events $((oldest - 1)) "$last" | jq .revision | uniq)
is 'the log holds every revision once, in order' "$(md5sum <<<"$revisions")" \
    "$(seq "$oldest" "$last" | md5sum)"

stop_daemon
need_daemon "${options[@]}"
is 'after a clean stop and start the revision is the same' "$(revision)" "$last"
stop_daemon
finish
