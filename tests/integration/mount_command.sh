#!/usr/bin/env bash
# timeout: 240
# kvfs as other filesystems are mounted: mount(8) with a line of fstab(5) or without,
# umount(8), several mounts of one daemon that comes with the first and goes with the last.
# shellcheck disable=SC2154 # $status and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

# In a mount namespace of its own, where mount(8) finds its helper as an installation would
# put it there, a fstab is ours, and anybody may open the device; and in a PID namespace,
# with which the daemons end that are in no session of ours.
if [ -z "${KV_OWN_MOUNTS:-}" ]; then
    trap - EXIT
    rm -rf "$work"
    exec unshare --mount --pid --fork --kill-child --mount-proc \
        env KV_OWN_MOUNTS=1 "$0"
fi
user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
"${user[@]}" test -x "$kvfsd" || {
    install -D "$kvfsd" "$work/bin/kvfsd"
    kvfsd=$work/bin/kvfsd
}
mkdir "$work/device"
mount -t tmpfs -o mode=755,dev tmpfs "$work/device" &&
    mknod -m 666 "$work/device/fuse" c 10 229 && chmod 666 "$work/device/fuse" &&
    mount --bind "$work/device/fuse" /dev/fuse || exit 1
mount -t tmpfs -o mode=755 tmpfs "$(readlink -f /sbin)" &&
    ln -s "$kvfsd" /sbin/mount.fuse.kvfs && ln -s "$kvfsd" /sbin/mount.kvfs || exit 1

app=$work/app
mkdir "$data" "$mnt" "$app"
# curl goes over the socket that the data directory leads to.
export CURL_HOME=$work
echo "unix-socket = $data/kvfs.sock" >"$work/.curlrc"
url=http://localhost
mount_kvfs=(mount -t fuse.kvfs)

# ask DIR [OPTIONS]: have it mounted by POST /v1/mounts; prints the status.
ask()
{
    jq -n --arg dir "$1" --arg options "${2:-}" '{dir: $dir, options: $options}' |
        http POST /v1/mounts --data-binary @-
}

# ask_not DIR [QUERY]: have it unmounted.
ask_not()
{
    http DELETE "/v1/mounts?dir=$1${2:+&$2}"
}

# refusal STATUS: what the last answer says is wrong.
refusal()
{
    echo "$1 $(jq -r '.error | "\(.code): \(.message)"' "$work/body")"
}

daemon_pid()
{
    http GET /v1/mounts >/dev/null && jq .pid "$work/body"
}

# is_free DIR: no kvfsd has this data directory.
is_free()
{
    ! grep -q ":$(stat -c %i "$1/kvfs.lock") " /proc/locks
}

# ended PID: it has, or does in time, and has let go of the data directory.
ended()
{
    wait_for test ! -e "/proc/$1" && wait_for is_free "$data"
}

# unmount DIR...: a change is announced a moment after it was made, and until then the mount
# is in use.
unmount()
{
    local dir
    for dir; do
        wait_for umount "$dir" || return 1
    done
}

options_of()
{
    findmnt -no OPTIONS "$1"
}

# -- A line of fstab -------------------------------------------------------------------

cat >"$work/fstab" <<END
$data $mnt fuse.kvfs allow_other,user,nofail,_netdev,x-systemd.requires=net.target,exec,log=$log 0 0
$data $app fuse.kvfs subdir=app,uid=1234,gid=4321,umask=027,noatime,allow_other,noauto 0 0
END
fstab=(mount -T "$work/fstab")

ok 'mount -a mounts what is in fstab' "${fstab[@]}" -a
is '... which says where it comes from' "$(findmnt -no SOURCE,FSTYPE "$mnt")" \
    "$data fuse.kvfs"
pid=$(daemon_pid)
like '... by a daemon in the background' "$(ps -o comm=,tty=,ppid= "$pid")" '^kvfsd +\? '
is '... that has let go of what it was started from' \
    "$(readlink "/proc/$pid/cwd" "/proc/$pid/fd/0" "/proc/$pid/fd/1" "/proc/$pid/fd/2")" \
    "$(lines / /dev/null /dev/null "$log")"
like '... and logs where it was told to, with the time' "$(grep ready "$log")" \
    '^[0-9-]+T[0-9:]+Z kvfsd: ready$'
