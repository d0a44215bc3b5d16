#!/usr/bin/env bash
# A watcher that loses its connection resumes where it was: nothing is missed, nothing
# repeated, and what is too old is refused with the oldest revision that is left.
. "$(dirname "$0")/../lib/functions.sh"

need_daemon --log-events 200000

cut_and_resume()
{
    local output result
    output=$(timeout 200 python3 "$root/tests/lib/resume.py" "$url" "$(quick_or 20 100)" 2>&1)
    result=$?
    note "$output"
    return "$result"
}

ok "a watcher cut off $(quick_or 20 100) times misses and repeats nothing" cut_and_resume

# -- since --

put s/a 1 >/dev/null
before=$(revision)
put s/a 2 >/dev/null
put s/b 1 >/dev/null
delete s/a >/dev/null
rename_key s/b s/c >/dev/null
after=$(revision)
is 'since=REV gives every event after REV' \
    "$(events "$before" "$after" dir=s | jq -r '.type + " " + .key + " " + (.from // "")' |
        sed 's/ $//')" \
    "$(lines 'put s/a' 'put s/b' 'delete s/a' 'rename s/c s/b')"
is 'key= gives those of one key' \
    "$(events "$before" "$after" key=s/c | jq -r .type)" 'rename'
is 'an event has its value, version and origin' \
    "$(events "$before" "$after" dir=s | jq -c '[.value, .version, .created, .origin]' | head -2)" \
    "$(lines '["2",2,false,"http"]' '["1",1,true,"http"]')"
echo 3 >"$mnt/s/d"
is 'a write on the mount says so' \
    "$(events "$after" $((after + 1)) dir=s | jq -r .origin)" mount

# The same over a restart: the log is on the disk.
stop_daemon
need_daemon --log-events 200000
is 'since=REV works after a restart' \
    "$(events "$before" "$after" dir=s | jq -r .type | tr '\n' ' ')" 'put put delete rename '

# The id of a revision's last event may also be written with its index.
cpu_ticks()
{
    awk '{ print $14 + $15 }' "/proc/$daemon/stat"
}

last=$(revision)
before_ticks=$(cpu_ticks)
timeout 2 curl -sN -o /dev/null "$url/v1/watch?since=$last.7"
used=$(($(cpu_ticks) - before_ticks))
ok "a watch from the newest event waits, it does not spin ($used ticks)" test "$used" -lt 50
put s/e 1 >/dev/null
last=$(revision)
put s/f 1 >/dev/null
is 'since=REV.INDEX does not repeat that event' \
    "$(events "$last.0" "$(revision)" dir=s | jq -r .key)" s/f

is 'a revision that does not exist yet is refused' \
    "$(http GET "/v1/watch?since=$(($(revision) + 1000))" --max-time 5)" 400
is 'nonsense is refused' "$(http GET '/v1/watch?since=later' --max-time 5)" 400
stop_daemon

# -- Compaction --

need_daemon --log-events 50
for ((i = 1; i <= 200; i++)); do
    echo "$i" >"$mnt/s/many"
done
compacted()
{
    [ "$(http GET '/v1/watch?since=1' --max-time 2)" = 410 ]
}
ok 'what is older than the log holds is 410' wait_for compacted
is '... with the code compacted' "$(error_code)" compacted
oldest=$(curl -sS "$url/v1/status" | jq .oldest_revision)
like '... which names the oldest revision' "$(body)" "$oldest"
is 'since the oldest one everything is there' \
    "$(events $((oldest - 1)) "$(revision)" | jq .revision | uniq)" \
    "$(seq "$oldest" "$(revision)")"
stop_daemon
finish
