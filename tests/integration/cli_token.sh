#!/usr/bin/env bash
# kv token, and how kv shows a token.
# shellcheck disable=SC2154 # $url and others are set in functions.sh
. "$(dirname "$0")/../lib/functions.sh"

need_daemon
put app/k v >/dev/null
put shared/k v >/dev/null
export KV_SOCKET=$sock
token=$("$kv" token create ci rw:app r:shared/ --ttl 30d)
like 'create prints the token and nothing else' "$token" '^kv_[0-9a-f]{8}_[0-9a-f]{48}$'
root_token=$("$kv" token create boss admin -o json)
is '... or all of it as JSON' "$(jq -c '[.name, .admin, .rights]' <<<"$root_token")" \
    '["boss",true,[]]'
is '... / is everything' "$("$kv" token create all w:/ -o json | jq -c .rights)" \
    '[{"path":"","read":false,"write":true}]'
fails 'a name twice is refused' 'revoke it first' "$kv" token create ci r:app
fails 'a right that is none is named' "'x:app' is no right" "$kv" token create n x:app
fails '... and one without a path, which is not everything' "'r:' is no right" \
    "$kv" token create n r:
fails '... and a path that is none' "'a//b'" "$kv" token create n r:a//b
fails 'a token needs rights' 'kv token create NAME RIGHT' "$kv" token create n
fails 'a word that is none is told' 'kv token ls' "$kv" token list
like 'ls shows who may do what' "$("$kv" token ls)" \
    "^${token:3:8} 20[0-9T:-]+Z 20[0-9T:-]+Z ci rw:app r:shared
[0-9a-f]{8} 20[0-9T:-]+Z never                boss admin
[0-9a-f]{8} 20[0-9T:-]+Z never                all w:/\$"
is '... as JSON, one a line' "$("$kv" token ls -o json | jq -r .name | paste -sd ' ')" \
    'ci boss all'
fails 'a mount has no tokens' 'cannot be had on a mount' \
    env -u KV_SOCKET "$kv" --mount "$mnt" token ls

# -- Showing one --

unset KV_SOCKET
export KV_URL=$url
fails 'without one kv is told how' '--token @FILE' "$kv" get app/k
is 'from the environment' "$(KV_TOKEN=$token "$kv" get app/k)" v
printf '%s\n' "$token" >"$work/token"
is '... which may name a file' "$(KV_TOKEN=@$work/token "$kv" get app/k)" v
is 'from a file' "$("$kv" --token "@$work/token" get app/k)" v
is 'the option wins' "$(KV_TOKEN=kv_wrong "$kv" --token "@$work/token" get app/k)" v
fails 'a file that is missing is named' "cannot read .*nowhere" \
    "$kv" --token "@$work/nowhere" get app/k
fails 'what cannot be a token is not sent' 'cannot be one' \
    env KV_TOKEN=$'a\r\nX: y' "$kv" get app/k
fails 'what is not granted is refused' "'shared/k': .*does not grant" \
    env "KV_TOKEN=$token" "$kv" put shared/k w
status=0
KV_TOKEN=$token "$kv" put shared/k w 2>/dev/null || status=$?
is '... with the status for that' "$status" 4
is 'ls shows what is granted' "$(KV_TOKEN=$token "$kv" ls -r | paste -sd ' ')" \
    'app/k shared/k'
is 'in the shell, too' "$(printf 'get app/k\nls app\n' | KV_TOKEN=$token "$kv" |
    paste -sd ' ')" 'v app/k'
is 'kv lock hands it on' "$(KV_TOKEN=$token "$kv" lock app/l "$kv" get app/k)" v
fails 'messages do not show it' '^[^!]*$' env KV_TOKEN=kv_secret! "$kv" get app/k

# On a command line it can be seen until kv has wiped it out.
mkfifo "$work/fifo"
"$kv" --token "$token" put app/slow "@$work/fifo" &
writer=$!
exec {fifo_fd}>"$work/fifo" # kv has opened it
wiped()
{
    ! tr '\0' ' ' <"/proc/$writer/cmdline" | grep -q "$token"
}
ok 'a token on the command line is wiped out there' wait_for wiped
is '... by who still runs' "$(kill -0 "$writer" && echo yes)" yes
printf 'later' >&"$fifo_fd"
exec {fifo_fd}>&-
wait "$writer"
is '... and counts' "$(KV_TOKEN=$token "$kv" get app/slow)" later

# -- Revoking --

export KV_SOCKET=$sock
unset KV_URL
ok 'revoke takes names and ids' "$kv" token revoke all "${token:3:8}"
is '... and they are gone' "$("$kv" token ls -o json | jq -r .name)" boss
fails '... once' "'ci': there is no token" "$kv" token revoke ci
fails 'a revoked token is of no use' 'revoked' \
    env -u KV_SOCKET "KV_TOKEN=$token" "$kv" --url "$url" get app/k
is 'a token with admin manages tokens over TCP' "$(
    env -u KV_SOCKET "KV_TOKEN=$(jq -r .token <<<"$root_token")" \
        "$kv" --url "$url" token ls -o json | jq -r .name
)" boss
stop_daemon
finish
