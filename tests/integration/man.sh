#!/usr/bin/env bash
# timeout: 300
# The manual pages say what the help pages say: the same commands, usages, options and
# defaults, no more and no less. And they can be read.
# shellcheck disable=SC2154 # $build and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

pages=$build/docs/man

# page NAME: as it is read on a terminal of 80 columns. What man complains of is in
# $work/NAME.said.
page()
{
    [ -e "$work/$1" ] || MANWIDTH=80 MANROFFOPT='' man --warnings=w --nh --nj -E UTF-8 -P cat \
        -l "$pages/$1" 2>"$work/$1.said" | sed 's/\x1b\[[0-9;]*m//g' | col -bx >"$work/$1"
    cat "$work/$1"
}

# section TITLE: of the page on stdin.
section()
{
    awk -v title="$1" '/^[^ ]/ { on = $0 == title; next } on'
}

# subsection TITLE: of the page on stdin.
subsection()
{
    awk -v title="   $1" '/^ ? ? ?[^ ]/ { on = $0 == title; next } on'
}

# terms: the options that the text on stdin defines, "-l, --long" or "--dir DIR".
terms()
{
    sed -nE 's/^ {7}((-[a-z], )?--[a-z].*)$/\1/p' | LC_ALL=C sort
}

# The same of a help page: "  -l, --long  ...", "      --dir DIR   ...".
help_terms()
{
    sed -nE 's/^ {2,6}((-[a-z], )?--[a-z][-a-z]*( [^ ]+)?)(  .*|$)/\1/p' | LC_ALL=C sort
}

# The second half of a help page, or the first.
common_options()
{
    sed -n '/^Options of every command:/,/^$/p'
}

own_options()
{
    sed '/^Options of every command:/,$d' | sed -n '/^Options:/,$p'
}

# -- They can be read ------------------------------------------------------------------

for file in "$root"/docs/man/*.scd; do
    name=$(basename "$file" .scd)
    ok "$name: is built" test -s "$pages/$name"
    is "$name: 80 columns" "$(page "$name" | awk 'length > 80')" ''
    is "$name: man has nothing to complain of" "$(cat "$work/$name.said")" ''
    # scdoc ends and begins paragraphs more often than need be, which nobody sees.
    is "$name: mandoc neither" "$(mandoc -T lint -W warning "$pages/$name" 2>&1 |
        grep -v 'skipping paragraph macro')" ''
done

# What pages refer to is there, or is a page of the system.
ours=$(sed -n '/^man_pages/,/^}/p' "$root/docs/man/meson.build" | grep -oE "'[^']+'" | tr -d "'")
for name in $(cat "$root"/docs/man/*.scd | grep -oE '\*(kv[a-z-]*|kvfs\.conf|mount\.[a-z.]+)\*\([1-8]\)' |
    tr -d '*)' | tr '(' . | sort -u); do
    ok "$name, which is referred to, is a page" grep -qxF "$name" <<<"$ours"
done

# -- kv --------------------------------------------------------------------------------

commands=$("$kv" --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]\+\).*/\1/p')
kv_page=$(page kv.1)
is 'kv: its options' "$(section OPTIONS <<<"$kv_page" | terms)" \
    "$("$kv" --help | common_options | help_terms)"
is 'kv: its commands' "$(section COMMANDS <<<"$kv_page" | grep -E '^ {7}[a-z]' |
    tr -d ' ' | tr , '\n' | sort)" "$(sort <<<"$commands")"
is 'kv: its exit statuses' \
    "$(section 'EXIT STATUS' <<<"$kv_page" | sed -nE 's/^ {7}([0-9]).*/\1/p' | paste -sd' ')" \
    "$("$kv" --help | sed -n '/^Exit status:/,$s/^  \([0-9]\) .*/\1/p' | paste -sd' ')"

