#!/usr/bin/env bash
# timeout: 300
# What calls on files and directories answer, assertion by assertion: tests/conformance on the
# mount, on a tmpfs and on ext4, side by side. The assertions say what ext4 answers. Where
# another one differs, tests/conformance/differences has to say so and why; a
# difference of the mount that it lists and that is none any more fails as well. Then
# random operations against a model of one file.
. "$(dirname "$0")/../lib/functions.sh"

suite=$build/tests/conformance/conform
list=$root/tests/conformance/differences

# run_on NAME DIR: TAP in $work/NAME.tap; its failures, sorted, in $work/NAME.failed.
run_on()
{
    mkdir "$2" && chmod 755 "$2" || return 1
    # Its cases end where they are, in processes of their own: no leaks of the daemon's.
    ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0 "$suite" "$2" >"$work/$1.tap"
    [ $? -le 1 ] || return 1
    sed -n 's/^not ok [0-9]* - //p' "$work/$1.tap" | sort -u >"$work/$1.failed"
    tail -n 1 "$work/$1.tap" | grep -q '^1\.\.[0-9]'
}

# listed NAME: the assertions that the list lets NAME fail.
listed()
{
    awk -F '\t' -v fs="$1" '$1 == fs { print $2 }' "$list" | sort
}

# what NAME ASSERTION: what came instead, as a comment.
what()
{
    grep -xF -A 1 "$(grep -F -- " - $2" "$work/$1.tap" | grep -m 1 '^not ok')" "$work/$1.tap" |
        sed -n '2s/^# //p'
}

# compare NAME: one case for each difference that is not listed, and one for all others.
compare()
{
    local assertion unlisted=0
    while IFS= read -r assertion; do
        unlisted=$((unlisted + 1))
        fail "$1: $assertion" "$(what "$1" "$assertion")"
    done < <(comm -23 "$work/$1.failed" <(listed "$1"))
    [ "$unlisted" != 0 ] ||
        pass "$1: $(grep -c '^ok' "$work/$1.tap") assertions hold, $(wc -l <"$work/$1.failed") differ as listed"
}

# -- The list itself --

is 'each line of the list has three fields' \
    "$(awk -F '\t' '!/^#/ && NF && (NF != 3 || $1 !~ /^(mount|tmpfs)$/)' "$list")" ''
while IFS= read -r reason; do
    grep -qF -- "$reason" "$root/docs/fuse.md" ||
        fail "docs/fuse.md has the reason '$reason'"
done < <(awk -F '\t' '$1 == "mount" { print $3 }' "$list" | sort -u)

# -- Side by side --

mkdir "$work/tmpfs" "$work/ext4"
mount -t tmpfs -o mode=755 none "$work/tmpfs" || exit 1
ok 'the suite runs on a tmpfs' run_on tmpfs "$work/tmpfs/dir"
# An older kernel may know more differences than this one, or fewer.
compare tmpfs

truncate -s 256M "$work/image" && mkfs.ext4 -q -b 4096 "$work/image"
if mount -o loop "$work/image" "$work/ext4" 2>"$work/mount.log"; then
    ok 'the suite runs on ext4' run_on ext4 "$work/ext4/dir"
    compare ext4
else
    skip 'the suite runs on ext4' "no loop device: $(cat "$work/mount.log")"
fi

need_daemon --allow-other
ok 'the suite runs on the mount' run_on mount "$mnt/dir"
# An assertion that fails may keep those that build on it from being made.
cases()
{
    sed -nE 's/^(not )?ok [0-9]* - ([^:]*):.*/\2/p' "$work/$1.tap" | sort -u
}
is '... with every case that runs on a tmpfs' "$(cases mount)" "$(cases tmpfs)"
compare mount
is 'every listed difference is still one' \
    "$(comm -13 "$work/mount.failed" <(listed mount))" ''
is 'nothing is left in the store' "$(ls -A "$mnt/dir")" ''

# -- Random operations against a model --

for seed in 1 2 3 4; do
    ok "random operations of seed $seed agree with the model" \
        "$build/tests/conformance/random_ops" --seed "$seed" \
        --operations "$(quick_or 1000 5000)" "$mnt/random"
done
ok 'and on a tmpfs they do' "$build/tests/conformance/random_ops" --operations 5000 \
    "$work/tmpfs/random"

stop_daemon
finish
