"""What each example is to answer: its table of requests."""

import pathlib
import re

HTML = "text/html; charset=utf-8"


def row(method, target, status, reason=None, fields=None, body=None, sends=b"", with_fields=None):
    """A request, and what is to come back; None for what does not matter.

    In `fields` a None says that there is no such field.
    """
    return (method, target, with_fields or {}, sends), (status, reason, fields or {}, body)


def default():
    """The table of the default handler, as the host's own tests have it."""
    text = (pathlib.Path(__file__).parent.parent / "answers.rs").read_text()
    names = dict(re.findall(r'^const (\w+): &str = "(.*)";$', text, re.MULTILINE))
    lines = re.findall(
        r'^    \("(\w+)", +"(.*?)", +(\d+), "(.*?)", +(?:None|Some\((\w+)\)), +(\w+|"")\),$', text, re.MULTILINE
    )
    rows = []
    for method, target, status, reason, allow, body in lines:
        body = names.get(body, "").encode()
        kind, length = (HTML, str(len(body))) if body else (None, None)
        fields = {"allow": names.get(allow), "content-type": kind, "content-length": length}
        rows.append(row(method, target, int(status), reason, fields, body))
    assert len(rows) >= 20, f"tests/answers.rs: expected its table, found {len(rows)} rows of it"
    # As long a body as the server takes: the module has to make room for it.
    rows.append(row("POST", "/", 405, body=names["NOT_ALLOWED"].encode(), sends=bytes(1024 * 1024)))
    return rows


def form():
    def sent(status, body, fields=None, holds=()):
        def holds_all(reply):
            for text in holds:
                assert text in reply.body, f"expected {text!r} in the page, found {reply.body!r}"

        kind = {"content-type": "application/x-www-form-urlencoded"}
        return row("POST", "/", status, fields=fields, body=holds_all, sends=body, with_fields=kind)

    return [
        row("GET", "/", 200, fields={"content-type": HTML}),
        row("GET", "/thanks", 200),
        sent(303, b"name=Ada&seats=2", {"location": "/thanks"}),
        sent(303, b"seats=8&name=%C3%A4+%26", {"location": "/thanks"}),
        sent(422, b"name=%22%3E%3Cb%3E&seats=x3", holds=[b'value="&quot;&gt;&lt;b&gt;"', b'value="x3"']),
        sent(422, b"name=Ada&seats=9", holds=[b'value="Ada"', b"1 to 8 seats"]),
        sent(422, b"", holds=[b"most 50 letters", b"1 to 8 seats"]),
        row("POST", "/", 415, sends=b"{}", with_fields={"content-type": "application/json"}),
        row("PUT", "/", 405, fields={"allow": "GET, HEAD, POST, OPTIONS"}),
    ]


def inspect():
    def shows_head(reply):
        lines = reply.body.decode().splitlines()
        expected = ["GET /echo?a=1 HTTP/1.1", "host: examples", "x-one: two", "x-forwarded-for: 127.0.0.1"]
        missing = [line for line in expected if line not in lines]
        assert not missing, f"expected {missing} in the head, found {lines}"

    every_byte = bytes(range(256)) * 64
    return [
        row("POST", "/", 200, fields={"content-type": "a/b"}, body=b"x", sends=b"x", with_fields={"content-type": "a/b"}),
        row("POST", "/echo?a", 200, fields={"content-length": "16384"}, body=every_byte, sends=every_byte),
        row("POST", "/", 200, fields={"content-type": "application/octet-stream"}, body=b""),
        row("POST", "/", 200, body=bytes(1024 * 1024), sends=bytes(1024 * 1024)),
        row("GET", "/echo?a=1", 200, body=shows_head, with_fields={"X-One": "two"}),
        row("GET", "/cookie", 200, body=b"a=1\nb=2\n", with_fields={"cookie": "a=1; b=2"}),
        row("GET", "/cookie", 200, body=b""),
        row("GET", "/", 404),
        row("PUT", "/echo", 405),
    ]


