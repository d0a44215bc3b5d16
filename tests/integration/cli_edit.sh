#!/usr/bin/env bash
# kv edit with editors that are scripts: what is stored, what is refused, and that no
# text is lost.
# shellcheck disable=SC2154 # $status and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"
. "$(dirname "$0")/../lib/commands.sh"

need_daemon
export KV_URL=$url
export TMPDIR=$work/tmp EDITOR=$work/editor
unset VISUAL
mkdir "$TMPDIR"

# editor COMMAND: what the editor does with the file "$1".
editor()
{
    printf '#!/bin/bash\n%s\n' "$1" >"$EDITOR" && chmod +x "$EDITOR"
}

# kept: the text of the file that the message names.
kept()
{
    cat "$(sed -n 's/.*your text is in \([^;]*\);.*/\1/p' <<<"$1")"
}

put app/config.ini 'a=1' >/dev/null
editor 'cat "$1" >"$1.seen"; cp "$1.seen" '"$work/seen"'; rm "$1.seen"; echo "${1##*/}" >'"$work/name"'
    stat -c %a "$1" "${1%/*}" | paste -sd" " >'"$work/modes"'; echo a=2 >"$1"'
says 'an edit is stored' 0 '' "$kv" edit app/config.ini
is '... the editor saw the value' "$(cat "$work/seen")" a=1
is '... under the name of the key' "$(cat "$work/name")" config.ini
like '... in a directory of its own' "$(cat "$work/modes")" ' 700$'
is '... without the newline that editors add' "$(get app/config.ini | xxd -p)" 613d32
is '... and leaves no file' "$(ls -A "$TMPDIR")" ''

editor 'true'
says 'nothing changed, nothing stored' 0 "kv: 'app/config.ini': not changed" "$kv" edit app/config.ini
is '... no new version' "$(version app/config.ini)" 2
editor 'echo new >"$1"'
says 'a new key' 0 '' "$kv" edit fresh
is '... is stored as it was written' "$(get fresh | xxd -p)" 6e65770a
editor 'true'
says 'a new key that stays empty is not made' 0 "kv: 'nothing': not changed" "$kv" edit nothing
is '... at all' "$(http HEAD /v1/keys/nothing)" 404

put fading 1 ttl=600s >/dev/null
editor 'echo 2 >"$1"'
"$kv" edit fading
ok 'a time to live goes on' test -n "$(key_header fading x-kv-expires)"

# Somebody else is faster.
editor 'curl -sS -X PUT -d theirs '"$url"'/v1/keys/app/config.ini >/dev/null; echo mine >"$1"'
output=$("$kv" edit app/config.ini 2>&1)
is 'a change of somebody else is not overwritten: 1' "$? $(get app/config.ini)" '1 theirs'
like '... which is told' "$output" "'app/config.ini': somebody else changed it meanwhile; nothing was stored"
is '... and the text is kept' "$(kept "$output")" mine
rm -r "${TMPDIR:?}"/*
editor 'curl -sS -X PUT -d theirs '"$url"'/v1/keys/race >/dev/null; echo mine >"$1"'
output=$("$kv" edit race 2>&1)
is 'nor one who makes the same new key' "$? $(get race)" '1 theirs'
is '... and the text is kept' "$(kept "$output")" mine
rm -r "${TMPDIR:?}"/*

editor 'echo draft >"$1"; exit 1'
output=$("$kv" edit app/config.ini 2>&1)
is 'an editor that fails stores nothing: 5' "$? $(get app/config.ini)" '5 theirs'
is '... and the text is kept' "$(kept "$output")" draft
rm -r "${TMPDIR:?}"/*
EDITOR=/none/such says 'an editor that is not there: 5' 5 ".*the editor '/none/such' ended with status 127.*" \
    "$kv" edit app/config.ini
is '... leaves no file' "$(ls -A "$TMPDIR")" ''
VISUAL="$work/visual --with" EDITOR=false
export VISUAL
printf '#!/bin/sh\necho "$1" >"$2"\n' >"$work/visual"
chmod +x "$work/visual"
"$kv" edit visual
is 'VISUAL wins, and may have options' "$(get visual)" --with

"$kv" --url "$url" put k 1
says 'an edit on a mount: 2' 2 "kv: 'kv edit' cannot be had on a mount
kv: hint: use --url or --socket" "$kv" --mount "$mnt" edit k
says 'an edit of a directory: 4' 4 "kv: 'app': the key is a directory
kv: hint: .*" "$kv" edit app

stop_daemon
finish
