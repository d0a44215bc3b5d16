#!/usr/bin/env bash
# timeout: 120
# What copies, packs and searches files cannot tell the mount from a disk: rsync twice (the
# second copies nothing, a third exactly what changed), cp -a, tar in and out, each compared
# by contents, modes, owners, times to the nanosecond, links and attributes; install -m, dd,
# truncation behind a log writer, find by age and emptiness, grep -r. A difference means that
# backups of the mount or restores into it lose something.
# shellcheck disable=SC2154 # $mnt and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

need_daemon
mkdir "$mnt/c"

# A tree with all that a key can be.
tree=$work/tree
mkdir -p "$tree/dir/deep/empty" "$tree/private"
chmod 2775 "$tree/dir/deep" && chmod 700 "$tree/private"
for i in {1..60}; do printf 'file %d\n%*s' "$i" $((i * 97)) x >"$tree/dir/file $i"; done
head -c 3000000 /dev/urandom >"$tree/dir/large"
: >"$tree/empty"
printf '#!/bin/sh\necho runs\n' >"$tree/run" && chmod 755 "$tree/run"
echo secret >"$tree/private/key" && chmod 400 "$tree/private/key"
chown 1234:2345 "$tree/private" "$tree/private/key"
ln -s ../run "$tree/dir/link" && ln -s nowhere "$tree/dangling"
chown -h 77:88 "$tree/dangling"
printf x >"$tree/näme with 'quotes' and "$'\n''newline'
setfattr -n user.colour -v green "$tree/run"
find "$tree" -type f -print0 | xargs -0 -n 10 touch -d '2020-02-03 04:05:06.123456789'
touch -h -d '2019-01-01 00:00:00.5' "$tree/dangling" "$tree/dir/link"
find "$tree" -depth -type d -exec touch -d '2021-06-07 08:09:10.987654321' {} +

# facts DIR: type, mode, owner, size, mtime, link target of all that is in it.
facts()
{
    (cd "$1" && find . \( -type d -printf 'd %m %U:%G %T@ %p\0' \) -o \
        -printf '%y %m %U:%G %s %T@ %l %p\0' | sort -z | tr '\0' '\n')
}

colour()
{
    getfattr --absolute-names --only-values -n user.colour "$1"
}

# same NAME DIR: it equals the tree in all of that.
same()
{
    ok "$1: contents" diff -r --no-dereference "$tree" "$2"
    is "$1: modes, owners, times, links" "$(diff <(facts "$tree") <(facts "$2"))" ''
}

# -- rsync --

ok 'rsync -aX into the mount' rsync -aX "$tree/" "$mnt/c/rsync/"
same 'rsync' "$mnt/c/rsync"
is 'rsync: attributes' "$(colour "$mnt/c/rsync/run")" green
before=$(revision)
is 'a second rsync copies nothing' "$(rsync -aXi --stats "$tree/" "$mnt/c/rsync/" |
    grep -E '^[^ ]{11} |files transferred')" 'Number of regular files transferred: 0'
is '... not by checksum either' "$(rsync -aXci "$tree/" "$mnt/c/rsync/")" ''
is '... and made no revision' "$(revision)" "$before"
printf changed >>"$tree/dir/file 7"
rm "$tree/dir/file 8"
chmod 640 "$tree/dir/file 9"
touch -d '2022-01-02 03:04:05.5' "$tree/dir" # rsync compares whole seconds
is 'a third does what changed' "$(rsync -aXi --delete "$tree/" "$mnt/c/rsync/" | sort)" \
    "$(lines '*deleting   dir/file 8' '.d..t...... dir/' '.f...p..... dir/file 9' \
        '>f.st...... dir/file 7' | sort)"
same 'rsync --delete' "$mnt/c/rsync"
printf more >>"$tree/dir/large"
ok 'rsync --inplace' rsync -aX --inplace --no-whole-file "$tree/" "$mnt/c/rsync/"
same 'rsync --inplace' "$mnt/c/rsync"
ok 'rsync out of the mount' rsync -aX "$mnt/c/rsync/" "$work/back/"
same 'rsync out' "$work/back"

# -- cp and tar --

