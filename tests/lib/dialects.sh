# For the scripts that try the dialects. Source it behind functions.sh.
# shellcheck shell=bash disable=SC2154

# answer METHOD PATH [CURL-OPTION...]: status, media type and body of the answer, and a line
# end as \n, so that none goes unnoticed.
answer()
{
    http "$@"
    printf ' %s ' "$(header content-type)"
    sed -z 's/\n/\\n/g' "$work/body"
}

# json BODY: curl options for it.
json()
{
    # shellcheck disable=SC2034
    body=(-H 'Content-Type: application/json' --data-binary "$1")
}

# repeat COUNT TEXT
repeat()
{
    printf "%0.s$2" $(seq "$1")
}
