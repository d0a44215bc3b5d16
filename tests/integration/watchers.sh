#!/usr/bin/env bash
# timeout: 300
# Ten thousand watchers at once, as Server-Sent Events and as WebSockets: a change reaches all
# of them, one that waits costs little memory, and those that do not read delay nobody.
. "$(dirname "$0")/../lib/functions.sh"

# Sanitizers multiply the memory and the time of each.
many=$(quick_or 1000 10000)
[ "$sanitize" = none ] || many=1000

# Room for the connections here and there.
limit=$(ulimit -Hn)
if [ "$limit" != unlimited ] && [ "$limit" -lt $((many + 500)) ]; then
    note "only $limit files may be open here"
    many=$((limit - 500))
    [ "$many" -gt 0 ] || skip_all "only $limit files may be open"
fi

resident() # bytes
{
    awk '/^VmRSS/ { print $2 * 1024 }' "/proc/$daemon/status"
}

http_status() # MEMBER
{
    curl -sS --max-time "$deadline" "$url/v1/status" | jq ".http.$1"
}

# begin COUNT KIND: watchers, as a coprocess.
begin()
{
    coproc CROWD { exec "$testlib/watchers" "$url" "$1" "$2" 2>&1; }
    # shellcheck disable=SC2153 # coproc sets it
    crowd=$CROWD_PID
    started_pids+=("$crowd")
}

tell()
{
    echo "$*" >&"${CROWD[1]}"
}

# says NAME REGEX: the next line of the watchers.
says()
{
    local line
    IFS= read -r -t 150 -u "${CROWD[0]}" line || line='(nothing)'
    like "$1" "$line" "$2"
    note "$line"
}

none_left()
{
    [ "$(http_status watches)" = 0 ]
}

end()
{
    kill "$crowd"
    wait "$crowd" 2>/dev/null
    ok "$1: when they went away, nothing is left" wait_for none_left
}

for kind in sse websocket; do
    need_daemon --no-mount
    put fan/key begin >/dev/null
    before=$(resident)
    begin "$many" "$kind"
    says "$kind: $many watchers at once" "^connected $many\$"
    is '... are counted' "$(http_status watches)" "$many"
    each=$((($(resident) - before) / many))
    note "$each bytes of the daemon's memory for each"
    [ "$sanitize" != none ] || ok '... take less than 16 KiB each' [ "$each" -lt 16384 ]
    for ((i = 0; i < 3; i++)); do
        tell put 100
        says "$kind: a change reaches all of them" "^reached $many of $many "
    done
    note "$((($(resident) - before) / many)) bytes for each afterwards"
    end "$kind"

    begin 200 "$kind"
    says "$kind: 200 watchers" '^connected 200$'
    tell stall 100
    for ((i = 0; i < 200; i++)); do
        tell put 60000
        IFS= read -r -t 150 -u "${CROWD[0]}" line || line='(nothing)'
        [[ $line == 'reached 100 of 100 '* && $(http_status answer_bytes) == 0 ]] || break
    done
    like "$kind: when 100 do not read, changes reach the others" "$line" '^reached 100 of 100 '
    ok '... while the daemon cannot get rid of what it has for them' \
        [ "$(http_status answer_bytes)" -gt 0 ]
    for ((i = 0; i < 3; i++)); do
        tell put 60000
        says "$kind: and every other change" '^reached 100 of 100 '
    done
    is '... and those that do not read are still there' "$(http_status watches)" 200
    end "$kind"
    stop_daemon
done
finish
