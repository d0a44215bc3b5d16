#!/usr/bin/env bash
# timeout: 240
# A stranger's test: stress-ng's filesystem stressors, which verify what they get. Each for
# itself first, so that a failure has a name; then many at once while HTTP changes keys.
# Nothing may be left behind in the end. Left out are those that need hard links or more
# than one value can hold.
# shellcheck disable=SC2154 # $mnt and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

need_daemon

# stress WHAT OPTION...
stress()
{
    local what=$1
    shift
    if (cd "$mnt" && stress-ng "$@" --verify --temp-path "$mnt") >"$work/stress" 2>&1; then
        pass "$what"
    else
        fail "$what" "$(grep -v 'info:' "$work/stress" | head -n 20)"
    fi
}

for name in access chdir chmod chown dentry dir dirdeep dirmany dnotify dup fallocate fanotify \
    fcntl fiemap file-ioctl filename flock fpunch fsize fstat getdent handle inode-flags \
    aiol inotify lease locka lockf lockofd mknod open rename symlink touch utime xattr; do
    stress "$name" "--$name" 2 --timeout 1
done
for name in hdd iomix readahead revio sync-file; do
    stress "$name" "--$name" 2 "--$name-bytes" 1M --timeout 1
done

mkdir "$mnt/http"
churn()
{
    local i=0
    while [ ! -e "$work/enough" ]; do
        [ "$(put "http/$i" "$i")$(rename_key "http/$i" http/moved)$(delete http/moved)" = \
            201200204 ] || return 1
        i=$((i + 1))
    done
}
churn &
churner=$!
stress 'many at once while HTTP changes keys' --dentry 2 --dir 2 --rename 3 --symlink 1 --open 1 \
    --utime 1 --touch 2 --xattr 1 --chmod 1 --flock 1 --lockf 1 --inotify 2 --fanotify 1 \
    --getdent 2 --fstat 2 --filename 1 --hdd 1 --hdd-bytes 1M --iomix 1 --iomix-bytes 1M \
    --timeout "$(quick_or 5 15)"
: >"$work/enough"
wait "$churner"
is '... and HTTP was answered as ever' $? 0
rm -r "$mnt/http"
is 'nothing is left' "$(ls -A "$mnt")" ''
nothing_open()
{
    grep -qx 'mount_open_handles *0' "$mnt/.kv/stats"
}
ok '... and nothing open' wait_for nothing_open
stop_daemon
finish
