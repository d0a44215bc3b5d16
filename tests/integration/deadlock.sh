#!/usr/bin/env bash
# timeout: 180
# Eight processes create, rename and unlink in one directory while HTTP changes the same
# names: nobody waits for ever, nobody gets an odd error, and in the end the mount shows
# what the store holds. See tests/lib/storm.c.
. "$(dirname "$0")/../lib/functions.sh"

need_daemon
mkdir "$mnt/storm"
rounds=$(quick_or 300 2000)

storm()
{
    local output result
    output=$(timeout $((deadline * 5)) "$testlib/storm" "$mnt/storm" "$url" storm "$rounds" 2>&1)
    result=$?
    note "$output"
    [ "$result" != 124 ] || note "$(stacks "$daemon")"
    return "$result"
}

record "$mnt/storm"
ok 'a storm of changes in one directory ends' storm
recorded_now storm
like 'inotifywait heard it' "$record" 'MOVED_TO storm/n'
stop_recording
is 'the daemon answers' "$(http GET /healthz)" 200

listing()
{
    curl -sS "$url/v1/keys?dir=storm&delimiter=/&limit=1000" |
        jq -r '(.keys[].key), ((.directories // [])[])' | sed 's,/$,,' | sort
}
is 'the mount lists what the store holds' \
    "$(find "$mnt/storm" -mindepth 1 -maxdepth 1 -printf 'storm/%f\n' | sort)" "$(listing)"
wrong=''
while read -r key; do
    [ -d "$mnt/$key" ] && continue
    [ "$(cat "$mnt/$key")" = "$(get "$key")" ] || wrong+=" $key"
done < <(listing)
is '... with the same values' "$wrong" ''
ok 'and all of it can be removed' rm -r "$mnt/storm"
is '... everywhere' "$(http GET '/v1/keys?dir=storm')" 404

stop_daemon
finish
