#!/usr/bin/env bash
# timeout: 240
# What keys were, and copies of the whole store: kv history, diff, get --rev; export,
# import, backup and restore.
# shellcheck disable=SC2154 # $status and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"
. "$(dirname "$0")/../lib/commands.sh"

need_daemon
export KV_URL=$url

# -- History ---------------------------------------------------------------------------

"$kv" put h/key one               # revision 1
"$kv" put h/key $'two\nlines'     # 2
"$kv" put other x                 # 3
"$kv" mv h/key h/moved            # 4
"$kv" append h/moved '\n and more' # 5
"$kv" rm h/moved                  # 6
"$kv" put h/moved again           # 7
time='20[0-9-]{8}T[0-9:]{8}Z'
like 'history: the newest first' "$("$kv" history h/moved)" \
    "^       7      1  $time  http    put   
       6      3  $time  http    delete
       5      3  $time  http    put   
       4      2  $time  http    rename h/key -> h/moved\$"
like 'history --values' "$("$kv" history --values --limit 1 h/moved)" '  put    = again$'
is 'history --limit' "$("$kv" history --limit 2 h/moved | wc -l)" 2
is 'history -o json: one object a line' \
    "$("$kv" history -o json --values h/moved | jq -rc '[.revision, .type, .value]' | paste -sd' ')" \
    '[7,"put","again"] [6,"delete",null] [5,"put","two\nlines\\n and more"] [4,"rename",null]'
says 'history of nothing: 1' 1 "kv: 'none': nothing is known of such a key since revision 1" \
    "$kv" history none
says 'history --limit 0: 2' 2 "kv: --limit must be a number from 1 on, not '0'" \
    "$kv" history --limit 0 x
head -c 2000000 /dev/zero >"$work/zeros"
"$kv" put large "@$work/zeros"
like 'history says when a value was left out' "$("$kv" history --values large)" \
    'put    \(value of 2000000 bytes left out\)$'
for i in {1..120}; do echo "$i" >"$mnt/many"; done
is 'a history longer than a page is whole' \
    "$("$kv" history --values many | sed 's/.*= //; s/\\n//' | head -n 120 | paste -sd,)" \
    "$(seq 120 -1 1 | paste -sd,)"

says 'get --rev' 0 one "$kv" get --rev 1 h/key
says '... between two changes' 0 $'two\nlines' "$kv" get --rev 3 h/key
says '... after it was renamed' 1 "kv: 'h/key': there was no such key at revision 4" \
    "$kv" get --rev 4 h/key
says '... under the new name' 0 $'two\nlines' "$kv" get --rev 4 h/moved
says '... under the new name, before it had it' 1 \
    "kv: 'h/moved': there was no such key at revision 3" "$kv" get --rev 3 h/moved
says '... after it was removed' 1 "kv: 'h/moved': there was no such key at revision 6" \
    "$kv" get --rev 6 h/moved
says '... as it is' 0 again "$kv" get --rev "$(revision)" h/moved
future="kv: revision 1000 lies in the future; the newest is $(revision)"
says '... as it will be: 4' 4 "$future" "$kv" get --rev 1000 h/moved
says 'diff with what will be: 4' 4 "$future" "$kv" diff h/moved 1 1000
says '... of several keys' 0 'h/key = two\nlines
other = x' "$kv" get --rev 3 h/key other
says 'get --rev 0: 2' 2 "kv: --rev must be a number from 1 on, not '0'" "$kv" get --rev 0 x
says 'get --rev on a mount: 2' 2 "kv: --rev cannot be had on a mount
kv: hint: use --url or --socket" "$kv" --mount "$mnt" get --rev 1 h/moved

says 'diff: 1 when they differ' 1 '--- revision 1
\+\+\+ revision 2
@@ -1 \+1,2 @@
-one
.*\+two
\+lines
.*' "$kv" diff h/key 1 2
says 'diff: 0 when they do not' 0 '' "$kv" diff h/key 2 3
says 'diff with what is now' 1 '--- revision 5
\+\+\+ now
.*\+again
.*' "$kv" diff h/moved 5
says 'diff with nothing' 1 '--- revision 5
\+\+\+ revision 6 \(absent\)
.*' "$kv" diff h/moved 5 6
says 'diff of nothing: 1' 1 "kv: 'none': there was no such key at revision 2" "$kv" diff none 1 2
says 'diff of no number: 2' 2 "kv: a revision is a number from 1 on, not 'x'" "$kv" diff h/key x
says 'diff of a key that is gone with now' 1 '.*\+\+\+ now \(absent\).*' "$kv" diff h/key 1

# -- Export and import -----------------------------------------------------------------