ok 'mount -a again does nothing' "${fstab[@]}" -a
is '... more' "$(findmnt -no SOURCE "$mnt" | wc -l)" 1
like 'user means nosuid and nodev' "$(options_of "$mnt")" 'nosuid,nodev'
echo one >"$mnt/key"
mkdir "$mnt/app"
echo two >"$mnt/app/key"

ok 'another line joins' "${fstab[@]}" "$app"
is '... the same daemon' "$(daemon_pid)" "$pid"
is '... which tells of both' \
    "$(jq -r '.mounts[] | "\(.path) \(.subdir)"' "$work/body")" \
    "$(lines "$mnt null" "$app app")"
is 'subdir= mounts a part' "$(ls -A "$app") $(cat "$app/key")" 'key two'
is 'uid=, gid= and umask= show' "$(stat -c '%u:%g %a' "$app/key")" '1234:4321 640'
like 'noatime gets to the kernel' "$(options_of "$app")" noatime


# inotify in both, whoever writes.
record "$mnt/app" "$app"
echo three >"$app/new"
recorded "CLOSE_WRITE,CLOSE app/new"
like 'a write in one mount is seen by inotify in the other' "$record" 'CREATE app/new'
echo four >"$mnt/app/key"
recorded "CLOSE_WRITE,CLOSE $app/key"
like '... and the other way round' "$record" "OPEN $app/key"
stop_recording

# -- Options ---------------------------------------------------------------------------

# with OPTIONS [SOURCE]: mounted on $app with these options.
with()
{
    ! findmnt -n "$app" >/dev/null || unmount "$app" || return 1
    "${mount_kvfs[@]}" "${2:-$data}" "$app" -o "$1"
}

ok 'ro' with ro
fails '... refuses to write' 'Read-only file system' touch "$app/key"
like '... as findmnt shows' "$(options_of "$app")" '^ro'
ok 'allow_other' with allow_other,default_permissions
is '... lets others in' "$("${user[@]}" cat "$app/key")" one
fails '... as far as modes go' 'Permission denied' "${user[@]}" touch "$app/key"
ok 'without it' with rw
fails '... others stay outside' 'Permission denied' "${user[@]}" ls "$app"
printf '#!/bin/sh\necho ran\n' >"$mnt/script"
chmod 755 "$mnt/script"
is 'programs run' "$("$app/script")" ran
ok 'noexec' with noexec,nosuid,nodev
fails '... lets none run' 'Permission denied' "$app/script"
ok 'fsname=' with fsname=mine
is '... names the source' "$(findmnt -no SOURCE "$app")" mine
ok 'the words of fstab mean nothing' \
    with defaults,auto,user=joe,nofail,_netdev,x-systemd.automount,X-a=b,comment=c,relatime
ok 'mount.kvfs is the same' mount -t kvfs -o "ro" "$data" "$work/app2" -o X-mount.mkdir
unmount "$work/app2"
unmount "$app"
mkdir "$work/data\\" "$work/app\\"
ok 'paths that end in a backslash' \
    "${mount_kvfs[@]}" "$work/data\\" "$work/app\\" -o "ro,log=$log"
like '... keep their options' "$(options_of "$work/app\\")" '^ro'
is '... and are what they are' "$(findmnt -no SOURCE "$work/app\\")" "$work/data\\"
unmount "$work/app\\"

# refused NAME STATUS REASON OPTIONS: as mount(8) says it.
refused()
{
    local output
    output=$("${mount_kvfs[@]}" "$data" "$app" -o "$4" 2>&1)
    is "$1 is refused" "$? $output" "$2 mount.fuse.kvfs: $3"
}
refused 'an unknown option' 1 \
    "unknown mount option 'allowother' (did you mean 'allow_other'?)" ro,allowother
refused 'a wrong value' 1 "umask must be an octal number up to 777, not '8'" umask=8
refused 'a subdir that is not there' 32 \
    "cannot mount on '$app': there is no directory 'none' in the store" subdir=none
refused 'a log that is no path' 1 \
    "mount option 'log' must be an absolute path, not 'file'" log=file
ok 'mount -s tolerates what it does not know' "${mount_kvfs[@]}" -s "$data" "$app" -o what
unmount "$app"
ok 'mount -f does nothing' "${mount_kvfs[@]}" -f "$data" "$app" -o rw
is '... indeed' "$(findmnt -n "$app")" ''
fails 'options cannot be changed later' 'options cannot be changed while it is mounted' \
    mount -o remount,ro "$mnt"
