#!/usr/bin/env bash
# curl, openssl, nghttp and h2load over TLS and HTTP/2.
if ! command -v curl >/dev/null || [ -z "${SECURE:-}" ]; then
    exit 77
fi
# shellcheck source-path=SCRIPTDIR source=expect.sh
. ./expect.sh
echo "https by curl, $(openssl version | cut -d ' ' -f 1-2), nghttp, h2load"

ask() { curl --disable --silent --show-error --max-time 30 --cacert "$CERTIFICATE" "$@"; }
told=' %{http_code} HTTP/%{http_version}'
for page in "/ $index 200" "/route $route 200" "/nope $not_found 404"; do
    target=${page%% *} answer=${page#* }
    equal "GET $target over HTTP/2" "$(ask -w "$told" "$SECURE$target")" "$answer HTTP/2"
    equal "GET $target over HTTP/1.1" "$(ask --http1.1 -w "$told" "$SECURE$target")" "$answer HTTP/1.1"
    equal "GET $target in clear text" "$(ask --http2-prior-knowledge -w "$told" "$CLEAR$target")" "$answer HTTP/2"
done
equal 'POST over HTTP/2' "$(ask -d a=1 -w "$told" "$SECURE/")" "$not_allowed 405 HTTP/2"
has 'HEAD over HTTP/2' "$(ask --head "$SECURE/route")" "content-length: ${#route}"
head -c 1000000 /dev/urandom >"$SCRATCH/sent"
ask --data-binary "@$SCRATCH/sent" -H 'content-type: a/b' -o "$SCRATCH/echoed" "$SECURE_ECHO/"
cmp "$SCRATCH/sent" "$SCRATCH/echoed" || exit 1

# One connection for all.
urls=()
for number in $(seq 50); do urls+=("$SECURE/?$number" -o /dev/null); done
equal 'connections for 50 transfers at once' \
    "$(ask --no-progress-meter --parallel --parallel-max 50 -w '%{num_connects}\n' "${urls[@]}" | awk '{ sum += $1 } END { print sum }')" 1

at=${SECURE#https://}
for version in tls1_2 tls1_3; do
    session=$(openssl s_client -connect "$at" -CAfile "$CERTIFICATE" -verify_return_error "-$version" -alpn h2 </dev/null 2>&1 | tr -d '\0')
    has "$version by openssl" "$session" 'Verify return code: 0 (ok)'
    has "$version by openssl, protocol" "$session" 'ALPN protocol: h2'
done
for version in tls1 tls1_1; do
    openssl s_client -connect "$at" "-$version" </dev/null >/dev/null 2>&1
    equal "$version by openssl, whether it failed" "$(($? != 0))" 1
done

if command -v nghttp >/dev/null; then
    tried=$(nghttp --no-verify-peer --null-out --stat --multiply=20 "$SECURE/route" 2>&1)
    equal 'requests by nghttp' "$(grep -c ' 200 .*/route' <<<"$tried")" 20
fi
if command -v h2load >/dev/null; then
    for url in "$SECURE/" "$CLEAR/"; do
        loaded=$(h2load --requests=20000 --clients=4 --max-concurrent-streams=25 "$url")
        has "h2load $url" "$loaded" '20000 succeeded, 0 failed, 0 errored, 0 timeout'
        has "h2load $url, statuses" "$loaded" 'status codes: 20000 2xx'
    done
fi
