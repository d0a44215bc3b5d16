# What every script of tests/integration stands on: TAP, one real daemon on a real mount,
# HTTP by curl, inotifywait as a recorder. Source it first:
#
#     . "$(dirname "$0")/../lib/functions.sh"
#     start_daemon
#     echo hello >"$mnt/greeting"
#     is 'HTTP sees what echo wrote' "$(get greeting)" hello
#     stop_daemon
#     finish
#
# A script works in $work, which is removed at the end, also on failure or a signal. The
# binaries come from $KV_BUILD (build in the checkout when unset). Nothing here sleeps to let
# something happen: it waits for the event, with a deadline.
# shellcheck shell=bash disable=SC2034 # the variables are for the scripts

set -u -o pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=${KV_BUILD:-$root/build}
kvfsd=$build/daemon/kvfsd
kv=$build/cli/kv
testlib=$build/tests/lib
sanitize=${KV_SANITIZE:-none}
deadline=20
[ "$sanitize" = none ] || deadline=60

work=$(mktemp -d "${TMPDIR:-/tmp}/kvfs-test.XXXXXX") || exit 1
chmod 755 "$work"
started_pids=() # helpers to end with the script
trap on_exit EXIT
trap 'exit 130' INT TERM HUP

# -- TAP -------------------------------------------------------------------------------

cases=0 failed_cases=0

pass()
{
    cases=$((cases + 1))
    printf 'ok %d - %s\n' "$cases" "$1"
}

