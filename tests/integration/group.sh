#!/usr/bin/env bash
# Who may open a key keeps that right while the key is made, given away, replaced and removed
# under him, in the moments too in which the kernel knows a file that is no more. See
# tests/lib/group.py.
# shellcheck disable=SC2154 # $mnt and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"
[ "$(id -u)" = 0 ] || skip_all 'needs root'

chmod 755 "$work"
need_daemon --allow-other
is 'a member of the group is never refused' \
    "$(python3 "$root/tests/lib/group.py" "$mnt" "$(quick_or 3 6)" >"$work/group.log" 2>&1
        echo $?)" 0
note "$(cat "$work/group.log")"
stop_daemon
finish