# Every command is told of in one page, under its name, and has a page of its name.
for command in $commands; do
    file=$(grep -lx "## kv $command" "$root"/docs/man/*.scd)
    is "kv $command: is in one page" "$(wc -l <<<"$file")" 1
    text=$(page "$(basename "$file" .scd)")
    ok "kv $command: has a page of its name" grep -qxF "kv-$command.1" <<<"$ours"
    ok "kv $command: which names it" grep -qE "kv-${command}[, ]" <(section NAME <<<"$text")
    [ "$command" = help ] && continue # has no options
    usage=$("$kv" help "$command" | sed -n 's/^Usage: //p')
    ok "kv $command: its usage" grep -qxF "       $usage" <(section SYNOPSIS <<<"$text")
    is "kv $command: its options" "$(subsection "kv $command" <<<"$text" | terms)" \
        "$("$kv" help "$command" | own_options | help_terms)"
done

# -- kvfsd -----------------------------------------------------------------------------

# In its help page the letter comes behind: "  --verbose, -v".
help=$("$kvfsd" --help)
daemon_options=$(sed -nE 's/^  (--[^ ]+( [^ ]+)?)(  .*|$)/\1/p' <<<"$help" |
    sed -E 's/^(--[a-z]+), (-[a-z]).*/\2, \1/')
text=$(page kvfsd.8 | section OPTIONS)
is 'kvfsd: its options' "$(terms <<<"$text")" "$(LC_ALL=C sort <<<"$daemon_options")"

# default_of NAME: what kvfsd's help says that it is.
default_of()
{
    awk -v name="--$1" '/^  --/ { on = $1 == name } on' <<<"$help" | paste -sd' ' | tr -s ' ' |
        sed -nE 's/.*\(default ([^)]*)\).*/\1/p'
}

# told_default TERM TEXT: what the page says below the term.
told_default()
{
    awk -v term="$1" 'match($0, /[^ ]/) && RSTART <= 8 { on = $1 == term } on' <<<"$2" |
        paste -sd' ' | tr -s ' ' | sed -nE 's/.*Default: ([^ ]*)\..*/\1/p'
}

settings=$(page kvfs.conf.5 | section SETTINGS)
names=$(sed -nE 's/.*--([a-z-]+).*/\1/p' <<<"$daemon_options")
for name in $names; do
    default=$(default_of "$name")
    [ -n "$default" ] || continue
    [ "$name" = owner ] && continue # that of who runs it
    is "kvfsd --$name: its default" "$(told_default "--$name" "$text")" "$default"
    is "kvfs.conf: the default of $name" "$(told_default "$name" "$settings")" "$default"
done

# -- kvfs.conf -------------------------------------------------------------------------

# in_file NAME: whether a file may hold it. No value may be empty, so kvfsd says what it
# thinks of the name.
in_file()
{
    echo "$1 =" >"$work/conf"
    [[ ! $("$kvfsd" --config "$work/conf" 2>&1) =~ unknown\ name|for\ the\ command\ line\ only ]]
}

told=$(sed -nE 's/^ {7}([a-z][-a-z]*)$/\1/p' <<<"$settings")
is 'kvfs.conf: no setting twice' "$(sort <<<"$told" | uniq -d)" ''
for name in $told; do
    ok "kvfs.conf: kvfsd knows $name" in_file "$name"
done
for name in $names; do
    in_file "$name" || continue
    ok "kvfs.conf: tells of $name" grep -qx "$name" <<<"$told"
done

# The example of the page is one that kvfsd takes.
page kvfs.conf.5 | section EXAMPLES | sed 's/^ *//; /^mount/d' >"$work/conf"
start_kvfsd --config "$work/conf" --data "$data" --socket "$sock" --listen 127.0.0.1:0
is 'kvfs.conf: the example' "$?" 0
stop_daemon

# -- mount.kvfs ------------------------------------------------------------------------

# Options that the page tells of are known, and need a value as it says.
mount_page=$(page mount.kvfs.8)
mkdir "$work/source" "$work/target"
ln -s "$kvfsd" "$work/mount.kvfs"
declare -A sample=([subdir]==app [uid]==0 [gid]==0 [umask]==022 [fsname]==name
    [log]==/tmp/log [config]==/tmp/conf [listen]==none [socket]==/tmp/sock)
known=$({ section OPTIONS && section 'OPTIONS OF THE KVFSD THAT IS STARTED' <<<"$mount_page"; } \
    <<<"$mount_page" | grep -E '^ {7}[a-z_]+(=[A-Z:]+)?(, [a-z_]+(=[A-Z:]+)?)*$' | tr -d ' ' | tr , '\n' | sed 's/=.*//')
is 'mount.kvfs: the page has options' "$(wc -w <<<"$known")" 17
for option in $known; do
    ok "mount.kvfs: knows $option" "$work/mount.kvfs" "$work/source" "$work/target" -f \
        -o "$option${sample[$option]:-}"
done
fails 'mount.kvfs: and not others' "nosuch" "$work/mount.kvfs" "$work/source" "$work/target" -f \
    -o nosuch
finish