# fail NAME [TEXT]: the text explains.
fail()
{
    cases=$((cases + 1)) failed_cases=$((failed_cases + 1))
    printf 'not ok %d - %s\n' "$cases" "$1"
    [ $# -lt 2 ] || note "$2"
}

note()
{
    printf '%s\n' "$*" | sed 's/^/# /'
}

skip()
{
    cases=$((cases + 1))
    printf 'ok %d - %s # SKIP %s\n' "$cases" "$1" "$2"
}

skip_all()
{
    printf '1..0 # SKIP %s\n' "$1"
    trap - EXIT
    rm -rf --one-file-system "$work"
    exit 0
}

# ok NAME COMMAND...: the command must succeed; what it prints is shown when not, its
# notes always.
ok()
{
    local name=$1 output
    shift
    if output=$("$@" 2>&1); then
        pass "$name"
        grep '^# ' <<<"$output"
    else
        fail "$name" "failed with $?: $* ${output:+: $output}"
    fi
}

# fails NAME PATTERN COMMAND...: it must fail and say something that matches the regex.
fails()
{
    local name=$1 pattern=$2 output
    shift 2
    if output=$("$@" 2>&1); then
        fail "$name" "succeeded: $* ${output:+: $output}"
    elif [[ $output =~ $pattern ]]; then
        pass "$name"
    else
        fail "$name" "expected /$pattern/, got: $output"
    fi
}

# is NAME GOT WANT
is()
{
    if [ "$2" = "$3" ]; then
        pass "$1"
    else
        fail "$1" "got:
$2
expected:
$3"
    fi
}

# like NAME GOT REGEX
like()
{
    if [[ $2 =~ $3 ]]; then
        pass "$1"
    else
        fail "$1" "got: $2
expected to match: $3"
    fi
}

# The last line of a script.
finish()
{
    printf '1..%d\n' "$cases"
    [ "$failed_cases" = 0 ]
    exit
}

# quick_or FEW MANY: how often to do something, by what kind of run this is. AddressSanitizer
# finds in a quarter of the rounds what it finds in all.
quick_or()
{
    if [ -n "${KV_QUICK:-}" ] || [ "$sanitize" = thread ]; then
        echo "$1"
    elif [ "$sanitize" = address ] && [ $(($2 / 4)) -gt "$1" ]; then
        echo $(($2 / 4))
    else
        echo "$2"
    fi
}

# -- Waiting ---------------------------------------------------------------------------

now_ms()
{
    local us=${EPOCHREALTIME/[.,]/}
    echo $((us / 1000))
}

# wait_for COMMAND...: until it succeeds; false when the deadline passes. For states that
# nothing announces.
wait_for()
{
    local until=$(($(now_ms) + deadline * 1000))
    until "$@" >/dev/null 2>&1; do
        [ "$(now_ms)" -lt "$until" ] || return 1
        sleep 0.02
    done
}

# wait_pid PID: its exit status in $status; false when it did not end in time.
wait_pid()
{
    local timer finished=''
    sleep "$deadline" &
    timer=$!
    wait -n -p finished "$1" "$timer"
    status=$?
    [ "$finished" = "$timer" ] && return 1
    kill -KILL "$timer" 2>/dev/null # TERM, before it is sleep, would run our own traps
    wait "$timer" 2>/dev/null
    return 0
}

# background COMMAND...: started, pid in $!, ended with the script.
background()
{
    "$@" &
    started_pids+=($!)
}

# -- The daemon ------------------------------------------------------------------------

data=$work/data mnt=$work/mnt sock=$work/kvfs.sock log=$work/kvfsd.log
daemon='' url='' port=''
launcher=()  # what goes before kvfsd: env X=Y, setpriv ...
daemon_fd='' # our end of its stderr
drain=''     # who copies it to the log once the daemon is ready

# start_daemon [OPTION...]: kvfsd with data, mount, a free port and a socket, all below
# $work; returns when it is ready, with $daemon, $url and $port set. An option given here
# replaces the default of the same name.
start_daemon()
{
    local defaults=()
    mounted || mkdir -p "$mnt" || return 1 # a stale mount cannot even be looked at
    [[ " $* " == *" --data "* ]] || defaults+=(--data "$data")
    [[ " $* " == *" --mount "* || " $* " == *" --no-mount "* ]] ||
        defaults+=(--mount "$mnt")
    [[ " $* " == *" --listen "* ]] || defaults+=(--listen 127.0.0.1:0)
    [[ " $* " == *" --socket "* ]] || defaults+=(--socket "$sock")
    local options=() option
    for option; do
        [ "$option" = --no-mount ] || options+=("$option")
    done
    start_kvfsd "${defaults[@]}" "${options[@]}"
}

# start_kvfsd OPTION...: the same with these options alone. On failure the log is shown
# and $status holds the exit status.
start_kvfsd()
{
    local line ready='' fifo=$work/stderr.$BASHPID.$RANDOM
    url='' port='' status=''
    mkfifo "$fifo" || return 1
    "${launcher[@]}" "$kvfsd" "$@" >>"$log" 2>"$fifo" </dev/null &
    daemon=$!
    exec {daemon_fd}<"$fifo"
    rm "$fifo"
    while IFS= read -r -t "$deadline" -u "$daemon_fd" line; do
        printf '%s\n' "$line" >>"$log"
        case $line in
        'kvfsd: listening on '*:[0-9]*)
            [ -n "$url" ] || { port=${line##*:} url=http://127.0.0.1:${line##*:}; }
            ;;
        'kvfsd: ready')
            ready=1
            break
            ;;
        esac
    done
    cat <&"$daemon_fd" >>"$log" &
    drain=$!
    exec {daemon_fd}<&-
    [ -n "$ready" ] && return 0
    wait_pid "$daemon" || kill -KILL "$daemon"
    wait "$drain"
    daemon='' drain=''
    return 1
}

# Like start_daemon, for the start that a script cannot go on without.
need_daemon()
{
    start_daemon "$@" && return 0
    note "kvfsd did not become ready (exit status ${status:-none}):"
    note "$(tail -n 30 "$log")"
    echo 'Bail out! no daemon'
    exit 1
}

# end_daemon SIGNAL: send it, wait, exit status in $status.
end_daemon()
{
    [ -n "$daemon" ] || return 1
    kill -"$1" "$daemon"
    if ! wait_pid "$daemon"; then
        note "kvfsd did not end within $deadline s of SIG$1:"
        note "$(stacks "$daemon")"
        kill -KILL "$daemon"
        wait "$daemon"
        status=hung
    fi
    wait "$drain"
    daemon='' drain=''
}

# stop_daemon [NAME]: SIGTERM; one case: it exits 0, leaves no mount and no sanitizer report.
stop_daemon()
{
    local name=${1:-the daemon stops cleanly}
    end_daemon TERM
    if [ "$status" != 0 ]; then
        fail "$name" "exit status $status; $(tail -n 20 "$log")"
    elif mounted; then
        fail "$name" "$mnt is still mounted"
    elif sanitizer_complaint; then
        fail "$name" "$(cat "$log")"
    else
        pass "$name"
    fi
}

# kill -9, as a crash or the OOM killer would. The stale mount stays.
kill_daemon()
{
    end_daemon KILL 2>/dev/null # the shell's "Killed"
    [ "$status" = 137 ]
}

mounted()
{
    grep -q " $mnt fuse" /proc/self/mounts
}

sanitizer_complaint()
{
    grep -qE 'ERROR: AddressSanitizer|WARNING: ThreadSanitizer|LeakSanitizer|runtime error:' "$log"
}

stacks()
{
    timeout -s KILL 60 gdb -p "$1" -batch -ex 'thread apply all bt' 2>/dev/null </dev/null |
        grep -E '^(Thread|#)'
}

# -- HTTP ------------------------------------------------------------------------------

# http METHOD PATH [CURL-OPTION...]: prints the status; body in $work/body, headers in
# $work/headers (names in lower case, no CR).
http()
{
    local method=$1 path=$2
    shift 2
    local output=$work/body
    : >"$output"
    # For HEAD curl takes the headers for the output.
    [ "$method" = HEAD ] && output=/dev/null && set -- --head "$@"
    curl -sS --max-time "$deadline" --path-as-is -X "$method" -o "$output" \
        -D "$work/headers.raw" -w '%{http_code}' "$@" "$url$path"
    # shellcheck disable=SC2319 # of curl
    local error=$?
    tr -d '\r' <"$work/headers.raw" | sed 's/^[^:]*:/\L&/' >"$work/headers"
    return "$error"
}

# header NAME: its value in the last answer.
header()
{
    sed -n "s/^${1,,}: //p" "$work/headers"
}

body()
{
    cat "$work/body"
}

# error_code: the code member of a JSON error in the last answer.
error_code()
{
    jq -r .error.code "$work/body"
}

# put KEY VALUE [QUERY]: prints the status.
put()
{
    printf '%s' "$2" | http PUT "/v1/keys/$1${3:+?$3}" --data-binary @-
}

# put_file KEY FILE
put_file()
{
    http PUT "/v1/keys/$1" -T "$2" -H 'Expect:'
}

# get KEY: prints the value; fails when the status is not 200.
get()
{
    curl -sS --fail --max-time "$deadline" "$url/v1/keys/$1"
}

delete()
{
    http DELETE "/v1/keys/$1${2:+?$2}"
}

# rename_key FROM TO [QUERY]
rename_key()
{
    http POST "/v1/keys/$1?op=rename&to=$2${3:+&$3}" -d ''
}

# key_header KEY NAME: a header of HEAD.
key_header()
{
    http HEAD "/v1/keys/$1" >/dev/null
    header "$2"
}

version()
{
    key_header "$1" x-kv-version
}

revision()
{
    curl -sS --fail --max-time "$deadline" "$url/v1/status" | jq -r .revision
}

# events SINCE UNTIL [QUERY]: the data of the events after revision SINCE up to and with
# revision UNTIL, one JSON object a line. UNTIL must have an event in the query's scope.
events()
{
    local line curl found=''
    exec {events_fd}< <(exec curl -sS -N --max-time "$deadline" \
        "$url/v1/watch?since=$1${3:+&$3}" 2>&1)
    curl=$!
    # The id is a plain revision on the last event of a revision, REV.INDEX on the others.
    while IFS= read -r -u "$events_fd" line; do
        case $line in
        'id: '*.*) ;;
        'id: '*) [ "${line#id: }" -lt "$2" ] || found=1 ;;
        'data: '*) printf '%s\n' "${line#data: }" ;;
        '') [ -z "$found" ] || break ;;
        esac
    done
    kill "$curl" 2>/dev/null
    exec {events_fd}<&-
    [ -n "$found" ]
}

