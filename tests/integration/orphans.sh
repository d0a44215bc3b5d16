#!/usr/bin/env bash
# A file that is open and has lost its name stays usable by its descriptors, whoever holds
# them, as on any disk; whoever comes by the name finds what is there now.
. "$(dirname "$0")/../lib/functions.sh"

need_daemon
cd "$mnt" || exit 1

# cat and stat are other processes than the shell that opened the file.
echo hello >gone
exec 3<gone
rm gone
is 'a child reads what its parent opened and unlinked' "$(cat <&3)" hello
is '... and sees size and links' "$(stat -Lc '%s %h' - <&3)" '6 0'
exec 3<&-

echo old >over
exec 3<over
echo new >next
mv next over
is 'a child reads what its parent opened and replaced' "$(cat <&3)" old
is '... the name leads to the new one' "$(cat over)" new
exec 3<&-

exec 3<>scratch
rm scratch
echo data >&3
is 'a child sees the size of a scratch file without a name' "$(stat -Lc '%s %h' - <&3)" '5 0'
exec 3<&-

put removed 1 >/dev/null
put removed-too 2 >/dev/null
record "$mnt"
exec 3<removed 4<removed-too
delete removed >/dev/null
fails 'after a DELETE the name is gone although the file is open' 'No such file' stat removed
put removed-too-next 3 >/dev/null
rename_key removed-too-next removed-too >/dev/null
is '... and after a rename over it the name is the new one' "$(stat -c %s removed-too)" 1
recorded_now
is 'a child reads what HTTP has deleted' "$(cat <&3)" 1
is '... or replaced' "$(cat <&4)" 2
fails '... and the name stays gone' 'No such file' stat removed
is '... and the new one new' "$(cat removed-too)" 3
exec 3<&- 4<&-
stop_recording

cd / || exit 1
stop_daemon
finish
