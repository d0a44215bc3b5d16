#!/usr/bin/env bash
# timeout: 180
# Disks that fail and disks that are full. The faults are injected into the system calls
# of the real daemon (tests/lib/fault.c); the full disk is a real, small one.
. "$(dirname "$0")/../lib/functions.sh"

fault=$work/fault
asan_later=verify_asan_link_order=0${ASAN_OPTIONS:+:$ASAN_OPTIONS}
failing_disk=(env "LD_PRELOAD=$testlib/libfault.so" "KVFS_FAULT=$fault"
    "ASAN_OPTIONS=$asan_later")

write_error()
{
    python3 - "$1" <<'END'
import errno, os, sys
try:
    fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(fd, b"x" * 1000)
    os.close(fd)
    print("none")
except OSError as error:
    print(errno.errorcode[error.errno])
END
}

# -- EIO: the store becomes read-only, and stays so until it is opened anew --

for kind in sync write; do
    launcher=("${failing_disk[@]}")
    need_daemon
    put safe "before $kind" >/dev/null
    is "$kind: healthy at first" "$(http GET /healthz)" 200
    echo "$kind EIO" >"$fault"
    like "$kind error: the first PUT fails" "$(put lost 1)" '^50[03]$'
    is '... and the next ones say why' "$(put lost 2)" 503
    is '... with the code read_only' "$(error_code)" read_only
    is 'DELETE too' "$(delete safe)" 503
    is 'a write on the mount gives EROFS' "$(write_error "$mnt/lost")" EROFS
    fails 'the shell hears of it' 'Read-only file system' bash -c 'echo x >"$1"' - "$mnt/safe"
    fails 'rm too' 'Read-only file system' rm "$mnt/safe"
    fails 'mkdir too' 'Read-only file system' mkdir "$mnt/dir"
    is '/healthz is red' "$(http GET /healthz)" 503
    is 'reads go on over HTTP' "$(get safe)" "before $kind"
    is '... and on the mount' "$(cat "$mnt/safe")" "before $kind"
    ok '... and listings' ls -l "$mnt"
    rm "$fault"
    is 'a disk that works again changes nothing' "$(put lost 3)" 503
    stop_daemon 'it stops cleanly all the same'
    launcher=()
    need_daemon
    is 'a restart recovers' "$(http GET /healthz)" 200
    is '... what was acknowledged is there' "$(get safe)" "before $kind"
    like '... and writes work' "$(put "after-$kind" 1)" 201
    stop_daemon
done

# An error that a writer on the mount meets first: close tells.
launcher=("${failing_disk[@]}")
need_daemon
echo 'sync EIO' >"$fault"
like 'the first writer on the mount hears of it at close' "$(write_error "$mnt/first")" \
    '^(EIO|EROFS)$'
is '... and /healthz is red' "$(http GET /healthz)" 503
rm "$fault"
stop_daemon
rm -rf "$data"

# -- ENOSPC that passes by itself --

need_daemon
put safe 1 >/dev/null
echo 'write ENOSPC' >"$fault"
is 'ENOSPC from the disk is 507' "$(put full 1)" 507
is '... with the code no_space' "$(error_code)" no_space
is '... and ENOSPC on the mount' "$(write_error "$mnt/full")" ENOSPC
is 'reads go on' "$(get safe)" 1
rm "$fault"
like 'when there is room again writes work' "$(put full 1)" '20[01]'
is '... also on the mount' "$(write_error "$mnt/full")" none
is '... and the daemon is healthy' "$(http GET /healthz)" 200
stop_daemon
launcher=()
rm -rf "$data"

# fill: PUT values until one is refused; its status in $refused, how many fit in $fitted.
fill()
{
    fitted=0
    while refused=$(put_file "fill/$fitted" "$work/value") && [ "$refused" = 201 ]; do
        fitted=$((fitted + 1))
        [ "$fitted" -lt 2000 ] || break
    done
}

# full_and_back: what holds for a full disk and a full store alike.
full_and_back()
{
    is "$1 is full: 507" "$refused" 507
    is '... with the code no_space' "$(error_code)" no_space
    ok "... after some values fitted ($fitted)" test "$fitted" -gt 3
    fails 'cp on the mount says so' 'No space left' cp "$work/value" "$mnt/fill/more"
    [ ! -s "$mnt/fill/more" ]
    is '... and stores no part of it' $? 0
    is 'reads go on' "$(get fill/0 | md5sum)" "$(md5sum <"$work/value")"
    rm -f "$mnt/fill/more"
    is 'DELETE works' "$(delete fill/0)" 204
    is 'rm works' "$(rm "$mnt/fill/1" "$mnt/fill/2"; echo $?)" 0
    like 'deleting made room: PUT works' "$(put_file fill/again "$work/value")" '20[01]'
    is '... with the value' "$(get fill/again | md5sum)" "$(md5sum <"$work/value")"
    ok '... and cp' cp "$work/value" "$mnt/fill/cp"
    is 'the daemon is healthy' "$(http GET /healthz)" 200
}

# -- --max-store-size --

head -c 100000 /dev/urandom >"$work/value"
need_daemon --max-store-size 4M --log-size 256K
fill
full_and_back 'the store'
stop_daemon
need_daemon --max-store-size 4M --log-size 256K
is 'after a restart all is there' "$(get fill/again | md5sum)" "$(md5sum <"$work/value")"
stop_daemon
rm -rf "$data"

# With the default log, which could take all of the store for itself.
need_daemon --max-store-size 4M
fill
full_and_back 'the store with a large log'
stop_daemon
rm -rf "$data"

# -- A small disk --

mkdir "$work/small"
mount -t tmpfs -o size=8m,mode=755 tmpfs "$work/small"
data=$work/small/data
need_daemon --log-size 256K
fill
full_and_back 'the disk'
stop_daemon
rm -rf "$data"

# Somebody else fills the disk, and makes room again.
head -c 6M /dev/zero >"$work/small/ballast"
need_daemon --log-size 256K
fill
is 'a disk that others filled: 507' "$refused" 507
rm "$work/small/ballast"
is 'when they make room, PUT works' "$(put_file fill/again "$work/value")" 201
is '... and nothing is latched' "$(http GET /healthz)" 200
stop_daemon
rm -rf "$data" "$work/small/ballast"

# A sync that fails is not taken for a full disk, although the disk is full.
launcher=("${failing_disk[@]}")
need_daemon
put safe 1 >/dev/null
put gone 1 >/dev/null
fallocate -l "$(($(stat -f -c '%a * %S' "$work/small") - 500000))" "$work/small/ballast"
echo 'sync EIO' >"$fault"
like 'a failed sync on a full disk: DELETE fails' "$(delete gone)" '^50[03]$'
is '... the store is latched' "$(http GET /healthz)" 503
rm "$fault" "$work/small/ballast"
is '... and stays so' "$(delete gone)" 503
stop_daemon
launcher=()
umount "$work/small"
finish
