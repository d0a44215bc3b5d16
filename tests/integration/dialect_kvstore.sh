#!/usr/bin/env bash
# KV-Store's items and subscriptions, byte for byte.
. "$(dirname "$0")/../lib/functions.sh"
. "$(dirname "$0")/../lib/dialects.sh"

need_daemon
j=application/json

item()
{
    printf '{"key":"%s","value":"%s"}' "$1" "$2"
}

# insert METHOD KEY VALUE
insert()
{
    json "$(item "$2" "$3")"
    answer "$1" /key/insert "${body[@]}"
}

exists()
{
    printf '{"message":"set command can set unique key and values %s already exists"}' "$1"
}

is 'a list of nothing' "$(answer GET /alllist)" "200 $j {\"items\":[]}"
is 'POST of a new key' "$(insert POST a 1)" "201 $j $(item a 1)"
is 'POST of one that exists' "$(insert POST a 2)" "200 $j $(exists a)"
is '... changes nothing' "$(answer GET /key/a)" "200 $j $(item a 1)"
is 'PUT of a new key' "$(insert PUT b/c 2)" "201 $j $(item b/c 2)"
is 'PUT over it' "$(insert PUT b/c 3)" "200 $j $(item b/c 3)"
is 'GET' "$(answer GET /key/b/c)" "200 $j $(item b/c 3)"
is '... it is a file' "$(cat "$mnt/b/c")" 3
is 'GET of an absent key' "$(answer GET /key/none)" "404 $j {\"key\":null}"
is 'GET of a directory' "$(answer GET /key/b)" "404 $j {\"key\":null}"
is 'all items' "$(answer GET /alllist)" "200 $j {\"items\":[$(item a 1),$(item b/c 3)]}"
is 'a key named insert' "$(insert POST insert x) $(answer GET /key/insert)" \
    "201 $j $(item insert x) 200 $j $(item insert x)"
is 'DELETE' "$(answer DELETE /key/insert)" "200 $j {\"status\":\"success\"}"
is '... and again' "$(answer DELETE /key/insert)" "200 $j {\"status\":\"success\"}"
is '... it is gone' "$(answer GET /key/insert)" "404 $j {\"key\":null}"

# -- Subscriptions --

subscribed()
{
    printf '{"item":"%s","message":"%s has been Successfully added to subscription list","status":200}' \
        "$1" "$1"
}
is 'no subscriptions' "$(answer GET /subscribe/list)" "200 $j {\"subscription_list\":[]}"
is 'subscribe' "$(answer POST /subscribe/a)" "200 $j $(subscribed a)"
is '... to another' "$(answer POST /subscribe/b/c)" "200 $j $(subscribed b/c)"
is '... once more' "$(answer POST /subscribe/a)" "200 $j $(subscribed a)"
is 'the list' "$(answer GET /subscribe/list)" "200 $j {\"subscription_list\":[\"a\",\"b/c\"]}"
is 'to an absent key' "$(answer POST /subscribe/none)" \
    "200 $j {\"message\":\"not found\",\"status\":404}"
is 'to a directory' "$(answer POST /subscribe/b)" \
    "200 $j {\"message\":\"not found\",\"status\":404}"
is 'to no key: 400' "$(answer POST /subscribe/a//b)" \
    "400 $j {\"message\":\"a key has no empty component ('//')\"}"
updated='"subscription key a has been updated"'
is 'PUT over a subscribed key' "$(insert PUT a 9)" \
    "200 $j {\"message\":$updated,\"key\":\"a\",\"oldvalue\":\"1\",\"newvalue\":\"9\"}"
is '... uses it up' "$(answer GET /subscribe/list)" "200 $j {\"subscription_list\":[\"b/c\"]}"
is '... and the next is as any' "$(insert PUT a 10)" "200 $j $(item a 10)"
is 'POST over a subscribed key leaves it' \
    "$(insert POST b/c 4) $(answer GET /subscribe/list)" \
    "200 $j $(exists b/c) 200 $j {\"subscription_list\":[\"b/c\"]}"
is 'DELETE drops it' "$(answer DELETE /key/b/c >/dev/null && answer GET /subscribe/list)" \
    "200 $j {\"subscription_list\":[]}"
head -c 1100000 /dev/zero | tr '\0' x | put_file long - >/dev/null
answer POST /subscribe/long >/dev/null
is 'an old value over 1 MiB is not told' "$(insert PUT long y)" \
    "200 $j {\"message\":\"subscription key long has been updated\",\"key\":\"long\",\"oldvalue\":null,\"newvalue\":\"y\"}"

# -- Many at once: a subscription is used up by one --

answer POST /subscribe/a >/dev/null
json "$(item a 11)"
racers=()
for ((i = 0; i < 20; i++)); do
    curl -sS --max-time "$deadline" -X PUT "${body[@]}" -o "$work/race.$i" "$url/key/insert" &
    racers+=($!)
done
wait "${racers[@]}"
is 'of 20 PUTs at once one is told' "$(cat "$work"/race.? "$work"/race.?? | grep -o oldvalue | wc -l)" 1

# -- The limit --

for ((i = 0; i < 1001; i++)); do
    printf '{"key":"s/%d","value":""}\n' "$i"
done | http POST /v1/import --data-binary @- >/dev/null
curl -sS -X POST "$url/subscribe/s/[0-999]" -o /dev/null
is 'there can be 1000' "$(curl -sS "$url/subscribe/list" | jq '.subscription_list | length')" 1000
is '... and one more is refused' "$(answer POST /subscribe/s/1000)" \
    "503 $j {\"message\":\"there are 1000 subscriptions, which is the limit\",\"status\":503}"

# -- Characters, and what is wrong --

json '{"key":"caf\u00e9","value":"\ud83d\ude00\u0000\""}'
is 'JSON as ASCII' "$(answer PUT /key/insert "${body[@]}")" \
    "201 $j {\"key\":\"caf\\u00e9\",\"value\":\"\\ud83d\\ude00\\u0000\\\"\"}"
is '... and in the path' "$(answer GET /key/caf%C3%A9)" \
    "200 $j {\"key\":\"caf\\u00e9\",\"value\":\"\\ud83d\\ude00\\u0000\\\"\"}"
json '{"key":"number","value":4.50}'
is 'a value that is no string is kept as its JSON' "$(answer POST /key/insert "${body[@]}")" \
    "201 $j $(item number 4.50)"
refused()
{
    json "$2"
    is "$1: 400" "$(answer PUT /key/insert "${body[@]}")" "400 $j {\"message\":\"$3\"}"
}
refused 'no JSON' 'x' 'the request body must be a JSON object'
refused 'no object' '[1]' 'the request body must be a JSON object'
refused 'no key' '{"value":"1"}' "'key' is missing"
refused 'no value' '{"key":"a"}' "'value' is missing"
refused 'a value that is null' '{"key":"a","value":null}' "'value' is missing"
refused 'a key that is no string' '{"key":1,"value":"1"}' "'key' must be a string"
refused 'a key that is none' '{"key":"a//b","value":"1"}' "a key has no empty component ('//')"
refused 'a directory' '{"key":"s","value":"1"}' 'the key is a directory'
like 'half a character: 400' \
    "$(json '{"key":"\ud83d","value":""}' && answer PUT /key/insert "${body[@]}")" \
    '^400 .*surrogate'
is 'DELETE of a directory: 400' "$(answer DELETE /key/s)" \
    "400 $j {\"message\":\"the key is a directory\"}"
is 'GET of no key: 400' "$(answer GET /key/)" "400 $j {\"message\":\"a key has at least one byte\"}"

stop_daemon
finish
