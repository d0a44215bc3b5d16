# Processes that make one call at a time (steps.py), for scripts that hold them at a point
# of their choice. Source it after functions.sh:
#
#     client writer
#     is 'it opens' "$(ask writer open f "$mnt/key" w)" ok
#     tell writer close f                # and does not wait
#     is 'it closed' "$(answer writer)" ok
# shellcheck shell=bash disable=SC2154 # variables of functions.sh

declare -A client_pid client_in client_out

# client NAME...: start them.
client()
{
    local name to from in out
    for name; do
        to=$work/client.$name.in from=$work/client.$name.out
        mkfifo "$to" "$from" || return 1
        # Ours are opened for both, so that neither side waits for the other.
        exec {in}<>"$to" {out}<>"$from"
        python3 "$root/tests/lib/steps.py" <&"$in" >&"$out" 2>>"$work/clients.log" &
        client_in[$name]=$in client_out[$name]=$out client_pid[$name]=$!
        started_pids+=($!)
        rm "$to" "$from"
    done
}

# tell NAME CALL [ARGUMENT]...: have it make the call.
tell()
{
    local name=$1
    shift
    echo "$*" >&"${client_in[$name]}"
}

# answer NAME: how the call ended, in words; 'no answer' when it did not, in time.
answer()
{
    local line
    IFS= read -r -t "$deadline" -u "${client_out[$1]}" line || line='no answer'
    printf '%s\n' "$line"
}

ask()
{
    tell "$@"
    answer "$1"
}

# in_call NAME: whether it waits for an answer of the mount.
in_call()
{
    grep -q fuse "/proc/${client_pid[$1]}/stack"
}

# stopped NAME: whether SIGSTOP has taken hold of it.
stopped()
{
    grep -q '^State:.T' "/proc/${client_pid[$1]}/status"
}

# hold NAME, let_go NAME: SIGSTOP and SIGCONT.
hold()
{
    kill -STOP "${client_pid[$1]}" && wait_for stopped "$1"
}

let_go()
{
    kill -CONT "${client_pid[$1]}"
}

# end_client NAME: SIGTERM is enough to end it, whatever it waits for; its exit status in
# $status.
end_client()
{
    kill "${client_pid[$1]}"
    wait_pid "${client_pid[$1]}" 2>/dev/null # the shell's "Terminated"
}
