#!/usr/bin/env bash
# The stream of changes: what keys were before, how far an idle stream has got, and what is told
# to who comes too late.
. "$(dirname "$0")/../lib/functions.sh"

need_daemon --no-mount --log-size 1M

previous() # SINCE [QUERY]: type and what was before, of the events up to now
{
    events "$1" "$(revision)" "dir=w&prev=1${2:+&$2}" |
        jq -c '[.type, .value, .previous.version, .previous.value, .previous.omitted]'
}

# -- Values before --

start=$(revision)
put w/k one >/dev/null
put w/k two >/dev/null
http POST '/v1/keys/w/k?op=append' -d '!' >/dev/null
delete w/k >/dev/null
put w/k new >/dev/null
is 'prev=1 tells what the key was before' "$(previous "$start")" "$(lines \
    '["mkdir",null,null,null,null]' '["put","one",null,null,null]' \
    '["put","two",1,"one",null]' '["put","two!",2,"two",null]' \
    '["delete",null,3,"two!",null]' '["put","new",null,null,null]')"
is '... without values only of which version' "$(previous "$start" values=0 | sed -n 3p)" \
    '["put",null,1,null,null]'
is 'without prev=1 nothing' "$(events "$start" "$(revision)" dir=w | grep -c previous)" 0
start=$(revision)
head -c 16000 /dev/zero | tr '\0' a | put_file w/large - >/dev/null
head -c 60000 /dev/zero | tr '\0' b | put_file w/large - >/dev/null
put w/large c >/dev/null
is 'values of more than 64 KiB together, or too large for the log: the old one is left out' \
    "$(events "$start" "$(revision)" 'dir=w&prev=1' |
        jq -c '[.size, .previous.size, (.previous | has("value")), .previous.omitted]')" \
    "$(lines '[16000,null,false,null]' '[60000,16000,true,null]' '[1,60000,false,true]')"
is 'prev=2: 400' "$(http GET '/v1/watch?prev=2') $(error_code)" '400 invalid_parameter'

# -- Idle streams --

curl -sS -N -o "$work/idle" "$url/v1/watch?key=never" &
started_pids+=($!)
begun()
{
    grep -q kvfs "$work/idle"
}
ok 'a stream to which nothing happens' wait_for begun
put elsewhere v >/dev/null
moved=$(revision)
progressed()
{
    grep -q '^event: progress' "$work/idle"
}
ok '... is told how far it has got' wait_for progressed
is '... by the id of an event without data' \
    "$(sed -n '/^event: progress/,/^$/p' "$work/idle" | tail -n +2)" "id: $moved"

# -- Too late --

for ((i = 0; i < 100; i++)); do
    head -c 16000 /dev/urandom | put_file w/fill - >/dev/null
done
is 'who comes from before the log: 410' "$(http GET "/v1/watch?since=1") $(error_code)" \
    '410 compacted'
like '... is told what to do' "$(jq -r .error.message "$work/body")" 'list the keys, then watch'
oldest=$(jq .error.oldest_revision "$work/body")
like '... and from where on it is there' "$oldest" '^[0-9]+$'
is 'the oldest there is can be asked for' \
    "$(curl -sS -N -m 1 -o /dev/null -w '%{http_code}' "$url/v1/watch?since=$((oldest - 1))" \
        2>/dev/null)" 200
is 'the same by Last-Event-ID' "$(http GET /v1/watch -H 'Last-Event-ID: 1')" 410
is 'progress resumes' "$(curl -sS -N -m 1 -o /dev/null -w '%{http_code}' \
    "$url/v1/watch?since=$(revision)" 2>/dev/null)" 200
stop_daemon
finish
