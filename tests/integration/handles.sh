#!/usr/bin/env bash
# timeout: 180
# 10,000 files open at once, by one process and by several: what they cost, that they need
# no descriptors of the daemon, and that the memory comes back.
. "$(dirname "$0")/../lib/functions.sh"
. "$root/tests/lib/clients.sh"

count=10000
launcher=(prlimit --nofile=1024:1024)
need_daemon
launcher=()

# What the daemon holds in memory of its own, in KiB.
memory()
{
    awk '/^RssAnon/ { print $2 }' "/proc/$daemon/status"
}
metric()
{
    curl -sS "$url/metrics" | sed -n "s/^kvfs_mount_$1{.*} //p"
}
# RELEASE comes without anybody waiting for it.
all_closed()
{
    [ "$(metric open_handles)" = 0 ]
}
# costs NAME COMMAND...: a case about memory, which the sanitizers use in another way.
costs()
{
    if [ "$sanitize" = none ]; then ok "$@"; else skip "$1" "$sanitize sanitizer"; fi
}

echo one >"$mnt/key"
wait_for all_announced

# -- 10,000 handles --------------------------------------------------------------------

is 'the daemon may have 1024 descriptors' "$(awk '/open files/ { print $4, $5 }' "/proc/$daemon/limits")" \
    '1024 1024'
client one
before=$(memory)
is "one process opens one key $count times" \
    "$(ask one open_many f "$mnt/key" r 0 "$count")" ok
is '... which the daemon counts' "$(metric open_handles)" "$count"
each=$((($(memory) - before) * 1024 / count))
costs "... at a price of $each bytes each, not 1 KiB" test "$each" -lt 1024
is '... reads through the last' "$(ask one read "f$((count - 1))" 10)" '4 one'
is 'the daemon answers others' "$(timeout "$deadline" cat "$mnt/key") $(put more 1)" 'one 201'
is 'it closes them' "$(ask one close_all)" ok
ok '... all of them' wait_for all_closed

after=$(memory)
for _ in 1 2; do
    ask one open_many f "$mnt/key" w 0 "$count" >/dev/null
    ask one close_all >/dev/null
    wait_for all_closed
done
costs "opening for writing again and again costs nothing more ($after, then $(memory) KiB)" \
    test "$(memory)" -lt $((after + 8192))

clients=(a b c d e)
client "${clients[@]}"
share=$((count / ${#clients[@]}))
opened=''
for i in "${!clients[@]}"; do
    tell "${clients[i]}" open_many "f$i-" "$mnt/key" r 0 "$share"
done
for name in "${clients[@]}"; do
    opened+=$(answer "$name")
done
is "${#clients[@]} processes open $share each at once" "$opened" okokokokok
is '... which the daemon counts' "$(metric open_handles)" "$count"
for name in "${clients[@]}"; do
    kill -KILL "${client_pid[$name]}"
done
ok 'when they are killed all of them are closed' wait_for all_closed

# -- Bytes that are not published, versions that are pinned ----------------------------

before=$(memory)
ask one open_many w "$mnt/out#" w 0 50 >/dev/null
for ((i = 0; i < 50; i++)); do
    ask one fill "w$i" x 2000000 >/dev/null
done
costs "50 handles hold 2 MB each ($((($(memory) - before) / 1024)) MiB)" \
    test $((($(memory) - before) / 1024)) -ge 90
kill -KILL "${client_pid[one]}"
ok 'their process is killed' wait_for all_closed
published()
{
    [ "$(get out49 | wc -c)" = 2000000 ]
}
ok '... what it had written is published' wait_for published
rm "$mnt"/out*
costs "... and the memory comes back ($((($(memory) - before) / 1024)) MiB are left)" \
    test $((($(memory) - before) / 1024)) -lt 20

client two
head -c 1500000 /dev/urandom >"$work/large"
before=$(memory)
for ((i = 0; i < 60; i++)); do
    put_file large "$work/large" >/dev/null
    ask two open_many "p$i-" "$mnt/large" r 0 10 >/dev/null
done
held=$((($(memory) - before) / 1024))
costs "600 handles pin 60 versions of 1.5 MB, each once ($held MiB)" \
    test "$held" -ge 80 -a "$held" -lt 200
is '... and close' "$(ask two close_all)" ok
wait_for all_closed
costs "... which gives the memory back ($((($(memory) - before) / 1024)) MiB are left)" \
    test $((($(memory) - before) / 1024)) -lt 20

stop_daemon
finish
