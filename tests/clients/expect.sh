# shellcheck shell=bash disable=SC2034  # the names are for the scripts that read this file
# For the shell scripts here: each comparison says what was expected and found, and
# the script goes on, so that one run shows everything.
failed=0

# equal WHAT FOUND EXPECTED
equal() {
    local found=${2:0:300}
    if [ "$2" != "$3" ]; then
        echo "$1: expected ${3@Q}, found ${found@Q}"
        failed=1
    fi
}

# has WHAT FOUND PART
has() {
    local found=${2:0:2000}
    if [[ $2 != *"$3"* ]]; then
        echo "$1: expected ${3@Q} in it, found ${found@Q}"
        failed=1
    fi
}

# same WHAT FOUND_FILE EXPECTED_FILE
same() {
    cmp "$2" "$3" || equal "$1" 'other bytes' 'the bytes that were sent'
}

# Makes bodies, and prints the names of their files: nothing, one byte, more than one
# read returns, and the most that the server accepts.
uploads() {
    local size
    for size in 0 1 65536 1048576; do
        head -c "$size" /dev/urandom >"$SCRATCH/$size"
        echo "$SCRATCH/$size"
    done
}

index='<h1> hello index</h1>'
route='<h1> hello route</h1>'
not_found='<h1>error 404 not found</h1>'
not_allowed='<h1>error 405 method not allowed</h1>'
allow='GET, HEAD, OPTIONS'
readonly index route not_found not_allowed allow
