#!/usr/bin/env bash
# Calls and includes go one way: base <- store <- {fuse, httpd, cluster} <- main. Each rule
# is tried on the tree as it is and on a line that breaks it, so that it is known to bite.
. "$(dirname "$0")/../lib/functions.sh"

cd "$root" || exit 1

# FILE: INCLUDED for each include of the sources given.
includes()
{
    grep -rnoE '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"][^>"]+[>"]' \
        --include='*.[ch]' "$@" 2>/dev/null |
        sed -E 's/^([^:]*):[0-9]+:.*[<"]([^>"]+)[>"]/\1: \2/'
}

# rule NAME PLACES FORBIDDEN [EXCEPT] PROBE: no file below PLACES, but for those that match
# EXCEPT, includes what matches FORBIDDEN; PROBE would break it.
rule()
{
    local name=$1 places=$2 forbidden=$3 except=${4:-^$} probe=$5 found
    local -a where
    read -ra where <<<"$places"
    found=$(includes "${where[@]}" | grep -vE "$except" | grep -E ": $forbidden")
    is "$name" "$found" ''
    mkdir -p "$work/probe/${where[0]}"
    printf '#include %s\n' "$probe" >"$work/probe/${where[0]}/probe.c"
    found=$(cd "$work/probe" && includes "${where[0]}" | grep -E ": $forbidden")
    is "... and the rule sees $probe in ${where[0]}" "$found" \
        "${where[0]}/probe.c: ${probe//[<>\"]/}"
}

found=$(includes daemon/base | wc -l)
ok 'there are sources to look at' test "$found" -gt 10

front='(fuse|httpd|cluster)/'
rule 'base includes nothing above it' daemon/base "(store/|$front|cli/)" '' '"store/key.h"'
rule 'the store knows no front-end' daemon/store "($front|cli/)" '' '"fuse/session.h"'
rule 'fuse does not know httpd' fuse '(httpd|cluster|cli)/' '' '"httpd/server.h"'
rule 'httpd does not know fuse' httpd '(fuse|cluster|cli)/' '' '"fuse/session.h"'
rule 'the cluster does not know the front-ends' daemon/cluster '(fuse|httpd|cli)/' '' \
    '"httpd/server.h"'
rule 'front-ends reach LMDB through the store only' 'fuse httpd' \
    'store/(table|disk|wal|memtable|state|changelog|expiry|apply|commit|batch)\.h' '' '"store/table.h"'
rule 'only the store'"'"'s disk includes lmdb.h' 'daemon fuse httpd cli' 'lmdb\.h' \
    '^daemon/store/disk\.[ch]:' '<lmdb.h>'
rule 'only fuse includes libfuse' 'daemon httpd cli' '(fuse3/)?fuse(_[a-z]+)?\.h$' '' \
    '<fuse_lowlevel.h>'
rule 'only httpd includes libmicrohttpd' 'daemon fuse cli' 'microhttpd\.h' '' \
    '<microhttpd.h>'
rule 'the command uses base and the key grammar, never the store' cli \
    "(store/([^k]|k[^e]|ke[^y]|key[^.])|$front)" '' '"store/store.h"'

finish
