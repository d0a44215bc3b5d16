#!/usr/bin/env bash
# kill -9 of the daemon while processes are in its mount: each of them gets an error, none
# hangs, none has to be killed; and the next start mounts again at the same place.
# shellcheck disable=SC2154 # $status is set in functions.sh

# In mounts of its own: a mount namespace that somebody else makes meanwhile (services do)
# would keep a copy of ours, and with it what is mounted there.
[ -n "${KV_OWN_MOUNTS:-}" ] || KV_OWN_MOUNTS=1 exec unshare -m "$0"

. "$(dirname "$0")/../lib/functions.sh"
. "$root/tests/lib/clients.sh"

# What the kernel says of the recorder's watches; inotifywait itself does not print IN_UNMOUNT.
watches_nothing()
{
    [ -e "/proc/$recorder/fdinfo" ] && ! grep -q '^inotify wd' "/proc/$recorder"/fdinfo/*
}

# Every thread of the daemon is stopped.
daemon_stopped()
{
    ! grep -h '^State:' "/proc/$daemon"/task/*/status | grep -qv '^State:.T'
}

dead='^(ENOTCONN|ECONNABORTED)$'

head -c 3M /dev/urandom >"$work/large"
need_daemon
mkdir "$mnt/dir" "$mnt/watched"
cp "$work/large" "$mnt/large"
echo old >"$mnt/key"
echo synced >"$mnt/dir/fsynced"

# -- What holds something open ---------------------------------------------------------

client reader writer syncer worker locker waiter lister poller
ask reader open f "$mnt/large" r >/dev/null
is 'a reader has read a part' "$(ask reader read f 1048576)" 1048576
ask writer open f "$mnt/key" w >/dev/null
is 'a writer has written and not closed' "$(ask writer write f new)" 3
ask syncer open f "$mnt/dir/fsynced" w >/dev/null
ask syncer write f acknowledged >/dev/null
is 'another has synced what it wrote' "$(ask syncer fsync f)" ok
ask syncer write f -and-more >/dev/null
ask worker cd "$mnt/dir" >/dev/null
ask lister open f "$mnt/dir" d >/dev/null
ask locker open f "$mnt/key" r >/dev/null
ask locker lock f >/dev/null
ask waiter open f "$mnt/key" r >/dev/null
tell waiter lock f
wait_for grep -q flock "/proc/${client_pid[waiter]}/stack"
ask poller open f "$mnt/key" r >/dev/null
is 'poll(2) says that a key is ready' "$(ask poller poll f)" ready
record "$mnt/watched"
is 'inotifywait watches' "$(watches_nothing && echo nothing)" ''

# -- What waits for an answer: the daemon is stopped, so none comes ---------------------

declare -A waiting=(
    [open]="open f $mnt/dir/fsynced r"
    [create]="open f $mnt/dir/new w"
    [stat]="stat $mnt/dir/never"
    [list]="list $mnt/watched"
    [mkdir]="mkdir $mnt/made"
    [unlink]="unlink $mnt/watched/a"
    [rename]="rename $mnt/key2 $mnt/key3"
    [read]='read g 1048576'
    [write]='write g text'
    [close]='close g'
    [fsync]='fsync g'
)
echo 1 >"$mnt/watched/a"
echo 2 >"$mnt/key2"
client "${!waiting[@]}"
for name in read write close fsync; do
    echo "$name" >"$mnt/of-$name"
    if [ "$name" = read ]; then how=r; else how=w; fi
    ask "$name" open g "$mnt/of-$name" "$how" >/dev/null
done
ask close write g unpublished >/dev/null
ask fsync write g unpublished >/dev/null
wait_for all_announced
kill -STOP "$daemon"
ok 'the daemon is stopped' wait_for daemon_stopped
missed=''
for name in "${!waiting[@]}"; do
    # shellcheck disable=SC2086 # words
    tell "$name" ${waiting[$name]}
    wait_for in_call "$name" || missed+=" $name"
done
is 'processes wait in open, create, stat, readdir, mkdir, unlink, rename, read, write, close, fsync' \
    "$missed" ''

# -- The end of the daemon -------------------------------------------------------------

kill_daemon
is 'the daemon is killed' "$status" 137
for name in "${!waiting[@]}"; do
    like "who waits in $name gets an error" "$(answer "$name")" "$dead"
done
# A pinned version is the daemon's, so what was not read is lost.
like 'the reader gets an error' "$(ask reader read f 1048576)" "$dead"
is '... and can close' "$(ask reader close f)" ok
like 'the writer gets an error from write' "$(ask writer write f more)" "$dead"
like '... and from close' "$(ask writer close f)" "$dead"
like 'the one that synced, too' "$(ask syncer close f)" "$dead"
like 'a process whose working directory is inside gets an error' "$(ask worker list .)" "$dead"
like '... for every path' "$(ask worker stat fsynced)" "$dead"
like 'a directory that is open cannot be read' "$(ask lister names f)" "$dead"
is 'a lock is let go of' "$(ask locker close f)" ok
is '... and the next in line gets it' "$(answer waiter)" ok
like '... but nothing else' "$(ask waiter read f 10)" "$dead"
is 'poll(2) does not wait' "$(ask poller poll f)" ready

# -- The next start --------------------------------------------------------------------

ok 'a stale mount is there' mounted
need_daemon
ok 'the next start clears it and mounts' grep -q "cleared the stale mount on '$mnt'" "$log"
is '... once' "$(grep -c " $mnt fuse" /proc/self/mounts)" 1
is 'acknowledged data is there: what was closed' "$(md5sum <"$mnt/large")" "$(md5sum <"$work/large")"
is '... what was synced' "$(cat "$mnt/dir/fsynced")" acknowledged
is 'what was not closed is not: the key has its old value' "$(cat "$mnt/key")" old
is '... on each of them' "$(cat "$mnt/of-write" "$mnt/of-close" "$mnt/of-fsync")" \
    "$(lines write close fsync)"
is '... and a name that was being made does not exist' \
    "$(ls "$mnt/dir") $(ls -d "$mnt/made" 2>/dev/null)" 'fsynced '
is 'what waited for an answer may have happened or not, but whole' \
    "$(cat "$mnt/key2" "$mnt/key3" 2>/dev/null)" 2

like 'whoever is still inside the old one gets errors' "$(ask worker stat fsynced)" "$dead"
is '... until it leaves' "$(ask worker cd "$mnt/dir")" ok
is '... and is in the new one' "$(ask worker stat fsynced)" 12
is 'who has a file open in the old one can open the new' "$(ask reader open f "$mnt/large" r)" ok
is '... and read it' "$(ask reader rest f)" "$(stat -c %s "$work/large") $(md5sum <"$work/large" | cut -c1-32)"

ended=''
for name in "${!client_pid[@]}"; do
    end_client "$name" || ended+=" $name"
done
is 'SIGTERM ends every one of them' "$ended" ''
# The watch lives as long as something of the old mount is open.
ok 'inotifywait is told that what it watched is gone' wait_for watches_nothing
ended=''
stop_recording || ended=1
is '... and can be ended, too' "$ended" ''

# -- Who watches nothing else ----------------------------------------------------------

record "$mnt/watched"
kill_daemon
need_daemon
ok 'with nobody inside the watch ends with the next start' wait_for watches_nothing
stop_recording
record "$mnt/watched"
put watched/b 1 >/dev/null
recorded_now watched
like 'a new watch works' "$record" 'CREATE watched/b'
stop_recording

stop_daemon
finish