is '... and are not' "$(touch "$mnt/key" && options_of "$mnt" | cut -c 1-2)" rw
fails 'a mount point that does not exist' "mount point '.*/none' does not exist" \
    "${mount_kvfs[@]}" "$data" "$work/none"
fails 'one that is taken' "is taken: fuse.kvfs of '$data' is mounted there" \
    "${mount_kvfs[@]}" "$data" "$mnt"
fails 'a source that does not exist' 'No such file or directory' \
    "${mount_kvfs[@]}" "$work/none" "$app"
fails 'a source that is a file' 'neither a data directory nor the Unix socket' \
    "${mount_kvfs[@]}" "$work/fstab" "$app"
mkdir "$work/other"
touch "$work/other/file"
fails 'a directory with other files in it' 'no data directory of kvfs, and not empty' \
    "${mount_kvfs[@]}" "$work/other" "$app"
is '... gets no store' "$(ls "$work/other")" file
fails 'a namespace that cannot be entered' "cannot enter the mount namespace '/dev/null'" \
    /sbin/mount.fuse.kvfs "$data" "$app" -N /dev/null
fails 'no directory' 'usage: SOURCE DIR' /sbin/mount.fuse.kvfs "$data"

# -- Over HTTP -------------------------------------------------------------------------

is 'POST /v1/mounts mounts' "$(ask "$app" subdir=app,ro) $(jq -c . "$work/body")" \
    "201 {\"path\":\"$app\",\"pid\":$pid}"
is '... with these options' "$(cat "$app/key") $(options_of "$app" | cut -c 1-2)" 'four ro'
is 'one that is taken is 409 already_mounted' "$(refusal "$(ask "$app")")" \
    "409 already_mounted: mount point '$app' is taken: fuse.kvfs of '$data' is mounted there"
(cd "$app" && sleep 1000) &
sleeper=$!
started_pids+=("$sleeper")
wait_for test "/proc/$sleeper/cwd" -ef "$app"
is 'DELETE of one that is in use is 409 in_use' "$(refusal "$(ask_not "$app")")" \
    "409 in_use: cannot unmount '$app': it is in use, or something is mounted over it"
is '... unless it is done lazily' "$(ask_not "$app" lazy=1) $(findmnt -n "$app")" '204 '
kill "$sleeper"
is 'DELETE of one that is not there is 404' "$(refusal "$(ask_not "$app")")" \
    "404 not_mounted: this kvfsd has nothing mounted on '$app'"
mkdir "$work/place"
ln -s place "$work/link"
is 'a mount is answered by its path without symbolic links' \
    "$(ask "$work/link/../link") $(jq -r .path "$work/body")" "201 $work/place"
is '... and DELETE takes any that leads to it' "$(ask_not "$work/link/../link/")" 204
ask "$app" >"$work/out"
exec {inside}<"$app"
umount -l "$app"
is 'DELETE of one that was taken away lazily is 404' "$(ask_not "$app") $(error_code)" \
    '404 not_mounted'
is '... although it lives' \
    "$(http GET /v1/mounts) $(jq '.mounts | length' "$work/body")" '200 2'
is '... another can be mounted in its place' "$(ask "$app")" 201
is '... which has samples of its own' \
    "$(curl -sS "$url/metrics" | grep '^kvfs_mount_.*{' | sed 's/ .*//' | sort | uniq -d)" ''
is '... and is the one that DELETE takes' "$(ask_not "$app") $(findmnt -n "$app")" '204 '
exec {inside}<&-
ok '... until the first has gone, too' wait_for eval \
    '[ "$(curl -sS "$url/v1/mounts" | jq ".mounts | length")" = 1 ]'
mkdir "$work/full"
touch "$work/full/file"
is 'a directory with something in it is 409 directory_not_empty' "$(refusal "$(ask "$work/full")")" \
    "409 directory_not_empty: mount point '$work/full' is not an empty directory"
is 'a file is 409 not_a_directory' "$(refusal "$(ask "$work/fstab")")" \
    "409 not_a_directory: mount point '$work/fstab' is not a directory"
is 'nothing is 404 no_such_directory' "$(refusal "$(ask "$work/none")")" \
    "404 no_such_directory: mount point '$work/none' does not exist"
is 'a subdir that is not there is 404 no_such_subdir' \
    "$(refusal "$(ask "$app" subdir=none)")" \
    "404 no_such_subdir: cannot mount on '$app': there is no directory 'none' in the store"