# -- inotify ---------------------------------------------------------------------------

recorder='' recorder_fd=''
watcher=() # what goes before inotifywait: setpriv ...

# all_announced: whether inotify was told of every change so far.
all_announced()
{
    [ "$(curl -sS "$url/v1/status" | jq '. as $s | all(.mounts[]; .notify_revision >= $s.revision)')" = true ]
}

# record [OPTION...] PATH...: start inotifywait -m; returns when its watches stand. What
# was changed before does not show.
record()
{
    local line fifo=$work/inotify.$RANDOM
    wait_for all_announced || return 1
    mkfifo "$fifo" "$fifo.err" || return 1
    # One line for each event: its names joined by commas, then the path below the mount.
    "${watcher[@]}" stdbuf -oL inotifywait -m --format '%e %w%f' "$@" >"$fifo" 2>"$fifo.err" &
    recorder=$!
    started_pids+=("$recorder")
    exec {recorder_fd}<"$fifo"
    local err_fd
    exec {err_fd}<"$fifo.err"
    rm "$fifo" "$fifo.err"
    while IFS= read -r -t "$deadline" -u "$err_fd" line; do
        if [[ $line == *'Watches established'* ]]; then
            cat <&"$err_fd" >>"$work/inotifywait.log" &
            exec {err_fd}<&-
            return 0
        fi
        printf '%s\n' "$line" >>"$work/inotifywait.log"
    done
    note "inotifywait did not start: $(cat "$work/inotifywait.log")"
    return 1
}

