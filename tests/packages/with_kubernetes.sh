#!/usr/bin/env bash
# Checks the Kubernetes example by the schemas of Kubernetes, and starts a server with the
# configuration and the module in it.
command -v kubernetes-validate >/dev/null || { echo 'kubernetes-validate' && exit 77; }
command -v curl >/dev/null || { echo 'curl' && exit 77; }
# shellcheck source-path=SCRIPTDIR source=root.sh
. ./root.sh
set -eu
folder=../../packaging/kubernetes
# The first release with all fields of the example is 1.30 (the preStop hook `sleep`).
for release in 1.30 1.37; do
    kubernetes-validate --quiet --strict --kubernetes-version $release $folder/host.yaml
done
# The ConfigMaps as files, as the kubelet lays them out: links to a folder that is replaced.
python3 - "$folder" "$SCRATCH" <<'END'
import os, sys
import yaml

folder, scratch = sys.argv[1:]
documents = [document for document in yaml.safe_load_all(open(f"{folder}/host.yaml"))]
monitor = yaml.safe_load(open(f"{folder}/servicemonitor.yaml"))
service = next(one for one in documents if one["kind"] == "Service")
endpoint = monitor["spec"]["endpoints"][0]
assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]], endpoint
assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
for one in documents:
    if one["kind"] == "ConfigMap":
        data = f"{scratch}/{one['metadata']['name']}/..1"
        os.makedirs(data)
        for name, text in one["data"].items():
            open(f"{data}/{name}", "w").write(text)
            os.symlink(f"..data/{name}", f"{data}/../{name}")
        os.symlink("..1", f"{data}/../..data")
END
printf '%032d\n' 0 >"$SCRATCH/token"
chmod 0600 "$SCRATCH/token"
# The places that the Deployment mounts, and ports that are free.
sed -i "s#/handler/#$SCRATCH/handler/#; s#/run/host-wasm/#$SCRATCH/#; s#/etc/host-token/#$SCRATCH/#; s#0\.0\.0\.0:[0-9]*#127.0.0.1:0#" \
    "$SCRATCH/host/..1/host.toml"
mkfifo "$SCRATCH/ready"
"$HOST" --config "$SCRATCH/host/host.toml" >"$SCRATCH/ready" 2>"$SCRATCH/log" &
server=$!
trap 'kill -TERM $server; wait $server || true' EXIT
ready='' url=''
read -r -t 30 ready url <"$SCRATCH/ready" || true
[ "$ready" = ready ] || { echo "expected the ready line, found ${ready:-nothing}:"; cat "$SCRATCH/log"; exit 1; }
ask() { curl --silent --show-error --noproxy '*' --max-time 30 "$@"; }
expect 'GET /' "$(ask "$url/")" 'hello from a ConfigMap'
admin=$(ask --unix-socket "$SCRATCH/control" http://host/v1/status | python3 -c 'import json, sys; print(json.load(sys.stdin)["admin"][0])')
expect /livez "$(ask "$admin/livez")" alive
expect /readyz "$(ask "$admin/readyz")" ready
expect '/metrics without the token' "$(ask --output /dev/null --write-out '%{http_code}' "$admin/metrics")" 401
# The kubelet writes a new folder, and renames a link to it over the old one.
mkdir "$SCRATCH/handler/..2"
sed 's/hello from/again of/; s/65/63/' "$SCRATCH/handler/..1/handler.wat" >"$SCRATCH/handler/..2/handler.wat"
ln -s ..2 "$SCRATCH/handler/..new"
mv --no-target-directory "$SCRATCH/handler/..new" "$SCRATCH/handler/..data"
rm -r "$SCRATCH/handler/..1"
for _ in {1..300}; do
    [ "$(ask "$url/")" != 'again of a ConfigMap' ] || break
    sleep 0.1
done
expect 'GET / after the ConfigMap changed' "$(ask "$url/")" 'again of a ConfigMap'
echo "fits the schemas of Kubernetes 1.30 and 1.37; served, and swapped by a new ConfigMap"