is 'an unknown option is 400 invalid_option' "$(refusal "$(ask "$app" what)")" \
    "400 invalid_option: unknown mount option 'what'"
is 'a relative path is 400' "$(refusal "$(ask app)")" \
    '400 invalid_parameter: dir: must be an absolute path'
is 'a member that is unknown is 400' \
    "$(refusal "$(http POST /v1/mounts -d '{"dir":"/","option":"ro"}')" | cut -d: -f 1)" \
    '400 bad_request'
is '... and one from another mount namespace 409' \
    "$(refusal "$(http POST /v1/mounts -d "{\"dir\":\"$app\",\"namespace\":\"mnt:[1]\"}")" |
        cut -d: -f 1)" '409 other_namespace'
fails '... as the command of mount(8) says, too' 'another mount namespace' \
    unshare --mount "${mount_kvfs[@]}" "$data" "$app"
mkdir "$work/many"
made=1
while [ "$made" -lt 64 ] && mkdir "$work/many/$made" &&
    "$kv" --socket "$data/kvfs.sock" mount "$work/many/$made"; do
    made=$((made + 1))
done
is '64 mounts are possible' "$made" 64
is '... and one more is 409 too_many_mounts' "$(refusal "$(ask "$app")")" \
    "409 too_many_mounts: cannot mount on '$app': at most 64 mounts"
unmount "$work"/many/*
ok 'those that are unmounted from outside are noticed' \
    wait_for eval '[ "$(curl -sS "$url/v1/status" | jq ".mounts | length")" = 1 ]'

chmod 755 "$data"
chmod 777 "$data/kvfs.sock"
is 'another user may not ask for mounts' \
    "$("${user[@]}" env CURL_HOME="$work" curl -sS "$url/v1/mounts" | jq -r .error.code)" \
    not_permitted
is '... nor for the end of one' \
    "$("${user[@]}" env CURL_HOME="$work" curl -sS -X DELETE "$url/v1/mounts?dir=$mnt" |
        jq -r .error.code)" not_permitted
chmod 700 "$data"

# -- kv mount ---------------------------------------------------------------------------

export KV_SOCKET=$data/kvfs.sock
ok 'kv mount mounts' "$kv" mount "$app" -o subdir=app,ro
is '... and lists' "$("$kv" mount)" "$(lines "$mnt" "$app subdir=app,ro")"
is '... as JSON' "$("$kv" mount --output json | jq -c '[.pid, (.mounts | length)]')" "[$pid,2]"
fails '... and passes on what is wrong' "is taken: fuse.kvfs of '$data'" "$kv" mount "$app"
fails '... of options too' "unknown mount option 'what'" "$kv" mount "$work/other" -o what
fails '... not from another mount namespace' 'another mount namespace' \
    unshare --mount "$kv" mount "$work/other"
(cd "$app" && sleep 1000) &
sleeper=$!
started_pids+=("$sleeper")
wait_for test "/proc/$sleeper/cwd" -ef "$app"
fails 'kv umount does not take away what is in use' 'it is in use' "$kv" umount "$app"
ok '... but for --lazy' "$kv" umount --lazy "$app"
is '... indeed' "$("$kv" mount)" "$mnt"
kill "$sleeper"
fails 'kv umount of what is not mounted' 'has nothing mounted on' "$kv" umount "$app"
fails 'kv mount through a mount is none of that' 'a matter for the Unix socket' \
    env -u KV_SOCKET "$kv" --mount "$mnt" mount "$app"
unset KV_SOCKET

# -- The end ---------------------------------------------------------------------------

unmount "$mnt"
ok 'umount of the last mount ends the daemon' ended "$pid"
ok '... which says why' grep -q 'no mount is left: stopping' "$log"
is '... and leaves nothing but its data' "$(ls "$data")" "$(lines data.mdb kvfs.lock lock.mdb wal.0 wal.1)"

again=0
while [ "$again" -lt 10 ] && "${mount_kvfs[@]}" "$data" "$mnt" -o "log=$log" &&
    [ "$(cat "$mnt/key")" = one ] && unmount "$mnt"; do
    again=$((again + 1))
done
is 'mounting again at once, while it still ends, waits for that' "$again" 10

"${mount_kvfs[@]}" "$data" "$mnt" -o "log=$log"
pid=$(daemon_pid)
ok 'kv umount of the last mount is answered' "$kv" --socket "$data/kvfs.sock" umount "$mnt"
ok '... and ends the daemon' ended "$pid"

"${mount_kvfs[@]}" "$data" "$mnt" -o "log=$log" &
first=$!
"${mount_kvfs[@]}" "$data" "$app" -o "log=$log" &
second=$!
wait "$first" && wait "$second"
is 'two mounts at the same time' $? 0
is '... have one daemon' \
    "$(daemon_pid >/dev/null; jq -r '.mounts[].path' "$work/body" | sort)" \
    "$(lines "$app" "$mnt" | sort)"
pid=$(daemon_pid)
unmount "$mnt" "$app"
ok '... that ends with both' ended "$pid"

# -- Without mount(8) --------------------------------------------------------------------

# The first mounts are at work before the last one is made.
many=("$work"/many/{1..16})
"$kvfsd" --background --until-unmounted --data "$data" --listen none --log "$log" \
    "${many[@]/#/--mount=}" 2>"$work/said" | timeout "$deadline" cat
is '--background returns when it serves, and lets go of what it was started from' \
    "${PIPESTATUS[*]} $(<"$work/said")" '0 0 '
pid=$(daemon_pid)
is '... in all its threads' \
    "$(for fd in /proc/"$pid"/task/*/fd/[012]; do readlink "$fd"; done | sort -u)" \
    "$(lines /dev/null "$log" | sort)"
