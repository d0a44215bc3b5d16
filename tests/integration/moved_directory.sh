#!/usr/bin/env bash
# A directory that is exchanged with another one again and again, while somebody works in it
# by a descriptor: listings, files, and names that are made and removed are of that
# directory, never of the one that has its path by now. See tests/lib/moved.py.
. "$(dirname "$0")/../lib/functions.sh"

need_daemon --sync off
is 'who holds a directory goes on in it while it is moved' \
    "$(python3 "$root/tests/lib/moved.py" "$mnt" "$(quick_or 30 100)" 2>"$work/moved.log"; echo $?)" 0
note "$(cat "$work/moved.log")"
stop_daemon
finish
