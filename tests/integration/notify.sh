#!/usr/bin/env bash
# inotify fires for every change, whoever made it, with exactly the events of the table in
# docs/fuse.md: nothing is missing and nothing comes twice.
. "$(dirname "$0")/../lib/functions.sh"

need_daemon
mkdir "$mnt/d" "$mnt/e"

# -- Changes over HTTP, one watcher on three directories --

record "$mnt" "$mnt/d" "$mnt/e"

put d/new 1 >/dev/null
recorded_now
is 'PUT of a new key' "$record" \
    "$(lines 'CREATE d/new' 'OPEN d/new' 'MODIFY d/new' 'CLOSE_WRITE,CLOSE d/new')"

put d/new 2 >/dev/null
recorded_now
is 'PUT over a key' "$record" \
    "$(lines 'OPEN d/new' 'MODIFY d/new' 'CLOSE_WRITE,CLOSE d/new')"
is '... whose reader then finds the new value' "$(cat "$mnt/d/new")" 2
recorded_now # the reader's own open and close

rename_key d/new d/newer >/dev/null
recorded_now
is 'a rename in one directory' "$record" "$(lines 'MOVED_FROM d/new' 'MOVED_TO d/newer')"

rename_key d/newer e/newest >/dev/null
recorded_now
is 'a rename to another directory' "$record" \
    "$(lines 'MOVED_FROM d/newer' 'MOVED_TO e/newest')"

put d/over 1 >/dev/null
recorded_now
rename_key e/newest d/over >/dev/null
recorded_now
is 'a rename over another key' "$record" \
    "$(lines 'MOVED_FROM e/newest' 'MOVED_TO d/over')"

ok 'kv mv over HTTP' "$kv" --url "$url" mv d/over d/moved
recorded_now
is '... gives the same events' "$record" "$(lines 'MOVED_FROM d/over' 'MOVED_TO d/moved')"

delete d/moved >/dev/null
recorded_now
is 'DELETE of a key' "$record" 'DELETE d/moved'

put d/brief 1 ttl=1s >/dev/null
recorded 'DELETE d/brief'
is 'a key that ends by its TTL' "$record" \
    "$(lines 'CREATE d/brief' 'OPEN d/brief' 'MODIFY d/brief' 'CLOSE_WRITE,CLOSE d/brief')"

put tree/x 1 >/dev/null
recorded_now
is 'PUT below a new directory' "$record" 'CREATE,ISDIR tree'

rename_key tree wood >/dev/null
recorded_now
is 'a rename of a directory' "$record" "$(lines 'MOVED_FROM,ISDIR tree' 'MOVED_TO,ISDIR wood')"

delete wood recursive=1 >/dev/null
recorded_now
is 'a recursive DELETE of an unwatched directory' "$record" 'DELETE,ISDIR wood'

delete e/none >/dev/null
put e "" >/dev/null
recorded_now
is 'requests that are refused give nothing' "$record" ''

put 'd/with%20blank' 1 >/dev/null
recorded_now
is 'a key with a blank' "$(grep CREATE <<<"$record")" 'CREATE d/with blank'
stop_recording

# -- A recursive delete of directories that are watched --

put r/s/one 1 >/dev/null
put r/two 1 >/dev/null
record "$mnt" "$mnt/r" "$mnt/r/s"
delete r recursive=1 >/dev/null
recorded_now
is 'a recursive DELETE tells of every key and directory once' \
    "$(grep -v SELF <<<"$record" | sort)" \
    "$(lines 'DELETE r/s/one' 'DELETE r/two' 'DELETE,ISDIR r' 'DELETE,ISDIR r/s')"
like '... what is in a directory before the directory' "${record//$'\n'/ }" \
    'DELETE r/s/one .*DELETE,ISDIR r/s .*DELETE,ISDIR r( |$)'
is '... and the watches of the directories end' "$(grep -c DELETE_SELF <<<"$record")" 2
stop_recording

# -- A recursive delete while somebody looks at what is gone already --

# Looking up a name in a directory that is gone makes the kernel drop the names on the way
# there, so the notifier cannot walk them as they were.
dirs=() told=()
for i in {1..30}; do
    put "r/s/$i/t/key" 1 >/dev/null
    dirs+=("$mnt/r/s/$i" "$mnt/r/s/$i/t")
    told+=("DELETE r/s/$i/t/key" "DELETE,ISDIR r/s/$i/t")
done
record "$mnt" "${dirs[@]}"
cat >"$work/look.py" <<'END'
import os, sys
print('looking', flush=True)
while True:
    for path in sys.argv[1:]:
        try:
            os.stat(path + '/none')
        except OSError:
            pass
