#!/usr/bin/env bash
# GNU Wget 1; other programs of this name have other flags.
wget --version 2>/dev/null | grep -q '^GNU Wget 1' || exit 77
# shellcheck source-path=SCRIPTDIR source=expect.sh
. ./expect.sh
wget --version | head -n 1 | cut -d ' ' -f 1-3

# --no-config ignores the user's .wgetrc.
ask() { wget --no-config --no-verbose --tries 1 --timeout 30 -O - "$@" 2>"$SCRATCH/said"; }

equal 'GET /' "$(ask "$HELLO/")" "$index"
equal 'GET /route' "$(ask "$HELLO/route")" "$route"
equal 'two on one connection' "$(ask --verbose "$HELLO/" "$HELLO/route")" "$index$route"
has 'two on one connection' "$(<"$SCRATCH/said")" 'Reusing existing connection'
ask --spider "$HELLO/route"
equal 'HEAD /route, exit code' "$?" 0

# 8 means that the server answered with an error.
ask "$HELLO/nope" >/dev/null
equal 'GET /nope, exit code' "$?" 8
has 'GET /nope' "$(<"$SCRATCH/said")" 'ERROR 404: page not found'
ask --spider "$HELLO/nope"
equal 'HEAD /nope, exit code' "$?" 8
equal 'GET /nope, page' "$(ask --content-on-error "$HELLO/nope")" "$not_found"
equal 'POST /' "$(ask --content-on-error --post-data a=1 "$HELLO/")" "$not_allowed"
has 'POST /' "$(<"$SCRATCH/said")" 'ERROR 405: method is not allowed'
ask --method OPTIONS --server-response "$HELLO/" >/dev/null
equal 'OPTIONS /, exit code' "$?" 0
has 'OPTIONS /' "$(<"$SCRATCH/said")" "allow: $allow"

for file in $(uploads); do
    ask --post-file "$file" "$ECHO/" >"$SCRATCH/got"
    same "${file##*/} bytes" "$SCRATCH/got" "$file"
done
# The server does not read the whole body, and yet its answer has to arrive.
head -c 8388608 /dev/zero >"$SCRATCH/long"
ask --post-file "$SCRATCH/long" "$ECHO/" >/dev/null
has 'too long a body' "$(<"$SCRATCH/said")" 'ERROR 413: Payload Too Large'

exit "$failed"
