#!/usr/bin/env bash
# Boots systemd in a root of its own, with the Debian package: the service starts, reloads,
# restarts with the version that served, and ends.
# shellcheck source-path=SCRIPTDIR source=root.sh
. ./root.sh
needs cargo-deb dpkg-shlibdeps mmdebstrap systemd-nspawn
set -eu

deb=$(make_package)
root=$SCRATCH/root
make_root "$root" --variant=minbase --include=systemd,systemd-sysv,dbus
cp "$deb" "$root/package.deb"
chroot "$root" dpkg --install /package.deb >"$SCRATCH/log" 2>&1 || { cat "$SCRATCH/log"; exit 1; }
cp ../fixtures/echo.wat "$root/echo.wat"

# Has a network of its own, so no port of this machine is taken.
systemd-nspawn --quiet --directory "$root" --register=no --keep-unit --private-network --console=pipe \
    --kill-signal=SIGRTMIN+3 --boot >"$SCRATCH/console" 2>&1 &
nspawn=$!
# A system that does not end is killed with its init.
end() {
    kill -TERM $nspawn 2>/dev/null || true
    timeout 30 tail --pid=$nspawn -f /dev/null || kill -KILL "${init:-$nspawn}" $nspawn
}
trap end EXIT
init=''
for _ in {1..300}; do
    init=$(pgrep --parent $nspawn || true)
    [ -z "$init" ] || break
    kill -0 $nspawn 2>/dev/null || break
    sleep 0.1
done
if [ -z "$init" ]; then
    echo "a kernel on which systemd-nspawn boots ($(tail -n 1 "$SCRATCH/console"))"
    exit 77
fi
inside() { nsenter --target "$init" --mount --uts --ipc --pid --net "$@"; }
# Its bus may not be there yet.
booted=''
for _ in {1..300}; do
    booted=$(inside systemctl is-system-running --wait 2>/dev/null || true)
    case $booted in running | degraded) break ;; esac
    sleep 0.1
done
case $booted in
    running | degraded) ;;
    *) echo "a kernel on which systemd boots (found ${booted:-nothing})" && exit 77 ;;
esac

tell() {
    inside systemctl --no-pager --full status host.service || true
    inside journalctl --no-pager --unit host.service | tail -n 30
    exit 1
}
# answer METHOD: prints the body of the answer to a request for /, by a shell: there is no curl.
answer() {
    # shellcheck disable=SC2016  # the shell inside expands it
    inside bash -c 'exec 3<>/dev/tcp/127.0.0.1/4444 && printf "$0 / HTTP/1.0\r\nhost: a\r\n\r\n" >&3 && sed "1,/^\r$/d" <&3' "$1"
}
expect 'state of the service' "$(inside systemctl is-active host.service || true)" active || tell
expect 'GET /' "$(answer GET)" '<h1> hello index</h1>'
expect 'host-wasm health' "$(inside host-wasm health --control /run/host-wasm/control)" ready
inside host-wasm swap --control /run/host-wasm/control /echo.wat
inside systemctl reload host.service || tell
printf 'body-max = "none"\n' >>"$root/etc/host/host.toml"
if inside systemctl reload host.service 2>/dev/null; then
    echo 'expected the reload of a wrong file to fail, found success' && exit 1
fi
sed -i '$d' "$root/etc/host/host.toml"
main() { inside systemctl show --property MainPID --value host.service; }
before=$(main)
inside host-wasm upgrade --control /run/host-wasm/control || tell
# systemd reads the message of the old process in its own time.
for _ in {1..300}; do
    [ "$(main)" = "$before" ] || break
    sleep 0.1
done
expect 'main process after an upgrade' \
    "$(inside host-wasm status --control /run/host-wasm/control | grep -c ", process $(main),")" 1
expect 'state after an upgrade' "$(inside systemctl is-active host.service || true)" active || tell
inside systemctl restart host.service || tell
expect 'version after a restart' "$(inside host-wasm versions --control /run/host-wasm/control | grep -c echo.wat)" 1
# shellcheck disable=SC2016  # the shell inside expands it
expect 'sandbox: the root of the service' "$(inside sh -c 'touch "/proc/$(systemctl show --property MainPID --value host)/root/usr/x" 2>&1 | grep -c "Read-only"')" 1
inside systemctl stop host.service || tell
expect 'result of the service' "$(inside systemctl show --property Result --value host.service)" success
inside systemctl --version | head -n 1
echo "booted, served, reloaded, upgraded, restarted and stopped"
