#!/usr/bin/env bash
# A write is published once, whole, at close: each way in which shells and programs write a
# file makes exactly one version, the right one.
. "$(dirname "$0")/../lib/functions.sh"

need_daemon

# at_release: the commit comes with RELEASE, which nobody waits for.
at_release=''
moved_past()
{
    [ "$(revision)" -gt "$1" ]
}

# publishes NAME KEY VALUE COMMAND...: the command makes exactly one version of the key, with
# this value, in one revision, with one put event. The value may be given as printf format.
publishes()
{
    local name=$1 key=$2 value before
    printf -v value '%b' "$3"
    shift 3
    before=$(revision)
    if ! "$@"; then
        fail "$name" "the command failed"
        return
    fi
    [ -z "$at_release" ] || wait_for moved_past "$before"
    is "$name: the value" "$(get "$key"; echo .)" "$value."
    is "$name: one version more" "$(version "$key")" "$expected_version"
    is "$name: one revision more" "$(revision)" $((before + 1))
    is "$name: one event" "$(events "$before" $((before + 1)) | jq -r '.type + " " + .value + "."')" \
        "put $value."
}

in_shell()
{
    (cd "$mnt" && "$shell" -c "$1")
}

printf 'from cat\nlarge\n' >"$work/f"
for shell in bash dash; do
    for expected_version in 1 2; do
        state=$([ "$expected_version" = 1 ] && echo 'a new key' || echo 'a key that exists')
        k=key-$shell
        publishes "$shell: echo v > key, $state" "$k-echo" 'v\n' \
            in_shell "echo v > $k-echo"
        publishes "$shell: : > key, $state" "$k-empty" '' \
            in_shell ": > $k-empty"
        publishes "$shell: { date; uname; } > key, $state" "$k-group" '1970-01-01\nLinux\n' \
            in_shell "{ date -u -d @0 +%F; uname; } > $k-group"
        publishes "$shell: cat f > key, $state" "$k-cat" 'from cat\nlarge\n' \
            in_shell "cat $work/f > $k-cat"
    done
done
at_release=1
for expected_version in 1 2; do
    # shellcheck disable=SC2016
    publishes "python: open(k,'w').close(), version $expected_version" key-python '' \
        python3 -c 'import sys; open(sys.argv[1], "w").close()' "$mnt/key-python"
done
at_release=''

# -- Other ways to write --

expected_version=1
publishes 'printf without a newline' printf 'no newline' \
    in_shell 'printf "no newline" > printf'
put copy before >/dev/null
expected_version=2
publishes 'cp over a key' copy 'from cat\nlarge\n' cp "$work/f" "$mnt/copy"
expected_version=1
publishes 'tee' tee 'through tee\n' in_shell 'echo through tee | tee tee > /dev/null'
publishes 'dd in many writes' dd 'aaaaaaaaaaaaaaaa' \
    in_shell 'printf aaaaaaaaaaaaaaaa | dd of=dd bs=1 status=none'
publishes 'a program in the background of a subshell' sub 'late\n' \
    in_shell '(sh -c "echo late") > sub'
# An O_EXCL create commits the empty key at once, so that it can serve as a lock; what is
# written then is a version of its own. cp makes new files so.
cp "$work/f" "$mnt/new-copy"
is 'cp to a new key' "$(get new-copy)" "$(<"$work/f")"
is '... is made, then written' "$(version new-copy)" 2
in_shell 'set -C; echo 1 > exclusive'
is 'noclobber (O_EXCL) writes, too' "$(get exclusive)" 1
fails 'noclobber refuses a key that exists' 'cannot|exist' in_shell 'set -C; echo 2 > exclusive'
is '... and leaves it alone' "$(get exclusive)" 1

expected_version=2
publishes 'truncate(2) to less' printf 'no' truncate -s 2 "$mnt/printf"
truncate -s 4 "$mnt/printf"
is 'truncate(2) to more fills with zeros' "$(get printf | od -An -c | tr -s ' ')" ' n o \0 \0'
is '... and is one version' "$(version printf)" 3

# -- What nobody asked for is not published --

before=$(revision)
cat "$mnt/copy" >/dev/null
ls -l "$mnt" >/dev/null
stat "$mnt/copy" >/dev/null
exec 8<>"$mnt/copy"
exec 8>&-
is 'reading, and opening for writing without writing, makes no revision' "$(revision)" \
    "$before"

# Until it is closed, nobody sees a byte of it.
exec 8>"$mnt/open"
python3 -c 'import os; os.write(8, b"half")' 8>&8
is 'bytes that a child wrote are not published while we hold the key open' \
    "$(http GET /v1/keys/open)" 404
exec 8>&-
is 'they are at the last close' "$(get open)" half

python3 - "$mnt/fsync" <<'END'
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT)
os.write(fd, b"synced")
os.fsync(fd)
assert open(sys.argv[1]).read() == "synced"
os._exit(0)
END
is 'fsync publishes' "$(get fsync)" synced

python3 - "$mnt/own" <<'END'
import sys
with open(sys.argv[1], "w+") as f:
    f.write("first second")
    f.flush()
    f.seek(6)
    assert f.read() == "second", "the writer sees its own bytes"
    f.seek(0)
    f.write("FIRST")
END
is 'a handle reads its own bytes and changes them in place' "$(get own)" 'FIRST second'

python3 - "$mnt/own" <<'END'
import sys
with open(sys.argv[1], "r+") as f:
    f.seek(6)
    f.write("2nd")
    f.truncate()
END
is 'r+ keeps what it does not overwrite' "$(get own)" 'FIRST 2nd'

# A writer that dies publishes nothing that it had not closed... except by the last close,
# which the kernel makes for it: the value is what it wrote, whole.
echo old >"$mnt/killed"
python3 - "$mnt/killed" <<'END'
import os, signal, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_TRUNC)
os.write(fd, b"all that was written")
os.kill(os.getpid(), signal.SIGKILL)
END
published()
{
    [ "$(get killed)" = 'all that was written' ]
}
ok 'what a killed process had written is published by the close at its end' \
    wait_for published

# -- Readers stay with the version they opened --

put pinned 'old and whole' >/dev/null
exec 8<"$mnt/pinned"
is 'the first bytes of a version' "$(dd bs=4 count=1 status=none <&8)" 'old '
put pinned 'two, longer than before' >/dev/null
is '... are followed by its other bytes, also after a PUT' \
    "$(dd bs=9 count=1 status=none <&8)" 'and whole'
is '... and then by its end' "$(dd bs=100 count=1 status=none <&8)" ''
is 'who reads on after the end finds what is new' \
    "$(dd bs=100 count=1 status=none <&8)" 'han before'
exec 8<&-
is 'a handle opened after it' "$(cat "$mnt/pinned")" 'two, longer than before'

stop_daemon
finish
