#!/usr/bin/env bash
# An ordinary user runs the daemon: fusermount3 mounts and unmounts.
. "$(dirname "$0")/../lib/functions.sh"

user=(setpriv --reuid 65534 --regid 65534 --clear-groups)

[ -u "$(command -v fusermount3)" ] || skip_all 'fusermount3 is not setuid'
if ! "${user[@]}" test -w /dev/fuse; then
    # A machine without udev, where only root may open the device. Give this test a
    # name space of its own in which it is as it is elsewhere.
    [ -z "${KV_OWN_DEVICE:-}" ] || skip_all '/dev/fuse cannot be opened to all'
    trap - EXIT
    rm -rf "$work"
    exec unshare --mount bash -c '
        mount -t tmpfs -o mode=755,dev tmpfs /mnt && mknod -m 666 /mnt/fuse c 10 229 &&
        chmod 666 /mnt/fuse && mount --bind /mnt/fuse /dev/fuse && KV_OWN_DEVICE=1 exec "$0"' "$0"
fi

# What the user needs to reach: the program, and a directory of its own.
"${user[@]}" test -x "$kvfsd" || {
    mkdir "$work/bin"
    cp "$kvfsd" "$work/bin/"
    kvfsd=$work/bin/kvfsd
}
mkdir "$work/home"
chown 65534:65534 "$work/home"
data=$work/home/data mnt=$work/home/mnt sock=$work/home/sock
"${user[@]}" mkdir "$mnt"
launcher=("${user[@]}")

need_daemon
ok 'the user mounts' mounted
ok 'the user writes' "${user[@]}" sh -c 'echo mine >"$1"' - "$mnt/key"
is 'the user reads' "$("${user[@]}" cat "$mnt/key")" mine
is 'the key belongs to the user' "$("${user[@]}" stat -c %u "$mnt/key")" 65534
is 'HTTP sees it' "$(get key)" mine
put other 1 >/dev/null
is 'keys made over HTTP belong to the user, too' \
    "$("${user[@]}" stat -c %u "$mnt/other")" 65534
if ! "${user[@]}" cp -p "$mnt/key" "$mnt/copy"; then fail 'cp -p'; else pass 'cp -p'; fi

# inotify for remote changes: the notifier acts as the user, and modes apply to it.
"${user[@]}" chmod 400 "$mnt/key"
watcher=("${user[@]}")
record "$mnt"
put key 2 >/dev/null
recorded_now
like 'the user hears of a PUT to a key without write permission' "$record" 'MODIFY key'
put new 1 >/dev/null
recorded_now
like '... of a new key' "$record" 'CREATE new'
delete new >/dev/null
recorded_now
like '... of a DELETE' "$record" 'DELETE new'

# Where the user may not unlink, the notifier may not, and the kernel keeps the name.
"${user[@]}" mkdir "$mnt/fixed"
put fixed/held 1 >/dev/null
background "${user[@]}" tail -f "$mnt/fixed/held" >"$work/held"
holder=$!
wait_for grep -q 1 "$work/held"
"${user[@]}" chmod 555 "$mnt/fixed"
delete fixed/held >/dev/null
recorded_now
fails 'a DELETE in a directory without write permission is seen although the file is open' \
    'No such file' "${user[@]}" stat "$mnt/fixed/held"
kill "$holder"
stop_recording

stop_daemon 'the user stops it: exit 0, unmounted'

need_daemon
kill_daemon
ok 'kill -9 leaves a stale mount' mounted
need_daemon
is 'the next start clears it' "$("${user[@]}" cat "$mnt/key")" 2
stop_daemon
finish
