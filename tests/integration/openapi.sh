#!/usr/bin/env bash
# timeout: 300
# The document at /openapi.json against the daemon: tests/lib/openapi.py says how.
. "$(dirname "$0")/../lib/functions.sh"

schema=$root/vendor/openapi-schema/schemas/v3.1/schema.json
/usr/bin/python3 -c 'import jsonschema' 2>/dev/null ||
    skip_all 'python3-jsonschema is not installed'
[ -e "$schema" ] || skip_all "there is no $schema: packaging/bundles openapi-schema"

need_daemon --sync off --max-value-size 1MiB --log-events 1000
complete=''
while IFS= read -r line; do
    case $line in
    1..*) complete=1 ;;
    'ok '*) pass "${line#* - }" ;;
    'not ok '*) fail "${line#* - }" ;;
    *) printf '%s\n' "$line" ;;
    esac
done < <("$root/tests/lib/openapi.py" "$url" "$sock" "$schema" "$work/mountpoint" 2>&1)
is 'the cases ran to their end' "$complete" 1
stop_daemon
finish
