"""The page of the server in headless Chromium, driven by the DevTools protocol."""

import asyncio
import base64
import json
import os
import shutil
import sys
import tempfile

try:
    import aiohttp
except ImportError:
    sys.exit(77)

BROWSER = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"])), None)
if not BROWSER:
    sys.exit(77)

# Longest wait for anything, in seconds.
PATIENCE = 60


class Browser:
    """A browser with one page, and what it complains of."""

    def __init__(self, process, session, socket, profile):
        self.process, self.session, self.socket, self.profile = process, session, socket, profile
        self.count = 0
        self.waiting = {}
        self.complaints = []
        self.reader = asyncio.create_task(self.read())

    @classmethod
    async def start(cls):
        profile = tempfile.mkdtemp(dir=os.environ.get("SCRATCH"))
        # The browser reaches only this machine. Its sandbox does not work for root.
        process = await asyncio.create_subprocess_exec(
            BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
            "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--remote-debugging-port=0",
            f"--user-data-dir={profile}", "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE)  # fmt: skip
        try:
            while not (line := (await asyncio.wait_for(process.stderr.readline(), PATIENCE)).decode()).startswith("DevTools"):
                assert line, "the browser has ended"
            drain = asyncio.create_task(process.stderr.read())
            port = line.split("127.0.0.1:")[1].split("/")[0]
            session = aiohttp.ClientSession()
            async with session.get(f"http://127.0.0.1:{port}/json/list") as reply:
                target = next(one for one in await reply.json() if one["type"] == "page")
            socket = await session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0)
        except BaseException:
            process.kill()
            raise
        browser = cls(process, session, socket, profile)
        browser.drain = drain
        for domain in ["Page", "Runtime", "Log", "Accessibility", "Network"]:
            await browser.send(f"{domain}.enable")
        return browser

    async def end(self):
        await self.socket.close()
        await self.session.close()
        self.process.terminate()
        await self.process.wait()
        self.drain.cancel()
        shutil.rmtree(self.profile, ignore_errors=True)

    async def read(self):
        async for message in self.socket:
            message = json.loads(message.data)
            if "id" in message:
                self.waiting.pop(message["id"]).set_result(message)
            elif message["method"] == "Log.entryAdded" and message["params"]["entry"]["level"] in ("error", "warning"):
                entry = message["params"]["entry"]
                self.complaints.append(f"{entry['text']} {entry.get('url', '')}")
            elif message["method"] == "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(message["params"]["exceptionDetails"])[:600])
            elif message["method"] == "Runtime.consoleAPICalled" and message["params"]["type"] in ("error", "warning"):
                self.complaints.append(json.dumps(message["params"]["args"])[:600])
            elif message["method"] == "Page.javascriptDialogOpening":
                self.complaints.append("a dialog of a script has opened")

    async def send(self, method, **parameters):
        self.count += 1
        reply = self.waiting[self.count] = asyncio.get_running_loop().create_future()
        await self.socket.send_json({"id": self.count, "method": method, "params": parameters})
        reply = await asyncio.wait_for(reply, PATIENCE)
        assert "error" not in reply, f"{method}: {reply['error']}"
        return reply["result"]

    async def run(self, script):
        """Returns the value of an expression in the page."""
        reply = await self.send("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in reply, f"{script}: {reply['exceptionDetails']}"
        return reply["result"].get("value")

    async def until(self, script, what):
        """Waits until an expression is true."""
        async def poll():
            while not (found := await self.run(script)):
                await asyncio.sleep(0.05)
            return found

        try:
            return await asyncio.wait_for(poll(), PATIENCE)
        except asyncio.TimeoutError:
            text = await self.run("document.body.innerText")
            raise AssertionError(f"expected that {what} ({script}); the page says:\n{text}") from None

    async def open(self, url):
        await self.send("Page.navigate", url=url)
        await self.until("document.readyState === 'complete' && location.href !== 'about:blank'", "the page is loaded")

    async def key(self, name, code, text=None, modifiers=0):
        event = {"key": name, "code": name, "windowsVirtualKeyCode": code, "modifiers": modifiers}
        await self.send("Input.dispatchKeyEvent", type="keyDown", **event, **({"text": text} if text else {}))
        await self.send("Input.dispatchKeyEvent", type="keyUp", **event)

    async def tab(self):
        await self.key("Tab", 9)

    async def enter(self):
        await self.key("Enter", 13, "\r")

    async def write(self, text):
        for char in text:
            await self.send("Input.dispatchKeyEvent", type="char", text=char)

    async def click(self, script):
        """Clicks in the middle of an element, as a mouse does."""
        place = await self.run(f"(() => {{ const one = {script}; one.scrollIntoView({{ block: 'center' }}); "
                               "const { x, y, width, height } = one.getBoundingClientRect(); return [x + width / 2, y + height / 2]; })()")
        for kind in ["mousePressed", "mouseReleased"]:
            await self.send("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    async def size(self, width, height):
        await self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)

    async def scheme(self, name):
        await self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    async def picture(self, path, whole=False):
        """Writes a picture of the page."""
        more = {}
        if whole:
            size = (await self.send("Page.getLayoutMetrics"))["cssContentSize"]
            more = {"captureBeyondViewport": True, "clip": {**size, "scale": 1}}
        shot = await self.send("Page.captureScreenshot", format="png", **more)
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))