ok 'cp -a into the mount' cp -a "$tree" "$mnt/c/cp"
same 'cp -a' "$mnt/c/cp"
ok 'cp -a within it' cp -a "$mnt/c/cp" "$mnt/c/cp2"
same 'cp -a within' "$mnt/c/cp2"
is 'cp -a: attributes' "$(colour "$mnt/c/cp2/run")" green
before=$(revision)
ok 'cp -au' cp -au "$tree/." "$mnt/c/cp"
printf newer >>"$tree/empty"
ok 'cp -au of a newer file' cp -au "$tree/." "$mnt/c/cp"
is '... copies it' "$(cat "$mnt/c/cp/empty")" newer
ok 'tar in' tar -C "$tree" -cf "$work/in.tar" .
mkdir "$mnt/c/tar"
ok '... unpacked' tar -C "$mnt/c/tar" -xpf "$work/in.tar" --same-owner
ok 'tar -d finds no difference' tar -C "$mnt/c/tar" -df "$work/in.tar"
ok 'tar czf within the mount' tar -C "$mnt/c" -czf "$mnt/c/out.tgz" tar
mkdir "$work/out"
ok '... unpacked outside' tar -C "$work/out" -xpzf "$mnt/c/out.tgz"
ok 'tar out: contents' diff -r --no-dereference "$tree" "$work/out/tar"
is 'a program runs from there' "$("$mnt/c/tar/run")" runs
is 'cmp over a large key' "$(cmp "$tree/dir/large" "$mnt/c/tar/dir/large" && echo same)" same
ok 'mv from another filesystem' mv "$work/out/tar" "$mnt/c/moved"
is '... leaves nothing there' "$(ls -A "$work/out")" ''
ok '... loses nothing' diff -r --no-dereference "$tree" "$mnt/c/moved"

# -- install, dd, copytruncate --

cd "$mnt/c" || exit 1
install -m 4750 -o 12 -g 34 "$tree/run" installed
is 'install -m -o -g' "$(stat -c '%a %u:%g' installed)" '4750 12:34'
install -D -m 600 /dev/stdin home/.ssh/authorized_keys <<<'ssh-ed25519 AAAA me'
is 'install -D -m from stdin' \
    "$(stat -c %a home/.ssh/authorized_keys) $(get c/home/.ssh/authorized_keys)" \
    '600 ssh-ed25519 AAAA me'
install -m 644 "$tree/run" installed
is 'install over it' "$(stat -c '%a %u:%g' installed)" '644 0:0'

printf 0123456789 >bytes
printf XY | dd of=bytes bs=1 seek=4 conv=notrunc status=none
is 'dd conv=notrunc changes in place' "$(get c/bytes)" 0123XY6789
printf Z | dd of=bytes oflag=append conv=notrunc status=none
is 'dd oflag=append' "$(get c/bytes)" 0123XY6789Z
printf end | dd of=bytes bs=1 seek=13 conv=notrunc,fsync status=none
is 'dd past the end fills with zeros' "$(od -An -c bytes | tr -d ' \n')" '0123XY6789Z\0\0end'
dd if="$tree/dir/large" of=direct oflag=direct bs=64K iflag=fullblock status=none
is 'dd oflag=direct' "$(cmp direct "$tree/dir/large" && echo same)" same
dd if=direct of="$work/direct" iflag=direct bs=4096 status=none
is 'dd iflag=direct' "$(cmp "$work/direct" "$tree/dir/large" && echo same)" same
is 'dd skip count' "$(dd if=bytes bs=1 skip=4 count=2 status=none)" XY
rm direct

# What logrotate calls copytruncate, beside a writer that keeps the log open.
exec 8>>log
/bin/echo one >&8
sync log
cp log log.1 && truncate -s 0 log
/bin/echo two >&8
exec 8>&-
is 'copytruncate: the copy has the old lines, the log the new' "$(cat log.1 log)" \
    "$(lines one two)"

# -- find, grep --

mkdir f && cd f || exit 1
touch -d '2001-01-01' old && : >empty && echo text >recent && mkdir -p sub/none
put c/f/sub/http 'needle over HTTP
' >/dev/null
is 'find -newer' "$(find . -type f -newer old | sort | paste -sd' ')" \
    './empty ./recent ./sub/http'
is 'find -empty' "$(find . -empty | sort | paste -sd' ')" './empty ./old ./sub/none'
is 'find -mtime -size -perm' "$(find . -mtime -1 -size -2 -perm 644 -name 'r*')" ./recent
is 'grep -r' "$(grep -r needle .)" './sub/http:needle over HTTP'
is 'grep -rL' "$(grep -rL e . | sort | paste -sd' ')" './empty ./old'
is 'find | xargs sort' "$(find . -type f -print0 | xargs -0 cat | sort | head -1)" \
    'needle over HTTP'
ok 'find -delete' find . -mindepth 1 -delete
is '... removes all' "$(ls -A) $(curl -sS "$url/v1/keys?dir=c/f" | jq '.keys | length')" ' 0'

cd "$work" || exit 1
stop_daemon
finish
