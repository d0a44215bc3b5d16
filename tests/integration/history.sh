#!/usr/bin/env bash
# The history of a key over HTTP: what it tells, its pages, its bounds.
. "$(dirname "$0")/../lib/functions.sh"

need_daemon --log-size 1M

history() # KEY [QUERY]
{
    http GET "/v1/history?key=$1${2:+&$2}" >"$work/status"
}

versions()
{
    jq -c '.versions[] | [.type, .key, .version, .value, .from, .origin]' "$work/body"
}

put k one >/dev/null
echo two >"$mnt/k"
http PUT '/v1/keys/k?ttl=300ms' -d three >/dev/null
gone()
{
    [ "$(http GET /v1/keys/k)" = 404 ]
}
wait_for gone
put k four >/dev/null
rename_key k n >/dev/null
put n five >/dev/null
put other v >/dev/null
history k
is 'a history' "$(cat "$work/status")" 200
is '... newest first, from whoever it came' "$(versions)" "$(lines \
    '["rename","n",1,null,"k","http"]' '["put","k",1,"four",null,"http"]' \
    '["delete","k",3,null,null,"ttl"]' '["put","k",3,"three",null,"http"]' \
    '["put","k",2,"two\n",null,"mount"]' '["put","k",1,"one",null,"http"]')"
is '... and of which revision' "$(jq .revision "$work/body")" "$(revision)"
history n
is 'under the new name it begins with the rename' "$(versions | tail -n 1)" \
    '["rename","n",1,null,"k","http"]'
history k values=0
is 'without values' "$(jq '[.versions[] | has("value")] | any' "$work/body")" false
history none
is 'of a key that never was' "$(jq -c '[.versions, .more]' "$work/body")" '[[],false]'

# -- Pages --

history k
jq -c '.versions[].revision' "$work/body" >"$work/whole"
before='' pages=0
: >"$work/paged"
while pages=$((pages + 1)) && [ "$pages" -lt 10 ]; do
    history k "limit=2${before:+&before=$before}"
    jq -c '.versions[].revision' "$work/body" >>"$work/paged"
    [ "$(jq .more "$work/body")" = true ] || break
    before=$(jq -r .next "$work/body")
done
ok 'pages of two give each version once' cmp "$work/whole" "$work/paged"
is '... in as many pages as it takes' "$pages" 3
history k "before=$(sed -n 3p "$work/whole")"
is 'before= a revision' "$(jq -c '.versions[0].revision' "$work/body")" \
    "$(sed -n 4p "$work/whole")"

# -- Bounds --

head -c 20000 /dev/zero | put_file large - >/dev/null
history large
is 'a value too large for the log is left out, and it is said' \
    "$(jq -c '.versions[0] | [.size, .omitted, has("value")]' "$work/body")" \
    '[20000,true,false]'
for ((i = 0; i < 120; i++)); do
    head -c 16000 /dev/zero | put_file large - >/dev/null
done
history k
is 'what the log does not hold any more is gone' "$(jq -c .versions "$work/body")" '[]'
ok '... and it says from where it is whole' test "$(jq .oldest_revision "$work/body")" -gt 10
history large limit=1000
ok 'of others it holds as much as fits' test "$(jq '.versions | length' "$work/body")" -gt 30
for query in '' 'key=' 'key=a//b' 'key=k&limit=0' 'key=k&limit=1001' 'key=k&before=0' \
    'key=k&before=x' 'key=k&values=2' 'key=k&nonsense=1'; do
    is "?$query: 400" "$(http GET "/v1/history?$query")" 400
done
stop_daemon
finish
