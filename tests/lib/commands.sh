# For the scripts that try the kv command: the three ways in, and what a command says.
# Source it behind functions.sh.
# shellcheck shell=bash disable=SC2034,SC2154

unset KV_URL KV_SOCKET KV_MOUNT

# set_ways: ${way[NAME]} are the options for each of ${ways[@]}. After need_daemon.
ways=(tcp socket mount)
declare -A way=()
set_ways()
{
    way=([tcp]="--url $url" [socket]="--socket $sock" [mount]="--mount $mnt")
}

# says NAME STATUS TEXT COMMAND...: its exit status, and all that it writes: TEXT, or what
# the regex TEXT matches whole.
says()
{
    local name=$1 want=$2 text=$3 got output
    shift 3
    output=$("$@" 2>&1 </dev/null)
    got=$?
    if [ "$got" != "$want" ]; then
        fail "$name" "exit status $got, expected $want: $* ${output:+: $output}"
    elif [ "$output" = "$text" ] || [[ $text == *'.*'* && $output =~ ^$text$ ]]; then
        pass "$name"
    else
        fail "$name" "got:
$output
expected:
$text"
    fi
}
