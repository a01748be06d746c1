#!/usr/bin/env bash
# Builds the Debian package, lets lintian read it, installs it in a root of its own, runs the
# unit's command line there, and removes and purges it: nothing is left but the state.
# shellcheck source-path=SCRIPTDIR source=root.sh
. ./root.sh
needs cargo-deb dpkg-shlibdeps mmdebstrap curl
set -eu

deb=$(make_package)
echo "$(basename "$deb"), $(stat -c %s "$deb") bytes"
if command -v lintian >/dev/null; then
    lintian --allow-root --fail-on error,warning "$deb"
    echo "lintian finds nothing to complain of"
fi

root=$SCRATCH/root
make_root "$root" --variant=minbase
inside() { unshare --mount --pid --fork --mount-proc="$root/proc" chroot "$root" "$@"; }
# Lists the files that a package may leave, without those of dpkg and its helpers.
files() {
    find "$root" -xdev -path "$root/proc" -prune -o -path "$root/var/lib/dpkg" -prune -o \
        -path "$root/var/log" -prune -o -path "$root/var/lib/systemd/deb-systemd-helper-*" -prune -o -print | sort
}
files >"$SCRATCH/before"
cp "$deb" "$root/package.deb"
inside dpkg --install /package.deb >"$SCRATCH/log" 2>&1 || { cat "$SCRATCH/log"; exit 1; }
test -L "$root/etc/systemd/system/multi-user.target.wants/host.service"
inside /usr/bin/host-wasm config check /etc/host/host.toml

# Runs the command line as systemd would, as a user who is not root.
unit=$root/usr/lib/systemd/system/host.service
command=$(sed -n '/^ExecStart=/,/[^\\]$/p' "$unit" | tr -d '\\\n' | sed 's/^ExecStart=//')
install -d -o 61184 -g 61184 "$root/run/host-wasm" "$root/var/lib/host"
mkfifo "$SCRATCH/ready"
# The directories are variables of systemd; the port is any free one.
unshare --mount --pid --fork --kill-child=TERM --mount-proc="$root/proc" \
    chroot --userspec=61184:61184 "$root" env -i RUNTIME_DIRECTORY=/run/host-wasm STATE_DIRECTORY=/var/lib/host \
    HOST_LISTEN=127.0.0.1:0 sh -c "exec $command" >"$SCRATCH/ready" 2>"$SCRATCH/server" &
unshare=$!
trap 'kill -TERM $unshare 2>/dev/null || true' EXIT
ready='' url=''
read -r -t 30 ready url <"$SCRATCH/ready" || true
[ "$ready" = ready ] || { echo "expected the ready line, found ${ready:-nothing}:"; cat "$SCRATCH/server"; exit 1; }
expect "GET $url/" "$(curl --silent --noproxy '*' "$url/")" '<h1> hello index</h1>'
expect /readyz "$(curl --silent --unix-socket "$root/run/host-wasm/control" http://host/readyz)" ready
expect 'host-wasm health' "$(inside host-wasm health --control /run/host-wasm/control)" ready
cp ../fixtures/echo.wat "$root/echo.wat"
inside host-wasm swap --control /run/host-wasm/control /echo.wat
server=$(pgrep --parent $unshare)
kill -TERM "$server"
wait $unshare || { echo "expected the server to end with 0, found $?:"; cat "$SCRATCH/server"; exit 1; }
trap - EXIT
test -s "$root/var/lib/host/versions/state.json"

rm "$root/package.deb" "$root/echo.wat"
inside dpkg --remove host-wasm >"$SCRATCH/log" 2>&1 || { cat "$SCRATCH/log"; exit 1; }
test -f "$root/etc/host/host.toml"
inside dpkg --purge host-wasm >"$SCRATCH/log" 2>&1 || { cat "$SCRATCH/log"; exit 1; }
# What systemd makes for a service that runs is the state.
rmdir "$root/run/host-wasm"
rm -r "$root/var/lib/host"
files >"$SCRATCH/after"
diff "$SCRATCH/before" "$SCRATCH/after" || { echo 'expected no files left, found those above'; exit 1; }
echo "installed, served, swapped, removed and purged"
