#!/usr/bin/env bash
# timeout: 240
# The same table of commands and answers on all three ways in (TCP, Unix socket, mount):
# several keys at once, formats, files as values, trees, counting. What a mount cannot do
# says so.
# shellcheck disable=SC2154 # $status and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"
. "$(dirname "$0")/../lib/commands.sh"

need_daemon
set_ways

for name in "${ways[@]}"; do
    # shellcheck disable=SC2206 # two words each
    kvw=("$kv" ${way[$name]})
    d=$name

    # Values: from arguments, files and stdin.
    printf 'a\0b\n\xff\r\n' >"$work/binary"
    says "$name: put of a file" 0 '' "${kvw[@]}" put "$d/file" "@$work/binary"
    ok '... stores its bytes' cmp <("${kvw[@]}" get "$d/file") "$work/binary"
    printf piped | "${kvw[@]}" put "$d/in" @-
    says "$name: put @- takes stdin" 0 piped "${kvw[@]}" get "$d/in"
    "${kvw[@]}" put "$d/at" @@home
    says "$name: @@ stands for one @" 0 @home "${kvw[@]}" get "$d/at"
    says "$name: put of no such file: 5" 5 "kv: cannot open '$work/none': No such file or directory
kv: hint: '@@$work/none' stores the text '@$work/none' itself" \
        "${kvw[@]}" put "$d/at" "@$work/none"
    says '... stores nothing' 0 @home "${kvw[@]}" get "$d/at"
    "${kvw[@]}" append "$d/at" "@$work/binary"
    ok "$name: append of a file" cmp <("${kvw[@]}" get "$d/at") <(printf @home; cat "$work/binary")

    # Several keys.
    "${kvw[@]}" put "$d/m/a" 1
    "${kvw[@]}" put "$d/m/b" $'two\nlines\n'
    "${kvw[@]}" put "$d/m/sub/c" ''
    "${kvw[@]}" put "$d/mm" near
    says "$name: get of several keys" 0 "$d/m/b = two\\nlines\\n
$d/m/a = 1" "${kvw[@]}" get "$d/m/b" "$d/m/a"
    says "$name: get --dir" 0 "$d/m/a = 1
$d/m/b = two\\nlines\\n
$d/m/sub/c = " "${kvw[@]}" get --dir "$d/m/"
    says "$name: get --prefix" 0 "$d/m/a = 1
