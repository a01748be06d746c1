# shellcheck shell=bash disable=SC2034,SC2154  # names come from `run`, or are for the scripts that read this
# What the tests of proxies share: each runs the configuration below packaging/proxies, with other
# addresses, over TCP and over a Unix socket.
fixtures=$(realpath ../fixtures)
url=${PROXIED%% *}
backend=${url#http://}
admin=${PROXIED_API#http://}

ask() { curl --disable --silent --show-error --noproxy '*' --max-time 30 "$@"; }

# A port is free until the proxy takes it, unless somebody else does.
free_port() {
    python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# put FILE: swaps the handler of the server behind the proxy.
put() {
    ask --output /dev/null --fail -H "authorization: Bearer $TOKEN" -H 'x-host-admin: 1' --data-binary "@$1" \
        "$PROXIED_API/v1/versions?name=$(basename "$1")&accept-all=true"
}

# until_answers URL STATUS: waits for a status, up to half a minute.
until_answers() {
    local found='' _
    for _ in {1..300}; do
        found=$(ask --output /dev/null --write-out '%{http_code}' "$1" 2>/dev/null)
        if [ "$found" = "$2" ]; then return; fi
        sleep 0.1
    done
    equal "$1" "$found" "$2"
}

# field TEXT NAME: prints the value of a field that the handler got.
field() { tr -d '\r' <<<"$1" | sed -n "s/^$2: //p"; }

# check NAME PROXY: what a server behind a proxy promises.
check() {
    local name=$1 proxy=$2 shown
    put "$fixtures/show.wat"
    # A client that is no proxy, and claims to be another one.
    shown=$(ask --interface 127.0.0.2 -H 'x-forwarded-for: 203.0.113.9' "$proxy/a?b")
    equal "$name: client" "$(field "$shown" x-forwarded-for)" 127.0.0.2
    equal "$name: target" "$(head -n 1 <<<"$shown" | tr -d '\r')" 'GET /a?b HTTP/1.1'
    put "$fixtures/echo.wat"
    python3 behind_proxy.py "$proxy" "$PROXIED_API" "$fixtures/echo.wat" || failed=1
}
