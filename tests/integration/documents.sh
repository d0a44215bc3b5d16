#!/usr/bin/env bash
# timeout: 240
# What the documents show is what happens: their commands are run as they are written, each
# section with a daemon of its own at the usual places, in a mount and a network namespace.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
exec unshare --mount --net python3 "$root/tests/lib/documented.py" \
    --build "${KV_BUILD:-$root/build}" "$root/README.md" "$root/docs/guide.md" \
    "$root/docs/pictures/tour.md" "$root/docs/operations.md" "$root/docs/http.md" \
    "$root/docs/access.md" "$root/docs/dialects.md"
