#!/usr/bin/env bash
# A mount that is taken away while files are open in it: by umount, which refuses; by
# umount -l, which leaves the files open; and by the daemon's end, which takes them along.
# shellcheck disable=SC2154 # $status is set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"
. "$root/tests/lib/clients.sh"

dead='^(ENOTCONN|ECONNABORTED)$'
head -c 3M /dev/urandom >"$work/large"
large="$(stat -c %s "$work/large") $(md5sum <"$work/large" | cut -c1-32)"

# enter: clients in the mount, with a file open for reading, for writing, and inside.
enter()
{
    client reader writer inside
    cp "$work/large" "$mnt/large"
    echo old >"$mnt/key"
    mkdir -p "$mnt/dir"
    ask reader open f "$mnt/large" r >/dev/null
    ask writer open f "$mnt/key" w >/dev/null
    is "$1: a writer has written and not closed" "$(ask writer write f new)" 3
    ask inside cd "$mnt/dir" >/dev/null
}

# -- umount ----------------------------------------------------------------------------

need_daemon
enter umount
fails 'umount refuses while files are open' 'busy' umount "$mnt"
is '... and nothing has changed: reading' "$(ask reader rest f)" "$large"
is '... writing' "$(ask writer close f) $(get key)" 'ok new'
ask reader close f >/dev/null
fails 'a working directory is enough' 'busy' umount "$mnt"
is '... which works' "$(ask inside list .)" ''
is '... and the daemon says nothing' "$(grep -c 'was unmounted' "$log")" 0

# -- umount -l -------------------------------------------------------------------------

ask reader open f "$mnt/large" r >/dev/null
ask writer open f "$mnt/key" w >/dev/null
ask writer write f newest >/dev/null
ok 'umount -l takes the mount away' umount -l "$mnt"
is '... from the path' "$(ls "$mnt")" ''
is 'what was open can be read' "$(ask reader rest f)" "$large"
is '... and written, and is published' "$(ask writer close f) $(get key)" 'ok newest'
is 'HTTP goes on' "$(put key http)" 200
is '... and who is inside sees it' "$(ask inside cd ..) $(ask inside stat key)" 'ok 4'
ask reader close f >/dev/null
is 'the daemon serves the last one' "$(grep -c 'was unmounted' "$log")" 0
kill "${client_pid[inside]}"
ok 'when he leaves it notices' wait_for grep -q "'$mnt' was unmounted" "$log"
is '... and serves HTTP' "$(get key)" http
stop_daemon

# -- The daemon ends -------------------------------------------------------------------

for signal in TERM INT; do
    : >"$log"
    need_daemon
    enter "SIG$signal"
    is '... and another has synced' "$(ask inside open g "$mnt/synced" w) $(ask inside write g safe) $(ask inside fsync g)" \
        'ok 4 ok'
    record "$mnt/dir"
    end_daemon "$signal"
    is '... and the daemon ends all the same' "$status" 0
    is '... unmounted' "$(grep -c " $mnt " /proc/self/mounts)" 0
    like 'the reader gets an error' "$(ask reader rest f)" "$dead"
    like 'the writer, too' "$(ask writer close f)" "$dead"
    like 'and who is inside' "$(ask inside list .)" "$dead"
    is '... who can leave' "$(ask inside cd "$work")" ok
    stop_recording
    need_daemon
    is 'what was not closed is not published' "$(get key)" old
    is '... what was synced is there' "$(get synced)" safe
    stop_daemon
done
finish