END
background python3 "$work/look.py" "${dirs[@]}" >"$work/looking"
looker=$!
wait_for grep -q looking "$work/looking"
delete r recursive=1 >/dev/null
recorded_now
is 'a recursive DELETE tells of everything although somebody looks there' \
    "$(grep -E '^DELETE(,ISDIR)? .*/t' <<<"$record" | sort)" "$(lines "${told[@]}" | sort)"
kill "$looker"
stop_recording

# -- A watch on the key itself --

put self 1 >/dev/null
record "$mnt/self" "$mnt/e"
put self 2 >/dev/null
recorded_now e
is 'a watch on a key sees a PUT' "$record" "$(lines 'OPEN self' 'MODIFY self' 'CLOSE_WRITE,CLOSE self')"
rename_key self self2 >/dev/null
recorded_now e
is '... and a rename' "$record" 'MOVE_SELF self'
delete self2 >/dev/null
recorded_now e
like '... and a DELETE' "$record" 'DELETE_SELF self'
stop_recording

# -- Changes on the mount: the kernel's own events and one more MODIFY --

# The same commands on a local directory say what the kernel itself reports.
local_events()
{
    record "$1"
    echo v >"$1/echo"
    echo w >"$1/echo"
    chmod 600 "$1/echo"
    mv "$1/echo" "$1/moved"
    rm "$1/moved"
    mkdir "$1/sub"
    rmdir "$1/sub"
    mkdir "$1/end"
    recorded "CREATE,ISDIR ${1#"$mnt/"}/end"
    stop_recording
    record=${record//"${1#"$mnt/"}/"/}
}

mkdir "$work/plain"
local_events "$work/plain"
plain=$record
local_events "$mnt/e"
is 'a local change gives each event of the kernel once' "$(grep -v MODIFY <<<"$record")" \
    "$(grep -v MODIFY <<<"$plain")"
like 'the comparison holds all that it should' "${plain//$'\n'/ }" \
    'CREATE echo.*OPEN echo.*CLOSE_WRITE,CLOSE echo.*ATTRIB echo.*MOVED_TO moved.*DELETE moved.*CREATE,ISDIR sub.*DELETE,ISDIR sub'

# A writer that waits between write and close keeps the kernel's MODIFY from merging with
# the one that follows the commit.
coproc WRITER {
    exec python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
os.write(fd, b"value")
print("written", flush=True)
sys.stdin.readline()
os.close(fd)
' "$mnt/d/held"
}
writer=$WRITER_PID
IFS= read -r _ <&"${WRITER[0]}"
record "$mnt/d"
echo go >&"${WRITER[1]}"
wait "$writer"
recorded_now d
is 'a local write is followed by one more MODIFY after its commit' \
    "$(sort <<<"$record")" "$(lines 'CLOSE_WRITE,CLOSE d/held' 'MODIFY d/held')"
stop_recording

# -- Who reads after the last event has the newest value --

record "$mnt/d"
wrong=''
rounds=$(quick_or 100 500)
for ((i = 1; i <= rounds; i++)); do
    if ((i % 2)); then echo "$i" >"$mnt/d/count"; else put d/count "$i" >/dev/null; fi
done
recorded_now d
[ "$(cat "$mnt/d/count")" = "$rounds" ] || wrong=1
is 'after the last event of a burst the value is the newest' "$wrong" ''
like '... and the burst was reported' "$record" 'CLOSE_WRITE,CLOSE d/count'
stop_recording

# -- Two watchers, and a tree that grows --

record "$mnt/d"
first=$recorder first_fd=$recorder_fd
record "$mnt/d"
put d/both 1 >/dev/null
recorded_now d
second_record=$record
stop_recording
recorder=$first recorder_fd=$first_fd
recorded "CREATE d/marker-$markers"
is 'two watchers see the same' "$record" "$second_record"
like '... and it is the change' "$record" 'CREATE d/both'
stop_recording

record -r "$mnt"
put grow/deep/er/one 1 >/dev/null
# inotifywait sets its watch on a directory when it hears of it, and may come too late for
# the first keys in it, as on any filesystem.
tries=0
heard_below()
{
    tries=$((tries + 1))
    put "grow/deep/er/try-$tries" 1 >/dev/null
    recorded_now && [[ $record == *"CREATE grow/deep/er/try-$tries"* ]]
}
ok 'inotifywait -r follows a tree that grows over HTTP' wait_for heard_below
stop_recording

stop_daemon
finish