PAGE = os.environ["PAGED"]
API = os.environ["PAGED_API"]
TOKEN = os.environ["TOKEN"]
# Where pictures of the page are put.
PICTURES = os.environ.get("PICTURES", os.environ["SCRATCH"])

# Would run a script if it were taken for HTML, with and without a parser.
HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
FIRST, SECOND = "<h1>Lamps</h1>\n<p>20 EUR</p>\n", f"<h1>Lamps</h1>\n<p>25 EUR</p>\n{HOSTILE}\n"

VERSION = "document.querySelector('#versions-body .current')?.dataset.version"
FIGURE = "Number(document.querySelector('#figures .requests dd').textContent.replace(',', ''))"
BUTTON = "[...document.querySelectorAll('#page button')].find((one) => one.textContent === {!r})"
OUTCOME = "document.getElementById('dialog-outcome').textContent"

# What a person can use or reads as one thing needs a name.
NAMED = {"button", "link", "textbox", "searchbox", "radio", "checkbox", "slider", "combobox", "DisclosureTriangle", "dialog",
         "alertdialog", "progressbar", "form", "img", "image", "region"}  # fmt: skip


def module(text, traps=False):
    """Returns a module that answers with a page; with `traps` it panics at paths that begin with an l."""

    def data(text):
        return "".join(f"\\{byte:02x}" for byte in text.encode())

    answer = f"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\n\r\n{text}"
    panic = f"no price in {HOSTILE}"
    trap = "(if (i32.eq (i32.load8_u offset=5 (local.get $request)) (i32.const 0x6c)) (then (call $lamp)))" if traps else ""
    return f"""(module
      (memory (export "memory") 1)
      (data (i32.const 0) "{data(answer)}")
      (data (i32.const 4096) "{data(panic)}")
      (func (export "alloc") (param i32) (result i32) (i32.const 8192))
      (func $lamp unreachable)
      (func (export "handle") (param $request i32) (param i32) (result i64) {trap} (i64.const {len(answer.encode())}))
      (func (export "panic_message") (result i64) (i64.const {(4096 << 32) | len(panic.encode())})))"""


class Server:
    """The server, as another client of its API and of its sites sees it."""

    def __init__(self, session):
        self.session = session
        self.is_loaded = True
        self.sent = 0

    async def swap(self, text, name, query="", traps=False, resource="versions"):
        headers = {"authorization": f"Bearer {TOKEN}", "x-host-admin": "test"}
        url = f"{API}/v1/{resource}"
        parameters = {"name": name, "accept-all": "true"} | dict(part.split("=") for part in query.split("&") if part)
        async with self.session.post(url, params=parameters, headers=headers, data=module(text, traps)) as reply:
            body = await reply.json()
            assert reply.status in (201, 202), f"{reply.status} {body}"
            return body

    async def answer(self, target="/"):
        async with self.session.get(PAGE + target) as reply:
            return reply.status, await reply.text()

    async def load(self):
        """Sends requests, at most for some minutes."""
        for number in range(60_000):
            if not self.is_loaded:
                return
            # The first version knows no such path.
            assert (await self.answer(f"/item/{number % 9}"))[0] in (200, 404)
            self.sent += 1
            await asyncio.sleep(0.004)


