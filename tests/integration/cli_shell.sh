#!/usr/bin/env bash
# timeout: 180
# kv as a shell: scripts from a pipe, a prompt on a terminal with history, completion and
# Ctrl-C; and the completion of other shells.
# shellcheck disable=SC2154 # $status and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"
. "$(dirname "$0")/../lib/commands.sh"

need_daemon
set_ways
export KV_URL=$url HOME=$work LC_ALL=C.UTF-8

# script NAME STATUS TEXT LINE...: the lines as a script of $shell.
shell=("$kv" shell)
script()
{
    local name=$1 want=$2 text=$3 output got
    shift 3
    output=$(printf '%s\n' "$@" | "${shell[@]}" 2>&1)
    got=$?
    is "$name" "$got $output" "$want $text"
}

# -- Scripts ---------------------------------------------------------------------------

for name in "${ways[@]}"; do
    # shellcheck disable=SC2206 # two words each
    shell=(env -u KV_URL "$kv" ${way[$name]} shell)
    d=$name
    script "$name: a script runs" 0 "one
$d/a = one
$d/b = two words" "put $d/a one" "put $d/b 'two words'" '' '# a comment' \
        "get $d/a # the first" "get $d/a $d/b"
    script "$name: a line that fails is named, and the others run" 1 \
        "kv: line 1: '$d/none': there is no such key
one
kv: line 3: there is no command 'gte'
kv: hint: did you mean 'kv get'?" "get $d/none" "get $d/a" "gte $d/a"
    script "$name: quit ends it" 0 one "get $d/a" quit "get $d/b"
done
shell=("$kv")
script 'kv alone runs a script, too' 0 one 'get tcp/a'
script 'the first that fails decides' 2 "kv: line 1: a quote is not closed
kv: line 2: 'none': there is no such key" "put x 'y" 'get none'
script 'a value must be on the line' 2 \
    'kv: line 1: in a script the value stands on the line, or in an @FILE' 'put x'
script 'getall' 0 "mount/a = one
mount/b = two words
socket/a = one
socket/b = two words
tcp/a = one
tcp/b = two words" getall
script 'a command may name another way in' 0 one "--mount $mnt get tcp/a"
script '... for itself only' 3 "kv: line 1: cannot reach kvfsd at http://127.0.0.1:1: Connection refused
kv: hint: is kvfsd running? --url, --socket or --mount say where
one" '--url 127.0.0.1:1 get a' 'get tcp/a'
says 'no shell in a shell' 2 'kv: line 1: this is the shell' bash -c "echo shell | $kv"
says 'a shell of nothing: 2' 2 "kv: which command?
kv: hint: 'kv --help' lists them" "$kv"
script 'programs read what follows' 0 'rest of it' 'lock l head -n 1' 'rest of it'

# -- A terminal ------------------------------------------------------------------------

# at_terminal NAME COMMAND...: steps from stdin.
at_terminal()
{
    local name=$1
    shift
    ok "$name" python3 "$root/tests/lib/terminal.py" "$@"
}

"$kv" put app/host db1
"$kv" put app/hostname long
"$kv" put 'app/two words' x
"$kv" put 'ü/ö' uml

at_terminal 'a prompt' "$kv" shell <<END
see kv>
type put greeting 'hello world'\r
see kv>
type get greeting\r
see hello world
see kv>
type help\r
see Commands:
see quit
see kv>
type help put\r
see Usage: kv put
see kv>
type get nothing\r
see 'nothing': there is no such key
see kv>
type getall\r
see greeting = hello world
see kv>
type quit\r
end 0
END
is '... what it put is there' "$(get greeting)" 'hello world'
is 'the history is for its owner' "$(stat -c %a "$work/.kv_history")" 600

at_terminal 'Ctrl-D leaves' "$kv" <<END
see kv>
type get greeting\r
see hello world
see kv>
type \x04
end 0
END