def items():
    kind = {"content-type": "application/json"}

    def sent(status, body, answer=None, **fields):
        return row("POST", "/items", status, fields=kind | fields, body=answer, sends=body, with_fields=kind)

    return [
        row("GET", "/items/0", 200, fields=kind, body=b'{"id":0,"name":"pencil","cents":120}'),
        row("HEAD", "/items/2?a", 200, fields=kind),
        row("GET", "/items", 200, fields=kind),
        row("GET", "/items/3", 404, fields=kind, body=b'{"error":"there is no such item"}'),
        row("GET", "/items/x", 404),
        row("GET", "/items/", 404),
        row("GET", "/items/0/0", 404),
        row("DELETE", "/items", 405),
        row("PUT", "/items/0", 405),
        sent(201, b' {"cents": 5, "name": "\\u00e4"}', '{"id":3,"name":"ä","cents":5}'.encode(), location="/items/3"),
        sent(422, b'{"name":"","cents":1}', b'[{"member":"name","error":"expected 1 to 100 letters"}]'),
        sent(422, b'{"name":"a","cents":0}', b'[{"member":"cents","error":"expected more than nothing"}]'),
        sent(400, b'{"name":"a","cents":0'),
        sent(400, b'{"name":"a","cents":1.5}'),
        # Nested as deep as it can be sent: the parser has to give up, and not the stack.
        sent(400, b"[" * 1_000_000),
    ]


def mandelbrot():
    def sized(width, height):
        def is_bitmap(reply):
            sizes = (len(reply.body), width, height)
            found = [int.from_bytes(reply.body[at : at + 4], "little") for at in (2, 18, 22)]
            assert reply.body[:2] == b"BM" and found == list(sizes), f"expected {sizes}, found {found}"

        return is_bitmap

    path, kind = "/mandelbrot.bmp", {"content-type": "image/bmp"}
    return [
        row("GET", "/", 200, fields={"content-type": HTML}),
        row("GET", f"{path}?width=1&height=1", 200, fields=kind, body=sized(1, 1)),
        row("GET", f"{path}?height=7&width=30", 200, fields=kind, body=sized(30, 7)),
        row("HEAD", f"{path}?height=7&width=30", 200, fields=kind | {"content-length": "1302"}),
        row("GET", f"{path}?width=0", 400),
        row("GET", f"{path}?width=801", 400),
        row("GET", f"{path}?height=x", 400),
    ]


def redirects():
    def moved(number, name):
        return row("GET", f"/p/{number}", 308, fields={"location": f"/articles/{name}-{number}"}, body=b"")

    return [
        moved(0, "red-chair"),
        moved(17, "green-rug"),
        moved(9999, "grey-rug"),
        row("HEAD", "/p/5?a=1", 308, fields={"location": "/articles/green-table-5"}),
        row("GET", "/p/10000", 404),
        row("GET", "/p/017", 404),
        row("GET", "/p/", 404),
        row("GET", "/", 200),
        row("POST", "/p/1", 308, fields={"location": "/articles/green-chair-1"}),
        row("PUT", "/", 405, fields={"allow": "GET, HEAD, OPTIONS"}),
    ]


def crates():
    """What each crate answers in its route; handlers.md lists them."""
    answers = {
        "std": "two",
        "anyhow": "reading a number: invalid digit found in string",
        "askama": "<p>a &#38; b</p>",
        "base64": "aGVsbG8=",
        "chrono": "2026-11-22T08:00:00+00:00",
        "csv": "pencil paper",
        "hmac": "f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8",
        "indexmap": "ba",
        "maud": "<h1>a &lt; b</h1>",
        "minijinja": "a;b;",
        "percent-encoding": "a%20b",
        "pulldown-cmark": "<p>a <em>b</em></p>\n",
        "regex": "on 26.11.2026",
        "semver": "true",
        "serde_json": '{"a":[1,2]}',
        "sha2": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "thiserror": "there is no page",
        "time": "2026-11-22",
        "toml": "4444",
        "url": "https://a.example/c?d=1#e",
        "uuid": "aad03681-8b63-5304-89e0-8ca8f49461b5",
    }
    rows = [row("GET", f"/{name}", 200, body=answer.encode()) for name, answer in answers.items()]
    return [*rows, row("GET", "/panic", 500), row("GET", "/", 404), row("POST", "/std", 405)]


TABLES = {
    "crates": crates,
    "default": default,
    "form": form,
    "inspect": inspect,
    "items": items,
    "mandelbrot": mandelbrot,
    "redirects": redirects,
}
