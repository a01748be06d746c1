#!/usr/bin/env bash
# Prometheus scrapes the metrics, counts as many requests as were sent, and finds nothing to
# complain of.
if ! command -v prometheus promtool >/dev/null; then exit 77; fi
# shellcheck source-path=SCRIPTDIR source=expect.sh
. ./expect.sh
prometheus --version 2>&1 | head -n 1 | cut -d ' ' -f 1-3

ask() { curl --disable --silent --show-error --max-time 30 "$@"; }
authorization="authorization: Bearer $TOKEN"

ask --output /dev/null "$STEERED/?[1-300]" && ask --output /dev/null --head "$STEERED/none?[1-20]"
printf %s "$TOKEN" >"$SCRATCH/token"
equal 'promtool check metrics' "$(ask -H "$authorization" "$API/metrics" | promtool check metrics 2>&1)" ''

# The port is free until Prometheus takes it, unless somebody else does.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$SCRATCH/prometheus.yml" <<END
global:
  scrape_interval: 200ms
  scrape_timeout: 200ms
scrape_configs:
  - job_name: host
    authorization:
      credentials_file: $SCRATCH/token
    static_configs:
      - targets: ["${API#http://}"]
END
prometheus --config.file="$SCRATCH/prometheus.yml" --storage.tsdb.path="$SCRATCH/data" --web.listen-address="127.0.0.1:$port" >"$SCRATCH/log" 2>&1 &
prometheus=$!
trap 'kill "$prometheus"; wait "$prometheus"' EXIT

# query EXPRESSION: prints the value of the first sample.
query() {
    ask --get "http://127.0.0.1:$port/api/v1/query" --data-urlencode "query=$1" 2>/dev/null |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["data"]["result"][0]["value"][1])' 2>/dev/null
}
# until_is EXPRESSION EXPECTED: waits for the value, up to a minute.
until_is() {
    local found='' _
    for _ in {1..300}; do
        found=$(query "$1")
        if [ "$found" = "$2" ]; then return; fi
        sleep 0.2
    done
    equal "$1" "$found" "$2"
}
until_is 'up{job="host"}' 1
until_is 'sum(host_requests_total{method="GET",status="2xx",site="default"})' 300
until_is 'sum(host_requests_total{method="HEAD",status="4xx",site="default"})' 20
ask --output /dev/null "$STEERED/route?[1-500]"
until_is 'sum(host_requests_total{site="default"})' 820
until_is 'sum(host_request_seconds_count)' 820
exit "$failed"
