#!/usr/bin/env bash
# Logs in a key: tail -f follows, whoever appends, and appenders lose nothing.
. "$(dirname "$0")/../lib/functions.sh"

need_daemon

# follow [OPTION...] FILE: tail started, its output behind $tail_fd.
follow()
{
    mkfifo "$work/tail"
    stdbuf -oL tail "$@" >"$work/tail" 2>"$work/tail.err" &
    tail_pid=$!
    started_pids+=("$tail_pid")
    exec {tail_fd}<"$work/tail"
    rm "$work/tail"
}

# next_line: the next line of tail in $line.
next_line()
{
    IFS= read -r -t "$deadline" -u "$tail_fd" line
}

end_follow()
{
    kill "$tail_pid"
    wait "$tail_pid" 2>/dev/null
    exec {tail_fd}<&-
}

echo 'first' >"$mnt/log"
follow -n +1 -f "$mnt/log"
next_line
is 'tail -f shows what is there' "$line" 'first'
echo 'second' >>"$mnt/log"
next_line
is '... what echo >> appends' "$line" 'second'
printf 'third\n' | http POST '/v1/keys/log?op=append' --data-binary @- >/dev/null
next_line
is '... what HTTP appends' "$line" 'third'
wrong=''
for ((i = 1; i <= 100; i++)); do
    if ((i % 2)); then
        echo "line $i" >>"$mnt/log"
    else
        printf 'line %d\n' "$i" | http POST '/v1/keys/log?op=append' --data-binary @- >/dev/null
    fi
done
for ((i = 1; i <= 100; i++)); do
    if ! next_line || [ "$line" != "line $i" ]; then
        wrong="line $i came as '$line'"
        break
    fi
done
is '... and 100 lines from both, each once, in order' "$wrong" ''
end_follow

# tail -F follows the name: a key that is replaced by rename, as log rotation does it.
echo 'old file' >"$mnt/rotated"
follow -n +1 -F "$mnt/rotated"
next_line
mv "$mnt/rotated" "$mnt/rotated.1"
put rotated 'new file
' >/dev/null
until [ "$line" = 'new file' ]; do next_line || break; done
is 'tail -F goes on with the new key after a rotation' "$line" 'new file'
end_follow

# -- Two appenders --

append_lines()
{
    local i
    for ((i = 1; i <= $2; i++)); do
        echo "$1 $i" >>"$mnt/both" || return 1
    done
}

check_lines()
{
    local who count=$1
    shift
    is "$count lines of each appender are there" "$(wc -l <"$mnt/both")" $((count * $#))
    for who; do
        is "those of $who in order" "$(grep "^$who " "$mnt/both" | md5sum)" \
            "$(seq -f "$who %g" "$count" | md5sum)"
    done
}

count=$(quick_or 200 1000)
append_lines a "$count" &
a=$!
append_lines b "$count" &
b=$!
wait "$a"
is 'appender a succeeds' $? 0
wait "$b"
is 'appender b succeeds' $? 0
check_lines "$count" a b
is 'each append was a version' "$(version both)" $((2 * count))

append_http()
{
    local i
    for ((i = 1; i <= $1; i++)); do
        printf 'h %d\n' "$i" | curl -sS --fail -X POST --data-binary @- \
            "$url/v1/keys/both?op=append" >/dev/null || return 1
    done
}

rm "$mnt/both"
count=$(quick_or 50 300)
append_lines a "$count" &
a=$!
append_http "$count" &
b=$!
wait "$a"
is 'an appender on the mount succeeds' $? 0
wait "$b"
is '... beside one over HTTP succeeds' $? 0
check_lines "$count" a h

# A handle opened with O_APPEND that writes often and closes once appends at the end of
# what is there then.
echo start >"$mnt/late"
exec 8>>"$mnt/late"
python3 -c 'import os; os.write(8, b"one "); os.write(8, b"two\n")' 8>&8
echo middle >>"$mnt/late"
exec 8>&-
is 'a late close appends behind what came before it' "$(cat "$mnt/late")" \
    "$(lines start middle 'one two')"

stop_daemon
finish
