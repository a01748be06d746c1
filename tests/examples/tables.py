"""Tables of requests and expected responses, one for each example."""

import hashlib
import hmac
import pathlib
import re
import time

HTML = "text/html; charset=utf-8"


def row(method, target, status, reason=None, fields=None, body=None, sends=b"", with_fields=None):
    """Returns a request and the expected response; None stands for what does not matter.

    In `fields`, None means that the response must not have the field.
    """
    return (method, target, with_fields or {}, sends), (status, reason, fields or {}, body)


def default():
    """Returns the table of the default handler, read from the host's own tests."""
    text = (pathlib.Path(__file__).parent.parent / "answers.rs").read_text()
    names = dict(re.findall(r'^(?:pub )?const (\w+): &str = "(.*)";$', text, re.MULTILINE))
    lines = re.findall(
        r'^    \("(\w+)", +"(.*?)", +(\d+), "(.*?)", +(?:None|Some\((\w+)\)), +(\w+|"")\),$', text, re.MULTILINE
    )
    rows = []
    for method, target, status, reason, allow, body in lines:
        body = b"" if body == '""' else names[body].encode()
        kind, length = (HTML, str(len(body))) if body else (None, None)
        fields = {"allow": names[allow] if allow else None, "content-type": kind, "content-length": length}
        rows.append(row(method, target, int(status), reason, fields, body))
    assert len(rows) >= 20, f"tests/answers.rs: expected its table, found {len(rows)} rows of it"
    # The longest body that the server accepts: the module has to make room for it.
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
        # Nested as deep as a body allows: the parser has to give up before the stack runs out.
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


def ab():
    def shows_one(reply):
        pages = {"variant=a": b"<button>Buy</button>\n", "variant=b": b"<button>Buy now</button>\n"}
        variant = reply.fields.get("set-cookie", "").partition(";")[0]
        assert pages.get(variant) == reply.body, f"expected the page of {variant!r}, found {reply.body!r}"

    return [
        row("GET", "/", 200, fields={"cache-control": "private"}, body=shows_one),
        row("GET", "/", 200, fields={"set-cookie": None}, body=b"<button>Buy</button>\n", with_fields={"cookie": "variant=a"}),
        row("GET", "/", 200, fields={"set-cookie": None}, body=b"<button>Buy now</button>\n", with_fields={"cookie": "a=b; variant=b"}),
        row("GET", "/", 200, body=shows_one, with_fields={"cookie": "variant=c"}),
        row("GET", "/a", 404),
    ]


def login():
    def sent(status, body, fields=None):
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return row("POST", "/login", status, fields=fields, sends=body, with_fields=kind)

    def cookie(key, name="session", value="ada", age=60):
        expiry = int(time.time()) + age
        message = f"signed cookie 1\0{name}\0{expiry}\0{value}".encode()
        return f"session={hmac.new(key, message, hashlib.sha256).hexdigest()}.{expiry}.{value}"

    key = b"this key is public: build with LOGIN_KEY"
    return [
        row("GET", "/", 401, fields={"content-type": HTML, "cache-control": "no-store"}),
        row("GET", "/", 200, body=b"hello ada\n", with_fields={"cookie": cookie(key, age=3600)}),
        row("GET", "/", 401, with_fields={"cookie": cookie(key, age=-1)}),
        row("GET", "/", 401, with_fields={"cookie": cookie(key, name="other")}),
        row("GET", "/", 401, with_fields={"cookie": cookie(b"a key that another server has")}),
        sent(303, b"user=ada&password=open+sesame", {"location": "/"}),
        sent(401, b"user=ada&password=open+sesam", {"set-cookie": None}),
        row("POST", "/logout", 303, fields={"set-cookie": "session=; Path=/; Max-Age=0"}),
    ]