# recorded LINE: what was recorded up to and without this line, paths relative to the mount,
# in $record (newlines between). False when the line did not come in time.
recorded()
{
    local line
    record=''
    while IFS= read -r -t "$deadline" -u "$recorder_fd" line; do
        line=${line//"$mnt/"/}
        [ "$line" = "$1" ] && record=${record%$'\n'} && return 0
        record+=$line$'\n'
    done
    record+="(no '$1' within $deadline s)"
    return 1
}

# recorded_now DIR: everything up to now. A key that is made over HTTP in the directory DIR
# ('' for the root) marks the end, because events come in the order of the changes.
markers=0
recorded_now()
{
    local dir=${1:+$1/} marker keep
    markers=$((markers + 1))
    marker=${dir}marker-$markers
    put "$marker" '' >/dev/null
    recorded "CREATE $marker" || return 1
    keep=$record
    recorded "CLOSE_WRITE,CLOSE $marker" || return 1
    record=$keep
}

# lines WORD...: one a line, as $record has them.
lines()
{
    local IFS=$'\n'
    printf '%s' "$*"
}

stop_recording()
{
    kill "$recorder" 2>/dev/null
    wait "$recorder" 2>/dev/null
    exec {recorder_fd}<&-
    recorder=''
}

# -- The end ---------------------------------------------------------------------------

on_exit()
{
    local status=$?
    # A child that is killed between its fork and its exec still has our traps.
    [ "$BASHPID" = "$$" ] || exit "$status"
    if [ "$failed_cases" != 0 ] && [ -s "$log" ]; then
        note "the last lines of kvfsd:"
        note "$(tail -n 40 "$log")"
    fi
    [ -n "$daemon" ] && kill -KILL "$daemon" 2>/dev/null
    [ "${#started_pids[@]}" = 0 ] || kill "${started_pids[@]}" 2>/dev/null
    wait 2>/dev/null
    local target
    while read -r _ target _; do
        case $target in
        "$work"/*) umount -l "$target" ;;
        esac
    done < <(tac /proc/self/mounts)
    rm -rf --one-file-system "$work"
    exit "$status"
}