$d/m/b = two\\nlines\\n
$d/m/sub/c = 
$d/mm = near" "${kvw[@]}" get --prefix "$d/m"
    says "$name: get -o value: each on a line of its own" 0 $'1\ntwo\nlines\n\nnear' \
        "${kvw[@]}" get -o value --prefix "$d/m"
    is "$name: get --raw: the bytes alone" "$("${kvw[@]}" get --raw --prefix "$d/m" | xxd -p)" \
        "$(printf '1two\nlines\nnear' | xxd -p)"
    is "$name: get -o json: an object a line" \
        "$("${kvw[@]}" get -o json "$d/m/a" "$d/m/sub/c" | jq -c '[.key, .value, .size, .version]')" \
        "$(lines "[\"$d/m/a\",\"1\",1,1]" "[\"$d/m/sub/c\",\"\",0,1]")"
    says "$name: get -o table" 0 "$(lines '      SIZE VERSION REVISION KEY = VALUE' \
        "         1       1 $(printf %8d "$(key_header "$d/m/a" etag | tr -d '"')") $d/m/a = 1")" \
        "${kvw[@]}" get -o table "$d/m/a"
    says "$name: one of several is missing: 1, and the others are shown" 1 \
        "$d/m/a = 1
kv: '$d/none': there is no such key
$d/mm = near" "${kvw[@]}" get "$d/m/a" "$d/none" "$d/mm"
    says "$name: get --dir of none: 1" 1 "kv: '$d/none': there is no such directory" \
        "${kvw[@]}" get --dir "$d/none"
    says "$name: get --prefix of none is no error" 0 '' "${kvw[@]}" get --prefix "$d/none"
    says "$name: get without a key: 2" 2 "kv: 'kv get' needs a key
kv: hint: kv get KEY..., or --dir=DIR, or --prefix=TEXT" "${kvw[@]}" get
    head -c 1500000 /dev/zero | "${kvw[@]}" put "$d/large/one"
    is "$name: get --dir shows large values too" \
        "$("${kvw[@]}" get --raw --dir "$d/large" | wc -c)" 1500000
    "${kvw[@]}" rm -r "$d/large"

    "$kv" --url "$url" put --ttl 1h "$d/m/ends" soon
    for how in "$d/m/ends" "--prefix $d/m/ends"; do
        # shellcheck disable=SC2086 # one or two words
        is "$name: get -o json $how tells how long it lives" \
            "$("${kvw[@]}" get -o json $how | jq '.ttl > 3000 and .ttl <= 3600')" true
    done
    is "$name: ... and nothing of one that stays" \
        "$("${kvw[@]}" get -o json "$d/m/a" | jq 'has("ttl")')" false
    "${kvw[@]}" rm "$d/m/ends"

    # Trees.
    mkdir "$mnt/$d/m/empty"
    says "$name: ls --tree" 0 "$d/m/
├── a
├── b
├── empty/
└── sub/
    └── c" "${kvw[@]}" ls --tree "$d/m"
    says "$name: ls --tree with something below" 0 "$d/
├── at
├── file
├── in
├── m/
│   ├── a
│   ├── b
│   ├── empty/
│   └── sub/
│       └── c
└── mm" "${kvw[@]}" ls --tree "$d"
    says "$name: ls --tree of none: 1" 1 "kv: '$d/none': there is no such directory" \
        "${kvw[@]}" ls --tree "$d/none"

    # Counting and conditions: HTTP only.
    if [ "$name" = mount ]; then
        no="cannot be had on a mount
kv: hint: use --url or --socket"
        says "$name: incr says that it cannot: 2" 2 "kv: 'kv incr' $no" "${kvw[@]}" incr "$d/n"
        says "$name: --ttl says that it cannot: 2" 2 \
            "kv: --ttl, --if-absent and --if-revision $no" "${kvw[@]}" put --ttl 1s "$d/n" 1
        says '... and nothing was made' 1 "kv: '$d/n': there is no such key" \
            "${kvw[@]}" get "$d/n"
    else
        says "$name: incr makes a key" 0 1 "${kvw[@]}" incr "$d/n"
        says "$name: incr --by" 0 43 "${kvw[@]}" incr --by 42 "$d/n"
        says "$name: incr down" 0 -7 "${kvw[@]}" incr --by -50 "$d/n"
        is "$name: incr -o json" "$("${kvw[@]}" incr -o json "$d/n" | jq -c '[.key, .value, .version]')" \
            "[\"$d/n\",\"-6\",4]"
        says "$name: incr of what is no number: 4" 4 \
            "kv: '$d/mm': .*number.*" "${kvw[@]}" incr "$d/mm"
        says "$name: incr by what is no number: 2" 2 \
            "kv: --by must be a whole number of 64 bits, not '1x'" "${kvw[@]}" incr --by 1x "$d/n"
        says "$name: incr by too much: 2" 2 \
            "kv: --by must be a whole number of 64 bits, not '9223372036854775808'" \
            "${kvw[@]}" incr --by 9223372036854775808 "$d/n"
        says "$name: put --if-absent of a key that is there: 1" 1 \
            "kv: '$d/n': .*
kv: hint: it exists already.*" "${kvw[@]}" put --if-absent "$d/n" 5
        says '... changes nothing' 0 -6 "${kvw[@]}" get "$d/n"
    fi
done

is 'getall shows every key' "$("$kv" --url "$url" getall | grep -ac '/m[/m].* = ')" 12
like 'get to a terminal ends the line' \
    "$(script -qec "$kv --url $url get tcp/mm" /dev/null </dev/null | xxd -p)" '^6e6561720d0a$'
like '... but not with --raw' \
    "$(script -qec "$kv --url $url get --raw tcp/mm" /dev/null </dev/null | xxd -p)" '^6e656172$'


# on_terminal [NAME=VALUE]... COMMAND...: what it writes to a terminal.
on_terminal()
{
    env TERM=xterm "${@:1:$#-1}" script -qec "${*: -1}" /dev/null </dev/null
}
blue=$'\e[1;34m' plain=$'\e[0m'
like 'directories are coloured on a terminal' "$(on_terminal "$kv --url $url ls mount")" \
    "${blue//[/\\[}mount/m${plain//[/\\[}/"
for setting in NO_COLOR=1 TERM=dumb; do
    is "... not with $setting" "$(on_terminal "$setting" "$kv --url $url ls mount" | grep -c $'\e')" 0
done
is '... nor in a pipe' "$(TERM=xterm "$kv" --url "$url" ls mount | grep -c $'\e')" 0

# Every word that other tools use leads somewhere.
for word in set del list rename subscribe dump info inc expire ttl exists perf; do
    like "did you mean, for $word" "$("$kv" --url "$url" "$word" 2>&1)" "did you mean 'kv [a-z -]+'"
done

stop_daemon
finish
