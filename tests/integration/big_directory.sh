#!/usr/bin/env bash
# timeout: 180
# Directories of 10,000 names and more: ls, find, telldir; right also while names come and
# go on the mount and over HTTP; and what so many files cost in memory, until the kernel
# forgets them. See tests/lib/listing.c.
. "$(dirname "$0")/../lib/functions.sh"

count=10000
rounds=$(quick_or 10 20)
listing=$testlib/listing
need_daemon --sync off
mkdir "$mnt/d"
make()
{
    python3 - "$mnt/d" "$1" <<'END'
import os, sys
for i in range(int(sys.argv[2])):
    os.close(os.open(f"{sys.argv[1]}/s{i}", os.O_WRONLY | os.O_CREAT))
END
}

# -- At rest ---------------------------------------------------------------------------

ok "$count files are made" make "$count"
names=$(seq -f 's%.0f' 0 $((count - 1)) | sort)
is 'ls -f lists each once' "$(ls -f "$mnt/d" | grep -v '^\.' | sort)" "$names"
is 'ls -l, too' "$(ls -l "$mnt/d" | awk 'NF > 8 { print $9 }' | sort)" "$names"
is 'find, with types and inode numbers that stat confirms' \
    "$(find "$mnt/d" -type f -printf '%f %i\n' | sort | md5sum)" \
    "$(cd "$mnt/d" && stat -c '%n %i' s* | sort | md5sum)"
is 'HTTP lists the same' \
    "$(curl -sS "$url/v1/keys?dir=d&limit=$count" | jq -r '.keys[].key' | sed 's,^d/,,' | sort)" \
    "$names"
ok 'telldir and seekdir find their way back, in any handle' "$listing" seek "$mnt/d" "$count" 3

# -- While names come and go -----------------------------------------------------------

background "$listing" churn "$mnt/d" "$url" d >"$work/churn" 2>&1
churn=$!
background "$listing" check "$mnt/d" "$count" 1000000 >"$work/beside" 2>&1
beside=$!
ok "$rounds listings miss no name that stays, and have none twice" \
    "$listing" check "$mnt/d" "$count" "$rounds"
ok '... telldir and seekdir, too' "$listing" seek "$mnt/d" "$count" $((rounds / 10))
ok 'what HTTP has acknowledged is listed, or not any more' \
    "$listing" follow "$mnt/d" "$url" d $((rounds * 2))
mkdir "$mnt/few"
ok '... in a small directory, which the kernel keeps' \
    "$listing" follow "$mnt/few" "$url" few $((rounds * 20))
is 'the changes went on all the time' "$(kill -0 "$churn" && cat "$work/churn")" ''
is '... and so did another who lists' "$(kill -0 "$beside" && cat "$work/beside")" ''
kill "$churn" "$beside"
wait_pid "$churn" 2>/dev/null
wait_pid "$beside" 2>/dev/null
is 'in the end the mount lists what the store holds' \
    "$(ls "$mnt/d" | sort | md5sum)" \
    "$("$kv" --url "$url" ls d | sed 's,.*/,,' | sort | md5sum)"
stop_daemon

# -- What files that the kernel knows cost ---------------------------------------------

memory()
{
    awk '/^RssAnon/ { print $2 }' "/proc/$daemon/status"
}
inodes()
{
    curl -sS "$url/metrics" | sed -n 's/^kvfs_mount_inodes{.*} //p'
}
forgotten()
{
    [ "$(inodes)" -lt 10 ]
}

count=50000
need_daemon --sync off --no-mount
"$build/tests/bench/load" "$port" PUT 16 "$count" 10 "$count" sequential >/dev/null
stop_daemon
need_daemon --cache-size 1M
before=$(memory)
is "the kernel comes to know $count files" "$(find "$mnt/bench" -type f -size -2 | wc -l)" "$count"
ok '... which the metrics say' test "$(inodes)" -gt "$count"
with=$(memory)
each=$(((with - before) * 1024 / count))
if [ "$sanitize" != none ]; then
    skip 'what they cost' "$sanitize sanitizer"
else
    ok "each costs $each bytes, not 512" test "$each" -lt 512
fi
if ! echo 2 2>/dev/null >/proc/sys/vm/drop_caches; then
    skip 'the kernel forgets them' 'not allowed to drop caches'
else
    ok 'the kernel forgets them' wait_for forgotten
    left=$(($(memory) - before))
    if [ "$sanitize" != none ]; then
        skip '... and the memory comes back' "$sanitize sanitizer"
    else
        ok "... and the memory comes back ($left of $((with - before)) KiB are left)" \
            test "$left" -lt $(((with - before) / 3))
    fi
fi
stop_daemon
finish