unmount "${many[@]}"
ok '--until-unmounted ends it with its last mount' ended "$pid"

# -- What goes wrong while it starts ---------------------------------------------------

output=$("${mount_kvfs[@]}" "$data" "$app" -o "subdir=none,log=$log" 2>&1)
is 'a daemon that cannot start says why to who mounts' "$? $output" \
    "32 kvfsd: cannot mount on '$app': there is no directory 'none' in the store"
ok '... and to the log' grep -q "Z kvfsd: cannot mount on '$app'" "$log"
fails 'a log that cannot be written is named' "cannot write the log to '/proc/none/log'" \
    "${mount_kvfs[@]}" "$data" "$app" -o log=/proc/none/log
fails 'a configuration that cannot be read is named' '/none: No such file' \
    "${mount_kvfs[@]}" "$data" "$app" -o config=/none

printf '%s\n' 'max-value-size = 1K' 'listen = 127.0.0.1:0' >"$work/conf"
"${mount_kvfs[@]}" "$data" "$mnt" -o "config=$work/conf,socket=$sock,log=$log"
is 'config= configures the daemon' "$(grep -c '^max-value-size = 1K' "$mnt/.kv/config")" 1
is 'socket= is where it listens, and where the data directory leads to' \
    "$(readlink "$data/kvfs.sock")" "$sock"
ok '... so that others find it' "${mount_kvfs[@]}" "$data" "$app"
tcp=http://$(sed -n 's/.* listening on \(127.*\)/\1/p' "$log" | tail -n 1)
is 'over TCP there are no mounts to be asked for' \
    "$(curl -q -sS "$tcp/v1/mounts" | jq -r .error.code)" local_only
is '... nor made' "$(curl -q -sS -d "{\"dir\":\"$work/other\"}" "$tcp/v1/mounts" |
    jq -r .error.code)" local_only
pid=$(daemon_pid)
unmount "$mnt" "$app"
ok 'it ends with its last mount although it serves TCP, too' ended "$pid"

# -- A daemon that was there -----------------------------------------------------------

need_daemon
ok 'the Unix socket of a daemon is a source, too' "${mount_kvfs[@]}" "$sock" "$app"
ok '... and its data directory' "${mount_kvfs[@]}" "$data" "$work/app2"
is '... of the same daemon' \
    "$(curl -q -sS --unix-socket "$sock" http://localhost/v1/mounts | jq .pid)" "$daemon"
is '... by their names' "$(findmnt -no SOURCE "$app"; findmnt -no SOURCE "$work/app2")" \
    "$(lines "$sock" "$data")"
unmount "$app" "$work/app2" "$mnt"
ok 'umount is noticed' wait_for grep -q "'$mnt' was unmounted" "$log"
is '... and does not end it' "$(get key)" one

# -- The control directory -------------------------------------------------------------

