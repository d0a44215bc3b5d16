#!/usr/bin/env bash
# The last close of a new file publishes it without anybody waiting. What the process does
# with the file next, comes after that, however the daemon's threads are scheduled.
. "$(dirname "$0")/../lib/functions.sh"

asan_later=verify_asan_link_order=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}
launcher=(env "LD_PRELOAD=$testlib/libunlock.so" "ASAN_OPTIONS=$asan_later")
need_daemon --sync off

mkdir "$mnt/d"
is 'a file that was just closed can be removed, renamed and changed' \
    "$(python3 "$root/tests/lib/after_close.py" "$mnt/d" "$(quick_or 100 200)")" ''
is '... and nothing is left of it' "$(ls "$mnt/d")" ''

stop_daemon
finish
