#!/usr/bin/env bash
# Several mounts of one daemon, with the options of mount(8): parts of the store, read-only
# mounts, owners and modes that only show. inotify speaks in each.
# shellcheck disable=SC2154 # $record is set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

app=$work/app ro=$work/ro as=$work/as
mkdir "$app" "$ro" "$as"

# -- What is asked for wrongly --

refused()
{
    local name=$1 line=$2
    shift 2
    fails "$name" "$line" timeout "$deadline" "$kvfsd" --data "$data" --listen none "$@"
}
refused 'an unknown option is refused' \
    "unknown mount option 'allowother' .did you mean 'allow_other'" \
    --mount "$app,allowother"
refused '... and a value that is none' "uid must be a number up to 4294967294, not 'root'" \
    --mount "$app,uid=root"
refused '... and a umask that is not octal' "umask must be an octal number up to 777, not '8'" \
    --mount "$app,umask=8"
refused '... and an option without its value' "mount option 'subdir' needs a value" \
    --mount "$app,subdir"
refused '... and a subdir that is no key' "subdir 'a//b'" --mount "$app,subdir=a//b"
refused 'a subdir that is not there is said so' "there is no directory 'app' in the store" \
    --mount "$app,subdir=app"

# -- Four mounts --

need_daemon
mkdir -p "$mnt/app/conf" "$mnt/other"
echo 1 >"$mnt/app/conf/a"
stop_daemon
need_daemon --mount "$mnt" --mount "$app,subdir=app,noexec" --mount "$ro,ro,default_permissions,_netdev" \
    --mount "$as,uid=1234,gid=4321,umask=027"

is 'a part of the store is mounted' "$(find "$app" -mindepth 1 -printf '%P ' | sort)" \
    'conf conf/a '
is '... with the inode numbers of the whole' "$(stat -c %i "$app" "$app/conf" "$app/conf/a")" \
    "$(stat -c %i "$mnt/app" "$mnt/app/conf" "$mnt/app/conf/a")"
echo 2 >"$app/conf/b"
is 'what is written there is a key of the whole' "$(get app/conf/b)" 2
is '... at once in the other mounts' "$(cat "$mnt/app/conf/b" "$ro/app/conf/b")" $'2\n2'
mkdir "$app/dir"
mv "$app/conf/b" "$app/dir/c"
ln -s c "$app/dir/link"
setfattr -n user.note -v x "$app/dir"
is 'everything else works there too' \
    "$(get app/dir/c) $(readlink "$mnt/app/dir/link") $(getfattr -n user.note --only-values "$mnt/app/dir" 2>/dev/null)" \
    '2 c x'
chmod 711 "$app"
setfattr -n user.top -v y "$app"
is '... its root included' \
    "$(stat -c %a "$mnt/app") $(getfattr -n user.top --only-values "$mnt/app" 2>/dev/null)" \
    '711 y'
chmod 755 "$mnt/app"
is '... from elsewhere as well' "$(stat -c %a "$app")" 755
is 'only the whole has the control directory' "$(cat "$app/.kv/version" 2>/dev/null)" ''
like 'options for the kernel get there' "$(findmnt -no OPTIONS "$app")" 'noexec'

fails 'a read-only mount refuses to write' 'Read-only file system' \
    bash -c 'echo 1 >"$1"' - "$ro/new"
fails '... and to overwrite' 'Read-only file system' bash -c 'echo 1 >"$1"' - "$ro/app/conf/a"
fails '... and to remove' 'Read-only file system' rm "$ro/app/conf/a"
is '... and test -w says so' "$(test -w "$ro/app/conf/a"; echo $?)" 1
like '... and findmnt' "$(findmnt -no OPTIONS "$ro")" '^ro'
is '... while the others write' "$(echo 3 >"$mnt/app/conf/a"; cat "$ro/app/conf/a")" 3

is 'owners and modes show as asked for' "$(stat -c '%u:%g %a' "$as/app/conf/a" "$as/app")" \
    $'1234:4321 640\n1234:4321 750'
is '... and are stored as they are' "$(stat -c '%u:%g %a' "$mnt/app/conf/a")" \
    "$(id -u):$(id -g) 644"

# -- inotify in each --

events_of()
{
    record "$1"
    put app/conf/n 1 >/dev/null
    put app/conf/n 2 >/dev/null
    rename_key app/conf/n app/conf/m >/dev/null
    delete app/conf/m >/dev/null
    put app/conf/end 1 >/dev/null
    recorded "CREATE $1/end"
    stop_recording
    delete app/conf/end >/dev/null
    record=${record//"$1/"/}
}
events=$(lines 'CREATE n' 'OPEN n' 'MODIFY n' 'CLOSE_WRITE,CLOSE n' 'OPEN n' 'MODIFY n' \
    'CLOSE_WRITE,CLOSE n' 'MOVED_FROM n' 'MOVED_TO m' 'DELETE m')
for dir in "$app/conf" "$ro/app/conf" "$as/app/conf"; do
    events_of "$dir"
    is "inotify in ${dir#"$work/"}" "$record" "$events"
done

# Keys that move over the edge of what is mounted.
record "$app" "$app/conf"
put other/x 1 >/dev/null
rename_key other/x app/conf/x >/dev/null
rename_key app/conf/x other/y >/dev/null
rename_key other app/other >/dev/null
rename_key app/other other >/dev/null
put app/conf/end 1 >/dev/null
recorded "CREATE $app/conf/end"
is 'what comes in is created, what goes out deleted' "${record//"$app/"/}" \
    "$(lines 'CREATE conf/x' 'OPEN conf/x' 'MODIFY conf/x' 'CLOSE_WRITE,CLOSE conf/x' \
        'DELETE conf/x' 'CREATE,ISDIR other' 'DELETE,ISDIR other')"
is '... and the names are right' "$(find "$app" -mindepth 1 -printf '%P\n' | sort)" \
    "$(lines conf conf/a conf/end dir dir/c dir/link)"
stop_recording

# -- The directory moves, and goes --

rename_key app apple >/dev/null
is 'a directory that is renamed stays mounted' "$(cat "$app/conf/a")" 3
echo 4 >"$app/conf/a"
is '... and writable' "$(get apple/conf/a)" 4
delete apple recursive=1 >/dev/null
fails 'one that is deleted has no files any more' 'Stale file handle|No such file' \
    bash -c 'echo 1 >"$1"' - "$app/new"
is '... and harms nobody' "$(echo 5 >"$mnt/five"; get five)" 5

# -- Figures, and the end --

is '/v1/status tells of each mount' \
    "$(curl -sS "$url/v1/status" | jq -r '.mounts[] | "\(.path) \(.subdir) \(.read_only)"')" \
    "$(lines "$mnt null false" "$app app false" "$ro null true" "$as null false")"
is '/metrics too' "$(curl -sS "$url/metrics" | grep -c '^kvfs_mount_inodes{path="/')" 4
umount "$ro"
ok 'one that is unmounted by hand is noticed' wait_for grep -q "'$ro' was unmounted" "$log"
is '... and the others go on' "$(cat "$mnt/five" "$as/five")" $'5\n5'
stop_daemon
is 'the end unmounts all' "$(grep -c "$work" /proc/self/mounts)" 0
finish
