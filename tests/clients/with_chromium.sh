#!/usr/bin/env bash
# Headless Chromium: what it shows of a page, and what a script of a page can send.
browser=''
for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null; then
        browser=$name
        break
    fi
done
[ -n "$browser" ] || exit 77
# shellcheck source-path=SCRIPTDIR source=expect.sh
. ./expect.sh
"$browser" --version 2>/dev/null

# shown URL FLAGS: prints the page as the browser shows it. The browser can reach
# only the servers. It runs without its sandbox, which does not work for root.
shown() {
    "$browser" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync \
        --host-resolver-rules='MAP * ~NOTFOUND, EXCLUDE 127.0.0.1' --user-data-dir="$SCRATCH/profile" \
        "${@:2}" --dump-dom "$1" 2>"$SCRATCH/said"
}

has '/' "$(shown "$HELLO/")" '<h1> hello index</h1>'
has '/route' "$(shown "$HELLO/route")" '<h1> hello route</h1>'
has '/nope' "$(shown "$HELLO/nope")" '<h1>error 404 not found</h1>'

# A page that sends bodies and compares what comes back. It is a file, so the servers
# are other origins; --disable-web-security lets the page see their answers.
cat >"$SCRATCH/sends.html" <<PAGE
<p id="told">nothing yet</p>
<script type="module">
  const same = (a, b) => a.length === b.length && a.every((byte, at) => byte === b[at]);
  const told = [];
  for (const size of [0, 1, 65536, 1048576]) {
    const body = Uint8Array.from({ length: size }, (_, at) => at % 251);
    const response = await fetch("$ECHO/", { method: "POST", body });
    told.push(same(new Uint8Array(await response.arrayBuffer()), body));
  }
  for (const method of ["HEAD", "OPTIONS", "PUT", "DELETE"]) {
    told.push((await fetch("$HELLO/", { method })).status);
  }
  document.getElementById("told").textContent = told;
</script>
PAGE
has 'bodies of four sizes, and other methods' \
    "$(shown "file://$SCRATCH/sends.html" --disable-web-security --virtual-time-budget=30000)" \
    '<p id="told">true,true,true,true,200,204,405,405</p>'
exit "$failed"
