#!/usr/bin/env bash
# Threads that enter the mount have a descriptor table of their own (fuse/outside.h).
# close(2) by its name there tells ThreadSanitizer that the number is closed in everybody
# else's table, too, and it reports a race whenever the number is in use there.
. "$(dirname "$0")/../lib/functions.sh"

cd "$root" || exit 1

# Lines of a file that close other than by kv_outside_close.
closes()
{
    grep -nE '\b(kv_|f)?close(dir)?[[:space:]]*[()]' "$1" | grep -v 'kv_outside_close'
}

for file in fuse/replay.c fuse/notify.c fuse/outside.c; do
    ok "$file is there" test -s "$file"
    is '... and closes in its own table only' "$(closes "$file")" ''
done
for line in '    kv_close(&at);' '    KV_CLEANUP(kv_close) int fd = -1;' '    close(fd);'; do
    printf '%s\n' "$line" >"$work/probe.c"
    is "the rule sees ${line#    }" "$(closes "$work/probe.c")" "1:$line"
done

finish
