#!/usr/bin/env bash
# Transactions over HTTP: compares, every operation, all or nothing, what is refused.
. "$(dirname "$0")/../lib/functions.sh"

need_daemon --no-mount

# txn JSON: prints the status; the answer is the body.
txn()
{
    http POST /v1/txn --data-binary "$1"
}

# results: those of the last answer, without what differs from run to run.
results()
{
    jq -c '.results | map(del(.mtime, .mod_revision, .create_revision))' "$work/body"
}

put a 1 >/dev/null
before=$(revision)
is 'several operations' "$(txn '{"then":[
    {"op":"put","key":"d/k","value":"v"},
    {"op":"append","key":"d/k","value":"w"},
    {"op":"incr","key":"d/n","by":5},
    {"op":"get","key":"d/k"},
    {"op":"mkdir","key":"d/e"},
    {"op":"rename","key":"d/k","to":"d/m"},
    {"op":"get","key":"d/k"},
    {"op":"delete","key":"a"},
    {"op":"rmdir","key":"d/e"},
    {"op":"expire","key":"d/m","ttl":"60s"}]}')" 200
is '... in one revision' "$(jq -c '[.succeeded, .changed, .revision]' "$work/body")" \
    "[true,true,$((before + 1))]"
is '... which a header tells, too' "$(header x-kv-revision)" $((before + 1))
is '... each with its result' "$(results)" "$(jq -c . <<'END'
[{"op":"put","key":"d/k","created":true,"version":1,"size":1},
 {"op":"append","key":"d/k","created":false,"version":2,"size":2},
 {"op":"incr","key":"d/n","created":true,"version":1,"size":1,"value":"5"},
 {"op":"get","exists":true,"key":"d/k","size":2,"version":2,"value":"vw"},
 {"op":"mkdir","key":"d/e","created":true},
 {"op":"rename","key":"d/k","to":"d/m"},
 {"op":"get","exists":false,"key":"d/k"},
 {"op":"delete","key":"a","deleted":1},
 {"op":"rmdir","key":"d/e"},
 {"op":"expire","key":"d/m","created":false,"version":2,"size":2}]
END
)"
is '... and done' "$(get d/m) $(get d/n) $(http GET /v1/keys/a) $(http GET '/v1/keys?dir=d/e')" \
    'vw 5 404 404'
like '... the expiry, too' "$(key_header d/m x-kv-expires)" '^20'

# -- Compares --

put c 10 >/dev/null
now=$(revision)
branch='"then":[{"op":"get","key":"c"}],"else":[]'
for compare in '"value":"10"' '"value":"MTA=","encoding":"base64"' '"value":"11","is":"!="' \
    '"value":"2","is":"<"' '"exists":true' '"version":1' '"version":0,"is":">"' \
    "\"mod_revision\":$now" "\"create_revision\":\"$now\""; do
    is "a compare that holds: $compare" \
        "$(txn "{\"compare\":[{\"key\":\"c\",$compare}],$branch}") $(
            jq .succeeded "$work/body")" '200 true'
done
for compare in '"value":"1"' '"exists":false' '"version":2' "\"mod_revision\":$((now - 1))" \
    '"version":1,"is":"<"'; do
    is "one that does not: $compare" \
        "$(txn "{\"compare\":[{\"key\":\"c\",$compare}],$branch}") $(
            jq -c '[.succeeded, .failed_compare, .results]' "$work/body")" '200 [false,0,[]]'
done
is 'the second compare decides' "$(txn '{"compare":[{"key":"c","exists":true},
    {"key":"none","exists":true}],"then":[{"op":"delete","key":"c"}],
    "else":[{"op":"put","key":"other","value":"x"}]}') $(
    jq -c '[.succeeded, .failed_compare, .results[0].key]' "$work/body")" '200 [false,1,"other"]'
is '... between the two branches' "$(get c) $(get other)" '10 x'
is 'without else nothing is done' "$(txn '{"compare":[{"key":"none","exists":true}],
    "then":[{"op":"delete","key":"c"}]}') $(jq -c '[.succeeded, .changed]' "$work/body")" \
    '200 [false,false]'
now=$(revision)
is 'reading makes no revision' "$(txn '{"then":[{"op":"get","key":"c"}]}') $(
    jq -c '[.changed, .revision]' "$work/body") $(revision)" "200 [false,$now] $now"

# Of many that take a lock at once one gets it.
take='{"compare":[{"key":"lock","exists":false}],"then":[{"op":"put","key":"lock","value":"me"}]}'
takers=()
for ((i = 0; i < 20; i++)); do
    curl -sS -X POST -d "$take" "$url/v1/txn" | jq .succeeded >"$work/took.$i" &
    takers+=($!)
done
wait "${takers[@]}"
is 'of 20 that take a lock at once one gets it' \
    "$(cat "$work"/took.* | sort | uniq -c | xargs)" '19 false 1 true'

