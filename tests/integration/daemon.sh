#!/usr/bin/env bash
# timeout: 120
# kvfsd as a process: options, the configuration file, what it says at start and to a service
# manager, signals, and what happens when the mount goes away under it.
# shellcheck disable=SC2154 # $status is set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

# refused NAME STATUS LINE OPTION...: it does not start, and says one line.
refused()
{
    local name=$1 want=$2 line=$3
    shift 3
    timeout "$deadline" "$kvfsd" "$@" >"$work/out" 2>"$work/err" </dev/null
    is "$name: exit status $want" $? "$want"
    is '... and the reason in one line' "$(<"$work/err")" "$line"
}

# -- Options ---------------------------------------------------------------------------

refused 'an unknown option' 2 "kvfsd: unknown option '--moutn' (did you mean '--mount'?)" \
    --moutn "$mnt"
refused 'one that is like none' 2 \
    "kvfsd: unknown option '--xyz' (kvfsd --help lists what there is)" --xyz
refused 'a size without a number' 2 \
    "kvfsd: --cache-size must be a size from 1M to 1T, not 'big'" --cache-size big
refused 'nothing to serve' 2 'kvfsd: nothing to serve: give --mount, --listen or --socket' \
    --listen none
refused 'a data directory below nothing' 1 \
    "kvfsd: cannot make data directory '$work/no/data': its parent directory does not exist" \
    --data "$work/no/data" --listen 127.0.0.1:0
refused 'a data directory that is a file' 1 \
    "kvfsd: cannot open data directory '/dev/null': Not a directory" \
    --data /dev/null --listen 127.0.0.1:0

printf '%s\n' '# a comment' "data = $data" 'listen = 127.0.0.1:0' 'max-value-size = 1K' \
    'cache-size = 8M' >"$work/conf"
start_kvfsd --config "$work/conf"
is 'a configuration file is enough' $? 0
is '... and what it says holds' "$(put small "$(printf '%1024s' x)")" 201
is '... one above the limit too' "$(put large "$(printf '%1025s' x)")" 413
stop_daemon
start_kvfsd --config "$work/conf" --max-value-size 2K
is 'the command line wins over it' "$(put large "$(printf '%1025s' x)")" 201
stop_daemon
echo 'max-value-szie = 1K' >>"$work/conf"
refused 'a mistake in the file' 2 \
    "kvfsd: $work/conf:6: unknown name 'max-value-szie' (did you mean 'max-value-size'?)" \
    --config "$work/conf"

need_daemon --owner 65534:65533
put owned/key x >/dev/null
is '--owner says whose the keys made over HTTP are' \
    "$(stat -c %u:%g "$mnt/owned" "$mnt/owned/key" | sort -u)" 65534:65533
is '... and the settings in effect can be read in the mount' \
    "$(grep -x 'owner = .*' "$mnt/.kv/config")" 'owner = 65534:65533'
is 'the data directory is nobody else'"'"'s to read' "$(stat -c %a "$data")" 700
stop_daemon

# -- The service manager ---------------------------------------------------------------

cat >"$work/manager.py" <<'END'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
address = sys.argv[1]
s.bind('\0' + address[1:] if address[0] == '@' else address)
print('bound', flush=True)
s.settimeout(float(sys.argv[2]))
for _ in range(2):
    print(s.recv(100).decode(), flush=True)
END
for address in "$work/notify" "@kvfs-test-$$"; do
    python3 "$work/manager.py" "$address" "$deadline" >"$work/told" 2>&1 &
    manager=$!
    started_pids+=("$manager")
    wait_for grep -q bound "$work/told"
    launcher=(env "NOTIFY_SOCKET=$address")
    need_daemon
    launcher=()
    wait_for grep -q READY "$work/told"
    is "READY=1 is told to ${address//$work/}" "$(<"$work/told")" "$(lines bound READY=1)"
    stop_daemon
    wait_pid "$manager"
    is '... and STOPPING=1' "$(<"$work/told")" "$(lines bound READY=1 STOPPING=1)"
done

# In the journal, which is known by its device and inode, the name is before each line anyway.
: >"$work/journal"
stream=$(stat -c %d:%i "$work/journal")
JOURNAL_STREAM=$stream "$kvfsd" --xyz 2>"$work/journal"
like 'to the journal goes the level of a line instead of the name' "$(<"$work/journal")" \
    '^<3>unknown option'
JOURNAL_STREAM=1:2 "$kvfsd" --xyz 2>"$work/journal"
like '... but not what goes elsewhere' "$(<"$work/journal")" '^kvfsd: unknown option'

# -- Signals ---------------------------------------------------------------------------

for signal in INT TERM HUP; do
    need_daemon
    end_daemon "$signal"
    is "SIG$signal: exit status 0" "$status" 0
    ok '... and unmounted' test -z "$(grep " $mnt " /proc/self/mounts)"
    ok '... which is logged' grep -q "stopping on SIG$signal" "$log"
done
need_daemon
kill -PIPE "$daemon"
is 'SIGPIPE is ignored' "$(put after pipe)" 201
# As timeout(1) does it: one to the process and one to its group.
kill -TERM "$daemon"
kill -TERM "$daemon"
wait_pid "$daemon"
is 'the same request twice at once is one: exit status 0' "$status" 0
wait "$drain"
daemon=''
ok '... and unmounted' test -z "$(grep " $mnt " /proc/self/mounts)"

launcher=(bash -c 'ulimit -S -n 64; exec "$@"' -)
need_daemon
launcher=()
is 'the limit of open files is raised as far as may be' \
    "$(awk '/open files/ { print ($4 == $5) }' "/proc/$daemon/limits")" 1
stop_daemon

# -- Without standard descriptors ------------------------------------------------------

"$kvfsd" --data "$data" --listen none --mount "$mnt" <&- >&- 2>&- &
closed=$!
started_pids+=("$closed")
wait_for mounted
is 'standard descriptors that are closed are none of what the daemon opens' \
    "$(readlink "/proc/$closed/fd/0" "/proc/$closed/fd/1" "/proc/$closed/fd/2")" \
    "$(lines /dev/null /dev/null /dev/null)"
kill "$closed"
wait_pid "$closed"
is '... and it works' "$status" 0
is '... without a line in its files' "$(grep -l 'kvfsd: ' "$data"/*)" ''

# -- A mount that goes away ------------------------------------------------------------

need_daemon
umount "$mnt"
ok 'umount from outside is noticed' wait_for grep -q 'no mount is left: serving HTTP only' "$log"
is '... and HTTP goes on' "$(put still here)" 201
stop_daemon

start_kvfsd --data "$data" --mount "$mnt" --listen none
is 'without HTTP the mount alone is served' "$(cat "$mnt/still")" here
umount "$mnt"
wait_pid "$daemon"
is 'a daemon with nothing left to serve ends' $? 0
is '... with exit status 0' "$status" 0
wait "$drain"
daemon=''
ok '... and says why' grep -q 'no mount is left: stopping' "$log"

finish