def site():
    html, css = {"content-type": HTML}, {"content-type": "text/css; charset=utf-8"}
    public = pathlib.Path(__file__).parent.parent.parent / "handler/examples/rust/site/public"
    index, style = (public / "index.html").read_bytes(), (public / "style.css").read_bytes()
    etag = f'"{hashlib.sha256(index).hexdigest()[:32]}"'
    return [
        row("GET", "/", 200, fields=html | {"etag": etag}, body=index),
        row("HEAD", "/index.html", 200, fields=html | {"content-length": str(len(index))}),
        row("GET", "/", 304, fields={"etag": etag}, body=b"", with_fields={"if-none-match": etag}),
        row("GET", "/", 206, body=index[-5:], with_fields={"range": "bytes=-5"}),
        row("GET", "/", 416, body=b"", with_fields={"range": "bytes=1000-"}),
        row("GET", "/", 412, body=b"", with_fields={"if-match": '"x"'}),
        row("GET", "/style.css", 200, fields=css | {"content-encoding": None}, body=style),
        row("GET", "/style.css", 200, fields=css | {"content-encoding": "gzip"}, body=(public / "style.css.gz").read_bytes(), with_fields={"accept-encoding": "gzip"}),
        row("GET", "/docs?a", 308, fields={"location": "/docs/?a"}),
        row("GET", "/docs/", 200, fields=html),
        row("GET", "/docs/../../Cargo.toml", 404, body=(public / "404.html").read_bytes()),
        row("GET", "/health", 200, body=b"well\n"),
    ]


def tasks():
    kind = {"content-type": "application/json"}

    def sent(status, body, answer=None):
        return row("POST", "/tasks", status, fields=kind, body=answer, sends=body, with_fields=kind)

    def has_an_id(reply):
        uuid = rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
        expected = rb'\{"id":"' + uuid + rb'","title":"a","priority":3\}'
        assert re.fullmatch(expected, reply.body), f"expected an id of version 4, found {reply.body!r}"

    return [
        row("GET", "/tasks", 200, fields=kind | {"link": '</tasks?after=20&limit=20>; rel="next"'}),
        row("GET", "/tasks?after=94", 200, fields={"link": None}, body=b'{"total":95,"tasks":[{"number":95,"title":"task 95"}]}'),
        row("GET", "/tasks?after=95", 200, body=b'{"total":95,"tasks":[]}'),
        row("GET", "/tasks?limit=51", 400),
        row("GET", "/tasks?after=99999999999999999999", 400),
        sent(201, b'{"title":"a","priority":3}', has_an_id),
        sent(422, b'{"title":"","priority":3}', b'[{"member":"title","error":"expected 1 to 200 letters"}]'),
        sent(400, b'{"title":1}'),
        row("PUT", "/tasks", 405),
    ]


def webhook():
    def sent(status, body, age=0, secret=b"this secret is public: build with WEBHOOK_SECRET", signs=None):
        at = str(int(time.time()) - age)
        message = at.encode() + b"." + (body if signs is None else signs)
        signature = hmac.new(secret, message, hashlib.sha256).hexdigest()
        fields = {"x-timestamp": at, "x-signature": f"sha256={signature}"}
        return row("POST", "/hook", status, sends=body, with_fields=fields)

    return [
        sent(204, b"{}"),
        sent(204, b""),
        sent(401, b"{}", age=1000),
        sent(401, b"{}", age=-1000),
        sent(401, b"{}", secret=b"another secret"),
        sent(401, b"{}", signs=b"{ }"),
        row("POST", "/hook", 401, sends=b"{}"),
        row("GET", "/hook", 405),
    ]


def crates():
    """Returns the table of the routes that use one crate each; docs/handlers.md lists the crates."""
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
    "ab": ab,
    "crates": crates,
    "default": default,
    "form": form,
    "inspect": inspect,
    "items": items,
    "login": login,
    "mandelbrot": mandelbrot,
    "redirects": redirects,
    "site": site,
    "tasks": tasks,
    "webhook": webhook,
}