# -- All or nothing --

now=$(revision)
is 'one operation that fails fails all' "$(txn '{"then":[{"op":"put","key":"x","value":"1"},
    {"op":"delete","key":"none"}]}') $(error_code)" '404 not_found'
is '... with its place and key' "$(jq -r '.error | .message + " " + .key' "$work/body")" \
    'then[1]: there is no such key none'
is '... and nothing happened' "$(http GET /v1/keys/x) $(revision)" "404 $now"
is 'what is missing may be' "$(txn '{"then":[{"op":"delete","key":"none","missing_ok":true}]}') $(
    jq -c .results "$work/body")" '200 [{"op":"delete","key":"none","deleted":0}]'
is 'if_absent' "$(txn '{"then":[{"op":"put","key":"c","value":"","if_absent":true}]}') $(
    error_code)" '409 exists'
is 'if_present' "$(txn '{"then":[{"op":"append","key":"none","value":"","if_present":true}]}')" 404
is 'counting in a text' "$(txn '{"then":[{"op":"incr","key":"other"}]}') $(error_code)" \
    '409 not_a_number'
is 'a rename over a directory that holds keys tells which' \
    "$(txn '{"then":[{"op":"mkdir","key":"e"},{"op":"rename","key":"e","to":"d"}]}') $(
        jq -c '[.error.code, .error.key]' "$work/body")" '409 ["not_empty","d"]'
is 'a recursive delete tells how many' \
    "$(txn '{"then":[{"op":"delete","key":"d","recursive":true}]}') $(
        jq -c '.results[0].deleted' "$work/body")" '200 3'

# -- Values --

is 'bytes as base64' "$(txn '{"then":[{"op":"put","key":"ci8A/w==","key_encoding":"base64",
    "value":"AP8=","encoding":"base64"}]}') $(error_code)" '400 invalid_key'
is '... in value and key' "$(txn '{"then":[{"op":"put","key":"ci//","key_encoding":"base64",
    "value":"AP8=","encoding":"base64"},{"op":"get","key":"ci//","key_encoding":"base64"}]}') $(
    jq -c '.results[1] | [.key, .key_encoding, .value, .encoding]' "$work/body")" \
    '200 ["ci//","base64","AP8=","base64"]'
is '... arrive' "$(get r/%ff | od -An -tx1 | xargs)" '00 ff'
head -c 70000 /dev/zero | tr '\0' x | put_file large - >/dev/null
is 'a value over 64 KiB is left out, and it is said' \
    "$(txn '{"then":[{"op":"get","key":"large"}]}') $(
        jq -c '.results[0] | [.size, .omitted, has("value")]' "$work/body")" \
    '200 [70000,true,false]'

# -- What nobody may send --

is 'no JSON: 400' "$(txn '{"then":') $(error_code)" '400 bad_request'
is 'an unknown member: 400' "$(txn '{"thn":[]}') $(jq -r .error.message "$work/body")" \
    "400 'thn': there is no such member here"
deep=$(printf '[%.0s' {1..100})
is 'deep JSON: 400' "$(txn "{\"then\":$deep}")" 400
jq -nc '{then: [range(10001) | {op: "get", key: "a"}]}' >"$work/many"
is 'too many operations: 413' "$(http POST /v1/txn --data-binary @"$work/many") $(error_code)" \
    '413 too_large'
head -c 9000000 /dev/zero | tr '\0' ' ' >"$work/long"
is 'too long a body: 413' "$(http POST /v1/txn --data-binary @"$work/long") $(error_code)" \
    '413 too_large'
is 'a query: 400' "$(http POST '/v1/txn?x=1' -d '{}')" 400
is 'GET: 405' "$(http GET /v1/txn)" 405

# -- Listings of directories alone --

for ((i = 0; i < 3; i++)); do
    jq -nc "{then: [range($((i * 8000)); $((i * 8000 + 8000))) |
        {op: \"mkdir\", key: \"empty/\(.)\"}]}" >"$work/many"
    http POST /v1/txn --data-binary @"$work/many" >/dev/null
done
is 'a page of a listing ends although it found nothing' \
    "$(curl -sS "$url/v1/keys?dir=empty" | jq -c '[(.keys | length), .more, has("next")]')" \
    '[0,true,true]'
next=$(curl -sS "$url/v1/keys?dir=empty" | jq -r .next)
is '... and the next one goes on' \
    "$(curl -sS "$url/v1/keys?dir=empty&after=$next" | jq -c '[.keys, .more]')" '[[],false]'
is '20,000 rows and more in one answer' \
    "$(curl -sS "$url/v1/keys?dir=empty&delimiter=/&limit=10000" |
        jq -c '[(.directories | length), .more]')" '[10000,true]'

stop_daemon
finish
