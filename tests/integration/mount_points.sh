#!/usr/bin/env bash
# timeout: 120
# Mount points that others have to do with: taken ones, directories on another FUSE
# filesystem, and what is mounted over a mount, beside it or in its place.
# shellcheck disable=SC2154 # $status and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

# mounts_at DIR: types of what is mounted there, the lowest first.
mounts_at()
{
    awk -v dir="$1" '$2 == dir { print $3 }' /proc/self/mounts
}

# another OPTION...: a second kvfsd, on a store of its own, which must not start.
another()
{
    timeout "$deadline" "$kvfsd" --data "$work/data2" --listen none "$@"
}

# -- Taken, or not ---------------------------------------------------------------------

need_daemon
is 'df names the data directory' "$(df --output=source "$mnt" | tail -n 1)" "$data"
fails 'a mount point that another kvfsd has: it is said whose it is' \
    "mount point '$mnt' is taken: fuse.kvfs of '$data' is mounted there" \
    another --mount "$mnt"
echo 1 >"$mnt/key"
fails '... also when there are keys in it' "is taken: fuse.kvfs of '$data'" \
    another --mount "$mnt"
mkdir "$mnt/full" "$mnt/full/dir" "$mnt/empty"
fails 'a directory with something in it, on a FUSE filesystem, is not empty' \
    "'$mnt/full' is not an empty directory" another --mount "$mnt/full"
first=$daemon first_drain=$drain
start_kvfsd --data "$work/data2" --listen none --mount "$mnt/empty"
is 'an empty one can be mounted on' "$?" 0
echo 2 >"$mnt/empty/key"
is '... and is a mount like any other' "$(mounts_at "$mnt/empty"; cat "$mnt/empty/key")" \
    "$(lines fuse.kvfs 2)"
end_daemon TERM
is '... which goes as it came' "$status $(ls -A "$mnt/empty")" '0 '
daemon=$first drain=$first_drain
stop_daemon

# -- Mounted over ----------------------------------------------------------------------

need_daemon
echo 3 >"$mnt/key"
mount -t tmpfs over "$mnt"
mount -t tmpfs over "$mnt"
touch "$mnt/other"
end_daemon TERM
is 'something mounted over the mount does not keep the daemon from ending' "$status" 0
is '... and goes with the mount' "$(mounts_at "$mnt")" ''
ok '... which is said' grep -q "unmounted what had been mounted over '$mnt'" "$log"

parent=$work/parent
mkdir -p "$parent/mnt"
start_daemon --mount "$parent/mnt"
mount -t tmpfs over "$parent"
end_daemon TERM
is 'nor does something mounted over its parent' "$status" 0
is '... which stays' "$(mounts_at "$parent")" tmpfs
ok '... so the mount does too, which is said' \
    grep -q "'$parent/mnt' stays mounted: something hides it" "$log"
umount "$parent"
start_daemon --mount "$parent/mnt"
mount -t tmpfs over "$parent"
mkdir "$parent/mnt"
mount -t tmpfs unrelated "$parent/mnt"
end_daemon TERM
is '... and what is mounted in there at the same path stays, too' \
    "$status $(mounts_at "$parent/mnt" | paste -sd ' ')" '0 fuse.kvfs tmpfs'
umount "$parent/mnt" "$parent"
start_daemon --mount "$parent/mnt"
is '... and the next start clears it' "$? $(cat "$parent/mnt/key")" '0 3'
end_daemon TERM
is '... for good' "$(mounts_at "$parent/mnt")" ''

# -- In its place ----------------------------------------------------------------------

need_daemon
umount "$mnt"
mount -t tmpfs instead "$mnt"
ok 'umount from outside is noticed' wait_for grep -q "'$mnt' was unmounted" "$log"
end_daemon TERM
is 'what was mounted in the place of the mount is left alone' "$(mounts_at "$mnt")" tmpfs
umount "$mnt"

need_daemon
exec {inside}<"$mnt"
umount -l "$mnt"
mount -t tmpfs instead "$mnt"
end_daemon TERM
is '... also when somebody is inside the old one still' "$status $(mounts_at "$mnt")" '0 tmpfs'
exec {inside}<&-
umount "$mnt"

# -- Without root ----------------------------------------------------------------------

need_daemon --allow-other
kill_daemon
user=(setpriv --reuid 65534 --regid 65534 --clear-groups)
"${user[@]}" test -x "$kvfsd" || {
    install -D "$kvfsd" "$work/bin/kvfsd"
    kvfsd=$work/bin/kvfsd
}
mkdir "$work/home"
chown 65534:65534 "$work/home"
output=$("${user[@]}" timeout "$deadline" "$kvfsd" --data "$work/home/data" --listen none \
    --mount "$mnt" 2>&1)
like 'where fusermount3 refuses to clear a mount, it is shown what it says' "$output" \
    'kvfsd: .*fusermount3: '
umount "$mnt"

finish
