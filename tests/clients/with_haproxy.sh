#!/usr/bin/env bash
# HAProxy in front of the server, by the configuration that users get.
PATH=$PATH:/usr/sbin
command -v haproxy >/dev/null && command -v curl >/dev/null || exit 77
# shellcheck source-path=SCRIPTDIR source=expect.sh
. ./expect.sh
# shellcheck source-path=SCRIPTDIR source=proxy.sh
. ./proxy.sh
haproxy -v | head -n 1 | cut -d ' ' -f 1-3

# start UPSTREAM HEALTH [FILE [HEADER]]: starts HAProxy in the foreground.
start() {
    port=$(free_port)
    sed "s#^\( *server host\) 127\.0\.0\.1:8[0-9]* \(.*\) port 9444 inter 2s#\1 $1 \2 port $2 inter 100ms#; s#bind :[0-9]*#bind 127.0.0.1:$port#; s#send-proxy-v2#${4:-send-proxy-v2}#" \
        "../../packaging/proxies/${3:-haproxy.cfg}" >"$SCRATCH/haproxy.cfg"
    haproxy -db -f "$SCRATCH/haproxy.cfg" >"$SCRATCH/log" 2>&1 &
    haproxy=$!
    trap 'kill "$haproxy"; wait "$haproxy"' EXIT
}
end() {
    kill "$haproxy"
    wait "$haproxy"
    trap - EXIT
}

for upstream in "$backend" "unix@$PROXIED_SOCKET"; do
    start "$upstream" "${admin#*:}"
    until_answers "http://127.0.0.1:$port/" 200
    check "$upstream" "http://127.0.0.1:$port"
    # Its log has a line for each request, with the flags of its end; two hyphens are a good one.
    equal "$upstream: errors" "$(grep 'host/host' "$SCRATCH/log" | grep -Ev ' 200 [0-9]+ - - ---- ' | head -n 3)" ''
    equal "$upstream: requests in the log, whether there are many" \
        "$(($(grep -cE 'host/host .* 200 [0-9]+ - - ---- ' "$SCRATCH/log") > 1000))" 1
    end
done

# With the PROXY protocol, and bytes that HAProxy does not look at.
headed=${PROXIED#*http://*http://}
for upstream in "${headed%%,*}" "unix@$HEADED_SOCKET"; do
    for header in send-proxy send-proxy-v2 'send-proxy-v2 proxy-v2-options unique-id,crc32c'; do
        start "$upstream" "${admin#*:}" haproxy-tcp.cfg "$header"
        until_answers "http://127.0.0.1:$port/" 200
        check "$upstream $header" "http://127.0.0.1:$port"
        end
    done
done

# Without an answer to the health check, the server gets no requests.
start "$backend" 1
until_answers "http://127.0.0.1:$port/" 503
end
exit "$failed"
