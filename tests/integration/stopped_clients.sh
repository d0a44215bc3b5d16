#!/usr/bin/env bash
# A process that is stopped (SIGSTOP) at the worst of moments - between its write and its
# close, in the middle of a large value or of a listing, with a watch that fills up - holds
# nobody up, and finds what it is to find when it goes on.
. "$(dirname "$0")/../lib/functions.sh"
. "$root/tests/lib/clients.sh"

head -c 20M /dev/urandom >"$work/large"
need_daemon
mkdir "$mnt/dir"
cp "$work/large" "$mnt/dir/large"
for i in {1..500}; do : >"$mnt/dir/$i"; done
for name in written appended renamed deleted; do
    echo old >"$mnt/dir/$name"
done

# -- Everybody is stopped --------------------------------------------------------------

client writer appender mover loser reader lister other
is 'a writer has truncated and written' \
    "$(ask writer open f "$mnt/dir/written" w) $(ask writer write f stopped)" 'ok 7'
is 'another appends' \
    "$(ask appender open f "$mnt/dir/appended" a) $(ask appender write f stopped)" 'ok 7'
ask mover open f "$mnt/dir/renamed" w >/dev/null
ask mover write f stopped >/dev/null
ask loser open f "$mnt/dir/deleted" w >/dev/null
ask loser write f stopped >/dev/null
is 'a reader is in the middle of a large value' \
    "$(ask reader open f "$mnt/dir/large" r) $(ask reader read f 1048576)" 'ok 1048576'
ask lister some l "$mnt/dir" 20 | tr ' ' '\n' >"$work/first"
is 'somebody is in the middle of a listing' "$(wc -l <"$work/first")" 20
# A call that the kernel has cut into many requests is under way, too: whenever it is
# stopped, it is between two of them.
client filler
ask filler open f "$mnt/dir/filled" w >/dev/null
tell filler fill f x 60000000
missed=''
for name in writer appender mover loser reader lister filler; do
    hold "$name" || missed+=" $name"
done
is 'all of them are stopped' "$missed" ''

# -- Everybody else goes on, in a storm of changes of the same directory ------------------

mkdir "$mnt/quiet"
record "$mnt/quiet"
background "$testlib/storm" "$mnt/dir" "$url" dir 100000000 >"$work/storm.out" 2>&1
storm=$!

# quickly NAME COMMAND...: it succeeds, and in time.
quickly()
{
    local name=$1
    shift
    ok "$name" timeout "$deadline" "$@"
}
in_mount()
{
    quickly "$1" bash -c "cd \"\$1\" && $2" - "$mnt/dir"
}

in_mount 'others read what is being written: the old value' '[ "$(cat written)" = old ]'
in_mount '... write it' 'echo others >written && [ "$(cat written)" = others ]'
in_mount '... append to it' 'echo more >>appended'
in_mount '... read the large value' 'cat large >/dev/null'
in_mount '... replace it' 'echo small >large && [ "$(cat large)" = small ]'
in_mount '... rename what is being written' 'mv renamed moved && [ "$(cat moved)" = old ]'
in_mount '... remove it' 'rm deleted && [ ! -e deleted ]'
in_mount '... list the directory' 'ls >/dev/null'
in_mount '... create and remove in it' 'echo 1 >new && mv new new2 && rm new2'
in_mount '... make and remove directories' 'mkdir d && mv d e && rmdir e'
in_mount '... stat, chmod, touch what is being written' 'stat written && chmod 600 written && touch written'
is '... write it over HTTP' "$(put dir/written http)" 200
is '... which everybody sees' "$(timeout "$deadline" cat "$mnt/dir/written")" http
is '... delete over HTTP' "$(put quiet/brief 1) $(delete quiet/brief)" '201 204'
is '... list over HTTP' "$(http GET '/v1/keys?dir=dir&limit=10')" 200

recorded_now quiet
like '... and inotify tells of it' "$record" 'CREATE quiet/brief.*DELETE quiet/brief'
kill "$storm"
wait_pid "$storm" 2>/dev/null # the shell's "Terminated"
stop_recording

# -- They go on ------------------------------------------------------------------------

for name in writer appender mover loser reader lister filler; do
    let_go "$name"
done
is 'the reader reads the version it had to the end' "$(ask reader read f 1048576)" 1048576
left=$(tail -c +2097153 "$work/large" | md5sum | cut -c1-32)
is '... whole' "$(ask reader rest f)" "18874368 $left"
is 'the writer closes' "$(ask writer close f)" ok
is '... and the last one to close wins' "$(get dir/written)" stopped
is 'the appender closes' "$(ask appender close f)" ok
is '... and nothing that was appended is lost' "$(get dir/appended)" "$(lines old more stopped)"
is 'the writer of what was renamed closes' "$(ask mover close f)" ok
is '... and the key has it under its new name' "$(get dir/moved) $(http GET /v1/keys/dir/renamed)" \
    'stopped 404'
is 'the writer of what was removed closes' "$(ask loser close f)" ok
is '... and it stays removed' "$(http GET /v1/keys/dir/deleted)" 404
is 'the long write ends' "$(answer filler) $(ask filler close f)" '60000000 ok'
is '... and is whole' "$(get dir/filled | md5sum)" "$(head -c 60000000 /dev/zero | tr '\0' x | md5sum)"
is 'the listing goes on, and has every name that stayed, once' \
    "$(ask lister some l "$mnt/dir" 100000 | tr ' ' '\n' | cat "$work/first" - | grep -xE '[0-9]+' | sort -n)" \
    "$(seq 500)"

# -- A watcher that is stopped ---------------------------------------------------------

mkdir "$mnt/bench"
record "$mnt/bench"
client_pid[watcher]=$recorder
ok 'a watcher is stopped' hold watcher
queue=$(</proc/sys/fs/inotify/max_queued_events)
if [ "$queue" -gt 100000 ]; then
    skip 'more events than its queue holds' "fs.inotify.max_queued_events is $queue"
else # four for each new key
    ok "more events than its queue holds ($queue)" \
        "$build/tests/bench/load" "$port" PUT 64 $((queue / 4 + 1)) 10 $((queue / 4 + 1)) sequential
fi
stopped=$recorder stopped_fd=$recorder_fd
record "$mnt/bench"
put bench/first 1 >/dev/null
recorded_now bench
like 'another watcher gets its own' "$record" 'CLOSE_WRITE,CLOSE bench/first'
stop_recording
let_go watcher
recorder=$stopped recorder_fd=$stopped_fd
# As long as its queue is full, events are lost to it.
hears_again()
{
    put "bench/last-$EPOCHREALTIME" 1 >/dev/null
    timeout 1 grep -qm1 'CREATE .*/bench/last' <&"$recorder_fd"
}
ok 'the one that was stopped goes on' wait_for hears_again
stop_recording

stop_daemon
finish
