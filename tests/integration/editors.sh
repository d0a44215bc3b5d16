#!/usr/bin/env bash
# timeout: 120
# Editors on the mount, as people have them: vim with its default settings on a terminal (a
# swap file beside the key, a second vim that is warned by it, recovery after vim was
# killed, each way to make backups), nano on a terminal, ed, sed -i and perl -i. Each must
# save what was typed, whole, leave mode and owner alone and nothing else behind.
# shellcheck disable=SC2154 # $mnt and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

need_daemon
export HOME=$work/home
mkdir "$HOME" "$mnt/e"
cd "$mnt/e" || exit 1

# at_terminal NAME COMMAND...: the steps on stdin succeed (see tests/lib/terminal.py).
at_terminal()
{
    ok "$1" python3 "$root/tests/lib/terminal.py" "${@:2}"
}

# -- vim --

printf 'one\ntwo\n' >text
chmod 640 text
chown 1234:2345 text
record "$mnt/e"
at_terminal 'vim: a line is added and saved' vim text <<'END'
see two
do test -e .text.swp
type Gothree\e
do ! grep -q three text
type :w\r
see written
type dd:q!\r
end
END
is '... and is in the store' "$(get e/text)" "$(lines one two three)"
is '... mode and owner stay' "$(stat -c '%a %u:%g' text)" '640 1234:2345'
is '... the swap file is gone' "$(ls -A)" text
recorded_now e
like '... who watches is told of it' "$record" 'CLOSE_WRITE,CLOSE e/text'
stop_recording
rm marker-*

at_terminal 'vim: a second one is warned by the swap file' vim text <<END
see three
do printf 'see E325: ATTENTION\ntype \\r\ntype q\nend 1\n' | \
    python3 $root/tests/lib/terminal.py vim text
type :q!\r
end
END

at_terminal 'vim: killed with unsaved text' vim text <<'END'
see three
type Gofour\e
type :preserve\r
see File preserved
kill
END
is '... leaves the key as it was' "$(get e/text)" "$(lines one two three)"
ok '... and a swap file' test -e .text.swp
at_terminal '... from which vim -r recovers' vim -r text <<'END'
see Recovery completed
type \r
type :w\r
see written
type :q\r
end
END
is '... every line' "$(get e/text)" "$(lines one two three four)"
rm .text.swp

# Unless told so by an empty backupskip, vim makes no backups below /tmp.
for settings in 'backup' 'backup backupcopy=yes' 'backup backupcopy=no' \
    'nowritebackup' 'backupcopy=no'; do
    printf 'before\n' >saved
    chmod 600 saved
    at_terminal "vim: set $settings" vim saved <<END
see before
type :set backupskip= $settings\r
type ccafter\e
type ZZ
end
END
    is '... saves' "$(cat saved) $(get e/saved) $(stat -c %a saved)" 'after after 600'
    case $settings in
    backup | 'backup '*)
        is '... and keeps what was there before' "$(cat 'saved~')" before
        rm 'saved~'
        ;;
    esac
    is '... and nothing else' "$(echo *)" 'saved text'
    rm saved
done

printf 'x\n' >new-by-vim
ok 'vim -es' vim -u NONE -i NONE -es -c '%s/x/script/' -c 'w! other' -c 'wq' new-by-vim
is '... writes both files' "$(cat new-by-vim) $(get e/other)" 'script script'
put e/text 'changed over HTTP
' >/dev/null
at_terminal 'vim notices that a key was changed over HTTP' vim text <<END
see changed over HTTP
do curl -sS -X PUT -d 'and once more, longer' $url/v1/keys/e/text
type Aedited\e
type :w\r
see WARNING: The file has been changed since reading it
type n
see Press ENTER
type :q!\r
end
END

# -- Other editors --

rm ./*
printf 'first\n' >nano
at_terminal 'nano: typed, saved' nano nano <<'END'
see first
type typed \x0f
see File Name to Write
type \r
see Wrote 1 line
do grep -qx 'typed first' nano
type \x18
end
END
is '... and in the store' "$(get e/nano)" 'typed first'
at_terminal 'nano -B: with a backup' nano -B nano <<'END'
see typed
type again \x0f
see File Name to Write
type \r
see Wrote 1 line
type \x18
end
END
is '... of what was there' "$(cat nano 'nano~')" "$(lines 'again typed first' 'typed first')"

printf 'a\nb\n' >by-ed
is 'ed' "$(printf '1s/a/c/\n$a\nd\n.\nw\nq\n' | ed -s by-ed; cat by-ed)" "$(lines c b d)"
printf 'x y x\n' >stream
chmod 604 stream
chown 5:6 stream
sed -i.bak 's/x/z/g' stream
is 'sed -i with a suffix' "$(cat stream stream.bak)" "$(lines 'z y z' 'x y x')"
perl -i -pe 's/z/p/' stream
is 'perl -i' "$(get e/stream)" 'p y z'
perl -i.orig -pe 's/y/q/' stream
is 'perl -i with a suffix' "$(cat stream stream.orig)" "$(lines 'p q z' 'p y z')"
is '... mode and owner stay' "$(stat -c '%a %u:%g' stream)" '604 5:6'
is 'nothing else is left' "$(ls -A | paste -sd' ')" \
    'by-ed nano nano~ stream stream.bak stream.orig'

cd "$work" || exit 1
stop_daemon
finish