ok 'mounting it again' "${mount_kvfs[@]}" "$data" "$mnt"
for file in stats config version revision clients; do
    ok "/.kv/$file can be read" test -e "$mnt/.kv/$file" -a -r "$mnt/.kv/$file"
    fails '... and not written' 'Permission denied|Read-only|not permitted' \
        bash -c 'echo 1 >"$1"' - "$mnt/.kv/$file"
done
is '... and says what it is about' \
    "$(cat "$mnt/.kv/version" "$mnt/.kv/revision" && grep -c '^keys ' "$mnt/.kv/stats")" \
    "$(lines "$("$kvfsd" --version | cut -d ' ' -f 2)" "$(revision)" 1)"
exec {held}<"$mnt/key"
like '... of who has what open' "$(cat "$mnt/.kv/clients")" "(^|
)$BASHPID r key"
exec {held}<&-
is 'it is in no listing' "$(ls -a "$mnt" | grep -c kv; find "$mnt" -name '.kv*')" 0
fails '... nothing can be made in it' 'Permission denied|not permitted|Read-only' \
    touch "$mnt/.kv/new"
fails '... nor taken out' 'Permission denied|not permitted|Read-only' \
    rm "$mnt/.kv/version"
stop_daemon

need_daemon --no-mount
mv "$data/kvfs.sock" "$work/hidden"
fails 'a daemon that cannot be asked is told of' 'has no Unix socket to be asked over' \
    "${mount_kvfs[@]}" "$data" "$mnt"
end_daemon TERM

# A helper that has just asked whether anybody has the data directory.
strace -qq -y -o "$work/trace" -e trace=flock,fcntl \
    -e "inject=flock:delay_exit=${deadline}s:when=2" \
    -e "inject=fcntl:delay_exit=${deadline}s" \
    /sbin/mount.kvfs "$data" "$app" -o "log=$log" &
tracer=$!
ok 'a helper looks whether there is a daemon' wait_for grep -q 'kvfs.lock>' "$work/trace"
start_daemon --no-mount
is '... which can start meanwhile' "$?" 0
pkill -KILL -P "$tracer"
kill -KILL "$tracer" # it would wait for the end of the delay
wait "$tracer" 2>/dev/null
end_daemon TERM

# -- Another user ----------------------------------------------------------------------

if [ -u "$(command -v mount)" ] && [ -u "$(command -v fusermount3)" ]; then
    mkdir -m 700 "$work/keys" "$work/mine"
    chown 65534:65534 "$work/keys" "$work/mine"
    echo "$work/keys $work/mine fuse.kvfs noauto,user,log=$work/keys/log 0 0" >"$work/fstab"
    mount --bind "$work/fstab" /etc/fstab
    ok 'a user mounts what fstab lets users mount' "${user[@]}" mount "$work/mine"
    ok '... writes' "${user[@]}" sh -c 'echo mine >"$1"' - "$work/mine/key"
    is '... and is who runs it' "$(stat -c %u "$work/keys/data.mdb")" 65534
    ok '... and unmounts it' wait_for "${user[@]}" umount "$work/mine"
    ok '... which ends it' wait_for is_free "$work/keys"
    umount /etc/fstab
else
    skip 'a user mounts what fstab lets users mount' 'mount or fusermount3 is not setuid'
fi

# -- The system's log ------------------------------------------------------------------

# Whoever listens at /dev/log, in a /dev of our own.
mkdir "$work/dev"
mount -t tmpfs -o mode=755 tmpfs "$work/dev"
for node in null zero urandom random tty fuse; do
    touch "$work/dev/$node" && mount --bind "/dev/$node" "$work/dev/$node"
done
ln -s /proc/self/fd "$work/dev/fd"
cat >"$work/syslog.py" <<'END'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print('bound', flush=True)
while True:
    print(s.recv(10000).decode(), flush=True)
END
background python3 "$work/syslog.py" "$work/dev/log" >"$work/syslog" 2>&1
wait_for grep -q bound "$work/syslog"
mount --rbind "$work/dev" /dev
"${mount_kvfs[@]}" "$data" "$mnt"
is 'without log= the system keeps the log' $? 0
ok '... with name, process and level' wait_for grep -qE \
    "^<29>.* kvfsd\[$(daemon_pid)\]: ready" "$work/syslog"
pid=$(daemon_pid)
unmount "$mnt"
ok '... to the end' wait_for grep -q 'no mount is left: stopping' "$work/syslog"
ok '... of the daemon' ended "$pid"

finish