class Tunnel:
    """Passes connections on to the API, as a tunnel of ssh does, until it is cut."""

    def __init__(self):
        self.ends, self.tasks = set(), set()

    async def open(self, port=0):
        self.server = await asyncio.start_server(self.connect, "127.0.0.1", port)
        self.port = self.server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{self.port}"

    async def cut(self):
        self.server.close()
        for end in list(self.ends):
            end.transport.abort()
        await asyncio.gather(*list(self.tasks))

    async def connect(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        self.ends.add(writer)
        host, port = API.removeprefix("http://").split(":")
        far_reader, far_writer = await asyncio.open_connection(host, int(port))
        self.ends.add(far_writer)
        await asyncio.gather(self.copy(reader, far_writer), self.copy(far_reader, writer))
        self.ends -= {writer, far_writer}
        writer.close()
        far_writer.close()
        self.tasks.remove(asyncio.current_task())

    async def copy(self, reader, writer):
        try:
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
            writer.write_eof()
        except OSError:
            # The tunnel is cut, or an end has gone.
            pass


async def confirm(browser):
    """Presses the button of the dialog that carries out the order, and waits for what comes of it."""
    await browser.until("document.getElementById('dialog').open", "the dialog is open")
    await browser.click("document.getElementById('dialog-yes')")
    await browser.until(f"{OUTCOME} && {OUTCOME} !== 'The server is at work on it.'", "the outcome is told")
    said = await browser.run(OUTCOME)
    await browser.click("document.getElementById('dialog-no')")
    await browser.until("!document.getElementById('dialog').open", "the dialog is closed")
    return said


async def focus(browser, key):
    """Presses the tab key until an element has the focus."""
    for _ in range(200):
        if await browser.run("document.activeElement?.dataset.key") == key:
            return
        await browser.tab()
    raise AssertionError(f"the tab key does not lead to {key}")


async def signs_in(browser, url):
    await browser.open(url)
    assert await browser.run("document.getElementById('page').hidden"), "nothing is shown before the token"
    await browser.write("not-the-token-of-this-server")
    await browser.enter()
    await browser.until("document.getElementById('sign-in-error').textContent.includes('does not take this token')", "a wrong token is told")
    assert await browser.run("sessionStorage.length") == 0, "a wrong token is not kept"
    # The browser itself notes the status in its console.
    complaints = [one for one in browser.complaints if "401" not in one]
    assert len(browser.complaints) == 1 and not complaints, browser.complaints
    browser.complaints.clear()
    await browser.run("document.getElementById('token').value = ''")
    # The focus is where the token goes.
    await browser.write(TOKEN)
    await browser.enter()
    await browser.until("document.getElementById('connection').textContent === 'Live'", "the page is connected")
    await browser.until(f"{VERSION} === '1'", "version 1 is shown as current")
    assert await browser.run("sessionStorage.length === 1 && localStorage.length === 0 && document.cookie === ''"), "the token is kept by the tab"


async def follows_a_swap(browser, server):
    await browser.run("window.isTheSame = true")
    await browser.until(f"{FIGURE} > 20", "the load is shown")
    await server.swap(FIRST, "shop-1.wat")
    await browser.until(f"{VERSION} === '2'", "version 2 is shown as current")
    await browser.until("document.querySelector('#chart .mark.swap title')?.textContent.includes('Version 2')", "the swap is on the timeline")
    before = await browser.run("document.querySelector('#chart .line.requests').getAttribute('d')")
    await browser.until(f"document.querySelector('#chart .line.requests').getAttribute('d') !== {json.dumps(before)}", "the timeline moves")
    await browser.until("Number(document.getElementById('chart').ariaValueNow) === 0 && document.getElementById('chart').getAttribute('aria-valuetext').includes('requests a second')", "the timeline has words")
    assert await browser.run("window.isTheSame"), "the page was not loaded again"


async def shows_hostile_texts_as_texts(browser, server):
    await server.swap(SECOND, f"{HOSTILE}.wat")
    await browser.until(f"{VERSION} === '3'", "version 3 is shown as current")
    text = await browser.run("document.querySelector('#versions-body .current').innerText")
    assert HOSTILE in text, text
    await browser.until("document.getElementById('differences').innerText.includes('25 EUR')", "the difference is shown")
    cells = await browser.run("[...document.querySelectorAll('#differences td')].map((cell) => cell.textContent)")
    assert "<p>20 EUR</p>" in cells and "<p>25 EUR</p>" in cells and HOSTILE in cells, cells
    marked = await browser.run("[...document.querySelectorAll('#differences td')].filter((cell) => cell.textContent.includes(' EUR')).map((cell) => cell.querySelector('mark')?.textContent)")
    assert "0" in marked and "5" in marked, marked
    assert await browser.run("document.querySelectorAll('#page img, #page script, #page iframe, #page a').length") == 0
    # Even a mistake of the page could not make elements of a text.
    assert await browser.run("(() => { try { document.body.insertAdjacentHTML('beforeend', '<i></i>'); return false; } catch { return true; } })()"), "a text becomes HTML"
    browser.complaints[:] = [one for one in browser.complaints if "TrustedHTML" not in one and "Trusted Type" not in one]


async def rolls_back_by_click(browser, server):
    assert "25 EUR" in (await server.answer())[1]
    await browser.click(BUTTON.format("Roll back to 2"))
    said = await browser.run("document.getElementById('dialog-text').textContent")
    assert said == "Version 2 will answer all requests again; version 3 stays kept.", said
    await browser.click("document.getElementById('dialog-no')")
    assert "25 EUR" in (await server.answer())[1], "an order that was cancelled changes nothing"
    await browser.click(BUTTON.format("Roll back to 2"))
    said = await confirm(browser)
    assert said == "Version 2 answers all requests.", said
    assert await server.answer() == (200, FIRST)
    await browser.until(f"{VERSION} === '2'", "version 2 is shown as current")


async def changes_no_other_version_than_shown(browser, server):
    # While the dialog is open, somebody else swaps.
    await browser.click(BUTTON.format("Roll back to 3"))
    await browser.until("document.getElementById('dialog').open", "the dialog is open")
    await server.swap("<h1>Of somebody else</h1>", "other.wat")
    said = await confirm(browser)
    assert "version 4 is current; expected version 2" in said, said
    assert "somebody else" in (await server.answer())[1]
    browser.complaints[:] = [one for one in browser.complaints if "412" not in one]


async def shows_a_fault(browser, server):
    await server.swap(FIRST, "traps.wat", traps=True)
    await browser.until(f"{VERSION} === '5'", "version 5 is shown as current")
    status, _ = await server.answer("/lamps/7")
    assert status == 500, status
    await browser.until("document.querySelector('.fault summary')?.innerText.includes('500 trap GET /lamps/7')", "the fault is shown")
    await browser.click("document.querySelector('.fault summary')")
    cause = await browser.run("document.querySelector('.fault pre').textContent")
    assert f"no price in {HOSTILE}".replace('"', "'") in cause.replace('\\"', "'").replace('"', "'") and "\n  in lamp" in cause, cause
    await browser.until("document.querySelector('#figures .failed') !== null", "failures have a figure")


async def says_when_it_is_cut_off(browser, server, tunnel):
    await tunnel.cut()
    await browser.until("document.getElementById('connection').textContent.startsWith('Not connected since ')", "the page says that it is cut off")
    assert await browser.run("getComputedStyle(document.getElementById('columns')).opacity") < "1", "what is old looks old"
    await server.swap(FIRST + "meanwhile", "meanwhile.wat")
    await tunnel.open(tunnel.port)
    await browser.until("document.getElementById('connection').textContent === 'Live'", "the page is connected again")
    await browser.until(f"{VERSION} === '6'", "version 6 is shown as current")
    # Each change is there once, also those of the time without a connection.
    changes = await browser.run("[...document.querySelectorAll('.changes li')].map((one) => one.innerText).filter((one) => / serves; it replaced/.test(one)).map((one) => one.split('Version ')[1].split(' ')[0])")
    assert changes == ["6", "5", "4", "3", "2"], changes
    # The browser itself notes each connection that it does not get.
    browser.complaints[:] = [one for one in browser.complaints if "net::ERR_" not in one]


async def steers_a_rollout(browser, server):
    await server.swap(SECOND, "canary.wat", "steps=10%,50%&hold=10min", resource="rollout")
    await browser.until("document.querySelector('.steps [aria-current]')?.textContent === '10%'", "the step is shown")
    assert "version 7 answers 10%" in await browser.run("document.getElementById('versions-body').innerText")
    for name, said in [("Pause", "is paused"), ("Resume", "goes on"), ("Promote", "is done")]:
        await browser.until(f"Boolean({BUTTON.format(name)})", f"there is a button {name}")
        await browser.click(BUTTON.format(name))
        found = await confirm(browser)
        assert found == f"The rollout of version 7 {said}.", found
    assert "25 EUR" in (await server.answer())[1]
    assert await bring(browser, "canary.wat", module(FIRST)) == "The rollout of version 8 has begun."
    await browser.until("document.querySelector('.steps [aria-current]')?.textContent === '1%'", "the first step is shown")
    await browser.until(f"Boolean({BUTTON.format('Abort')})", "there is a button Abort")
    await browser.click(BUTTON.format("Abort"))
    found = await confirm(browser)
    assert found == "Version 7 answers all requests.", found
    await browser.until("document.querySelector('#versions-body [data-version=\"8\"]').className === 'rejected'", "version 8 is shown as rejected")


async def bring(browser, name, text, way="rollout"):
    """Brings a module as a person does, and returns what the page says of it."""
    path = os.path.join(os.environ["SCRATCH"], name)
    with open(path, "w") as file:
        file.write(text)
    if not await browser.run("document.getElementById('module').open"):
        await browser.click("document.querySelector('#module summary')")
    await browser.click(f"document.querySelector('#module [value={way}]')")
    assert await browser.run("document.getElementById('module-plan').hidden") == (way == "swap"), "only a rollout has steps"
    # A module that was rejected is still chosen.
    if not await browser.run("document.getElementById('module-file').files.length"):
        await browser.click(BUTTON.format("Bring it…"))
        assert "Choose the file" in await browser.run("document.getElementById('module-error').textContent"), "a file is asked for"
    document = await browser.send("DOM.getDocument")
    field = await browser.send("DOM.querySelector", nodeId=document["root"]["nodeId"], selector="#module-file")
    await browser.send("DOM.setFileInputFiles", nodeId=field["nodeId"], files=[path])
    await browser.picture(os.path.join(PICTURES, f"module-{way}.png"), whole=True)
    await browser.click(BUTTON.format("Bring it…"))
    return await confirm(browser)


async def brings_a_module_by_click(browser, server):
    found = await bring(browser, "broken.wat", "(module)", "swap")
    assert "missing" in found or "memory" in found, found
    assert await server.answer() == (200, FIRST)
    assert await bring(browser, "by-click.wat", module("<h1>By click</h1>"), "swap") == "Version 11 answers all requests."
    await browser.until(f"{VERSION} === '11'", "version 11 is shown as current")
    assert await server.answer() == (200, "<h1>By click</h1>")
    browser.complaints[:] = [one for one in browser.complaints if "422" not in one]


async def serves_those_who_cannot_see(browser):
    # Also what is closed at first.
    await browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    await browser.until("document.querySelectorAll('#table tbody tr').length > 0", "the table is there")
    nodes = (await browser.send("Accessibility.getFullAXTree"))["nodes"]
    roles = {node["role"]["value"] for node in nodes if not node["ignored"]}
    assert {"button", "slider", "radio", "DisclosureTriangle"} <= roles, roles
    for node in nodes:
        role = node["role"]["value"]
        if not node["ignored"] and role in NAMED:
            assert node.get("name", {}).get("value", "").strip(), f"a {role} has no name: {json.dumps(node)[:400]}"
    await browser.run("document.querySelectorAll('details').forEach((one) => { one.open = false; })")


async def fits_a_phone(browser):
    await browser.size(360, 740)
    for scheme in ["light", "dark"]:
        await browser.scheme(scheme)
        await browser.until("document.getElementById('chart').firstChild.clientWidth < 360", "the chart fits")
        width = await browser.run("Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)")
        assert width == 360, f"{width} px at a width of 360"
        ground = await browser.run("getComputedStyle(document.body).backgroundColor")
        assert ground == {"light": "rgb(246, 247, 248)", "dark": "rgb(15, 19, 23)"}[scheme], ground
        await browser.picture(os.path.join(PICTURES, f"phone-{scheme}.png"))
    await browser.size(1280, 860)
    for scheme in ["dark", "light"]:
        await browser.scheme(scheme)
        await browser.until("document.getElementById('chart').firstChild.clientWidth > 1000", "the chart is wide")
        await browser.picture(os.path.join(PICTURES, f"desktop-{scheme}.png"))


async def works_by_keyboard_alone(browser, server):
    await browser.run("document.getElementById('sign-out').click()")
    assert await browser.run("sessionStorage.length") == 0, "the token is forgotten"
    await browser.write(TOKEN)
    await browser.enter()
    await browser.until(f"{VERSION} === '7'", "version 7 is shown as current")
    await focus(browser, "rollback 2")
    await browser.run("window.focused = document.activeElement")
    await server.swap("<h1>Of somebody else</h1>", "other.wat")
    await browser.until(f"{VERSION} === '9'", "version 9 is shown as current")
    assert await browser.run("document.activeElement === window.focused && window.focused.isConnected"), "the button that has the focus stays"
    await browser.enter()
    await browser.until("document.getElementById('dialog').open", "the dialog is open")
    await browser.key("Escape", 27)
    await browser.until("!document.getElementById('dialog').open", "the escape key closes the dialog")
    assert await browser.run("document.activeElement.dataset.key") == "rollback 2", "the focus is back"
    await browser.enter()
    await browser.until("document.getElementById('dialog').open", "the dialog is open")
    # The button that changes nothing has the focus at first.
    await browser.tab()
    await browser.enter()
    await browser.until(f"{OUTCOME} === 'Version 2 answers all requests.'", "the outcome is told")
    await browser.enter()
    assert await server.answer() == (200, FIRST)


async def main():
    browser, tunnel = await Browser.start(), Tunnel()
    try:
        async with aiohttp.ClientSession() as session:
            server = Server(session)
            await browser.size(1280, 860)
            await browser.scheme("light")
            load = asyncio.create_task(server.load())
            await signs_in(browser, await tunnel.open())
            await follows_a_swap(browser, server)
            await shows_hostile_texts_as_texts(browser, server)
            await rolls_back_by_click(browser, server)
            await changes_no_other_version_than_shown(browser, server)
            await shows_a_fault(browser, server)
            await says_when_it_is_cut_off(browser, server, tunnel)
            await steers_a_rollout(browser, server)
            await serves_those_who_cannot_see(browser)
            await fits_a_phone(browser)
            await works_by_keyboard_alone(browser, server)
            await brings_a_module_by_click(browser, server)
            server.is_loaded = False
            await load
            assert await browser.run("document.title.startsWith('host')"), "a text was taken for a script"
            assert not browser.complaints, "\n".join(browser.complaints)
            agent = (await browser.send("Browser.getVersion"))["product"]
            print(f"{agent} shows the page, under a load of {server.sent} requests")
    finally:
        await browser.end()
        await tunnel.cut()


asyncio.run(main())
