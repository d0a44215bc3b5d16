#!/usr/bin/env bash
# timeout: 180
# The life of a mount - start, stop, what stands in the way - and the everyday tools in it.
. "$(dirname "$0")/../lib/functions.sh"

# refused NAME PATTERN OPTION...: the daemon does not start, exits 1 and says why.
refused()
{
    local name=$1 pattern=$2
    shift 2
    : >"$work/refused.log"
    timeout "$deadline" "$kvfsd" --listen 127.0.0.1:0 "$@" 2>"$work/refused.log" </dev/null
    is "$name: exit status 1" $? 1
    like "$name: the reason" "$(<"$work/refused.log")" "$pattern"
}

# -- Stopping --

need_daemon
ok 'the mount is there when the daemon is ready' mounted
echo kept >"$mnt/key"
stop_daemon 'SIGTERM: exit 0, unmounted'
need_daemon
is 'the key is there after a restart' "$(cat "$mnt/key")" kept
ok 'the root of the mount can be given away' sh -c "chmod 1770 '$mnt' && chown 12:34 '$mnt'"
touch -d '2001-02-03 04:05:06 UTC' "$mnt"
setfattr -n user.place -v root "$mnt"
stop_daemon
need_daemon
is '... for good' "$(stat -c %a:%u:%g:%Y "$mnt") $(getfattr --absolute-names --only-values -n user.place "$mnt" 2>&1)" \
    '1770:12:34:981173106 root'
chmod 755 "$mnt"
chown 0:0 "$mnt"
end_daemon INT
is 'SIGINT: exit 0' "$status" 0
is '... unmounted' "$(mounted; echo $?)" 1

need_daemon
kill_daemon
ok 'kill -9 leaves a stale mount' mounted
fails '... which nobody can use' 'not connected|Transport' ls "$mnt"
need_daemon
is 'the next start clears it' "$(cat "$mnt/key")" kept

# -- What stands in the way --

refused 'a second daemon on the same data' "in use by another kvfsd" --data "$data"
is '... and the first goes on' "$(cat "$mnt/key")" kept
mkdir "$work/full" "$work/data2"
touch "$work/full/file" "$work/file"
refused 'a mount point that is not empty' "'$work/full' is not an empty directory" \
    --data "$work/data2" --mount "$work/full"
is '... is left alone' "$(ls "$work/full")" file
refused 'a mount point that is a file' "'$work/file' is not a directory" \
    --data "$work/data2" --mount "$work/file"
refused 'a mount point that does not exist' "'$work/none' does not exist" \
    --data "$work/data2" --mount "$work/none"
refused 'data below a directory that does not exist' 'none' --data "$work/none/data"
refused 'a mount point that another daemon has' 'not an empty directory|mounted' \
    --data "$work/data2" --mount "$mnt"
refused 'an address that is taken' 'in use' --data "$work/data2" --listen "127.0.0.1:$port"
timeout "$deadline" "$kvfsd" --no-such-option 2>"$work/refused.log"
is 'an unknown option: exit status 2' $? 2
like '... and its name' "$(<"$work/refused.log")" no-such-option

# -- Stopping while the mount is in use --

mkdir "$mnt/dir"
exec 7<"$mnt/key" 8>"$mnt/unfinished"
printf 'open at the end' >&8
coproc SITTER { cd "$mnt/dir" && echo sitting && exec cat; }
sitter=$SITTER_PID
IFS= read -r _ <&"${SITTER[0]}"
stop_daemon 'it stops while files are open and a process sits in the mount'
fails 'what is open gives errors from then on' 'rror|not connected|aborted|device' cat <&7
exec 7<&- 8>&-
kill "$sitter"
wait "$sitter" 2>/dev/null
need_daemon
is 'what was written before the end is there' "$(cat "$mnt/unfinished")" 'open at the end'

umount "$mnt"
unmounted_logged()
{
    grep -q 'was unmounted' "$log"
}
ok 'umount by hand is noticed' wait_for unmounted_logged
is '... HTTP goes on' "$(get key)" kept
stop_daemon '... and the daemon stops cleanly'
need_daemon --listen none --no-mount
is 'only a socket: no mount' "$(mounted; echo $?)" 1
is '... serves' "$(curl -sS --unix-socket "$sock" http://localhost/v1/keys/key)" kept
stop_daemon

# -- The everyday tools --

