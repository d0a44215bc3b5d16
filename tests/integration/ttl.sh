#!/usr/bin/env bash
# Keys with a time to live end by themselves, everywhere at once, also over a restart, and
# never early.
. "$(dirname "$0")/../lib/functions.sh"

need_daemon

gone()
{
    [ "$(http GET "/v1/keys/$1")" = 404 ]
}

# -- One key --

before=$(revision) started=$(now_ms)
is 'PUT with ttl' "$(put t/one v 'ttl=1s')" 201
is 'the key is there' "$(get t/one)" v
is '... on the mount' "$(cat "$mnt/t/one")" v
ok 'it ends by itself' wait_for gone t/one
lived=$(($(now_ms) - started))
ok "... not before its time ($lived ms)" test "$lived" -ge 1000
ok "... and not long after it" test "$lived" -lt 5000
fails '... on the mount too' 'No such file' cat "$mnt/t/one"
fails '... for stat' 'No such file' stat "$mnt/t/one"
is '... and in listings' "$(ls "$mnt/t")$(curl -sS "$url/v1/keys?dir=t" | jq '.keys[]')" ''
# The event comes with the transaction that removes it.
removed()
{
    [ "$(revision)" -ge $((before + 2)) ]
}
ok 'a transaction removes it' wait_for removed
is 'watchers are told, with the origin' \
    "$(events "$before" $((before + 2)) dir=t | jq -r 'select(.type != "mkdir") | .type + " " + .key + " " + .origin')" \
    "$(lines 'put t/one http' 'delete t/one ttl')"
is 'the directory stays' "$(stat -c %F "$mnt/t")" directory

# -- Units, mistakes --

for ttl in 5000ms 60s 2m 3h 1d 90; do
    like "ttl=$ttl" "$(put t/unit v "ttl=$ttl")" '20[01]'
done
for ttl in -1s x 5y '' 1.s 99999999999999999999s; do
    is "ttl=$ttl is refused" "$(put t/bad v "ttl=$ttl")" 400
    is '... with a reason' "$(error_code)" invalid_parameter
done
is '... and changes nothing' "$(http GET /v1/keys/t/bad)" 404

# -- The time to live through the mount --

put t/attr v 'ttl=100s' >/dev/null
left=$(getfattr --only-values -n user.kv.ttl "$mnt/t/attr")
ok "user.kv.ttl tells the seconds left ($left)" test "${left:-0}" -ge 90 -a "${left:-0}" -le 100
setfattr -n user.kv.ttl -v 1 "$mnt/t/attr"
ok '... and sets them' wait_for gone t/attr
echo lasting >"$mnt/t/attr"
fails 'a key without one has no such attribute' 'No such attribute' \
    getfattr -n user.kv.ttl "$mnt/t/attr"

# -- Changing one's mind --

put t/kept v 'ttl=1s' >/dev/null
put t/kept w 'ttl=1000s' >/dev/null
put t/probe v 'ttl=1500ms' >/dev/null
put t/moved v 'ttl=1s' >/dev/null
rename_key t/moved t/target >/dev/null
put t/again v 'ttl=1s' >/dev/null
delete t/again >/dev/null
put t/again w >/dev/null
ok 'later' wait_for gone t/probe
is 'a longer ttl replaces a shorter one' "$(get t/kept)" w
is 'a ttl moves along with its key' "$(http GET /v1/keys/t/target)" 404
is 'a key that was deleted and made anew does not inherit one' "$(get t/again)" w

# -- Many at once --

before=$(revision)
count=$(quick_or 50 300)
for ((i = 0; i < count; i++)); do
    printf 'url = "%s/v1/keys/many/%d?ttl=2s"\nrequest = PUT\ndata = v\noutput = /dev/null\n' \
        "$url" "$i"
done >"$work/requests"
curl -sS --fail -K "$work/requests"
none_left()
{
    [ "$(curl -sS "$url/v1/keys?dir=many&limit=1000" | jq '.keys | length')" = 0 ]
}
ok "$count keys end by themselves" wait_for none_left
put many/end 1 >/dev/null
is 'each with one delete event' \
    "$(events "$before" "$(revision)" dir=many | jq -r 'select(.type == "delete") | .key' |
        sort)" "$(seq -f 'many/%g' 0 $((count - 1)) | sort)"

# -- While the daemon is away --

put t/away v 'ttl=1s' >/dev/null
put t/stays v 'ttl=1000s' >/dev/null
before=$(revision) ends=$(($(now_ms) + 1000))
stop_daemon
past_its_end()
{
    [ "$(now_ms)" -gt "$ends" ]
}
wait_for past_its_end
need_daemon
is 'a key that ended while the daemon was away is gone' "$(http GET /v1/keys/t/away)" 404
is '... on the mount too' "$(ls "$mnt/t" | grep -c away)" 0
is '... and another is still there' "$(get t/stays)" v
removed()
{
    [ "$(revision)" -gt "$before" ]
}
ok 'its end is a revision' wait_for removed
is '... that watchers get' "$(events "$before" $((before + 1)) | jq -r '.type + " " + .key')" \
    'delete t/away'

stop_daemon
finish