printf 'a\0b\n\xff\r\n' >"$work/binary"
"$kv" put e/binary "@$work/binary"
"$kv" put e/sub/key value
mkdir "$mnt/e/empty"
chmod 640 "$mnt/e/sub/key"
"$kv" export "$work/all" 2>"$work/err"
is 'export to a file: no progress but on a terminal' "$?$(cat "$work/err")" 0
"$kv" export >"$work/all2"
ok 'export to stdout is the same' cmp "$work/all" "$work/all2"
is 'export --dir' "$("$kv" export --dir e/ | jq -r .key | paste -sd' ')" \
    'e e/binary e/empty e/sub e/sub/key'
says 'export of no such directory: 1' 1 "kv: 'none': there is no such directory" \
    "$kv" export --dir none
says 'export to a file that cannot be: 5' 5 "kv: cannot make '/none/x': No such file or directory" \
    "$kv" export /none/x
like 'progress on a terminal' \
    "$(script -qec "$kv --url $url export $work/all3" /dev/null </dev/null)" 'export [0-9.]+ [KM]?i?B'
"$kv" rm -r e
like 'import from a file' "$("$kv" import "$work/all")" '^[0-9]+ keys, [0-9]+ director(y|ies), revision [0-9]+$'
ok '... brings back bytes' cmp <("$kv" get e/binary) "$work/binary"
is '... modes' "$(stat -c %a "$mnt/e/sub/key")" 640
ok '... and empty directories' test -d "$mnt/e/empty"
"$kv" rm -r e
# shellcheck disable=SC2002 # a pipe, not a file
is 'import from a pipe' "$(cat "$work/all" | "$kv" import -o json | jq .lines_done)" \
    "$(wc -l <"$work/all")"
is '... brings back the same' "$("$kv" get e/sub/key)" value
printf '{"key":"i/a","value":"1"}\n{"key":"i/a/b","value":"2"}\n{"key":"i/c","value":"3"}\n' >"$work/bad"
says 'a line that is refused: 4, and how to go on' 4 \
    "kv: line 2: a part of the path is a key, not a directory
kv: hint: the 1 before it is stored; 'kv import --skip=1' goes on behind" "$kv" import "$work/bad"
is '... what is before it is stored' "$("$kv" get i/a)" 1
sed -i 's,i/a/b,i/b,' "$work/bad"
says '... and --skip goes on' 0 '2 keys, 0 directories, revision .*' "$kv" import --skip 1 "$work/bad"
is '... with the rest' "$("$kv" get i/b i/c | paste -sd' ')" 'i/b = 2 i/c = 3'
echo x >"$work/bad"
says 'a first line that is wrong has no way to go on' 4 'kv: line 1: not a JSON value in UTF-8' \
    "$kv" import "$work/bad"
says 'import of no such file: 5' 5 "kv: cannot open '$work/none': No such file or directory" \
    "$kv" import "$work/none"

# -- Backup and restore ----------------------------------------------------------------

says 'backup says nothing' 0 '' "$kv" backup "$work/backup"
is '... is for its owner only' "$(stat -c %a "$work/backup")" 600
"$kv" backup - >"$work/backup2"
ok 'backup to stdout' test -s "$work/backup2"
says 'restore makes a directory' 0 '' "$kv" restore "$work/backup" "$work/restored"
says 'restore does not overwrite: 4' 4 "kv: there is a store in '$work/restored'
kv: hint: --force replaces it; all that is in it will be gone" \
    "$kv" restore "$work/backup" "$work/restored"
says '... but with --force' 0 '' "$kv" restore --force "$work/backup2" "$work/restored"
says 'never below a daemon: 4' 4 "kv: kvfsd runs on '$data'
kv: hint: stop it, or restore to another directory" "$kv" restore --force "$work/backup" "$data"
says 'an export is no backup: 4' 4 "kv: '$work/all' is no backup of a store
kv: hint: 'kv import' reads what 'kv export' wrote" "$kv" restore "$work/all" "$work/restored2"
ok '... and nothing is made' test ! -e "$work/restored2"
says 'no such backup: 5' 5 "kv: cannot open '$work/none': No such file or directory" \
    "$kv" restore "$work/none" "$work/restored2"
want=$("$kv" export | sha256sum)
echo kept >"$work/kept"
stop_daemon
says 'a daemon that is away leaves the old file: 3' 3 'kv: cannot reach kvfsd.*' \
    "$kv" backup "$work/kept"
is '... as it was' "$(cat "$work/kept")" kept
ok '... and no other' test -z "$(find "$work" -name 'kept.*')"
need_daemon --listen "127.0.0.1:$port" --data "$work/restored"
is 'a restored store has everything' "$("$kv" export | sha256sum)" "$want"
says '... history, too' 0 one "$kv" get --rev 1 h/key

stop_daemon
finish
