#!/usr/bin/env bash
# timeout: 180
# inotify where it is easily wrong: a recursive watch on a tree that grows over HTTP, the
# cookies that make two events one move, 100,000 PUTs with programs that read at each
# event, and what a watcher hears of the end of a mount.
# shellcheck disable=SC2154 # $mnt and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

need_daemon

# -- A recursive watch on a tree that grows --------------------------------------------

# watches COUNT: the recorder has so many.
watches()
{
    [ "$(cat "/proc/$recorder"/fdinfo/* | grep -c '^inotify wd')" = "$1" ]
}

mkdir "$mnt/grow"
record -r "$mnt/grow"
unwatched='' missed='' caught=0
for i in {1..10}; do
    put "grow/$i/a/b/first" 1 >/dev/null
    # Whoever hears of a new directory has to look what is in it: all of it is there,
    # since the key and its directories are made at once.
    wait_for watches $((1 + 3 * i)) || unwatched+=" $i"
    put "grow/$i/a/b/second" 1 >/dev/null
    recorded_now grow
    [[ $record == *"CREATE grow/$i/a/b/first"* ]] && caught=$((caught + 1))
    [[ $record == *"CREATE grow/$i/a/b/second"$'\n'*"CLOSE_WRITE,CLOSE grow/$i/a/b/second"* ]] ||
        missed+=" $i"
done
is 'inotifywait -r gets its watch on each directory that a PUT makes' "$unwatched" ''
is '... and hears of each key that is made below it then' "$missed" ''
note "of the keys that came with their directories it saw $caught of 10 being made:" \
    'its watch stands later, as on a disk'
rename_key grow/1 grow/one >/dev/null
put grow/one/a/b/third 1 >/dev/null
recorded_now grow
is 'a directory that is renamed over HTTP keeps its watches, inotifywait knows its new name' \
    "$(grep -E 'MOVED|third' <<<"$record" | grep -v SELF)" \
    "$(lines 'MOVED_FROM,ISDIR grow/1' 'MOVED_TO,ISDIR grow/one' 'CREATE grow/one/a/b/third' \
        'OPEN grow/one/a/b/third' 'MODIFY grow/one/a/b/third' \
        'CLOSE_WRITE,CLOSE grow/one/a/b/third')"
delete grow/2 recursive=1 >/dev/null
recorded_now grow
is 'a directory that is deleted over HTTP' "$(grep -E '^DELETE(,ISDIR)? ' <<<"$record" | sort)" \
    "$(lines 'DELETE grow/2/a/b/first' 'DELETE grow/2/a/b/second' 'DELETE,ISDIR grow/2' \
        'DELETE,ISDIR grow/2/a' 'DELETE,ISDIR grow/2/a/b')"
ok '... takes its watches along' wait_for watches 28
stop_recording

# -- Cookies ---------------------------------------------------------------------------

mkdir -p "$mnt/from/dir" "$mnt/to"
echo 1 >"$mnt/from/key"
record --format '%e %c %w%f' "$mnt/from" "$mnt/to"

# moved NAME FROM TO COMMAND...: it gives one MOVED_FROM and one MOVED_TO, in this order,
# with one cookie, which no move before had.
cookies=' 0 '
moved()
{
    local name=$1 from=$2 to=$3 first second old='' new=''
    shift 3
    "$@" >/dev/null
    markers=$((markers + 1))
    wait_for all_announced
    put "to/marker-$markers" '' >/dev/null
    recorded "CREATE 0 to/marker-$markers"
    { read -r _ first old && read -r _ second new; } < <(grep ^MOVED <<<"$record")
    is "$name" "$(grep -c ^MOVED <<<"$record") $old $new" "2 $from $to"
    is '... with one cookie' "$first" "$second"
    is '... of its own' "$([[ $cookies == *" $first "* ]] && echo "$first again")" ''
    cookies+="$first "
}

moved 'a key, over HTTP' from/key to/key rename_key from/key to/key
moved '... back by mv' to/key from/key mv "$mnt/to/key" "$mnt/from/key"
moved '... within its directory, over HTTP' from/key from/key2 rename_key from/key from/key2
moved '... by kv mv' from/key2 to/key "$kv" --url "$url" mv from/key2 to/key
put from/other 1 >/dev/null
moved '... over another one, over HTTP' to/key from/other rename_key to/key from/other
moved 'a directory, over HTTP' from/dir to/dir rename_key from/dir to/dir
put to/dir/below 1 >/dev/null
moved '... with something in it, back by mv' to/dir from/dir mv "$mnt/to/dir" "$mnt/from/dir"
moved '... and again over HTTP' from/dir to/dir2 rename_key from/dir to/dir2
stop_recording

# -- Who reads at each event -----------------------------------------------------------

ulimit -n 8192
storm()
{
    mkdir -p "$mnt/$1/in"
    "$testlib/announced" "$2" "$mnt/$1/in" "$url" "$1/in" "${@:3}" | sed 's/^/# /'
}

count=$(quick_or 5000 100000)
ok "$count PUTs of 900 keys, 100 keys written on the mount: who watches ends on the last of each" \
    storm large keep 1000 "$count" 64 $((count / 100))
count=$(quick_or 1000 5000)
ok "... who opens the file at each event, too" storm small open 200 "$count" 16 $((count / 5))
is 'the mount has announced everything' "$(wait_for all_announced && echo yes)" yes

# -- The end of a mount ----------------------------------------------------------------

# What inotifywait does not print: which events each watch gets.
cat >"$work/end.py" <<'END'
import ctypes, os, struct, sys

NAMES = {0x2000: "UNMOUNT", 0x8000: "IGNORED"}
libc = ctypes.CDLL(None, use_errno=True)
fd = libc.inotify_init()
watched = {}
for path in sys.argv[1:]:
    watched[libc.inotify_add_watch(fd, path.encode(), 0xFFF)] = os.path.basename(path)
assert -1 not in watched
print("watching", flush=True)
while watched:
    events = os.read(fd, 65536)
    while events:
        wd, mask, _, length = struct.unpack_from("iIII", events)
        events = events[16 + length:]
        for bit in NAMES:
            if mask & bit:
                print(NAMES[bit], watched[wd], flush=True)
        if mask & 0x8000:
            del watched[wd]
END

watch_end()
{
    python3 "$work/end.py" "$mnt/large" "$mnt/small/in" "$mnt/from/other" >"$work/end" &
    ender=$!
    started_pids+=("$ender")
    wait_for grep -q watching "$work/end"
}

ended=$(lines 'IGNORED in' 'IGNORED large' 'IGNORED other' 'UNMOUNT in' 'UNMOUNT large' \
    'UNMOUNT other')
watch_end
kill_daemon
is 'after kill -9 of the daemon the watches are still there' \
    "$(cat "/proc/$ender"/fdinfo/* | grep -c '^inotify wd') $(tail -n +2 "$work/end")" '3 '
need_daemon
wait_pid "$ender"
is '... until the next one clears the mount: UNMOUNT and IGNORED' \
    "$(tail -n +2 "$work/end" | sort)" "$ended"
record "$mnt/large"
put large/key 1 >/dev/null
recorded_now large
like '... new watches are told of everything' "$record" 'CREATE large/key'
stop_recording

watch_end
stop_daemon
wait_pid "$ender"
is 'the daemon that stops ends the watches in the same way' \
    "$(tail -n +2 "$work/end" | sort)" "$ended"
finish
