#!/usr/bin/env bash
# curl on the command line.
command -v curl >/dev/null || exit 77
# shellcheck source-path=SCRIPTDIR source=expect.sh
. ./expect.sh
curl --version | head -n 1 | cut -d ' ' -f 1-2

# --disable ignores the user's .curlrc.
ask() { curl --disable --silent --show-error --max-time 30 "$@"; }

# field HEAD NAME: prints the value of a field in the head of a response.
field() { tr -d '\r' <<<"$1" | sed -n "s/^$2: //p"; }

told=' %{http_code} HTTP/%{http_version}'
equal 'GET /' "$(ask -w "$told" "$HELLO/")" "$index 200 HTTP/1.1"
equal 'GET /route' "$(ask -w "$told" "$HELLO/route?a=1#b")" "$route 200 HTTP/1.1"
equal 'GET /nope' "$(ask -w "$told" "$HELLO/nope")" "$not_found 404 HTTP/1.1"
equal 'GET //' "$(ask -w "$told" "$HELLO//")" "$not_found 404 HTTP/1.1"
equal 'HTTP/1.0' "$(ask --http1.0 -w "$told" "$HELLO/route")" "$route 200 HTTP/1.1"
equal 'POST /' "$(ask -d a=1 -w "$told" "$HELLO/")" "$not_allowed 405 HTTP/1.1"
equal 'DELETE /' "$(ask -X DELETE -w "$told" "$HELLO/")" "$not_allowed 405 HTTP/1.1"
# Offers that a server need not take up.
equal '--http2' "$(ask --http2 -w "$told" "$HELLO/")" "$index 200 HTTP/1.1"
equal '--range' "$(ask --range 0-3 -w "$told" "$HELLO/")" "$index 200 HTTP/1.1"
equal '--compressed' "$(ask --compressed --tr-encoding -w "$told" "$HELLO/")" "$index 200 HTTP/1.1"
# Protocols that the server does not speak: curl has to report a failure.
ask --http2-prior-knowledge "$HELLO/" >/dev/null 2>&1
equal '--http2-prior-knowledge, whether it failed' "$(($? != 0))" 1
ask --insecure "https${HELLO#http}/" >/dev/null 2>&1
equal 'https, whether it failed' "$(($? != 0))" 1
equal 'GET / after that' "$(ask "$HELLO/")" "$index"

head=$(ask --head "$HELLO/route")
has 'HEAD /route' "$head" 'HTTP/1.1 200 OK'
equal 'HEAD /route, content-length' "$(field "$head" content-length)" "${#route}"
head=$(ask -i -X OPTIONS "$HELLO/route")
has 'OPTIONS /route' "$head" 'HTTP/1.1 204 No Content'
equal 'OPTIONS /route, allow' "$(field "$head" allow)" "$allow"
head=$(ask -i -X OPTIONS --request-target '*' "$HELLO")
has 'OPTIONS *' "$head" 'HTTP/1.1 204 No Content'
head=$(ask -D - -o /dev/null "$HELLO/nope")
has 'GET /nope, reason' "$head" 'HTTP/1.1 404 page not found'
head=$(ask -D - -o /dev/null -d a "$HELLO/")
has 'POST /, reason' "$head" 'HTTP/1.1 405 method is not allowed'
equal 'POST /, allow' "$(field "$head" allow)" "$allow"

# The target names the server, as in a request to a proxy.
equal 'absolute form' "$(ask --proxy "$HELLO" -w "$told" http://a.example/route)" "$route 200 HTTP/1.1"
ask --proxy "$HELLO" --proxytunnel http://a.example/ >/dev/null 2>&1
equal 'CONNECT, whether it failed' "$(($? != 0))" 1

# Number of connections that were opened for each answer.
equal 'one connection' "$(ask -w ' %{num_connects} ' "$HELLO/" "$HELLO/nope" "$HELLO/route")" \
    "$index 1 $not_found 0 $route 0 "
equal 'one connection past a POST' "$(ask -w ' %{num_connects} ' -d a=1 "$HELLO/" "$HELLO/")" \
    "$not_allowed 1 $not_allowed 0 "
equal 'one connection past a chunked POST' \
    "$(ask -w ' %{num_connects} ' -H 'transfer-encoding: chunked' -d a=1 "$HELLO/" "$HELLO/")" \
    "$not_allowed 1 $not_allowed 0 "
equal 'HTTP/1.0 without keep-alive' "$(ask --http1.0 -w ' %{num_connects} ' "$HELLO/" "$HELLO/")" \
    "$index 1 $index 1 "
equal 'HTTP/1.0 with keep-alive' \
    "$(ask --http1.0 -H 'connection: keep-alive' -w ' %{num_connects} ' "$HELLO/" "$HELLO/")" \
    "$index 1 $index 0 "
# curl shows the progress of --parallel in spite of --silent.
pages=$(ask --parallel "$HELLO/route?[1-200]" 2>/dev/null | grep -o "$route" | wc -l)
equal '200 requests in parallel, answers' "$pages" 200

got=$SCRATCH/got
for file in $(uploads); do
    size=${file##*/}
    ask --data-binary "@$file" -o "$got" "$ECHO/"
    same "$size bytes with a length" "$got" "$file"
    ask -H 'transfer-encoding: chunked' --data-binary "@$file" -o "$got" "$ECHO/"
    same "$size bytes in chunks" "$got" "$file"
    ask -T - -o "$got" "$ECHO/" <"$file"
    same "$size bytes by PUT, from a pipe" "$got" "$file"
    ask -H 'expect: 100-continue' --data-binary "@$file" -v -o "$got" "$ECHO/" 2>"$SCRATCH/said"
    same "$size bytes, expect: 100-continue" "$got" "$file"
    if [ "$size" != 0 ]; then
        has "$size bytes, expect: 100-continue" "$(<"$SCRATCH/said")" '< HTTP/1.1 100 Continue'
    fi
done

# A body that is too long is refused before it is sent, if the client waits for a 100.
head -c 1048577 /dev/zero >"$SCRATCH/long"
equal 'too long a body, what was sent of it' \
    "$(ask -H 'expect: 100-continue' --data-binary "@$SCRATCH/long" -o "$got" \
        -w '%{http_code} %{size_upload}' "$ECHO/")" '413 0'
# It is also refused if it is sent at once, though the server does not read all of it.
head -c 8388608 /dev/zero >"$SCRATCH/long"
for flags in '' 'transfer-encoding: chunked'; do
    equal "too long a body, $flags" \
        "$(ask -H 'expect:' -H "$flags" --data-binary "@$SCRATCH/long" -o "$got" -w '%{http_code}' "$ECHO/")" 413
done

# The stream of events has no end, so curl ends it.
events=$(ask -N --max-time 3 -i -H "authorization: Bearer $TOKEN" -H 'last-event-id: unknown' "$API/v1/events" 2>/dev/null)
equal 'GET /v1/events, content-type' "$(field "$events" content-type)" text/event-stream
has 'GET /v1/events, what is missed' "$events" 'event: missed'

exit "$failed"
