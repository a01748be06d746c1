#!/usr/bin/env bash
# Builds the container image of a static binary, and runs it as a user who is not root, with a
# root file system that cannot be written to, and with no network but a Unix socket.
[ -n "$STATIC" ] || { echo 'a static binary (STATIC)' && exit 77; }
for tool in buildah podman runc curl; do
    command -v $tool >/dev/null || { echo "$tool" && exit 77; }
done
[ "$(id -u)" = 0 ] || { echo 'root' && exit 77; }
# shellcheck source-path=SCRIPTDIR source=root.sh
. ./root.sh
set -eu

# Images and containers of this test are in a folder of its own. A kernel may lack overlays.
store=(--root "$SCRATCH/store" --runroot "$SCRATCH/run" --storage-driver vfs)
BUILDER="buildah ${store[*]}" ../../packaging/container/build "$STATIC" >"$SCRATCH/log" 2>&1 ||
    { cat "$SCRATCH/log"; exit 1; }
podman() {
    # The limits are those of this process at most, which a container may not raise.
    command podman "${store[@]}" --runtime runc --cgroup-manager cgroupfs --log-level fatal "$@"
}
image=localhost/host:latest
size=$(podman image inspect --format '{{.Size}}' $image)
expect 'user of the image' "$(podman image inspect --format '{{.Config.User}}' $image)" 65532:65532
expect 'stop signal' "$(podman image inspect --format '{{.Config.StopSignal}}' $image)" SIGTERM
expect 'licence' "$(podman image inspect --format '{{index .Labels "org.opencontainers.image.licenses"}}' $image)" \
    '(MIT OR Apache-2.0) AND LGPL-2.1-or-later'

# The folder of the module is a volume, so that a new file in it is seen.
mkdir "$SCRATCH/modules" "$SCRATCH/sockets"
cp ../fixtures/echo.wat "$SCRATCH/modules/handler.wat"
chmod 0777 "$SCRATCH/sockets"
# Nothing but this script asks for the health: podman would need systemd for that.
podman run --detach --name host --network none --read-only --read-only-tmpfs=false --cap-drop all \
    --security-opt no-new-privileges --tmpfs /run/host-wasm \
    --health-interval disable --log-driver k8s-file --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
    --volume "$SCRATCH/modules:/modules:ro" --volume "$SCRATCH/sockets:/sockets" \
    $image --listen unix:/sockets/http.sock,mode=0666 /modules/handler.wat >/dev/null
trap 'podman rm --force --time 10 host >/dev/null' EXIT
tell() {
    podman logs host
    exit 1
}
ask() { curl --silent --show-error --max-time 30 --unix-socket "$SCRATCH/sockets/http.sock" "$@"; }
for _ in {1..300}; do
    [ ! -S "$SCRATCH/sockets/http.sock" ] || break
    sleep 0.1
done
expect 'POST /' "$(ask --data body http://host/)" body || tell
expect 'host health' "$(podman exec host /host health)" ready || tell
podman healthcheck run host || { echo 'expected a healthy container' && tell; }
expect 'user of the process' "$(podman top host huser | tail -n 1)" 65532 || tell
pid=$(podman inspect --format '{{.State.Pid}}' host)
expect 'root of the container' "$(awk '$2 == "/" { print substr($4, 1, 2) }' "/proc/$pid/mounts")" ro || tell
expect 'capabilities' "$(sed -n 's/^CapEff:	//p' "/proc/$pid/status")" 0000000000000000 || tell
# The new file takes the place of the old one, as most programs write files.
printf '%s' '(module (memory (export "memory") 1) (data (i32.const 0) "HTTP/1.1 200 OK\n\nswapped")
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "handle") (param i32 i32) (result i64) (i64.const 24)))' >"$SCRATCH/modules/new"
mv "$SCRATCH/modules/new" "$SCRATCH/modules/handler.wat"
for _ in {1..300}; do
    [ "$(ask http://host/)" != swapped ] || break
    sleep 0.1
done
expect 'GET / after the file changed' "$(ask http://host/)" swapped || tell
podman stop --time 60 host >/dev/null
expect 'exit code after SIGTERM' "$(podman inspect --format '{{.State.ExitCode}}' host)" 0 || tell
podman --version
echo "image of $size bytes: served, was healthy, swapped and stopped"