need_daemon
cd "$mnt" || exit 1
mkdir -p tools/sub
echo one >tools/a
is 'ls' "$(ls tools)" "$(lines a sub)"
is 'ls -A shows no control directory' "$(ls -A | grep -c '^\.kv$')" 0
ok '... which is there by name' grep -q . .kv/version
like '... with the configuration' "$(cat .kv/config)" "data = $data"
is 'stat: size, type, links, mode' "$(stat -c '%s %F %h %a' tools/a)" '4 regular file 1 644'
is 'stat of a directory' "$(stat -c '%F %a' tools/sub)" 'directory 755'
mv tools/a tools/b
is 'mv' "$(cat tools/b) $(http GET /v1/keys/tools/a)" 'one 404'
echo two >tools/c
mv tools/b tools/c
is 'mv over a key' "$(cat tools/c) $(ls tools | wc -l)" 'one 2'
mv tools/c tools/sub/d
is 'mv into a directory' "$(get tools/sub/d)" one
mv tools/sub tools/moved
is 'mv of a directory' "$(get tools/moved/d) $(ls tools)" 'one moved'
fails 'mv of a directory into itself' 'itself|Invalid' mv tools tools/moved/x
inode=$(stat -c %i tools/moved/d)
mv tools/moved/d tools/d
echo more >>tools/d
is 'the inode number survives mv and writing' "$(stat -c %i tools/d)" "$inode"
rm tools/d
is 'rm' "$(http GET /v1/keys/tools/d)" 404
rmdir tools/moved
is 'rmdir' "$(ls -A tools)" ''
put tools/x 1 >/dev/null
fails 'rmdir of a directory with keys' 'not empty' rmdir tools
fails 'cd into a key' 'Not a directory' ls tools/x/y
fails 'writing onto a directory' 'directory' cp "$work/file" -T tools
rm -r tools
is 'rm -r' "$(http GET '/v1/keys?dir=tools')" 404

echo x >perm
chmod 600 perm
is 'chmod' "$(stat -c %a perm)" 600
chown 1234:2345 perm
is 'chown' "$(stat -c %u:%g perm)" 1234:2345
touch -d '2001-02-03 04:05:06.789 UTC' perm
is 'touch -d' "$(stat -c %Y perm)" 981173106
is '... is what HTTP says' "$(key_header perm last-modified)" 'Sat, 03 Feb 2001 04:05:06 GMT'
fails 'an unprivileged user may not read it' 'denied' \
    setpriv --reuid 65534 --regid 65534 --clear-groups cat perm
ln -s perm link
is 'ln -s' "$(readlink link) $(cat link)" 'perm x'
fails 'ln: no hard links' 'not permitted' ln perm hard
fails 'mkfifo' 'not permitted' mkfifo fifo
fails 'mknod' 'not permitted' mknod device c 1 3
ok 'df' df .
like '... knows a size' "$(df --output=size,avail . | tail -1)" '[1-9][0-9]* +[1-9]'
is 'find' "$(find . -name 'p*')" ./perm
is 'du' "$(du -s --apparent-size . >/dev/null; echo $?)" 0

setfattr -n user.colour -v green perm
is 'setfattr, getfattr' "$(getfattr --only-values -n user.colour perm)" green
setfattr -x user.colour perm
fails 'setfattr -x' 'No such attribute' getfattr -n user.colour perm
is 'user.kv.version' "$(getfattr --only-values -n user.kv.version perm)" "$(version perm)"
is 'user.kv.revision' "\"$(getfattr --only-values -n user.kv.revision perm)\"" \
    "$(key_header perm etag)"
fails '... is read-only' 'denied|not permitted|not supported|Read-only' \
    setfattr -n user.kv.version -v 7 perm

printf 'a\nb\n' >edit
sed -i 's/a/c/' edit
is 'sed -i' "$(get edit)" "$(lines c b)"
editor=$(command -v vim || command -v vim.tiny)
ok 'vim' "$editor" -u NONE -i NONE -n -es -c '%s/b/d/' -c 'wq' edit
is '... saves' "$(get edit)" "$(lines c d)"
mkdir "$work/tree"
(cd "$work/tree" && mkdir -p p/q && echo 1 >p/one && echo 2 >p/q/two && chmod 640 p/one &&
    ln -s p/one l)
ok 'cp -a' cp -a "$work/tree" copied
ok '... copies all' diff -r "$work/tree" copied
is '... with modes' "$(stat -c %a copied/p/one)" 640
ok 'tar' tar xf <(cd "$work" && tar cf - tree) # into the mount
ok '... unpacks all' diff -r "$work/tree" tree
if command -v rsync >/dev/null; then
    ok 'rsync -a' rsync -a "$work/tree/" synced/
    ok '... copies all' diff -r "$work/tree" synced
    is '... and finds nothing more to do' "$(rsync -ai "$work/tree/" synced/)" ''
else
    skip 'rsync' 'it is not installed'
fi
git_commit()
{
    mkdir repo && cd repo && git init -q . && echo text >file && git add file &&
        git -c user.name=n -c user.email=e@example.org commit -qm first &&
        git fsck --strict && [ "$(git show HEAD:file)" = text ] && [ -z "$(git status -s)" ]
}
ok 'git init, add, commit, fsck' git_commit
for ((i = 0; i < 2000; i++)); do : >"$work/tree/n$i"; done
cp -r "$work/tree" many
is 'a directory of 2000 keys lists each once' "$(ls many | sort | uniq -c | wc -l)" 2002
is '... and the same over HTTP' \
    "$(curl -sS "$url/v1/keys?dir=many&delimiter=/&limit=10000" | jq '.keys | length')" 2001
rm -r many
cd "$work" || exit 1

stop_daemon
finish