at_terminal 'the history is kept, and the arrow goes back' "$kv" <<END
see kv>
type \e[A\r
see hello world
see kv>
type \x04
end 0
END

at_terminal 'Ctrl-Z stops it, and what was typed is there again when it goes on' bash --norc -i <<END
type $kv --url $url\r
see kv>
type get greet
see get greet
type \x1a
see Stopped
type stty -a | grep -o '[^-]icanon'\r
see icanon
type fg\r
see kv> get greet
type ing\r
see hello world
see kv>
type \x04
see bash-
type exit\r
end 0
END

at_terminal 'Ctrl-C leaves a line, and a watch, but not the shell' "$kv" <<END
see kv>
type get not this\x03
see kv>
type watch --dir w\r
until [ "\$(curl -sS $url/v1/status | jq .http.watches)" = 1 ]
do $kv --url $url put w/k 1
see w/k
type \x03
see kv>
type wait never\r
until [ "\$(curl -sS $url/v1/status | jq .http.watches)" = 1 ]
type \x03
see kv>
type get greeting\r
see hello world
see kv>
type \x04
end 0
END

at_terminal '... on a mount, too' env -u KV_URL "$kv" --mount "$mnt" <<END
see kv>
type watch --dir m\r
until grep -qs '^inotify wd' /proc/\$(pgrep -xf "$kv --mount $mnt")/fdinfo/*
do $kv --url $url put m/k 1
see m/k
type \x03
see kv>
type get greeting\r
see hello world
see kv>
type \x04
end 0
END

at_terminal 'Tab completes commands, keys and options' "$kv" <<END
see kv>
type sta\t\r
see revision
see kv>
type get ap\th\t\t
see app/host      app/hostname
type n\t\r
see long
see kv>
type get app/t\t\r
see x
see kv>
type get \u00fc\t\t\r
see uml
see kv>
type put --if-a\tnew made\r
see kv>
type get new\r
see made
see kv>
type put --if-a\tnew again\r
see it exists already
see kv>
type \x04
end 0
END

KV_HISTORY='' at_terminal 'no history when there shall be none' "$kv" <<END
see kv>
type get secret\r
see no such key
see kv>
type \x04
end 0
END
ok '... is in no file' test -z "$(grep -rls 'get secret' "$work"/.kv_history)"

at_terminal 'a daemon that comes back is found again' "$kv" <<END
see kv>
type --url 127.0.0.1:1 get greeting\r
see cannot reach kvfsd
see kv>
type get greeting\r
see hello world
see kv>
type \x04
end 0
END

# -- Completion of other shells --------------------------------------------------------

# completes LINE: what bash offers at the end of the line.
completes()
{
    PATH=$(dirname "$kv"):$PATH bash -c '
        eval "$(kv completion bash)"
        compopt() { :; } # there is no line editor here
        read -ra COMP_WORDS <<<"$1"
        [[ $1 != *" " ]] || COMP_WORDS+=("")
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
        _kv kv "${COMP_WORDS[COMP_CWORD]}"
        printf "%s\n" "${COMPREPLY[@]}"' bash "$1" | paste -sd' '
}

is 'bash completes commands' "$(completes 'kv sta')" status
is '... options of the command' "$(completes 'kv put --if')" '--if-absent --if-revision='
is '... and the common ones' "$(completes 'kv put --ur')" --url=
is '... keys' "$(completes 'kv get app/h')" 'app/host app/hostname'
is '... directories' "$(completes 'kv get ap')" app/
is '... after options' "$(completes 'kv -v get app/hostn')" app/hostname
# shellcheck disable=SC2016 # the key is called so
"$kv" put 'evil/$(touch pwned)`touch pwned`' x
# shellcheck disable=SC2016
is '... and expands nothing in them' "$(cd "$work" && completes 'kv get evil/')" \
    'evil/$(touch pwned)`touch pwned`'
ok '... nor runs it' test ! -e "$work/pwned"
is '... of the helped' "$(completes 'kv help mo')" mount
for name in bash zsh fish; do
    "$kv" completion "$name" >"$work/completion.$name"
    if [ "$name" = bash ] || command -v "$name" >/dev/null; then
        ok "what $name completes with is valid" "$name" -n "$work/completion.$name"
    else
        ok "what $name completes with names every command" \
            test "$(for c in $("$kv" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]\+\).*/\1/p'); do
                grep -q "$c" "$work/completion.$name" || echo "$c"; done)" = ''
    fi
done
says 'another shell: 2' 2 "kv: there is completion for bash, zsh and fish, not for 'csh'" \
    "$kv" completion csh

stop_daemon
finish
