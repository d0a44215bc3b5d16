#!/usr/bin/env bash
# timeout: 60
# fanotify marks on the mount: events with a descriptor for a key, a directory, the whole
# mount and the filesystem; events with names, of created and deleted entries too, for a
# directory. What others change is reported as what processes change.
# shellcheck disable=SC2154 # $mnt and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

need_daemon
mkdir "$mnt/d" "$mnt/e"
echo 1 >"$mnt/d/key"

# mark HOW WHERE PATH: tests/lib/fanotify started; its first line is in $answer.
mark()
{
    rm -f "$work/stdin" "$work/stdout"
    mkfifo "$work/stdin" "$work/stdout"
    wait_for all_announced
    "$testlib/fanotify" "$@" <"$work/stdin" >"$work/stdout" &
    marker=$!
    started_pids+=("$marker")
    exec 7>"$work/stdin" 8<"$work/stdout"
    IFS= read -r -t "$deadline" -u 8 answer
}

# The kernel may put several events of one file together, and says what happened, not how
# often. marked NAME LINE: the different lines up to this one, which is left out, sorted.
marked()
{
    local line events=''
    while IFS= read -r -t "$deadline" -u 8 line && [ "$line" != "$1" ]; do
        events+=$line$'\n'
    done
    [ "$line" = "$1" ] || events+="(no '$1')"
    printf '%s' "$events" | sort -u
}

end_mark()
{
    exec 7>&-
    wait_pid "$marker"
    exec 8<&-
}

# What a file with a mark is told when it is overwritten, each way.
overwritten=$(lines 'CLOSE_WRITE key' 'MODIFY key' 'OPEN key')

for where in inode:d/key inode:d mount: filesystem:; do
    mark fd "${where%%:*}" "$mnt/${where#*:}"
    is "a mark on ${where/:/ }" "$answer" ready
    put d/key 2 >/dev/null
    # The last event of a change is the closing of it.
    is '... hears of a PUT' "$({ marked 'CLOSE_WRITE key'; echo 'CLOSE_WRITE key'; } | sort)" \
        "$overwritten"
    end_mark
    mark fd "${where%%:*}" "$mnt/${where#*:}"
    echo 4 >"$mnt/d/key"
    is '... and of an echo' "$({ marked 'CLOSE_WRITE key'; echo 'CLOSE_WRITE key'; } | sort)" \
        "$overwritten"
    end_mark
done

mark fd inode "$mnt/d"
put d/new 1 >/dev/null
is 'a mark on a directory hears of what is in a new key' \
    "$({ marked 'CLOSE_WRITE new'; echo 'CLOSE_WRITE new'; } | sort)" \
    "$(lines 'CLOSE_WRITE new' 'MODIFY new' 'OPEN new')"
end_mark

# -- Names -----------------------------------------------------------------------------

# FUSE has no filesystem id, without which the kernel gives names for single objects only,
# and older ones for none.
mark name filesystem "$mnt"
is 'names for the whole filesystem are refused' "$answer" 'fanotify_mark: ENODEV'
end_mark

mark name inode "$mnt/d"
if [ "$answer" = 'fanotify_mark: ENODEV' ]; then
    end_mark
    skip 'names for a directory' "not with the FUSE of Linux $(uname -r)"
    stop_daemon
    finish
fi
is 'names for a directory' "$answer" ready

# happens NAME EVENTS COMMAND...: it gives these different events, up to the making of
# another key, which is told of behind them.
ends=0
happens()
{
    local name=$1 events=$2
    shift 2
    "$@" >/dev/null
    ends=$((ends + 1))
    wait_for all_announced
    put "d/end-$ends" '' >/dev/null
    is "$name" "$(marked "CREATE end-$ends" | grep -v ' end-')" "$events"
}

happens '... PUT of a new key' "$(lines 'CLOSE_WRITE made' 'CREATE made' 'MODIFY made' 'OPEN made')" \
    put d/made 1
happens '... over it' "$(lines 'CLOSE_WRITE made' 'MODIFY made' 'OPEN made')" put d/made 2
happens '... rename' "$(lines 'MOVED_FROM made' 'MOVED_TO moved')" rename_key d/made d/moved
happens '... to another directory' 'MOVED_FROM moved' rename_key d/moved e/moved
happens '... from another directory' 'MOVED_TO back' rename_key e/moved d/back
happens '... attributes' 'ATTRIB back' chmod 600 "$mnt/d/back"
happens '... DELETE' 'DELETE back' delete d/back
happens '... a new directory' 'CREATE,ISDIR sub' put d/sub/key 1
happens '... its recursive DELETE' 'DELETE,ISDIR sub' delete d/sub recursive=1
end_mark

stop_daemon
finish
